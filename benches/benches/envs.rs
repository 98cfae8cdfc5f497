//! One step of a batch of environments, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::envs::stepping;
use criterion::Criterion;
use serde_json::{Value, json};

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("envs/cartpole/e1024", stepping("cartpole", &json!({"n_agents": 1}), 1024, 1)?),
        ("envs/simple_spread/e256", stepping("simple_spread", &Value::Null, 256, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
