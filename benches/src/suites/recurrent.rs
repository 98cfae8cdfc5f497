//! Recurrent cells over sequences: the hidden side of 64 units, forward, and forward and backward, beside the multiply-add
//! peak of one core. Exponentials count as nothing, so the peak is out of reach.

use std::hint::black_box;

use coact_kernels::{
    Activation, CellBackward, CellCache, CellForward, CellKind, CellShape, Device, MlpShape,
    RecurrentBackward, RecurrentCache, RecurrentForward, RecurrentShape,
};

use super::Session;
use super::network::{OnBackend, backend, on};
use super::update::peak;
use crate::contest::{Contest, Run, Unit};
use crate::data;

/// Units.
const WIDTH: usize = 64;
/// Steps and rows: a batch of 32 episodes of 26 steps of three agents, and one step of eight environments of three.
const CASES: &[(&str, usize, usize)] = &[("learn", 26, 96), ("act", 1, 24)];

/// Holds the contests.
///
/// # Errors
/// What a kernel said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for (name, kind) in [("gru", CellKind::Gru), ("lstm", CellKind::Lstm)] {
        let shape = CellShape { kind, width: WIDTH };
        for &(case, steps, rows) in CASES {
            for backward in [false, true].into_iter().take(if steps > 1 { 2 } else { 1 }) {
                let products = if backward { 3 } else { 1 };
                session.hold(Contest {
                    name: format!("recurrent/{name}/{case}/{}", if backward { "both" } else { "forward" }),
                    unit: Unit::Giga("GFLOP/s"),
                    items: (2 * products * steps * rows * WIDTH * shape.gate_width()) as f64,
                    goal: None,
                    ours: vec![(1, cell(shape, steps, rows, backward, Device::Cpu)?)],
                    peers: Vec::new(),
                    bound: Some(peak(None)),
                })?;
            }
        }
    }
    Ok(())
}

/// Calls of a cell: `steps` steps of `rows` rows, forward, and backward through time if asked for.
///
/// # Errors
/// What the backend said.
pub fn cell(
    shape: CellShape,
    steps: usize,
    rows: usize,
    backward: bool,
    device: Device,
) -> Result<Run<'static>, String> {
    Ok(on(backend(device, 1)?, cell_on(shape, steps, rows, backward)))
}

/// The calls of [`cell`], on any backend.
pub fn cell_on(shape: CellShape, steps: usize, rows: usize, backward: bool) -> OnBackend {
    let mut rng = data::stream(40);
    let n = steps * rows;
    let params = data::uniforms(&mut rng, shape.param_count(), -0.125, 0.125);
    let input_side = data::normals(&mut rng, n * shape.gate_width());
    let d_hidden = data::normals(&mut rng, n * shape.width);
    let (is_first, memory) = (vec![false; n], vec![0.0; rows * shape.memory_width()]);
    let (mut hidden, mut grads) = (vec![0.0; d_hidden.len()], vec![0.0; params.len()]);
    let mut d_input_side = vec![0.0; input_side.len()];
    let mut cache = CellCache::new();
    Box::new(move |backend, calls| {
        for _ in 0..calls {
            let call = CellForward {
                shape,
                params: &params,
                steps,
                rows,
                input_side: &input_side,
                is_first: &is_first,
                memory: &memory,
                hidden: &mut hidden,
            };
            backend.cell_forward(&mut cache, call).map_err(|e| e.to_string())?;
            if backward {
                let call = CellBackward {
                    shape,
                    params: &params,
                    d_hidden: &d_hidden,
                    grads: &mut grads,
                    d_input_side: &mut d_input_side,
                    d_memory: None,
                };
                backend.cell_backward(&mut cache, call).map_err(|e| e.to_string())?;
            }
            black_box((&mut hidden, &mut grads));
        }
        Ok(())
    })
}

/// Layers before and behind a cell of the agents of `simple_spread`.
pub fn layers(cell: CellShape) -> (MlpShape, MlpShape) {
    let layers = |input, hidden, output| MlpShape {
        input,
        hidden,
        output,
        activation: Activation::Relu,
        layer_norm: false,
    };
    (layers(18, vec![WIDTH], cell.gate_width()), layers(cell.width, Vec::new(), 5))
}

/// Calls of a whole network, 18-64-cell-5: `steps` steps of `rows` rows, forward and backward through time.
///
/// # Errors
/// What the backend said.
pub fn network(cell: CellShape, steps: usize, rows: usize, device: Device) -> Result<Run<'static>, String> {
    let mut backend = backend(device, 1)?;
    let mut rng = data::stream(41);
    let (encoder, head) = layers(cell);
    let n = steps * rows;
    let len = RecurrentShape { encoder: &encoder, cell, head: &head }.param_count();
    let params = data::uniforms(&mut rng, len, -0.125, 0.125);
    let input = data::normals(&mut rng, n * encoder.input);
    let d_output = data::normals(&mut rng, n * head.output);
    let (is_first, memory) = (vec![false; n], vec![0.0; rows * cell.memory_width()]);
    let (mut output, mut grads) = (vec![0.0; d_output.len()], vec![0.0; len]);
    let mut cache = RecurrentCache::new();
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let shape = RecurrentShape { encoder: &encoder, cell, head: &head };
            let call = RecurrentForward {
                shape,
                params: &params,
                steps,
                rows,
                input: &input,
                is_first: &is_first,
                memory: &memory,
                output: &mut output,
            };
            backend.recurrent_forward(&mut cache, call).map_err(|e| e.to_string())?;
            let call = RecurrentBackward {
                shape,
                params: &params,
                input: &input,
                d_output: &d_output,
                grads: &mut grads,
                d_input: None,
            };
            backend.recurrent_backward(&mut cache, call).map_err(|e| e.to_string())?;
            black_box((&mut output, &mut grads));
        }
        Ok(())
    }))
}
