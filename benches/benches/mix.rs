//! Mixers of QMIX, one thread. For watching the code while it is changed; claims come from `cargo xtask bench`.

use coact_benches::contest::lasting;
use coact_benches::suites::kernels::cases::mix;
use coact_kernels::Device;
use criterion::Criterion;

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default().configure_from_args();
    let runs = [
        ("mix/forward/b32", mix(32, false, Device::Cpu, 1)?),
        ("mix/both/b32", mix(32, true, Device::Cpu, 1)?),
        ("mix/both/b1024", mix(1024, true, Device::Cpu, 1)?),
    ];
    for (name, mut run) in runs {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|calls| lasting(&mut run, calls)));
    }
    criterion.final_summary();
    Ok(())
}
