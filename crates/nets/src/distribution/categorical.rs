//! One of `N` actions with probability proportional to `exp(logit)`, over legal actions only.

use coact_kernels::td::is_legal;

use crate::real::Real;

/// A row of logits `[N]` under a legality mask (bit `a % 32` of word `a / 32`; empty if all is legal).
///
/// ```
/// use coact_nets::distribution::Categorical;
/// let row = Categorical::new(&[0.0_f32, 0.0, 50.0], &[0b011]).unwrap();
/// assert_eq!(row.prob(2), 0.0);
/// assert!((row.prob(0) - 0.5).abs() < 1e-6);
/// assert!((row.entropy() - 2.0_f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Categorical<'a, T> {
    logits: &'a [T],
    mask: &'a [u32],
    /// The highest legal logit.
    top: T,
    /// Logarithm of the sum of `exp(logit - top)` over legal actions. Added to `top`, it would lose digits.
    log_total: T,
}

impl<'a, T: Real> Categorical<'a, T> {
    /// The distribution; `None` if no action is legal.
    #[inline(always)]
    pub fn new(logits: &'a [T], mask: &'a [u32]) -> Option<Self> {
        let mut top = T::NEVER;
        for (a, &logit) in logits.iter().enumerate() {
            if is_legal(mask, a) && logit > top {
                top = logit;
            }
        }
        let mut total = T::ZERO;
        let mut any = false;
        for (a, &logit) in logits.iter().enumerate() {
            if is_legal(mask, a) {
                any = true;
                total += (logit - top).exp();
            }
        }
        any.then(|| Self { logits, mask, top, log_total: total.ln() })
    }

    /// Log-probability of `action`; minus infinity if it is illegal.
    #[inline(always)]
    pub fn log_prob(&self, action: usize) -> T {
        if is_legal(self.mask, action) { self.logits[action] - self.top - self.log_total } else { T::NEVER }
    }

    /// Probability of `action`; 0 if it is illegal.
    #[inline(always)]
    pub fn prob(&self, action: usize) -> T {
        if is_legal(self.mask, action) { self.log_prob(action).exp() } else { T::ZERO }
    }

    /// Legal actions in ascending order.
    #[inline(always)]
    fn legal(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.logits.len()).filter(|&a| is_legal(self.mask, a))
    }

    /// `-sum p ln p`, in nats.
    #[inline(always)]
    pub fn entropy(&self) -> T {
        let mut sum = T::ZERO;
        for a in self.legal() {
            sum -= self.prob(a) * self.log_prob(a);
        }
        sum
    }

    /// Kullback-Leibler divergence `sum p (ln p - ln q)` to `other`, over the actions that are legal here. Infinite if one
    /// of them is illegal there.
    pub fn kl(&self, other: &Categorical<'_, T>) -> T {
        let mut sum = T::ZERO;
        for a in self.legal() {
            sum += self.prob(a) * (self.log_prob(a) - other.log_prob(a));
        }
        sum
    }

    /// The legal action with the highest logit, the lowest index of equals.
    pub fn mode(&self) -> usize {
        let mut legal = self.legal();
        let first = legal.next().unwrap_or(0);
        legal.fold(first, |best, a| if self.logits[a] > self.logits[best] { a } else { best })
    }

    /// The action that `uniform`, drawn from [0, 1), stands for: the first whose cumulated probability exceeds it.
    #[inline(always)]
    pub fn sample(&self, uniform: T) -> usize {
        let mut sum = T::ZERO;
        let mut last = 0;
        for a in self.legal() {
            let prob = self.prob(a);
            sum += prob;
            // Rounding may leave the sum short of 1; what is left over belongs to the last action that can happen.
            if prob > T::ZERO {
                last = a;
            }
            if sum > uniform {
                return a;
            }
        }
        last
    }

    /// Adds to `d_logits` `[N]` the gradient of `d_log_prob * ln p(action) + d_entropy * entropy`. Illegal actions get none.
    #[inline(always)]
    pub fn backward(&self, action: usize, d_log_prob: T, d_entropy: T, d_logits: &mut [T]) {
        let entropy = self.entropy();
        for a in self.legal() {
            let (prob, log_prob) = (self.prob(a), self.log_prob(a));
            d_logits[a] -= prob * (d_log_prob + d_entropy * (log_prob + entropy));
        }
        if is_legal(self.mask, action) {
            d_logits[action] += d_log_prob;
        }
    }

    /// Adds to `d_logits` `[N]` the gradient of `d_kl * kl(self, other)` with respect to the logits of `self`.
    pub fn backward_kl(&self, other: &Categorical<'_, T>, d_kl: T, d_logits: &mut [T]) {
        let kl = self.kl(other);
        for a in self.legal() {
            d_logits[a] += d_kl * self.prob(a) * (self.log_prob(a) - other.log_prob(a) - kl);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Categorical;
    use crate::distribution::tests::assert_gradient;
    use coact_core::rng::{Purpose, Stream};

    const LOGITS: [f64; 5] = [0.3, -1.2, 2.1, 0.0, -0.4];
    const MASK: [u32; 1] = [0b11011];

    #[test]
    fn illegal_actions_are_left_out_however_large_their_logit() {
        let row = Categorical::new(&LOGITS, &MASK).unwrap();
        let others: Vec<f64> = [0, 1, 3, 4].iter().map(|&a| LOGITS[a]).collect();
        let without = Categorical::new(&others, &[]).unwrap();
        assert_eq!((row.prob(2), row.log_prob(2)), (0.0, f64::NEG_INFINITY));
        assert!((row.entropy() - without.entropy()).abs() < 1e-15);
        assert!((row.log_prob(3) - without.log_prob(2)).abs() < 1e-15);
        assert_eq!(row.mode(), 0);
        // Not even one that is not a number leaks.
        let mut broken = LOGITS;
        broken[2] = f64::NAN;
        assert_eq!(Categorical::new(&broken, &MASK).unwrap().entropy(), row.entropy());
        assert!(Categorical::new(&LOGITS, &[0]).is_none());
    }

    #[test]
    fn gradients_agree_with_differences() {
        let value = |x: &[f64]| {
            let row = Categorical::new(x, &MASK).unwrap();
            0.7 * row.log_prob(3) - 1.3 * row.entropy()
        };
        let mut gradient = [0.0; 5];
        Categorical::new(&LOGITS, &MASK).unwrap().backward(3, 0.7, -1.3, &mut gradient);
        assert_gradient(&LOGITS, &gradient, value);
        assert_eq!(gradient[2], 0.0);

        let other = [0.1, 0.2, 9.0, -0.3, 0.6];
        let other = Categorical::new(&other, &MASK).unwrap();
        let mut gradient = [0.0; 5];
        Categorical::new(&LOGITS, &MASK).unwrap().backward_kl(&other, 0.4, &mut gradient);
        assert_gradient(&LOGITS, &gradient, |x| 0.4 * Categorical::new(x, &MASK).unwrap().kl(&other));
    }

    #[test]
    fn draws_come_as_often_as_they_should() {
        let logits = LOGITS.map(|l| l as f32);
        let row = Categorical::new(&logits, &MASK).unwrap();
        let n = 40_000;
        let mut rng = Stream::new(5, Purpose::Explore, 0, 0);
        let mut counts = [0; 5];
        for _ in 0..n {
            counts[row.sample(rng.uniform())] += 1;
        }
        assert_eq!(counts[2], 0);
        for (a, &count) in counts.iter().enumerate() {
            let p = f64::from(row.prob(a));
            let error = (f64::from(count) - p * f64::from(n)).abs();
            assert!(error <= 5.0 * (f64::from(n) * p * (1.0 - p)).sqrt(), "action {a}: {count}, p {p}");
        }
        // The largest number below 1 and a row whose rounded probabilities do not reach it.
        assert_eq!(row.sample(1.0 - f32::EPSILON / 2.0), 4);
        assert_eq!(Categorical::new(&[0.0_f32, -900.0], &[]).unwrap().sample(0.999_999_94), 0);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let row = Categorical::new(&[802.0_f32, 803.0, -900.0], &[]).unwrap();
        assert!((row.prob(1) - 0.731_058_6).abs() < 1e-6 && row.entropy().is_finite());
        let mut gradient = [0.0; 3];
        row.backward(2, 1.0, 1.0, &mut gradient);
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}
