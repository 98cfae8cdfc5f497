//! What was measured, as a table for people and as JSON for programs.

use serde_json::{Value, json};

/// One measurement of ours, beside one peer's if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name, for example `update/vdn/b32`.
    pub name: String,
    /// Median in `unit`.
    pub value: f64,
    /// Unit of `value` and of the peer's.
    pub unit: &'static str,
    /// Number of threads of ours, the faster of those tried.
    pub threads: usize,
    /// Median absolute deviation as a fraction of the median.
    pub spread: f64,
    /// What ours is meant to reach, and whether it does.
    pub goal: Option<(f64, bool)>,
    /// The peer's side.
    pub theirs: Option<Theirs>,
    /// Further fields of its JSON object: an object, or null for none.
    pub more: Value,
}

/// The peer's side of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Theirs {
    /// Name, for example `jax`.
    pub peer: &'static str,
    /// Median in the unit of the measurement.
    pub value: f64,
    /// Number of threads, the faster of those tried.
    pub threads: usize,
    /// Median absolute deviation as a fraction of the median.
    pub spread: f64,
    /// Above 1: ours is faster.
    pub ratio: f64,
    /// Ratio that ours is meant to reach, and whether it does.
    pub goal: Option<(f64, bool)>,
}

impl Measurement {
    /// As one JSON object.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "threads": self.threads,
            "spread": self.spread,
        });
        for (name, value) in self.more.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        if let Some((goal, met)) = self.goal {
            object["goal"] = json!(goal);
            object["goal_met"] = json!(met);
        }
        if let Some(theirs) = &self.theirs {
            object["peer"] = json!(theirs.peer);
            object["peer_value"] = json!(theirs.value);
            object["peer_threads"] = json!(theirs.threads);
            object["peer_spread"] = json!(theirs.spread);
            object["ratio"] = json!(theirs.ratio);
            if let Some((goal, met)) = theirs.goal {
                object["ratio_goal"] = json!(goal);
                object["ratio_goal_met"] = json!(met);
            }
        }
        object
    }

    /// As one line of the table under [`head`].
    pub fn line(&self) -> String {
        let goal = |goal: Option<(f64, bool)>| match goal {
            Some((goal, met)) => format!("{} {}", if met { "met" } else { "SHORT OF" }, short(goal)),
            None => String::new(),
        };
        let (peer, value, ratio, ratio_goal) = match &self.theirs {
            Some(t) => {
                let ratio = format!("{:.2}x", t.ratio);
                (format!("{} ({})", t.peer, t.threads), short(t.value), ratio, goal(t.goal))
            }
            None => Default::default(),
        };
        let line = format!(
            "{:<38} {:>10} {:<12} {:>2} {:>5.1}% {:<14} {:<21} {:>10} {:>9} {}",
            self.name,
            short(self.value),
            self.unit,
            self.threads,
            self.spread * 100.0,
            goal(self.goal),
            peer,
            value,
            ratio,
            ratio_goal
        );
        line.trim_end().to_owned()
    }
}

/// Head of the table.
pub fn head() -> String {
    format!(
        "{:<38} {:>10} {:<12} {:>2} {:>6} {:<14} {:<21} {:>10} {:>9} {}",
        "measurement", "value", "unit", "t", "spread", "goal", "peer (t)", "peer", "ratio", "goal"
    )
}

/// Four significant digits, with `k`, `M` or `G` for large values.
pub fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    format!("{scaled:.digits$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_names_that_scripts_rely_on() {
        let mut measurement = Measurement {
            name: "act/rows96".to_owned(),
            value: 10.0,
            unit: "us",
            threads: 1,
            spread: 0.01,
            goal: None,
            theirs: None,
            more: json!({"ops": 2}),
        };
        let alone = measurement.json();
        for name in ["name", "value", "unit", "threads"] {
            assert!(!alone[name].is_null(), "{name}");
        }
        assert!(alone["ratio"].is_null() && alone["ops"] == 2);
        let theirs =
            Theirs { peer: "jax", value: 30.0, threads: 2, spread: 0.1, ratio: 3.0, goal: Some((2.5, true)) };
        measurement.theirs = Some(theirs);
        let beside = measurement.json();
        assert_eq!(
            (&beside["peer"], &beside["peer_value"], &beside["ratio"]),
            (&json!("jax"), &json!(30.0), &json!(3.0))
        );
        assert!(measurement.line().ends_with("3.00x met 2.500"), "{}", measurement.line());
    }

    #[test]
    fn short_numbers() {
        for (value, text) in
            [(1.5, "1.500"), (61.53, "61.53"), (12_345.0, "12.35k"), (5.13e8, "513.0M"), (1.2e9, "1.200G")]
        {
            assert_eq!(short(value), text);
        }
    }
}
