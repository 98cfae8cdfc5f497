//! What does not change results: threads, instruction sets, names of folders. What does: the seed.

use crate::support::{folder, last_json, short_run, succeed};

#[test]
fn threads_and_instruction_sets_do_not_show() {
    let dir = folder();
    let hash = |out: &str, more: &[&str]| {
        let mut args =
            vec!["train", "--env", "simple_tag", "--algorithm", "iql", "--quiet", "--json", "--out", out];
        args.extend(["--env-steps", "1200", "--set", "learning_starts=200", "--set", "n_envs=4"]);
        args.extend(["--set", "batch_size=128", "--set", "final_eval_episodes=2", "--set", "eval_every=600"]);
        args.extend(more);
        last_json(&succeed(dir.path(), &args))["params_hash"].clone()
    };
    let expected = hash("one", &["--threads", "1"]);
    assert_eq!(hash("two", &["--threads", "2"]), expected);
    for isa in coact_kernels::Isa::available() {
        let setting = format!("isa={}", isa.name());
        assert_eq!(hash(isa.name(), &["--threads", "2", "--set", &setting]), expected, "{setting}");
    }
    assert_ne!(hash("seed", &["--seed", "1"]), expected);
}

/// Without --out runs get folders of their own, named by preset and seed.
#[test]
fn folders_are_named_and_numbered() {
    let dir = folder();
    let run = |more: &[&str]| {
        let mut args: Vec<&str> = short_run("unused", more);
        let at = args.iter().position(|a| *a == "--out").unwrap();
        args.drain(at..at + 2);
        last_json(&succeed(dir.path(), &args))["run_dir"].as_str().unwrap().to_string()
    };
    assert_eq!(run(&[]), "runs/climbing-seed0");
    assert_eq!(run(&[]), "runs/climbing-seed0-2");
    assert_eq!(run(&["--seed", "3"]), "runs/climbing-seed3");
}

/// A resumed run may compute elsewhere.
#[test]
fn a_resumed_run_may_take_other_threads_and_instruction_sets() {
    let dir = folder();
    let whole = last_json(&succeed(dir.path(), &short_run("run", &[])));
    let args = [
        "train",
        "--resume",
        "run",
        "--quiet",
        "--json",
        "--threads",
        "2",
        "--set",
        "isa=portable",
        "--device",
        "cpu",
    ];
    assert_eq!(last_json(&succeed(dir.path(), &args))["params_hash"], whole["params_hash"]);
}
