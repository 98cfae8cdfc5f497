//! Mixers: from the values that agents give to their chosen actions to one value of the team, with hand-written
//! backward passes, batched over rows.
//!
//! | mixer | total | source |
//! |---|---|---|
//! | [`MixerKind::Sum`] | sum of the agents' values | VDN, Sunehag et al. 2018 |
//! | [`MixerKind::Qmix`] | monotonic in every agent's value, weights from the state | QMIX, Rashid et al. 2018 |
//! | [`MixerKind::Qplex`] | sum of transformed values plus weighted advantages | QPLEX, Wang et al. 2021 |
//!
//! Beside them [`JointValue`] is a value of the state and all actions that is not bound to the agents' values: the
//! joint value and the state value of QTRAN (Son et al. 2019), and the unrestricted value of weighted QMIX
//! (Rashid et al. 2020).
//!
//! Layers are the kernels' perceptrons; names and shapes of tensors are those of the authors' PyTorch code, but
//! QPLEX's heads are outputs of one network each for keys, agents and actions (theirs are a network a head).
//!
//! Not here: targets, losses, agents' own networks. R rows, A agents, S state width, J joint width (the state
//! beside all agents' actions, one-hot).

mod joint;
mod part;
mod qmix;
mod qplex;

use std::ops::Range;

use coact_kernels::{Backend, MixShape};

use crate::init::Init;
use crate::qnet::NamedTensor;
use crate::{Error, Result};

pub use joint::JointValue;
use part::Part;
use qmix::Qmix;
pub use qmix::QmixWidths;
use qplex::Qplex;
pub use qplex::QplexWidths;

/// Which mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MixerKind {
    /// The sum; no parameters.
    Sum,
    /// A monotonic network.
    Qmix(QmixWidths),
    /// A duplex dueling network.
    Qplex(QplexWidths),
}

/// What a mixer reads.
#[derive(Debug, Clone, Copy)]
pub struct MixerInput<'a> {
    /// Rows, `R`.
    pub rows: usize,
    /// Values of the chosen actions `[R, A]`.
    pub q: &'a [f32],
    /// Highest values over the legal actions `[R, A]`; read by QPLEX only.
    pub best_q: &'a [f32],
    /// States `[R, S]`; not read by the sum.
    pub state: &'a [f32],
    /// States beside one-hot actions `[R, J]`; read by QPLEX only.
    pub joint: &'a [f32],
}

/// Widths of what a mixer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixerShape {
    /// Agents, `A`.
    pub n_agents: usize,
    /// State width, `S`.
    pub state: usize,
    /// Width of states beside one-hot actions, `J`.
    pub joint: usize,
}

/// A mixer with what its backward pass needs. Parameters are the caller's.
#[derive(Debug)]
pub struct Mixer {
    shape: MixerShape,
    network: Network,
    param_count: usize,
}

#[derive(Debug)]
enum Network {
    Sum,
    Qmix(Box<Qmix>),
    Qplex(Box<Qplex>),
}

impl Mixer {
    /// A mixer.
    ///
    /// # Errors
    /// A width of zero.
    pub fn new(kind: MixerKind, shape: MixerShape) -> Result<Self> {
        let MixerShape { n_agents, state, joint } = shape;
        let widths = match kind {
            MixerKind::Sum => vec![n_agents],
            MixerKind::Qmix(w) => vec![n_agents, state, w.embed, w.hypernet.unwrap_or(1)],
            MixerKind::Qplex(w) => vec![n_agents, state, joint, w.hypernet, w.heads],
        };
        if widths.contains(&0) {
            let rule = "agents, state and every layer of a mixer need a width of 1 or more";
            return Err(Error::Setting { key: "mixer", value: format!("{kind:?} of {shape:?}"), rule });
        }
        let mut param_count = 0;
        let network = match kind {
            MixerKind::Sum => Network::Sum,
            MixerKind::Qmix(w) => Network::Qmix(Box::new(Qmix::new(n_agents, state, w, &mut param_count))),
            MixerKind::Qplex(w) => {
                Network::Qplex(Box::new(Qplex::new(n_agents, state, joint, w, &mut param_count)))
            }
        };
        Ok(Self { shape, network, param_count })
    }

    /// Length of the flat parameters.
    pub fn param_count(&self) -> usize {
        self.param_count
    }

    /// What kernels need to know of a monotonic network.
    pub fn qmix_shape(&self) -> Option<MixShape> {
        match &self.network {
            Network::Qmix(qmix) => Some(qmix.shape()),
            Network::Sum | Network::Qplex(_) => None,
        }
    }

    fn parts(&self) -> Vec<&Part> {
        match &self.network {
            Network::Sum => Vec::new(),
            Network::Qmix(qmix) => qmix.parts().to_vec(),
            Network::Qplex(qplex) => qplex.parts().to_vec(),
        }
    }

    /// Ranges of the single tensors within the flat parameters.
    pub fn tensor_ranges(&self) -> Vec<Range<usize>> {
        self.parts().into_iter().flat_map(Part::tensor_ranges).collect()
    }

    /// Starts the parameters, the last layers of the hypernetworks at `output_gain` times what `init` says.
    /// `first_index` names the networks, one each.
    pub fn initialize(&self, init: Init, seed: u64, first_index: u32, output_gain: f32, params: &mut [f32]) {
        for (i, part) in self.parts().into_iter().enumerate() {
            part.initialize(init, seed, first_index + i as u32, output_gain, params);
        }
    }

    /// The tensors with their PyTorch names and shapes.
    pub fn to_torch(&self, params: &[f32]) -> Vec<NamedTensor> {
        let mut out = Vec::new();
        self.parts().into_iter().for_each(|part| part.to_torch(params, &mut out));
        out
    }

    /// The inverse of [`Mixer::to_torch`]: looks every tensor up by name.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, or not finite.
    pub fn from_torch<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<(&'a [usize], &'a [f32])>,
        params: &mut [f32],
    ) -> Result<()> {
        self.parts().into_iter().try_for_each(|part| part.read_torch(&lookup, params))
    }

    /// Values of the team `[R]`; remembers what [`Mixer::backward`] needs.
    ///
    /// # Errors
    /// A device that refuses.
    ///
    /// # Panics
    /// If a buffer does not fit the shape.
    pub fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        total: &mut [f32],
    ) -> Result<()> {
        self.check(params, input);
        assert_eq!(total.len(), input.rows, "total [R]");
        match &mut self.network {
            Network::Sum => {
                for (total, q) in total.iter_mut().zip(input.q.chunks_exact(self.shape.n_agents)) {
                    *total = q.iter().fold(0.0, |sum, q| sum + q);
                }
            }
            Network::Qmix(qmix) => qmix.forward(backend, params, input, total)?,
            Network::Qplex(qplex) => qplex.forward(backend, params, input, total),
        }
        Ok(())
    }

    /// Backward of the last [`Mixer::forward`], same `params` and `input`: from `d_total` `[R]` the gradient `grads`
    /// of the parameters and `d_q` `[R, A]` of the agents' values, both overwritten.
    ///
    /// # Errors
    /// A device that refuses.
    ///
    /// # Panics
    /// If a buffer does not fit the shape or the forward pass.
    pub fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        d_total: &[f32],
        grads: &mut [f32],
        d_q: &mut [f32],
    ) -> Result<()> {
        self.check(params, input);
        let n = self.shape.n_agents;
        assert_eq!(d_total.len(), input.rows, "d_total [R]");
        assert_eq!(grads.len(), self.param_count, "grads [P]");
        assert_eq!(d_q.len(), input.rows * n, "d_q [R, A]");
        match &mut self.network {
            Network::Sum => d_q.chunks_exact_mut(n).zip(d_total).for_each(|(d_q, &d)| d_q.fill(d)),
            Network::Qmix(qmix) => qmix.backward(backend, params, input, d_total, grads, d_q)?,
            Network::Qplex(qplex) => qplex.backward(backend, params, input, d_total, grads, d_q),
        }
        Ok(())
    }

    fn check(&self, params: &[f32], input: MixerInput<'_>) {
        let (rows, shape) = (input.rows, self.shape);
        assert_eq!(params.len(), self.param_count, "params [P]");
        assert_eq!(input.q.len(), rows * shape.n_agents, "q [R, A]");
        if !matches!(self.network, Network::Sum) {
            assert_eq!(input.state.len(), rows * shape.state, "state [R, S]");
        }
        if matches!(self.network, Network::Qplex(_)) {
            assert_eq!(input.best_q.len(), rows * shape.n_agents, "best_q [R, A]");
            assert_eq!(input.joint.len(), rows * shape.joint, "joint [R, J]");
        }
    }
}

#[cfg(test)]
mod tests;
