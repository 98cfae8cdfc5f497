//! Training on a device, through the stand-in driver: the kernels compiled for the host, so that no GPU is needed. Runs end
//! in the parameters, checkpoints and all, of the processor. Where no stand-in can be built, the tests say so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::support::{coact, folder, last_json, succeed};

/// The folder with the stand-in's `libcuda.so`; none where there is no C++ compiler for it.
fn stand_in() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
            return None;
        }
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
        std::fs::create_dir_all(&folder).unwrap();
        let library = folder.join("libcuda.so").metadata().and_then(|m| m.modified());
        // Tests are processes of their own: one builds for all.
        let newest = newest(&kernels.join("src")).max(newest(&kernels.join("sim")));
        if library.is_ok_and(|library| newest.is_some_and(|newest| newest < library)) {
            return Some(folder);
        }
        // Processes of several test runs may build at once: each builds aside and renames.
        let fresh = folder.join(format!("libcuda.so.{}", std::process::id()));
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wno-unknown-pragmas"]);
        compiler.arg("-I").arg(kernels.join("src")).arg("-o").arg(&fresh).arg(kernels.join("sim/driver.cpp"));
        let output = compiler.output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(&fresh, folder.join("libcuda.so")).unwrap();
        Some(folder)
    });
    if built.is_none() {
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no stand-in driver can be built here\n")
            .unwrap();
    }
    built.as_deref()
}

/// When a file below `folder` was changed last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let time =
        |path: PathBuf| if path.is_dir() { newest(&path) } else { path.metadata().ok()?.modified().ok() };
    entries.filter_map(time).max()
}

/// Runs under the stand-in, which pretends to be what `settings` say.
fn under(stand_in: &Path, dir: &Path, args: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = coact(dir, args);
    for name in ["COACT_SIM_DEVICES", "COACT_SIM_DRIVER", "COACT_SIM_MEMORY", "COACT_SIM_ORDER"] {
        command.env_remove(name);
    }
    command.env("LD_LIBRARY_PATH", stand_in).envs(settings.iter().copied()).output().unwrap()
}

fn hash(output: &Output) -> serde_json::Value {
    hash_after(2000, output)
}

fn hash_after(grad_steps: u64, output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result = last_json(std::str::from_utf8(&output.stdout).unwrap());
    assert!(result["grad_steps"].as_u64().unwrap() >= grad_steps, "{result}");
    result["params_hash"].clone()
}

/// 2,072 gradient steps of a small team, four at a time, into `out`.
fn training<'a>(out: &'a str, device: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "spread-vdn", "--quiet", "--json", "--threads", "1", "--out", out];
    args.extend(["--device", device, "--env-steps", "2100"]);
    for setting in [
        "hidden=[4]",
        "batch_size=4",
        "buffer_size=256",
        "n_envs=2",
        "learning_starts=32",
        "update_every=2",
        "gradient_steps=4",
        "eval_every=0",
        "final_eval_episodes=2",
    ] {
        args.extend(["--set", setting]);
    }
    for setting in more {
        args.extend(["--set", setting]);
    }
    args
}

/// Contents of a file of the only checkpoint at the end.
fn checkpoint(dir: &Path, out: &str, part: &str) -> Vec<u8> {
    std::fs::read(dir.join(out).join("checkpoints/step-000000002100").join(part)).unwrap()
}

#[test]
fn training_on_a_device_ends_in_the_checkpoint_of_the_processor() {
    let Some(stand_in) = stand_in() else { return };
    for more in [
        &[][..],
        &["sharing=separate", "prioritized_replay=true"],
        &[
            "dueling=true",
            "prioritized_replay=true",
            "n_step=1",
            "tau=0.01",
            "target_network_update_freq=none",
        ],
        &["algorithm=iql", "common_reward=none"],
        &["algorithm=iql", "sharing=separate", "dueling=true", "prioritized_replay=true"],
        &["algorithm=iql", "double_qc=true", "layer_norm=true", "activation=tanh", "optimizer=rmsprop"],
        &["algorithm=qmix", "mixing_embed=6", "hypernet_embed=5", "prioritized_replay=true"],
        &["algorithm=qmix", "mixing_embed=6", "hypernet_layers=1", "sharing=separate", "double_q=false"],
        &["exploration=boltzmann", "double_q=false", "optimizer=sgd", "momentum=0.9", "loss=squared"],
    ] {
        let dir = folder();
        let dir = dir.path();
        let want = last_json(&succeed(dir, &training("cpu", "cpu", more)))["params_hash"].clone();
        let got = hash(&under(stand_in, dir, &training("gpu", "cuda", more), &[]));
        assert_eq!(got, want, "{more:?}");
        for part in ["learner.bin", "replay.bin", "environment.bin", "team.bin"] {
            assert!(checkpoint(dir, "gpu", part) == checkpoint(dir, "cpu", part), "{more:?}: {part}");
        }
    }
}

/// Networks with a cell, whose gradients go through time: of values, and of policies; and layers alone over many rows.
#[test]
fn recurrent_training_on_a_device_ends_in_the_checkpoint_of_the_processor() {
    let Some(stand_in) = stand_in() else { return };
    let values = [
        "hidden=[6]",
        "cell_width=5",
        "sequence_length=6",
        "batch_size=4",
        "buffer_size=512",
        "n_envs=2",
        "learning_starts=64",
        "update_every=4",
        "gradient_steps=2",
        "target_network_update_freq=20",
    ];
    let policies =
        ["hidden=[6]", "head=[4]", "cell_width=5", "n_envs=4", "rollout_steps=25", "minibatches=2"];
    for (preset, settings, more) in [
        ("vdn", &values[..], &[][..]),
        ("vdn", &values[..], &["algorithm=iql-rnn", "cell=lstm", "layer_norm=true", "sharing=separate"]),
        ("qmix", &values[..], &["head=[7]", "activation=tanh", "td_lambda=0.8"]),
        ("mappo", &policies[..], &[]),
        ("mappo", &policies[..], &["cell=lstm", "layer_norm=true", "activation=relu"]),
        ("mappo", &policies[..], &["cell=none", "hidden=[64, 64]", "n_envs=16"]),
    ] {
        let dir = folder();
        let dir = dir.path();
        let preset = format!("jaxmarl/simple_spread-{preset}-rnn");
        let args = |out, device| {
            let mut args = vec!["train", &preset, "--quiet", "--json", "--threads", "1", "--out", out];
            args.extend(["--device", device, "--env-steps", "1000"]);
            for setting in settings.iter().chain(more).chain(&["eval_every=0", "final_eval_episodes=2"]) {
                args.extend(["--set", setting]);
            }
            args
        };
        let want = last_json(&succeed(dir, &args("cpu", "cpu")))["params_hash"].clone();
        let got = hash_after(16, &under(stand_in, dir, &args("gpu", "cuda"), &[]));
        assert_eq!(got, want, "{preset}: {more:?}");
        let checkpoint = |out| {
            let all = std::fs::read_dir(dir.join(out).join("checkpoints")).unwrap();
            let last = all.map(|entry| entry.unwrap().path()).max().unwrap();
            std::fs::read(last.join("learner.bin")).unwrap()
        };
        assert!(checkpoint("gpu") == checkpoint("cpu"), "{preset}: {more:?}");
        // And the networks are there: a device that has no room for them says so.
        let output = under(stand_in, dir, &args("none", "cuda"), &[("COACT_SIM_MEMORY", "4000")]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("bytes of its memory"), "{text}");
    }
}

/// Also where checkpoints are written on the way, and threads of the device run in another order.
#[test]
fn a_run_on_a_device_is_repeated_and_resumed_to_the_same_bits() {
    let Some(stand_in) = stand_in() else { return };
    let dir = folder();
    let dir = dir.path();
    let more = ["prioritized_replay=true", "checkpoint_every=700", "log_every=300"];
    let want = last_json(&succeed(dir, &training("cpu", "cpu", &more)))["params_hash"].clone();
    for (order, out) in [("0", "up"), ("1", "down"), ("3", "shuffled")] {
        let args = training(out, "cuda", &more);
        assert_eq!(hash(&under(stand_in, dir, &args, &[("COACT_SIM_ORDER", order)])), want, "{out}");
    }
    for (device, out) in [("cuda", "up"), ("cuda", "cpu"), ("cpu", "down")] {
        std::fs::remove_dir_all(dir.join(out).join("checkpoints/step-000000002100")).unwrap();
        let args = ["train", "--resume", out, "--device", device, "--quiet", "--json", "--threads", "1"];
        assert_eq!(hash(&under(stand_in, dir, &args, &[])), want, "{out} on {device}");
    }
}

/// In another order of threads and after a resume the same bits, which are not those of strict kernels; the run says so.
#[test]
fn a_fast_run_on_a_device_is_named_repeated_and_resumed() {
    let Some(stand_in) = stand_in() else { return };
    let dir = folder();
    let dir = dir.path();
    // Rows of acting and of updates are as many as fast kernels begin with.
    let run = |out: &str, precision: &str, order: &str| {
        let mut args =
            vec!["train", "spread-vdn", "--json", "--threads", "1", "--out", out, "--device", "cuda"];
        args.extend(["--precision", precision, "--env-steps", "3000"]);
        for setting in [
            "hidden=[32]",
            "n_envs=750",
            "batch_size=750",
            "learning_starts=750",
            "update_every=1",
            "eval_every=0",
            "checkpoint_every=1500",
            "final_eval_episodes=2",
            "exploration_initial_eps=0.0",
            "exploration_final_eps=0.0",
        ] {
            args.extend(["--set", setting]);
        }
        let output = under(stand_in, dir, &args, &[("COACT_SIM_ORDER", order)]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(&format!("precision {precision}")), "{said}");
        last_json(std::str::from_utf8(&output.stdout).unwrap())
    };
    let (strict, fast) = (run("strict", "strict", "0"), run("fast", "fast", "0"));
    // Of thousands of choices a few are so close that rounding decides.
    let world = |out: &str| {
        std::fs::read(dir.join(out).join("checkpoints/step-000000003000/environment.bin")).unwrap()
    };
    assert!(world("fast") != world("strict"));
    assert_ne!(fast["params_hash"], strict["params_hash"]);
    assert_ne!(fast["config_hash"], strict["config_hash"]);
    assert_eq!(run("shuffled", "fast", "3")["params_hash"], fast["params_hash"]);
    assert!(world("shuffled") == world("fast"));
    let last = world("fast");
    let resume = |device| {
        let args = ["train", "--resume", "fast", "--device", device, "--quiet", "--json", "--threads", "1"];
        under(stand_in, dir, &args, &[])
    };
    std::fs::remove_dir_all(dir.join("fast/checkpoints/step-000000003000")).unwrap();
    let on_cpu = resume("cpu");
    let said = String::from_utf8_lossy(&on_cpu.stderr);
    assert!(!on_cpu.status.success() && said.contains("matrix units of a GPU; use device cuda"), "{said}");
    let resumed = resume("cuda");
    let result = last_json(std::str::from_utf8(&resumed.stdout).unwrap());
    assert_eq!(result["params_hash"], fast["params_hash"]);
    assert!(world("fast") == last);
}

/// With NVRTC or without, the run says which, once, and ends in the same bits.
#[test]
fn kernels_for_one_network_are_a_choice_that_changes_no_result() {
    let Some(stand_in) = stand_in() else { return };
    let dir = folder();
    let short = |out, device, more: &[&str]| {
        let args = ["train", "spread-vdn", "--json", "--threads", "1", "--out", out, "--device", device];
        let few = [
            "--env-steps",
            "60",
            "--set",
            "hidden=[4]",
            "--set",
            "learning_starts=1000",
            "--set",
            "n_envs=2",
        ];
        let output = under(stand_in, dir.path(), &[&args[..], &few, more].concat(), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (last_json(std::str::from_utf8(&output.stdout).unwrap())["params_hash"].clone(), said)
    };
    let reasons = |said: &str| {
        let tells =
            |l: &&str| l.contains("kernels are not specialized: ") || l.contains("for each network by NVRTC");
        said.lines().filter(tells).count()
    };
    let (want, said) = short("cpu", "cpu", &[]);
    assert_eq!(reasons(&said), 0, "{said}");
    for (out, device) in [("gpu", "cuda"), ("host", "cpu")] {
        let (got, said) = short(out, device, &["--set", "specialize=true"]);
        assert_eq!(got, want);
        assert_eq!(reasons(&said), 1, "{said}");
    }
}

#[test]
fn a_device_that_does_not_do_is_an_error_in_one_line() {
    let Some(stand_in) = stand_in() else { return };
    let dir = folder();
    let refused = |device, settings: &[(&str, &str)], words: &[&str]| {
        let output = under(stand_in, dir.path(), &training("run", device, &["buffer_size=20000"]), settings);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.trim_end().lines().count() == 1, "{text}");
        assert!(text.starts_with("error: ") && words.iter().all(|word| text.contains(word)), "{text}");
        // A run that fails when its memory is taken leaves what it has.
        let _ = std::fs::remove_dir_all(dir.path().join("run"));
    };
    refused("cuda:3", &[], &["there is no cuda:3, the last one is cuda:0"]);
    refused("cuda", &[("COACT_SIM_DEVICES", "0")], &["finds no device"]);
    refused("cuda", &[("COACT_SIM_DRIVER", "11080")], &["CUDA 11.8", "update it"]);
    refused("cuda", &[("COACT_SIM_MEMORY", "3000000")], &["bytes of its memory (", "are free"]);
}
