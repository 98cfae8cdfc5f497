//! Normalization of value targets by running moments (the ValueNorm of Yu et al. 2022, "The surprising effectiveness of PPO
//! in cooperative multi-agent games"): the critic learns returns of mean 0 and variance 1 whatever the scale of rewards.
//!
//! ```text
//! mean   = beta * mean + (1 - beta) * mean of the batch         likewise the mean square and the debiasing weight
//! m      = mean / max(weight, epsilon)
//! var    = max(mean square / max(weight, epsilon) - m^2, 0.01)
//! ```
//!
//! Deviation: moments are kept in `f64`, the reference keeps `f32`.

use coact_core::codec::{Reader, Writer};

use crate::Result;

/// Smallest weight that a sum is divided by.
const EPSILON: f64 = 1e-5;
/// Smallest variance.
const VARIANCE_FLOOR: f64 = 1e-2;

/// Debiased running mean and variance of returns.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueNorm {
    beta: f64,
    epsilon: f64,
    variance_floor: f64,
    mean: f64,
    mean_square: f64,
    weight: f64,
}

impl ValueNorm {
    /// Nothing seen. `beta`, in [0, 1), is what a batch leaves of the moments before it.
    pub fn new(beta: f64) -> Self {
        Self::with_floors(beta, EPSILON, VARIANCE_FLOOR)
    }

    /// With another smallest weight and variance than 1e-5 and 0.01.
    pub fn with_floors(beta: f64, epsilon: f64, variance_floor: f64) -> Self {
        Self { beta, epsilon, variance_floor, mean: 0.0, mean_square: 0.0, weight: 0.0 }
    }

    /// Takes in the values that count; none leave everything as it is.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn update(&mut self, values: &[f32], valid: &[bool]) {
        assert_eq!(values.len(), valid.len(), "values [n], valid [n]");
        let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
        for (&v, _) in values.iter().zip(valid).filter(|(_, valid)| **valid) {
            let v = f64::from(v);
            sum += v;
            squares += v * v;
            n += 1.0;
        }
        if n > 0.0 {
            self.mean = self.beta * self.mean + (1.0 - self.beta) * (sum / n);
            self.mean_square = self.beta * self.mean_square + (1.0 - self.beta) * (squares / n);
            self.weight = self.beta * self.weight + (1.0 - self.beta);
        }
    }

    /// Debiased mean and variance; 0 and 1 before the first update.
    pub fn moments(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 1.0);
        }
        let weight = self.weight.max(self.epsilon);
        let mean = self.mean / weight;
        (mean, (self.mean_square / weight - mean * mean).max(self.variance_floor))
    }

    /// `(values - mean) / std` in place.
    pub fn normalize(&self, values: &mut [f32]) {
        let (mean, variance) = self.moments();
        let std = variance.sqrt();
        values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / std) as f32);
    }

    /// `values * std + mean` in place: the inverse of [`ValueNorm::normalize`].
    pub fn denormalize(&self, values: &mut [f32]) {
        let (mean, variance) = self.moments();
        let std = variance.sqrt();
        values.iter_mut().for_each(|v| *v = (f64::from(*v) * std + mean) as f32);
    }

    /// Appends the moments.
    pub fn save(&self, out: &mut Writer) {
        out.f64(self.mean);
        out.f64(self.mean_square);
        out.f64(self.weight);
    }

    /// Restores what [`ValueNorm::save`] wrote.
    ///
    /// # Errors
    /// Damaged bytes.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.mean = from.f64()?;
        self.mean_square = from.f64()?;
        self.weight = from.f64()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_is_normalized_to_mean_0_and_variance_1_whatever_beta() {
        for beta in [0.5, 0.99, 0.99999] {
            let mut norm = ValueNorm::new(beta);
            let mut values = [100.0, 120.0, 9e9, 140.0, 80.0];
            let valid = [true, true, false, true, true];
            norm.update(&values, &valid);
            let (mean, variance) = norm.moments();
            assert!((mean - 110.0).abs() < 1e-6 && (variance - 500.0).abs() < 1e-5, "{mean}, {variance}");
            let before = values;
            norm.normalize(&mut values);
            assert!((values[0] - (100.0 - 110.0) / 500.0_f32.sqrt()).abs() < 1e-6);
            norm.denormalize(&mut values);
            assert!(values.iter().zip(before).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs()));
        }
    }

    #[test]
    fn nothing_seen_changes_nothing_and_a_constant_has_the_smallest_variance() {
        let mut norm = ValueNorm::new(0.9);
        norm.update(&[5.0], &[false]);
        assert_eq!(norm.moments(), (0.0, 1.0));
        norm.update(&[5.0; 3], &[true; 3]);
        let (mean, variance) = norm.moments();
        assert!((mean - 5.0).abs() < 1e-12 && variance == 0.01, "{mean}, {variance}");
    }

    #[test]
    fn saved_moments_go_on() {
        let mut norm = ValueNorm::new(0.9);
        norm.update(&[1.0, 2.0], &[true; 2]);
        let mut out = Writer::new();
        norm.save(&mut out);
        let mut other = ValueNorm::new(0.9);
        other.load(&mut Reader::new("moments", &out.into_bytes())).unwrap();
        assert_eq!(other, norm);
    }
}
