//! The rules in plain `f64`, one parameter at a time.

use super::Rule;

/// One step of one parameter; returns its new value and updates its moments.
pub fn step(rule: Rule, lr: f64, t: u64, p: f64, g: f64, moments: &mut [f64; 3]) -> f64 {
    let wide = f64::from;
    match rule {
        Rule::Adam { beta1, beta2, eps, weight_decay, decoupled } => {
            let (b1, b2) = (wide(beta1), wide(beta2));
            let (p, g) = match decoupled {
                true => (p * (1.0 - lr * wide(weight_decay)), g),
                false => (p, g + wide(weight_decay) * p),
            };
            moments[0] = b1 * moments[0] + (1.0 - b1) * g;
            moments[1] = b2 * moments[1] + (1.0 - b2) * g * g;
            let mean = moments[0] / (1.0 - b1.powi(t as i32));
            let square = moments[1] / (1.0 - b2.powi(t as i32));
            p - lr * mean / (square.sqrt() + wide(eps))
        }
        Rule::RmsProp { alpha, eps, momentum, centered, weight_decay } => {
            let a = wide(alpha);
            let g = g + wide(weight_decay) * p;
            moments[0] = a * moments[0] + (1.0 - a) * g * g;
            let mut under = moments[0];
            if centered {
                moments[2] = a * moments[2] + (1.0 - a) * g;
                under -= moments[2] * moments[2];
            }
            let delta = g / (under.max(0.0).sqrt() + wide(eps));
            moments[1] = wide(momentum) * moments[1] + delta;
            p - lr * moments[1]
        }
        Rule::Sgd { momentum, nesterov, weight_decay } => {
            let g = g + wide(weight_decay) * p;
            moments[0] = wide(momentum) * moments[0] + g;
            let delta = if nesterov { g + wide(momentum) * moments[0] } else { moments[0] };
            p - lr * delta
        }
    }
}
