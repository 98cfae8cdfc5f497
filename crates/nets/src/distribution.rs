//! Distributions over actions: draws, log-probabilities, entropies, divergences, and their gradients by hand.
//!
//! | distribution | parameters | actions |
//! |---|---|---|
//! | [`Categorical`] | logits `[N]`, a legality mask | one of `N` |
//! | [`Gaussian`] | mean `[W]`, log standard deviation `[W]` | any `[W]` |
//! | [`Squashed`] | a Gaussian and bounds | `[W]` within the bounds |
//! | [`gumbel`] | logits `[N]`, noise, a temperature | a point of the simplex `[N]`, or a corner of it |
//!
//! Everything works on one row; callers own the rows and loop over them. What is illegal is left out of every sum: no large
//! number stands for it. Random numbers come from [`coact_core::rng::Stream`]. Formulas are written over [`Real`]:
//! `f32` is what learns, `f64` is what tests compare with.
//!
//! [`Real`]: crate::real::Real

mod categorical;
mod gaussian;
pub mod gumbel;

pub use categorical::Categorical;
pub use gaussian::{Gaussian, Squashed};

#[cfg(test)]
pub(crate) mod tests {
    /// Fails where `gradient` is not that of `function` at `x`, by central differences.
    pub(crate) fn assert_gradient(x: &[f64], gradient: &[f64], function: impl Fn(&[f64]) -> f64) {
        assert_eq!(x.len(), gradient.len());
        for (i, &analytic) in gradient.iter().enumerate() {
            let (mut above, mut below) = (x.to_vec(), x.to_vec());
            above[i] += 1e-5;
            below[i] -= 1e-5;
            let numeric = (function(&above) - function(&below)) / 2e-5;
            assert!((analytic - numeric).abs() < 1e-8, "component {i}: {analytic}, differences {numeric}");
        }
    }
}
