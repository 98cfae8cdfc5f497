//! Convolutions. Stride and padding are fields of the case, or stand in its name: `conv2d_k3_s2_p1`.

use coact_kernels::{Backend, ConvBackward, ConvCache, ConvForward, ConvShape};
use serde_json::Value;

use super::TOLERANCE;
use crate::vectors::case::{count, field, number, numbers_of, single, tensor, tensor_of};
use crate::vectors::{Case, Fault};

/// The number of a setting of a convolution.
fn setting(
    recorded: &Value,
    name: &str,
    setting: &str,
    letter: char,
    default: usize,
) -> Result<usize, Fault> {
    if recorded.get(setting).is_some() {
        return count(recorded, setting);
    }
    let in_name = name.split('_').find_map(|part| part.strip_prefix(letter)?.parse().ok());
    Ok(in_name.unwrap_or(default))
}

pub(super) fn check(
    case: &mut Case<'_>,
    name: &str,
    backend: &mut Backend,
    recorded: &Value,
) -> Result<(), Fault> {
    let (weight, [filters, channels, kernel_height, kernel_width]) =
        tensor::<4>(field(recorded, "weights")?, "weight")?;
    let (x, [rows, of_x, height, width]) = tensor::<4>(recorded, "x")?;
    if of_x != channels {
        return Err(format!("`x` has {of_x} channels, `weight` {channels}"));
    }
    let shape = ConvShape {
        channels,
        height,
        width,
        filters,
        kernel: [kernel_height, kernel_width],
        stride: setting(recorded, name, "stride", 's', 1)?,
        padding: setting(recorded, name, "padding", 'p', 0)?,
    };
    shape.check().map_err(|e| e.to_string())?;
    let bias = numbers_of(field(recorded, "weights")?, "bias", filters)?;
    let (params, input) = (single(&[weight, bias].concat()), single(&x));
    let mut cache = ConvCache::new();
    let mut output = vec![0.0; rows * shape.output()];
    let forward =
        ConvForward { shape, params: &params, rows, input: &input, activation: None, output: &mut output };
    backend.conv_forward(&mut cache, forward).map_err(|e| e.to_string())?;
    let dims = [rows, filters, shape.out_height(), shape.out_width()];
    case.all_close(&format!("{name}: out"), &output, &tensor_of(recorded, "out", dims)?, TOLERANCE);

    let n = output.len() as f64;
    let loss = output.iter().map(|&o| f64::from(o) * f64::from(o)).sum::<f64>() / n;
    case.close(&format!("{name}: loss"), loss, number(recorded, "loss_mean_sq")?, TOLERANCE);
    let d_output: Vec<f32> = output.iter().map(|&o| (2.0 * f64::from(o) / n) as f32).collect();
    let (mut grads, mut d_input) = (vec![0.0; params.len()], vec![0.0; input.len()]);
    let backward = ConvBackward {
        shape,
        params: &params,
        rows,
        input: &input,
        activation: None,
        output: &output,
        d_output: &d_output,
        grads: &mut grads,
        d_input: Some(&mut d_input),
    };
    backend.conv_backward(&mut cache, backward).map_err(|e| e.to_string())?;
    let of = field(recorded, "grads")?;
    let mut expected = tensor_of(of, "weight", [filters, channels, kernel_height, kernel_width])?;
    expected.extend(numbers_of(of, "bias", filters)?);
    case.all_close(&format!("{name}: grads"), &grads, &expected, TOLERANCE);
    let expected = tensor_of(recorded, "grad_x", [rows, channels, height, width])?;
    case.all_close(&format!("{name}: grad_x"), &d_input, &expected, TOLERANCE);
    Ok(())
}
