//! Layers forward and backward, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::mlp;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("mlp/forward/rows96", mlp(96, false, 1)?),
        ("mlp/forward/rows3072", mlp(3072, false, 1)?),
        ("mlp/both/rows96", mlp(96, true, 1)?),
        ("mlp/both/rows3072", mlp(3072, true, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
