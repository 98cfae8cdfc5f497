//! The actor-critic family on transitions from outside: settings and their refusals, exploration, equal bits, unequal groups.

#![allow(clippy::unwrap_used)]

use coact_algorithms::{ActMode, AnyLearner, BuildContext, Clock, TransitionLearner};
use coact_core::codec::{Reader, Writer};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_kernels::{Backend, CpuOptions};
use coact_replay::Batch;
use serde_json::{Value, json};

const ALGORITHMS: [&str; 4] = ["maddpg", "matd3", "masac", "isac"];
const N_ENVS: usize = 3;

/// Unequal groups: three discrete agents with illegal actions, and two continuous ones in lopsided bounds.
fn spec() -> EnvSpec {
    let group = |name: &str, n_agents, width, action, masked| GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", width)],
        action,
        masked,
    };
    let line = ActionSpace::Continuous { width: 2, low: -1.0, high: 5.0 };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: vec![
            group("choosers", 3, 4, ActionSpace::Discrete { n: 5 }, true),
            group("movers", 2, 3, line, false),
        ],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::PerAgent,
    }
}

fn build(
    algorithm: &str,
    settings: Value,
    threads: usize,
) -> coact_algorithms::Result<Box<dyn TransitionLearner>> {
    let entry = coact_algorithms::find(algorithm)?;
    let mut all = json!({"hidden": [6], "random_env_steps": 0});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let learner = (entry.build)(BuildContext {
        spec: &spec(),
        n_envs: N_ENVS,
        seed: 3,
        total_env_steps: 1_000,
        total_grad_steps: 40,
        rollout_steps: 1,
        gamma: 0.9,
        backend: Backend::cpu(CpuOptions { threads, isa: None }).unwrap(),
        settings: &all,
    })?;
    let AnyLearner::Transitions(learner) = learner else { panic!("{algorithm} learns from transitions") };
    Ok(learner)
}

fn learner(algorithm: &str, settings: Value) -> Box<dyn TransitionLearner> {
    build(algorithm, settings, 1).unwrap()
}

fn batch(size: usize) -> Batch {
    let mut batch = Batch::new(&spec(), size);
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    for columns in &mut batch.groups {
        for values in [&mut columns.obs, &mut columns.next_obs, &mut columns.reward] {
            values.iter_mut().for_each(|v| *v = rng.normal() as f32);
        }
        columns.action.iter_mut().for_each(|a| *a = rng.below(4));
        columns.action_continuous.iter_mut().for_each(|a| *a = rng.range(-1.0, 5.0));
        columns.mask.fill(0b01111);
        columns.next_mask.fill(0b10011);
        columns.discount.fill(0.9);
        columns.valid.fill(true);
    }
    batch.weight.fill(1.0);
    batch
}

fn step() -> StepBatch {
    let mut step = StepBatch::new(&spec(), N_ENVS);
    let mut rng = Stream::new(2, Purpose::Replay, 0, 0);
    for group in &mut step.groups {
        group.obs.iter_mut().for_each(|v| *v = rng.normal() as f32);
        group.mask.fill(0b10110);
    }
    step.is_first.fill(false);
    step
}

fn at(vector_steps: u64, episodes: u64) -> ActMode {
    ActMode::Explore(Clock { env_steps: vector_steps * N_ENVS as u64, vector_steps, episodes })
}

fn act(learner: &mut dyn TransitionLearner, mode: ActMode) -> ActionBatch {
    let mut actions = ActionBatch::new(&spec(), N_ENVS);
    learner.act(&step(), mode, &mut actions).unwrap();
    actions
}

/// All settings that leave traces in state.
fn busy(algorithm: &str) -> Value {
    let mut settings = json!({
        "sharing": "separate", "hidden": [70, 33], "exploration_noise": "ornstein_uhlenbeck", "learning_schedule": "cosine",
        "tau": 0.1, "policy_delay": 3,
    });
    if algorithm.starts_with("ma") {
        settings["critic_input"] = json!("all");
    }
    settings
}

#[test]
fn threads_do_not_show() {
    for algorithm in ALGORITHMS {
        for sharing in ["shared", "separate"] {
            let run = |threads| {
                let settings = json!({"sharing": sharing, "hidden": [67, 33]});
                let mut learner = build(algorithm, settings, threads).unwrap();
                let (batch, mut priority) = (batch(700), vec![0.0; 700]);
                for _ in 0..3 {
                    learner.update(&batch, &mut priority).unwrap();
                }
                (learner.params().to_vec(), priority, act(&mut *learner, at(5, 0)))
            };
            let expected = run(1);
            assert!(run(2) == expected, "{algorithm}, {sharing}");
            assert!(run(3) == expected, "{algorithm}, {sharing}");
        }
    }
}

#[test]
fn a_saved_learner_goes_on_to_the_same_bits() {
    let batch = batch(16);
    for algorithm in ALGORITHMS {
        let mut one = learner(algorithm, busy(algorithm));
        let go = |learner: &mut dyn TransitionLearner, from: u64| {
            for t in from..from + 4 {
                act(learner, at(t, 0));
                learner.update(&batch, &mut [0.0; 16]).unwrap();
            }
        };
        go(&mut *one, 0);
        let mut saved = Writer::new();
        one.save(&mut saved);
        let bytes = saved.into_bytes();
        let mut two = learner(algorithm, busy(algorithm));
        two.load(&mut Reader::new("learner", &bytes)).unwrap();
        go(&mut *one, 4);
        go(&mut *two, 4);
        let state = |learner: &dyn TransitionLearner| {
            let mut out = Writer::new();
            learner.save(&mut out);
            out.into_bytes()
        };
        assert!(state(&*one) == state(&*two), "{algorithm}");
        assert!(act(&mut *one, at(9, 0)) == act(&mut *two, at(9, 0)), "{algorithm}");
        // A truncated state is refused.
        assert!(two.load(&mut Reader::new("learner", &bytes[..bytes.len() - 9])).is_err());
    }
}

/// Every group's actors and critics move, and no group's update depends on the numbering of the other.
#[test]
fn unequal_groups_learn_together() {
    for algorithm in ALGORITHMS {
        let mut learner = learner(algorithm, json!({"learning_rate": 1e-3}));
        let before = learner.params().to_vec();
        let stats = learner.update(&batch(32), &mut [0.0; 32]).unwrap();
        assert!(stats.loss.is_finite() && stats.loss > 0.0);
        if algorithm == "matd3" {
            learner.update(&batch(32), &mut [0.0; 32]).unwrap();
        }
        let policies = learner.policies();
        assert_eq!(policies.len(), 5);
        assert_eq!(policies[0].agent, "choosers_0");
        assert_eq!(policies[0].tensors.last().unwrap().values.len(), 5);
        let outputs = if algorithm.ends_with("sac") { 4 } else { 2 };
        assert_eq!(policies[4].tensors.last().unwrap().values.len(), outputs, "{algorithm}");
        let moved = before.iter().zip(learner.params()).filter(|(a, b)| a != b).count();
        assert!(moved * 2 > before.len(), "{algorithm}: {moved} of {} parameters moved", before.len());
    }
}

#[test]
fn actions_are_legal_within_bounds_and_greedy_ones_repeat() {
    for algorithm in ALGORITHMS {
        let mut l = learner(algorithm, json!({"exploration_noise_scale": 5.0}));
        let greedy = act(&mut *l, ActMode::Greedy);
        assert!(act(&mut *l, ActMode::Greedy) == greedy, "{algorithm}");
        let (mut differ, mut seen) = (false, [0; 5]);
        for t in 0..200 {
            let actions = act(&mut *l, at(t, 0));
            assert!(actions.continuous[1].iter().all(|a| (-1.0..=5.0).contains(a)), "{algorithm}");
            actions.discrete[0].iter().for_each(|&a| seen[a as usize] += 1);
            differ |= actions != greedy;
        }
        assert!(differ && seen[0] == 0 && seen[3] == 0, "{algorithm}: {seen:?}");
        assert!(seen[1] > 100 && seen[2] > 100 && seen[4] > 100, "{algorithm}: {seen:?}");
    }
}

/// Uniform at first: every component covers its range, whatever the policy says.
#[test]
fn the_first_actions_are_uniform() {
    let mut l = learner("maddpg", json!({"random_env_steps": 3_000, "exploration_noise": "none"}));
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for t in 0..1_000 {
        for a in &act(&mut *l, at(t, 0)).continuous[1] {
            sum += f64::from(*a);
            squares += f64::from(*a).powi(2);
            n += 1.0;
        }
    }
    // Uniform on -1..=5: mean 2, variance 3.
    let (mean, variance) = (sum / n, squares / n - (sum / n).powi(2));
    assert!((mean - 2.0).abs() < 5.0 * (3.0 / n).sqrt(), "{mean}");
    assert!((variance - 3.0).abs() < 0.1, "{variance}");
    assert!(act(&mut *l, at(1_000, 0)).continuous == act(&mut *l, ActMode::Greedy).continuous);
}

#[test]
fn noise_has_its_size_falls_per_episode_and_begins_anew() {
    let scale = |settings: Value, episodes| {
        let clock = Clock { episodes, ..Clock::default() };
        learner("maddpg", settings).gauges(clock)[0]
    };
    let falling =
        json!({"exploration_noise_scale": 0.4, "exploration_noise_decay": 0.5, "exploration_noise_min": 0.1});
    for (episodes, expected) in [(0, 0.4), (1, 0.2), (2, 0.1), (50, 0.1)] {
        assert_eq!(scale(falling.clone(), episodes), ("noise_scale", expected));
    }
    // In half ranges: 0.01 of them is 0.03 here, and tanh leaves room on both sides.
    let mut l = learner("maddpg", json!({"exploration_noise_scale": 0.01}));
    let greedy = act(&mut *l, ActMode::Greedy).continuous[1].clone();
    let (mut squares, mut n) = (0.0, 0.0);
    for t in 0..400 {
        for (a, g) in act(&mut *l, at(t, 0)).continuous[1].iter().zip(&greedy) {
            squares += f64::from(a - g).powi(2);
            n += 1.0;
        }
    }
    assert!((squares / n / 9e-4 - 1.0_f64).abs() < 5.0 * (2.0_f64 / n).sqrt(), "{}", squares / n);

    // Ornstein-Uhlenbeck: the first noise of an episode is small wherever the last one had gone.
    let mut l = learner(
        "maddpg",
        json!({"exploration_noise": "ornstein_uhlenbeck", "exploration_noise_scale": 0.05}),
    );
    let mut first = step();
    first.is_first.fill(true);
    let gap = |l: &mut dyn TransitionLearner, step: &StepBatch, t| {
        let mut actions = ActionBatch::new(&spec(), N_ENVS);
        l.act(step, at(t, 0), &mut actions).unwrap();
        let gaps = actions.continuous[1].iter().zip(&greedy).map(|(a, g)| f64::from(a - g).powi(2));
        gaps.sum::<f64>()
    };
    let far = (0..300).map(|t| gap(&mut *l, &step(), t)).skip(200).sum::<f64>() / 100.0;
    let near = (300..400).map(|t| gap(&mut *l, &first, t)).sum::<f64>() / 100.0;
    assert!(near < 0.1 * far, "{near} {far}");
}

#[test]
fn targets_follow_softly_or_by_copies() {
    let batch = batch(8);
    let synced = |settings: Value| -> Vec<bool> {
        let mut l = learner("matd3", settings);
        (0..6).map(|_| l.update(&batch, &mut [0.0; 8]).unwrap().target_synced).collect()
    };
    let every = |n: usize| (1..=6).map(|t| t % n == 0).collect::<Vec<_>>();
    assert_eq!(synced(json!({"target_network_update_freq": 3})), every(3));
    assert_eq!(synced(json!({"tau": 0.1})), every(2));
    assert_eq!(synced(json!({"policy_delay": 1})), every(1));
}

/// Actors rest between their steps; the critics' rate is their own.
#[test]
fn actors_are_delayed_and_critics_have_a_rate_of_their_own() {
    let batch = batch(8);
    let mut l =
        learner("matd3", json!({"optimizer": "sgd", "learning_rate": 1e-6, "critic_learning_rate": 0.1}));
    let policies = l.policies();
    let before = l.params().to_vec();
    l.update(&batch, &mut [0.0; 8]).unwrap();
    assert!(l.policies() == policies && l.params() != before, "only critics moved");
    l.update(&batch, &mut [0.0; 8]).unwrap();
    assert!(l.policies() != policies);
}

fn refused(algorithm: &str, settings: Value, words: &[&str]) {
    let Err(error) = build(algorithm, settings.clone(), 1) else {
        panic!("{algorithm} {settings} was accepted")
    };
    let error = error.to_string();
    assert!(!error.contains('\n'), "{error}");
    for word in words {
        assert!(error.contains(word), "{settings}: `{word}` is not in: {error}");
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for algorithm in ALGORITHMS {
        for key in ["learning_rate", "critic_learning_rate", "gumbel_temperature", "ent_coef_init"] {
            refused(algorithm, json!({key: 0.0}), &[key, "0", "positive"]);
        }
        for key in [
            "target_noise",
            "target_noise_clip",
            "actor_reg",
            "ent_coef",
            "exploration_noise_scale",
            "exploration_noise_min",
            "gradient_clipping_eps_norm",
        ] {
            refused(algorithm, json!({key: -0.5}), &[key, "-0.5", "0 or more"]);
        }
        for key in ["exploration_noise_decay", "target_entropy_fraction"] {
            refused(algorithm, json!({key: 1.5}), &[key, "1.5", "[0, 1]"]);
        }
        refused(algorithm, json!({"hidden": [0]}), &["hidden", "1 to 512"]);
        refused(algorithm, json!({"critic_hidden": [513]}), &["critic_hidden", "1 to 512"]);
        refused(algorithm, json!({"tau": 1.5}), &["tau", "(0, 1]"]);
        refused(algorithm, json!({"policy_delay": 0}), &["policy_delay", "1 or more"]);
        refused(algorithm, json!({"target_network_update_freq": 0}), &["target_network_update_freq"]);
        refused(algorithm, json!({"learning_rate_min": 1.0}), &["learning_rate_min", "learning_rate"]);
        refused(algorithm, json!({"exploration_noise": "pink"}), &["exploration_noise", "pink"]);
        refused(algorithm, json!({"epsilon": 0.5}), &["epsilon"]);
    }
}

#[test]
fn settings_that_contradict_are_refused_by_name() {
    refused(
        "maddpg",
        json!({"tau": 0.1, "target_network_update_freq": 5}),
        &["tau", "target_network_update_freq"],
    );
    refused(
        "maddpg",
        json!({"learning_schedule": "exponential"}),
        &["learning_rate_decay_eps", "exponential"],
    );
    refused("maddpg", json!({"learning_rate_decay_eps": 0.1}), &["learning_rate_decay_eps", "exponential"]);
    refused("maddpg", json!({"learning_schedule": "piecewise"}), &["learning_rate_points", "piecewise"]);
    refused("maddpg", json!({"ent_coef": 0.1}), &["ent_coef", "masac"]);
    refused("matd3", json!({"target_entropy": -1.0}), &["target_entropy", "masac"]);
    refused("masac", json!({"target_noise": 0.1}), &["target_noise", "masac"]);
    refused("isac", json!({"critic_input": "all"}), &["critic_input", "masac"]);
    refused("maddpg", json!({"critic_input": "state"}), &["by hand", "no global state", "critic_input"]);
}

/// What was left to the algorithm is written down, and resolving again changes nothing.
#[test]
fn resolved_settings_say_everything() {
    for (algorithm, input, twin, delay, reg) in [
        ("maddpg", "all", false, 1, 1e-3_f32),
        ("matd3", "all", true, 2, 1e-3),
        ("masac", "all", true, 1, 0.0),
        ("isac", "own", true, 1, 0.0),
    ] {
        let entry = coact_algorithms::find(algorithm).unwrap();
        let resolved = (entry.resolve)(&json!({"hidden": [9]})).unwrap();
        assert_eq!(resolved["critic_input"], input);
        assert_eq!(resolved["twin_critics"], twin);
        assert_eq!(resolved["policy_delay"], delay);
        assert_eq!(resolved["actor_reg"], json!(reg));
        assert_eq!(resolved["critic_hidden"], json!([9]));
        assert_eq!((entry.resolve)(&resolved).unwrap(), resolved);
        assert_eq!(entry.keys.len(), resolved.as_object().unwrap().len());
    }
}

#[test]
fn numbers_that_are_not_finite_stop_learning_by_name() {
    for algorithm in ALGORITHMS {
        let mut l = learner(algorithm, json!({}));
        let mut poisoned = batch(8);
        poisoned.groups[1].reward[3] = f32::NAN;
        let before = l.params().to_vec();
        let error = l.update(&poisoned, &mut [0.0; 8]).unwrap_err().to_string();
        assert!(error.contains("loss is NaN after 0 gradient steps"), "{error}");
        assert_eq!((l.params(), l.grad_steps()), (&before[..], 0));
        l.update(&batch(8), &mut [0.0; 8]).unwrap();
    }
}

#[test]
fn a_living_agent_without_a_legal_action_is_an_error() {
    let mut l = learner("masac", json!({}));
    let mut step = step();
    step.groups[0].mask[4] = 0;
    step.groups[0].alive[4] = false;
    let mut actions = ActionBatch::new(&spec(), N_ENVS);
    l.act(&step, ActMode::Greedy, &mut actions).unwrap();
    step.groups[0].alive[4] = true;
    let error = l.act(&step, at(0, 0), &mut actions).unwrap_err().to_string();
    assert!(error.contains("environment 1, agent 1"), "{error}");
}
