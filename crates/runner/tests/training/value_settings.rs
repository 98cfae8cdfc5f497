//! Every setting of the value family does something: changed from its default, it changes the trained parameters.

use coact_algorithms::value::ValueSettings;
use serde_json::{Value, json};

use crate::support::{Setup, merge};

/// Each key: settings that give it something to act on, and a value other than its default.
fn changes() -> Vec<(&'static str, Value, Value)> {
    let adamw = json!({"optimizer": "adamw"});
    let rmsprop = json!({"optimizer": "rmsprop"});
    let momentum = json!({"optimizer": "sgd", "momentum": 0.5});
    let boltzmann = json!({"exploration": "boltzmann"});
    let noise = json!({"exploration_noise": "gaussian", "exploration_final_eps": 0.0});
    let clipped = json!({"gradient_clipping_global_norm": 0.01});
    let linear = json!({"learning_schedule": "linear"});
    let exponential = json!({"learning_schedule": "exponential", "learning_rate_decay_eps": 0.01});
    let piecewise = json!({"learning_schedule": "piecewise", "learning_rate_points": [[0, 1e-3]]});
    vec![
        ("sharing", json!({}), json!("separate")),
        ("hidden", json!({}), json!([12])),
        ("activation", json!({}), json!("tanh")),
        ("layer_norm", json!({}), json!(true)),
        ("init", json!({}), json!("kaiming")),
        ("dueling", json!({}), json!(true)),
        ("double_q", json!({}), json!(false)),
        ("double_qc", json!({}), json!(true)),
        ("loss", json!({}), json!("squared")),
        ("huber_delta", json!({}), json!(0.25)),
        ("optimizer", json!({}), json!("rmsprop")),
        ("optimizer_eps", json!({}), json!(1e-3)),
        ("adam_beta1", json!({}), json!(0.5)),
        ("adam_beta2", json!({}), json!(0.9)),
        ("rmsprop_alpha", rmsprop.clone(), json!(0.9)),
        ("rmsprop_centered", rmsprop, json!(true)),
        ("momentum", json!({"optimizer": "sgd"}), json!(0.5)),
        ("nesterov", momentum, json!(true)),
        ("weight_decay", adamw, json!(0.1)),
        ("gradient_clipping", json!({}), json!(0.01)),
        ("gradient_clipping_local_norm", json!({}), json!(0.01)),
        ("gradient_clipping_global_norm", json!({}), json!(0.01)),
        ("gradient_clipping_eps_norm", clipped, json!(1.0)),
        ("learning_rate", json!({}), json!(1e-3)),
        ("learning_schedule", json!({}), json!("cosine")),
        ("learning_rate_decay_eps", exponential, json!(0.1)),
        ("learning_rate_min", linear, json!(1e-3)),
        ("learning_rate_points", piecewise, json!([[0, 1e-3], [20, 1e-4]])),
        ("target_network_update_freq", json!({}), json!(3)),
        ("tau", json!({}), json!(0.5)),
        ("exploration", json!({}), json!("boltzmann")),
        ("exploration_fraction", json!({}), json!(0.9)),
        ("exploration_timesteps", json!({}), json!(5)),
        ("exploration_initial_eps", json!({}), json!(0.5)),
        ("exploration_final_eps", json!({}), json!(0.5)),
        ("temperature_initial", boltzmann.clone(), json!(0.1)),
        ("temperature_final", boltzmann, json!(5.0)),
        ("exploration_noise", json!({"exploration_final_eps": 0.0}), json!("orthogonal")),
        ("exploration_noise_scale", noise.clone(), json!(3.0)),
        ("exploration_noise_decay", noise, json!(0.1)),
    ]
}

/// A run in which every mechanism has something to do: rewards differ, episodes end, targets are synchronized.
fn setup(settings: Value) -> Setup {
    let mut all = json!({
        "hidden": [8], "learning_rate": 5e-3, "huber_delta": 100.0, "exploration_fraction": 0.3,
    });
    merge(&mut all, settings);
    let mut setup = Setup::new("cartpole", "iql");
    setup.learner = all;
    setup.n_envs = 2;
    setup.run.env_steps = 600;
    setup.run.learning_starts = 20;
    setup
}

#[test]
fn every_key_changes_what_is_learned() {
    let changes = changes();
    let listed: Vec<&str> = changes.iter().map(|(key, ..)| *key).collect();
    let known: Vec<&str> = ValueSettings::KEYS.iter().map(|key| key.name).collect();
    assert_eq!(listed, known, "every key is listed here, in its order");
    for (key, context, value) in changes {
        let before = setup(context.clone());
        let mut changed = context;
        merge(&mut changed, json!({ key: value }));
        assert_ne!(before.hash(), setup(changed).hash(), "`{key}` does nothing");
    }
}

/// All kinds of noise, optimizers and initial weights are different things.
#[test]
fn every_choice_is_its_own() {
    for (key, choices) in [
        ("init", vec!["orthogonal", "kaiming", "torch"]),
        ("optimizer", vec!["adam", "rmsprop", "sgd"]),
        ("learning_schedule", vec!["constant", "linear", "cosine"]),
        ("exploration_noise", vec!["none", "gaussian", "ornstein_uhlenbeck", "orthogonal"]),
    ] {
        let hash = |choice: &&str| {
            setup(json!({key: choice, "exploration_noise_scale": 3.0, "exploration_final_eps": 0.0})).hash()
        };
        let mut hashes: Vec<String> = choices.iter().map(hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), choices.len(), "two choices of `{key}` are the same");
    }
    let decayed = |optimizer| setup(json!({"optimizer": optimizer, "weight_decay": 0.1})).hash();
    assert_ne!(decayed("adam"), decayed("adamw"), "only one of them decouples weight decay");
}
