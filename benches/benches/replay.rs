//! Replay at a million entries; a call is a batch. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::replay::{sums_sample, sums_update, whole_sample, whole_update};
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("replay/priority_update/sums", sums_update()),
        ("replay/priority_update/replay", whole_update()?),
        ("replay/sample/sums", sums_sample()),
        ("replay/sample/replay", whole_sample()?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
