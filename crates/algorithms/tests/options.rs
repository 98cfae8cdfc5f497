//! Options of the value family against their closed forms, and the settings that are refused.
//!
//! What every option changes in training as a whole is tested where the training loop is.

#![allow(clippy::unwrap_used)]

use coact_algorithms::{ActMode, AnyLearner, BuildContext, Clock, Learner, TransitionLearner, UpdateStats};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_kernels::{Backend, CpuOptions};
use coact_replay::Batch;
use serde_json::{Value, json};

const TOTAL_ENV_STEPS: u64 = 1_000;
const TOTAL_GRAD_STEPS: u64 = 40;

fn spec() -> EnvSpec {
    let group = |name: &str, n_agents, width| GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", width)],
        action: ActionSpace::Discrete { n: 3 },
        masked: false,
    };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: vec![group("two", 2, 4), group("one", 1, 5)],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

fn build(algorithm: &str, settings: Value) -> coact_algorithms::Result<AnyLearner> {
    let entry = coact_algorithms::find(algorithm)?;
    let mut all = json!({"hidden": [6]});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    (entry.build)(BuildContext {
        spec: &spec(),
        n_envs: 2,
        seed: 3,
        total_env_steps: TOTAL_ENV_STEPS,
        total_grad_steps: TOTAL_GRAD_STEPS,
        rollout_steps: 8,
        gamma: 0.99,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings: &all,
    })
}

fn learner(algorithm: &str, settings: Value) -> Box<dyn TransitionLearner> {
    match build(algorithm, settings).unwrap() {
        AnyLearner::Transitions(learner) => learner,
        _ => panic!("{algorithm} learns from transitions"),
    }
}

/// A batch of random numbers with rewards of about `scale`.
fn batch(scale: f64) -> Batch {
    let mut batch = Batch::new(&spec(), 16);
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    for columns in &mut batch.groups {
        for values in [&mut columns.obs, &mut columns.next_obs] {
            values.iter_mut().for_each(|v| *v = rng.normal() as f32);
        }
        columns.action.iter_mut().for_each(|a| *a = rng.below(3));
        columns.reward.iter_mut().for_each(|r| *r = (scale * rng.normal()) as f32);
        columns.discount.fill(0.9);
        columns.valid.fill(true);
    }
    batch.team_reward.iter_mut().for_each(|r| *r = (scale * rng.normal()) as f32);
    batch.team_discount.fill(0.9);
    batch.weight.fill(1.0);
    batch
}

fn update(learner: &mut dyn TransitionLearner, batch: &Batch) -> UpdateStats {
    learner.update(batch, &mut vec![0.0; batch.size]).unwrap()
}

/// Learning rates of gradient steps 0 to 59.
fn learning_rates(settings: Value) -> Vec<f64> {
    let (mut learner, batch) = (learner("iql", settings), batch(1.0));
    (0..60).map(|_| update(&mut *learner, &batch).learning_rate).collect()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3)
}

#[test]
fn learning_rates_follow_their_closed_forms() {
    let (from, floor) = (1e-3, 1e-5);
    let schedule = |kind: &str, more: Value| {
        let mut settings = json!({"learning_rate": from, "learning_schedule": kind});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        learning_rates(settings)
    };
    let total = TOTAL_GRAD_STEPS as f64;
    let fraction = |t: usize| (t as f64 / total).min(1.0);
    let check = |rates: Vec<f64>, expected: &dyn Fn(usize) -> f64| {
        for (t, rate) in rates.into_iter().enumerate() {
            assert!(near(rate, expected(t)), "step {t}: {rate}, not {}", expected(t));
        }
    };
    check(schedule("constant", json!({})), &|_| from);
    let min = json!({"learning_rate_min": floor});
    check(schedule("linear", min.clone()), &|t| from + (floor - from) * fraction(t));
    check(schedule("cosine", min), &|t| {
        floor + 0.5 * (from - floor) * (1.0 + (std::f64::consts::PI * fraction(t)).cos())
    });
    let decay = json!({"learning_rate_decay_eps": 0.1, "learning_rate_min": floor});
    check(schedule("exponential", decay), &|t| (from * 0.9_f64.powi(t as i32)).max(floor));
    let points = json!({"learning_rate_points": [[10, 1e-3], [30, 2e-3]]});
    check(schedule("piecewise", points), &|t| 1e-3 + 1e-3 * ((t as f64 - 10.0) / 20.0).clamp(0.0, 1.0));
}

fn gauge(learner: &dyn Learner, name: &str, clock: Clock) -> f64 {
    let gauges = learner.gauges(clock);
    gauges.iter().find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in {gauges:?}")).1
}

fn at(env_steps: u64, episodes: u64) -> Clock {
    Clock { env_steps, vector_steps: env_steps, episodes }
}

#[test]
fn exploration_falls_as_asked() {
    let epsilon = |settings, env_steps| gauge(&*learner("iql", settings), "epsilon", at(env_steps, 0));
    let by_fraction = || json!({"exploration_fraction": 0.2, "exploration_final_eps": 0.1});
    for (env_steps, expected) in [(0, 1.0), (50, 0.775), (100, 0.55), (200, 0.1), (900, 0.1)] {
        assert!(near(epsilon(by_fraction(), env_steps), expected), "{env_steps}");
    }
    // Absolute steps override the fraction.
    let absolute =
        || json!({"exploration_fraction": 0.2, "exploration_timesteps": 800, "exploration_final_eps": 0.0});
    assert!(near(epsilon(absolute(), 200), 0.75));
    assert!(near(epsilon(json!({"exploration_initial_eps": 0.5, "exploration_fraction": 0.0}), 0), 0.05));

    let hot = learner(
        "iql",
        json!({
            "exploration": "boltzmann", "temperature_initial": 3.0, "temperature_final": 1.0, "exploration_fraction": 1.0
        }),
    );
    assert!(near(gauge(&*hot, "temperature", at(500, 0)), 2.0));

    let noisy = learner("iql", json!({"exploration_noise": "gaussian"}));
    for episode in [0, 1, 10, 100] {
        // scale * decay^episode, with the defaults 0.2 and 0.99.
        let expected = 0.2 * 0.99_f64.powi(episode as i32);
        assert!(near(gauge(&*noisy, "noise_scale", at(0, episode)), expected));
    }
}

/// Boltzmann: actions come as often as exp(Q / temperature) says.
#[test]
fn boltzmann_draws_in_proportion() {
    let mut learner = learner(
        "iql",
        json!({
            "hidden": [], "exploration": "boltzmann", "temperature_initial": 0.5, "temperature_final": 0.5
        }),
    );
    let n_envs = 20_000;
    let step = StepBatch::new(&spec(), n_envs);
    // Group "one": weights [5, 3] and biases behind group "two".
    let mut params = learner.params().to_vec();
    let biases = [0.2_f32, 0.9, -0.3];
    let end = params.len();
    params[end - 3..].copy_from_slice(&biases);
    learner.set_params(&params);
    let mut actions = ActionBatch::new(&spec(), n_envs);
    learner.act(&step, ActMode::Explore(at(0, 0)), &mut actions).unwrap();
    let weights = biases.map(|q| (f64::from(q) / 0.5).exp());
    for (action, weight) in weights.iter().enumerate() {
        let p = weight / weights.iter().sum::<f64>();
        let found = actions.discrete[1].iter().filter(|&&a| a as usize == action).count() as f64;
        let (expected, n) = (p * n_envs as f64, n_envs as f64);
        assert!((found - expected).abs() < 5.0 * (n * p * (1.0 - p)).sqrt(), "{action}: {found}, {expected}");
    }
}

/// What one step of plain gradient descent with rate 1 subtracts: the clipped gradient.
fn clipped_gradient(algorithm: &str, clipping: Value) -> Vec<f64> {
    let mut settings = json!({
        "optimizer": "sgd", "learning_rate": 1.0, "loss": "squared", "sharing": "separate", "init": "torch",
        "gradient_clipping_global_norm": null,
    });
    settings.as_object_mut().unwrap().extend(clipping.as_object().unwrap().clone());
    let mut learner = learner(algorithm, settings);
    let before = learner.params().to_vec();
    update(&mut *learner, &batch(50.0));
    before.iter().zip(learner.params()).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Parameters of each agent's network (4 to 6 to 3, twice, then 5 to 6 to 3), and of their tensors.
const NETWORKS: [usize; 3] = [51, 51, 57];
const TENSORS: [usize; 12] = [24, 6, 18, 3, 24, 6, 18, 3, 30, 6, 18, 3];

fn split<'a>(values: &'a [f64], lengths: &[usize]) -> Vec<&'a [f64]> {
    assert_eq!(lengths.iter().sum::<usize>(), values.len());
    let mut rest = values;
    let cut = |n: &usize| {
        let (head, tail) = rest.split_at(*n);
        rest = tail;
        head
    };
    lengths.iter().map(cut).collect()
}

#[test]
fn gradients_are_clipped_as_asked() {
    // Differences of parameters of size 1 carry rounding errors of 1e-7 each.
    let close = |found: f64, expected: f64| (found - expected).abs() < 1e-4 * expected;
    let free = clipped_gradient("vdn", json!({}));
    assert!(norm(&free) > 50.0, "there is something to clip: {}", norm(&free));

    // One optimizer for the sum: one norm over all. g * limit / (norm + eps).
    let global = clipped_gradient(
        "vdn",
        json!({"gradient_clipping_global_norm": 10.0, "gradient_clipping_eps_norm": 5.0}),
    );
    let factor = 10.0 / (norm(&free) + 5.0);
    assert!(close(norm(&global), norm(&free) * factor), "{}", norm(&global));
    assert!(free.iter().zip(&global).all(|(f, g)| (f * factor - g).abs() < 1e-4));

    // Independent learners: each network has a norm of its own.
    let own = clipped_gradient(
        "iql",
        json!({"gradient_clipping_global_norm": 10.0, "gradient_clipping_eps_norm": 0.0}),
    );
    for network in split(&own, &NETWORKS) {
        assert!(close(norm(network), 10.0), "{}", norm(network));
    }

    let local = clipped_gradient(
        "vdn",
        json!({"gradient_clipping_local_norm": 0.5, "gradient_clipping_eps_norm": 1e-3}),
    );
    for (tensor, free) in split(&local, &TENSORS).into_iter().zip(split(&free, &TENSORS)) {
        let expected = if norm(free) > 0.5 { norm(free) * 0.5 / (norm(free) + 1e-3) } else { norm(free) };
        assert!(close(norm(tensor), expected), "{} {expected}", norm(tensor));
    }

    // Tensors first, then all: twelve tensors of norm 0.5 have norm 0.5 * sqrt(12) together, above 1.
    let both = clipped_gradient(
        "vdn",
        json!({
            "gradient_clipping_local_norm": 0.5, "gradient_clipping_global_norm": 1.0, "gradient_clipping_eps_norm": 0.0
        }),
    );
    assert!(close(norm(&both), 1.0), "{}", norm(&both));
    for tensor in split(&both, &TENSORS) {
        assert!(close(norm(tensor), 1.0 / 12_f64.sqrt()), "{}", norm(tensor));
    }

    let single = clipped_gradient("vdn", json!({"gradient_clipping": 0.25}));
    for (clipped, free) in single.iter().zip(&free) {
        assert!((clipped - free.clamp(-0.25, 0.25)).abs() < 1e-5);
    }
}

/// With two critics the target is the lower of their values, and both move towards it.
#[test]
fn the_clipped_double_critic_takes_the_lower_value() {
    let mut twin =
        learner("iql", json!({"hidden": [], "double_qc": true, "tau": 1.0, "learning_rate": 1e-30}));
    let single = learner("iql", json!({"hidden": []}));
    // Per group: critic 0, critic 1; each weights then three biases.
    let mut params = vec![0.0; 2 * single.params().len()];
    let (two, one) = (4 * 3 + 3, 5 * 3 + 3);
    let mut set = |start: usize, len: usize, biases: [f32; 3]| {
        params[start + len - 3..start + len].copy_from_slice(&biases);
    };
    set(0, two, [1.0, 6.0, 2.0]);
    set(two, two, [4.0, 3.0, 9.0]);
    set(2 * two, one, [0.0; 3]);
    set(2 * two + one, one, [0.0; 3]);
    twin.set_params(&params);
    let mut batch = batch(0.0);
    batch.groups.iter_mut().for_each(|c| c.obs.fill(0.0));
    batch.groups.iter_mut().for_each(|c| c.next_obs.fill(0.0));
    batch.groups.iter_mut().for_each(|c| c.discount.fill(0.5));
    batch.groups[0].action.fill(0);
    batch.groups[0].reward.fill(10.0);
    batch.groups[1].valid.fill(false);
    // The first update copies the online networks into the target networks.
    update(&mut *twin, &batch);
    let mut priority = vec![0.0; batch.size];
    twin.update(&batch, &mut priority).unwrap();
    // Action 1 by critic 0; min(6, 3) = 3; target 11.5; |1 - 11.5| and |4 - 11.5|.
    assert!(priority.iter().all(|p| *p == (10.5 + 7.5) / 2.0), "{priority:?}");
}

fn refused(settings: Value, words: &[&str]) {
    for algorithm in ["iql", "vdn"] {
        let Err(error) = build(algorithm, settings.clone()) else { panic!("{settings} was accepted") };
        let error = error.to_string();
        assert!(!error.contains('\n'), "{error}");
        for word in words {
            assert!(error.contains(word), "{settings}: `{word}` is not in: {error}");
        }
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for key in [
        "exploration_fraction",
        "exploration_initial_eps",
        "exploration_final_eps",
        "exploration_noise_decay",
    ] {
        refused(json!({key: 1.5}), &[key, "1.5", "[0, 1]"]);
        refused(json!({key: -0.5}), &[key, "-0.5", "[0, 1]"]);
    }
    for key in [
        "learning_rate",
        "huber_delta",
        "temperature_initial",
        "temperature_final",
        "exploration_noise_scale",
        "optimizer_eps",
        "gradient_clipping",
        "gradient_clipping_local_norm",
        "gradient_clipping_global_norm",
    ] {
        refused(json!({key: 0.0}), &[key, "0", "positive"]);
        refused(json!({key: -1.0}), &[key, "-1", "positive"]);
    }
    for key in ["adam_beta1", "adam_beta2", "rmsprop_alpha", "momentum"] {
        refused(json!({key: 1.0}), &[key, "1", "[0, 1)"]);
    }
    refused(json!({"hidden": [64, 0]}), &["hidden", "[64, 0]", "1 to 512"]);
    refused(json!({"hidden": [513]}), &["hidden", "513"]);
    refused(json!({"weight_decay": -0.1}), &["weight_decay", "-0.1"]);
    refused(json!({"gradient_clipping_eps_norm": -1.0}), &["gradient_clipping_eps_norm", "-1"]);
    refused(json!({"learning_rate_min": 1.0}), &["learning_rate_min", "learning_rate"]);
    refused(json!({"tau": 0.0}), &["tau", "(0, 1]"]);
    refused(json!({"tau": 1.5}), &["tau", "1.5"]);
    refused(json!({"target_network_update_freq": 0}), &["target_network_update_freq", "1 or more"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused_by_name() {
    refused(json!({"tau": 0.1, "target_network_update_freq": 5}), &["tau", "target_network_update_freq"]);
    refused(json!({"learning_rate_decay_eps": 0.1}), &["learning_rate_decay_eps", "exponential"]);
    refused(json!({"learning_schedule": "exponential"}), &["learning_rate_decay_eps", "exponential"]);
    refused(
        json!({"learning_schedule": "exponential", "learning_rate_decay_eps": 1.0}),
        &["learning_rate_decay_eps", "[0, 1)"],
    );
    refused(json!({"learning_rate_points": [[0, 1.0]]}), &["learning_rate_points", "piecewise"]);
    refused(json!({"learning_schedule": "piecewise"}), &["learning_rate_points", "piecewise"]);
    refused(
        json!({"learning_schedule": "piecewise", "learning_rate_points": [[5, 1.0], [5, 0.5]]}),
        &["learning_rate_points", "rising"],
    );
    refused(
        json!({"exploration": "boltzmann", "exploration_noise": "gaussian"}),
        &["exploration_noise", "epsilon_greedy"],
    );
    refused(json!({"nesterov": true}), &["nesterov", "momentum"]);
}

#[test]
fn wrong_types_and_unknown_keys_name_the_key() {
    refused(json!({"hidden": "wide"}), &["hidden", "wide"]);
    refused(json!({"dueling": 1}), &["dueling"]);
    refused(json!({"optimizer": "adamm"}), &["optimizer", "adamm"]);
    refused(json!({"gamma": 0.9}), &["gamma"]);
}

#[test]
fn environments_that_do_not_fit_are_refused() {
    let vdn = coact_algorithms::find("vdn").unwrap();
    let own = EnvSpec { reward: RewardKind::PerAgent, ..spec() };
    let error = (vdn.check)(&own).unwrap_err().to_string();
    assert!(error.contains("by hand") && error.contains("common_reward"), "{error}");
    let iql = coact_algorithms::find("iql").unwrap();
    (iql.check)(&own).unwrap();
    let mut continuous = spec();
    continuous.groups[1].action = ActionSpace::Continuous { width: 2, low: -1.0, high: 1.0 };
    let error = (iql.check)(&continuous).unwrap_err().to_string();
    assert!(error.contains("`one`") && error.contains("not discrete"), "{error}");
    let mut many = spec();
    many.groups = vec![many.groups[0].clone(); 5];
    assert!((iql.check)(&many).unwrap_err().to_string().contains("5 groups"));
    let Err(error) = coact_algorithms::find("vdm") else { panic!("there is no vdm") };
    assert!(error.to_string().contains("did you mean `vdn`?"));
}

/// A loss that is not a number stops learning, names itself, and leaves the parameters alone.
#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    for algorithm in ["iql", "vdn"] {
        let mut learner = learner(algorithm, json!({}));
        let mut poisoned = batch(1.0);
        poisoned.groups[0].reward[3] = f32::NAN;
        poisoned.team_reward[3] = f32::NAN;
        let before = learner.params().to_vec();
        let error = learner.update(&poisoned, &mut [0.0; 16]).unwrap_err().to_string();
        assert!(error.contains("loss is NaN after 0 gradient steps"), "{error}");
        assert_eq!((learner.params(), learner.grad_steps()), (&before[..], 0));
        update(&mut *learner, &batch(1.0));
        assert_eq!(learner.grad_steps(), 1);
    }
}
