//! Recurrent cells over the steps of a recorded sequence, from empty memory.

use coact_kernels::{
    Activation, Backend, CellBackward, CellCache, CellForward, CellKind, CellShape, MlpCache, MlpShape,
};
use serde_json::Value;

use super::TOLERANCE;
use crate::vectors::case::{field, number, numbers_of, single, table, table_of, tensor, tensor_of};
use crate::vectors::{Case, Fault};

/// Recorded tensors of a cell: the input side as a linear layer, then the hidden side.
fn sides(tensors: &Value, cell: CellShape, input: usize) -> Result<[Vec<f64>; 2], Fault> {
    let (h, width) = (cell.width, cell.gate_width());
    let side = |which: &str, k: usize| -> Result<Vec<f64>, Fault> {
        let weight = table_of(tensors, &format!("weight_{which}"), width, k)?;
        let mut out: Vec<f64> = (0..k * width).map(|i| weight[i % width * k + i / width]).collect();
        out.extend(numbers_of(tensors, &format!("bias_{which}"), width)?);
        Ok(out)
    };
    Ok([side("ih", input)?, side("hh", h)?])
}

pub(super) fn check(
    case: &mut Case<'_>,
    name: &str,
    backend: &mut Backend,
    kind: CellKind,
    recorded: &Value,
) -> Result<(), Fault> {
    let weights = field(recorded, "weights")?;
    let (_, width, h) = table(weights, "weight_hh")?;
    let cell = CellShape { kind, width: h };
    if h == 0 || width != cell.gate_width() {
        return Err(format!("`weight_hh` is [{width}, {h}], not {} gates of {h} units", cell.gates()));
    }
    let (x, [steps, rows, input]) = tensor::<3>(recorded, "x_time_batch_dim")?;
    let x = single(&x);
    let [input_side, hidden_side] = sides(weights, cell, input)?.map(|side| single(&side));
    let n = steps * rows;
    let linear =
        MlpShape { input, hidden: vec![], output: width, activation: Activation::Relu, layer_norm: false };
    let (mut mlp, mut cache) = (MlpCache::new(), CellCache::new());
    let (mut gates, mut hidden) = (vec![0.0; n * width], vec![0.0; n * h]);
    backend.mlp_forward(&linear, &input_side, n, &x, &mut mlp, &mut gates);
    let forward = CellForward {
        shape: cell,
        params: &hidden_side,
        steps,
        rows,
        input_side: &gates,
        is_first: &vec![false; n],
        memory: &vec![0.0; rows * cell.memory_width()],
        hidden: &mut hidden,
    };
    backend.cell_forward(&mut cache, forward).map_err(|e| e.to_string())?;
    let expected = tensor_of(recorded, "h_each_step", [steps, rows, h])?;
    case.all_close(&format!("{name}: h_each_step"), &hidden, &expected, TOLERANCE);

    let last = (n - rows) * h;
    let loss = hidden[last..].iter().map(|&h| f64::from(h) * f64::from(h)).sum::<f64>();
    case.close(&format!("{name}: loss"), loss, number(recorded, "loss_sum_sq_last_h")?, TOLERANCE);
    let mut d_hidden = vec![0.0; n * h];
    d_hidden[last..].iter_mut().zip(&hidden[last..]).for_each(|(d, h)| *d = 2.0 * h);
    let (mut of_input, mut of_hidden) = (vec![0.0; input_side.len()], vec![0.0; hidden_side.len()]);
    let backward = CellBackward {
        shape: cell,
        params: &hidden_side,
        d_hidden: &d_hidden,
        grads: &mut of_hidden,
        d_input_side: &mut gates,
        d_memory: None,
    };
    backend.cell_backward(&mut cache, backward).map_err(|e| e.to_string())?;
    backend.mlp_backward(&linear, &input_side, n, &x, &mut mlp, &gates, &mut of_input, None);
    let expected = sides(field(recorded, "grads")?, cell, input)?;
    case.all_close(&format!("{name}: gradients of the input side"), &of_input, &expected[0], TOLERANCE);
    case.all_close(&format!("{name}: gradients of the hidden side"), &of_hidden, &expected[1], TOLERANCE);
    Ok(())
}
