//! Settings of the decomposition family: every key with its default and manual, the checks, and the objects that
//! they describe.

use coact_kernels::{Clip, Loss};
use coact_nets::{
    AgentNetShape, Cell, CellKind, GridShape, Init, OptimizerConfig, OptimizerKind, QmixWidths, QplexWidths,
    Schedule, Sharing,
};
use serde::{Deserialize, Serialize};

use super::Variant;
use crate::settings::{ActivationKind, LossKind, ScheduleKind};
use crate::{Error, Result};

/// Which recurrent cell an agent's network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellSetting {
    /// None: the network sees the present observation only.
    None,
    /// A gated recurrent unit.
    Gru,
    /// Long short-term memory.
    Lstm,
}

coact_core::settings! {
    /// Settings of the decomposition family.
    pub struct DecompositionSettings {
        /// Whether agents of a group share one network ("shared") or each has its own ("separate").
        sharing: Sharing = Sharing::Shared,
        /// Convolutions over the grid that observations begin with, before `hidden`; none if absent. For example
        /// `{ channels = 4, height = 3, width = 3, layers = [{ filters = 16, kernel = 2 }] }`, with `stride` (1) and
        /// `padding` (0) of each layer as wanted.
        grid: Option<GridShape> = None,
        /// Widths of the hidden layers (before the cell, if there is one), at most 1024 each.
        hidden: Vec<usize> = vec![64],
        /// Recurrent cell: "none", "gru" or "lstm". Algorithms whose name ends in -rnn take "gru" by default.
        cell: CellSetting = CellSetting::None,
        /// Units of the recurrent cell.
        cell_width: usize = 64,
        /// Widths of the hidden layers after the cell; without a cell they follow `hidden`.
        head: Vec<usize> = Vec::new(),
        /// Activation of hidden layers: "relu" or "tanh".
        activation: ActivationKind = ActivationKind::Relu,
        /// Layer norm before each activation.
        layer_norm: bool = false,
        /// Initial weights: "torch" (what PyTorch does), "orthogonal" or "kaiming". Mixers of a constant state need biases, as "torch" gives them.
        init: Init = Init::Torch,
        /// Factor on the initial weights of the agents' output layer.
        output_gain: f32 = 1.0,
        /// QMIX and weighted QMIX: hidden units of the mixing network.
        mixing_embed: usize = 32,
        /// QMIX and weighted QMIX: layers of the hypernetworks that make weights, 1 or 2.
        hypernet_layers: usize = 2,
        /// QMIX, weighted QMIX and QPLEX: hidden units of the hypernetworks.
        hypernet_embed: usize = 64,
        /// Factor on the initial weights of the hypernetworks' output layers.
        mixer_gain: f32 = 1.0,
        /// QPLEX: heads of the importance of advantages.
        qplex_heads: usize = 4,
        /// QTRAN and weighted QMIX: hidden layers of the values of states and actions that are not mixed.
        joint_hidden: Vec<usize> = vec![64, 64],
        /// Weighted QMIX: weight of joint actions that are not worth more than they seem, in (0, 1].
        wqmix_weight: f32 = 0.5,
        /// QTRAN: weight of the loss at the best actions.
        qtran_opt_loss: f32 = 1.0,
        /// QTRAN: weight of the loss at other actions.
        qtran_nopt_loss: f32 = 1.0,
        /// Double Q-learning: the learned network chooses the next action, the target network values it.
        double_q: bool = true,
        /// Weight of longer returns in targets, TD(lambda); 0 for one step.
        #[alias("lambda")]
        td_lambda: f32 = 0.0,
        /// Loss of the temporal-difference error: "squared" or "huber".
        loss: LossKind = LossKind::Squared,
        /// Where the Huber loss turns from quadratic to linear, in units of return.
        huber_delta: f32 = 1.0,
        /// PQN: passes over each rollout.
        epochs: usize = 1,
        /// PQN: parts of a rollout, each one gradient step in every pass; parts of steps, or of whole environments with a cell.
        #[alias("num_minibatches")]
        minibatches: usize = 1,
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
        /// RMSprop and SGD: momentum.
        momentum: f32 = 0.0,
        /// Weight decay; decoupled with "adamw", else added to the gradient.
        weight_decay: f32 = 0.0,
        /// Largest norm of all gradients of an optimizer together; "none" turns it off.
        #[alias("max_grad_norm")]
        gradient_clipping_global_norm: Option<f32> = Some(10.0),
        /// Learning rate at the start.
        learning_rate: f64 = 5e-4,
        /// Course of the learning rate over gradient steps: "constant", "linear" or "cosine".
        #[alias("learning_rate_schedule")]
        learning_schedule: ScheduleKind = ScheduleKind::Constant,
        /// Smallest learning rate of a falling schedule.
        learning_rate_min: f64 = 0.0,
        /// Gradient steps between hard copies into the target network (200 if neither this nor `tau` is given).
        #[alias("target_network_update")]
        target_network_update_freq: Option<u64> = None,
        /// Weight of the new parameters in a soft target update at every gradient step. Not together with `target_network_update_freq`.
        tau: Option<f32> = None,
        /// Fraction of `env_steps` over which epsilon falls from its first to its last value.
        exploration_fraction: f64 = 0.1,
        /// Environment steps over which epsilon falls; overrides `exploration_fraction`.
        exploration_timesteps: Option<u64> = None,
        /// Epsilon at the start.
        #[alias("exploration_first_eps")]
        exploration_initial_eps: f64 = 1.0,
        /// Epsilon after its fall.
        exploration_final_eps: f64 = 0.05,
    }
}

fn ensure(ok: bool, key: &'static str, value: impl ToString, rule: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::Setting { key, value: value.to_string(), rule }) }
}

impl DecompositionSettings {
    /// The settings of `variant`: its own defaults under what the user gives.
    ///
    /// # Errors
    /// A key or value that does not parse, a number outside its range, or settings that contradict each other.
    pub(super) fn parse(variant: &Variant, settings: &serde_json::Value) -> Result<Self> {
        let algorithm = variant.name;
        // Alone first, so that an error names the key.
        crate::settings::parse::<Self>(algorithm, settings)?;
        let mut all = crate::settings::to_map(algorithm, &variant.defaults())?;
        if let (Some(all), Some(given)) = (all.as_object_mut(), settings.as_object()) {
            all.extend(given.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        let parsed: Self = crate::settings::parse(algorithm, &all)?;
        parsed.check(variant)?;
        Ok(parsed)
    }

    fn check(&self, variant: &Variant) -> Result<()> {
        let widths = |w: &[usize]| w.iter().all(|h| (1..=1024).contains(h));
        for (key, value) in
            [("hidden", &self.hidden), ("head", &self.head), ("joint_hidden", &self.joint_hidden)]
        {
            ensure(widths(value), key, format!("{value:?}"), "each width must be 1 to 1024")?;
        }
        for (key, value) in [
            ("cell_width", self.cell_width),
            ("mixing_embed", self.mixing_embed),
            ("hypernet_embed", self.hypernet_embed),
            ("qplex_heads", self.qplex_heads),
        ] {
            ensure((1..=1024).contains(&value), key, value, "it must be 1 to 1024")?;
        }
        let layers = self.hypernet_layers;
        ensure((1..=2).contains(&layers), "hypernet_layers", layers, "it must be 1 or 2")?;
        for (key, value) in [
            ("td_lambda", f64::from(self.td_lambda)),
            ("exploration_fraction", self.exploration_fraction),
            ("exploration_initial_eps", self.exploration_initial_eps),
            ("exploration_final_eps", self.exploration_final_eps),
        ] {
            ensure((0.0..=1.0).contains(&value), key, value, "it must be in [0, 1]")?;
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("huber_delta", f64::from(self.huber_delta)),
            ("output_gain", f64::from(self.output_gain)),
            ("mixer_gain", f64::from(self.mixer_gain)),
        ] {
            ensure(value.is_finite() && value > 0.0, key, value, "it must be a positive number")?;
        }
        for (key, value) in
            [("qtran_opt_loss", self.qtran_opt_loss), ("qtran_nopt_loss", self.qtran_nopt_loss)]
        {
            ensure(value.is_finite() && value >= 0.0, key, value, "it must be 0 or more")?;
        }
        let weight = self.wqmix_weight;
        ensure(weight > 0.0 && weight <= 1.0, "wqmix_weight", weight, "it must be in (0, 1]")?;
        let floor = self.learning_rate_min;
        let rule = "it must be between 0 and `learning_rate`";
        ensure((0.0..=self.learning_rate).contains(&floor), "learning_rate_min", floor, rule)?;
        let simple = !matches!(self.learning_schedule, ScheduleKind::Exponential | ScheduleKind::Piecewise);
        let value = format!("{:?}", self.learning_schedule).to_lowercase();
        ensure(
            simple,
            "learning_schedule",
            value,
            "this family knows \"constant\", \"linear\" and \"cosine\"",
        )?;
        self.check_feed(variant)
    }

    /// What goes with the way the algorithm is fed.
    fn check_feed(&self, variant: &Variant) -> Result<()> {
        use crate::learner::Feed;
        if let Some(tau) = self.tau {
            ensure(tau > 0.0 && tau <= 1.0, "tau", tau, "it must be in (0, 1]")?;
            let rule = "it cannot stand beside `target_network_update_freq`; choose soft (target_network_update_freq=none) or hard target updates (tau=none)";
            ensure(self.target_network_update_freq.is_none(), "tau", tau, rule)?;
        }
        let every = self.target_network_update_freq;
        ensure(every != Some(0), "target_network_update_freq", 0, "it must be 1 or more")?;
        ensure(self.epochs >= 1, "epochs", self.epochs, "it must be 1 or more")?;
        ensure(self.minibatches >= 1, "minibatches", self.minibatches, "it must be 1 or more")?;
        let passes = self.epochs.max(self.minibatches);
        match variant.feed {
            Feed::OnPolicy => {
                let rule = "PQN has no target network; leave this out";
                ensure(self.tau.is_none(), "tau", self.tau.unwrap_or_default(), rule)?;
                let every = self.target_network_update_freq;
                ensure(every.is_none(), "target_network_update_freq", every.unwrap_or_default(), rule)
            }
            Feed::Sequences => {
                ensure(passes == 1, "epochs or minibatches", passes, "they belong to PQN; leave them at 1")
            }
            Feed::Transitions => {
                ensure(passes == 1, "epochs or minibatches", passes, "they belong to PQN; leave them at 1")?;
                let rule = "single transitions have no memory; take the algorithm that ends in -rnn";
                ensure(self.cell == CellSetting::None, "cell", format!("{:?}", self.cell), rule)?;
                let rule = "single transitions have one step (`n_step` of the run makes longer ones); take the algorithm that ends in -rnn, with or without a cell";
                ensure(self.td_lambda == 0.0, "td_lambda", self.td_lambda, rule)
            }
        }
    }

    pub(super) fn shares(&self) -> bool {
        self.sharing == Sharing::Shared
    }

    pub(super) fn loss(&self) -> Loss {
        self.loss.loss(self.huber_delta)
    }

    pub(super) fn qmix(&self) -> QmixWidths {
        let hypernet = (self.hypernet_layers == 2).then_some(self.hypernet_embed);
        QmixWidths { embed: self.mixing_embed, hypernet }
    }

    pub(super) fn qplex(&self) -> QplexWidths {
        QplexWidths { hypernet: self.hypernet_embed, heads: self.qplex_heads }
    }

    /// The network of an agent that sees `input` numbers and has `output` actions.
    pub(super) fn agent(&self, input: usize, output: usize) -> AgentNetShape {
        let kind = match self.cell {
            CellSetting::None => None,
            CellSetting::Gru => Some(CellKind::Gru),
            CellSetting::Lstm => Some(CellKind::Lstm),
        };
        AgentNetShape {
            grid: self.grid.clone(),
            cell: kind.map(|kind| Cell { kind, width: self.cell_width }),
            encoder: self.hidden.clone(),
            head: self.head.clone(),
            activation: self.activation.into(),
            layer_norm: self.layer_norm,
            ..AgentNetShape::linear(input, output)
        }
    }

    pub(super) fn optimizer(&self) -> OptimizerConfig {
        let clip = Clip { global_norm: self.gradient_clipping_global_norm, ..Clip::default() };
        OptimizerConfig {
            kind: self.optimizer,
            eps: self.optimizer_eps,
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            alpha: self.rmsprop_alpha,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            clip,
            ..OptimizerConfig::default()
        }
    }

    pub(super) fn learning_rate(&self, total_grad_steps: u64) -> Result<Schedule> {
        let ends = (self.learning_rate, self.learning_rate_min);
        self.learning_schedule.schedule(ends, total_grad_steps, None, &[])
    }

    pub(super) fn epsilon(&self, total_env_steps: u64) -> Schedule {
        let by_fraction = (self.exploration_fraction * total_env_steps as f64).round() as u64;
        Schedule::Linear {
            from: self.exploration_initial_eps,
            to: self.exploration_final_eps,
            over: self.exploration_timesteps.unwrap_or(by_fraction),
        }
    }
}
