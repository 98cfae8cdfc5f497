//! Settings of a family, from the map that a configuration holds; and choices that several families offer, with what
//! they describe.

use coact_kernels::{Activation, Backend, Loss};
use coact_nets::Schedule;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The settings in `map`; keys that are missing take their defaults.
///
/// # Errors
/// An unknown key or a value of the wrong type; the error names the key.
pub(crate) fn parse<T: DeserializeOwned>(algorithm: &'static str, map: &serde_json::Value) -> Result<T> {
    // One key at a time first, so that the error can name it.
    for (key, value) in map.as_object().into_iter().flatten() {
        let alone = serde_json::Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<T>(alone.into())
            .map_err(|e| Error::Settings { algorithm, reason: format!("{key} = {value}: {e}") })?;
    }
    let own = if map.is_null() { serde_json::Map::new().into() } else { map.clone() };
    serde_json::from_value(own).map_err(|e| Error::Settings { algorithm, reason: e.to_string() })
}

/// All settings, as a map.
///
/// # Errors
/// A number that JSON cannot hold.
pub(crate) fn to_map<T: Serialize>(algorithm: &'static str, settings: &T) -> Result<serde_json::Value> {
    serde_json::to_value(settings).map_err(|e| Error::Settings { algorithm, reason: e.to_string() })
}

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

impl From<ActivationKind> for Activation {
    fn from(kind: ActivationKind) -> Self {
        match kind {
            ActivationKind::Relu => Self::Relu,
            ActivationKind::Tanh => Self::Tanh,
        }
    }
}

impl LossKind {
    /// The loss; `huber_delta` is where the Huber loss turns linear.
    pub(crate) fn loss(self, huber_delta: f32) -> Loss {
        match self {
            Self::Huber => Loss::Huber { delta: huber_delta },
            Self::Squared => Loss::Squared,
        }
    }
}

impl ScheduleKind {
    /// The schedule between the ends `(from, to)`, which takes `over` steps: `decay` is what an exponential one loses a
    /// step, `points` are those of a piecewise one.
    ///
    /// # Errors
    /// Points that do not ascend.
    pub(crate) fn schedule(
        self,
        (from, to): (f64, f64),
        over: u64,
        decay: Option<f64>,
        points: &[(u64, f64)],
    ) -> Result<Schedule> {
        Ok(match self {
            Self::Constant => Schedule::Constant(from),
            Self::Linear => Schedule::Linear { from, to, over },
            Self::Cosine => Schedule::Cosine { from, to, over },
            Self::Exponential => Schedule::Exponential { from, rate: decay.unwrap_or(0.0), floor: to },
            Self::Piecewise => Schedule::piecewise(points.to_vec())?,
        })
    }
}

/// How target networks follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TargetRule {
    /// Copied every so many gradient steps.
    HardEvery(u64),
    /// Moved by this share of the way at every gradient step.
    Soft(f32),
}

impl TargetRule {
    /// The share of the way that the target moves after gradient step number `grad_steps`; `None` where it stays.
    pub(crate) fn tau(self, grad_steps: u64) -> Option<f32> {
        match self {
            Self::Soft(tau) => Some(tau),
            Self::HardEvery(every) => grad_steps.is_multiple_of(every).then_some(1.0),
        }
    }

    /// Lets `target` follow `params` after gradient step number `grad_steps`; whether it moved.
    pub(crate) fn follow(
        self,
        grad_steps: u64,
        backend: &mut Backend,
        target: &mut [f32],
        params: &[f32],
    ) -> bool {
        let tau = self.tau(grad_steps);
        if let Some(tau) = tau {
            backend.blend(target, params, tau);
        }
        tau.is_some()
    }
}
