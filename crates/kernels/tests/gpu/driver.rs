//! The stand-in driver: built once, and every comparison run under it in child processes.

use coact_kernels::{Backend, CpuOptions, Error, gpus};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The folder with the stand-in's `libcuda.so`, or why it cannot be built here.
pub fn stand_in() -> &'static Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (here, built) = (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let library = built.join("stand-in/libcuda.so").metadata().and_then(|m| m.modified());
        // Tests are processes of their own: one builds for all.
        let newest = newest(&here.join("src")).max(newest(&here.join("sim")));
        if library.is_ok_and(|library| newest.is_some_and(|newest| newest < library)) {
            return Ok(built.join("stand-in"));
        }
        // A compiler that is there and refuses the sources is a fault, not a reason to skip.
        build("stand-in", here).map(|built| built.unwrap())
    })
}

/// When a file below `folder` was changed last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let time =
        |path: PathBuf| if path.is_dir() { newest(&path) } else { path.metadata().ok()?.modified().ok() };
    entries.filter_map(time).max()
}

/// Builds the stand-in of the kernels in `crate_folder`: the folder with its `libcuda.so`, or what the compiler said.
///
/// # Errors
/// Why no stand-in can be built on this machine.
pub fn build(name: &str, crate_folder: &Path) -> Result<Result<PathBuf, String>, String> {
    build_with(name, crate_folder, &[])
}

/// [`build`], with further options of the compiler.
pub fn build_with(
    name: &str,
    crate_folder: &Path,
    options: &[&str],
) -> Result<Result<PathBuf, String>, String> {
    if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        return Err("the stand-in driver is for 64-bit Linux".to_string());
    }
    // Processes of several test runs may build at once: each builds aside and renames.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let fresh = folder.join(format!("libcuda.so.{}", std::process::id()));
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wno-unknown-pragmas"]);
    compiler.args(options).arg("-I").arg(crate_folder.join("src"));
    compiler.arg("-o").arg(&fresh).arg(crate_folder.join("sim/driver.cpp"));
    let Ok(output) = compiler.output() else { return Err("there is no C++ compiler".to_string()) };
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    std::fs::rename(&fresh, folder.join("libcuda.so")).map_err(|e| e.to_string())?;
    Ok(Ok(folder))
}

/// This test binary, with tests that need a device, under the driver in `folder`.
pub fn child(folder: &Path, filter: &str, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--test-threads=1", filter]).env("LD_LIBRARY_PATH", folder);
    for name in
        ["COACT_SIM_DEVICES", "COACT_SIM_DRIVER", "COACT_SIM_MEMORY", "COACT_SIM_ORDER", "COACT_EXPECT"]
    {
        command.env_remove(name);
    }
    command.envs(settings.iter().copied()).output().unwrap()
}

fn passes(filter: &str, settings: &[(&str, &str)]) {
    match stand_in() {
        Err(why) => eprintln!("skipped: {why}"),
        Ok(folder) => {
            let output = child(folder, filter, settings);
            let said = String::from_utf8_lossy(&output.stdout);
            let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{settings:?}: {all}");
            assert!(!said.contains("running 0 tests"), "no test is named {filter}");
        }
    }
}

/// Every comparison, in an order of threads; a test each, so that they run beside each other.
macro_rules! every_order {
    ($($name:ident: $order:literal,)*) => {$(
        #[test]
        fn $name() {
            passes("on_a_device", &[("COACT_SIM_ORDER", $order)]);
        }
    )*};
}

every_order!(
    kernels_give_the_bits_of_the_cpu_ascending: "0",
    kernels_give_the_bits_of_the_cpu_descending: "1",
    kernels_give_the_bits_of_the_cpu_strided: "2",
    kernels_give_the_bits_of_the_cpu_shuffled: "3",
    kernels_give_the_bits_of_the_cpu_shuffled_again: "4",
);

#[test]
fn a_device_that_cannot_be_used_is_refused_in_one_line() {
    let expect = |text: &'static str, name: &'static str, value: &'static str| {
        passes("is_refused_as_expected", &[("COACT_EXPECT", text), (name, value)]);
    };
    expect("finds no device", "COACT_SIM_DEVICES", "0");
    expect("is for CUDA 11.4; update it", "COACT_SIM_DRIVER", "11040");
    expect("bytes of its memory", "COACT_SIM_MEMORY", "100000");
    expect("there is no cuda:5, the last one is cuda:1", "COACT_SIM_DEVICES", "2");
}

/// Without NVIDIA's driver in the default places.
#[test]
fn no_driver_is_an_error_in_one_line() {
    if let Err(error) = gpus() {
        let line = Backend::cuda(0, CpuOptions::default()).unwrap_err().to_string();
        assert_eq!(line, error.to_string());
        assert!(line.starts_with("no GPU to compute on: ") && !line.contains('\n'), "{line}");
    }
}

#[test]
#[ignore = "runs in a child process"]
fn is_refused_as_expected() {
    let Ok(expect) = std::env::var("COACT_EXPECT") else { return };
    let ordinal = if expect.contains("cuda:5") { 5 } else { 0 };
    let error = match Backend::cuda(ordinal, CpuOptions::default()) {
        Err(error) => error,
        Ok(mut backend) => super::act::Case::plain(3000, 1).run(&mut backend).unwrap_err(),
    };
    let line = error.to_string();
    assert!(line.contains(&expect) && !line.contains('\n'), "{line}");
    assert!(matches!(error, Error::NoGpu(_) | Error::Gpu { .. }));
}
