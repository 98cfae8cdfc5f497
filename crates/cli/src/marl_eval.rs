//! Evaluations of many runs as JSON in the layout of marl-eval (Gorsane et al. 2022, "Towards a standardised performance
//! evaluation protocol for cooperative MARL"): suite, task, algorithm, run, evaluation.

use serde_json::{Map, Value, json};

use crate::groups::group;
use crate::report::RunSummary;

/// All evaluations of `runs`. The suite is what stands before the `/` of an environment's name, or the whole name. The
/// metric `return` holds the mean greedy return over the episodes of an evaluation, summed over agents.
pub fn json(runs: &[RunSummary]) -> Value {
    let groups = group(runs);
    let mut suites: Map<String, Value> = Map::new();
    for group in &groups {
        let env = &group.first().env;
        let suite = env.split_once('/').map_or(env.as_str(), |(suite, _)| suite);
        let algorithm = group.variant(&groups);
        for run in &group.runs {
            let tasks = entry(&mut suites, suite);
            let algorithms = entry(tasks, env);
            let runs = entry(algorithms, &algorithm);
            runs.insert(format!("seed_{}", run.seed), evaluations(run));
        }
    }
    suites.into()
}

/// The object under `key`, made where it is missing.
fn entry<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| Map::new().into());
    match value {
        Value::Object(map) => map,
        _ => unreachable!("only objects are put in"),
    }
}

fn evaluations(run: &RunSummary) -> Value {
    let evaluated = run.metrics.iter().filter_map(|r| Some((r, r.get("eval/return")?)));
    let step = |(i, (record, value)): (usize, (&coact_runner::metrics::Record, f64))| {
        let numbers = json!({
            "step_count": record.env_steps, "elapsed_time": record.wall_s, "return": [value],
        });
        (format!("step_{i}"), numbers)
    };
    let mut all: Map<String, Value> = evaluated.enumerate().map(step).collect();
    if let Some(last) = &run.evaluation {
        all.insert("absolute_metrics".into(), json!({"return": [last.return_mean]}));
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EvaluationSummary;
    use coact_runner::metrics::Record;

    fn run(env: &str, seed: u64, rate: &str, value: f64) -> RunSummary {
        let record = |n: u64| Record {
            env_steps: n,
            wall_s: n as f64 / 10.0,
            values: vec![("eval/return".into(), value + n as f64), ("learn/loss".into(), 1.0)],
        };
        RunSummary {
            env: env.into(),
            algorithm: "iql".into(),
            seed,
            config: vec![("learning_rate".into(), rate.into())],
            config_hash: rate.into(),
            metrics: vec![record(100), record(200)],
            evaluation: Some(EvaluationSummary { return_mean: value, ..EvaluationSummary::default() }),
            ..RunSummary::default()
        }
    }

    #[test]
    fn runs_stand_under_suite_task_algorithm_and_seed() {
        let runs = [
            run("lbf/a", 0, "0.1", 1.0),
            run("lbf/a", 1, "0.1", 2.0),
            run("lbf/a", 0, "0.2", 3.0),
            run("spread", 0, "0.1", 4.0),
        ];
        let all = json(&runs);
        let one = &all["lbf"]["lbf/a"]["iql (learning_rate 0.1)"]["seed_1"];
        assert_eq!(one["step_0"], json!({"step_count": 100, "elapsed_time": 10.0, "return": [102.0]}));
        assert_eq!(one["absolute_metrics"], json!({"return": [2.0]}));
        assert_eq!(all["lbf"]["lbf/a"]["iql (learning_rate 0.2)"]["seed_0"]["step_1"]["step_count"], 200);
        assert_eq!(all["spread"]["spread"]["iql"].as_object().unwrap().len(), 1);
    }
}
