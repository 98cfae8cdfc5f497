//! A record as a page for people. Every figure on it is one of the record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The page. Parts that are not there yet are said to be.
pub fn page(record: &Value) -> String {
    let mut out = String::from("# Kernels on a GPU\n\n");
    if record["stand_in"] == true {
        out += "**STAND-IN: this is a test of the measuring command on a driver that computes on the processor. No time on this page\nis a measurement of a GPU.**\n\n";
    }
    if record["quick"] == true {
        out += "Short repetitions: a look, not a claim.\n\n";
    }
    if record["facts"].is_null() {
        out += "Nothing is measured yet. On a machine with a GPU,\n\n    cargo xtask cuda measure --out record/gpu\n\nor, where there is no Rust, `./gpu-record --out record` in the folder that `cargo xtask cuda bundle` makes, fills this page.\n";
    }
    facts(&mut out, &record["facts"]);
    limits(&mut out, record);
    checks(&mut out, record);
    let prediction = text(&record["T1"]["prediction"]);
    out += "\n## T1: kernels\n\nTime on the device of each launch, between two events (median). Share: of the roofline that was measured in this run.\n";
    if !prediction.is_empty() {
        let _ = writeln!(out, "Predicted: for {prediction}.");
    }
    let columns = [
        "call",
        "n",
        "kernel",
        "us",
        "spread",
        "predicted_us",
        "share",
        "bound",
        "ops",
        "bytes",
        "registers",
        "shared",
        "blocks",
    ];
    table(&mut out, &record["T1"], &columns);
    out += "\n## T2: launches\n\nA call with its copies there and back (`whole_us`), and the sum of its kernels. Of a learner that stays on the device: one of\nits `steps` gradient steps, which are nodes of one graph and bring back what the statistics need.\n";
    let columns = ["call", "n", "steps", "launches", "whole_us", "kernels_us", "predicted_us", "spread"];
    table(&mut out, &record["T2"], &columns);
    out += "\n## T4: rollouts\n\nSteps of environments in one launch, nothing written but the state.\n";
    let columns =
        ["policy", "envs", "steps", "kernel", "kernel_us", "whole_us", "spread", "env_steps_per_s", "goal"];
    table(&mut out, &record["T4"], &columns);
    out += "\n## T5: choosing and learning beside peers\n\n`resident`: parameters and replay stay on the device, batches are drawn and gathered there, 32 steps a\ncall as one graph; `resident-cooperative`: as one launch. `cuda`: with all copies there and back. `cpu`: on this machine's\nprocessor, on one or two threads. Peers take turns with ours; their data lies on the device already, and they wait for their last\ncall only. A ratio above 1: ours is faster.\n";
    table(
        &mut out,
        &record["T5"],
        &["name", "value", "unit", "threads", "spread", "peer", "peer_value", "peer_spread", "ratio"],
    );
    for failure in record["T5"]["peer_failures"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "\nWithout: {}", text(failure));
    }
    out += "\n## T7: scaling\n\nCalls with their copies there and back, beside the processor on one thread or two, whichever is faster.\n";
    table(&mut out, &record["T7"], &["call", "axis", "value", "n", "cuda_us", "cpu_us", "cpu_threads"]);
    out
}

/// The roofline, what kernels reach of it at most, and where the devices cross.
fn limits(out: &mut String, record: &Value) {
    *out += "\n## Roofline, and from where on a GPU is faster\n";
    let roofline = &record["T1"]["roofline"];
    if let (Some(flops), Some(bytes)) = (roofline["flops"].as_f64(), roofline["bytes"].as_f64()) {
        let (tera, moved) = (flops * 1e-12, bytes * 1e-12);
        let _ = writeln!(
            out,
            "\nMeasured: {tera:.2} TFLOP/s of fused multiply-adds, {moved:.3} TB/s copied; they meet at {:.1} operations a byte. What each\nkernel reaches of the nearer limit, in the shape where that is most:",
            flops / bytes
        );
        let best = best_shares(&record["T1"]["rows"]);
        rows(out, &Value::Array(best), &["kernel", "call", "n", "us", "share", "bound"]);
    } else {
        *out += "\nRoofline: not measured yet.\n";
    }
    match record["T7"]["crossings"].as_array() {
        Some(crossings) => {
            *out += "\nThe device is faster from here on (empty: at none of the values); what else is fixed stands under T7:\n";
            rows(out, &Value::Array(crossings.clone()), &["call", "axis", "faster_from"]);
        }
        None => *out += "\nCrossing of both devices: not measured yet.\n",
    }
}

/// The row of each kernel with the largest share, by the names of the kernels.
fn best_shares(rows: &Value) -> Vec<Value> {
    let mut best: BTreeMap<&str, &Value> = BTreeMap::new();
    let share = |row: &Value| row["share"].as_f64().unwrap_or(0.0);
    for row in rows.as_array().into_iter().flatten().filter(|row| row["share"].is_f64()) {
        let kept = best.entry(row["kernel"].as_str().unwrap_or_default()).or_insert(row);
        if share(row) > share(kept) {
            *kept = row;
        }
    }
    best.into_values().cloned().collect()
}

fn facts(out: &mut String, facts: &Value) {
    if facts.is_null() {
        return;
    }
    *out += "| | |\n|---|---|\n";
    for (name, value) in facts.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(parts) => {
                for (part, value) in parts {
                    let _ = writeln!(out, "| {part} | {} |", text(value));
                }
            }
            None => {
                let _ = writeln!(out, "| {name} | {} |", text(value));
            }
        }
    }
}

fn checks(out: &mut String, record: &Value) {
    *out += "\n## Does it compute what the processor does\n\n";
    for (name, part) in [("parity", &record["parity"]), ("sanitizers", &record["sanitizers"])] {
        let said = match (part["failed"].as_str(), part["absent"].as_str(), part["runs"].as_array()) {
            (Some(why), ..) => format!("FAILED: {why}"),
            (_, Some(why), _) => why.to_owned(),
            (.., Some(runs)) => {
                let one = |r: &Value| format!("{}: {}", text(&r["tool"]), text(&r["result"]));
                runs.iter().map(one).collect::<Vec<_>>().join("; ")
            }
            _ if part.is_null() => "not measured yet".to_owned(),
            _ => text(&part["result"]),
        };
        let _ = writeln!(out, "- {name}: {said}");
    }
    let t10 = &record["T10"];
    *out += "\n## T10: determinism\n";
    if !t10["updates"].is_null() {
        let _ = writeln!(out, "\nParameters after {} updates:", text(&t10["updates"]));
    }
    table(out, t10, &["place", "hash"]);
    if t10["equal"] == true {
        *out += "\nAll are equal.\n";
    }
}

fn table(out: &mut String, part: &Value, columns: &[&str]) {
    if part.is_null() {
        *out += "\nNot measured yet.\n";
    } else if let Some(why) = part["failed"].as_str() {
        let _ = writeln!(out, "\nFAILED: {why}");
    } else {
        rows(out, &part["rows"], columns);
    }
}

fn rows(out: &mut String, rows: &Value, columns: &[&str]) {
    let _ = writeln!(out, "\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows.as_array().into_iter().flatten() {
        let cells: Vec<String> = columns.iter().map(|c| text(&row[*c])).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// A value in a cell: numbers with four digits, nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace('\n', "; ").replace('|', "/"),
        Value::Number(n) if n.is_f64() => n.as_f64().map(crate::report::short).unwrap_or_default(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stand_in_is_called_one_and_a_failure_is_not_hidden() {
        let mut record =
            json!({"stand_in": true, "facts": {"device": "stand-in", "versions": {"torch": null}}});
        record["T1"] = json!({"rows": [{"call": "act", "n": 3, "us": 5.25}]});
        record["T2"] = json!({"failed": "it caught fire"});
        let page = page(&record);
        assert!(page.contains("STAND-IN") && page.contains("| act | 3 |  | 5.250 |"), "{page}");
        assert!(page.contains("FAILED: it caught fire") && page.contains("Not measured yet."), "{page}");
        record["stand_in"] = json!(false);
        assert!(!super::page(&record).contains("STAND-IN"));
    }

    /// The page in `record/gpu` is that of what was measured there, and until then says that nothing was.
    #[test]
    fn the_page_of_the_record_is_that_of_its_figures() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../record/gpu");
        let raw = std::fs::read_to_string(folder.join("raw.json")).unwrap_or_else(|_| "null".to_owned());
        let found = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let want = page(&serde_json::from_str(&raw).unwrap());
        assert_eq!(found, want, "write the page with `gpu-record --empty-page`, or measure");
    }

    #[test]
    fn a_kernel_is_shown_where_it_reaches_most() {
        let row = |kernel: &str, n, share: f64| json!({"kernel": kernel, "call": "act", "n": n, "us": 1.5, "share": share, "bound": "memory"});
        let unpredicted = json!({"kernel": "other", "n": 1, "us": 2.0});
        let rows = json!([row("b", 3, 0.25), row("a", 9, 0.125), row("b", 96, 0.5), unpredicted]);
        let best = best_shares(&rows);
        assert_eq!(best, [row("a", 9, 0.125), row("b", 96, 0.5)]);
        let crossings = json!([{"call": "act", "axis": "rows", "faster_from": 384}, {"call": "act", "axis": "hidden", "faster_from": null}]);
        let roofline = json!({"flops": 6e13, "bytes": 3e12});
        let page = page(
            &json!({"facts": {}, "T1": {"roofline": roofline, "rows": rows}, "T7": {"rows": [], "crossings": crossings}}),
        );
        assert!(page.contains("60.00 TFLOP/s") && page.contains("meet at 20.0 operations a byte"), "{page}");
        assert!(page.contains("| act | rows | 384 |\n| act | hidden |  |"), "{page}");
    }
}
