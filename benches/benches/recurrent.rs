//! Recurrent cells, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::recurrent::{cell, network};
use coact_kernels::{CellKind, CellShape, Device};
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let shape = |kind| CellShape { kind, width: 64 };
    let runs = [
        ("recurrent/gru/learn/forward", cell(shape(CellKind::Gru), 26, 96, false, Device::Cpu)?),
        ("recurrent/gru/learn/both", cell(shape(CellKind::Gru), 26, 96, true, Device::Cpu)?),
        ("recurrent/lstm/learn/both", cell(shape(CellKind::Lstm), 26, 96, true, Device::Cpu)?),
        ("recurrent/gru/network/both", network(shape(CellKind::Gru), 26, 96, Device::Cpu)?),
        ("recurrent/gru/act/forward", cell(shape(CellKind::Gru), 1, 24, false, Device::Cpu)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
