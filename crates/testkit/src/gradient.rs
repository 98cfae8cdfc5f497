//! Gradients against central differences in f64.

/// Where an analytic gradient departs most from central differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Departure {
    /// Parameter.
    pub index: usize,
    /// The gradient given.
    pub analytic: f64,
    /// `(f(x + h) - f(x - h)) / 2h`.
    pub numeric: f64,
    /// `|analytic - numeric| / max(1, |numeric|)`.
    pub error: f64,
}

/// Compares `gradient` at `x` with central differences of `function`, whose step is `1e-5 max(1, |x_i|)`; returns the
/// largest departure, or nothing where there are no parameters.
///
/// # Panics
/// If `x` and `gradient` differ in length.
pub fn worst_departure(
    x: &[f64],
    gradient: &[f64],
    mut function: impl FnMut(&[f64]) -> f64,
) -> Option<Departure> {
    assert_eq!(x.len(), gradient.len(), "x [P], gradient [P]");
    let mut at = x.to_vec();
    let departures = (0..x.len()).map(|index| {
        let h = 1e-5 * x[index].abs().max(1.0);
        at[index] = x[index] + h;
        let above = function(&at);
        at[index] = x[index] - h;
        let below = function(&at);
        at[index] = x[index];
        let (analytic, numeric) = (gradient[index], (above - below) / (2.0 * h));
        // A NaN on either side must not pass for agreement.
        let error = (analytic - numeric).abs() / numeric.abs().max(1.0);
        Departure { index, analytic, numeric, error: if error.is_nan() { f64::INFINITY } else { error } }
    });
    departures.max_by(|a, b| a.error.total_cmp(&b.error))
}

/// Fails with the parameter's index where `gradient` departs by more than `tolerance` (relative above 1).
///
/// # Panics
/// If it does, or if `x` and `gradient` differ in length.
pub fn assert_gradient(x: &[f64], gradient: &[f64], tolerance: f64, function: impl FnMut(&[f64]) -> f64) {
    if let Some(worst) = worst_departure(x, gradient, function) {
        assert!(
            worst.error <= tolerance,
            "gradient of parameter {} is {}, central differences give {} (error {:e}, allowed {tolerance:e})",
            worst.index,
            worst.analytic,
            worst.numeric,
            worst.error
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(x: &[f64]) -> f64 {
        x[0] * x[0] * x[1].sin()
    }

    #[test]
    fn accepts_the_right_gradient_and_names_the_wrong_parameter() {
        let x = [1.5_f64, 0.3];
        let right = [2.0 * x[0] * x[1].sin(), x[0] * x[0] * x[1].cos()];
        assert_gradient(&x, &right, 1e-8, product);
        let worst = worst_departure(&x, &[right[0], right[1] + 1e-3], product);
        assert_eq!(worst.map(|w| w.index), Some(1));
        let worst = worst_departure(&x, &[f64::NAN, right[1]], product);
        assert_eq!(worst.map(|w| (w.index, w.error)), Some((0, f64::INFINITY)));
    }
}
