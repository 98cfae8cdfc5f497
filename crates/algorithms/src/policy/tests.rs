//! Gradients of whole losses against finite differences of the networks' parameters.

use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_kernels::{Backend, CpuOptions};
use coact_replay::{Rollout, RolloutRecorder};
use serde_json::{Value, json};

use super::group::Sums;
use super::network::Window;
use super::*;

/// A group of masked discrete actions and one of continuous actions (not for coma).
fn spec(rule: Rule) -> EnvSpec {
    let group = |name: &str, n_agents, width, action, masked| GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", width)],
        action,
        masked,
    };
    let other = match rule {
        Rule::Coma => ActionSpace::Discrete { n: 2 },
        _ => ActionSpace::Continuous { width: 2, low: -1.0, high: 2.0 },
    };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: vec![
            group("two", 2, 3, ActionSpace::Discrete { n: 3 }, true),
            group("one", 1, 2, other, false),
        ],
        state_width: 0,
        episode_limit: Some(4),
        reward: RewardKind::PerAgent,
    }
}

const N_ENVS: usize = 3;
const N_STEPS: usize = 5;

fn learner(rule: Rule, more: Value) -> PolicyLearner {
    let mut settings = json!({
        "hidden": [5], "cell_width": 4, "actor_output_gain": 1.0, "ent_coef": 0.3, "vf_coef": 0.7,
        "minibatches": 1,
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let context = BuildContext {
        spec: &spec(rule),
        n_envs: N_ENVS,
        seed: 3,
        total_env_steps: 1_000,
        total_grad_steps: 1,
        rollout_steps: N_STEPS,
        gamma: 0.9,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings: &settings,
    };
    PolicyLearner::new(rule, context).unwrap()
}

/// Random steps, with episodes that end by themselves and by time limits, and agents that stop before the others.
fn rollout(learner: &mut PolicyLearner) -> Rollout {
    let spec = spec(learner.rule);
    let mut recorder = RolloutRecorder::new(&spec, N_STEPS, N_ENVS, 0.9).unwrap();
    let (mut step, mut actions) = (StepBatch::new(&spec, N_ENVS), ActionBatch::new(&spec, N_ENVS));
    let mut rng = Stream::new(1, Purpose::Reset, 0, 0);
    let mut scramble = |step: &mut StepBatch| {
        for columns in &mut step.groups {
            for values in [&mut columns.obs, &mut columns.final_obs, &mut columns.reward] {
                values.iter_mut().for_each(|v| *v = rng.normal() as f32);
            }
            columns.mask.iter_mut().for_each(|m| *m = 0b101 | rng.next_u32() & 0b010);
        }
    };
    scramble(&mut step);
    recorder.begin(&step, learner.memory()).unwrap();
    for t in 0..N_STEPS as u64 {
        let clock = Clock { vector_steps: t, ..Clock::default() };
        learner.act(&step, ActMode::Explore(clock), &mut actions).unwrap();
        scramble(&mut step);
        step.is_first = vec![t == 1, false, t == 2];
        step.truncated = vec![t == 1, false, false];
        for columns in &mut step.groups {
            columns.terminated.fill(false);
            columns.alive.fill(true);
        }
        // The first agent of environment 1 is out from step 3 on.
        step.groups[0].terminated[2] = t == 2;
        step.groups[0].alive[2] = t < 2;
        recorder.push(&actions, &step).unwrap();
    }
    recorder.rollout().clone()
}

/// The loss of everything in the window, from the means of each network's rows.
fn losses(learner: &mut PolicyLearner, rollout: &Rollout, window: Window<'_>) -> f64 {
    let (ent_coef, vf_coef) = (f64::from(learner.settings.ent_coef), f64::from(learner.settings.vf_coef));
    let factor: Vec<f32> = (0..N_STEPS * N_ENVS).map(|i| 0.5 + 0.1 * i as f32).collect();
    let factor = (learner.rule == Rule::Happo).then_some(&factor[..]);
    let mut total = 0.0;
    let mut add = |sums: Sums| {
        let actor = sums.policy_loss - ent_coef * sums.entropy;
        total += actor / sums.actor_rows.max(1.0) + vf_coef * sums.value_loss / sums.critic_rows.max(1.0);
    };
    for g in 0..learner.groups.len() {
        for set in 0..learner.groups[g].actor.sets.len() {
            let mut progress = train::Progress::default();
            learner.actor_rows(g, set, window, rollout, factor, &mut progress).unwrap();
            add(progress.sums);
        }
        for set in 0..learner.groups[g].critic.as_ref().map_or(0, |critic| critic.network.sets.len()) {
            let mut progress = train::Progress::default();
            learner.critic_rows(g, set, window, rollout, &mut progress).unwrap();
            add(progress.sums);
        }
    }
    total
}

fn assert_gradient(rule: Rule, more: Value) {
    let mut learner = learner(rule, more.clone());
    let rollout = rollout(&mut learner);
    learner.prepare(&rollout).unwrap();
    // Elsewhere than where the rollout was made, so that ratios and clipped values differ from 1 and 0.
    let mut rng = Stream::new(2, Purpose::Init, 0, 0);
    learner.params.iter_mut().for_each(|p| *p += 0.1 * rng.normal() as f32);
    let recurrent = learner.settings.cell != CellSetting::None;
    let positions: Vec<u32> =
        (0..N_STEPS * N_ENVS).filter(|i| i % N_ENVS != 1 || !recurrent).map(|i| i as u32).collect();
    let window = Window::of(&positions, if recurrent { N_STEPS } else { 1 }, N_ENVS);
    losses(&mut learner, &rollout, window);
    let gradient = learner.grads.clone();
    let largest = gradient.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    assert!(largest > 1e-2, "{rule:?} {more}: nothing pulls");
    let mut bent = 0;
    for (i, &analytic) in gradient.iter().enumerate() {
        let own = learner.params[i];
        let mut slope = |h: f32| {
            learner.params[i] = own + h;
            let above = losses(&mut learner, &rollout, window);
            learner.params[i] = own - h;
            let below = losses(&mut learner, &rollout, window);
            learner.params[i] = own;
            (above - below) / (2.0 * f64::from(h))
        };
        let (numeric, near) = (slope(2e-3), slope(5e-4));
        let allowed = 2e-3 * f64::from(largest.max(1.0));
        // Where a ratio or a value passes the edge of its clip between the two, there is no slope to compare with.
        if (numeric - near).abs() > allowed {
            bent += 1;
            continue;
        }
        let error = (f64::from(analytic) - numeric).abs();
        assert!(error < allowed, "{rule:?} {more}: parameter {i}: {analytic}, differences {numeric}");
    }
    assert!(bent <= gradient.len() / 20, "{rule:?} {more}: {bent} of {} parameters", gradient.len());
}

#[test]
fn gradients_of_log_probabilities_and_critics() {
    for rule in [Rule::Reinforce, Rule::Ia2c, Rule::Maa2c, Rule::Coma] {
        assert_gradient(rule, json!({}));
        assert_gradient(rule, json!({"sharing": "separate", "cell": "gru"}));
    }
}

#[test]
fn gradients_of_surrogates_and_clipped_values() {
    for rule in [Rule::Ippo, Rule::Mappo, Rule::Happo] {
        assert_gradient(rule, json!({"sharing": "separate"}));
        assert_gradient(rule, json!({"sharing": "separate", "cell": "lstm", "clip_eps": 0.05}));
    }
    assert_gradient(Rule::Ippo, json!({"continuous_distribution": "gaussian"}));
}
