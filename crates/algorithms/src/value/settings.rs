//! Settings of the value family: every key with its default and manual, the checks, and the objects that they
//! describe.

use coact_kernels::{Activation, Clip, Loss};
use coact_nets::{Init, OptimizerConfig, OptimizerKind, Schedule, Sharing};
use serde::{Deserialize, Serialize};

use crate::noise::NoiseKind;
pub use crate::settings::{ActivationKind, LossKind, ScheduleKind};
use crate::{Error, Result};

/// How training chooses actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplorationKind {
    /// A random legal action with probability epsilon, else the best.
    EpsilonGreedy,
    /// Legal actions with probability proportional to exp(Q / temperature).
    Boltzmann,
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
            "it cannot stand beside `target_network_update_freq`; choose soft target updates (target_network_update_freq=none) or hard ones (tau=none)",
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

    pub(super) fn optimizer(&self) -> OptimizerConfig {
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

    pub(super) fn learning_rate(&self, total_grad_steps: u64) -> Result<Schedule> {
        let (points, decay) = (&self.learning_rate_points[..], self.learning_rate_decay_eps);
        let ends = (self.learning_rate, self.learning_rate_min);
        self.learning_schedule.schedule(ends, total_grad_steps, decay, points)
    }

    pub(super) fn loss(&self) -> Loss {
        self.loss.loss(self.huber_delta)
    }

    pub(super) fn activation(&self) -> Activation {
        self.activation.into()
    }

    /// From the first to the last value over the time that exploration falls.
    pub(super) fn exploration(&self, from: f64, to: f64, total_env_steps: u64) -> Schedule {
        let by_fraction = (self.exploration_fraction * total_env_steps as f64).round() as u64;
        Schedule::Linear { from, to, over: self.exploration_timesteps.unwrap_or(by_fraction) }
    }
}
