//! Optimizer steps on flat buffers, as PyTorch defines them, with clipping and the check for non-finite gradients.
//!
//! Order: check, clip by value, clip each tensor by its norm, clip each partition by its global norm, step. Norms
//! are sums of squares in `f64`, so they cannot overflow: blocks of 512, sixteen interleaved chains and a fixed tree in each,
//! and a tree of neighbors over blocks.
//! Adam reads and writes 28 bytes a parameter.

mod cpu;
pub mod reference;

#[cfg(feature = "cuda")]
pub(crate) use cpu::{AdamScalars, name_non_finite};
pub(crate) use cpu::{clip_and_norm, step};

use crate::error::check_len;
use crate::{Backend, Error, rows};
use std::ops::Range;

/// How a gradient moves a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// `p -= lr m_hat / (sqrt(v_hat) + eps)`.
    Adam {
        /// Decay of the mean.
        beta1: f32,
        /// Decay of the mean square.
        beta2: f32,
        /// Added to the root.
        eps: f32,
        /// Weight decay; 0 for none.
        weight_decay: f32,
        /// Decay the parameters themselves (AdamW) instead of adding to the gradient.
        decoupled: bool,
    },
    /// `p -= lr g / (sqrt(mean square) + eps)`.
    RmsProp {
        /// Decay of the mean square.
        alpha: f32,
        /// Added to the root.
        eps: f32,
        /// Momentum; 0 for none.
        momentum: f32,
        /// Subtract the squared mean gradient.
        centered: bool,
        /// Weight decay, added to the gradient.
        weight_decay: f32,
    },
    /// `p -= lr g`.
    Sgd {
        /// Momentum; 0 for none.
        momentum: f32,
        /// Nesterov's form of momentum.
        nesterov: bool,
        /// Weight decay, added to the gradient.
        weight_decay: f32,
    },
}

impl Rule {
    /// Which of the three moment buffers the rule reads and writes.
    pub fn uses(&self) -> [bool; 3] {
        match *self {
            Rule::Adam { .. } => [true, true, false],
            Rule::RmsProp { momentum, centered, .. } => [true, momentum != 0.0, centered],
            Rule::Sgd { momentum, .. } => [momentum != 0.0, false, false],
        }
    }
}

/// Clipping of gradients, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// Each element into `[-value, value]`.
    pub value: Option<f32>,
    /// Each tensor to this norm at most.
    pub tensor_norm: Option<f32>,
    /// Each partition to this norm at most.
    pub global_norm: Option<f32>,
    /// Added to a norm before dividing by it; PyTorch's is 1e-6.
    pub eps: f32,
}

impl Default for Clip {
    /// No clipping; eps as in PyTorch.
    fn default() -> Self {
        Self { value: None, tensor_norm: None, global_norm: None, eps: 1e-6 }
    }
}

/// One call of [`Backend::optim_step`]. P parameters, all sets and critics together.
#[derive(Debug)]
pub struct OptimStep<'a> {
    /// The rule.
    pub rule: Rule,
    /// Clipping before it.
    pub clip: Clip,
    /// Learning rate.
    pub lr: f32,
    /// Number of this step; 1 for the first.
    pub step: u64,
    /// Parameters `[P]`.
    pub params: &'a mut [f32],
    /// Gradients `[P]`, clipped in place.
    pub grads: &'a mut [f32],
    /// Moments `[P]` each. Adam: mean, mean square, unused. RMSprop: mean square, momentum, mean gradient. SGD: momentum,
    /// unused, unused. Unused ones may be empty. Zero before the first step.
    pub moments: [&'a mut [f32]; 3],
    /// Parts that are each clipped by their own global norm; empty: all is one part.
    pub partitions: &'a [Range<usize>],
    /// The tensors, for `tensor_norm` and to name the one with a non-finite gradient; empty: all is one.
    pub tensors: &'a [Range<usize>],
}

impl OptimStep<'_> {
    fn check(&self) -> Result<(), Error> {
        let p = self.params.len();
        check_len("grads", "[P]", p, self.grads.len())?;
        let names = ["moments[0]", "moments[1]", "moments[2]"];
        for ((moment, used), what) in self.moments.iter().zip(self.rule.uses()).zip(names) {
            if used {
                check_len(what, "[P]", p, moment.len())?;
            }
        }
        for range in self.partitions.iter().chain(self.tensors) {
            if range.start > range.end || range.end > p {
                return Err(Error::Shape(format!("range {range:?} lies outside of {p} parameters")));
            }
        }
        let positive = |what, value: Option<f32>| match value {
            Some(value) if value.is_nan() || value <= 0.0 => {
                Err(Error::Setting { what, value, must: "above 0" })
            }
            _ => Ok(()),
        };
        positive("clip.value", self.clip.value)?;
        positive("clip.tensor_norm", self.clip.tensor_norm)?;
        positive("clip.global_norm", self.clip.global_norm)?;
        if self.step == 0 {
            return Err(Error::Setting { what: "step", value: 0.0, must: "1 for the first step" });
        }
        if !self.lr.is_finite() {
            return Err(Error::Setting { what: "lr", value: self.lr, must: "finite" });
        }
        Ok(())
    }
}

/// What a step measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OptimStats {
    /// Norm of the gradient before clipping, the largest over partitions.
    pub grad_norm: f32,
}

impl Backend {
    /// Clips the gradients and moves the parameters.
    ///
    /// # Errors
    /// [`Error::NonFiniteGradient`] names the tensor; parameters, gradients and moments are then untouched.
    /// [`Error::Length`], [`Error::Shape`], [`Error::Setting`] for what does not fit.
    pub fn optim_step(&mut self, mut call: OptimStep<'_>) -> Result<OptimStats, Error> {
        call.check()?;
        let grad_norm = clip_and_norm(self.isa(), &mut call)?;
        step(self.isa(), &mut call);
        Ok(OptimStats { grad_norm })
    }

    /// Moves target parameters towards the learned ones: `target += tau (source - target)`; `tau` 1 copies exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn blend(&mut self, target: &mut [f32], source: &[f32], tau: f32) {
        assert_eq!(target.len(), source.len(), "target [P], source [P]");
        if tau == 1.0 {
            target.copy_from_slice(source);
        } else {
            rows::blend(self.isa(), target, source, tau);
        }
    }
}

#[cfg(test)]
mod tests;
