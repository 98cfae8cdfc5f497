//! Exponentials with the same bits on every machine.

pub(crate) use coact_core::math::exp_f64 as exp;

/// Probabilities in proportion to `exp(x / temperature)`, written into `out`.
pub(crate) fn softmax(x: &[f64], temperature: f64, out: &mut [f64]) {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (o, &x) in out.iter_mut().zip(x) {
        *o = exp((x - largest) / temperature);
        sum += *o;
    }
    out.iter_mut().for_each(|o| *o /= sum);
}
