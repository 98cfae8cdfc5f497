//! Rows of policies, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::{draw, policy};
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [("policy/draw/rows3072", draw(3072)?), ("policy/clipped/rows3072", policy(3072)?)];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
