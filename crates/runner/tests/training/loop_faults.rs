//! Ten faults of a well-known tutorial's training loop, one test each: none of them may be ours.
//!
//! Most tests use a learner whose values are written by hand: no hidden layer and observations of 0, so that the
//! action values are the biases.

use coact_algorithms::{ActMode, AnyLearner, Clock, Learner, TransitionLearner, UpdateStats};
use coact_core::codec::{Reader, Writer};
use coact_core::rng::Purpose;
use coact_core::{ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, RewardKind, StepBatch, Stream};
use coact_replay::{Batch, Replay, ReplayConfig};
use coact_runner::observer::Silent;
use coact_runner::train;
use serde_json::{Value, json};

use crate::support::{Setup, merge, values_at};

const N_ACTIONS: usize = 3;
/// Values of two agents' actions, far enough apart that no two targets agree by accident.
const VALUES: [[f32; N_ACTIONS]; 2] = [[1.0, 5.0, 2.0], [7.0, 3.0, 4.0]];

fn two_agents() -> EnvSpec {
    let group = GroupSpec {
        name: "agent".into(),
        n_agents: 2,
        obs: vec![ObsField::unbounded("number", 1)],
        action: ActionSpace::Discrete { n: N_ACTIONS },
        masked: false,
    };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: vec![group],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

fn learner(algorithm: &'static str, settings: Value) -> Box<dyn TransitionLearner> {
    let mut all = json!({
        "hidden": [], "sharing": "separate", "optimizer": "sgd", "loss": "squared",
        "gradient_clipping_global_norm": null,
    });
    merge(&mut all, settings);
    let mut setup = Setup::new("climbing", algorithm);
    setup.learner = all;
    match setup.build_learner(&two_agents()).unwrap() {
        AnyLearner::Transitions(learner) => learner,
        _ => panic!("{algorithm} learns from transitions"),
    }
}

/// Weights of 0 and `values` as biases.
fn params(values: [[f32; N_ACTIONS]; 2]) -> Vec<f32> {
    values.iter().flat_map(|own| [0.0; N_ACTIONS].into_iter().chain(*own)).collect()
}

/// A learner whose online values are `online` and whose target network's are `target`; its steps are too small to
/// change them.
fn fixed(
    algorithm: &'static str,
    online: [[f32; 3]; 2],
    target: [[f32; 3]; 2],
) -> Box<dyn TransitionLearner> {
    let mut learner = learner(algorithm, json!({"learning_rate": 1e-30, "tau": 1.0}));
    learner.set_params(&params(target));
    learner.update(&one_transition(), &mut [0.0]).unwrap();
    learner.set_params(&params(online));
    learner
}

/// One transition of both agents: action 0, rewards 10 and 20, discount 1/2.
fn one_transition() -> Batch {
    let mut batch = Batch::new(&two_agents(), 1);
    let columns = &mut batch.groups[0];
    columns.reward.copy_from_slice(&[10.0, 20.0]);
    columns.discount.fill(0.5);
    columns.valid.fill(true);
    batch.team_reward.fill(10.0);
    batch.team_discount.fill(0.5);
    batch.weight.fill(1.0);
    batch
}

fn td_abs(learner: &mut dyn TransitionLearner, batch: &Batch) -> f32 {
    let mut priority = [f32::NAN];
    let stats: UpdateStats = learner.update(batch, &mut priority).unwrap();
    assert_eq!(stats.named.get("td_abs"), Some(priority[0]));
    priority[0]
}

/// |td| of each agent alone.
fn td_abs_each(learner: &mut dyn TransitionLearner, batch: &Batch) -> [f32; 2] {
    [0, 1].map(|agent| {
        let mut alone = batch.clone();
        alone.groups[0].valid[1 - agent] = false;
        td_abs(learner, &alone)
    })
}

/// `qvalues.detach()`: the loss had no way back into the network.
#[test]
fn no_gradient_reaches_the_network() {
    for algorithm in ["iql", "vdn"] {
        let setup = Setup::new("simple_spread", algorithm).learner(json!({
            "sharing": "separate", "hidden": [8, 8], "layer_norm": true, "activation": "tanh"
        }));
        let before = setup.build().learner().policies();
        let run = setup.train();
        assert!(run.learner().grad_steps() > 0);
        for (old, new) in before.iter().zip(run.learner().policies()) {
            for (old, new) in old.tensors.iter().zip(new.tensors) {
                assert_ne!(old.values, new.values, "{algorithm}: {} of an agent never changed", old.name);
            }
        }
    }
}

/// `max(dim=1)` of values stacked over agents took the best agent, not the best action.
#[test]
fn max_over_agents_instead_of_actions() {
    let mut iql = fixed("iql", VALUES, VALUES);
    // |1 - (10 + 5 / 2)| and |7 - (20 + 7 / 2)|.
    assert_eq!(td_abs_each(&mut *iql, &one_transition()), [11.5, 16.5]);
    let mut vdn = fixed("vdn", VALUES, VALUES);
    // |(1 + 7) - (10 + (5 + 7) / 2)|.
    assert_eq!(td_abs(&mut *vdn, &one_transition()), 8.0);
}

/// No `(1 - done)`: values behind the end of an episode entered the target.
#[test]
fn no_terminal_mask() {
    let mut batch = one_transition();
    batch.groups[0].discount.fill(0.0);
    batch.team_discount.fill(0.0);
    // Behind an end there is nothing; not even a number that is not one may matter.
    batch.groups[0].next_obs.fill(f32::NAN);
    assert_eq!(td_abs_each(&mut *fixed("iql", VALUES, VALUES), &batch), [9.0, 13.0]);
    assert_eq!(td_abs(&mut *fixed("vdn", VALUES, VALUES), &batch), 2.0);
}

/// The loop read `batch.next_action`, which nobody had stored. The target takes the best next action by the online
/// network, valued by the target network, at the observation that really came next.
#[test]
fn next_action_is_needed_but_never_stored() {
    let other = [[0.0, 0.0, 9.0], [0.0, 9.0, 0.0]];
    // The online network prefers actions 2 and 1; the target network says 2 and 3 for them.
    assert_eq!(td_abs(&mut *fixed("iql", other, VALUES), &one_transition()), (11.0 + 21.5) / 2.0);
    let (transitions, batch) = replayed_cartpole();
    for (row, id) in batch.ids.iter().enumerate() {
        let truth = &transitions[*id as usize];
        let columns = &batch.groups[0];
        assert_eq!(columns.obs[row * 8..][..8], truth.obs);
        assert_eq!(columns.action[row * 2..][..2], truth.action);
        if let Some(next_obs) = truth.next_obs {
            assert_eq!(columns.next_obs[row * 8..][..8], next_obs);
        }
    }
}

/// One loss, summed over agents, was stepped once an agent: everybody took two steps on everybody's error.
#[test]
fn one_loss_stepped_once_per_agent() {
    let take_step = |batch: &Batch| {
        let mut learner = learner("iql", json!({"learning_rate": 0.1}));
        learner.set_params(&params(VALUES));
        // Targets are the values themselves (tau and hard copies aside, both networks start equal).
        learner.update(batch, &mut [0.0]).unwrap();
        assert_eq!(learner.grad_steps(), 1);
        learner.params().to_vec()
    };
    let mut batch = one_transition();
    batch.groups[0].discount.fill(0.0);
    let stepped = take_step(&batch);
    // bias - rate * 2 (q - target), once.
    let expected = params([[1.0 + 0.1 * 18.0, 5.0, 2.0], [7.0 + 0.1 * 26.0, 3.0, 4.0]]);
    for (found, expected) in stepped.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{stepped:?}");
    }
    batch.groups[0].reward[0] = -500.0;
    let other = take_step(&batch);
    assert_eq!(other[2 * N_ACTIONS..], stepped[2 * N_ACTIONS..], "agent 1 moved by an error of agent 0");
}

/// `gamma` was used and never defined.
#[test]
fn gamma_is_missing() {
    for gamma in [0.25_f32, 0.75] {
        let mut setup = Setup::new("probe_two_step_discount", "iql").learner(json!({
            "learning_rate": 1e-2, "learning_schedule": "linear", "target_network_update_freq": 20
        }));
        setup.run.env_steps = 2_000;
        setup.run.gamma = gamma;
        let mut run = setup.train();
        for q in &values_at(&mut run, &[0.0])[0] {
            assert!((q - gamma).abs() < 0.02, "a reward one step later is worth {q}, not {gamma}");
        }
    }
}

/// The target network was made and never synchronized.
#[test]
fn target_network_is_never_synchronized() {
    let networks = |learner: &dyn Learner| {
        let mut saved = Writer::new();
        learner.save(&mut saved);
        let bytes = saved.into_bytes();
        let mut from = Reader::new("learner", &bytes);
        let (mut online, mut target) = (vec![0.0; 12], vec![0.0; 12]);
        from.u64().unwrap();
        from.f32s(&mut online).unwrap();
        from.f32s(&mut target).unwrap();
        assert_eq!(online, learner.params());
        (online, target)
    };
    let mut hard = learner("iql", json!({"learning_rate": 0.01, "target_network_update_freq": 3}));
    let (_, mut before) = networks(&*hard);
    for update in 1..=9 {
        let stats = hard.update(&one_transition(), &mut [0.0]).unwrap();
        let (online, target) = networks(&*hard);
        assert_eq!(stats.target_synced, update % 3 == 0, "update {update}");
        assert_eq!(target, if update % 3 == 0 { online.clone() } else { before }, "update {update}");
        assert_ne!(online, networks(&*learner("iql", json!({}))).0);
        before = target;
    }
    let mut soft = learner("iql", json!({"learning_rate": 0.01, "tau": 0.25}));
    let (_, before) = networks(&*soft);
    soft.update(&one_transition(), &mut [0.0]).unwrap();
    let (online, target) = networks(&*soft);
    for ((new, old), online) in target.iter().zip(&before).zip(&online) {
        assert!((new - (old + 0.25 * (online - old))).abs() < 1e-6);
    }
    assert_ne!(target, before);
}

/// Actions were always greedy.
#[test]
fn nobody_explores() {
    let spec = two_agents();
    let n_envs = 6_000;
    let step = StepBatch::new(&spec, n_envs);
    let mut actions = ActionBatch::new(&spec, n_envs);
    let mut learner = learner(
        "iql",
        json!({
            "exploration_initial_eps": 1.0, "exploration_final_eps": 0.3, "exploration_timesteps": 1_000
        }),
    );
    learner.set_params(&params(VALUES));
    let clock = |env_steps| Clock { env_steps, vector_steps: env_steps, episodes: 0 };
    learner.act(&step, ActMode::Explore(clock(0)), &mut actions).unwrap();
    let pairs: Vec<usize> =
        actions.discrete[0].chunks_exact(2).map(|pair| (pair[0] * 3 + pair[1]) as usize).collect();
    let expected = n_envs as f64 / 9.0;
    let count = |cell: usize| pairs.iter().filter(|&&p| p == cell).count() as f64;
    let chi_square: f64 = (0..9).map(|cell| (count(cell) - expected).powi(2) / expected).sum();
    // 8 degrees of freedom: exceeded by chance once in 100,000.
    assert!(chi_square < 36.0, "joint actions are not uniform: chi-square {chi_square}");
    let first = actions.clone();
    learner.act(&step, ActMode::Explore(clock(1)), &mut actions).unwrap();
    assert_ne!(first, actions, "every step draws anew");
    // Epsilon 0.3 leaves 0.3 * 2/3 of the actions other than the best.
    learner.act(&step, ActMode::Explore(clock(5_000)), &mut actions).unwrap();
    let best = |row: usize| [1, 0][row & 1];
    let others = actions.discrete[0].iter().enumerate().filter(|&(row, &a)| a != best(row)).count() as f64;
    let n = 2.0 * n_envs as f64;
    assert!((others - 0.2 * n).abs() < 5.0 * (0.2 * 0.8 * n).sqrt(), "{others} of {n}");
    learner.act(&step, ActMode::Greedy, &mut actions).unwrap();
    assert!(actions.discrete[0].iter().enumerate().all(|(row, &a)| a == best(row)));
}

/// One reward and one end served all agents.
#[test]
fn one_reward_and_end_for_all_agents() {
    let mut batch = one_transition();
    batch.groups[0].discount.copy_from_slice(&[0.0, 0.5]);
    assert_eq!(td_abs_each(&mut *fixed("iql", VALUES, VALUES), &batch), [9.0, 16.5]);
    let (transitions, batch) = replayed_cartpole();
    let mut apart = 0;
    for (row, id) in batch.ids.iter().enumerate() {
        let truth = &transitions[*id as usize];
        let columns = &batch.groups[0];
        assert_eq!(columns.valid[row * 2..][..2], truth.alive);
        assert_eq!(columns.reward[row * 2..][..2], truth.reward);
        let discount = &columns.discount[row * 2..][..2];
        for (agent, d) in discount.iter().enumerate() {
            assert_eq!(*d, if truth.goes_on[agent] { 0.5 } else { 0.0 });
        }
        apart += usize::from(discount[0] != discount[1]);
    }
    assert!(apart > 0, "one pole fell while the other stood");
}

/// The loop trained before the buffer held a batch.
#[test]
fn training_before_a_batch_is_stored() {
    let grad_steps_after = |env_steps| {
        let mut setup = Setup::new("climbing", "iql");
        setup.run.env_steps = env_steps;
        setup.run.learning_starts = 0;
        setup.run.batch_size = 32;
        let mut run = setup.build();
        train(&mut run, None, &mut Silent).unwrap();
        run.learner().grad_steps()
    };
    assert_eq!([31, 32, 33].map(grad_steps_after), [0, 1, 2]);
}

/// What happened in one step of one environment.
struct Truth {
    obs: [f32; 8],
    action: [u32; 2],
    reward: [f32; 2],
    alive: [bool; 2],
    /// Whose process went on; what happens to a dead agent goes nowhere.
    goes_on: [bool; 2],
    /// `None` where the episode ended by itself.
    next_obs: Option<[f32; 8]>,
}

/// Three copies of two carts under random actions: what happened, by id, and a batch of what replay says.
fn replayed_cartpole() -> (Vec<Truth>, Batch) {
    let mut setup = Setup::new("cartpole", "iql");
    setup.options = json!({"max_steps": 12});
    let mut env = setup.environment(3);
    let spec = env.spec().clone();
    let mut replay =
        Replay::new(&spec, ReplayConfig { gamma: 0.5, ..ReplayConfig::uniform(900, 3) }).unwrap();
    let (mut step, mut actions) = (StepBatch::new(&spec, 3), ActionBatch::new(&spec, 3));
    env.reset(5, &mut step).unwrap();
    replay.begin(&step).unwrap();
    let mut rng = Stream::new(6, Purpose::Explore, 0, 0);
    let mut transitions = Vec::new();
    for _ in 0..300 {
        let before = step.clone();
        actions.discrete[0].iter_mut().for_each(|a| *a = rng.below(2));
        env.step(&actions, &mut step).unwrap();
        replay.push(&actions, &step).unwrap();
        for e in 0..3 {
            let (old, new) = (&before.groups[0], &step.groups[0]);
            let pair = |i: usize| e * 2 + i;
            let next = if step.is_first[e] { &new.final_obs } else { &new.obs };
            let by_itself = step.is_first[e] && !step.truncated[e];
            transitions.push(Truth {
                obs: old.obs[e * 8..][..8].try_into().unwrap(),
                action: [0, 1].map(|i| actions.discrete[0][pair(i)]),
                reward: [0, 1].map(|i| new.reward[pair(i)]),
                alive: [0, 1].map(|i| old.alive[pair(i)]),
                goes_on: [0, 1].map(|i| old.alive[pair(i)] && !new.terminated[pair(i)]),
                next_obs: (!by_itself).then(|| next[e * 8..][..8].try_into().unwrap()),
            });
        }
    }
    let mut batch = Batch::new(&spec, 512);
    replay.sample(&mut Stream::new(7, Purpose::Replay, 0, 0), 512, 0.0, &mut batch).unwrap();
    (transitions, batch)
}
