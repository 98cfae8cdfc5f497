//! `act` on a GPU: observations up, one launch, actions down. The launch is `act_8` or `act_32` of `kernel.cu`, or, in fast
//! mode and from the shapes of `cuda/fast.rs` on, `act_fast_16` or `act_fast_32`.

use super::{Act, ActScratch, Exploration};
use crate::cuda::{Column, Cuda, ForNetwork, Grid, Kernel, Mirror, Network, bytes, kernel_arguments};
use crate::{Error, Precision, act::choose::NONE};
use coact_core::rng::key_of;

/// Threads of a block.
const THREADS: u32 = 128;

/// Memory of a GPU for calls of one group.
#[derive(Debug, Default)]
pub(super) struct ActMemory {
    params: Mirror,
    obs: Column<f32>,
    mask: Column<u32>,
    alive: Column<u8>,
    noise: Column<f32>,
    actions: Column<u32>,
    q: Column<f32>,
}

/// `ActArgs` of `kernel.cu`.
#[repr(C)]
struct ActArgs {
    net: Network,
    params: u64,
    obs: u64,
    mask: u64,
    alive: u64,
    noise: u64,
    actions: u64,
    q: u64,
    n_sets: u32,
    units: u32,
    kind: u32,
    first_row: u32,
    step: [u32; 2],
    key: [u32; 2],
    epsilon: f32,
    temperature: f32,
}

kernel_arguments!(ActArgs: 160);

const GREEDY: u32 = 0;
const EPSILON: u32 = 1;
const BOLTZMANN: u32 = 2;

impl Cuda {
    pub(crate) fn act(&mut self, scratch: &mut ActScratch, call: &mut Act<'_>) -> Result<(), Error> {
        self.act_with(scratch, call, None)
    }

    /// With the parameters at an address, where they are on the device already.
    pub(crate) fn act_with(
        &mut self,
        scratch: &mut ActScratch,
        call: &mut Act<'_>,
        params: Option<u64>,
    ) -> Result<(), Error> {
        let net = Network::new(call.shape)?;
        let rows = call.actions.len();
        let units = rows / call.n_sets;
        if rows == 0 {
            return Ok(());
        }
        let memory = &mut scratch.gpu;
        let params = match params {
            Some(at) => at,
            None => memory.params.upload(self, call.params)?,
        };
        let args = memory.args(self, call, net, params)?;
        let special = self.for_network(&net)?;
        let (kernel, tile) = self.act_kernel(special.as_deref(), &net, rows);
        let grid = Grid {
            blocks: ((units as u32).div_ceil(tile), call.n_sets as u32, 1),
            threads: THREADS,
            shared_bytes: net.shared_bytes(tile),
        };
        // SAFETY: the columns hold what `Act::check` found the shapes to need.
        unsafe { self.launch("choose actions", kernel, grid, &args) }?;
        if let Some(q) = call.q.as_deref_mut() {
            memory.q.download(self, q)?;
        }
        memory.actions.download(self, call.actions)?;
        match call.actions.iter().position(|&a| a == NONE) {
            None => Ok(()),
            Some(row) => Err(Error::NoLegalAction { env: row / call.n_agents, agent: row % call.n_agents }),
        }
    }

    /// The kernel for `rows` rows, and the rows of its tiles; of those for this network alone, if there are any.
    fn act_kernel<'a>(
        &'a self,
        special: Option<&'a ForNetwork>,
        net: &Network,
        rows: usize,
    ) -> (&'a Kernel, u32) {
        let all = self.kernels();
        let [act_8, act_32, fast_16, fast_32] = match special {
            Some(own) => [&own.act_8, &own.act_32, &own.act_fast_16, &own.act_fast_32],
            None => [&all.act_8, &all.act_32, &all.act_fast_16, &all.act_fast_32],
        };
        let fast = if self.precision() == Precision::Fast { net.fast_tile(rows) } else { None };
        match (fast, net.tile(rows)) {
            (Some(32), _) => (fast_32, 32),
            (Some(_), _) => (fast_16, 16),
            (None, 32) => (act_32, 32),
            (None, tile) => (act_8, tile),
        }
    }
}

impl ActMemory {
    /// Uploads what the call reads, and makes room for what it writes.
    fn args(&mut self, gpu: &Cuda, call: &Act<'_>, net: Network, params: u64) -> Result<ActArgs, Error> {
        let rows = call.actions.len();
        let units = rows / call.n_sets;
        let (kind, epsilon, temperature, noise): (_, _, _, &[f32]) = match call.exploration {
            Exploration::Greedy => (GREEDY, 0.0, 1.0, &[]),
            Exploration::EpsilonGreedy { epsilon } => (EPSILON, epsilon, 1.0, &[]),
            Exploration::Boltzmann { temperature } => (BOLTZMANN, 0.0, temperature, &[]),
            Exploration::Noise { noise, epsilon } => (EPSILON, epsilon, 1.0, noise),
        };
        let q_len = if call.q.is_some() { rows * call.shape.n_actions } else { 0 };
        Ok(ActArgs {
            net,
            params,
            obs: self.obs.upload(gpu, call.obs)?,
            mask: self.mask.upload(gpu, call.mask)?,
            alive: self.alive.upload(gpu, bytes(call.alive))?,
            noise: self.noise.upload(gpu, noise)?,
            actions: self.actions.fit(gpu, rows)?,
            q: self.q.fit(gpu, q_len)?,
            n_sets: call.n_sets as u32,
            units: units as u32,
            kind,
            first_row: call.first_row,
            step: [call.step as u32, (call.step >> 32) as u32],
            key: key_of(call.seed),
            epsilon,
            temperature,
        })
    }
}
