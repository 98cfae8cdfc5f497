//! Settings of the actor-critic family on transitions: every key with its default and manual, the checks, and the objects
//! that they describe.

use coact_kernels::Clip;
use coact_nets::{Init, OptimizerConfig, OptimizerKind, Schedule, Sharing};
use serde::{Deserialize, Serialize};

use crate::noise::NoiseKind;
use crate::settings::{ActivationKind, ScheduleKind, TargetRule};
use crate::{Error, Result};

/// What a critic reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriticInput {
    /// Observations and actions of all agents.
    All,
    /// The global state, and the actions of all agents.
    State,
    /// The agent's own observation and action.
    Own,
}

/// What the other agents do in the loss of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherActions {
    /// What they did.
    Replay,
    /// What their policies would do now.
    Policy,
}

coact_core::settings! {
    /// Settings of the actor-critic family on transitions.
    pub struct ActorCriticSettings {
        /// Whether agents of a group share one network ("shared") or each has its own ("separate").
        sharing: Sharing = Sharing::Shared,
        /// Widths of the hidden layers, at most 512 each.
        hidden: Vec<usize> = vec![64, 64],
        /// Widths of the critics' hidden layers; "none" for those of `hidden`.
        critic_hidden: Option<Vec<usize>> = None,
        /// Activation of hidden layers: "relu" or "tanh".
        activation: ActivationKind = ActivationKind::Relu,
        /// Layer norm before each activation.
        layer_norm: bool = false,
        /// Initial weights: "orthogonal", "kaiming", or "torch" (what torch.nn.Linear does).
        init: Init = Init::Torch,
        /// What critics read: "all" (observations and actions of all agents), "state" (the state and all actions) or "own"; "none" for the algorithm's own choice.
        critic_input: Option<CriticInput> = None,
        /// What the other agents do in the loss of an actor: "replay" (what they did) or "policy" (what they would do now).
        other_actions: OtherActions = OtherActions::Replay,
        /// Two critics an agent, targets take the lower value; "none" for the algorithm's own choice.
        twin_critics: Option<bool> = None,
        /// Gradient steps of the critics for one of the actors and of soft targets; "none" for the algorithm's own choice.
        policy_delay: Option<u64> = None,
        /// Standard deviation of the noise on target actions, in half ranges of a continuous action; discrete target actions are then drawn. "none" for the algorithm's own choice.
        target_noise: Option<f32> = None,
        /// Largest absolute value of the noise on target actions.
        target_noise_clip: f32 = 0.5,
        /// Temperature of the Gumbel-softmax of discrete deterministic actors.
        gumbel_temperature: f32 = 1.0,
        /// Weight of the mean squared actor output (logits, or what tanh squashes) in the actors' loss; "none" for the algorithm's own choice.
        actor_reg: Option<f32> = None,
        /// Weight of the entropy in soft algorithms; "none" learns it so that the entropy is `target_entropy`.
        ent_coef: Option<f32> = None,
        /// Weight of the entropy at the start where it is learned.
        ent_coef_init: f32 = 1.0,
        /// Entropy of one agent, in nats, that a learned weight aims at; "none" for minus the number of components where actions are continuous, and `target_entropy_fraction` of the largest possible one where they are discrete.
        target_entropy: Option<f32> = None,
        /// Where actions are discrete: the fraction of the largest possible entropy that a learned weight aims at.
        target_entropy_fraction: f32 = 0.3,
        /// Optimizer: "adam", "adamw", "rmsprop" or "sgd", with PyTorch's definitions.
        optimizer: OptimizerKind = OptimizerKind::Adam,
        /// Added to the optimizer's denominator.
        optimizer_eps: f32 = 1e-8,
        /// Adam: decay of the first moment.
        adam_beta1: f32 = 0.9,
        /// Adam: decay of the second moment.
        adam_beta2: f32 = 0.999,
        /// Weight decay; decoupled with "adamw", else added to the gradient.
        weight_decay: f32 = 0.0,
        /// Largest absolute value of a gradient component; "none" turns it off.
        gradient_clipping: Option<f32> = None,
        /// Largest norm of one tensor's gradient, applied before the global norm; "none" turns it off.
        gradient_clipping_local_norm: Option<f32> = None,
        /// Largest norm of the gradient of one network; "none" turns it off.
        gradient_clipping_global_norm: Option<f32> = Some(10.0),
        /// Added to the norm in the denominators of both norm clippings.
        #[alias("gradient_clipping_eps_global_norm", "gradient_clipping_eps_local_norm", "gradient_clipping_eps")]
        gradient_clipping_eps_norm: f32 = 1e-6,
        /// Learning rate of the actors (and of a learned entropy weight) at the start.
        learning_rate: f64 = 5e-4,
        /// Learning rate of the critics at the start, following the course of `learning_rate`; "none" for the same.
        critic_learning_rate: Option<f64> = None,
        /// Course of the learning rate over gradient steps: "constant", "linear", "cosine", "exponential" or "piecewise".
        #[alias("learning_rate_schedule")]
        learning_schedule: ScheduleKind = ScheduleKind::Constant,
        /// Fraction of the learning rate lost per gradient step; only with learning_schedule "exponential".
        learning_rate_decay_eps: Option<f64> = None,
        /// Smallest learning rate of a falling schedule.
        learning_rate_min: f64 = 0.0,
        /// Points [gradient step, learning rate] of learning_schedule "piecewise".
        learning_rate_points: Vec<(u64, f64)> = Vec::new(),
        /// Gradient steps between hard copies into the target networks. Not together with `tau`.
        #[alias("target_network_update")]
        target_network_update_freq: Option<u64> = None,
        /// Weight of the new parameters in a soft target update. Not together with `target_network_update_freq`; "none" for 0.01 where that is none too.
        tau: Option<f32> = None,
        /// Environment steps at the start in which all actions are uniform.
        random_env_steps: u64 = 1_000,
        /// Noise on continuous actions of deterministic actors: "none", "gaussian", "ornstein_uhlenbeck", "orthogonal" (across the agents of a group).
        #[alias("exploration_noise_type")]
        exploration_noise: NoiseKind = NoiseKind::Gaussian,
        /// Standard deviation of the noise at the start, in half ranges of an action.
        exploration_noise_scale: f64 = 0.1,
        /// Factor on the noise per finished episode.
        exploration_noise_decay: f64 = 1.0,
        /// Smallest standard deviation of the noise.
        exploration_noise_min: f64 = 0.0,
    }
}

/// Weight of the new parameters where neither that nor a period is given (Lowe et al.).
const DEFAULT_TAU: f32 = 0.01;

fn ensure(ok: bool, key: &'static str, value: impl ToString, rule: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::Setting { key, value: value.to_string(), rule }) }
}

impl ActorCriticSettings {
    /// # Errors
    /// A number outside its range, or two settings that contradict each other.
    pub fn check(&self) -> Result<()> {
        let widths = |w: &[usize]| w.iter().all(|h| (1..=512).contains(h));
        ensure(widths(&self.hidden), "hidden", format!("{:?}", self.hidden), "each width must be 1 to 512")?;
        if let Some(hidden) = &self.critic_hidden {
            ensure(widths(hidden), "critic_hidden", format!("{hidden:?}"), "each width must be 1 to 512")?;
        }
        let positive = |v: f64| v.is_finite() && v > 0.0;
        for (key, v) in [
            ("learning_rate", self.learning_rate),
            ("critic_learning_rate", self.critic_learning_rate.unwrap_or(1.0)),
            ("gumbel_temperature", f64::from(self.gumbel_temperature)),
            ("ent_coef_init", f64::from(self.ent_coef_init)),
        ] {
            ensure(positive(v), key, v, "it must be a positive number")?;
        }
        let not_negative = |v: f64| v.is_finite() && v >= 0.0;
        for (key, v) in [
            ("target_noise", f64::from(self.target_noise.unwrap_or(0.0))),
            ("target_noise_clip", f64::from(self.target_noise_clip)),
            ("actor_reg", f64::from(self.actor_reg.unwrap_or(0.0))),
            ("ent_coef", f64::from(self.ent_coef.unwrap_or(0.0))),
            ("gradient_clipping_eps_norm", f64::from(self.gradient_clipping_eps_norm)),
            ("exploration_noise_scale", self.exploration_noise_scale),
            ("exploration_noise_min", self.exploration_noise_min),
        ] {
            ensure(not_negative(v), key, v, "it must be 0 or more")?;
        }
        for (key, v) in [
            ("exploration_noise_decay", self.exploration_noise_decay),
            ("target_entropy_fraction", f64::from(self.target_entropy_fraction)),
        ] {
            ensure((0.0..=1.0).contains(&v), key, v, "it must be in [0, 1]")?;
        }
        if let Some(entropy) = self.target_entropy {
            ensure(entropy.is_finite(), "target_entropy", entropy, "it must be a number")?;
        }
        let floor = self.learning_rate_min;
        let rule = "it must be between 0 and `learning_rate`";
        ensure((0.0..=self.learning_rate).contains(&floor), "learning_rate_min", floor, rule)?;
        if let Some(tau) = self.tau {
            ensure(tau > 0.0 && tau <= 1.0, "tau", tau, "it must be in (0, 1]")?;
        }
        let every = self.target_network_update_freq;
        ensure(every != Some(0), "target_network_update_freq", 0, "it must be 1 or more")?;
        ensure(self.policy_delay != Some(0), "policy_delay", 0, "it must be 1 or more")?;
        self.check_combinations()
    }

    fn check_combinations(&self) -> Result<()> {
        if let (Some(tau), Some(_)) = (self.tau, self.target_network_update_freq) {
            let rule = "it cannot stand beside `target_network_update_freq`; choose soft target updates (target_network_update_freq=none) or hard ones (tau=none)";
            return Err(Error::Setting { key: "tau", value: format!("{tau:?}"), rule });
        }
        let exponential = self.learning_schedule == ScheduleKind::Exponential;
        let (value, rule) = match self.learning_rate_decay_eps {
            Some(rate) if !exponential => {
                (rate.to_string(), "it only acts with `learning_schedule` = \"exponential\"")
            }
            Some(rate) if !(0.0..1.0).contains(&rate) => (rate.to_string(), "it must be in [0, 1)"),
            None if exponential => {
                ("missing".into(), "give the fraction lost per gradient step for the exponential schedule")
            }
            _ => (String::new(), ""),
        };
        ensure(rule.is_empty(), "learning_rate_decay_eps", value, rule)?;
        let piecewise = self.learning_schedule == ScheduleKind::Piecewise;
        ensure(
            piecewise != self.learning_rate_points.is_empty(),
            "learning_rate_points",
            format!("{:?}", self.learning_rate_points),
            "give points with `learning_schedule` = \"piecewise\", and only then",
        )
    }

    pub(super) fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            kind: self.optimizer,
            eps: self.optimizer_eps,
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            weight_decay: self.weight_decay,
            clip: Clip {
                value: self.gradient_clipping,
                tensor_norm: self.gradient_clipping_local_norm,
                global_norm: self.gradient_clipping_global_norm,
                eps: self.gradient_clipping_eps_norm,
            },
            ..OptimizerConfig::default()
        }
    }

    pub(super) fn learning_rate(&self, total_grad_steps: u64) -> Result<Schedule> {
        let (points, decay) = (&self.learning_rate_points[..], self.learning_rate_decay_eps);
        let ends = (self.learning_rate, self.learning_rate_min);
        self.learning_schedule.schedule(ends, total_grad_steps, decay, points)
    }

    /// The critics' learning rate in units of the actors'.
    pub(super) fn critic_rate_factor(&self) -> f64 {
        self.critic_learning_rate.map_or(1.0, |rate| rate / self.learning_rate)
    }

    pub(super) fn target_rule(&self) -> TargetRule {
        match self.target_network_update_freq {
            Some(every) => TargetRule::HardEvery(every),
            None => TargetRule::Soft(self.tau.unwrap_or(DEFAULT_TAU)),
        }
    }
}
