//! Bad input: one line that says what to do, a non-zero exit code, nothing left behind.

use std::fs;
use std::path::Path;

use crate::support::{folder, refused, run, short_run, succeed};

fn usage(args: &[&str], words: &[&str]) {
    refused(folder().path(), 2, args, words);
}

/// `coact train climbing` with settings.
fn setting(pairs: &[&str], words: &[&str]) {
    let mut args = vec!["train", "climbing", "--quiet"];
    args.extend(pairs.iter().flat_map(|pair| ["--set", pair]));
    usage(&args, words);
}

/// `coact train --config` with the text in a file.
fn file(text: &str, words: &[&str]) {
    let dir = folder();
    fs::write(dir.path().join("team.toml"), text).unwrap();
    refused(dir.path(), 2, &["train", "--config", "team.toml", "--quiet"], words);
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    usage(&["train", "climbng"], &["preset `climbng`", "did you mean `climbing`?", "coact list presets"]);
    usage(&["train", "--env", "simple_spraed"], &["simple_spraed", "did you mean `simple_spread`?"]);
    usage(&["train", "climbing", "--algorithm", "vdm"], &["`vdm`", "did you mean `vdn`?"]);
    setting(&["learning_rat=1"], &["learning_rat", "did you mean `learning_rate`?"]);
    setting(&["env_options.max_step=3"], &["max_step", "did you mean `max_steps`?"]);
    usage(&["train", "--explain", "gama"], &["gama", "did you mean `gamma`?"]);
    usage(&["play", "simple_spraed"], &["simple_spraed"]);
    file("env = \"climbing\"\nbatchsize = 3\n", &["team.toml", "batchsize", "did you mean `batch_size`?"]);
}

#[test]
fn the_command_line_is_strict() {
    usage(&["train", "climbing", "--sed", "3"], &["--sed", "--seed"]);
    usage(&["trian"], &["trian", "train"]);
    usage(&["train", "climbing", "--seed", "-1"], &["'-1'"]);
    usage(&["train", "climbing", "--env-steps", "many"], &["many", "--env-steps"]);
    usage(&["train", "climbing", "--set"], &["--set"]);
    usage(&["train", "climbing", "--set", "gamma"], &["--set gamma", "key=value"]);
    usage(&["train"], &["preset", "--config", "--env"]);
    usage(&["evaluate"], &["RUN"]);
    usage(&["evaluate", "run", "--episodes", "0"], &["--episodes is 0"]);
}

#[test]
fn values_of_the_wrong_type_name_their_key() {
    setting(&["gamma=high"], &["gamma", "high"]);
    setting(&["batch_size=1.5"], &["batch_size", "1.5"]);
    setting(&["batch_size=-4"], &["batch_size", "-4"]);
    setting(&["hidden=wide"], &["hidden", "wide"]);
    setting(&["dueling=perhaps"], &["dueling", "perhaps"]);
    setting(&["optimizer=adamm"], &["optimizer", "adamm", "adam"]);
    setting(&["learning_rate=fast"], &["learning_rate", "fast"]);
    setting(&["keep=all"], &["keep", "all", "best"]);
    setting(&["env_options=3"], &["env_options"]);
    setting(&["env_options.max_steps=soon"], &["max_steps", "soon"]);
    setting(&["learning_rate=nan"], &["nan"]);
}

#[test]
fn numbers_out_of_range_name_their_key() {
    setting(&["n_envs=0"], &["n_envs is 0"]);
    setting(&["max_episodes=0"], &["max_episodes is 0"]);
    setting(&["env_steps=0"], &["env_steps is 0"]);
    setting(&["batch_size=20000"], &["batch_size", "20000", "buffer_size", "10000"]);
    setting(&["n_envs=7", "buffer_size=64", "batch_size=64"], &["batch_size", "buffer_size"]);
    setting(&["buffer_size=1e15"], &["buffer_size"]);
    setting(&["gamma=1.5"], &["gamma is 1.5", "[0, 1]"]);
    setting(&["hidden=[0]"], &["hidden", "1 to 512"]);
    setting(&["momentum=2"], &["momentum is 2"]);
    setting(&["adam_beta1=1"], &["adam_beta1 is 1"]);
    setting(&["rmsprop_alpha=-1"], &["rmsprop_alpha is -1"]);
    setting(&["nesterov=true"], &["nesterov", "momentum"]);
    setting(
        &["learning_rate_points=[[5, 1.0], [5, 2.0]]", "learning_schedule=piecewise"],
        &["learning_rate_points"],
    );
    setting(&["reward_scaling=0"], &["reward_scaling"]);
    setting(&["time_limit=0"], &["time_limit"]);
    setting(&["env_options.max_steps=0"], &["max_steps"]);
    usage(&["train", "--env", "simple_spread", "--set", "env_options.n_agents=0"], &["n_agents"]);
    usage(&["train", "--env", "cartpole", "--set", "env_options.n_agents=0"], &["n_agents is 0"]);
    usage(&["train", "climbing", "--set", "update_every=9223372036854775807", "--set", "isa=mmx"], &["mmx"]);
}

#[test]
fn settings_that_contradict_each_other_are_both_named() {
    setting(&["tau=0.1"], &["tau", "target_network_update_freq"]);
    setting(&["learning_rate_decay_eps=0.1"], &["learning_rate_decay_eps", "exponential"]);
    setting(&["nstep_episodes=false", "n_step=3"], &["nstep_episodes", "n_step"]);
    setting(
        &["exploration=boltzmann", "exploration_noise=gaussian"],
        &["exploration_noise", "epsilon_greedy"],
    );
    setting(&["train_freq=2", "update_every=3"], &["train_freq", "update_every", "disagree"]);
    usage(
        &["train", "--env", "simple_spread", "--algorithm", "vdn"],
        &["vdn", "simple_spread", "common_reward"],
    );
}

#[test]
fn files_are_strict() {
    let head = "env = \"climbing\"\n";
    file(&format!("{head}gamma = 0.9\ngamma = 0.8\n"), &["team.toml", "line 3", "duplicate key"]);
    file(
        &format!("{head}buffer_size = 100\nreplay_buffer_size = 200\n"),
        &["buffer_size", "replay_buffer_size", "disagree"],
    );
    file(&format!("{head}gamma = \"\n"), &["team.toml", "line 2"]);
    file(&format!("{head}[hidden]\na = 1\n"), &["hidden"]);
    file(&format!("{head}gamma = nan\n"), &["NaN"]);
    file("algorithm = 3\n", &["algorithm"]);
    let dir = folder();
    refused(dir.path(), 2, &["train", "--config", "absent.toml"], &["absent.toml"]);
    fs::write(dir.path().join("bytes.toml"), [0xff, 0xfe, 0x00]).unwrap();
    refused(dir.path(), 2, &["train", "--config", "bytes.toml"], &["bytes.toml"]);
    // Two names that agree are one setting.
    fs::write(dir.path().join("twice.toml"), format!("{head}train_freq = 3\nupdate_every = 3\n")).unwrap();
    succeed(dir.path(), &["train", "--config", "twice.toml", "--quiet", "--env-steps", "50", "--out", "run"]);
}

#[test]
fn devices_that_are_not_there_are_refused() {
    // Of a build without code for a GPU, of a machine without a driver, and of one with too few devices.
    usage(&["train", "climbing", "--device", "cuda:999"], &["no GPU to compute on", "cpu"]);
    if coact_kernels::gpus().is_err() {
        usage(&["train", "spread-vdn", "--device", "cuda"], &["no GPU to compute on", "cpu"]);
    }
    usage(&["train", "climbing", "--device", "gpu"], &["\"gpu\"", "cuda:N"]);
    let dir = folder();
    let output =
        run(dir.path(), &["train", "climbing", "--device", "auto", "--env-steps", "50", "--out", "run"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let said = text.lines().find(|line| line.contains("device auto: ")).unwrap();
    assert!(said.starts_with("on cpu, ") && said.len() > said.find("auto: ").unwrap() + 10, "{said}");
    setting(&["isa=avx9"], &["avx9", "portable"]);
    let missing = if cfg!(target_arch = "x86_64") { "isa=neon" } else { "isa=avx2" };
    setting(&[missing], &[&missing[4..], "portable"]);
}

#[test]
fn fast_mode_is_refused_where_nothing_can_be_fast() {
    setting(&["precision=exact"], &["unknown precision \"exact\"", "strict or fast"]);
    for device in ["cpu", "auto"] {
        let words = ["precision fast is for the matrix units of a GPU", "device cuda", "precision strict"];
        usage(
            &["train", "climbing", "--algorithm", "iql", "--device", device, "--precision", "fast"],
            &words,
        );
    }
    for algorithm in ["mappo", "hysteretic", "qmix-rnn", "maddpg", "divided"] {
        let args = ["train", "--env", "climbing", "--algorithm", algorithm, "--precision", "fast"];
        usage(&args, &[algorithm, "no kernels for matrix units", "precision strict", "list algorithms"]);
    }
}

#[test]
fn folders_that_are_no_runs_are_refused() {
    let dir = folder();
    let at = |code, args: &[&str], words: &[&str]| refused(dir.path(), code, args, words);
    at(1, &["train", "--resume", "absent"], &["absent", "not a run folder"]);
    at(1, &["evaluate", "absent"], &["absent", "not a run folder"]);
    fs::create_dir(dir.path().join("empty")).unwrap();
    at(1, &["train", "--resume", "empty"], &["empty", "not a run folder"]);
    at(1, &["evaluate", "empty"], &["empty", "not a run folder"]);
    fs::create_dir(dir.path().join("taken")).unwrap();
    fs::write(dir.path().join("taken/thesis.txt"), "years of work").unwrap();
    at(2, &["train", "climbing", "--out", "taken", "--quiet"], &["taken", "not empty", "--resume"]);
    fs::write(dir.path().join("file"), "x").unwrap();
    at(2, &["train", "climbing", "--out", "file", "--quiet"], &["file"]);
    at(1, &["train", "climbing", "--out", "file/run", "--quiet"], &["file/run", "--out"]);
    at(1, &["train", "climbing", "--out", "/proc/coact", "--quiet"], &["/proc/coact", "--out"]);
}

#[test]
fn what_was_changed_or_torn_in_a_run_is_noticed() {
    let dir = folder();
    succeed(dir.path(), &short_run("run", &[]));
    let at = |code, args: &[&str], words: &[&str]| refused(dir.path(), code, args, words);
    let config = dir.path().join("run/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let resume = ["train", "--resume", "run", "--quiet"];

    for args in [
        &["--set", "gamma=0.5"][..],
        &["--seed", "3"],
        &["--env-steps", "9000"],
        &["--algorithm", "iql"],
        &["--env", "penalty"],
        &["--out", "other"],
        &["--set", "isa=portable", "--set", "gamma=0.5"],
    ] {
        at(2, &[&resume[..], args].concat(), &["keeps its configuration"]);
    }
    let rewrite = |text: &str| fs::write(&config, text).unwrap();
    rewrite(&text.replace("batch_size = 32", "batch_size = 31"));
    at(1, &resume, &["config.toml", "changed", "hash"]);
    at(1, &["evaluate", "run"], &["config.toml", "changed"]);
    // The seed is no part of the hash, so that seeds can be compared; the checkpoint remembers it.
    rewrite(&text.replace("seed = 0", "seed = 1"));
    at(1, &resume, &["seed 0", "seed 1"]);
    rewrite(&text.replace("gamma = 0.0", "gama = 0.0"));
    at(2, &resume, &["config.toml", "gama", "did you mean `gamma`?"]);
    rewrite(&text[..text.len() / 2]);
    at_least_refused(dir.path(), &resume);
    rewrite("");
    at_least_refused(dir.path(), &resume);
    rewrite(&text);

    let checkpoint = dir.path().join("run/checkpoints/step-000000001500/learner.bin");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&checkpoint, &bytes).unwrap();
    at(1, &["evaluate", "run"], &["checkpoint", "learner.bin"]);
    at(1, &resume, &["checkpoint", "learner.bin"]);
    fs::remove_dir_all(dir.path().join("run/checkpoints")).unwrap();
    at(1, &["evaluate", "run"], &["no checkpoint", "train"]);
}

/// Half a configuration is some error, and which one depends on where it was torn.
fn at_least_refused(dir: &Path, args: &[&str]) {
    let output = crate::support::run(dir, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{text}");
    assert!(text.starts_with("error: ") && text.lines().count() == 1, "{text}");
}
