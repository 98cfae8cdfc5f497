//! A convolution in plain `f64`, from its definition.

use super::ConvShape;

/// Calls `term(output, weight, input)` with the index of each for every product of the definition.
fn for_each_term(shape: &ConvShape, mut term: impl FnMut(usize, usize, usize)) {
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    for f in 0..shape.filters {
        for y in 0..out_height {
            for x in 0..out_width {
                for c in 0..shape.channels {
                    for i in 0..shape.kernel[0] {
                        for j in 0..shape.kernel[1] {
                            let row = (y * shape.stride + i).wrapping_sub(shape.padding);
                            let column = (x * shape.stride + j).wrapping_sub(shape.padding);
                            if row < shape.height && column < shape.width {
                                let weight =
                                    ((f * shape.channels + c) * shape.kernel[0] + i) * shape.kernel[1] + j;
                                let input = (c * shape.height + row) * shape.width + column;
                                term((f * out_height + y) * out_width + x, weight, input);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One row `[C, Y, X]` to `[F, OY, OX]`, without an activation.
pub fn forward(shape: &ConvShape, params: &[f64], input: &[f64]) -> Vec<f64> {
    let bias = &params[shape.filters * shape.patch()..];
    let mut out: Vec<f64> = (0..shape.output()).map(|o| bias[o / shape.places()]).collect();
    for_each_term(shape, |o, w, i| out[o] += params[w] * input[i]);
    out
}

/// Backward of one row: adds to `grads` `[P]`, returns the gradient of the input.
pub fn backward(
    shape: &ConvShape,
    params: &[f64],
    input: &[f64],
    d_output: &[f64],
    grads: &mut [f64],
) -> Vec<f64> {
    let mut d_input = vec![0.0; input.len()];
    for_each_term(shape, |o, w, i| {
        grads[w] += d_output[o] * input[i];
        d_input[i] += d_output[o] * params[w];
    });
    for (o, d) in d_output.iter().enumerate() {
        grads[shape.filters * shape.patch() + o / shape.places()] += d;
    }
    d_input
}
