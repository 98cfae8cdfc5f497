//! Q-values of one row in plain `f64`.

use crate::{QShape, mlp_reference};

/// Q-values `[N]` of one observation.
pub fn q_values(shape: &QShape, params: &[f64], obs: &[f64]) -> Vec<f64> {
    dueling(shape, mlp_reference::forward(&shape.mlp, params, obs).output)
}

/// Q-values from the outputs of the network.
pub fn dueling(shape: &QShape, mut output: Vec<f64>) -> Vec<f64> {
    if !shape.dueling {
        return output;
    }
    let n = shape.n_actions;
    let shift = output[n] - output[..n].iter().sum::<f64>() / n as f64;
    output.truncate(n);
    output.iter().map(|a| a + shift).collect()
}
