//! The losses of one row: what a policy and a critic are pulled by, each with its derivative.
//!
//! ```text
//! ratio   = exp(log_prob - old_log_prob)
//! surrogate = max(-advantage * ratio, -advantage * clamp(ratio, 1 - clip, 1 + clip))         Schulman et al. 2017
//! clipped = old_value + clamp(value - old_value, -clip, clip)
//! value   = max((value - return)^2, (clipped - return)^2) / 2                                 with value clipping
//! ```

use coact_nets::Real;

/// The clipped surrogate of one action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surrogate<T> {
    /// The loss.
    pub loss: T,
    /// Its derivative by the new log-probability.
    pub d_log_prob: T,
    /// Whether the ratio was outside `1 - clip ..= 1 + clip`.
    pub clipped: bool,
    /// Estimate of the divergence from the old policy, `ratio - 1 - ln ratio` (never negative).
    pub kl: T,
}

/// Loss of an action whose log-probability was `old_log_prob` and is `log_prob`.
#[inline(always)]
pub fn surrogate<T: Real>(log_prob: T, old_log_prob: T, advantage: T, clip: T) -> Surrogate<T> {
    let log_ratio = log_prob - old_log_prob;
    let ratio = log_ratio.exp();
    let bounded = ratio.max(T::ONE - clip).min(T::ONE + clip);
    let (free, held) = (-advantage * ratio, -advantage * bounded);
    // Inside the bounds both are one; outside, the held one has no slope.
    let d_log_prob = if free >= held { free } else { T::ZERO };
    Surrogate {
        loss: free.max(held),
        d_log_prob,
        clipped: (ratio - T::ONE).abs() > clip,
        kl: ratio - T::ONE - log_ratio,
    }
}

/// Half the squared error of a value, and its derivative by the value. With `clip`, a value that moved further than that
/// from `old_value` gets no reward for moving on.
#[inline(always)]
pub fn value_loss<T: Real>(value: T, old_value: T, return_: T, clip: Option<T>) -> (T, T) {
    let half = T::of(0.5);
    let error = value - return_;
    let free = half * error * error;
    let Some(clip) = clip else { return (free, error) };
    let moved = value - old_value;
    let bounded = moved.max(-clip).min(clip);
    if bounded == moved {
        return (free, error);
    }
    let held_error = old_value + bounded - return_;
    let held = half * held_error * held_error;
    if free >= held { (free, error) } else { (held, T::ZERO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let h = 1e-6;
        for advantage in [-1.3, 0.8] {
            for log_prob in [-2.0, -1.2, -1.0, -0.9, -0.1_f64] {
                let at = |x: f64| surrogate(x, -1.0, advantage, 0.2).loss;
                let numeric = (at(log_prob + h) - at(log_prob - h)) / (2.0 * h);
                let found = surrogate(log_prob, -1.0, advantage, 0.2).d_log_prob;
                assert!((found - numeric).abs() < 1e-8, "{advantage}, {log_prob}: {found}, {numeric}");
            }
        }
        for clip in [None, Some(0.2)] {
            for value in [-1.0, 0.2, 0.45, 0.9, 3.0_f64] {
                let at = |x: f64| value_loss(x, 0.4, 0.7, clip).0;
                let numeric = (at(value + h) - at(value - h)) / (2.0 * h);
                let found = value_loss(value, 0.4, 0.7, clip).1;
                assert!((found - numeric).abs() < 1e-8, "{clip:?}, {value}: {found}, {numeric}");
            }
        }
    }

    #[test]
    fn a_ratio_beyond_the_bound_stops_pulling_only_in_its_own_direction() {
        let up = surrogate(0.5_f64, 0.0, 1.0, 0.2);
        assert!(up.clipped && up.d_log_prob == 0.0 && up.loss == -1.2);
        let down = surrogate(0.5_f64, 0.0, -1.0, 0.2);
        assert!(down.clipped && down.d_log_prob > 1.6);
        assert_eq!(surrogate(-0.7_f64, -0.7, 2.0, 0.2).kl, 0.0);
    }
}
