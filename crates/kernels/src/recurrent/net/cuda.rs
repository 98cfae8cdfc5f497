//! Recurrent networks on a GPU: inputs up, a launch a layer and one for all steps, outputs and states down; and back the same way.

use super::{RecurrentBackward, RecurrentCache, RecurrentForward, RecurrentShape};
use crate::Error;
use crate::cuda::{Column, Cuda, Mirror};
use crate::mlp::cuda::{Layers, Sums, float_at};
use crate::recurrent::cuda::Steps;

/// Memory of a GPU for the calls with one cache.
#[derive(Debug, Default)]
pub(super) struct NetMemory {
    params: Mirror,
    /// Inputs, which stay for backward, and their gradient.
    input: Column<f32>,
    d_input: Column<f32>,
    /// Input side of the gates, and later its gradient.
    gates: Column<f32>,
    d_hidden: Column<f32>,
    /// Outputs, and later their gradient.
    output: Column<f32>,
    partials: Column<f32>,
    grads: Column<f32>,
}

/// The parts of a network whose parameters are at an address.
fn parts(
    shape: RecurrentShape<'_>,
    params: u64,
    steps: usize,
    rows: usize,
) -> (Layers<'_>, Steps, Layers<'_>) {
    let (of_cell, of_head) = shape.borders();
    let layers = |shape, first| Layers { shape, params: float_at(params, first), rows: steps * rows };
    let cell = Steps { shape: shape.cell, params: float_at(params, of_cell), steps, rows };
    (layers(shape.encoder, 0), cell, layers(shape.head, of_head))
}

impl Cuda {
    pub(crate) fn recurrent_forward(
        &mut self,
        cache: &mut RecurrentCache,
        call: RecurrentForward<'_>,
    ) -> Result<(), Error> {
        let RecurrentForward { shape, params, steps, rows, input, is_first, memory, output } = call;
        let n = steps * rows;
        if n == 0 {
            return Ok(());
        }
        let device = &mut cache.gpu;
        let params = device.params.upload(self, params)?;
        let (encoder, cell, head) = parts(shape, params, steps, rows);
        let input = device.input.upload(self, input)?;
        let gates = device.gates.fit(self, n * shape.cell.gate_width())?;
        let out = device.output.fit(self, output.len())?;
        let tape = &mut cache.cell.gpu.tape;
        // SAFETY: the columns hold what `RecurrentForward::check` found the shape to need.
        unsafe {
            self.launch_layers(&mut cache.encoder.gpu.tape, encoder, input, gates)?;
            self.steps_forward(tape, cell, gates, is_first, memory)?;
            self.launch_layers(&mut cache.head.gpu.tape, head, tape.hidden.at(), out)?;
        }
        device.output.download(self, output)?;
        cache.cell.states_down(self, &mut cache.hidden.as_mut_slice()[..n * shape.cell.width])
    }

    pub(crate) fn recurrent_backward(
        &mut self,
        cache: &mut RecurrentCache,
        call: RecurrentBackward<'_>,
    ) -> Result<(), Error> {
        let RecurrentBackward { shape, params, d_output, grads, d_input, .. } = call;
        let n = cache.cell.steps * cache.cell.rows;
        if n == 0 {
            grads.fill(0.0);
            return Ok(());
        }
        let device = &mut cache.gpu;
        let params = device.params.upload(self, params)?;
        let (encoder, cell, head) = parts(shape, params, cache.cell.steps, cache.cell.rows);
        let d_out = device.output.upload(self, d_output)?;
        let d_hidden = device.d_hidden.fit(self, n * shape.cell.width)?;
        let d_in = match &d_input {
            Some(d) => Some(device.d_input.fit(self, d.len())?),
            None => None,
        };
        let sums = Sums::fit(self, n, shape.param_count(), &mut device.grads, &mut device.partials)?;
        let (of_cell, of_head) = shape.borders();
        let partials = |first| (float_at(sums.partials, first), sums.len);
        let tape = &mut cache.cell.gpu.tape;
        let (hidden, gates, input) = (tape.hidden.at(), device.gates.at(), device.input.at());
        // SAFETY: `RecurrentBackward::check` found the forward pass to be of this shape, and columns are as long as it needs.
        unsafe {
            self.launch_layers_back(
                &mut cache.head.gpu.tape,
                head,
                hidden,
                d_out,
                Some(d_hidden),
                partials(of_head),
            )?;
            self.steps_backward(tape, cell, d_hidden, gates, partials(of_cell))?;
            self.launch_layers_back(&mut cache.encoder.gpu.tape, encoder, input, gates, d_in, partials(0))?;
            self.sum_up(sums)?;
        }
        device.grads.download(self, grads)?;
        match d_input {
            Some(d_input) => device.d_input.download(self, d_input),
            None => Ok(()),
        }
    }
}
