//! Kernels that are compiled for one network: the bits of all others, and nothing that spills. NVRTC and ptxas are those of
//! `cargo xtask cuda check`; where they are not installed the tests say so.

use super::act::Case;
use super::driver;
use coact_kernels::{Activation, Backend, CpuOptions, QShape, specialized_ptx, specializer};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Networks that are common: of `simple_spread`, wider, with everything, and wide.
fn networks() -> [QShape; 4] {
    use Activation::{Relu, Tanh};
    [
        QShape::new(18, vec![64, 64], 5, Relu, false, false),
        QShape::new(21, vec![128, 128], 5, Relu, false, false),
        QShape::new(30, vec![64, 64], 9, Tanh, true, true),
        QShape::new(128, vec![256, 256], 20, Relu, false, false),
    ]
}

/// The file of this name below `.cuda` of the workspace, where `cargo xtask cuda check` installs compilers.
fn installed(name: &str) -> Option<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cuda/venv/lib")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name() == name {
                return Some(path);
            }
        }
    }
    None
}

/// Runs the tests of `filter` under the stand-in in `folder`, with NVRTC beside it.
fn with_nvrtc(folder: &Path, filter: &str) {
    let Some(nvrtc) = installed("libnvrtc.so.12") else {
        eprintln!("skipped: NVRTC is not installed; `cargo xtask cuda check` does so");
        return;
    };
    let both = format!("{}:{}", folder.display(), nvrtc.parent().unwrap().display());
    let output = driver::child(Path::new(&both), filter, &[("COACT_EXPECT", "specialized")]);
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{all}");
}

#[test]
fn kernels_for_one_network_are_compiled_and_taken() {
    match driver::stand_in() {
        Err(why) => eprintln!("skipped: {why}"),
        Ok(folder) => with_nvrtc(folder, "act_specialized_on_a_device_over_options"),
    }
}

#[test]
fn kernels_for_one_network_spill_nothing() {
    with_nvrtc(Path::new(""), "specialized_ptx_assembles_without_spills");
}

/// The host's compiler takes the place of NVRTC: what is compiled for one network gives the CPU's bits.
#[test]
fn code_for_one_network_gives_the_bits_of_the_cpu() {
    let shape = "-DNETWORK_SHAPE={3,0,0,5,0,5701,{18,64,64,5,0,0,0,0,0},64}";
    match driver::build_with("one-network", Path::new(env!("CARGO_MANIFEST_DIR")), &[shape]) {
        Err(why) => eprintln!("skipped: {why}"),
        Ok(built) => {
            let output = driver::child(&built.unwrap(), "act_on_a_device_over_rows", &[]);
            let all = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && all.contains("1 passed"), "{all}");
        }
    }
}

/// Whether NVRTC must be there.
fn expected() -> bool {
    std::env::var("COACT_EXPECT").is_ok_and(|expect| expect == "specialized")
}

#[test]
#[ignore = "needs a GPU"]
fn act_specialized_on_a_device_over_options() {
    let mut gpu = Backend::cuda(0, CpuOptions::default()).unwrap();
    let plain = gpu.describe();
    let said = match gpu.specialize() {
        Ok(said) => said,
        Err(why) => {
            assert!(!expected(), "{why}");
            // The kernels stay as they are, and work.
            assert!(why.to_string().starts_with("kernels are not specialized: "), "{why}");
            return Case::plain(33, 1).compare(&mut gpu);
        }
    };
    assert!(said.contains("NVRTC") && said.contains("--fmad=false") && !said.contains('\n'), "{said}");
    assert_eq!(gpu.describe(), plain);
    for shape in networks() {
        Case::new(shape.clone(), 33, 1, 1).compare(&mut gpu);
        Case::new(shape, 5, 3, 3).masked().compare(&mut gpu);
    }
    assert_eq!(gpu.describe(), format!("{plain}, act compiled for networks met: 4"));
}

#[test]
#[ignore = "runs in a child process"]
fn specialized_ptx_assembles_without_spills() {
    if !expected() {
        return;
    }
    assert!(specializer().unwrap().contains("-DNETWORK_SHAPE"));
    let ptxas = installed("ptxas").unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("one-network-{}.ptx", std::process::id()));
    for shape in networks() {
        let ptx = specialized_ptx(&shape).unwrap();
        assert!(ptx.starts_with("// for one network: ") && !ptx.contains(".entry update"));
        std::fs::write(&file, ptx).unwrap();
        for arch in ["sm_80", "sm_90"] {
            let mut command = Command::new(&ptxas);
            command.args(["-v", "--warn-on-spills", "--warning-as-error", "-arch", arch, "-o", "/dev/null"]);
            let output = command.arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{shape:?}, {arch}: {said}");
            let clean = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
            assert_eq!(said.matches(clean).count(), 4, "{shape:?}, {arch}: {said}");
        }
    }
    std::fs::remove_file(file).unwrap();
}
