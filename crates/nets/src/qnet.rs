//! The Q-networks of a group of agents: one shared network or one per agent, one or two critics, in one flat
//! buffer, with the names that a PyTorch user expects.

use std::ops::Range;

use coact_kernels::{QShape, TensorKind};
use serde::{Deserialize, Serialize};

use crate::init::{Init, initialize};
use crate::{Error, Result};

/// Whether the agents of a group share parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// One network for all agents of the group.
    Shared,
    /// One network an agent.
    Separate,
}

/// A tensor with its PyTorch name, shape and values (weights as `[out, in]`).
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// For example `0.weight`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// Layout of the networks of one group within one flat buffer: `[C, S, P]`, C critics of S sets of P numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct QNetworks {
    /// Shape of each network.
    pub shape: QShape,
    /// Agents of the group, `A`.
    pub n_agents: usize,
    /// Parameter sets: 1 if shared, else `A`.
    pub n_sets: usize,
    /// Critics: 2 for the clipped double critic, else 1.
    pub n_critics: usize,
}

impl QNetworks {
    /// Numbers in all networks of the group.
    pub fn param_count(&self) -> usize {
        self.n_critics * self.n_sets * self.shape.mlp.param_count()
    }

    /// Range of one network within the group's block.
    pub fn network(&self, critic: usize, set: usize) -> Range<usize> {
        let p = self.shape.mlp.param_count();
        let start = (critic * self.n_sets + set) * p;
        start..start + p
    }

    /// Ranges of all networks, critics outermost.
    pub fn networks(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        (0..self.n_critics).flat_map(move |c| (0..self.n_sets).map(move |s| self.network(c, s)))
    }

    /// Ranges of all single tensors.
    pub fn tensor_ranges(&self) -> Vec<Range<usize>> {
        let tensors = self.shape.mlp.tensors();
        let within = |start: usize| {
            let shift =
                move |t: &coact_kernels::TensorRange| start + t.offset..start + t.offset + t.rows * t.cols;
            tensors.iter().map(shift).collect::<Vec<_>>()
        };
        self.networks().flat_map(|n| within(n.start)).collect()
    }

    /// Starts every network, each with a stream of its own. `first_index` keeps groups apart.
    pub fn initialize(&self, init: Init, seed: u64, first_index: u32, params: &mut [f32]) {
        for (i, range) in self.networks().enumerate() {
            initialize(&self.shape.mlp, init, seed, first_index + i as u32, &mut params[range]);
        }
    }

    /// One network as the state dictionary of `torch.nn.Sequential(Linear, [LayerNorm,] ReLU|Tanh, .., Linear)`.
    /// With a dueling head the last row of the last layer is the value, the others are advantages.
    pub fn to_torch(&self, params: &[f32]) -> Vec<NamedTensor> {
        let name = |t: &coact_kernels::TensorRange| self.torch_name(t.layer, t.kind);
        let convert = |t: coact_kernels::TensorRange| {
            let source = &params[t.offset..t.offset + t.rows * t.cols];
            if t.kind != TensorKind::Weight {
                return NamedTensor { name: name(&t), shape: vec![t.cols], values: source.to_vec() };
            }
            let values = (0..t.cols).flat_map(|j| (0..t.rows).map(move |k| source[k * t.cols + j])).collect();
            NamedTensor { name: name(&t), shape: vec![t.cols, t.rows], values }
        };
        self.shape.mlp.tensors().into_iter().map(convert).collect()
    }

    /// The inverse of [`QNetworks::to_torch`]: looks every tensor up by name.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, or not finite.
    pub fn from_torch<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<(&'a [usize], &'a [f32])>,
        params: &mut [f32],
    ) -> Result<()> {
        for t in self.shape.mlp.tensors() {
            let name = self.torch_name(t.layer, t.kind);
            let fault = |reason: String| Error::Tensor { name: name.clone(), reason };
            let (shape, values) = lookup(&name).ok_or_else(|| fault("is missing".into()))?;
            let weight = t.kind == TensorKind::Weight;
            let expected = if weight { vec![t.cols, t.rows] } else { vec![t.cols] };
            if shape != expected {
                return Err(fault(format!("has shape {shape:?} where {expected:?} belongs")));
            }
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                return Err(fault(format!("holds {bad}")));
            }
            let target = &mut params[t.offset..t.offset + t.rows * t.cols];
            if !weight {
                target.copy_from_slice(values);
                continue;
            }
            for k in 0..t.rows {
                for j in 0..t.cols {
                    target[k * t.cols + j] = values[j * t.rows + k];
                }
            }
        }
        Ok(())
    }

    /// Modules of the Sequential before layer `layer`: 2 a hidden layer (linear, activation), 3 with a norm.
    fn torch_name(&self, layer: usize, kind: TensorKind) -> String {
        let step = if self.shape.mlp.layer_norm { 3 } else { 2 };
        let (module, part) = match kind {
            TensorKind::Weight => (layer * step, "weight"),
            TensorKind::Bias => (layer * step, "bias"),
            TensorKind::NormGain => (layer * step + 1, "weight"),
            TensorKind::NormShift => (layer * step + 1, "bias"),
        };
        format!("{module}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_kernels::Activation;

    fn networks(dueling: bool) -> QNetworks {
        let shape = QShape::new(3, vec![4, 6], 2, Activation::Tanh, true, dueling);
        QNetworks { shape, n_agents: 2, n_sets: 2, n_critics: 2 }
    }

    #[test]
    fn torch_names_and_shapes() {
        let nets = networks(true);
        let mut params = vec![0.0; nets.param_count()];
        nets.initialize(Init::Torch, 1, 0, &mut params);
        let tensors = nets.to_torch(&params[nets.network(1, 1)]);
        let names: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.shape.clone())).collect();
        let expected = [
            ("0.weight", vec![4, 3]),
            ("0.bias", vec![4]),
            ("1.weight", vec![4]),
            ("1.bias", vec![4]),
            ("3.weight", vec![6, 4]),
            ("3.bias", vec![6]),
            ("4.weight", vec![6]),
            ("4.bias", vec![6]),
            ("6.weight", vec![3, 6]),
            ("6.bias", vec![3]),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn torch_round_trip_keeps_every_bit_and_refuses_other_shapes() {
        let nets = networks(false);
        let mut params = vec![0.0; nets.param_count()];
        nets.initialize(Init::Orthogonal, 9, 0, &mut params);
        let source = &params[nets.network(0, 1)];
        let mut tensors = nets.to_torch(source);
        let read = |tensors: &[NamedTensor], out: &mut [f32]| {
            let find = |name: &str| tensors.iter().find(|t| t.name == name);
            nets.from_torch(|name| find(name).map(|t| (&t.shape[..], &t.values[..])), out)
        };
        let mut back = vec![0.0; source.len()];
        read(&tensors, &mut back).unwrap();
        assert_eq!(back, source);
        tensors[0].shape.reverse();
        assert!(read(&tensors, &mut back).unwrap_err().to_string().contains("0.weight"));
        tensors.remove(0);
        assert!(read(&tensors, &mut back).unwrap_err().to_string().contains("missing"));
    }
}
