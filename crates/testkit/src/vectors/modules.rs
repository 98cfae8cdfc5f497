//! `nn_modules`: whole perceptrons, recurrent cells, convolutions and layer norm, forward and backward.

mod cells;
mod convolutions;

use coact_kernels::{
    Activation, Backend, CellKind, CpuOptions, LAYER_NORM_EPS, MlpCache, MlpShape, TensorKind,
};
use serde_json::Value;

use super::case::{field, number, numbers, single, table, table_of};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-5;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let fields = case.value.as_object().ok_or("the case is not an object")?;
    let mut backend = Backend::cpu(CpuOptions::default()).map_err(|e| e.to_string())?;
    for (name, recorded) in fields {
        let result = match name.as_str() {
            "mlp_tanh" => mlp(case, name, &mut backend, Activation::Tanh, recorded),
            "mlp_relu" => mlp(case, name, &mut backend, Activation::Relu, recorded),
            "layer_norm" => layer_norm(case, &mut backend, recorded),
            "gru_cell" | "gru" => cells::check(case, name, &mut backend, CellKind::Gru, recorded),
            "lstm_cell" | "lstm" => cells::check(case, name, &mut backend, CellKind::Lstm, recorded),
            _ if name.starts_with("conv2d") => convolutions::check(case, name, &mut backend, recorded),
            "seed" => Ok(()),
            other => {
                case.not_covered(other);
                Ok(())
            }
        };
        result.map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}

/// Layers `0`, `2`, `4` .. of a recorded `Sequential`, with activations in between.
fn shape_of(weights: &Value, activation: Activation) -> Result<MlpShape, Fault> {
    let mut widths = Vec::new();
    let mut input = 0;
    for layer in 0.. {
        let name = format!("{}.weight", 2 * layer);
        if weights.get(&name).is_none() {
            break;
        }
        let (_, n, k) = table(weights, &name)?;
        if widths.last().is_some_and(|&before| before != k) {
            return Err(format!("`{name}` does not fit the layer before"));
        }
        input = if layer == 0 { k } else { input };
        widths.push(n);
    }
    let output = widths.pop().ok_or("there is no layer `0.weight`")?;
    let shape = MlpShape { input, hidden: widths, output, activation, layer_norm: false };
    shape.check().map_err(|e| e.to_string())?;
    Ok(shape)
}

/// Recorded tensors, weights `[N, K]`, as flat parameters, weights `[K, N]`.
fn flat(shape: &MlpShape, tensors: &Value) -> Result<Vec<f64>, Fault> {
    let mut out = vec![0.0; shape.param_count()];
    for tensor in shape.tensors() {
        let (layer, to) = (2 * tensor.layer, &mut out[tensor.range()]);
        match tensor.kind {
            TensorKind::Weight => {
                let values = table_of(tensors, &format!("{layer}.weight"), tensor.cols, tensor.rows)?;
                for (i, &value) in values.iter().enumerate() {
                    to[i % tensor.rows * tensor.cols + i / tensor.rows] = value;
                }
            }
            _ => {
                let values = numbers(tensors, &format!("{layer}.bias"))?;
                if values.len() != to.len() {
                    return Err(format!("`{layer}.bias` has {} values", values.len()));
                }
                to.copy_from_slice(&values);
            }
        }
    }
    Ok(out)
}

fn mlp(
    case: &mut Case<'_>,
    name: &str,
    backend: &mut Backend,
    activation: Activation,
    recorded: &Value,
) -> Result<(), Fault> {
    let weights = field(recorded, "weights")?;
    let shape = shape_of(weights, activation)?;
    let params = single(&flat(&shape, weights)?);
    let (x, rows, width) = table(recorded, "x")?;
    if width != shape.input || rows == 0 {
        return Err(format!("`x` is [{rows}, {width}], the network has {} inputs", shape.input));
    }
    let x = single(&x);
    let target = table_of(recorded, "target", rows, shape.output)?;
    let (mut cache, mut out) = (MlpCache::new(), vec![0.0; rows * shape.output]);
    backend.mlp_forward(&shape, &params, rows, &x, &mut cache, &mut out);
    let expected = table_of(recorded, "out", rows, shape.output)?;
    case.all_close(&format!("{name}: out"), &out, &expected, TOLERANCE);
    let errors: Vec<f64> = out.iter().zip(&target).map(|(&o, t)| f64::from(o) - t).collect();
    let n = errors.len() as f64;
    let loss = errors.iter().map(|e| e * e).sum::<f64>() / n;
    case.close(&format!("{name}: mse_mean"), loss, number(recorded, "mse_mean")?, TOLERANCE);
    let grad_out: Vec<f32> = errors.iter().map(|e| (2.0 * e / n) as f32).collect();
    let (mut grads, mut grad_x) = (vec![0.0; params.len()], vec![0.0; x.len()]);
    backend.mlp_backward(&shape, &params, rows, &x, &mut cache, &grad_out, &mut grads, Some(&mut grad_x));
    let expected = flat(&shape, field(recorded, "grads")?)?;
    case.all_close(&format!("{name}: grads"), &grads, &expected, TOLERANCE);
    let expected = table_of(recorded, "grad_x", rows, width)?;
    case.all_close(&format!("{name}: grad_x"), &grad_x, &expected, TOLERANCE);
    Ok(())
}

/// Layer norm alone: between identity layers, once with gain 1 and once with gain -1, because
/// `y = relu(y) - relu(-y)`.
fn layer_norm(case: &mut Case<'_>, backend: &mut Backend, recorded: &Value) -> Result<(), Fault> {
    if (number(recorded, "eps")? - f64::from(LAYER_NORM_EPS)).abs() > 1e-9 {
        case.not_covered("layer_norm with another eps than 1e-5");
        return Ok(());
    }
    let (x, rows, n) = table(recorded, "x")?;
    if rows == 0 || n == 0 {
        return Err("`x` is empty".into());
    }
    let x = single(&x);
    let shape =
        MlpShape { input: n, hidden: vec![n], output: n, activation: Activation::Relu, layer_norm: true };
    let (mut out, mut grad_x) = (vec![0.0_f32; rows * n], vec![0.0_f32; rows * n]);
    for sign in [1.0_f32, -1.0] {
        let mut params = vec![0.0; shape.param_count()];
        for tensor in shape.tensors() {
            let to = &mut params[tensor.range()];
            match tensor.kind {
                TensorKind::Weight => (0..n).for_each(|i| to[i * n + i] = 1.0),
                TensorKind::NormGain => to.fill(sign),
                TensorKind::Bias | TensorKind::NormShift => {}
            }
        }
        let (mut cache, mut half) = (MlpCache::new(), vec![0.0; rows * n]);
        backend.mlp_forward(&shape, &params, rows, &x, &mut cache, &mut half);
        let grad_out: Vec<f32> = (0..rows * n).map(|i| sign * i as f32).collect();
        let (mut grads, mut grad_half) = (vec![0.0; params.len()], vec![0.0; x.len()]);
        backend.mlp_backward(
            &shape,
            &params,
            rows,
            &x,
            &mut cache,
            &grad_out,
            &mut grads,
            Some(&mut grad_half),
        );
        out.iter_mut().zip(&half).for_each(|(o, h)| *o += sign * h);
        grad_x.iter_mut().zip(&grad_half).for_each(|(g, h)| *g += h);
    }
    case.all_close("layer_norm: out", &out, &table_of(recorded, "out", rows, n)?, TOLERANCE);
    let name = "grad_x_of_sum_out_times_0to7";
    if recorded.get(name).is_some() && rows * n == 8 {
        case.all_close("layer_norm: grad_x", &grad_x, &table_of(recorded, name, rows, n)?, TOLERANCE);
    }
    Ok(())
}
