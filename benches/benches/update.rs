//! A VDN double-DQN update with Adam, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::update::updating;
use coact_kernels::Device;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("update/vdn/b32", updating(32, Device::Cpu, 1)?),
        ("update/vdn/b256", updating(256, Device::Cpu, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
