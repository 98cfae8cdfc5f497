//! Optimizers with PyTorch's definitions: a rule, its moments and a step counter over one flat buffer.

use std::ops::Range;

use coact_kernels::{Backend, Clip, OptimStep, Rule};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015); weight decay, if any, is added to the gradient.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw,
    /// RMSprop with epsilon outside the root.
    Rmsprop,
    /// Stochastic gradient descent, with momentum on request.
    Sgd,
}

/// Everything about the rule but the learning rate, which a schedule gives.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerConfig {
    /// Which rule.
    pub kind: OptimizerKind,
    /// Added to the denominator; PyTorch's default is 1e-8, deep RL often takes 1e-5.
    pub eps: f32,
    /// Adam: decay of the first moment.
    pub beta1: f32,
    /// Adam: decay of the second moment.
    pub beta2: f32,
    /// RMSprop: decay of the squared gradient.
    pub alpha: f32,
    /// RMSprop and SGD: momentum, 0 for none.
    pub momentum: f32,
    /// SGD: Nesterov's form.
    pub nesterov: bool,
    /// RMSprop: subtract the running mean of the gradient.
    pub centered: bool,
    /// Weight decay, 0 for none.
    pub weight_decay: f32,
    /// Gradient clipping.
    pub clip: Clip,
}

impl Default for OptimizerConfig {
    /// Adam with PyTorch's numbers (`torch.optim.Adam`) and no clipping.
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            eps: 1e-8,
            beta1: 0.9,
            beta2: 0.999,
            alpha: 0.99,
            momentum: 0.0,
            nesterov: false,
            centered: false,
            weight_decay: 0.0,
            clip: Clip { value: None, tensor_norm: None, global_norm: None, eps: 1e-6 },
        }
    }
}

impl OptimizerConfig {
    fn rule(&self) -> Rule {
        let Self { eps, beta1, beta2, alpha, momentum, nesterov, centered, weight_decay, .. } = *self;
        match self.kind {
            OptimizerKind::Adam => Rule::Adam { beta1, beta2, eps, weight_decay, decoupled: false },
            OptimizerKind::Adamw => Rule::Adam { beta1, beta2, eps, weight_decay, decoupled: true },
            OptimizerKind::Rmsprop => Rule::RmsProp { alpha, eps, momentum, centered, weight_decay },
            OptimizerKind::Sgd => Rule::Sgd { momentum, nesterov, weight_decay },
        }
    }

    /// # Errors
    /// A number outside its range.
    pub fn check(&self) -> Result<()> {
        let fraction = |key, value: f32| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::Setting { key, value: value.to_string(), rule: "it must be in [0, 1)" }),
        };
        fraction("adam_beta1", self.beta1)?;
        fraction("adam_beta2", self.beta2)?;
        fraction("rmsprop_alpha", self.alpha)?;
        fraction("momentum", self.momentum)?;
        let positive = |key, value: Option<f32>| match value {
            Some(v) if !(v.is_finite() && v > 0.0) => {
                Err(Error::Setting { key, value: v.to_string(), rule: "it must be positive, or `none`" })
            }
            _ => Ok(()),
        };
        positive("optimizer_eps", Some(self.eps))?;
        positive("gradient_clipping", self.clip.value)?;
        positive("gradient_clipping_local_norm", self.clip.tensor_norm)?;
        positive("gradient_clipping_global_norm", self.clip.global_norm)?;
        if self.nesterov && self.momentum == 0.0 {
            let rule = "Nesterov's form needs `momentum` above 0";
            return Err(Error::Setting { key: "nesterov", value: "true".into(), rule });
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            let value = self.weight_decay.to_string();
            return Err(Error::Setting { key: "weight_decay", value, rule: "it must be 0 or more" });
        }
        Ok(())
    }
}

/// A rule with its memory over `n` parameters.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    partitions: Vec<Range<usize>>,
    tensors: Vec<Range<usize>>,
    moments: [Vec<f32>; 3],
    /// Gradient steps taken.
    pub grad_steps: u64,
}

impl Optimizer {
    /// An optimizer over `n_params` numbers. Each of `partitions` has a global norm of its own; `tensors` are the
    /// ranges of single tensors.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn new(
        config: OptimizerConfig,
        n_params: usize,
        partitions: Vec<Range<usize>>,
        tensors: Vec<Range<usize>>,
    ) -> Result<Self> {
        config.check()?;
        let used = match config.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => [true, true, false],
            OptimizerKind::Rmsprop => [true, config.momentum > 0.0, config.centered],
            OptimizerKind::Sgd => [config.momentum > 0.0, false, false],
        };
        let moments = used.map(|u| if u { vec![0.0; n_params] } else { Vec::new() });
        Ok(Self { config, partitions, tensors, moments, grad_steps: 0 })
    }

    /// One step; clips `grads` in place. Returns the largest gradient norm before clipping.
    ///
    /// # Errors
    /// A gradient that is not finite; the parameters are then untouched.
    pub fn step(
        &mut self,
        backend: &mut Backend,
        lr: f64,
        params: &mut [f32],
        grads: &mut [f32],
    ) -> Result<f32> {
        let [m0, m1, m2] = &mut self.moments;
        let stats = backend.optim_step(OptimStep {
            rule: self.config.rule(),
            clip: self.config.clip,
            lr: lr as f32,
            step: self.grad_steps + 1,
            params,
            grads,
            moments: [m0, m1, m2],
            partitions: &self.partitions,
            tensors: &self.tensors,
        })?;
        self.grad_steps += 1;
        Ok(stats.grad_norm)
    }

    /// The rule as kernels take it.
    pub fn rule(&self) -> Rule {
        self.config.rule()
    }

    /// Clipping before it.
    pub fn clip(&self) -> Clip {
        self.config.clip
    }

    /// Parts with a global norm of their own.
    pub fn partitions(&self) -> &[Range<usize>] {
        &self.partitions
    }

    /// Ranges of single tensors.
    pub fn tensors(&self) -> &[Range<usize>] {
        &self.tensors
    }

    /// The moment buffers, for checkpoints; unused ones are empty.
    pub fn moments(&self) -> &[Vec<f32>; 3] {
        &self.moments
    }

    /// The moment buffers, for restoring.
    pub fn moments_mut(&mut self) -> &mut [Vec<f32>; 3] {
        &mut self.moments
    }
}
