//! Continuous actions: independent normal components, free or squashed into bounds by a hyperbolic tangent.

use coact_core::rng::Stream;

use crate::real::Real;

/// ln(sqrt(2 pi)).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Independent normal components: means `[W]` and logarithms of standard deviations `[W]`.
#[derive(Debug, Clone, Copy)]
pub struct Gaussian<'a, T> {
    /// Means `[W]`.
    pub mean: &'a [T],
    /// Logarithms of standard deviations `[W]`.
    pub log_std: &'a [T],
}

impl<T: Real> Gaussian<'_, T> {
    /// Components with mean and log standard deviation.
    #[inline(always)]
    fn parameters(&self) -> impl Iterator<Item = (T, T)> + '_ {
        self.mean.iter().copied().zip(self.log_std.iter().copied())
    }

    /// Log-density of `x` `[W]`.
    #[inline(always)]
    pub fn log_prob(&self, x: &[T]) -> T {
        let mut sum = T::ZERO;
        for ((mean, log_std), &x) in self.parameters().zip(x) {
            let z = (x - mean) * (-log_std).exp();
            sum -= T::of(0.5) * z * z + log_std + T::of(LN_SQRT_TAU);
        }
        sum
    }

    /// Differential entropy, in nats. It does not depend on the mean.
    #[inline(always)]
    pub fn entropy(&self) -> T {
        let mut sum = T::ZERO;
        for &log_std in self.log_std {
            sum += log_std + T::of(LN_SQRT_TAU + 0.5);
        }
        sum
    }

    /// Kullback-Leibler divergence to `other`.
    pub fn kl(&self, other: &Gaussian<'_, T>) -> T {
        let mut sum = T::ZERO;
        for ((mean, log_std), (mean_q, log_std_q)) in self.parameters().zip(other.parameters()) {
            let ratio = (log_std - log_std_q).exp();
            let gap = (mean - mean_q) * (-log_std_q).exp();
            sum += log_std_q - log_std + T::of(0.5) * (ratio * ratio + gap * gap - T::ONE);
        }
        sum
    }

    /// `mean + std * noise`, for standard normal `noise` `[W]`.
    #[inline(always)]
    pub fn sample(&self, noise: &[T], x: &mut [T]) {
        for ((x, (mean, log_std)), &noise) in x.iter_mut().zip(self.parameters()).zip(noise) {
            *x = mean + log_std.exp() * noise;
        }
    }

    /// Adds to `d_mean` and `d_log_std` (each `[W]`) the gradient of `d_log_prob * ln p(x) + d_entropy * entropy` at fixed `x`.
    #[inline(always)]
    pub fn backward(&self, x: &[T], d_log_prob: T, d_entropy: T, d_mean: &mut [T], d_log_std: &mut [T]) {
        let slopes = d_mean.iter_mut().zip(d_log_std);
        for (((d_mean, d_log_std), (mean, log_std)), &x) in slopes.zip(self.parameters()).zip(x) {
            let scale = (-log_std).exp();
            let z = (x - mean) * scale;
            *d_mean += d_log_prob * z * scale;
            *d_log_std += d_log_prob * (z * z - T::ONE) + d_entropy;
        }
    }
}

impl Gaussian<'_, f32> {
    /// Draws `x` `[W]`.
    #[inline]
    pub fn draw(&self, rng: &mut Stream, x: &mut [f32]) {
        for (x, (mean, log_std)) in x.iter_mut().zip(self.parameters()) {
            *x = mean + Real::exp(log_std) * rng.normal() as f32;
        }
    }
}

/// A Gaussian `u` squashed into `low..=high`: `action = middle + half * tanh(u)`.
///
/// Its entropy has no closed form; `-ln p` of a draw estimates it without bias.
#[derive(Debug, Clone, Copy)]
pub struct Squashed<'a, T> {
    /// Distribution of `u`.
    pub base: Gaussian<'a, T>,
    /// Lower bound of every component.
    pub low: T,
    /// Upper bound of every component.
    pub high: T,
}

impl<T: Real> Squashed<'_, T> {
    #[inline(always)]
    fn half(&self) -> T {
        T::of(0.5) * (self.high - self.low)
    }

    #[inline(always)]
    fn middle(&self) -> T {
        T::of(0.5) * (self.high + self.low)
    }

    /// The action of `u` `[W]`.
    #[inline(always)]
    pub fn squash(&self, u: &[T], action: &mut [T]) {
        for (action, &u) in action.iter_mut().zip(u) {
            // Rounding must not leave the bounds.
            *action = (self.middle() + self.half() * u.tanh()).max(self.low).min(self.high);
        }
    }

    /// The `u` `[W]` of an action. Actions nearer to a bound than `1e-6` of its distance from the middle count as being that
    /// near: further out, `f32` cannot tell them apart.
    #[inline(always)]
    pub fn unsquash(&self, action: &[T], u: &mut [T]) {
        let limit = T::of(1.0 - 1e-6);
        for (u, &action) in u.iter_mut().zip(action) {
            let y = ((action - self.middle()) / self.half()).max(-limit).min(limit);
            *u = T::of(0.5) * ((T::ONE + y) / (T::ONE - y)).ln();
        }
    }

    /// Log-density of the action of `u` `[W]`: that of `u`, less the logarithm of how much the squashing stretches there.
    #[inline(always)]
    pub fn log_prob(&self, u: &[T]) -> T {
        let mut sum = self.base.log_prob(u);
        let log_half = self.half().ln();
        for &u in u {
            // ln(1 - tanh(u)^2) without cancellation.
            let two_u = u + u;
            sum -= log_half + T::of(2.0 * std::f64::consts::LN_2) - two_u - T::of(2.0) * (-two_u).softplus();
        }
        sum
    }

    /// Adds to `d_mean` and `d_log_std` the gradient of `d_log_prob * ln p(action)` at a fixed action, given by its `u`: the
    /// stretching does not depend on the parameters, so it is that of the base.
    #[inline(always)]
    pub fn backward(&self, u: &[T], d_log_prob: T, d_mean: &mut [T], d_log_std: &mut [T]) {
        self.base.backward(u, d_log_prob, T::ZERO, d_mean, d_log_std);
    }

    /// Adds to `d_mean` and `d_log_std` the gradient of a function of the action and of its own log-density, where the action
    /// was drawn as `u = mean + std * noise` (reparameterized): `d_action` `[W]` is the function's gradient by the action,
    /// `d_log_prob` that by the log-density.
    #[inline(always)]
    pub fn backward_through(
        &self,
        noise: &[T],
        d_action: &[T],
        d_log_prob: T,
        d_mean: &mut [T],
        d_log_std: &mut [T],
    ) {
        let slopes = d_mean.iter_mut().zip(d_log_std).zip(d_action);
        for ((((d_mean, d_log_std), &d_action), (mean, log_std)), &noise) in
            slopes.zip(self.base.parameters()).zip(noise)
        {
            let spread = log_std.exp() * noise;
            let t = (mean + spread).tanh();
            // d/du of -ln(1 - tanh(u)^2) is 2 tanh(u); the density of u itself depends on the noise alone.
            let d_u = d_action * self.half() * (T::ONE - t * t) + d_log_prob * (t + t);
            *d_mean += d_u;
            *d_log_std += d_u * spread - d_log_prob;
        }
    }
}

impl Squashed<'_, f32> {
    /// Draws `u` `[W]` and its action `[W]`.
    #[inline]
    pub fn draw(&self, rng: &mut Stream, u: &mut [f32], action: &mut [f32]) {
        self.base.draw(rng, u);
        self.squash(u, action);
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaussian, Squashed};
    use crate::distribution::tests::assert_gradient;
    use coact_core::rng::{Purpose, Stream};

    const MEAN: [f64; 3] = [0.4, -1.1, 0.2];
    const LOG_STD: [f64; 3] = [-0.3, 0.2, -1.4];
    const X: [f64; 3] = [1.0, -0.7, 0.1];

    fn base() -> Gaussian<'static, f64> {
        Gaussian { mean: &MEAN, log_std: &LOG_STD }
    }

    /// A function of means and log standard deviations laid end to end.
    fn of(x: &[f64]) -> Gaussian<'_, f64> {
        Gaussian { mean: &x[..3], log_std: &x[3..] }
    }

    fn parameters() -> Vec<f64> {
        [MEAN, LOG_STD].concat()
    }

    #[test]
    fn gradients_agree_with_differences() {
        let mut gradient = vec![0.0; 6];
        let (d_mean, d_log_std) = gradient.split_at_mut(3);
        base().backward(&X, 0.7, -0.2, d_mean, d_log_std);
        assert_gradient(&parameters(), &gradient, |p| 0.7 * of(p).log_prob(&X) - 0.2 * of(p).entropy());
    }

    #[test]
    fn the_squashed_density_integrates_to_one() {
        let (mean, log_std) = ([0.3], [-0.5]);
        let base = Gaussian { mean: &mean, log_std: &log_std };
        let squashed = Squashed { base, low: -1.0, high: 3.0 };
        let n = 200_000;
        let width = 4.0 / f64::from(n);
        let mut total = 0.0;
        for i in 0..n {
            let mut u = [0.0];
            squashed.unsquash(&[-1.0 + (f64::from(i) + 0.5) * width], &mut u);
            total += squashed.log_prob(&u).exp() * width;
        }
        assert!((total - 1.0).abs() < 1e-6, "{total}");
    }

    #[test]
    fn squashing_stays_inside_and_goes_back() {
        let (mean, log_std) = ([0.0_f32; 4], [0.0_f32; 4]);
        let squashed = Squashed { base: Gaussian { mean: &mean, log_std: &log_std }, low: 0.1, high: 0.7 };
        let u = [-20.0, -0.4, 1.3, 20.0];
        let (mut action, mut back) = ([0.0; 4], [0.0; 4]);
        squashed.squash(&u, &mut action);
        assert!(action.iter().all(|a| (0.1..=0.7).contains(a)), "{action:?}");
        squashed.unsquash(&action, &mut back);
        assert!((back[1] - u[1]).abs() < 1e-5 && (back[2] - u[2]).abs() < 1e-5, "{back:?}");
        assert!(back.iter().all(|u| u.is_finite()) && squashed.log_prob(&back).is_finite());
    }

    #[test]
    fn reparameterized_gradients_agree_with_differences() {
        let noise = [0.6, -1.2, 0.3];
        let slope = [0.5, -0.8, 1.7];
        let value = |p: &[f64]| {
            let squashed = Squashed { base: of(p), low: -2.0, high: 1.0 };
            let (mut u, mut action) = ([0.0; 3], [0.0; 3]);
            squashed.base.sample(&noise, &mut u);
            squashed.squash(&u, &mut action);
            action.iter().zip(slope).map(|(a, s)| a * s).sum::<f64>() + 0.3 * squashed.log_prob(&u)
        };
        let mut gradient = vec![0.0; 6];
        let (d_mean, d_log_std) = gradient.split_at_mut(3);
        let squashed = Squashed { base: base(), low: -2.0, high: 1.0 };
        squashed.backward_through(&noise, &slope, 0.3, d_mean, d_log_std);
        assert_gradient(&parameters(), &gradient, value);
    }

    #[test]
    fn divergence_of_equals_is_zero_and_entropy_is_the_mean_surprise() {
        assert_eq!(base().kl(&base()), 0.0);
        let other = Gaussian { mean: &X, log_std: &MEAN };
        let (n, mut surprise, mut divergence) = (200_000, 0.0, 0.0);
        let mut rng = Stream::new(3, Purpose::Explore, 0, 0);
        for _ in 0..n {
            let noise = [rng.normal(), rng.normal(), rng.normal()];
            let mut x = [0.0; 3];
            base().sample(&noise, &mut x);
            surprise -= base().log_prob(&x) / f64::from(n);
            divergence += (base().log_prob(&x) - other.log_prob(&x)) / f64::from(n);
        }
        assert!((surprise - base().entropy()).abs() < 0.02, "{surprise}");
        assert!((divergence - base().kl(&other)).abs() < 0.02 * base().kl(&other), "{divergence}");
    }
}
