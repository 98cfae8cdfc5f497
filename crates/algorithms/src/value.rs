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
    Act, ActScratch, Activation, Backend, Clip, Exploration, GroupBatch, Loss, Mixer, QShape, Update,
    UpdateScratch,
};
use coact_nets::{Init, Optimizer, OptimizerConfig, OptimizerKind, QNetworks, Schedule, Sharing};
use coact_replay::Batch;
use serde::{Deserialize, Serialize};

use crate::learner::{ActMode, AgentPolicy, AlgorithmEntry, BuildContext, Clock, Learner, UpdateStats};
use crate::noise::{Noise, NoiseKind};
use crate::{Error, Result};

/// Independent double DQN.
pub const IQL: AlgorithmEntry = AlgorithmEntry {
    name: "iql",
    summary: "independent double DQN: every agent learns its own action values from its own reward",
    source: "Tan 1993; Mnih et al. 2015; van Hasselt et al. 2016",
    requires: "discrete actions",
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
    keys: ValueSettings::KEYS,
    resolve: |settings| resolve("vdn", settings),
    check: |spec| check("vdn", Mixer::Sum, spec),
    build: |context| build("vdn", Mixer::Sum, context),
};

/// Which activation follows hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationKind {
    /// max(x, 0).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// Loss of the temporal-difference error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Quadratic near zero, linear beyond `huber_delta`.
    Huber,
    /// td^2, as PyTorch's `mse_loss`.
    Squared,
}

/// How training chooses actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplorationKind {
    /// A random legal action with probability epsilon, else the best.
    EpsilonGreedy,
    /// Legal actions with probability proportional to exp(Q / temperature).
    Boltzmann,
}

/// Shape of a schedule over training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Always `learning_rate`.
    Constant,
    /// A straight line down to `learning_rate_min` at the end of the run.
    Linear,
    /// Half a cosine wave down to `learning_rate_min` at the end of the run.
    Cosine,
    /// `max(learning_rate_min, learning_rate * (1 - learning_rate_decay_eps)^t)`.
    Exponential,
    /// Straight lines through `learning_rate_points`.
    Piecewise,
}

coact_core::settings! {
    /// Settings of the value family.
    pub struct ValueSettings {
        /// Whether agents of a group share one network ("shared") or each has its own ("separate").
        sharing: Sharing = Sharing::Shared,
        /// Widths of the hidden layers, at most 512 each.
        hidden: Vec<usize> = vec![64, 64],
        /// Activation of hidden layers: "relu" or "tanh".
        activation: ActivationKind = ActivationKind::Relu,
        /// Layer norm before each activation.
        layer_norm: bool = false,
        /// Initial weights: "orthogonal", "kaiming", or "torch" (what torch.nn.Linear does).
        init: Init = Init::Orthogonal,
        /// Dueling head: Q = V + A - mean(A). For a Q-learner, `gradient_normalized_advantages` means the same.
        #[alias("gradient_normalized_advantages")]
        dueling: bool = false,
        /// Double Q-learning: the online network chooses the next action, the target network values it.
        double_q: bool = true,
        /// Clipped double critic: two networks are trained, the target takes the smaller value.
        double_qc: bool = false,
        /// Loss of the temporal-difference error: "huber" or "squared".
        loss: LossKind = LossKind::Huber,
        /// Where the Huber loss turns from quadratic to linear, in units of return.
        huber_delta: f32 = 1.0,
        /// Optimizer: "adam", "adamw", "rmsprop" or "sgd", with PyTorch's definitions.
        optimizer: OptimizerKind = OptimizerKind::Adam,
        /// Added to the optimizer's denominator.
        optimizer_eps: f32 = 1e-8,
        /// Adam: decay of the first moment.
        adam_beta1: f32 = 0.9,
        /// Adam: decay of the second moment.
        adam_beta2: f32 = 0.999,
        /// RMSprop: decay of the squared gradient.
        rmsprop_alpha: f32 = 0.99,
        /// RMSprop: subtract the running mean of the gradient.
        rmsprop_centered: bool = false,
        /// RMSprop and SGD: momentum.
        momentum: f32 = 0.0,
        /// SGD: Nesterov's form of momentum.
        nesterov: bool = false,
        /// Weight decay; decoupled with "adamw", else added to the gradient.
        weight_decay: f32 = 0.0,
        /// Largest absolute value of a gradient component; "none" turns it off.
        gradient_clipping: Option<f32> = None,
        /// Largest norm of one tensor's gradient, applied before the global norm; "none" turns it off.
        gradient_clipping_local_norm: Option<f32> = None,
        /// Largest norm of all gradients of an optimizer together; "none" turns it off.
        gradient_clipping_global_norm: Option<f32> = Some(10.0),
        /// Added to the norm in the denominators of both norm clippings.
        #[alias("gradient_clipping_eps_global_norm", "gradient_clipping_eps_local_norm", "gradient_clipping_eps")]
        gradient_clipping_eps_norm: f32 = 1e-6,
        /// Learning rate at the start.
        learning_rate: f64 = 5e-4,
        /// Course of the learning rate over gradient steps: "constant", "linear", "cosine", "exponential" or "piecewise".
        #[alias("learning_rate_schedule")]
        learning_schedule: ScheduleKind = ScheduleKind::Constant,
        /// Fraction of the learning rate lost per gradient step; only with learning_schedule "exponential".
        learning_rate_decay_eps: Option<f64> = None,
        /// Smallest learning rate of a falling schedule.
        learning_rate_min: f64 = 0.0,
        /// Points [gradient step, learning rate] of learning_schedule "piecewise".
        learning_rate_points: Vec<(u64, f64)> = Vec::new(),
        /// Gradient steps between hard copies into the target network. Not together with `tau`.
        #[alias("target_network_update")]
        target_network_update_freq: Option<u64> = None,
        /// Weight of the new parameters in a soft target update at every gradient step. Not together with `target_network_update_freq`.
        tau: Option<f32> = None,
        /// How training explores: "epsilon_greedy" or "boltzmann".
        exploration: ExplorationKind = ExplorationKind::EpsilonGreedy,
        /// Fraction of `env_steps` over which epsilon (or the temperature) falls from its first to its last value.
        exploration_fraction: f64 = 0.1,
        /// Environment steps over which epsilon falls; overrides `exploration_fraction`.
        exploration_timesteps: Option<u64> = None,
        /// Epsilon at the start.
        #[alias("exploration_first_eps", "exploration_noise_first_eps")]
        exploration_initial_eps: f64 = 1.0,
        /// Epsilon after its fall.
        exploration_final_eps: f64 = 0.05,
        /// Boltzmann temperature at the start, in units of return.
        temperature_initial: f64 = 1.0,
        /// Boltzmann temperature after its fall.
        temperature_final: f64 = 0.05,
        /// Noise added to action values before the greedy choice: "none", "gaussian", "ornstein_uhlenbeck", "orthogonal" (across the agents of a group).
        #[alias("exploration_noise_type")]
        exploration_noise: NoiseKind = NoiseKind::None,
        /// Standard deviation of the noise at the start, in units of return.
        exploration_noise_scale: f64 = 0.2,
        /// Factor on the noise per finished episode.
        exploration_noise_decay: f64 = 0.99,
    }
}

/// Gradient steps between hard target copies where neither that nor `tau` is given (EPyMARL's 200).
const DEFAULT_TARGET_EVERY: u64 = 200;

#[derive(Debug, Clone, Copy, PartialEq)]
enum TargetRule {
    HardEvery(u64),
    Soft(f32),
}

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

fn parse(algorithm: &'static str, settings: &serde_json::Value) -> Result<ValueSettings> {
    let settings: ValueSettings = serde_json::from_value(settings.clone())
        .map_err(|e| Error::Settings { algorithm, reason: e.to_string() })?;
    settings.check()?;
    Ok(settings)
}

fn resolve(algorithm: &'static str, settings: &serde_json::Value) -> Result<serde_json::Value> {
    let settings = parse(algorithm, settings)?;
    serde_json::to_value(settings).map_err(|e| Error::Settings { algorithm, reason: e.to_string() })
}

fn build(algorithm: &'static str, mixer: Mixer, context: BuildContext<'_>) -> Result<Box<dyn Learner>> {
    check(algorithm, mixer, context.spec)?;
    let settings = parse(algorithm, context.settings)?;
    Ok(Box::new(ValueLearner::new(mixer, settings, context)?))
}

impl ValueSettings {
    /// # Errors
    /// A number outside its range, or two settings that contradict each other.
    pub fn check(&self) -> Result<()> {
        let ensure = |ok: bool, key, value: String, rule| match ok {
            true => Ok(()),
            false => Err(Error::Setting { key, value, rule }),
        };
        let widths = self.hidden.iter().all(|h| (1..=512).contains(h));
        ensure(widths, "hidden", format!("{:?}", self.hidden), "each width must be 1 to 512")?;
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let positive = |v: f64| v.is_finite() && v > 0.0;
        for (key, v) in [
            ("exploration_fraction", self.exploration_fraction),
            ("exploration_initial_eps", self.exploration_initial_eps),
            ("exploration_final_eps", self.exploration_final_eps),
            ("exploration_noise_decay", self.exploration_noise_decay),
        ] {
            ensure(unit(v), key, v.to_string(), "it must be in [0, 1]")?;
        }
        for (key, v) in [
            ("learning_rate", self.learning_rate),
            ("huber_delta", f64::from(self.huber_delta)),
            ("temperature_initial", self.temperature_initial),
            ("temperature_final", self.temperature_final),
            ("exploration_noise_scale", self.exploration_noise_scale),
        ] {
            ensure(positive(v), key, v.to_string(), "it must be a positive number")?;
        }
        let eps = f64::from(self.gradient_clipping_eps_norm);
        ensure(
            eps.is_finite() && eps >= 0.0,
            "gradient_clipping_eps_norm",
            eps.to_string(),
            "it must be 0 or more",
        )?;
        let floor = self.learning_rate_min;
        ensure(
            (0.0..=self.learning_rate).contains(&floor),
            "learning_rate_min",
            floor.to_string(),
            "it must be between 0 and `learning_rate`",
        )?;
        if let Some(tau) = self.tau {
            ensure(tau > 0.0 && tau <= 1.0, "tau", tau.to_string(), "it must be in (0, 1]")?;
        }
        let every = self.target_network_update_freq;
        ensure(every != Some(0), "target_network_update_freq", "0".into(), "it must be 1 or more")?;
        ensure(
            every.is_none() || self.tau.is_none(),
            "tau",
            format!("{:?}", self.tau.unwrap_or_default()),
            "it cannot stand beside `target_network_update_freq`; choose soft or hard target updates",
        )?;
        self.check_combinations()
    }

    fn check_combinations(&self) -> Result<()> {
        let exponential = self.learning_schedule == ScheduleKind::Exponential;
        if let Some(rate) = self.learning_rate_decay_eps {
            let fault =
                |rule| Error::Setting { key: "learning_rate_decay_eps", value: rate.to_string(), rule };
            if !exponential {
                return Err(fault("it only acts with `learning_schedule` = \"exponential\""));
            }
            if !(0.0..1.0).contains(&rate) {
                return Err(fault("it must be in [0, 1)"));
            }
        } else if exponential {
            let rule = "give the fraction lost per gradient step for the exponential schedule";
            return Err(Error::Setting { key: "learning_rate_decay_eps", value: "missing".into(), rule });
        }
        let piecewise = self.learning_schedule == ScheduleKind::Piecewise;
        if piecewise == self.learning_rate_points.is_empty() {
            let rule = "give points with `learning_schedule` = \"piecewise\", and only then";
            let value = format!("{:?}", self.learning_rate_points);
            return Err(Error::Setting { key: "learning_rate_points", value, rule });
        }
        if self.exploration == ExplorationKind::Boltzmann && self.exploration_noise != NoiseKind::None {
            let rule = "noise on action values goes with epsilon_greedy exploration; set one of the two";
            let value = format!("{:?}", self.exploration_noise);
            return Err(Error::Setting { key: "exploration_noise", value, rule });
        }
        Ok(())
    }

    fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            kind: self.optimizer,
            eps: self.optimizer_eps,
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            alpha: self.rmsprop_alpha,
            momentum: self.momentum,
            nesterov: self.nesterov,
            centered: self.rmsprop_centered,
            weight_decay: self.weight_decay,
            clip: Clip {
                value: self.gradient_clipping,
                tensor_norm: self.gradient_clipping_local_norm,
                global_norm: self.gradient_clipping_global_norm,
                eps: self.gradient_clipping_eps_norm,
            },
        }
    }

    fn learning_rate(&self, total_grad_steps: u64) -> Result<Schedule> {
        let (from, to, over) = (self.learning_rate, self.learning_rate_min, total_grad_steps);
        Ok(match self.learning_schedule {
            ScheduleKind::Constant => Schedule::Constant(from),
            ScheduleKind::Linear => Schedule::Linear { from, to, over },
            ScheduleKind::Cosine => Schedule::Cosine { from, to, over },
            ScheduleKind::Exponential => {
                let rate = self.learning_rate_decay_eps.unwrap_or(0.0);
                Schedule::Exponential { from, rate, floor: to }
            }
            ScheduleKind::Piecewise => Schedule::piecewise(self.learning_rate_points.clone())?,
        })
    }
}

impl ValueLearner {
    /// A learner with fresh networks.
    ///
    /// # Errors
    /// Settings outside their range or in contradiction.
    pub fn new(mixer: Mixer, settings: ValueSettings, context: BuildContext<'_>) -> Result<Self> {
        settings.check()?;
        let BuildContext { spec, n_envs, seed, total_env_steps, total_grad_steps, backend, .. } = context;
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
        let over = settings
            .exploration_timesteps
            .unwrap_or((settings.exploration_fraction * total_env_steps as f64).round() as u64);
        Ok(Self {
            mixer,
            agent_names: spec.agent_names(),
            target_params: params.clone(),
            grads: vec![0.0; n_params],
            params,
            optimizer,
            learning_rate: settings.learning_rate(total_grad_steps)?,
            epsilon: Schedule::Linear {
                from: settings.exploration_initial_eps,
                to: settings.exploration_final_eps,
                over,
            },
            temperature: Schedule::Linear {
                from: settings.temperature_initial,
                to: settings.temperature_final,
                over,
            },
            target_rule: match (settings.tau, settings.target_network_update_freq) {
                (Some(tau), _) => TargetRule::Soft(tau),
                (None, every) => TargetRule::HardEvery(every.unwrap_or(DEFAULT_TARGET_EVERY)),
            },
            loss: match settings.loss {
                LossKind::Huber => Loss::Huber { delta: settings.huber_delta },
                LossKind::Squared => Loss::Squared,
            },
            explore_seed: derive_seed(seed, Purpose::Explore, 0),
            groups,
            settings,
            backend,
            update_scratch: UpdateScratch::default(),
        })
    }

    fn noise_scale(&self, clock: Clock) -> f64 {
        let episodes = i32::try_from(clock.episodes).unwrap_or(i32::MAX);
        self.settings.exploration_noise_scale * self.settings.exploration_noise_decay.powi(episodes)
    }

    fn sync_target(&mut self) -> bool {
        match self.target_rule {
            TargetRule::Soft(tau) => {
                self.backend.blend(&mut self.target_params, &self.params, tau);
                true
            }
            TargetRule::HardEvery(every) if self.optimizer.grad_steps.is_multiple_of(every) => {
                self.target_params.copy_from_slice(&self.params);
                true
            }
            TargetRule::HardEvery(_) => false,
        }
    }

    /// Runs the update kernel over `G` groups; the array lives on the stack, so nothing is allocated.
    fn run_update<const G: usize>(
        &mut self,
        batch: &Batch,
        priority: &mut [f32],
    ) -> Result<coact_kernels::UpdateStats> {
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
        Ok(self.backend.update(&mut self.update_scratch, update)?)
    }
}

/// Most groups of agents that one learner serves; more would need a larger stack array above.
const MAX_GROUPS: usize = 4;

fn build_groups(spec: &EnvSpec, n_envs: usize, settings: &ValueSettings) -> Vec<Group> {
    let activation = match settings.activation {
        ActivationKind::Relu => Activation::Relu,
        ActivationKind::Tanh => Activation::Tanh,
    };
    let mut start = 0;
    let build = |(g, group): (usize, &coact_core::GroupSpec)| {
        let n_actions = group.action.n_discrete();
        let shape = QShape::new(
            group.obs_width(),
            settings.hidden.clone(),
            n_actions,
            activation,
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

impl Learner for ValueLearner {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        let (clock, scale) = match mode {
            ActMode::Explore(clock) => (clock, self.noise_scale(clock)),
            ActMode::Greedy => (Clock::default(), 0.0),
        };
        let epsilon = self.epsilon.value(clock.env_steps) as f32;
        let temperature = self.temperature.value(clock.env_steps) as f32;
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
            self.backend.act(
                act_scratch,
                Act {
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
                },
            )?;
        }
        Ok(())
    }

    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        let stats = match self.groups.len() {
            1 => self.run_update::<1>(batch, priority)?,
            2 => self.run_update::<2>(batch, priority)?,
            3 => self.run_update::<3>(batch, priority)?,
            _ => self.run_update::<MAX_GROUPS>(batch, priority)?,
        };
        if !stats.loss.is_finite() {
            let grad_steps = self.optimizer.grad_steps;
            return Err(Error::NonFinite { what: "loss", value: stats.loss, grad_steps });
        }
        let learning_rate = self.learning_rate.value(self.optimizer.grad_steps);
        let grad_norm =
            self.optimizer.step(&mut self.backend, learning_rate, &mut self.params, &mut self.grads)?;
        let target_synced = self.sync_target();
        Ok(UpdateStats {
            loss: stats.loss,
            q_mean: stats.q_mean,
            td_abs_mean: stats.td_abs_mean,
            grad_norm,
            learning_rate,
            target_synced,
        })
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
    }

    fn grad_steps(&self) -> u64 {
        self.optimizer.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
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
        self.backend.act(act_scratch, call)?;
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
        Ok(())
    }
}
