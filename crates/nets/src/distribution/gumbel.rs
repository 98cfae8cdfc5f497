//! Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017): a draw from a categorical distribution that gradients pass
//! through. `y = softmax((logits + noise) / temperature)` over legal actions; its largest entry is an exact draw from
//! [`super::Categorical`]. The straight-through form hands on that corner and takes the gradient of `y`.

use coact_core::rng::Stream;
use coact_kernels::td::is_legal;

use crate::real::Real;

/// Writes `y` `[N]` (0 for illegal actions) and returns its largest entry, the lowest index of equals; `None` if no action is
/// legal. `noise` `[N]` comes from [`draw_noise`]; zeros give the plain softmax and the mode.
pub fn sample<T: Real>(
    logits: &[T],
    mask: &[u32],
    noise: &[T],
    temperature: T,
    y: &mut [T],
) -> Option<usize> {
    let mut best = None;
    let mut top = T::NEVER;
    for (a, (y, (&logit, &noise))) in y.iter_mut().zip(logits.iter().zip(noise)).enumerate() {
        *y = T::ZERO;
        if is_legal(mask, a) {
            *y = (logit + noise) / temperature;
            if best.is_none() || *y > top {
                (best, top) = (Some(a), *y);
            }
        }
    }
    let mut total = T::ZERO;
    for (a, y) in y.iter_mut().enumerate() {
        if is_legal(mask, a) {
            *y = (*y - top).exp();
            total += *y;
        }
    }
    y.iter_mut().for_each(|y| *y = *y / total);
    best
}

/// Adds to `d_logits` `[N]` the gradient of a function of `y` `[N]`, given its gradient `d_y` `[N]` by `y`.
pub fn backward<T: Real>(y: &[T], temperature: T, d_y: &[T], d_logits: &mut [T]) {
    let mut mean = T::ZERO;
    for (&y, &d) in y.iter().zip(d_y) {
        mean += y * d;
    }
    for ((out, &y), &d) in d_logits.iter_mut().zip(y).zip(d_y) {
        *out += y * (d - mean) / temperature;
    }
}

/// Fills `noise` with draws from the standard Gumbel distribution, `-ln(-ln u)`.
pub fn draw_noise(rng: &mut Stream, noise: &mut [f32]) {
    for noise in noise {
        // Halfway between the numbers that the stream can give, hence neither 0 nor 1.
        let u = (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
        *noise = -coact_core::math::ln_f64(-coact_core::math::ln_f64(u)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::{backward, draw_noise, sample};
    use crate::distribution::Categorical;
    use crate::distribution::tests::assert_gradient;
    use coact_core::rng::{Purpose, Stream};

    const LOGITS: [f64; 4] = [0.3, -1.2, 2.1, 0.5];
    const MASK: [u32; 1] = [0b1011];

    #[test]
    fn gradients_agree_with_differences() {
        let (noise, slope) = ([0.4, 1.9, -0.3, 0.1], [0.7, -0.4, 3.0, 1.1]);
        let value = |x: &[f64]| {
            let mut y = [0.0; 4];
            sample(x, &MASK, &noise, 0.5, &mut y);
            y.iter().zip(slope).map(|(y, s)| y * s).sum()
        };
        let (mut y, mut gradient) = ([0.0; 4], [0.0; 4]);
        assert_eq!(sample(&LOGITS, &MASK, &noise, 0.5, &mut y), Some(0));
        backward(&y, 0.5, &slope, &mut gradient);
        assert_gradient(&LOGITS, &gradient, value);
        assert_eq!((y[2], gradient[2]), (0.0, 0.0));
        assert_eq!(sample(&LOGITS, &[0], &noise, 0.5, &mut y), None);
    }

    #[test]
    fn the_largest_entry_is_a_draw_from_the_softmax() {
        let logits = LOGITS.map(|l| l as f32);
        let row = Categorical::new(&logits, &MASK).unwrap();
        let (n, mut counts) = (40_000, [0; 4]);
        let mut rng = Stream::new(2, Purpose::Explore, 0, 0);
        for _ in 0..n {
            let (mut noise, mut y) = ([0.0; 4], [0.0; 4]);
            draw_noise(&mut rng, &mut noise);
            counts[sample(&logits, &MASK, &noise, 1.0, &mut y).unwrap()] += 1;
        }
        for (a, &count) in counts.iter().enumerate() {
            let p = f64::from(row.prob(a));
            let error = (f64::from(count) - p * f64::from(n)).abs();
            assert!(error <= 5.0 * (f64::from(n) * p * (1.0 - p)).sqrt(), "action {a}: {count}, p {p}");
        }
    }
}
