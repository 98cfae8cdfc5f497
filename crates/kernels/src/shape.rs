//! Shapes of networks and the layout of their flat parameter buffers.

use crate::Error;

/// Added to the variance in layer norm (PyTorch's default).
pub const LAYER_NORM_EPS: f32 = 1e-5;

/// Nonlinearity of the hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// What a tensor of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorKind {
    /// `[K, N]`, input-major: the transpose of PyTorch's.
    Weight,
    /// `[N]`.
    Bias,
    /// Gain of layer norm, `[N]`.
    NormGain,
    /// Shift of layer norm, `[N]`.
    NormShift,
}

/// Where a tensor lies in the flat parameters of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorRange {
    /// Layer, from 0.
    pub layer: usize,
    /// What it is.
    pub kind: TensorKind,
    /// First element.
    pub offset: usize,
    /// `K` for weights, 1 for the rest.
    pub rows: usize,
    /// `N`.
    pub cols: usize,
}

impl TensorRange {
    /// Elements of the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }
}

/// A multilayer perceptron: input, hidden layers, linear output. After each hidden layer the activation, and
/// before the activation layer norm if asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlpShape {
    /// Input width.
    pub input: usize,
    /// Widths of the hidden layers; may be empty.
    pub hidden: Vec<usize>,
    /// Output width.
    pub output: usize,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Layer norm (eps 1e-5) between a hidden layer and its activation.
    pub layer_norm: bool,
}

/// One layer of a shape, with the offsets of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) index: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) weight: usize,
    pub(crate) bias: usize,
    /// Offsets of gain and shift.
    pub(crate) norm: Option<(usize, usize)>,
    pub(crate) hidden: bool,
    /// One past the last parameter.
    pub(crate) end: usize,
}

impl MlpShape {
    /// Number of layers, the output layer included.
    pub fn n_layers(&self) -> usize {
        self.hidden.len() + 1
    }

    /// The layers in order, without allocating.
    pub(crate) fn layers(&self) -> impl Iterator<Item = Layer> + '_ {
        let mut offset = 0;
        let mut k = self.input;
        (0..self.n_layers()).map(move |index| {
            let hidden = index < self.hidden.len();
            let n = if hidden { self.hidden[index] } else { self.output };
            let weight = offset;
            let bias = weight + k * n;
            let mut end = bias + n;
            let norm = (hidden && self.layer_norm).then_some((end, end + n));
            if norm.is_some() {
                end += 2 * n;
            }
            let layer = Layer { index, k, n, weight, bias, norm, hidden, end };
            offset = end;
            k = n;
            layer
        })
    }

    /// Layer `index`.
    pub(crate) fn layer(&self, index: usize) -> Layer {
        match self.layers().nth(index) {
            Some(layer) => layer,
            None => panic!("layer {index} of {}", self.n_layers()),
        }
    }

    /// The widest layer or input.
    pub(crate) fn max_width(&self) -> usize {
        self.hidden.iter().copied().fold(self.input.max(self.output), usize::max)
    }

    /// The tensors of the flat parameters, in order: for each layer weight `[K, N]` input-major (`w[k * N + j]`),
    /// bias `[N]`, then, for hidden layers with layer norm, gain `[N]` and shift `[N]`.
    pub fn tensors(&self) -> Vec<TensorRange> {
        let mut out = Vec::with_capacity(4 * self.n_layers());
        for l in self.layers() {
            let row = |kind, offset| TensorRange { layer: l.index, kind, offset, rows: 1, cols: l.n };
            out.push(TensorRange {
                layer: l.index,
                kind: TensorKind::Weight,
                offset: l.weight,
                rows: l.k,
                cols: l.n,
            });
            out.push(row(TensorKind::Bias, l.bias));
            if let Some((gain, shift)) = l.norm {
                out.push(row(TensorKind::NormGain, gain));
                out.push(row(TensorKind::NormShift, shift));
            }
        }
        out
    }

    /// Length of the flat parameters.
    pub fn param_count(&self) -> usize {
        self.layers().last().map_or(0, |l| l.end)
    }

    /// Multiply-adds of one forward pass of one row.
    pub(crate) fn multiply_adds(&self) -> usize {
        self.layers().map(|l| l.k * l.n).sum()
    }

    /// Refuses widths of zero.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self) -> Result<(), Error> {
        if self.input == 0 || self.output == 0 || self.hidden.contains(&0) {
            return Err(Error::Shape(format!(
                "a network of {} inputs, hidden layers {:?} and {} outputs has an empty layer; give each at least one unit",
                self.input, self.hidden, self.output
            )));
        }
        Ok(())
    }
}

/// A Q-network: observations in, one value an action out. With a dueling head the network has one more
/// output: columns `0..N` are advantages, column `N` the state's value, and `Q = V + A - mean(A)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QShape {
    /// The layers; `mlp.output` is `n_actions`, plus one if dueling.
    pub mlp: MlpShape,
    /// Number of actions, `N`.
    pub n_actions: usize,
    /// Whether the head is dueling.
    pub dueling: bool,
}

impl QShape {
    /// A Q-network from `input` observations through `hidden` layers to `n_actions` values.
    pub fn new(
        input: usize,
        hidden: Vec<usize>,
        n_actions: usize,
        activation: Activation,
        layer_norm: bool,
        dueling: bool,
    ) -> Self {
        let output = n_actions + usize::from(dueling);
        Self { mlp: MlpShape { input, hidden, output, activation, layer_norm }, n_actions, dueling }
    }

    /// Length of the flat parameters of one network.
    pub fn param_count(&self) -> usize {
        self.mlp.param_count()
    }

    /// Words of 32 bits of a legality mask.
    pub fn mask_words(&self) -> usize {
        self.n_actions.div_ceil(32)
    }

    /// Refuses shapes that cannot be.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self) -> Result<(), Error> {
        self.mlp.check()?;
        let output = self.n_actions + usize::from(self.dueling);
        if self.n_actions == 0 || self.mlp.output != output {
            return Err(Error::Shape(format!(
                "a Q-network of {} actions (dueling: {}) has {} outputs; it needs {output}, and at least one action",
                self.n_actions, self.dueling, self.mlp.output
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_cover_the_parameters_without_gaps() {
        let shape = MlpShape {
            input: 3,
            hidden: vec![5, 4],
            output: 2,
            activation: Activation::Relu,
            layer_norm: true,
        };
        let tensors = shape.tensors();
        assert_eq!(tensors.len(), 4 + 4 + 2);
        let mut next = 0;
        for t in &tensors {
            assert_eq!(t.offset, next);
            next = t.range().end;
        }
        assert_eq!(next, shape.param_count());
        assert_eq!(next, (3 * 5 + 5 + 10) + (5 * 4 + 4 + 8) + (4 * 2 + 2));
        assert_eq!(tensors[4].kind, TensorKind::Weight);
        assert_eq!((tensors[4].rows, tensors[4].cols), (5, 4));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let mut shape = QShape::new(3, vec![4], 2, Activation::Tanh, false, true);
        assert_eq!(shape.mlp.output, 3);
        assert!(shape.check().is_ok());
        shape.dueling = false;
        assert!(shape.check().is_err());
        assert!(QShape::new(3, vec![0], 2, Activation::Tanh, false, true).check().is_err());
    }
}
