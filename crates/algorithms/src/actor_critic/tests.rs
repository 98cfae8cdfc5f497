//! Slopes against finite differences of the losses as the module's documentation states them, in plain f64, and targets
//! worked out by hand.

use coact_core::{ActionSpace, ObsField, RewardKind, Stream};
use coact_kernels::{CpuOptions, MlpShape, mlp_reference};
use coact_nets::distribution::gumbel;
use serde_json::{Value, json};

use super::*;

const N: usize = 5;

fn group(name: &str, n_agents: usize, width: usize, action: ActionSpace, masked: bool) -> GroupSpec {
    GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", width)],
        action,
        masked,
    }
}

/// Two continuous agents, and one or two discrete ones with illegal actions.
fn mixed() -> EnvSpec {
    let box_of_two = ActionSpace::Continuous { width: 2, low: -1.0, high: 3.0 };
    let groups = vec![
        group("movers", 2, 3, box_of_two, false),
        group("choosers", 2, 2, ActionSpace::Discrete { n: 3 }, true),
    ];
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups,
        state_width: 4,
        episode_limit: None,
        reward: RewardKind::PerAgent,
    }
}

fn variant(name: &str) -> Variant {
    [MADDPG_VARIANT, MATD3_VARIANT, MASAC_VARIANT, ISAC_VARIANT].into_iter().find(|v| v.name == name).unwrap()
}

fn learner(spec: &EnvSpec, algorithm: &str, settings: Value) -> ActorCritic {
    let settings = parse(variant(algorithm), &settings).unwrap();
    let context = BuildContext {
        spec,
        n_envs: 2,
        seed: 3,
        total_env_steps: 100,
        total_grad_steps: 100,
        rollout_steps: 1,
        gamma: 0.99,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings: &Value::Null,
    };
    ActorCritic::new(variant(algorithm), settings, context).unwrap()
}

/// Random columns; some rows do not count, some processes ended, some actions are illegal.
fn batch(spec: &EnvSpec, seed: u64) -> Batch {
    let mut batch = Batch::new(spec, N);
    let mut rng = Stream::new(seed, Purpose::Replay, 0, 0);
    for (columns, group) in batch.groups.iter_mut().zip(&spec.groups) {
        for values in [&mut columns.obs, &mut columns.next_obs, &mut columns.reward] {
            values.iter_mut().for_each(|v| *v = rng.normal() as f32);
        }
        columns.action.iter_mut().for_each(|a| *a = rng.below(2));
        if let ActionSpace::Continuous { low, high, .. } = group.action {
            columns.action_continuous.iter_mut().for_each(|a| *a = rng.range(low, high));
        }
        columns.mask.fill(0b011);
        columns.next_mask.fill(0b110);
        columns.discount.fill(0.9);
        columns.discount[1] = 0.0;
        columns.valid.fill(true);
        columns.valid[2] = false;
    }
    for values in [&mut batch.state, &mut batch.next_state] {
        values.iter_mut().for_each(|v| *v = rng.normal() as f32);
    }
    batch.weight.iter_mut().enumerate().for_each(|(b, w)| *w = 1.0 - 0.1 * b as f32);
    batch
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// One network on one row.
fn net(networks: &Networks, agent: usize, params: &[f64], row: &[f64]) -> Vec<f64> {
    let set = agent.min(networks.layout.n_sets - 1);
    let shape: &MlpShape = &networks.layout.shape.mlp;
    mlp_reference::forward(shape, &params[networks.set_range(set)], row).output
}

/// Everyone's actions of transition `b` as the family sees them: scaled or one-hot.
fn taken(spec: &EnvSpec, batch: &Batch, b: usize) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    for (g, group) in spec.groups.iter().enumerate() {
        for a in 0..group.n_agents {
            let row = b * group.n_agents + a;
            all.push(match group.action {
                ActionSpace::Discrete { n } => {
                    (0..n).map(|u| f64::from(u8::from(u as u32 == batch.groups[g].action[row]))).collect()
                }
                ActionSpace::Continuous { width, low, high } => {
                    let own = &batch.groups[g].action_continuous[row * width..(row + 1) * width];
                    own.iter().map(|c| f64::from((2.0 * c - low - high) / (high - low))).collect()
                }
            });
        }
    }
    all
}

/// A critic's row, written from the documentation: what is seen, what everyone does, the index where weights are shared.
fn critic_row(
    l: &ActorCritic,
    batch: &Batch,
    (g, a, b): (usize, usize, usize),
    mut acts: Vec<Vec<f64>>,
) -> Vec<f64> {
    let place = &l.places[g];
    let obs_of = |g: usize, a: usize| {
        let (n, d) = (l.places[g].n_agents, l.places[g].obs_width);
        wide(&batch.groups[g].obs[(b * n + a) * d..(b * n + a + 1) * d])
    };
    let agent: usize = l.places[..g].iter().map(|p| p.n_agents).sum::<usize>() + a;
    if l.settings.critic_input == Some(CriticInput::Own) {
        let own = if place.head == Head::Categorical { Vec::new() } else { acts.swap_remove(agent) };
        return [obs_of(g, a), own].concat();
    }
    if place.head == Head::Categorical {
        acts[agent].fill(0.0);
    }
    let mut row = match l.settings.critic_input {
        Some(CriticInput::State) => wide(&batch.state[b * 4..(b + 1) * 4]),
        _ => (0..2).flat_map(|g| (0..2).flat_map(move |a| obs_of(g, a))).collect(),
    };
    row.extend(acts.concat());
    if l.settings.sharing == Sharing::Shared {
        row.extend((0..2).map(|i| f64::from(u8::from(i == a))));
    }
    row
}

/// Fails where `grads` within `range` is not the slope of `loss` by central differences.
fn assert_slopes(
    what: &str,
    params: &[f32],
    grads: &[f32],
    range: std::ops::Range<usize>,
    loss: impl Fn(&[f64]) -> f64,
) {
    let mut at = wide(params);
    let numeric: Vec<f64> = range
        .clone()
        .map(|i| {
            let (before, h) = (at[i], 1e-5);
            at[i] = before + h;
            let above = loss(&at);
            at[i] = before - h;
            let below = loss(&at);
            at[i] = before;
            (above - below) / (2.0 * h)
        })
        .collect();
    let size = numeric.iter().map(|n| n * n).sum::<f64>().sqrt();
    assert!(size > 1e-3, "{what}: there is a slope to check: {size}");
    for (i, (n, g)) in numeric.iter().zip(&grads[range]).enumerate() {
        assert!((n - f64::from(*g)).abs() < 2e-5 * size, "{what}: parameter {i}: {g}, differences {n}");
    }
}

/// Every combination of what changes slopes.
fn cases() -> Vec<(&'static str, Value)> {
    let mut cases = Vec::new();
    for algorithm in ["maddpg", "matd3", "masac", "isac"] {
        for sharing in ["shared", "separate"] {
            for input in ["all", "state", "own"] {
                if algorithm == "isac" && input != "own" {
                    continue;
                }
                for others in ["replay", "policy"] {
                    cases.push((
                        algorithm,
                        json!({
                            "sharing": sharing, "critic_input": input, "other_actions": others, "activation": "tanh",
                            "hidden": [4], "critic_hidden": [5], "actor_reg": 0.1, "gumbel_temperature": 0.7,
                        }),
                    ));
                }
            }
        }
    }
    cases
}

/// Sum over rows that count of the mean within each parameter set.
fn mean_over_sets(l: &ActorCritic, batch: &Batch, g: usize, value: impl Fn(usize, usize) -> f64) -> f64 {
    let n = l.places[g].n_agents;
    let sets: Vec<Vec<usize>> = match l.settings.sharing {
        Sharing::Shared => vec![(0..n).collect()],
        Sharing::Separate => (0..n).map(|a| vec![a]).collect(),
    };
    let mean = |agents: Vec<usize>| {
        let rows: Vec<(usize, usize)> = (0..N).flat_map(|b| agents.iter().map(move |&a| (b, a))).collect();
        let valid: Vec<_> = rows.into_iter().filter(|(b, a)| batch.groups[g].valid[b * n + a]).collect();
        valid.iter().map(|&(b, a)| value(b, a)).sum::<f64>() / valid.len() as f64
    };
    sets.into_iter().map(mean).sum()
}

#[test]
fn slopes_of_critics_are_those_of_their_squared_error() {
    let spec = mixed();
    for (algorithm, settings) in cases() {
        let mut l = learner(&spec, algorithm, settings.clone());
        let batch = batch(&spec, 1);
        l.choose_next(&batch);
        l.critic_slopes(&batch, &mut [0.0; N]);
        for g in 0..2 {
            let loss = |params: &[f64]| {
                let one = |critic: &Networks, b: usize, a: usize| {
                    let row = critic_row(&l, &batch, (g, a, b), taken(&spec, &batch, b));
                    let q = net(critic, a, params, &row);
                    let chosen = if q.len() == 1 { 0 } else { batch.groups[g].action[b * 2 + a] as usize };
                    let td = f64::from(l.groups[g].work.target[b * 2 + a]) - q[chosen];
                    f64::from(batch.weight[b]) * td * td
                };
                l.groups[g].critics.iter().map(|c| mean_over_sets(&l, &batch, g, |b, a| one(c, b, a))).sum()
            };
            for critic in &l.groups[g].critics {
                let what = format!("{algorithm} {settings}, group {g}");
                assert_slopes(&what, &l.params, &l.grads, critic.range.clone(), loss);
            }
        }
    }
}

/// The own action of row `(g, a, b)` as a smooth function of the actor's outputs, at the noise that was drawn, and its
/// log-density. Of Gumbel-softmax the soft form.
fn own_action(
    l: &ActorCritic,
    batch: &Batch,
    (g, a, b): (usize, usize, usize),
    raw: &[f64],
) -> (Vec<f64>, f64) {
    let row = b * 2 + a;
    let (place, chosen) = (&l.places[g], &l.groups[g].work.chosen);
    let w = place.action_width;
    match place.head {
        Head::Tanh => (raw.iter().map(|r| r.tanh()).collect(), 0.0),
        Head::Squashed => {
            let noise = wide(&chosen.inner[row * w..(row + 1) * w]);
            let mut log_prob = 0.0;
            let squash = |j: usize| {
                let y = (raw[j] + raw[w + j].exp() * noise[j]).tanh();
                log_prob -= 0.5 * noise[j] * noise[j] + raw[w + j] + 0.5 * std::f64::consts::TAU.ln();
                log_prob -= (1.0 - y * y).ln();
                y
            };
            ((0..w).map(squash).collect(), log_prob)
        }
        Head::Gumbel(temperature) => {
            let Draw::Sample { seed, group, position } = l.draw(g, true) else { panic!("a draw") };
            let mut stream = Stream::new(seed, Purpose::Explore, (group << 24) | row as u32, position);
            let mut noise = vec![0.0; w];
            gumbel::draw_noise(&mut stream, &mut noise);
            (softmax(raw, batch.groups[g].mask[row], |u| f64::from(noise[u]), f64::from(temperature)), 0.0)
        }
        Head::Categorical => (softmax(raw, batch.groups[g].mask[row], |_| 0.0, 1.0), 0.0),
    }
}

fn softmax(logits: &[f64], mask: u32, noise: impl Fn(usize) -> f64, temperature: f64) -> Vec<f64> {
    let power =
        |u: usize| if mask >> u & 1 == 1 { ((logits[u] + noise(u)) / temperature).exp() } else { 0.0 };
    let total: f64 = (0..logits.len()).map(power).sum();
    (0..logits.len()).map(|u| power(u) / total).collect()
}

#[test]
fn slopes_of_actors_go_through_critics_and_actions() {
    let spec = mixed();
    for (algorithm, settings) in cases() {
        let mut l = learner(&spec, algorithm, settings.clone());
        let batch = batch(&spec, 2);
        l.choose_next(&batch);
        l.critic_slopes(&batch, &mut [0.0; N]);
        l.ent_coef.fill(if l.soft { 0.3 } else { 0.0 });
        l.actor_slopes(&batch);
        let everyone_now: Vec<f64> = wide(&l.columns.now);
        let read = if l.soft { 2 } else { 1 };
        for g in 0..2 {
            // Slopes of the critics' inputs are not those of what follows: the others' actions and, of a straight-through
            // draw, the corner at which the critic is read are held.
            let row_loss = |params: &[f64], b: usize, a: usize| {
                let w = l.places[g].action_width;
                let obs_width = l.places[g].obs_width;
                let row = b * 2 + a;
                let obs = wide(&batch.groups[g].obs[row * obs_width..(row + 1) * obs_width]);
                let raw = net(&l.groups[g].actors, a, params, &obs);
                let (own, log_prob) = own_action(&l, &batch, (g, a, b), &raw);
                let mut acts = taken(&spec, &batch, b);
                let total: usize = acts.iter().map(Vec::len).sum();
                let now = &everyone_now[b * total..(b + 1) * total];
                let mut rest = now;
                let listed: Vec<Vec<f64>> = acts
                    .iter()
                    .map(|own| {
                        let (head, tail) = rest.split_at(own.len());
                        rest = tail;
                        head.to_vec()
                    })
                    .collect();
                let me = 2 * g + a;
                if l.settings.other_actions == OtherActions::Policy {
                    acts = listed.clone();
                }
                acts[me] = listed[me].clone();
                let reg = 0.1 * raw[..w].iter().map(|r| r * r).sum::<f64>() / w as f64;
                let frozen = wide(&l.params);
                let critics = &l.groups[g].critics[..read];
                let values = |acts: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
                    let row = critic_row(&l, &batch, (g, a, b), acts);
                    critics.iter().map(|c| net(c, a, &frozen, &row)).collect()
                };
                let alpha = 0.3;
                let objective = match l.places[g].head {
                    Head::Categorical => {
                        let q = values(acts);
                        let terms = own.iter().enumerate().filter(|(_, p)| **p > 0.0);
                        terms.map(|(u, p)| p * (alpha * p.ln() - q[0][u].min(q[1][u]))).sum()
                    }
                    Head::Gumbel(_) => {
                        // Straight through: the slope at the corner, along the soft action.
                        let slope = |u: usize| {
                            let (mut above, mut below) = (acts.clone(), acts.clone());
                            above[me][u] += 1e-5;
                            below[me][u] -= 1e-5;
                            (values(above)[0][0] - values(below)[0][0]) / 2e-5
                        };
                        -own.iter().enumerate().map(|(u, y)| slope(u) * y).sum::<f64>()
                    }
                    Head::Tanh | Head::Squashed => {
                        acts[me] = own;
                        let lowest = values(acts).iter().map(|q| q[0]).fold(f64::INFINITY, f64::min);
                        if l.soft { alpha * log_prob - lowest } else { -lowest }
                    }
                };
                objective + reg
            };
            let loss = |params: &[f64]| mean_over_sets(&l, &batch, g, |b, a| row_loss(params, b, a));
            let what = format!("{algorithm} {settings}, group {g}");
            assert_slopes(&what, &l.params, &l.grads, l.groups[g].actors.range.clone(), loss);
        }
    }
}

/// One agent with one observation and one continuous action, or three discrete ones.
fn tiny(action: ActionSpace) -> EnvSpec {
    EnvSpec { groups: vec![group("it", 1, 1, action, false)], state_width: 0, ..mixed() }
}

const LINE: ActionSpace = ActionSpace::Continuous { width: 1, low: -1.0, high: 1.0 };

/// Rewards 10, observations 0 before and after, discount 0.5; the last process ended, with what must not be read after it.
fn tiny_batch(spec: &EnvSpec) -> Batch {
    let mut batch = Batch::new(spec, N);
    let columns = &mut batch.groups[0];
    columns.reward.fill(10.0);
    columns.discount.fill(0.5);
    columns.discount[N - 1] = 0.0;
    columns.next_obs[N - 1] = f32::NAN;
    columns.valid.fill(true);
    batch.weight.fill(1.0);
    batch
}

fn targets(l: &mut ActorCritic, batch: &Batch) -> Vec<f32> {
    l.choose_next(batch);
    l.critic_slopes(batch, &mut [0.0; N]);
    l.groups[0].work.target.clone()
}

fn set(l: &mut ActorCritic, params: &[f32]) {
    l.params.copy_from_slice(params);
    l.target_params.copy_from_slice(params);
}

#[test]
fn targets_of_maddpg_follow_the_target_networks() {
    let spec = tiny(LINE);
    let mut l = learner(&spec, "maddpg", json!({"hidden": []}));
    // Actor: weight, bias (its tanh is 0.5). Critic: weights of observation and action, bias.
    l.params.fill(7.0);
    l.target_params.copy_from_slice(&[0.0, 0.549_306_15, 3.0, 4.0, 1.0]);
    // 10 + 0.5 * (4 * 0.5 + 1) and, where the process ended, 10.
    let found = targets(&mut l, &tiny_batch(&spec));
    assert!(found[..N - 1].iter().all(|t| (t - 11.5).abs() < 1e-5), "{found:?}");
    assert_eq!(found[N - 1], 10.0);
}

/// Actor at 0.8; noise so large that it is always clipped, to 0.4 either way; then the action to 1. The lower of
/// Q1 = 2 a + 1 and Q2 = 3 - a: at 1.0 it is 2, at 0.4 it is 1.8.
#[test]
fn targets_of_matd3_are_smoothed_and_take_the_lower_critic() {
    let spec = tiny(LINE);
    let settings = json!({"hidden": [], "target_noise": 1e6, "target_noise_clip": 0.4});
    let mut l = learner(&spec, "matd3", settings);
    set(&mut l, &[0.0, 1.098_612_3, 0.0, 2.0, 1.0, 0.0, -1.0, 3.0]);
    let (mut up, mut down) = (0, 0);
    for _ in 0..8 {
        let found = targets(&mut l, &tiny_batch(&spec));
        for target in &found[..N - 1] {
            let near = |expected: f32| (target - expected).abs() < 1e-5;
            assert!(near(11.0) || near(10.9), "{target}");
            up += usize::from(near(11.0));
            down += usize::from(near(10.9));
        }
        assert_eq!(found[N - 1], 10.0);
        // Noise is drawn anew at the next gradient step.
        l.critic_optimizer.grad_steps += 1;
    }
    assert!(up > 4 && down > 4, "{up} {down}");
}

/// Small noise is not clipped: its standard deviation is the setting.
#[test]
fn target_noise_has_its_size() {
    let spec = tiny(LINE);
    let mut l = learner(&spec, "matd3", json!({"hidden": [], "target_noise": 0.1, "target_noise_clip": 0.5}));
    set(&mut l, &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    let (mut squares, mut n) = (0.0, 0.0);
    for _ in 0..500 {
        for target in &targets(&mut l, &tiny_batch(&spec))[..N - 1] {
            squares += f64::from((target - 10.0) / 0.5).powi(2);
            n += 1.0;
        }
        l.critic_optimizer.grad_steps += 1;
    }
    // Five standard errors of a mean square.
    assert!((squares / n / 0.01 - 1.0).abs() < 5.0 * (2.0_f64 / n).sqrt(), "{}", squares / n);
}

/// Policies of targets are the online ones, their density counts, and the ends of log deviations hold.
#[test]
fn targets_of_masac_pay_for_entropy() {
    let spec = tiny(LINE);
    let mut l = learner(&spec, "masac", json!({"hidden": [], "ent_coef": 0.25}));
    // Mean 0.3, log deviation -50, clamped to -20: the action is tanh(0.3) but for rounding.
    let critics = [0.0, 2.0, 1.0, 0.0, -1.0, 3.0];
    l.params.copy_from_slice(&[&[0.0, 0.0, 0.3, -50.0], &critics[..]].concat());
    l.target_params.copy_from_slice(&[&[9.0, 9.0, 9.0, 9.0], &critics[..]].concat());
    let found = targets(&mut l, &tiny_batch(&spec));
    let y = 0.3_f64.tanh();
    for (target, noise) in found[..N - 1].iter().zip(&l.groups[0].work.chosen.inner) {
        let z = f64::from(*noise);
        let log_prob = -0.5 * z * z + 20.0 - 0.5 * std::f64::consts::TAU.ln() - (1.0 - y * y).ln();
        let value = (2.0 * y + 1.0).min(3.0 - y);
        let expected = 10.0 + 0.5 * (value - 0.25 * log_prob);
        assert!((f64::from(*target) - expected).abs() < 1e-4, "{target} {expected}");
    }
    assert_eq!(found[N - 1], 10.0);
}

/// Probabilities 0.2, 0.3, 0.5; lower values 1, 2, 4: 2.8 on average, plus a quarter of the entropy.
#[test]
fn targets_of_discrete_isac_are_exact_expectations() {
    let spec = tiny(ActionSpace::Discrete { n: 3 });
    let mut l = learner(&spec, "isac", json!({"hidden": [], "ent_coef": 0.25}));
    let logits = [0.2_f32, 0.3, 0.5].map(f32::ln);
    let actor = [0.0, 0.0, 0.0, logits[0], logits[1], logits[2]];
    let critics = [0.0, 0.0, 0.0, 1.0, 5.0, 4.0, 0.0, 0.0, 0.0, 6.0, 2.0, 9.0];
    set(&mut l, &[&actor[..], &critics[..]].concat());
    let entropy: f64 = [0.2_f64, 0.3, 0.5].map(|p| -p * p.ln()).iter().sum();
    let expected = 10.0 + 0.5 * (2.8 + 0.25 * entropy);
    let found = targets(&mut l, &tiny_batch(&spec));
    assert!(found[..N - 1].iter().all(|t| (f64::from(*t) - expected).abs() < 1e-5), "{found:?} {expected}");
    assert_eq!(found[N - 1], 10.0);
}

/// The weight of entropy falls where there is more entropy than asked for, and rises where there is less.
#[test]
fn the_entropy_weight_moves_towards_its_target() {
    let spec = tiny(ActionSpace::Discrete { n: 3 });
    for (target, rises) in [(0.5, false), (1.05, true)] {
        let mut l =
            learner(&spec, "isac", json!({"hidden": [], "target_entropy": target, "learning_rate": 1e-3}));
        let mut params = l.params.clone();
        // Logits 0, 0, 1: an entropy of 0.975 nats.
        params[..6].copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        set(&mut l, &params);
        let mut batch = tiny_batch(&spec);
        batch.groups[0].next_obs.fill(0.0);
        let before = l.gauges(Clock::default())[0].1;
        l.update(&batch, &mut [0.0; N]).unwrap();
        let after = l.gauges(Clock::default())[0].1;
        // Adam's first step is the learning rate.
        let expected = if rises { 1e-3_f64.exp() } else { (-1e-3_f64).exp() };
        assert!((after / before - expected).abs() < 1e-6, "{before} {after}");
    }
}

#[test]
fn priorities_are_mean_absolute_errors() {
    let spec = mixed();
    let mut l = learner(&spec, "matd3", json!({"hidden": [4]}));
    let batch = batch(&spec, 5);
    let mut priority = [0.0; N];
    l.choose_next(&batch);
    let sums = l.critic_slopes(&batch, &mut priority);
    // Row 2 of each group, of transition 1, does not count.
    let rows = [4.0, 2.0, 4.0, 4.0, 4.0];
    let total: f64 = priority.iter().zip(rows).map(|(p, n)| f64::from(*p) * n * 2.0).sum();
    assert!((total - sums.td_abs).abs() < 1e-5 * total, "{total} {}", sums.td_abs);
    assert_eq!(sums.count, 36.0);
}
