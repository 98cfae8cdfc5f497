//! `marl_qmix`: the monotonic mixing network with its gradients, and the sum beside it. `marl_q_learner`: targets, loss
//! and gradients of a team's value from tables of agents' values.

use coact_algorithms::decomposition::{DecompositionSettings, GroupValues, Method, Rule, TeamValue};
use coact_core::{ActionSpace, EnvSpec, GroupSpec, ObsField, RewardKind};
use coact_kernels::{Backend, CpuOptions, Loss};
use coact_nets::{Mixer, MixerInput, MixerKind, MixerShape, NamedTensor, QmixWidths};
use coact_replay::Rollout;
use serde_json::Value;

use super::case::{count, field, number, single};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-5;

/// A table of any depth: its dimensions and its numbers, row-major.
fn tensor(value: &Value, name: &str, depth: usize) -> Result<(Vec<usize>, Vec<f64>), Fault> {
    fn walk(value: &Value, shape: &mut [Option<usize>], out: &mut Vec<f64>) -> Option<()> {
        let Some((size, rest)) = shape.split_first_mut() else {
            let number = value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))))?;
            out.push(Some(number).filter(|v| v.is_finite() && v.abs() < 1e30)?);
            return Some(());
        };
        let items = value.as_array()?;
        if *size.get_or_insert(items.len()) != items.len() {
            return None;
        }
        items.iter().try_for_each(|item| walk(item, rest, out))
    }
    let (mut shape, mut out) = (vec![None; depth], Vec::new());
    walk(field(value, name)?, &mut shape, &mut out)
        .ok_or_else(|| format!("field `{name}` is not a table of {depth} dimensions"))?;
    let shape: Vec<usize> = shape.into_iter().map(|s| s.unwrap_or(0)).collect();
    match shape.contains(&0) {
        true => Err(format!("field `{name}` is empty")),
        false => Ok((shape, out)),
    }
}

/// A table of these dimensions.
fn tensor_of(value: &Value, name: &str, shape: &[usize]) -> Result<Vec<f64>, Fault> {
    let (own, numbers) = tensor(value, name, shape.len())?;
    match own == shape {
        true => Ok(numbers),
        false => Err(format!("field `{name}` is {own:?}, {shape:?} belongs there")),
    }
}

pub(crate) fn check_qmix(case: &mut Case<'_>) -> Result<(), Fault> {
    let value = case.value;
    let (q_shape, q) = tensor(value, "agent_qs", 3)?;
    let (state_shape, state) = tensor(value, "states", 3)?;
    let (rows, n_agents, state_width) = (q_shape[0] * q_shape[1], q_shape[2], state_shape[2]);
    let named = (count(value, "n_agents")?, count(value, "state_dim")?);
    if state_shape[..2] != q_shape[..2] || named != (n_agents, state_width) {
        return Err(format!("`agent_qs` {q_shape:?} and `states` {state_shape:?} do not fit {named:?}"));
    }
    let embed = count(value, "embed")?;
    let hypernet = match count(value, "hypernet_layers")? {
        1 => None,
        2 => Some(count(value, "hypernet_embed")?),
        more => {
            case.not_covered(format!("hypernetworks of {more} layers"));
            return Ok(());
        }
    };
    if embed > 1024 || hypernet > Some(1024) {
        return Err(format!("a mixing network of {embed} units and {hypernet:?} is too large"));
    }
    let shape = MixerShape { n_agents, state: state_width, joint: 1 };
    let kind = MixerKind::Qmix(QmixWidths { embed, hypernet });
    let mut mixer = Mixer::new(kind, shape).map_err(|e| e.to_string())?;
    let params = parameters(&mixer, field(value, "weights")?)?;
    let mut backend = Backend::cpu(CpuOptions::default()).map_err(|e| e.to_string())?;
    let (q, state) = (single(&q), single(&state));
    let input = MixerInput { rows, q: &q, best_q: &[], state: &state, joint: &[] };
    let mut total = vec![0.0; rows];
    mixer.forward(&mut backend, &params, input, &mut total).map_err(|e| e.to_string())?;
    let expected = tensor_of(value, "q_tot", &q_shape[..2])?;
    case.all_close("q_tot", &total, &expected, TOLERANCE);
    let loss = total.iter().map(|&t| f64::from(t).powi(2)).sum::<f64>() / rows as f64;
    case.close("loss_mean_sq", loss, number(value, "loss_mean_sq")?, TOLERANCE);
    let d_total: Vec<f32> = total.iter().map(|t| 2.0 * t / rows as f32).collect();
    let (mut grads, mut d_q) = (vec![0.0; params.len()], vec![0.0; q.len()]);
    let backward = mixer.backward(&mut backend, &params, input, &d_total, &mut grads, &mut d_q);
    backward.map_err(|e| e.to_string())?;
    let expected = tensor_of(value, "grad_agent_qs", &q_shape)?;
    case.all_close("grad_agent_qs", &d_q, &expected, TOLERANCE);
    let expected = parameters(&mixer, field(value, "grads")?)?;
    let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
    case.all_close("grads", &grads, &expected, TOLERANCE);
    let rising = d_q.chunks(n_agents).zip(&total).all(|(d, &t)| d.iter().all(|d| d * t >= 0.0));
    case.check(rising, || "the total falls with an agent's value".into());
    if value.get("vdn_q_tot").is_some() {
        let mut sum = Mixer::new(MixerKind::Sum, shape).map_err(|e| e.to_string())?;
        sum.forward(&mut backend, &[], input, &mut total).map_err(|e| e.to_string())?;
        let expected = tensor_of(value, "vdn_q_tot", &q_shape[..2])?;
        case.all_close("vdn_q_tot", &total, &expected, TOLERANCE);
    }
    Ok(())
}

/// Recorded tensors by their PyTorch names as the mixer's flat parameters.
fn parameters(mixer: &Mixer, recorded: &Value) -> Result<Vec<f32>, Fault> {
    let mut params = vec![0.0; mixer.param_count()];
    let mut tensors = Vec::new();
    for NamedTensor { name, shape, .. } in mixer.to_torch(&params) {
        let values = single(&tensor_of(recorded, &name, &shape)?);
        tensors.push(NamedTensor { name, shape, values });
    }
    let find = |name: &str| tensors.iter().find(|t| t.name == name);
    mixer
        .from_torch(|name| find(name).map(|t| (&t.shape[..], &t.values[..])), &mut params)
        .map_err(|e| e.to_string())?;
    Ok(params)
}

/// Sizes of a recorded batch: episodes, steps with a next one, agents, actions.
#[derive(Clone, Copy)]
struct Sizes {
    b: usize,
    t: usize,
    a: usize,
    n: usize,
}

impl Sizes {
    /// From `[B, T, ..]` as recorded to `[T, B, ..]` as learned from, or back.
    fn turn<X: Copy>(self, values: &[X], steps: usize, back: bool) -> Vec<X> {
        let width = values.len() / (self.b * steps);
        let (outer, inner) = if back { (self.b, steps) } else { (steps, self.b) };
        let pairs = (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i)));
        pairs.flat_map(|(o, i)| values[(i * outer + o) * width..][..width].iter().copied()).collect()
    }
}

pub(crate) fn check_q_learner(case: &mut Case<'_>) -> Result<(), Fault> {
    let value = case.value;
    let method = match value.get("mixer").map(|m| m.as_str()) {
        Some(Some("vdn")) => Method::Vdn,
        Some(None | Some("none" | "iql" | "independent")) => Method::Iql,
        Some(Some(other)) => {
            case.not_covered(format!("mixer {other}"));
            return Ok(());
        }
        None => return Err("field `mixer` is missing".into()),
    };
    let double_q = field(value, "double_q")?.as_bool().ok_or("field `double_q` is not a bool")?;
    let gamma = number(value, "gamma")?;
    let (shape, online) = tensor(value, "q_online", 4)?;
    let sizes = Sizes { b: shape[0], t: shape[1] - 1, a: shape[2], n: shape[3] };
    if sizes.t == 0 {
        return Err("one observation makes no step".into());
    }
    let target = tensor_of(value, "q_target", &shape)?;
    let rollout = rollout_of(case, sizes, gamma)?;
    let spec = spec_of(sizes);
    let rule = Rule { method, double_q, lambda: 0.0, loss: Loss::Squared, ..rule_of(method) };
    let settings = DecompositionSettings::default();
    let mut team = TeamValue::new(&spec, rule, &settings).map_err(|e| e.to_string())?;
    let mut backend = Backend::cpu(CpuOptions::default()).map_err(|e| e.to_string())?;
    let mut values = [GroupValues {
        n_agents: sizes.a,
        n_actions: sizes.n,
        learned: single(&sizes.turn(&online, sizes.t + 1, false)),
        target: single(&sizes.turn(&target, sizes.t + 1, false)),
        grad: Vec::new(),
    }];
    let targets = team.targets(&mut backend, &[], &rollout, &values).map_err(|e| e.to_string())?.to_vec();
    let targets = sizes.turn(&targets, sizes.t, true);
    let mut expected = vec![sizes.b, sizes.t];
    if method == Method::Iql {
        expected.push(sizes.a);
    }
    let expected = tensor_of(value, "targets", &expected)?;
    case.all_close("targets", &targets, &expected, TOLERANCE);
    let stats = team.learn(&mut backend, &[], &rollout, &mut values, &[], &mut []);
    let stats = stats.map_err(|e| e.to_string())?;
    case.close("loss", f64::from(stats.loss), number(value, "loss")?, TOLERANCE);
    let grad = sizes.turn(&values[0].grad, sizes.t + 1, true);
    let expected = tensor_of(value, "grad_q_online", &shape)?;
    case.all_close("grad_q_online", &grad, &expected, TOLERANCE);
    Ok(())
}

fn rule_of(method: Method) -> Rule {
    Rule::new(method, &DecompositionSettings::default())
}

fn spec_of(sizes: Sizes) -> EnvSpec {
    EnvSpec {
        name: "recorded".into(),
        version: 1,
        groups: vec![GroupSpec {
            name: "agent".into(),
            n_agents: sizes.a,
            obs: vec![ObsField::unbounded("nothing", 1)],
            action: ActionSpace::Discrete { n: sizes.n },
            masked: true,
        }],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

/// The recorded batch as a rollout. A step counts if it was filled and no step before it ended the episode.
fn rollout_of(case: &mut Case<'_>, sizes: Sizes, gamma: f64) -> Result<Rollout, Fault> {
    let (value, Sizes { b, t, a, n }) = (case.value, sizes);
    let rewards = tensor_of(value, "rewards", &[b, t])?;
    let terminated = tensor_of(value, "terminated", &[b, t])?;
    let filled = tensor_of(value, "filled", &[b, t + 1])?;
    let actions = tensor_of(value, "actions", &[b, t, a])?;
    let avail = tensor_of(value, "avail", &[b, t + 1, a, n])?;
    if actions.iter().any(|&action| action < 0.0 || action >= n as f64 || action.fract() != 0.0) {
        return Err(format!("`actions` holds what is none of {n} actions"));
    }
    if [&terminated, &filled, &avail].into_iter().flatten().any(|&flag| flag != 0.0 && flag != 1.0) {
        return Err("`terminated`, `filled` or `avail` holds what is neither 0 nor 1".into());
    }
    if avail.chunks(n).any(|row| row.iter().all(|&a| a == 0.0)) {
        return Err("`avail` leaves an agent without an action".into());
    }
    let counts = |e: usize, s: usize| {
        let goes_on = s == 0 || terminated[e * t + s - 1] == 0.0;
        f64::from(u8::from(filled[e * (t + 1) + s] != 0.0 && goes_on))
    };
    let mask: Vec<f64> =
        (0..b).flat_map(|e| (0..t).map(move |s| (e, s))).map(|(e, s)| counts(e, s)).collect();
    case.all_close("mask_used", &mask, &tensor_of(value, "mask_used", &[b, t])?, 0.0);
    let mut rollout = Rollout::new(&spec_of(sizes), t, b);
    let discounts: Vec<f32> = terminated.iter().map(|&end| (gamma * (1.0 - end)) as f32).collect();
    rollout.team_reward = single(&sizes.turn(&rewards, t, false));
    rollout.team_discount = sizes.turn(&discounts, t, false);
    let each = |values: &[f32]| values.iter().flat_map(|&v| std::iter::repeat_n(v, a)).collect::<Vec<_>>();
    let group = &mut rollout.groups[0];
    group.reward = each(&rollout.team_reward);
    group.discount = each(&rollout.team_discount);
    let mask: Vec<f32> = single(&sizes.turn(&mask, t, false));
    group.valid = each(&mask).iter().map(|&m| m > 0.0).collect();
    group.action = sizes.turn(&actions, t, false).iter().map(|&action| action as u32).collect();
    let words = n.div_ceil(32);
    group.mask.fill(0);
    for (row, legal) in sizes.turn(&avail, t + 1, false).chunks(n).enumerate() {
        for action in (0..n).filter(|&action| legal[action] != 0.0) {
            group.mask[row * words + action / 32] |= 1 << (action % 32);
        }
    }
    Ok(rollout)
}
