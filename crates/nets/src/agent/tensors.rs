//! The tensors of the flat parameters of an [`super::AgentNet`], with their names.

use std::ops::Range;

use coact_kernels::{ConvShape, MlpShape, TensorKind};

use crate::grid::GridNet;
use crate::qnet::NamedTensor;

/// A tensor of the flat parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetTensor {
    /// Its name in PyTorch's manner, see [`super::AgentNet::to_torch`].
    pub name: String,
    /// What it is; weights are `[rows, cols]` = `[K, N]`, input-major, but for those of convolutions.
    pub kind: TensorKind,
    /// Elements of the flat buffer.
    pub range: Range<usize>,
    /// `K` of a weight, else 1.
    pub rows: usize,
    /// `N`.
    pub cols: usize,
    /// `[C, KY, KX]` of the weight of a convolution, which is `[N, C, KY, KX]`.
    pub patch: Option<[usize; 3]>,
}

impl NetTensor {
    /// The tensor out of the flat parameters, weights as `[out, in]`.
    pub(super) fn to_torch(&self, params: &[f32]) -> NamedTensor {
        let source = &params[self.range.clone()];
        let (name, cols, rows) = (self.name.clone(), self.cols, self.rows);
        match (self.kind, self.patch) {
            (_, Some([channels, height, width])) => {
                NamedTensor { name, shape: vec![cols, channels, height, width], values: source.to_vec() }
            }
            (TensorKind::Weight, None) => {
                let values = (0..cols).flat_map(|j| (0..rows).map(move |k| source[k * cols + j])).collect();
                NamedTensor { name, shape: vec![cols, rows], values }
            }
            _ => NamedTensor { name, shape: vec![cols], values: source.to_vec() },
        }
    }
}

/// Tensors of convolutions, which come first.
pub(super) fn convolutions(grid: &GridNet) -> Vec<NetTensor> {
    let tensors = |(i, (shape, range)): (usize, (&ConvShape, Range<usize>))| {
        let (filters, [height, width]) = (shape.filters, shape.kernel);
        let bias = range.start + filters * shape.patch();
        // Modules of a Sequential: a convolution and its activation.
        let tensor = |part, kind, range, rows, patch| {
            let name = format!("grid.{}.{part}", 2 * i);
            NetTensor { name, kind, range, rows, cols: filters, patch }
        };
        let patch = Some([shape.channels, height, width]);
        [
            tensor("weight", TensorKind::Weight, range.start..bias, shape.patch(), patch),
            tensor("bias", TensorKind::Bias, bias..range.end, 1, None),
        ]
    };
    grid.layers().enumerate().flat_map(tensors).collect()
}

/// Tensors of a row of layers from `offset` on. If it `feeds_cell`, the last layer is the input side of a cell's gates.
pub(super) fn layers(prefix: &str, shape: &MlpShape, offset: usize, feeds_cell: bool) -> Vec<NetTensor> {
    // Modules of a Sequential a hidden layer: linear, activation, and the norm between.
    let modules = if shape.layer_norm { 3 } else { 2 };
    let name = |t: &coact_kernels::TensorRange| {
        let input_side = feeds_cell && t.layer == shape.hidden.len();
        let (module, part) = match t.kind {
            TensorKind::Weight if input_side => return "rnn.weight_ih".into(),
            TensorKind::Bias if input_side => return "rnn.bias_ih".into(),
            TensorKind::Weight => (t.layer * modules, "weight"),
            TensorKind::Bias => (t.layer * modules, "bias"),
            TensorKind::NormGain => (t.layer * modules + 1, "weight"),
            TensorKind::NormShift => (t.layer * modules + 1, "bias"),
        };
        format!("{prefix}{module}.{part}")
    };
    let convert = |t: coact_kernels::TensorRange| NetTensor {
        name: name(&t),
        kind: t.kind,
        range: t.range().start + offset..t.range().end + offset,
        rows: t.rows,
        cols: t.cols,
        patch: None,
    };
    shape.tensors().into_iter().map(convert).collect()
}
