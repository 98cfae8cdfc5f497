//! Optimizer steps and target networks, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::{blend, optim};
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("optim/adam/5701", optim(5701, 1)?),
        ("optim/adam/200000", optim(200_000, 1)?),
        ("blend/200000", blend(200_000, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
