//! `rl_nstep` through a whole replay, and `rl_per` through the sums of priorities and through a whole replay.

use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{
    Batch, LEAF_SCALE_BITS, Prioritized, PrioritySums, Replay, ReplayConfig, importance_weights, leaf_of,
};

use super::case::{bools_of, count, field, indices, number, numbers, numbers_of};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-5;

/// One agent that sees the number of the moment.
fn spec() -> EnvSpec {
    let alone = GroupSpec {
        name: "alone".into(),
        n_agents: 1,
        obs: vec![ObsField::unbounded("moment", 1)],
        action: ActionSpace::Discrete { n: 1 },
        masked: false,
    };
    EnvSpec {
        name: "recorded".into(),
        version: 1,
        groups: vec![alone],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::PerAgent,
    }
}

/// A replay of `n` transitions with the given steps `(reward, terminated, truncated)`, all of which can be sampled.
fn fill(config: ReplayConfig, steps: &[(f64, bool, bool)]) -> Result<Replay, Fault> {
    let spec = spec();
    let (n_step, words) = (config.n_step, |e: coact_replay::Error| e.to_string());
    let mut replay = Replay::new(&spec, config).map_err(words)?;
    let mut step = StepBatch::new(&spec, 1);
    replay.begin(&step).map_err(words)?;
    let actions = ActionBatch::new(&spec, 1);
    // What follows only completes the last transitions.
    let padding = std::iter::repeat_n(&(0.0, true, false), n_step - 1);
    for (i, &(reward, terminated, truncated)) in steps.iter().chain(padding).enumerate() {
        let group = &mut step.groups[0];
        (group.obs[0], group.final_obs[0]) = ((i + 1) as f32, (i + 1) as f32);
        (group.reward[0], group.terminated[0]) = (reward as f32, terminated);
        step.truncated[0] = truncated;
        step.is_first[0] = terminated || truncated;
        replay.push(&actions, &step).map_err(words)?;
    }
    Ok(replay)
}

pub(crate) fn check_n_step(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let rewards = numbers(v, "rewards")?;
    let (length, n_step) = (rewards.len(), count(v, "n")?);
    if length == 0 {
        return Err("field `rewards` is empty".into());
    }
    let (terminated, truncated) = (bools_of(v, "terminated", length)?, bools_of(v, "truncated", length)?);
    // The newest transition stops the window like a truncation.
    let step = |i: usize| (rewards[i], terminated[i], truncated[i] || (i + 1 == length && !terminated[i]));
    let steps: Vec<_> = (0..length).map(step).collect();
    let config = ReplayConfig {
        capacity: length.max(n_step.saturating_add(1)),
        n_step,
        gamma: number(v, "gamma")? as f32,
        // Equal priorities: a batch of all draws each once, in order.
        prioritized: Some(Prioritized { alpha: 0.0, eps: 0.0 }),
        ..ReplayConfig::uniform(1, 1)
    };
    let replay = fill(config, &steps)?;
    let mut batch = Batch::new(&spec(), length);
    let mut rng = Stream::new(0, Purpose::Replay, 0, 0);
    replay.sample(&mut rng, length, 0.0, &mut batch).map_err(|e| e.to_string())?;
    case.check(batch.ids.iter().copied().eq(0..length as u64), || {
        "not every transition was drawn once".into()
    });
    let columns = &batch.groups[0];
    let returns = numbers_of(v, "n_step_return", length)?;
    case.all_close("n_step_return", &columns.reward, &returns, TOLERANCE);
    case.all_close("n_step_return of the team", &batch.team_reward, &returns, TOLERANCE);
    let no_bootstrap = bools_of(v, "no_bootstrap", length)?;
    let discounts = numbers_of(v, "bootstrap_discount", length)?;
    let observations = numbers_of(v, "bootstrap_obs_index", length)?;
    for i in 0..length {
        let expected = if no_bootstrap[i] { 0.0 } else { discounts[i] };
        case.close(&format!("discount {i}"), columns.discount[i].into(), expected, TOLERANCE);
        case.close(&format!("team discount {i}"), batch.team_discount[i].into(), expected, TOLERANCE);
        if !no_bootstrap[i] {
            case.close(&format!("next observation {i}"), columns.next_obs[i].into(), observations[i], 0.0);
        }
    }
    Ok(())
}

pub(crate) fn check_priorities(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let (alpha, beta) = (number(v, "alpha")? as f32, number(v, "beta")? as f32);
    let priorities = numbers(v, "priorities")?;
    let n = priorities.len();
    if n == 0 || n > 1 << 24 || priorities.iter().any(|&p| p < 0.0) || alpha < 0.0 || beta < 0.0 {
        return Err("priorities, alpha and beta must not be negative, nor `priorities` empty".into());
    }
    let uniforms = numbers(v, "uniforms_in_0_1")?;
    if uniforms.is_empty() || uniforms.iter().any(|u| !(0.0..1.0).contains(u)) {
        return Err("field `uniforms_in_0_1` is empty or leaves [0, 1)".into());
    }
    let scale = 1.0 / f64::from(1 << LEAF_SCALE_BITS);
    let mut sums = PrioritySums::with_minimum(n);
    sums.set_each(priorities.iter().enumerate().map(|(i, &p)| (i, leaf_of(p as f32, 0.0, alpha))));
    case.close("sum", sums.total() as f64 * scale, number(v, "sum")?, TOLERANCE);
    let least = sums.minimum().unwrap_or(1);
    case.close("smallest leaf", f64::from(least) * scale, number(v, "min_leaf_before_update")?, TOLERANCE);
    let shares: Vec<f64> = sums.leaves().iter().map(|&l| f64::from(l) / sums.total() as f64).collect();
    case.all_close("probabilities", &shares, &numbers_of(v, "probabilities", n)?, TOLERANCE);
    let drawn = draw(case, "stratified_indices", &sums, &uniforms, n)?;
    let leaves: Vec<u32> = drawn.iter().map(|&i| sums.get(i as usize)).collect();
    let least_drawn = leaves.iter().copied().min().unwrap_or(1);
    let names = [("is_weights_norm_by_buffer_max", least), ("is_weights_norm_by_batch_max", least_drawn)];
    for (name, least) in names {
        let mut weights = vec![0.0; leaves.len()];
        importance_weights(&leaves, least, beta, &mut weights);
        case.all_close(name, &weights, &numbers_of(v, name, leaves.len())?, TOLERANCE);
    }
    let changed = indices(v, "update_indices", n)?;
    let values = numbers_of(v, "update_priorities", changed.len())?;
    sums.set_each(changed.iter().zip(&values).map(|(&i, &p)| (i, leaf_of(p.abs() as f32, 0.0, alpha))));
    case.close(
        "sum after the update",
        sums.total() as f64 * scale,
        number(v, "sum_after_update")?,
        TOLERANCE,
    );
    draw(case, "stratified_indices_after_update", &sums, &uniforms, n)?;
    for probe in field(v, "prefix_probes")?.as_array().ok_or("field `prefix_probes` is not a list")? {
        let (mass, index) = (number(probe, "mass")?, count(probe, "index")?);
        let mass = ((mass / scale) as u64).min(sums.total() - 1);
        let found = sums.find(mass);
        case.check(found == index, || format!("mass {mass} falls on {found}, recorded {index}"));
    }
    whole_replay(case, alpha, beta, &priorities)
}

/// Draws with the recorded uniforms and compares with the recorded indices.
fn draw(
    case: &mut Case<'_>,
    name: &str,
    sums: &PrioritySums,
    uniforms: &[f64],
    n: usize,
) -> Result<Vec<u64>, Fault> {
    let mut rest = uniforms.iter();
    let mut drawn = vec![0; uniforms.len()];
    sums.stratified(|piece| piece.fill_with(|| rest.next().copied().unwrap_or(0.0)), &mut drawn);
    let expected = indices(case.value, name, n)?;
    let same = drawn.iter().map(|&i| i as usize).eq(expected.iter().copied());
    case.check(same, || format!("{name}: {drawn:?}, recorded {expected:?}"));
    Ok(drawn)
}

/// Weights of a batch that a replay draws by itself, from the recorded probabilities.
fn whole_replay(case: &mut Case<'_>, alpha: f32, beta: f32, priorities: &[f64]) -> Result<(), Fault> {
    let n = priorities.len();
    let prioritized = Some(Prioritized { alpha, eps: 0.0 });
    let config = ReplayConfig { prioritized, ..ReplayConfig::uniform(n.max(2), 1) };
    let mut replay = fill(config, &vec![(0.0, false, false); n])?;
    let ids: Vec<u64> = (0..n as u64).collect();
    let td_abs: Vec<f32> = priorities.iter().map(|&p| p as f32).collect();
    replay.update_priorities(&ids, &td_abs).map_err(|e| e.to_string())?;
    let mut batch = Batch::new(&spec(), n);
    let mut rng = Stream::new(0, Purpose::Replay, 0, 0);
    replay.sample(&mut rng, n, beta, &mut batch).map_err(|e| e.to_string())?;
    let shares = numbers_of(case.value, "probabilities", n)?;
    let raw = |&id: &u64| (n as f64 * shares[id as usize]).powf(-f64::from(beta));
    let largest = batch.ids.iter().map(raw).fold(0.0, f64::max);
    let expected: Vec<f64> = batch.ids.iter().map(|id| raw(id) / largest).collect();
    case.all_close("weights of a replay", &batch.weight, &expected, TOLERANCE);
    Ok(())
}
