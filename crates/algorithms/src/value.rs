//! Value-based learning for teams: independent double DQN and value decomposition (VDN).
//!
//! Each agent `a` of a group has action values `Q_a(o, .)`. The update, in the names of the code:
//!
//! ```text
//! next_value = min_c Q_target_c(o', argmax_u Q_online_0(o', u))          double_q, over legal u
//! target     = reward + discount * next_value                            iql, for each agent
//! target     = team_reward + team_discount * sum_a next_value_a          vdn
//! td         = target - Q(o, action)                                     iql; vdn: target - sum_a Q_a
//! loss       = mean over the batch of weight * loss(td)
//! ```
//!
//! `discount` is gamma^h, or 0 where the process ended (never where only a time limit struck).
//!
//! Sources: Q-learning with networks, Mnih et al. 2015; double, van Hasselt et al. 2016; dueling, Wang et al.
//! 2016; prioritized replay, Schaul et al. 2016; n-step, Sutton and Barto 2018, chapter 7; clipped double
//! critics, Fujimoto et al. 2018; independent learners, Tan 1993; VDN, Sunehag et al. 2018.
//!
//! Deviations: networks are feed-forward (Sunehag et al. use recurrent ones); greedy actions come from the
//! first critic where there are two; agents whose own process ended are left out of sums and means.
//!
//! Requires discrete actions; VDN also a common reward. Tested by the probe environments, hand-computed
//! targets, finite differences of the kernel, and the presets.

use std::ops::Range;

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, EnvSpec, RewardKind, StepBatch};
use coact_kernels::{
    Act, ActScratch, Backend, Exploration, GradStep, GroupBatch, Loss, Mixer, QShape, Update, UpdateScratch,
};
use coact_nets::{Optimizer, QNetworks, Schedule, Sharing};
use coact_replay::{Batch, Replay, WeightNorm};

use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Drawn, Draws, Feed, Learner,
    Named, TransitionLearner, UpdateStats, update_on_host,
};
use crate::noise::{Noise, NoiseKind};
use crate::settings::TargetRule;
use crate::{Error, Result};

mod device;
mod settings;

use device::OnDevice;
pub use settings::{ActivationKind, ExplorationKind, LossKind, ScheduleKind, ValueSettings};

/// Independent double DQN.
pub const IQL: AlgorithmEntry = AlgorithmEntry {
    name: "iql",
    summary: "independent double DQN: every agent learns its own action values from its own reward",
    source: "Tan 1993; Mnih et al. 2015; van Hasselt et al. 2016",
    requires: "discrete actions",
    feed: Feed::Transitions,
    fast: true,
    keys: ValueSettings::KEYS,
    resolve: |settings| resolve("iql", settings),
    check: |spec| check("iql", Mixer::Independent, spec),
    build: |context| build("iql", Mixer::Independent, context),
};

/// Value decomposition.
pub const VDN: AlgorithmEntry = AlgorithmEntry {
    name: "vdn",
    summary: "value decomposition: the team's value is the sum of the agents' values",
    source: "Sunehag et al. 2018",
    requires: "discrete actions, a common reward (`common_reward = \"sum\"` makes one)",
    feed: Feed::Transitions,
    fast: true,
    keys: ValueSettings::KEYS,
    resolve: |settings| resolve("vdn", settings),
    check: |spec| check("vdn", Mixer::Sum, spec),
    build: |context| build("vdn", Mixer::Sum, context),
};

/// Gradient steps between hard target copies where neither that nor `tau` is given (EPyMARL's 200).
const DEFAULT_TARGET_EVERY: u64 = 200;

/// Action values of every agent, one optimizer, target networks and exploration.
pub struct ValueLearner {
    mixer: Mixer,
    settings: ValueSettings,
    agent_names: Vec<String>,
    groups: Vec<Group>,
    params: Vec<f32>,
    target_params: Vec<f32>,
    grads: Vec<f32>,
    optimizer: Optimizer,
    learning_rate: Schedule,
    epsilon: Schedule,
    temperature: Schedule,
    target_rule: TargetRule,
    loss: Loss,
    explore_seed: u64,
    backend: Backend,
    update_scratch: UpdateScratch,
    /// Where parameters, targets and moments are, if not here alone.
    on_device: Option<OnDevice>,
}

struct Group {
    nets: QNetworks,
    range: Range<usize>,
    first_row: u32,
    noise: Noise,
    act_scratch: ActScratch,
}

fn check(algorithm: &'static str, mixer: Mixer, spec: &EnvSpec) -> Result<()> {
    let fault = |reason: String| Err(Error::Unsupported { algorithm, env: spec.name.clone(), reason });
    if let Some(group) = spec.groups.iter().find(|g| g.action.n_discrete() == 0) {
        return fault(format!("the actions of `{}` are not discrete; set `continuous` to false", group.name));
    }
    if mixer == Mixer::Sum && spec.reward != RewardKind::Common {
        return fault("it needs one reward for the team; set `common_reward` to \"sum\" or \"mean\"".into());
    }
    if spec.groups.len() > MAX_GROUPS {
        return fault(format!(
            "it has {} groups of agents, at most {MAX_GROUPS} are supported",
            spec.groups.len()
        ));
    }
    Ok(())
}

fn parse(algorithm: &'static str, map: &serde_json::Value) -> Result<ValueSettings> {
    let settings: ValueSettings = crate::settings::parse(algorithm, map)?;
    settings.check()?;
    Ok(settings)
}

fn resolve(algorithm: &'static str, map: &serde_json::Value) -> Result<serde_json::Value> {
    crate::settings::to_map(algorithm, &parse(algorithm, map)?)
}

fn build(algorithm: &'static str, mixer: Mixer, context: BuildContext<'_>) -> Result<AnyLearner> {
    check(algorithm, mixer, context.spec)?;
    let settings = parse(algorithm, context.settings)?;
    Ok(AnyLearner::Transitions(Box::new(ValueLearner::new(mixer, settings, context)?)))
}

impl ValueLearner {
    /// A learner with fresh networks.
    ///
    /// # Errors
    /// Settings outside their range or in contradiction.
    pub fn new(mixer: Mixer, settings: ValueSettings, context: BuildContext<'_>) -> Result<Self> {
        settings.check()?;
        let BuildContext { spec, n_envs, seed, total_env_steps, total_grad_steps, mut backend, .. } = context;
        let groups = build_groups(spec, n_envs, &settings);
        let n_params = groups.last().map_or(0, |g| g.range.end);
        let mut params = vec![0.0; n_params];
        let mut first_index = 0;
        for group in &groups {
            group.nets.initialize(settings.init, seed, first_index, &mut params[group.range.clone()]);
            first_index += (group.nets.n_critics * group.nets.n_sets) as u32;
        }
        let shifted = |g: &Group, r: Range<usize>| g.range.start + r.start..g.range.start + r.end;
        let tensors = groups.iter().flat_map(|g| g.nets.tensor_ranges().into_iter().map(|r| shifted(g, r)));
        // Independent learners are optimizers of their own, so each network has its own global norm.
        let partitions = match mixer {
            Mixer::Sum => std::iter::once(0..n_params).collect(),
            _ => groups.iter().flat_map(|g| g.nets.networks().map(|r| shifted(g, r))).collect(),
        };
        let optimizer = Optimizer::new(settings.optimizer(), n_params, partitions, tensors.collect())?;
        let loss = settings.loss();
        let on_device = OnDevice::new(&mut backend, &groups, (mixer, loss, settings.double_q), &optimizer)?;
        Ok(Self {
            on_device,
            mixer,
            agent_names: spec.agent_names(),
            target_params: params.clone(),
            grads: vec![0.0; n_params],
            params,
            optimizer,
            learning_rate: settings.learning_rate(total_grad_steps)?,
            epsilon: settings.exploration(
                settings.exploration_initial_eps,
                settings.exploration_final_eps,
                total_env_steps,
            ),
            temperature: settings.exploration(
                settings.temperature_initial,
                settings.temperature_final,
                total_env_steps,
            ),
            target_rule: match (settings.tau, settings.target_network_update_freq) {
                (Some(tau), _) => TargetRule::Soft(tau),
                (None, every) => TargetRule::HardEvery(every.unwrap_or(DEFAULT_TARGET_EVERY)),
            },
            loss,
            explore_seed: derive_seed(seed, Purpose::Explore, 0),
            groups,
            settings,
            backend,
            update_scratch: UpdateScratch::default(),
        })
    }

    /// What is to happen in gradient step number `grad_steps + 1`.
    fn next_step(&self) -> GradStep {
        let taken = self.optimizer.grad_steps;
        GradStep {
            lr: self.learning_rate.value(taken) as f32,
            step: taken + 1,
            tau: self.target_rule.tau(taken + 1),
        }
    }

    fn noise_scale(&self, clock: Clock) -> f64 {
        let episodes = i32::try_from(clock.episodes).unwrap_or(i32::MAX);
        self.settings.exploration_noise_scale * self.settings.exploration_noise_decay.powi(episodes)
    }

    fn sync_target(&mut self) -> bool {
        let grad_steps = self.optimizer.grad_steps;
        self.target_rule.follow(grad_steps, &mut self.backend, &mut self.target_params, &self.params)
    }

    /// Gradients of a batch over `G` groups; on a device the whole step, with its gradient norm. The array lives on the
    /// stack, so nothing is allocated.
    fn learn_groups<const G: usize>(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<Measured> {
        let step = self.next_step();
        let mut grads = &mut self.grads[..];
        let (params, target_params, groups) = (&self.params, &self.target_params, &self.groups);
        let mut calls: [GroupBatch<'_>; G] = std::array::from_fn(|g| {
            let Group { nets, range, .. } = &groups[g];
            let columns = &batch.groups[g];
            let (head, tail) = std::mem::take(&mut grads).split_at_mut(range.len());
            grads = tail;
            GroupBatch {
                shape: &nets.shape,
                n_agents: nets.n_agents,
                n_sets: nets.n_sets,
                n_critics: nets.n_critics,
                params: &params[range.clone()],
                target_params: &target_params[range.clone()],
                grads: head,
                obs: &columns.obs,
                next_obs: &columns.next_obs,
                next_mask: &columns.next_mask,
                action: &columns.action,
                reward: &columns.reward,
                discount: &columns.discount,
                valid: &columns.valid,
            }
        });
        let update = Update {
            groups: &mut calls,
            batch: batch.size,
            weight: &batch.weight,
            team_reward: &batch.team_reward,
            team_discount: &batch.team_discount,
            double_q: self.settings.double_q,
            mixer: self.mixer,
            loss: self.loss,
            priority,
        };
        match &mut self.on_device {
            None => Ok((self.backend.update(&mut self.update_scratch, update)?, None)),
            Some(on_device) => on_device.step(&mut self.backend, update, step),
        }
    }

    fn learn(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<Measured> {
        match self.groups.len() {
            1 => self.learn_groups::<1>(batch, priority),
            2 => self.learn_groups::<2>(batch, priority),
            3 => self.learn_groups::<3>(batch, priority),
            _ => self.learn_groups::<MAX_GROUPS>(batch, priority),
        }
    }
}

/// What an update measured, and the norm of the gradient if the step is taken already.
type Measured = (coact_kernels::UpdateStats, Option<f32>);

/// Most groups of agents that one learner serves; more would need a larger stack array above.
const MAX_GROUPS: usize = 4;

fn build_groups(spec: &EnvSpec, n_envs: usize, settings: &ValueSettings) -> Vec<Group> {
    let mut start = 0;
    let build = |(g, group): (usize, &coact_core::GroupSpec)| {
        let n_actions = group.action.n_discrete();
        let shape = QShape::new(
            group.obs_width(),
            settings.hidden.clone(),
            n_actions,
            settings.activation(),
            settings.layer_norm,
            settings.dueling,
        );
        let nets = QNetworks {
            shape,
            n_agents: group.n_agents,
            n_sets: if settings.sharing == Sharing::Shared { 1 } else { group.n_agents },
            n_critics: if settings.double_qc { 2 } else { 1 },
        };
        let range = start..start + nets.param_count();
        start = range.end;
        Group {
            noise: Noise::new(settings.exploration_noise, n_envs, group.n_agents, n_actions),
            act_scratch: ActScratch::default(),
            first_row: (g as u32) << 24,
            nets,
            range,
        }
    };
    spec.groups.iter().enumerate().map(build).collect()
}

/// Kernels count agents within a group, users over all of them.
pub(crate) fn over_all_groups(error: coact_kernels::Error, first_agent: usize) -> Error {
    match error {
        coact_kernels::Error::NoLegalAction { env, agent } => {
            coact_core::Error::NoLegalAction { env, agent: first_agent + agent }.into()
        }
        other => other.into(),
    }
}

impl Learner for ValueLearner {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        let (clock, scale) = match mode {
            ActMode::Explore(clock) => (clock, self.noise_scale(clock)),
            ActMode::Greedy => (Clock::default(), 0.0),
        };
        let epsilon = self.epsilon.value(clock.env_steps) as f32;
        let temperature = self.temperature.value(clock.env_steps) as f32;
        self.flush()?;
        let mut first_agent = 0;
        for (g, group) in self.groups.iter_mut().enumerate() {
            let Group { nets, range, first_row, noise, act_scratch } = group;
            let exploration = match (mode, self.settings.exploration) {
                (ActMode::Greedy, _) => Exploration::Greedy,
                (_, ExplorationKind::Boltzmann) => Exploration::Boltzmann { temperature },
                (_, ExplorationKind::EpsilonGreedy) => match self.settings.exploration_noise {
                    NoiseKind::None => Exploration::EpsilonGreedy { epsilon },
                    _ => {
                        let noise = noise.next(scale, self.explore_seed, g as u32, clock.vector_steps);
                        Exploration::Noise { noise, epsilon }
                    }
                },
            };
            let columns = &step.groups[g];
            // Acting uses the first critic, whose sets lead the group's block.
            let len = nets.n_sets * nets.shape.mlp.param_count();
            let call = Act {
                shape: &nets.shape,
                params: &self.params[range.start..range.start + len],
                n_sets: nets.n_sets,
                n_agents: nets.n_agents,
                obs: &columns.obs,
                mask: &columns.mask,
                alive: &columns.alive,
                exploration,
                seed: self.explore_seed,
                step: clock.vector_steps,
                first_row: *first_row,
                actions: &mut actions.discrete[g],
                q: None,
            };
            let chosen = device::act(&mut self.backend, self.on_device.as_ref(), g, act_scratch, call);
            chosen.map_err(|e| over_all_groups(e, first_agent))?;
            first_agent += nets.n_agents;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.bring_home()
    }

    fn params(&self) -> &[f32] {
        self.assert_settled();
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
        if let Some(on_device) = &mut self.on_device {
            on_device.params_set();
        }
    }

    fn grad_steps(&self) -> u64 {
        self.optimizer.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        self.flush()?;
        let Group { nets, range, first_row, act_scratch, .. } = &mut self.groups[group];
        let columns = &step.groups[group];
        let rows = step.n_envs * nets.n_agents;
        let mut values = vec![0.0; rows * nets.shape.n_actions];
        let len = nets.n_sets * nets.shape.mlp.param_count();
        let call = Act {
            shape: &nets.shape,
            params: &self.params[range.start..range.start + len],
            n_sets: nets.n_sets,
            n_agents: nets.n_agents,
            obs: &columns.obs,
            mask: &[],
            alive: &[],
            exploration: Exploration::Greedy,
            seed: self.explore_seed,
            step: 0,
            first_row: *first_row,
            actions: &mut vec![0; rows],
            q: Some(&mut values),
        };
        device::act(&mut self.backend, self.on_device.as_ref(), group, act_scratch, call)?;
        Ok(values)
    }

    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)> {
        let mut gauges = match self.settings.exploration {
            ExplorationKind::EpsilonGreedy => vec![("epsilon", self.epsilon.value(clock.env_steps))],
            ExplorationKind::Boltzmann => vec![("temperature", self.temperature.value(clock.env_steps))],
        };
        if self.settings.exploration_noise != NoiseKind::None {
            gauges.push(("noise_scale", self.noise_scale(clock)));
        }
        gauges
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        self.assert_settled();
        let agents = self.groups.iter().flat_map(|g| (0..g.nets.n_agents).map(move |a| (g, a)));
        let policy = |((group, a), name): ((&Group, usize), &String)| {
            let network = group.nets.network(0, a.min(group.nets.n_sets - 1));
            let shape = &group.nets.shape;
            AgentPolicy {
                agent: name.clone(),
                tensors: group.nets.to_torch(&self.params[group.range.clone()][network]),
                architecture: vec![
                    ("input", shape.mlp.input.to_string()),
                    ("hidden", format!("{:?}", shape.mlp.hidden)),
                    ("n_actions", shape.n_actions.to_string()),
                    ("activation", format!("{:?}", shape.mlp.activation).to_lowercase()),
                    ("layer_norm", shape.mlp.layer_norm.to_string()),
                    ("dueling", shape.dueling.to_string()),
                ],
            }
        };
        agents.zip(&self.agent_names).map(policy).collect()
    }

    fn save(&self, out: &mut Writer) {
        self.assert_settled();
        out.u64(self.optimizer.grad_steps);
        out.f32s(&self.params);
        out.f32s(&self.target_params);
        self.optimizer.moments().iter().for_each(|m| out.f32s(m));
        self.groups.iter().for_each(|g| g.noise.save(out));
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.optimizer.grad_steps = from.u64()?;
        from.f32s(&mut self.params)?;
        from.f32s(&mut self.target_params)?;
        for moments in self.optimizer.moments_mut() {
            from.f32s(moments)?;
        }
        for group in &mut self.groups {
            group.noise.load(from)?;
        }
        if let Some(on_device) = &mut self.on_device {
            on_device.all_set();
        }
        Ok(())
    }
}

impl TransitionLearner for ValueLearner {
    fn update_from(&mut self, replay: &mut Replay, draws: Draws, drawn: &mut Drawn) -> Result<()> {
        // A device has weights of the batch's own scale only, which is the one that runs use.
        match self.on_device {
            Some(_) if replay.config().normalize_weights_by == WeightNorm::Batch => {
                self.update_on_device(replay, draws, drawn)
            }
            _ => update_on_host(self, replay, draws, drawn),
        }
    }

    fn settle_replay(&mut self, replay: &mut Replay) -> Result<()> {
        self.bring_priorities(replay)
    }

    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        self.flush()?;
        let (stats, moved) = self.learn(batch, priority)?;
        if !stats.loss.is_finite() {
            let grad_steps = self.optimizer.grad_steps;
            return Err(Error::NonFinite { what: "loss", value: stats.loss, grad_steps });
        }
        let learning_rate = self.learning_rate.value(self.optimizer.grad_steps);
        let (grad_norm, target_synced) = match moved {
            Some(norm) => {
                self.optimizer.grad_steps += 1;
                (norm, self.target_rule.tau(self.optimizer.grad_steps).is_some())
            }
            None => {
                let (params, grads) = (&mut self.params, &mut self.grads);
                let norm = self.optimizer.step(&mut self.backend, learning_rate, params, grads)?;
                (norm, self.sync_target())
            }
        };
        Ok(UpdateStats {
            loss: stats.loss,
            grad_norm,
            learning_rate,
            target_synced,
            named: Named::new([("q_mean", stats.q_mean), ("td_abs", stats.td_abs_mean)]),
        })
    }
}
