//! Deterministic and soft actor-critic learning for teams, on single transitions out of replay: MADDPG, MATD3, MASAC, ISAC.
//!
//! Each agent `a` has an actor, which reads its observation, and one or two critics, which read what all agents see and
//! do (`critic_input`). With shared weights the agents of a group share both, and centralized critics also read the
//! agent's index. The update, in the names of the code (`u` all actions, `u_a` the agent's own):
//!
//! ```text
//! next_value = min_c Q_target_c(view', u')                  u' by target actors; u' + clipped noise in matd3
//! next_value = min_c Q_target_c(view', u') - ent_coef ln pi(u_a' | o')                u' drawn: masac, isac
//! target     = reward + discount * next_value
//! critic     loss = mean over rows of weight * (target - Q_c(view, u))^2, summed over c
//! actor      loss = mean over rows of ent_coef ln pi(u_a | o) - Q(view, u with u_a = pi(o)) + actor_reg * mean raw^2
//! ent_coef   log ent_coef falls along mean(ln pi + target_entropy), with its sign turned
//! ```
//!
//! Q in the actor's loss is the first critic of deterministic algorithms, the lower one of soft ones. `discount` is gamma^h, or
//! 0 where the process ended (never where only a time limit struck). Actors and target networks move at every
//! `policy_delay`-th step of the critics.
//!
//! | actions | deterministic (maddpg, matd3) | soft (masac, isac) |
//! |---|---|---|
//! | continuous | `tanh`, explored by noise | squashed Gaussian, reparameterized |
//! | discrete | Gumbel-softmax, straight-through; targets take the mode (matd3: a draw) | exact expectation: critics give a value to each own action |
//!
//! Sources: MADDPG, Lowe et al. 2017; MATD3, Ackermann et al. 2019 after TD3, Fujimoto et al. 2018; SAC, Haarnoja et al. 2018,
//! for discrete actions Christodoulou 2019, made multi-agent by the centralized critics of MADDPG; Gumbel-softmax, Jang
//! et al. 2017; ensembles of policies and inference of others' policies (Lowe et al.) are left out.
//!
//! Defaults and deviations: `tau` 0.01 (Lowe et al.; EPyMARL copies every 200 steps, Stable-Baselines3 takes 0.005); learning
//! rate 5e-4 and gradients clipped to norm 10 (EPyMARL; Lowe et al. 1e-2 and 0.5); networks 64x2 (Lowe et al.; EPyMARL 128 and
//! recurrent); `actor_reg` 1e-3 in maddpg and matd3 (both); target noise 0.2 clipped to 0.5, delay 2, initial weights as
//! torch's (Stable-Baselines3). Transitions are single ones, not episodes. Actions that critics read are scaled to
//! -1..=1. The entropy weight moves after the actors, not before the critics; where actions are discrete it aims at 0.3 of
//! the largest entropy (Christodoulou: 0.98, which keeps play nearly uniform). Rewards are not standardized here; a wrapper does.
//!
//! Requires discrete or continuous actions, in any mix of groups; rewards may differ between agents. Tested by gradients against
//! finite differences in f64, targets worked out by hand, probe environments, and presets.

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, EnvSpec, GroupSpec, StepBatch};
use coact_kernels::{Backend, QShape};
use coact_nets::{Optimizer, OptimizerConfig, Schedule, Sharing};
use coact_replay::Batch;

use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, Named,
    TransitionLearner, UpdateStats,
};
use crate::noise::{Noise, NoiseKind};
use crate::{Error, Result};

mod explore;
mod learn;
mod networks;
mod policy;
mod rows;
mod settings;

pub use self::settings::{ActorCriticSettings, CriticInput, OtherActions};

use crate::settings::TargetRule;
use learn::{ActorSums, After, Before, CriticSums, Group, Work};
use networks::Networks;
use policy::{Draw, Head};
use rows::{CriticRows, Place};

/// What makes one algorithm of the family; settings that are not given follow it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Variant {
    name: &'static str,
    /// Policies are drawn from and paid for their entropy.
    soft: bool,
    critic_input: CriticInput,
    twin_critics: bool,
    policy_delay: u64,
    target_noise: f32,
    actor_reg: f32,
}

const MADDPG_VARIANT: Variant = Variant {
    name: "maddpg",
    soft: false,
    critic_input: CriticInput::All,
    twin_critics: false,
    policy_delay: 1,
    target_noise: 0.0,
    actor_reg: 1e-3,
};

const MATD3_VARIANT: Variant =
    Variant { name: "matd3", twin_critics: true, policy_delay: 2, target_noise: 0.2, ..MADDPG_VARIANT };

const MASAC_VARIANT: Variant =
    Variant { name: "masac", soft: true, twin_critics: true, actor_reg: 0.0, ..MADDPG_VARIANT };

const ISAC_VARIANT: Variant = Variant { name: "isac", critic_input: CriticInput::Own, ..MASAC_VARIANT };

/// An entry whose functions know its variant.
macro_rules! entry {
    ($variant:expr, $summary:literal, $source:literal) => {
        AlgorithmEntry {
            name: $variant.name,
            summary: $summary,
            source: $source,
            requires: "discrete or continuous actions",
            feed: Feed::Transitions,
            fast: false,
            keys: ActorCriticSettings::KEYS,
            resolve: |settings| resolve($variant, settings),
            check: |spec| check($variant, spec),
            build: |context| build($variant, context),
        }
    };
}

/// Deterministic actors, centralized critics.
pub const MADDPG: AlgorithmEntry = entry!(
    MADDPG_VARIANT,
    "deterministic actors under centralized critics",
    "Lowe et al. 2017; Gumbel-softmax: Jang et al. 2017"
);

/// MADDPG with twin critics, delayed actors and smoothed targets.
pub const MATD3: AlgorithmEntry = entry!(
    MATD3_VARIANT,
    "MADDPG with twin critics, delayed actors and smoothed targets",
    "Ackermann et al. 2019; Fujimoto et al. 2018"
);

/// Soft actors, centralized twin critics.
pub const MASAC: AlgorithmEntry = entry!(
    MASAC_VARIANT,
    "soft actors, paid for their entropy, under centralized twin critics",
    "Haarnoja et al. 2018; Christodoulou 2019; Lowe et al. 2017"
);

/// Soft actors, each with critics of its own view.
pub const ISAC: AlgorithmEntry = entry!(
    ISAC_VARIANT,
    "independent soft actor-critics: every agent learns from its own view and reward",
    "Haarnoja et al. 2018; Christodoulou 2019; Tan 1993"
);

/// Most groups of agents; their numbers share a word with row numbers in the names of random streams.
const MAX_GROUPS: usize = 64;

fn check(variant: Variant, spec: &EnvSpec) -> Result<()> {
    let fault =
        |reason: String| Err(Error::Unsupported { algorithm: variant.name, env: spec.name.clone(), reason });
    if spec.groups.len() > MAX_GROUPS {
        let n = spec.groups.len();
        return fault(format!("it has {n} groups of agents, at most {MAX_GROUPS} are supported"));
    }
    if let Some(group) = spec.groups.iter().find(|g| g.obs_width() == 0) {
        return fault(format!("`{}` observes nothing; `agent_index` = true gives it something", group.name));
    }
    Ok(())
}

fn parse(variant: Variant, settings: &serde_json::Value) -> Result<ActorCriticSettings> {
    let settings: ActorCriticSettings = crate::settings::parse(variant.name, settings)?;
    settings.check()?;
    variant.complete(settings)
}

fn resolve(variant: Variant, settings: &serde_json::Value) -> Result<serde_json::Value> {
    crate::settings::to_map(variant.name, &parse(variant, settings)?)
}

fn build(variant: Variant, context: BuildContext<'_>) -> Result<AnyLearner> {
    check(variant, context.spec)?;
    let settings = parse(variant, context.settings)?;
    Ok(AnyLearner::Transitions(Box::new(ActorCritic::new(variant, settings, context)?)))
}

impl Variant {
    /// Fills in what was left to the algorithm and refuses what cannot act in it.
    fn complete(self, mut settings: ActorCriticSettings) -> Result<ActorCriticSettings> {
        let refuse = |given: bool, key: &'static str, value: String, rule: &'static str| match given {
            true => Err(Error::Setting { key, value, rule }),
            false => Ok(()),
        };
        let text = |v: Option<f32>| format!("{:?}", v.unwrap_or_default());
        if self.soft {
            let noise = settings.target_noise;
            let rule = "targets of masac and isac are drawn from the policy as they are; leave it out";
            refuse(noise.is_some_and(|n| n > 0.0), "target_noise", text(noise), rule)?;
        } else {
            for (key, value) in [("ent_coef", settings.ent_coef), ("target_entropy", settings.target_entropy)]
            {
                let rule = "only masac and isac are paid for entropy; leave it out";
                refuse(value.is_some(), key, text(value), rule)?;
            }
        }
        let input = settings.critic_input.unwrap_or(self.critic_input);
        let centralized = self.critic_input == CriticInput::Own && input != CriticInput::Own;
        let rule = "critics of isac read their own agent only; masac has centralized ones";
        refuse(centralized, "critic_input", format!("{input:?}").to_lowercase(), rule)?;
        settings.critic_input = Some(input);
        settings.critic_hidden.get_or_insert_with(|| settings.hidden.clone());
        settings.twin_critics.get_or_insert(self.twin_critics);
        settings.policy_delay.get_or_insert(self.policy_delay);
        settings.target_noise.get_or_insert(self.target_noise);
        settings.actor_reg.get_or_insert(self.actor_reg);
        Ok(settings)
    }

    fn head(self, group: &GroupSpec, settings: &ActorCriticSettings) -> Head {
        match (self.soft, group.action.n_discrete() > 0) {
            (false, false) => Head::Tanh,
            (true, false) => Head::Squashed,
            (false, true) => Head::Gumbel(settings.gumbel_temperature),
            (true, true) => Head::Categorical,
        }
    }
}

/// Columns of a batch as critics read them.
#[derive(Debug, Default)]
struct Columns {
    view: Vec<f32>,
    next_view: Vec<f32>,
    /// What everyone did, `[B, U]`.
    taken: Vec<f32>,
    /// What targets say that everyone does next, `[B, U]`.
    next: Vec<f32>,
    /// What everyone would do now, `[B, U]`.
    now: Vec<f32>,
}

/// Actors and critics of every agent, their optimizers, target networks and exploration.
pub struct ActorCritic {
    soft: bool,
    settings: ActorCriticSettings,
    agent_names: Vec<String>,
    places: Vec<Place>,
    rows: CriticRows,
    groups: Vec<Group>,
    /// Actors of all groups, then critics of all groups.
    params: Vec<f32>,
    target_params: Vec<f32>,
    grads: Vec<f32>,
    n_actor_params: usize,
    actor_optimizer: Optimizer,
    critic_optimizer: Optimizer,
    /// Logarithms of entropy weights, one an actor's parameter set; unused by deterministic algorithms.
    log_ent_coef: Vec<f32>,
    ent_coef: Vec<f32>,
    ent_grads: Vec<f32>,
    ent_optimizer: Optimizer,
    learning_rate: Schedule,
    target_rule: TargetRule,
    explore_seed: u64,
    learn_seed: u64,
    columns: Columns,
    /// What the last step of the actors found, for steps in which they rest.
    last_actors: ActorSums,
    backend: Backend,
}

/// What the networks of a group are made of, before their parameters have a place.
fn build_groups(
    variant: Variant,
    settings: &ActorCriticSettings,
    spec: &EnvSpec,
    n_envs: usize,
) -> (Vec<Place>, CriticRows, Vec<Group>, usize) {
    let input = settings.critic_input.unwrap_or(variant.critic_input);
    let shared = settings.sharing == Sharing::Shared;
    let mut places: Vec<Place> = Vec::new();
    for group in &spec.groups {
        let head = variant.head(group, settings);
        places.push(Place::new(group, places.last(), head, shared, input));
    }
    let rows = CriticRows::new(input, spec, &places);
    let shape = |inputs, hidden: &[usize], outputs| {
        QShape::new(inputs, hidden.to_vec(), outputs, settings.activation.into(), settings.layer_norm, false)
    };
    let mut start = 0;
    let mut networks = |shape, n_agents| {
        let networks = Networks::new(shape, n_agents, if shared { 1 } else { n_agents }, start);
        start = networks.range.end;
        networks
    };
    let actors: Vec<Networks> = places
        .iter()
        .map(|p| networks(shape(p.obs_width, &settings.hidden, p.head.n_outputs(p.action_width)), p.n_agents))
        .collect();
    let n_actor_params = actors.last().map_or(0, |a| a.range.end);
    let n_critics = if settings.twin_critics == Some(true) { 2 } else { 1 };
    let critic_hidden = settings.critic_hidden.as_ref().unwrap_or(&settings.hidden);
    let mut first_weight = 0;
    let group = |(place, actors): (&Place, Networks)| {
        let outputs = if place.head.values_each_action() { place.action_width } else { 1 };
        let critic = |_| networks(shape(rows.width(place), critic_hidden, outputs), place.n_agents);
        let noise = if place.head == Head::Tanh { settings.exploration_noise } else { NoiseKind::None };
        let group = Group {
            critics: (0..n_critics).map(critic).collect(),
            noise: Noise::new(noise, n_envs, place.n_agents, place.action_width),
            first_weight,
            target_entropy: settings.target_entropy.unwrap_or_else(|| default_entropy(place, settings)),
            place: place.clone(),
            work: Work::default(),
            actors,
        };
        first_weight += group.actors.layout.n_sets;
        group
    };
    let groups = places.iter().zip(actors).map(group).collect();
    (places, rows, groups, n_actor_params)
}

/// Minus the number of components (Haarnoja et al.), or a part of the largest entropy of discrete actions.
fn default_entropy(place: &Place, settings: &ActorCriticSettings) -> f32 {
    if place.head == Head::Categorical {
        let largest = coact_core::math::ln_f64(place.action_width as f64) as f32;
        return settings.target_entropy_fraction * largest;
    }
    -(place.action_width as f32)
}

/// Over which numbers each network's gradient norm goes, and which are its tensors; `first` is subtracted.
fn optimizer<'a>(
    config: OptimizerConfig,
    networks: impl Iterator<Item = &'a Networks> + Clone,
    first: usize,
    n_params: usize,
) -> Result<Optimizer> {
    let sets = |n: &Networks| (0..n.layout.n_sets).map(|s| n.set_range(s)).collect::<Vec<_>>();
    let partitions = networks.clone().flat_map(sets).map(|r| r.start - first..r.end - first).collect();
    let tensors = |n: &Networks| {
        let start = n.range.start - first;
        n.layout.tensor_ranges().into_iter().map(move |r| start + r.start..start + r.end)
    };
    Ok(Optimizer::new(config, n_params, partitions, networks.flat_map(tensors).collect())?)
}

impl ActorCritic {
    /// A learner with fresh networks.
    ///
    /// # Errors
    /// Settings outside their range or in contradiction, also with the environment.
    fn new(variant: Variant, settings: ActorCriticSettings, context: BuildContext<'_>) -> Result<Self> {
        let BuildContext { spec, n_envs, seed, total_grad_steps, backend, .. } = context;
        if settings.critic_input == Some(CriticInput::State) && spec.state_width == 0 {
            let reason = "it has no global state; set `critic_input` to \"all\"".into();
            return Err(Error::Unsupported { algorithm: variant.name, env: spec.name.clone(), reason });
        }
        let (places, rows, groups, n_actor_params) = build_groups(variant, &settings, spec, n_envs);
        let n_params = groups.iter().flat_map(|g| &g.critics).map(|c| c.range.end).max().unwrap_or(0);
        let mut params = vec![0.0; n_params];
        let actors = groups.iter().map(|g| &g.actors);
        let critics = groups.iter().flat_map(|g| &g.critics);
        let mut index = 0;
        for networks in actors.clone().chain(critics.clone()) {
            let range = networks.range.clone();
            networks.layout.initialize(settings.init, seed, index, &mut params[range]);
            index += networks.layout.n_sets as u32;
        }
        let n_critic_params = n_params - n_actor_params;
        let n_weights = groups.iter().map(|g| g.actors.layout.n_sets).sum();
        let start = settings.ent_coef.unwrap_or(settings.ent_coef_init);
        Ok(Self {
            soft: variant.soft,
            agent_names: spec.agent_names(),
            actor_optimizer: optimizer(settings.optimizer(), actors, 0, n_actor_params)?,
            critic_optimizer: optimizer(settings.optimizer(), critics, n_actor_params, n_critic_params)?,
            ent_optimizer: entropy_optimizer(n_weights)?,
            log_ent_coef: vec![
                coact_core::math::ln_f64(f64::from(start.max(f32::MIN_POSITIVE))) as f32;
                n_weights
            ],
            ent_coef: vec![if variant.soft { start } else { 0.0 }; n_weights],
            ent_grads: vec![0.0; n_weights],
            learning_rate: settings.learning_rate(total_grad_steps)?,
            target_rule: settings.target_rule(),
            explore_seed: derive_seed(seed, Purpose::Explore, 0),
            learn_seed: derive_seed(seed, Purpose::Explore, 1),
            target_params: params.clone(),
            grads: vec![0.0; n_params],
            n_actor_params,
            params,
            groups,
            places,
            rows,
            settings,
            columns: Columns::default(),
            last_actors: ActorSums::default(),
            backend,
        })
    }

    fn draw(&self, group: usize, now: bool) -> Draw {
        let position = 2 * self.critic_optimizer.grad_steps + u64::from(now);
        Draw::Sample { seed: self.learn_seed, group: group as u32, position }
    }

    /// Actions after the transition, of everyone, by the policies that targets follow.
    fn choose_next(&mut self, batch: &Batch) {
        let noise = self.settings.target_noise.unwrap_or(0.0);
        for g in 0..self.groups.len() {
            let drawn = self.draw(g, false);
            let draw = if self.soft || noise > 0.0 { drawn } else { Draw::Mode };
            let columns = &batch.groups[g];
            let group = &mut self.groups[g];
            let params = if self.soft { &self.params } else { &self.target_params };
            group.choose(&mut self.backend, params, &columns.next_obs, &columns.next_mask, draw);
            group.smooth(drawn, noise, self.settings.target_noise_clip);
            self.rows.list(&group.place, &group.work.chosen.action, &mut self.columns.next);
        }
    }

    /// Slopes of all critics; priorities of the batch.
    fn critic_slopes(&mut self, batch: &Batch, priority: &mut [f32]) -> CriticSums {
        let Self { groups, rows, columns, backend, params, target_params, grads, ent_coef, .. } = self;
        rows.view(&self.places, |g| &batch.groups[g].obs, &batch.state, &mut columns.view);
        rows.view(&self.places, |g| &batch.groups[g].next_obs, &batch.next_state, &mut columns.next_view);
        rows.list_taken(&self.places, batch, &mut columns.taken);
        let after = After { rows, view: &columns.next_view, actions: &columns.next, ent_coef };
        let before = Before { rows, view: &columns.view, taken: &columns.taken, importance: &batch.weight };
        let mut total = CriticSums::default();
        priority.fill(0.0);
        for (group, of) in groups.iter_mut().zip(&batch.groups) {
            group.set_targets(backend, target_params, of, &after);
            let sums = group.critic_slopes(backend, (params, grads), of, &before, priority);
            total.loss += sums.loss;
            total.q += sums.q;
            total.td_abs += sums.td_abs;
            total.count += sums.count;
        }
        let n_critics = groups.first().map_or(1, |g| g.critics.len());
        for (b, p) in priority.iter_mut().enumerate() {
            let rows = |(place, of): (&Place, &coact_replay::GroupColumns)| {
                of.valid[b * place.n_agents..][..place.n_agents].iter().filter(|v| **v).count()
            };
            let valid: usize = self.places.iter().zip(&batch.groups).map(rows).sum();
            *p /= (valid * n_critics).max(1) as f32;
        }
        total
    }

    /// Slopes of all actors and entropy weights. The columns are those of [`ActorCritic::critic_slopes`].
    fn actor_slopes(&mut self, batch: &Batch) -> ActorSums {
        for g in 0..self.groups.len() {
            let draw = self.draw(g, true);
            let (group, columns) = (&mut self.groups[g], &batch.groups[g]);
            group.choose(&mut self.backend, &self.params, &columns.obs, &columns.mask, draw);
            self.rows.list(&group.place, &group.work.chosen.action, &mut self.columns.now);
        }
        let Self { groups, rows, columns, backend, params, grads, ent_coef, ent_grads, .. } = self;
        let before = Before { rows, view: &columns.view, taken: &columns.taken, importance: &batch.weight };
        let others = match self.settings.other_actions {
            OtherActions::Replay => &columns.taken,
            OtherActions::Policy => &columns.now,
        };
        let how = (self.soft, self.settings.actor_reg.unwrap_or(0.0));
        let mut total = ActorSums::default();
        ent_grads.fill(0.0);
        for (group, of) in groups.iter_mut().zip(&batch.groups) {
            let actions = (&others[..], &columns.now[..]);
            let weights = (&ent_coef[..], &mut ent_grads[..]);
            let sums = group.actor_slopes(backend, (params, grads), of, &before, actions, weights, how);
            total.loss += sums.loss;
            total.entropy += sums.entropy;
            total.count += sums.count;
        }
        total
    }

    /// One step of all actors and, where they are learned, entropy weights. Returns sums and the gradient norm.
    fn step_actors(&mut self, batch: &Batch, learning_rate: f64) -> Result<(ActorSums, f32)> {
        let sums = self.actor_slopes(batch);
        self.ensure_finite("actor loss", sums.loss)?;
        let n = self.n_actor_params;
        let (params, grads) = (&mut self.params[..n], &mut self.grads[..n]);
        let norm = self.actor_optimizer.step(&mut self.backend, learning_rate, params, grads)?;
        if self.soft && self.settings.ent_coef.is_none() {
            let (params, grads) = (&mut self.log_ent_coef, &mut self.ent_grads);
            self.ent_optimizer.step(&mut self.backend, learning_rate, params, grads)?;
            self.refresh_ent_coef();
        }
        Ok((sums, norm))
    }

    fn refresh_ent_coef(&mut self) {
        let pairs = self.ent_coef.iter_mut().zip(&self.log_ent_coef);
        pairs.for_each(|(e, log)| *e = coact_core::math::exp_f32(*log));
    }

    fn ensure_finite(&self, what: &'static str, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let grad_steps = self.critic_optimizer.grad_steps;
        Err(Error::NonFinite { what, value: value as f32, grad_steps })
    }

    fn sync_target(&mut self, delayed: bool) -> bool {
        if !delayed && matches!(self.target_rule, TargetRule::Soft(_)) {
            return false;
        }
        let grad_steps = self.critic_optimizer.grad_steps;
        self.target_rule.follow(grad_steps, &mut self.backend, &mut self.target_params, &self.params)
    }
}

/// Adam with PyTorch's numbers; each weight moves on its own.
fn entropy_optimizer(n_weights: usize) -> Result<Optimizer> {
    let each: Vec<_> = (0..n_weights).map(|i| i..i + 1).collect();
    Ok(Optimizer::new(OptimizerConfig::default(), n_weights, each.clone(), each)?)
}

impl Learner for ActorCritic {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        self.explore(step, mode, actions)
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
    }

    fn grad_steps(&self) -> u64 {
        self.critic_optimizer.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        Ok(self.values_of(step, group))
    }

    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)> {
        let mut gauges = Vec::new();
        if self.groups.iter().any(|g| g.place.head == Head::Tanh) {
            gauges.push(("noise_scale", self.noise_scale(clock)));
        }
        if self.soft {
            let sum: f64 = self.ent_coef.iter().copied().map(f64::from).sum();
            gauges.push(("ent_coef", sum / self.ent_coef.len().max(1) as f64));
        }
        gauges
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        let agents = self.groups.iter().flat_map(|g| (0..g.place.n_agents).map(move |a| (g, a)));
        let policy = |((group, a), name): ((&Group, usize), &String)| {
            let networks = &group.actors;
            let set = a.min(networks.layout.n_sets - 1);
            let shape = &networks.layout.shape.mlp;
            AgentPolicy {
                agent: name.clone(),
                tensors: networks.layout.to_torch(&self.params[networks.set_range(set)]),
                architecture: vec![
                    ("input", shape.input.to_string()),
                    ("hidden", format!("{:?}", shape.hidden)),
                    ("output", shape.output.to_string()),
                    ("activation", format!("{:?}", shape.activation).to_lowercase()),
                    ("layer_norm", shape.layer_norm.to_string()),
                    ("head", group.place.head.name().to_string()),
                ],
            }
        };
        agents.zip(&self.agent_names).map(policy).collect()
    }

    fn save(&self, out: &mut Writer) {
        out.f32s(&self.params);
        out.f32s(&self.target_params);
        out.f32s(&self.log_ent_coef);
        for optimizer in [&self.actor_optimizer, &self.critic_optimizer, &self.ent_optimizer] {
            out.u64(optimizer.grad_steps);
            optimizer.moments().iter().for_each(|m| out.f32s(m));
        }
        let ActorSums { loss, entropy, count } = self.last_actors;
        out.f64s(&[loss, entropy, count]);
        self.groups.iter().for_each(|g| g.noise.save(out));
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.f32s(&mut self.params)?;
        from.f32s(&mut self.target_params)?;
        from.f32s(&mut self.log_ent_coef)?;
        for optimizer in [&mut self.actor_optimizer, &mut self.critic_optimizer, &mut self.ent_optimizer] {
            optimizer.grad_steps = from.u64()?;
            for moments in optimizer.moments_mut() {
                from.f32s(moments)?;
            }
        }
        let mut sums = [0.0; 3];
        from.f64s(&mut sums)?;
        let [loss, entropy, count] = sums;
        self.last_actors = ActorSums { loss, entropy, count };
        for group in &mut self.groups {
            group.noise.load(from)?;
        }
        if self.soft && self.settings.ent_coef.is_none() {
            self.refresh_ent_coef();
        }
        Ok(())
    }
}

impl TransitionLearner for ActorCritic {
    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        self.choose_next(batch);
        let sums = self.critic_slopes(batch, priority);
        self.ensure_finite("loss", sums.loss)?;
        let learning_rate = self.learning_rate.value(self.critic_optimizer.grad_steps);
        let n = self.n_actor_params;
        let rate = learning_rate * self.settings.critic_rate_factor();
        let (params, grads) = (&mut self.params[n..], &mut self.grads[n..]);
        let mut grad_norm = self.critic_optimizer.step(&mut self.backend, rate, params, grads)?;
        let delay = self.settings.policy_delay.unwrap_or(1);
        let delayed = self.critic_optimizer.grad_steps.is_multiple_of(delay);
        if delayed {
            let (sums, norm) = self.step_actors(batch, learning_rate)?;
            grad_norm = grad_norm.max(norm);
            self.last_actors = sums;
        }
        let target_synced = self.sync_target(delayed);
        let mean = |sum: f64| (sum / sums.count.max(1.0)) as f32;
        let actors = |sum: f64| (sum / self.last_actors.count.max(1.0)) as f32;
        let measured = [
            ("q_mean", mean(sums.q)),
            ("td_abs", mean(sums.td_abs)),
            ("actor_loss", actors(self.last_actors.loss)),
        ];
        let entropy = ("entropy", actors(self.last_actors.entropy));
        let [q, td, actor] = measured;
        Ok(UpdateStats {
            loss: mean(sums.loss),
            grad_norm,
            learning_rate,
            target_synced,
            named: if self.soft { Named::new([q, td, actor, entropy]) } else { Named::new(measured) },
        })
    }
}

#[cfg(test)]
mod tests;
