//! One dense layer, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::update::dense;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("dense/64x64/rows1", dense(1, 64, 64)?),
        ("dense/64x64/rows96", dense(96, 64, 64)?),
        ("dense/18x64/rows96", dense(96, 18, 64)?),
        ("dense/256x256/rows96", dense(96, 256, 256)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
