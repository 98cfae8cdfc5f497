//! What the outputs of an actor mean; and continuous actions, their log-probabilities, entropies, and back. Discrete ones:
//! `categorical`.

use coact_core::{ActionSpace, Stream};
use coact_nets::distribution::{Gaussian, Squashed};

use super::settings::ContinuousKind;

/// What an agent's outputs mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    /// Logits of `n` actions.
    Categorical { n: usize },
    /// Means of `width` components, cut off at the bounds.
    Gaussian { width: usize, low: f32, high: f32 },
    /// Means of `width` components, squashed into the bounds.
    Squashed { width: usize, low: f32, high: f32 },
}

/// Log-probability and entropy of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Density {
    pub(super) log_prob: f32,
    pub(super) entropy: f32,
}

impl Head {
    pub(super) fn new(space: &ActionSpace, kind: ContinuousKind) -> Self {
        match *space {
            ActionSpace::Discrete { n } => Self::Categorical { n },
            ActionSpace::Continuous { width, low, high } => match kind {
                ContinuousKind::Gaussian => Self::Gaussian { width, low, high },
                ContinuousKind::Squashed => Self::Squashed { width, low, high },
            },
        }
    }

    /// Outputs a row: logits or means.
    pub(super) fn outputs(self) -> usize {
        match self {
            Self::Categorical { n } => n,
            Self::Gaussian { width, .. } | Self::Squashed { width, .. } => width,
        }
    }

    /// Learned standard deviations, beside the network.
    pub(super) fn n_log_std(self) -> usize {
        match self {
            Self::Categorical { .. } => 0,
            Self::Gaussian { width, .. } | Self::Squashed { width, .. } => width,
        }
    }

    /// Components `[W]` within the bounds: drawn with `rng`, or those of the mean without.
    pub(super) fn choose_continuous(
        self,
        mean: &[f32],
        log_std: &[f32],
        rng: Option<&mut Stream>,
        action: &mut [f32],
    ) {
        let base = Gaussian { mean, log_std };
        match rng {
            Some(rng) => base.draw(rng, action),
            None => action.copy_from_slice(mean),
        }
        match self {
            Self::Categorical { .. } => {}
            Self::Gaussian { low, high, .. } => action.iter_mut().for_each(|a| *a = a.clamp(low, high)),
            Self::Squashed { low, high, .. } => {
                let squashed = Squashed { base, low, high };
                for a in action {
                    let u = [*a];
                    squashed.squash(&u, std::slice::from_mut(a));
                }
            }
        }
    }

    /// Components as [`Head::density`] wants them, from actions `[.., W]` as the environment took them.
    pub(super) fn unsquash(self, actions: &[f32], into: &mut Vec<f32>) {
        into.resize(actions.len(), 0.0);
        match self {
            Self::Squashed { low, high, .. } => {
                let base = Gaussian { mean: &[], log_std: &[] };
                Squashed { base, low, high }.unsquash(actions, into);
            }
            _ => into.copy_from_slice(actions),
        }
    }

    /// Log-probability of a row's components `chosen` `[W]`, before squashing where there is any, and the row's entropy.
    ///
    /// The squashing stretches by what does not depend on the parameters; it is left out of log-probabilities, which only
    /// ever count against each other, and of the entropy, which is that of the Gaussian below.
    #[inline(always)]
    pub(super) fn density(mean: &[f32], log_std: &[f32], chosen: &[f32]) -> Density {
        let row = Gaussian { mean, log_std };
        Density { log_prob: row.log_prob(chosen), entropy: row.entropy() }
    }

    /// Turns a row of means into the gradient of `d_log_prob * log_prob + d_entropy * entropy` by them, and adds that by the
    /// log standard deviations to `d_log_std`. `scratch` holds a row.
    #[inline(always)]
    pub(super) fn backward(
        mean: &mut [f32],
        log_std: &[f32],
        chosen: &[f32],
        d_log_prob: f32,
        d_entropy: f32,
        d_log_std: &mut [f32],
        scratch: &mut [f32],
    ) {
        scratch.fill(0.0);
        Gaussian { mean: &*mean, log_std }.backward(chosen, d_log_prob, d_entropy, scratch, d_log_std);
        mean.copy_from_slice(scratch);
    }
}
