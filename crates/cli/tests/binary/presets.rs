//! Presets, run folders, and the object that scripts read.

use coact::config::Layers;
use coact::{presets, run_folder};
use coact_runner::metrics::read_metrics;
use serde_json::Value;

use crate::support::{folder, last_json, short_run, succeed};

/// Names of the files under `configs/`, with the folders they lie in.
fn names() -> Vec<String> {
    let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let (mut folders, mut names) = (vec![configs.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let within = path.strip_prefix(&configs).unwrap().with_extension("");
            names.push(within.to_str().unwrap().replace('\\', "/"));
        }
    }
    names.sort();
    names
}

#[test]
fn every_file_in_configs_is_a_preset_and_the_other_way_round() {
    let mut shipped: Vec<&str> = presets::ALL.iter().map(|p| p.name).collect();
    shipped.sort_unstable();
    assert_eq!(shipped, names());
    let listed = succeed(folder().path(), &["list", "presets"]);
    for preset in presets::ALL {
        assert!(preset.summary().len() > 20, "{}: {}", preset.name, preset.summary());
        assert!(listed.contains(preset.name) && listed.contains(preset.summary()), "{listed}");
    }
}

/// What stands in `config.toml` is the whole configuration: reading it gives the same one, to the hash.
#[test]
fn every_preset_resolves_builds_and_survives_its_config_file() {
    for preset in presets::ALL {
        let mut layers = Layers::default();
        layers.toml(preset.text, preset.name).unwrap();
        let mut config = layers.resolve().unwrap();
        let mut again = Layers::default();
        again.toml(&config.to_toml(), "config.toml").unwrap();
        assert_eq!(again.resolve().unwrap(), config, "{}", preset.name);
        assert_eq!(again.resolve().unwrap().hash(), config.hash(), "{}", preset.name);
        config.run.buffer_size = config.run.buffer_size.min(10_000);
        run_folder::build_run(&config).unwrap();
    }
}

/// Runs from before there was a choice keep their hash, and those with fast kernels are never averaged with others.
#[test]
fn precision_enters_the_hash_where_it_is_fast() {
    let resolved = |pairs: &[&str]| {
        let mut layers = Layers::default();
        layers.toml(presets::find("spread-vdn").unwrap().text, "preset").unwrap();
        layers.set(&pairs.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        layers.resolve().unwrap()
    };
    let (plain, strict, fast) =
        (resolved(&[]), resolved(&["precision=strict"]), resolved(&["precision=fast"]));
    // As it was before there was this setting.
    assert_eq!(
        resolved(&["env_steps=1", "eval_every=0", "final_eval_episodes=1"]).hash(),
        "4ba85ef702e8dc8f"
    );
    assert_eq!(plain.hash(), strict.hash());
    assert_ne!(plain.hash(), fast.hash());
    assert!(fast.to_toml().contains("\nprecision = \"fast\"\n"), "{}", fast.to_toml());
    let mut again = Layers::default();
    again.toml(&fast.to_toml(), "config.toml").unwrap();
    assert_eq!(again.resolve().unwrap(), fast);
}

/// Every number that the two well-known configurations are known by.
#[test]
fn presets_say_what_they_promise() {
    let value = |preset: &str, key: &str| {
        let mut layers = Layers::default();
        layers.toml(presets::find(preset).unwrap().text, preset).unwrap();
        let entries = layers.resolve().unwrap().entries();
        entries.into_iter().find(|(name, _)| *name == key).unwrap().1
    };
    let expect = |preset: &str, table: &[(&str, Value)]| {
        for (key, expected) in table {
            let found = value(preset, key);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-7;
            let equal = match (found.as_f64(), expected.as_f64()) {
                (Some(a), Some(b)) => near(a, b),
                _ => found == *expected,
            };
            assert!(equal, "{preset}: {key} is {found}, not {expected}");
        }
    };
    expect(
        "two-agent-cartpole",
        &[
            ("env", "cartpole".into()),
            ("algorithm", "iql".into()),
            ("sharing", "separate".into()),
            ("buffer_size", 10_000.into()),
            ("batch_size", 32.into()),
            ("max_episodes", 1_000.into()),
        ],
    );
    expect(
        "particle-double-dqn",
        &[
            ("env", "simple_spread".into()),
            ("n_envs", 2.into()),
            ("normalize_obs", true.into()),
            ("normalize_returns", true.into()),
            ("reward_scaling", 1.0.into()),
            ("learning_starts", 100.into()),
            ("min_replay_size", 2_000.into()),
            ("buffer_size", 1_000_000.into()),
            ("batch_size", 128.into()),
            ("gamma", 0.99.into()),
            ("double_q", true.into()),
            ("update_after_action", true.into()),
            ("gradient_steps", 1.into()),
            ("prioritized_replay", true.into()),
            ("prioritized_replay_alpha", 0.6.into()),
            ("prioritized_replay_beta0", 0.4.into()),
            ("prioritized_replay_beta1", 1.0.into()),
            ("exploration_fraction", 0.1.into()),
            ("learning_rate", 1e-3.into()),
            ("learning_rate_min", 1e-5.into()),
            ("target_network_update_freq", 1_000.into()),
            ("n_step", 3.into()),
            ("gradient_clipping_global_norm", 10.0.into()),
            ("gradient_clipping_local_norm", 0.5.into()),
        ],
    );
}

#[test]
fn climbing_trains_and_leaves_a_whole_run_folder() {
    let dir = folder();
    let output = succeed(dir.path(), &short_run("run", &["--seed", "5"]));
    assert_eq!(output.lines().count(), 1, "--quiet --json prints the object alone: {output}");
    let result = last_json(&output);
    assert_eq!(result["algorithm"], "vdn");
    assert_eq!(result["env"], "climbing");
    assert_eq!(result["seed"], 5);
    assert_eq!(result["env_steps"], 1500);
    assert!(result["wall_s"].as_f64().unwrap() > 0.0);
    assert!(result["env_steps_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(result["params_hash"].as_str().unwrap().len(), 64);
    let evaluation = &result["evaluation"];
    assert_eq!(evaluation["episodes"], 4);
    let each: Vec<f64> =
        evaluation["return_per_agent"].as_array().unwrap().iter().map(|r| r.as_f64().unwrap()).collect();
    assert_eq!(each.len(), 2);
    assert_eq!(each.iter().sum::<f64>(), evaluation["return_mean"].as_f64().unwrap());
    assert!(evaluation["random_return_mean"].as_f64().unwrap() < 0.0, "random actions lose in climbing");

    let run = dir.path().join(result["run_dir"].as_str().unwrap());
    for file in [
        "config.toml",
        "metrics.jsonl",
        "metrics.csv",
        "result.json",
        "play.gif",
        "play.png",
        "report.html",
        "agents/player_0.safetensors",
        "agents/player_1.safetensors",
        "checkpoints/step-000000001500/manifest.json",
    ] {
        let size = std::fs::metadata(run.join(file)).map(|m| m.len());
        assert!(
            size.is_ok_and(|n| n > 50),
            "{file} is missing or empty in {:?}",
            crate::support::entries(&run)
        );
    }
    let files = std::fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|f| f.starts_with("events.out.tfevents.")).count(), 1);
    let stored: Value = serde_json::from_slice(&std::fs::read(run.join("result.json")).unwrap()).unwrap();
    assert_eq!(stored, result);
    assert_eq!(std::fs::read(run.join("play.gif")).unwrap()[..6], *b"GIF89a");
    assert_eq!(std::fs::read(run.join("play.png")).unwrap()[1..4], *b"PNG");

    let records = read_metrics(&run.join("metrics.jsonl")).unwrap();
    let with = |name: &str| -> Vec<u64> {
        records.iter().filter(|r| r.get(name).is_some()).map(|r| r.env_steps).collect()
    };
    assert_eq!(with("eval/return"), [500, 1000, 1500]);
    assert_eq!(with("count/grad_steps"), (1..=15).map(|i| i * 100).collect::<Vec<u64>>());

    // The team that the folder holds plays as the result says.
    let args = ["evaluate", "run", "--quiet", "--json", "--episodes", "4", "--seed", "0"];
    let evaluated = last_json(&succeed(dir.path(), &args));
    assert_eq!(evaluated["evaluation"]["return_mean"], evaluation["return_mean"]);
    for key in
        ["run_dir", "algorithm", "env", "seed", "env_steps", "wall_s", "env_steps_per_s", "params_hash"]
    {
        assert!(!evaluated[key].is_null(), "evaluate has no {key}");
    }
}

/// 64 bits of seed, as written, in every place where a configuration is read again.
#[test]
fn the_largest_seed_survives_its_config_file() {
    let dir = folder();
    let seed = u64::MAX.to_string();
    let first = last_json(&succeed(dir.path(), &short_run("run", &["--seed", &seed])));
    assert_eq!(first["seed"], u64::MAX);
    let again = last_json(&succeed(dir.path(), &["train", "--resume", "run", "--quiet", "--json"]));
    assert_eq!(again["params_hash"], first["params_hash"]);
    succeed(dir.path(), &["evaluate", "run", "--quiet", "--json", "--episodes", "2"]);
    let setting = format!("seed={seed}");
    let other = last_json(&succeed(dir.path(), &short_run("set", &["--set", &setting])));
    assert_eq!(other["params_hash"], first["params_hash"]);
}

/// A run that keeps its last parameters says so, and hands over those.
#[test]
fn the_policy_handed_over_is_the_one_that_is_named() {
    let dir = folder();
    let last = last_json(&succeed(dir.path(), &short_run("run", &["--set", "keep=last"])));
    assert_eq!(last["policy_env_steps"], 1500);
    let evaluated = last_json(&succeed(dir.path(), &["evaluate", "run", "--quiet", "--json"]));
    assert_eq!(evaluated["params_hash"], last["params_hash"]);
}
