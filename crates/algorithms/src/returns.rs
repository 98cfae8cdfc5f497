//! Targets and advantages over consecutive steps: generalized advantage estimation, lambda returns and n-step returns.
//! Pure functions on columns `[T, R]`, T steps of R rows (a row is an agent of an environment).
//!
//! ```text
//! delta_t     = reward_t + discount_t * next_value_t - value_t
//! advantage_t = delta_t + discount_t * lambda * advantage_(t+1)
//! return_t    = reward_t + discount_t * ((1 - lambda) * next_value_t + lambda * return_(t+1))
//! n-step_t    = reward_t + discount_t * (reward_(t+1) + discount_(t+1) * (.. + discount_(t+n-1) * next_value_(t+n-1)))
//! ```
//!
//! The second summand is there only while the episode goes on: nothing is carried across its end, nor beyond the last step.
//! `discount` is gamma, or 0 where the process ended: then nothing of the future counts, not even if it is not a number.
//! A time limit leaves `discount` as it is; `next_value` is then the value of the last observation of the episode, so the
//! estimate bootstraps there. (Implementations that take a time limit for an ending give other numbers.)
//!
//! Sources: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", equation
//! 16; Sutton and Barto 2018, equations 12.18 and 7.1; lambda returns with a mask as PyMARL computes them for Q-learners.

use coact_nets::Real;

/// Columns `[T, R]` of `T` steps of `R` rows.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a, T> {
    /// Rows, `R`.
    pub n_rows: usize,
    /// Rewards.
    pub reward: &'a [T],
    /// Gamma, or 0 where the process ended in the step.
    pub discount: &'a [T],
    /// Value of what came after the step: of the next observation, or of the last one of the episode where a time limit cut it.
    pub next_value: &'a [T],
    /// The episode ended in the step, by itself or by a time limit: the step after belongs to another one.
    pub ended: &'a [bool],
    /// The row counts. Where not, the agent did not act.
    pub valid: &'a [bool],
}

impl<T: Real> Steps<'_, T> {
    /// Steps `T`.
    ///
    /// # Panics
    /// If the columns are not of one length, or that is no multiple of `R`.
    fn n_steps(&self) -> usize {
        let Self { n_rows, reward, discount, next_value, ended, valid } = self;
        let n = reward.len();
        let lengths = [discount.len(), next_value.len(), ended.len(), valid.len()];
        assert_eq!(lengths, [n; 4], "discount, next_value, ended, valid [T, R], R {n_rows}");
        assert!(*n_rows > 0 && n.is_multiple_of(*n_rows), "{n} numbers are not [T, {n_rows}]");
        n / n_rows
    }

    /// `reward + discount * future`, or `reward` alone where the process ended.
    #[inline(always)]
    fn backup(&self, i: usize, future: T) -> T {
        if self.discount[i] == T::ZERO { self.reward[i] } else { self.reward[i] + self.discount[i] * future }
    }
}

/// Generalized advantage estimates `[T, R]` against `value` `[T, R]`; 0 in rows that do not count. What was a return by
/// lambda is `advantage + value`.
///
/// # Panics
/// If columns do not fit each other.
pub fn gae<T: Real>(steps: &Steps<'_, T>, value: &[T], lambda: T, advantage: &mut [T]) {
    let (n_rows, n_steps) = (steps.n_rows, steps.n_steps());
    assert_eq!([value.len(), advantage.len()], [n_rows * n_steps; 2], "value, advantage [T, R]");
    for t in (0..n_steps).rev() {
        for i in t * n_rows..(t + 1) * n_rows {
            let delta = steps.backup(i, steps.next_value[i]) - value[i];
            let goes_on = t + 1 < n_steps && !steps.ended[i] && steps.discount[i] != T::ZERO;
            let carried = if goes_on { steps.discount[i] * lambda * advantage[i + n_rows] } else { T::ZERO };
            advantage[i] = if steps.valid[i] { delta + carried } else { T::ZERO };
        }
    }
}

/// Lambda returns `[T, R]`: `lambda = 0` is the one-step target, `lambda = 1` the return up to the end of the steps.
///
/// A row that does not count has no reward and no value of its own, and hands on `discount * lambda` of what follows it
/// (padding behind an ended episode is 0 where its discount is).
///
/// # Panics
/// If columns do not fit each other.
pub fn lambda_returns<T: Real>(steps: &Steps<'_, T>, lambda: T, returns: &mut [T]) {
    let (n_rows, n_steps) = (steps.n_rows, steps.n_steps());
    assert_eq!(returns.len(), n_rows * n_steps, "returns [T, R]");
    for t in (0..n_steps).rev() {
        for i in t * n_rows..(t + 1) * n_rows {
            let last = t + 1 == n_steps || steps.ended[i];
            let following = if last { steps.next_value[i] } else { returns[i + n_rows] };
            returns[i] = if steps.valid[i] {
                steps.backup(i, (T::ONE - lambda) * steps.next_value[i] + lambda * following)
            } else if steps.discount[i] == T::ZERO {
                T::ZERO
            } else {
                steps.discount[i] * lambda * following
            };
        }
    }
}

/// Returns of up to `n` steps `[T, R]`, fewer where the episode or the steps end before. `n` must be 1 or more.
///
/// # Panics
/// If columns do not fit each other, or `n` is 0.
pub fn n_step_returns<T: Real>(steps: &Steps<'_, T>, n: usize, returns: &mut [T]) {
    let (n_rows, n_steps) = (steps.n_rows, steps.n_steps());
    assert!(n > 0, "a return of at least one step");
    assert_eq!(returns.len(), n_rows * n_steps, "returns [T, R]");
    for t in 0..n_steps {
        for row in 0..n_rows {
            let first = t * n_rows + row;
            if !steps.valid[first] {
                returns[first] = T::ZERO;
                continue;
            }
            // The last step that the return sees.
            let mut last = first;
            while (last - first) / n_rows + 1 < n
                && last + n_rows < n_steps * n_rows
                && !steps.ended[last]
                && steps.discount[last] != T::ZERO
                && steps.valid[last + n_rows]
            {
                last += n_rows;
            }
            let mut sum = steps.backup(last, steps.next_value[last]);
            while last > first {
                last -= n_rows;
                sum = steps.backup(last, sum);
            }
            returns[first] = sum;
        }
    }
}

/// Subtracts the mean of the rows that count and divides by their standard deviation (with Bessel's correction) plus 1e-8.
/// Other rows become 0. A single row becomes 0.
///
/// # Panics
/// If the lengths differ.
pub fn normalize<T: Real>(values: &mut [T], valid: &[bool]) {
    assert_eq!(values.len(), valid.len(), "values [n], valid [n]");
    let count = valid.iter().filter(|&&v| v).count();
    let n = T::of(count as f64);
    let of_valid = |values: &[T], term: &dyn Fn(T) -> T| {
        let mut sum = T::ZERO;
        for (&v, _) in values.iter().zip(valid).filter(|(_, valid)| **valid) {
            sum += term(v);
        }
        sum
    };
    let mean = if count > 0 { of_valid(values, &|v| v) / n } else { T::ZERO };
    let squares = of_valid(values, &|v| (v - mean) * (v - mean));
    let std = if count > 1 { (squares / (n - T::ONE)).sqrt() } else { T::ZERO };
    for (value, &valid) in values.iter_mut().zip(valid) {
        *value = if valid { (*value - mean) / (std + T::of(1e-8)) } else { T::ZERO };
    }
}

/// Share of the variance of `returns` that `values` explain, over the rows that count: 1 is perfect, 0 as good as a
/// constant. 0 where returns do not vary.
///
/// # Panics
/// If the lengths differ.
pub fn explained_variance<T: Real>(values: &[T], returns: &[T], valid: &[bool]) -> T {
    assert_eq!([returns.len(), valid.len()], [values.len(); 2], "values, returns, valid [n]");
    let variance = |of: &dyn Fn(usize) -> T| {
        let rows = || (0..values.len()).filter(|&i| valid[i]);
        let n = T::of(rows().count().max(1) as f64);
        let (mut mean, mut squares) = (T::ZERO, T::ZERO);
        rows().for_each(|i| mean += of(i));
        mean = mean / n;
        rows().for_each(|i| squares += (of(i) - mean) * (of(i) - mean));
        squares / n
    };
    let total = variance(&|i| returns[i]);
    if total == T::ZERO { T::ZERO } else { T::ONE - variance(&|i| returns[i] - values[i]) / total }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAMMA: f64 = 0.9;

    /// Five steps of one row: the episode is cut by a time limit after step 1, ends by itself after step 3.
    fn steps<'a>(reward: &'a [f64; 5], next_value: &'a [f64; 5]) -> Steps<'a, f64> {
        Steps {
            n_rows: 1,
            reward,
            discount: &[GAMMA, GAMMA, GAMMA, 0.0, GAMMA],
            next_value,
            ended: &[false, true, false, true, false],
            valid: &[true; 5],
        }
    }

    const REWARD: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];
    /// Behind the end of the process stands what must never be read.
    const NEXT: [f64; 5] = [0.1, 0.2, 0.3, f64::NAN, 0.5];
    const VALUE: [f64; 5] = [0.7, 0.1, 0.6, 0.3, 0.4];

    #[test]
    fn advantages_stop_at_every_end_and_bootstrap_at_time_limits() {
        let mut advantage = [0.0; 5];
        gae(&steps(&REWARD, &NEXT), &VALUE, 0.5, &mut advantage);
        let delta = [1.0 + 0.09 - 0.7, 2.0 + 0.18 - 0.1, 3.0 + 0.27 - 0.6, 4.0 - 0.3, 5.0 + 0.45 - 0.4];
        let expected = [delta[0] + 0.45 * delta[1], delta[1], delta[2] + 0.45 * delta[3], delta[3], delta[4]];
        for (found, expected) in advantage.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{advantage:?}");
        }
    }

    #[test]
    fn lambda_returns_are_advantages_plus_values() {
        for lambda in [0.0, 0.3, 1.0] {
            let (mut advantage, mut returns) = ([0.0; 5], [0.0; 5]);
            gae(&steps(&REWARD, &NEXT), &VALUE, lambda, &mut advantage);
            // Values and next values must belong to each other for that.
            let next = [VALUE[1], 0.2, VALUE[3], f64::NAN, 0.5];
            gae(&steps(&REWARD, &next), &VALUE, lambda, &mut advantage);
            lambda_returns(&steps(&REWARD, &next), lambda, &mut returns);
            for i in 0..5 {
                assert!((returns[i] - advantage[i] - VALUE[i]).abs() < 1e-12, "lambda {lambda}, step {i}");
            }
        }
    }

    #[test]
    fn n_step_returns_by_hand() {
        let returns = |n| {
            let mut returns = [0.0; 5];
            n_step_returns(&steps(&REWARD, &NEXT), n, &mut returns);
            returns
        };
        let one = [1.0 + 0.09, 2.0 + 0.18, 3.0 + 0.27, 4.0, 5.0 + 0.45];
        let two = [1.0 + 0.9 * one[1], one[1], 3.0 + 0.9 * 4.0, 4.0, one[4]];
        for (n, expected) in [(1, one), (2, two), (7, two)] {
            for (found, expected) in returns(n).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{n} steps: {:?}", returns(n));
            }
        }
    }

    #[test]
    fn rows_that_do_not_count_are_zero_and_rows_do_not_mix() {
        let (reward, next) = ([1.0, 10.0, 2.0, 20.0_f64], [0.0; 4]);
        let steps = Steps {
            n_rows: 2,
            reward: &reward,
            discount: &[0.5; 4],
            next_value: &next,
            ended: &[false; 4],
            valid: &[true, true, true, false],
        };
        let mut out = [9.0; 4];
        gae(&steps, &[0.0; 4], 1.0, &mut out);
        assert_eq!(out, [2.0, 10.0, 2.0, 0.0]);
        lambda_returns(&steps, 1.0, &mut out);
        assert_eq!(out, [2.0, 10.0, 2.0, 0.0]);
        n_step_returns(&steps, 5, &mut out);
        assert_eq!(out, [2.0, 10.0, 2.0, 0.0]);
    }

    #[test]
    fn normalizing_leaves_out_what_does_not_count() {
        let mut values = [1.0, 3.0, 900.0, 5.0_f64];
        normalize(&mut values, &[true, true, false, true]);
        assert!((values[0] + 1.0).abs() < 1e-7 && values[1] == 0.0 && values[2] == 0.0);
        let mut one = [7.0_f32];
        normalize(&mut one, &[true]);
        assert_eq!(one, [0.0]);
    }

    #[test]
    fn explained_variance_of_perfect_constant_and_none() {
        let returns = [1.0, 2.0, 4.0_f64];
        assert_eq!(explained_variance(&returns, &returns, &[true; 3]), 1.0);
        assert_eq!(explained_variance(&[5.0; 3], &returns, &[true; 3]), 0.0);
        assert_eq!(explained_variance(&[5.0; 3], &[1.0; 3], &[true; 3]), 0.0);
    }
}
