//! Settings of the policy family: every key with its default and manual, what differs between its algorithms, the checks,
//! and the objects that they describe.

use coact_kernels::Clip;
use coact_nets::{
    AgentNetShape, Cell, CellKind, GridShape, Init, OptimizerConfig, OptimizerKind, Schedule, Sharing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Rule;
use crate::decomposition::CellSetting;
use crate::settings::{ActivationKind, ScheduleKind};
use crate::{Error, Result};

/// What a centralized critic sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriticInput {
    /// The environment's state if it has one, else all observations.
    Auto,
    /// The environment's state.
    State,
    /// The observations of all agents, one after the other.
    Observations,
}

/// Distribution of continuous actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContinuousKind {
    /// A normal draw through a hyperbolic tangent, which keeps it within the bounds.
    Squashed,
    /// A normal draw, cut off at the bounds.
    Gaussian,
}

coact_core::settings! {
    /// Settings of the policy family.
    pub struct PolicySettings {
        /// Whether agents of a group share networks ("shared") or each has its own ("separate"; the only way of happo).
        sharing: Sharing = Sharing::Shared,
        /// Convolutions over the grid that observations begin with, before `hidden`, for actors and for critics
        /// that see one observation; none if absent. For example
        /// `{ channels = 4, height = 3, width = 3, layers = [{ filters = 16, kernel = 2 }] }`, with `stride` (1) and
        /// `padding` (0) of each layer as wanted.
        grid: Option<GridShape> = None,
        /// Widths of the hidden layers, at most 512 each; before the recurrent cell if there is one.
        hidden: Vec<usize> = vec![64, 64],
        /// Recurrent cell of actors and critics (not of coma's critic): "none", "gru" or "lstm".
        cell: CellSetting = CellSetting::None,
        /// Units of the recurrent cell.
        cell_width: usize = 64,
        /// Widths of the hidden layers after the cell; without a cell they follow `hidden`.
        head: Vec<usize> = Vec::new(),
        /// Activation of hidden layers: "tanh" or "relu".
        activation: ActivationKind = ActivationKind::Tanh,
        /// Layer norm before each activation.
        layer_norm: bool = false,
        /// Initial weights: "orthogonal", "kaiming", or "torch".
        init: Init = Init::Orthogonal,
        /// Factor on the initial weights of the actor's last layer: small ones start near the uniform policy.
        actor_output_gain: f32 = 0.01,
        /// What a centralized critic sees: "state", "observations" (of all agents), or "auto" (the state if there is one).
        critic_input: CriticInput = CriticInput::Auto,
        /// Distribution of continuous actions: "squashed" or "gaussian".
        continuous_distribution: ContinuousKind = ContinuousKind::Squashed,
        /// Logarithm of the standard deviation of continuous actions at the start; it is then learned.
        log_std_init: f32 = 0.0,
        /// Passes over a rollout (1 for reinforce, ia2c, maa2c and coma).
        epochs: usize = 4,
        /// Gradient steps a pass: each takes a part of the steps, or of the environments with recurrent networks (1 for reinforce, ia2c, maa2c and coma).
        minibatches: usize = 4,
        /// How far the ratio to the old policy may move from 1 and still gain; only ippo, mappo and happo.
        clip_eps: f32 = 0.2,
        /// How far a value may move from the old one and still gain; "none" turns it off (as in all but ippo, mappo and happo).
        value_clip_eps: Option<f32> = Some(0.2),
        /// Weight of the policy's entropy.
        #[alias("entropy_coef")]
        ent_coef: f32 = 0.01,
        /// Weight of the critic's loss.
        vf_coef: f32 = 0.5,
        /// Weight of later errors in advantages: 0 trusts the critic, 1 the rewards.
        gae_lambda: f32 = 0.95,
        /// Advantages from returns of this many steps instead of `gae_lambda`; "none" turns it off (5 for ia2c and maa2c).
        return_steps: Option<usize> = None,
        /// Shift and scale the advantages of every gradient step to mean 0 and standard deviation 1 (false for ia2c, maa2c and coma).
        normalize_advantage: bool = true,
        /// Let critics learn returns normalized by running moments (true for mappo and happo).
        value_norm: bool = false,
        /// What an update leaves of the moments before it.
        value_norm_beta: f64 = 0.99999,
        /// Optimizer: "adam", "adamw", "rmsprop" or "sgd", with PyTorch's definitions.
        optimizer: OptimizerKind = OptimizerKind::Adam,
        /// Added to the optimizer's denominator.
        optimizer_eps: f32 = 1e-5,
        /// Adam: decay of the first moment.
        adam_beta1: f32 = 0.9,
        /// Adam: decay of the second moment.
        adam_beta2: f32 = 0.999,
        /// RMSprop: decay of the squared gradient.
        rmsprop_alpha: f32 = 0.99,
        /// RMSprop and SGD: momentum.
        momentum: f32 = 0.0,
        /// Weight decay; decoupled with "adamw", else added to the gradient.
        weight_decay: f32 = 0.0,
        /// Largest norm of all gradients of an optimizer together; "none" turns it off.
        #[alias("max_grad_norm")]
        gradient_clipping_global_norm: Option<f32> = Some(0.5),
        /// Learning rate at the start.
        learning_rate: f64 = 2.5e-4,
        /// Course of the learning rate over environment steps: "constant", "linear", "cosine" or "piecewise".
        #[alias("learning_rate_schedule")]
        learning_schedule: ScheduleKind = ScheduleKind::Linear,
        /// Smallest learning rate of a falling schedule.
        learning_rate_min: f64 = 0.0,
        /// Points [environment step, learning rate] of learning_schedule "piecewise".
        learning_rate_points: Vec<(u64, f64)> = Vec::new(),
        /// Gradient steps between hard copies into the target of coma's critic.
        #[alias("target_network_update")]
        target_network_update_freq: u64 = 200,
    }
}

/// What an algorithm sets otherwise than the table above.
fn own_defaults(rule: Rule) -> Value {
    let one_pass = json!({
        "epochs": 1, "minibatches": 1, "value_clip_eps": null, "normalize_advantage": false,
        "learning_rate": 5e-4, "learning_schedule": "constant", "gradient_clipping_global_norm": 10.0,
    });
    let own = match rule {
        Rule::Reinforce => json!({"gae_lambda": 1.0, "normalize_advantage": true, "learning_rate": 1e-3}),
        Rule::Ia2c => json!({"return_steps": 5, "ent_coef": 1e-3}),
        Rule::Maa2c => json!({"return_steps": 5, "ent_coef": 1e-2}),
        Rule::Coma => json!({"gae_lambda": 0.8, "ent_coef": 1e-3, "learning_rate": 3e-4, "vf_coef": 1.0}),
        Rule::Ippo => return json!({}),
        Rule::Mappo => return json!({"value_norm": true}),
        Rule::Happo => return json!({"value_norm": true, "sharing": "separate"}),
    };
    laid_over(one_pass, &own)
}

fn laid_over(base: Value, over: &Value) -> Value {
    let mut map = match base {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    map.extend(over.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    Value::Object(map)
}

impl PolicySettings {
    /// The settings of an algorithm: those given over the algorithm's own defaults.
    ///
    /// # Errors
    /// An unknown key, a value of another kind or outside its range, settings that contradict each other.
    pub(super) fn parse(rule: Rule, settings: &Value) -> Result<Self> {
        let all = laid_over(own_defaults(rule), settings);
        let settings: Self = crate::settings::parse(rule.name(), &all)?;
        settings.check(rule)?;
        Ok(settings)
    }

    /// # Errors
    /// A number outside its range, or two settings that contradict each other.
    pub fn check(&self, rule: Rule) -> Result<()> {
        let ensure = |ok: bool, key, value: String, rule| match ok {
            true => Ok(()),
            false => Err(Error::Setting { key, value, rule }),
        };
        for (key, widths) in [("hidden", &self.hidden), ("head", &self.head)] {
            let fits = widths.iter().all(|h| (1..=512).contains(h));
            ensure(fits, key, format!("{widths:?}"), "each width must be 1 to 512")?;
        }
        let width = self.cell_width;
        ensure((1..=512).contains(&width), "cell_width", width.to_string(), "it must be 1 to 512")?;
        for (key, n) in [
            ("epochs", self.epochs as u64),
            ("minibatches", self.minibatches as u64),
            ("return_steps", self.return_steps.unwrap_or(1) as u64),
            ("target_network_update_freq", self.target_network_update_freq),
        ] {
            ensure(n > 0, key, "0".into(), "it must be 1 or more")?;
        }
        let value_clip = self.value_clip_eps.unwrap_or(1.0);
        for (key, v) in [
            ("clip_eps", f64::from(self.clip_eps)),
            ("value_clip_eps", f64::from(value_clip)),
            ("learning_rate", self.learning_rate),
            ("vf_coef", f64::from(self.vf_coef)),
            ("actor_output_gain", f64::from(self.actor_output_gain)),
        ] {
            ensure(v.is_finite() && v > 0.0, key, v.to_string(), "it must be a positive number")?;
        }
        let entropy = self.ent_coef;
        ensure(
            entropy.is_finite() && entropy >= 0.0,
            "ent_coef",
            entropy.to_string(),
            "it must be 0 or more",
        )?;
        let log_std = self.log_std_init;
        ensure(
            (-20.0..=5.0).contains(&log_std),
            "log_std_init",
            log_std.to_string(),
            "it must be in [-20, 5]",
        )?;
        let lambda = self.gae_lambda;
        ensure((0.0..=1.0).contains(&lambda), "gae_lambda", lambda.to_string(), "it must be in [0, 1]")?;
        let beta = self.value_norm_beta;
        ensure((0.0..1.0).contains(&beta), "value_norm_beta", beta.to_string(), "it must be in [0, 1)")?;
        self.check_combinations(rule)
    }

    fn check_combinations(&self, rule: Rule) -> Result<()> {
        let fault = |key, value: String, rule| Err(Error::Setting { key, value, rule });
        if !(0.0..=self.learning_rate).contains(&self.learning_rate_min) {
            let rule = "it must be between 0 and `learning_rate`";
            return fault("learning_rate_min", self.learning_rate_min.to_string(), rule);
        }
        if self.learning_schedule == ScheduleKind::Exponential {
            let rule = "learners on policy know constant, linear, cosine and piecewise";
            return fault("learning_schedule", "exponential".into(), rule);
        }
        let piecewise = self.learning_schedule == ScheduleKind::Piecewise;
        if piecewise == self.learning_rate_points.is_empty() {
            let rule = "give points with `learning_schedule` = \"piecewise\", and only then";
            return fault("learning_rate_points", format!("{:?}", self.learning_rate_points), rule);
        }
        if rule == Rule::Happo && self.sharing == Sharing::Shared {
            let rule = "happo updates one agent after the other, each with its own network; use \"separate\"";
            return fault("sharing", "shared".into(), rule);
        }
        if rule == Rule::Coma && self.return_steps.is_some() {
            let rule = "coma's critic learns lambda returns; set `gae_lambda`";
            return fault("return_steps", format!("{:?}", self.return_steps.unwrap_or_default()), rule);
        }
        if rule == Rule::Coma && self.value_norm {
            return fault("value_norm", "true".into(), "coma's critic learns returns as they are");
        }
        if let (Rule::Coma, Some(clip)) = (rule, self.value_clip_eps) {
            return fault(
                "value_clip_eps",
                clip.to_string(),
                "coma's critic knows no clipping; set it to none",
            );
        }
        Ok(())
    }

    /// Shape of a network from `input` to `output`.
    pub(super) fn network(&self, input: usize, output: usize) -> AgentNetShape {
        let width = self.cell_width;
        AgentNetShape {
            input,
            grid: None,
            encoder: self.hidden.clone(),
            cell: match self.cell {
                CellSetting::None => None,
                CellSetting::Gru => Some(Cell { kind: CellKind::Gru, width }),
                CellSetting::Lstm => Some(Cell { kind: CellKind::Lstm, width }),
            },
            head: self.head.clone(),
            output,
            activation: self.activation.into(),
            layer_norm: self.layer_norm,
        }
    }

    /// Shape of a network from one observation to `output`.
    pub(super) fn observer(&self, input: usize, output: usize) -> AgentNetShape {
        AgentNetShape { grid: self.grid.clone(), ..self.network(input, output) }
    }

    pub(super) fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            kind: self.optimizer,
            eps: self.optimizer_eps,
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            alpha: self.rmsprop_alpha,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            clip: Clip { global_norm: self.gradient_clipping_global_norm, ..Clip::default() },
            ..OptimizerConfig::default()
        }
    }

    /// Learning rate over environment steps.
    pub(super) fn learning_rate(&self, total_env_steps: u64) -> Result<Schedule> {
        let ends = (self.learning_rate, self.learning_rate_min);
        self.learning_schedule.schedule(ends, total_env_steps, None, &self.learning_rate_points)
    }
}
