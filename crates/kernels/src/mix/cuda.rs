//! Mixing on a GPU: rows up, one launch forward; gradients of the team's values up, one launch by rows and those that sum
//! gradients of parameters, results down. The launches are those of `kernel.cu`.

use super::{MixBackward, MixCache, MixForward, MixShape, Part};
use crate::Error;
use crate::cuda::{Column, Cuda, Grid, MAX_SHARED_BYTES, Mirror, kernel_arguments};
use crate::mlp::CHUNK_ROWS;
use crate::update::cuda::{FULL, GRAD_THREADS, tiles};

/// Threads of a block that goes over rows.
const ROW_THREADS: u32 = 128;
/// Layers of all hypernetworks, at most.
const LAYERS: usize = 7;

/// A `MixNet` of `mix.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MixNet {
    n_agents: u32,
    state: u32,
    embed: u32,
    hypernet: u32,
    n_params: u32,
    unused: u32,
}

const _: () = assert!(size_of::<MixNet>() == 24);

impl MixNet {
    pub(crate) fn new(shape: MixShape, param_count: usize) -> Self {
        Self {
            n_agents: shape.n_agents as u32,
            state: shape.state as u32,
            embed: shape.embed as u32,
            hypernet: shape.hypernet.unwrap_or(0) as u32,
            n_params: param_count as u32,
            unused: 0,
        }
    }

    /// Bytes of shared memory of a forward pass of `rows` rows, without the agents' values: columns, and eight floats a row.
    pub(crate) fn tile_bytes(&self, rows: u32) -> u64 {
        let Self { n_agents, state, embed, hypernet, .. } = *self;
        let [a, s, m, h] = [n_agents, state, embed, hypernet].map(u64::from);
        let columns = s + 2 * h + 3 * m + a * m + 1;
        4 * (columns * (u64::from(rows) + 4) + 8 * u64::from(rows))
    }

    /// Bytes of shared memory of forward and of backward.
    fn shared_bytes(&self, rows: u32) -> [u64; 2] {
        let [a, m, ld] = [self.n_agents, self.embed, rows + 4].map(u64::from);
        [self.tile_bytes(rows) + 4 * a * ld, 4 * ld * (a * m + 2 * m + a + 1)]
    }

    /// Rows of a tile, as [`crate::cuda::Network::tile`].
    ///
    /// # Errors
    /// [`Error::Shape`] for a mixer that shared memory has no room for.
    fn tile(&self, rows: usize) -> Result<u32, Error> {
        let fits = |tile| self.shared_bytes(tile).iter().all(|&bytes| bytes <= u64::from(MAX_SHARED_BYTES));
        match (fits(32) && rows >= 32 * FULL, fits(8)) {
            (true, _) => Ok(32),
            (false, true) => Ok(8),
            (false, false) => Err(too_wide(self)),
        }
    }
}

pub(crate) fn too_wide(net: &MixNet) -> Error {
    let MixNet { n_agents, state, embed, hypernet, .. } = net;
    Error::Shape(format!(
        "a mixer of {n_agents} agents, a state of {state}, {embed} hidden units and hypernetworks of {hypernet} is too wide for a GPU's shared memory: use the cpu"
    ))
}

/// A `MixTape` of `kernel.cu`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct MixTape {
    h1: u64,
    h2: u64,
    hv: u64,
    w1: u64,
    w2: u64,
    hidden: u64,
}

#[repr(C)]
struct MixArgs {
    net: MixNet,
    params: u64,
    q: u64,
    state: u64,
    tape: MixTape,
    total: u64,
    rows: u32,
    unused: u32,
}

#[repr(C)]
struct MixBackArgs {
    net: MixNet,
    params: u64,
    q: u64,
    d_total: u64,
    tape: MixTape,
    grad: MixTape,
    d_q: u64,
    rows: u32,
    unused: u32,
}

/// A `PlainLayer` of `plain.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct PlainLayer {
    inputs: u64,
    sums: u64,
    k: u32,
    n: u32,
    at: u32,
    unused: u32,
}

#[repr(C)]
struct MixGradArgs {
    layers: [PlainLayer; LAYERS],
    partials: u64,
    n_layers: u32,
    rows: u32,
    chunk_rows: u32,
    n_params: u32,
}

kernel_arguments!(MixArgs: 112, MixBackArgs: 160, MixGradArgs: 248);

/// Columns `[R, width]` of what forward keeps, or of gradients of it.
#[derive(Debug, Default)]
struct Kept {
    columns: [Column<f32>; 6],
}

impl Kept {
    fn fit(&mut self, gpu: &Cuda, shape: MixShape, rows: usize) -> Result<MixTape, Error> {
        let (m, h) = (shape.embed, shape.hypernet.unwrap_or(0));
        let [a, b, c, d, e, f] = &mut self.columns;
        Ok(MixTape {
            h1: a.fit(gpu, rows * h)?,
            h2: b.fit(gpu, rows * h)?,
            hv: c.fit(gpu, rows * m)?,
            w1: d.fit(gpu, rows * shape.n_agents * m)?,
            w2: e.fit(gpu, rows * m)?,
            hidden: f.fit(gpu, rows * m)?,
        })
    }
}

/// Memory of a GPU for one mixer.
#[derive(Debug, Default)]
pub(super) struct MixMemory {
    params: Mirror,
    q: Column<f32>,
    state: Column<f32>,
    total: Column<f32>,
    d_total: Column<f32>,
    d_q: Column<f32>,
    kept: Kept,
    grad: Kept,
    grads: Column<f32>,
    partials: Column<f32>,
}

impl Cuda {
    pub(crate) fn mix_forward(&mut self, cache: &mut MixCache, call: MixForward<'_>) -> Result<(), Error> {
        let (rows, memory) = (call.total.len(), &mut cache.gpu);
        let net = MixNet::new(call.shape, cache.param_count);
        let tile = net.tile(rows)?;
        if rows == 0 {
            return Ok(());
        }
        let args = MixArgs {
            net,
            params: memory.params.upload(self, call.params)?,
            q: memory.q.upload(self, call.q)?,
            state: memory.state.upload(self, call.state)?,
            tape: memory.kept.fit(self, call.shape, rows)?,
            total: memory.total.fit(self, rows)?,
            rows: rows as u32,
            unused: 0,
        };
        let kernels = self.kernels();
        let kernel = if tile == 32 { &kernels.mix_forward_32 } else { &kernels.mix_forward_8 };
        let grid = row_grid(rows, tile, net.shared_bytes(tile)[0]);
        // SAFETY: the columns hold what `MixForward::check` found the shape to need.
        unsafe { self.launch("mix values", kernel, grid, &args) }?;
        memory.total.download(self, call.total)
    }

    pub(crate) fn mix_backward(&mut self, cache: &mut MixCache, call: MixBackward<'_>) -> Result<(), Error> {
        let MixCache { parts, param_count, gpu: memory, .. } = cache;
        let rows = call.d_total.len();
        let net = MixNet::new(call.shape, *param_count);
        if rows == 0 {
            call.grads.fill(0.0);
            return Ok(());
        }
        let tile = net.tile(rows)?;
        let args = MixBackArgs {
            net,
            params: memory.params.upload(self, call.params)?,
            q: memory.q.upload(self, call.q)?,
            d_total: memory.d_total.upload(self, call.d_total)?,
            tape: memory.kept.fit(self, call.shape, rows)?,
            grad: memory.grad.fit(self, call.shape, rows)?,
            d_q: memory.d_q.fit(self, rows * call.shape.n_agents)?,
            rows: rows as u32,
            unused: 0,
        };
        let kernels = self.kernels();
        let kernel = if tile == 32 { &kernels.mix_backward_32 } else { &kernels.mix_backward_8 };
        let grid = row_grid(rows, tile, net.shared_bytes(tile)[1]);
        // SAFETY: the columns hold what `MixBackward::check` found the shape to need, and what forward kept of as many rows.
        unsafe { self.launch("go backward through a mixer", kernel, grid, &args) }?;
        let state = memory.state.upload(self, call.state)?;
        memory.sum_grads(self, &args, state, parts)?;
        memory.grads.download(self, call.grads)?;
        memory.d_q.download(self, call.d_q)
    }
}

impl MixMemory {
    /// Gradients of the parameters from those of the rows.
    fn sum_grads(&mut self, gpu: &Cuda, back: &MixBackArgs, state: u64, parts: &[Part]) -> Result<(), Error> {
        let (layers, n_layers, tiles) = layers(parts, back, state);
        let param_count = back.net.n_params as usize;
        let chunks = (back.rows as usize).div_ceil(CHUNK_ROWS);
        let grads = self.grads.fit(gpu, param_count)?;
        // A single chunk is the sum.
        let partials = if chunks == 1 { grads } else { self.partials.fit(gpu, chunks * param_count)? };
        let len = param_count as u32;
        let args = MixGradArgs {
            layers,
            partials,
            n_layers: n_layers as u32,
            rows: back.rows,
            chunk_rows: CHUNK_ROWS as u32,
            n_params: len,
        };
        let [fine, coarse] = tiles;
        let kernels = gpu.kernels();
        let few = coarse * chunks < FULL;
        let (kernel, tiles) = if few { (&kernels.mix_grads_1, fine) } else { (&kernels.mix_grads_4, coarse) };
        let grid = Grid { blocks: (tiles as u32, chunks as u32, 1), threads: GRAD_THREADS, shared_bytes: 0 };
        // SAFETY: `layers` names columns of as many rows, and all tensors of the parameters once.
        unsafe { gpu.launch("sum gradients of chunks", kernel, grid, &args) }?;
        if chunks == 1 {
            return Ok(());
        }
        // SAFETY: both columns have just been made as long.
        unsafe { gpu.add_chunks(partials, grads, len, chunks as u32) }
    }
}

/// The layers of all hypernetworks with their inputs and gradients, how many they are, and tiles of their gradients, a thread one of
/// them or four by four.
fn layers(parts: &[Part], back: &MixBackArgs, state: u64) -> ([PlainLayer; LAYERS], usize, [usize; 2]) {
    let (tape, grad) = (&back.tape, &back.grad);
    // Activations of the hidden layer, gradients of it, and of the outputs.
    let rows = [
        (tape.h1, grad.h1, grad.w1),
        (tape.h2, grad.h2, grad.w2),
        (0, 0, grad.hidden),
        (tape.hv, grad.hv, back.d_total),
    ];
    let mut out = [PlainLayer::default(); LAYERS];
    let (mut count, mut all) = (0, [0; 2]);
    for (part, (h, dz, d_out)) in parts.iter().zip(rows) {
        for l in part.shape.layers() {
            let inputs = if l.index == 0 { state } else { h };
            let sums = if l.hidden { dz } else { d_out };
            let at = (part.range.start + l.weight) as u32;
            out[count] = PlainLayer { inputs, sums, k: l.k as u32, n: l.n as u32, at, unused: 0 };
            count += 1;
            all[0] += tiles(l.k, l.n, false, 1);
            all[1] += tiles(l.k, l.n, false, 4);
        }
    }
    (out, count, all)
}

fn row_grid(rows: usize, tile: u32, bytes: u64) -> Grid {
    Grid { blocks: ((rows as u32).div_ceil(tile), 1, 1), threads: ROW_THREADS, shared_bytes: bytes as u32 }
}
