//! Targets of double Q-learning, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::targets;
use coact_kernels::Device;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("td_target/vdn/b32", targets(32, false, Device::Cpu, 1)?),
        ("td_target/qmix/b32", targets(32, true, Device::Cpu, 1)?),
        ("td_target/qmix/b1024", targets(1024, true, Device::Cpu, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
