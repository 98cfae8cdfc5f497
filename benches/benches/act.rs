//! Observations to actions, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::act::acting;
use coact_kernels::Device;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("act/greedy/rows96", acting(96, 0.0, Device::Cpu, 1)?),
        ("act/epsilon_greedy/rows96", acting(96, 0.05, Device::Cpu, 1)?),
        ("act/greedy/rows3072", acting(3072, 0.0, Device::Cpu, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
