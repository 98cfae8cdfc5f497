//! Recurrent cells, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::recurrent::cell;
use coact_kernels::{CellKind, CellShape};
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let shape = |kind| CellShape { kind, width: 64 };
    let runs = [
        ("recurrent/gru/learn/forward", cell(shape(CellKind::Gru), 26, 96, false)?),
        ("recurrent/gru/learn/both", cell(shape(CellKind::Gru), 26, 96, true)?),
        ("recurrent/lstm/learn/both", cell(shape(CellKind::Lstm), 26, 96, true)?),
        ("recurrent/gru/act/forward", cell(shape(CellKind::Gru), 1, 24, false)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
