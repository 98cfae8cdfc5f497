//! The network that the suites share: 18-64-64-5, ReLU, three agents with one set of parameters, as `simple_spread`
//! has it.

use coact_kernels::{Activation, Backend, CpuOptions, Device, QShape, TensorKind};

use crate::contest::Run;
use crate::data;

/// Agents of the group.
pub const AGENTS: usize = 3;

/// Observed numbers of an agent.
pub const OBS: usize = 18;

/// Shape of the network.
pub fn q_shape() -> QShape {
    QShape::new(OBS, vec![64, 64], 5, Activation::Relu, false, false)
}

/// Inputs and outputs of each layer of the network.
pub fn widths() -> Vec<(usize, usize)> {
    let weights = q_shape().mlp.tensors().into_iter().filter(|t| t.kind == TensorKind::Weight);
    weights.map(|t| (t.rows, t.cols)).collect()
}

/// Random parameters: weights normal with variance 2 / inputs, biases with deviation 0.1.
pub fn parameters(shape: &QShape, index: u32) -> Vec<f32> {
    let mut rng = data::stream(1000 + index);
    let mut params = vec![0.0; shape.param_count()];
    for tensor in shape.mlp.tensors() {
        let scale = match tensor.kind {
            TensorKind::Weight => (2.0 / tensor.rows as f64).sqrt(),
            _ => 0.1,
        };
        params[tensor.range()].fill_with(|| (rng.normal() * scale) as f32);
    }
    params
}

/// A backend on this device, with this number of threads and the best instruction set.
///
/// # Errors
/// What the backend said.
pub fn backend(device: Device, threads: usize) -> Result<Backend, String> {
    let chosen = device.backend(CpuOptions { threads, isa: None });
    chosen.map(|(backend, _)| backend).map_err(|e| e.to_string())
}

/// Work on any backend: makes so many calls.
pub type OnBackend = Box<dyn FnMut(&mut Backend, u64) -> Result<(), String>>;

/// The same on one backend.
pub fn on(mut backend: Backend, mut work: OnBackend) -> Run<'static> {
    Box::new(move |calls| work(&mut backend, calls))
}
