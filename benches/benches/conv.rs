//! Convolutions, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::conv;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [("conv/forward/rows256", conv(256, false, 1)?), ("conv/both/rows256", conv(256, true, 1)?)];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
