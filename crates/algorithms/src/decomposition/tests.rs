//! Targets by hand, and gradients of every method's loss against central differences.

use coact_core::{ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, Stream};
use coact_kernels::{Backend, CpuOptions, Loss};
use coact_nets::Init;
use coact_replay::Rollout;

use super::*;

fn spec(groups: &[(usize, usize)], state_width: usize) -> EnvSpec {
    let group = |&(n_agents, n): &(usize, usize)| GroupSpec {
        name: format!("of {n}"),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", 2)],
        action: ActionSpace::Discrete { n },
        masked: false,
    };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: groups.iter().map(group).collect(),
        state_width,
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

fn backend() -> Backend {
    Backend::cpu(CpuOptions::default()).unwrap()
}

fn settings() -> DecompositionSettings {
    DecompositionSettings {
        mixing_embed: 5,
        hypernet_embed: 6,
        joint_hidden: vec![7],
        ..DecompositionSettings::default()
    }
}

/// Five steps of one agent: a time limit after the second, an end after the fourth.
#[test]
fn targets_bootstrap_through_time_limits_and_stop_at_ends() {
    let mut rollout = Rollout::new(&spec(&[(1, 2)], 0), 5, 1);
    rollout.team_reward = vec![1.0, 2.0, 3.0, 4.0, 5.0];
    rollout.team_discount = vec![0.5, 0.5, 0.5, 0.0, 0.5];
    rollout.is_first = vec![true, false, true, false, true, false];
    rollout.ends = vec![(1, 0)];
    let group = &mut rollout.groups[0];
    group.reward.clone_from(&rollout.team_reward);
    group.discount.clone_from(&rollout.team_discount);
    group.valid.fill(true);
    group.final_obs = vec![0.0; 2];
    // The learned networks prefer action 1 in odd rows only; row 6 is the last observation before the time limit.
    let learned = (0..7).flat_map(|row| [0.5, (row % 2) as f32]).collect();
    let target = (0..7).flat_map(|row| [10.0 * row as f32, 10.0 * row as f32 + 1.0]).collect();
    let values = [GroupValues { n_agents: 1, n_actions: 2, learned, target, grad: Vec::new() }];
    let targets = |method, double_q, lambda, burn_in| {
        let rule = Rule { double_q, lambda, ..Rule::new(method, &settings()) };
        let mut team = TeamValue::new(&spec(&[(1, 2)], 0), rule, &settings()).unwrap();
        let rollout = Rollout { burn_in, ..rollout.clone() };
        team.targets(&mut backend(), &[], &rollout, &values).unwrap().to_vec()
    };
    for method in [Method::Iql, Method::Vdn] {
        // Next values by double Q: 11 (row 1), 60 (row 6), 31 (row 3), none, 51 (row 5).
        assert_eq!(targets(method, true, 0.0, 0), [6.5, 32.0, 18.5, 4.0, 30.5]);
        // By the highest target value: 61 in row 6.
        assert_eq!(targets(method, false, 0.0, 0), [6.5, 32.5, 18.5, 4.0, 30.5]);
        // Half of what follows within the episode: 1 + (11 + 32) / 4, and 3 + (31 + 4) / 4.
        assert_eq!(targets(method, true, 0.5, 0), [11.75, 32.0, 11.75, 4.0, 30.5]);
        assert_eq!(targets(method, true, 0.5, 2), [11.75, 4.0, 30.5]);
    }
}

/// Random steps of two unequal groups with an end, a time limit, agents that do not act, and a step of burn-in.
fn sample() -> (EnvSpec, Rollout, Vec<GroupValues>) {
    let spec = spec(&[(2, 3), (1, 4)], 3);
    let mut rollout = Rollout::new(&spec, 4, 2);
    let mut stream = Stream::new(5, Purpose::Replay, 0, 0);
    let mut draw = |n: usize| (0..n).map(|_| stream.range(-1.0, 1.0)).collect::<Vec<f32>>();
    rollout.burn_in = 1;
    rollout.state = draw(30);
    rollout.final_state = draw(3);
    rollout.ends = vec![(2, 1)];
    rollout.team_reward = draw(8);
    rollout.team_discount = vec![0.9; 8];
    rollout.team_discount[4] = 0.0;
    rollout.is_first = [0, 1, 6, 7].into_iter().fold(vec![false; 10], |mut first, at| {
        first[at] = true;
        first
    });
    let mut values = Vec::new();
    for group in &mut rollout.groups {
        let rows = group.reward.len();
        let (n_agents, n_actions) = if rows == 16 { (2, 3) } else { (1, 4) };
        group.reward = draw(rows);
        group.discount.fill(0.9);
        group.valid.fill(true);
        group.valid[rows / 2] = false;
        group.action.iter_mut().enumerate().for_each(|(i, a)| *a = (i * 7 % n_actions) as u32);
        group.final_obs = vec![0.0; n_agents * 2];
        let mut table = || draw((10 + 1) * n_agents * n_actions);
        values.push(GroupValues { n_agents, n_actions, learned: table(), target: table(), grad: Vec::new() });
    }
    (spec, rollout, values)
}

/// Each gradient lies between the slopes to both sides (they differ where a ReLU or an absolute value bends).
fn assert_slopes(what: &str, analytic: &[f32], mut loss: impl FnMut(usize, f32) -> f32) {
    const H: f32 = 2e-3;
    assert!(analytic.iter().any(|g| g.abs() > 1e-3), "{what}: no gradient at all");
    for (i, &found) in analytic.iter().enumerate() {
        let (below, here, above) = (loss(i, -H), loss(i, 0.0), loss(i, H));
        let (left, right) = ((here - below) / H, (above - here) / H);
        let slack = 1e-3 * found.abs().max(1.0);
        let between = left.min(right) - slack <= found && found <= left.max(right) + slack;
        assert!(between, "{what} {i}: {found}, not between {left} and {right}");
    }
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    let (spec, rollout, values) = sample();
    use Method::{CwQmix, Iql, OwQmix, Qmix, Qtran, Vdn};
    for (method, loss) in [
        (Iql, Loss::Squared),
        (Vdn, Loss::Huber { delta: 0.5 }),
        (Qmix, Loss::Squared),
        (CwQmix, Loss::Squared),
        (OwQmix, Loss::Squared),
        (Qtran, Loss::Squared),
    ] {
        let rule = Rule { loss, shared: method != Iql, ..Rule::new(method, &settings()) };
        let mut team = TeamValue::new(&spec, rule, &settings()).unwrap();
        let mut params = vec![0.0; team.param_count()];
        team.initialize(Init::Torch, 1, 0, 1.0, &mut params);
        let (mut cpu, mut values) = (backend(), values.clone());
        let target = team.targets(&mut cpu, &params, &rollout, &values).unwrap().to_vec();
        let mut grads = vec![0.0; params.len()];
        let stats = team.learn(&mut cpu, &params, &rollout, &mut values, &[], &mut grads).unwrap();
        assert!(stats.loss > 0.0 && team.priority().iter().all(|&p| p > 0.0), "{method:?}: {stats:?}");
        let mut run = |params: &[f32], values: &mut [GroupValues]| {
            let mut unused = vec![0.0; params.len()];
            team.learn_from(&mut cpu, params, &rollout, values, &target, &mut unused).unwrap().loss
        };
        for g in 0..values.len() {
            let analytic = values[g].grad.clone();
            assert_slopes(&format!("{method:?}, value of group {g}"), &analytic, |i, step| {
                let mut moved = values.clone();
                moved[g].learned[i] += step;
                run(&params, &mut moved)
            });
        }
        // QTRAN's other losses stop before the joint value, so that its slope is not a gradient of their sum.
        if matches!(method, Qmix | CwQmix | OwQmix) {
            assert_slopes(&format!("{method:?}, parameter"), &grads, |i, step| {
                let mut moved = params.clone();
                moved[i] += step;
                run(&moved, &mut values.clone())
            });
        }
    }
}

/// Random transitions of `spec`: masks, ends, agents that do not act.
fn transitions(spec: &EnvSpec, size: usize, seed: u64) -> Batch {
    let mut batch = Batch::new(spec, size);
    let mut stream = Stream::new(seed, Purpose::Replay, 0, 0);
    let draw = |stream: &mut Stream, to: &mut Vec<f32>| to.fill_with(|| stream.range(-1.0, 1.0));
    for (columns, group) in batch.groups.iter_mut().zip(&spec.groups) {
        let n = group.action.n_discrete() as u32;
        draw(&mut stream, &mut columns.obs);
        draw(&mut stream, &mut columns.next_obs);
        for mask in columns.mask.iter_mut().chain(&mut columns.next_mask) {
            *mask = stream.next_u32() | 1 << stream.below(n);
        }
        columns.action.fill_with(|| stream.below(n));
        columns.discount.fill_with(|| if stream.below(5) == 0 { 0.0 } else { 0.9 });
        columns.valid.fill_with(|| stream.below(6) > 0);
    }
    draw(&mut stream, &mut batch.state);
    draw(&mut stream, &mut batch.next_state);
    draw(&mut stream, &mut batch.team_reward);
    batch.team_discount.fill_with(|| if stream.below(5) == 0 { 0.0 } else { 0.9 });
    batch.weight.fill_with(|| stream.range(0.5, 1.0));
    batch
}

/// Next values of the kernel `td_target` and those of whole networks end in the same parameters, to the bit.
#[test]
fn transitions_are_learned_from_to_the_bits_of_a_rollout() {
    static OWN: Variant = Variant { name: "qmix", method: Method::Qmix, feed: Feed::Transitions };
    for (state_width, sharing, double_q, layer_norm) in
        [(3, "shared", true, false), (0, "separate", true, true), (3, "separate", false, false)]
    {
        let spec = spec(&[(2, 3), (1, 4)], state_width);
        let settings = serde_json::json!({
            "hidden": [17, 6], "mixing_embed": 9, "hypernet_embed": 7, "double_q": double_q,
            "layer_norm": layer_norm, "sharing": sharing, "target_network_update_freq": 3,
        });
        let learner = || {
            let context = BuildContext {
                spec: &spec,
                n_envs: 1,
                seed: 4,
                total_env_steps: 100,
                total_grad_steps: 100,
                rollout_steps: 1,
                gamma: 0.9,
                backend: backend(),
                settings: &settings,
            };
            let parsed = DecompositionSettings::parse(&OWN, &settings).unwrap();
            DecompositionLearner::new(&OWN, parsed, context).unwrap()
        };
        let (mut at_once, mut by_values) = (learner(), learner());
        assert!(at_once.at_once);
        by_values.at_once = false;
        let started = at_once.params.clone();
        for step in 0..7 {
            let batch = transitions(&spec, 300, step);
            let (mut one, mut other) = (vec![0.0; 300], vec![0.0; 300]);
            let stats = at_once.update(&batch, &mut one).unwrap();
            assert_eq!(stats, by_values.update(&batch, &mut other).unwrap());
            assert_eq!(one, other);
            let bits = |x: &[f32]| x.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&at_once.params), bits(&by_values.params), "step {step}, {settings}");
        }
        assert_ne!(at_once.params, started);
    }
}
