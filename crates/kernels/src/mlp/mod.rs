//! Whole multilayer perceptrons, forward and backward, with the activations kept in between: the layers under
//! `coact-nets`, and the pieces that `update` is made of.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod reference;

pub(crate) use cpu::{backward_rows, forward_rows, grads_rows, infer_rows, transpose_weights, weight_grads};

use crate::buffer::{Buffer, Shared};
pub(crate) use crate::chunks::CHUNK_ROWS;
use crate::chunks::{self, ChunkSums};
use crate::error::check_len;
use crate::{Backend, Cuda, Error, MlpShape};

/// Rows that go through all layers before the next ones do, so that their activations stay near; a multiple of the
/// heights of all tiles.
const NEAR_ROWS: usize = 240;

/// Splits rows for threads: rows of a block, and the number of blocks.
pub(crate) fn blocks_of(rows: usize, threads: usize) -> (usize, usize) {
    let block = rows.div_ceil(threads).next_multiple_of(12).min(NEAR_ROWS);
    (block, rows.div_ceil(block.max(1)))
}

/// What backward needs of one hidden layer.
#[derive(Debug, Default)]
pub(crate) struct HiddenTape {
    /// After the activation `[rows, n]`.
    pub(crate) h: Buffer,
    /// Normalized rows and `1 / std`, with layer norm only.
    pub(crate) xhat: Buffer,
    pub(crate) inv_std: Buffer,
    /// Gradient before the activation and after the norm, with layer norm only.
    pub(crate) d_norm: Buffer,
    /// Gradient of the layer's sums.
    pub(crate) dz: Buffer,
}

/// Activations and their gradients of one network for some rows.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) hidden: Vec<HiddenTape>,
}

impl Tape {
    /// Makes room for `rows` rows.
    pub(crate) fn fit(&mut self, shape: &MlpShape, rows: usize) {
        if self.hidden.len() < shape.hidden.len() {
            self.hidden.resize_with(shape.hidden.len(), HiddenTape::default);
        }
        for (tape, &n) in self.hidden.iter_mut().zip(&shape.hidden) {
            tape.h.fit(rows * n);
            tape.dz.fit(rows * n);
            if shape.layer_norm {
                tape.xhat.fit(rows * n);
                tape.inv_std.fit(rows);
                tape.d_norm.fit(rows * n);
            }
        }
    }
}

/// What [`Backend::mlp_forward`] and [`Backend::layers_forward`] keep for their backward. Grows on first use.
#[derive(Debug, Default)]
pub struct MlpCache {
    /// The network of the last forward pass, if that succeeded.
    shape: Option<MlpShape>,
    /// Whether that pass was on a GPU, where its tape then is.
    on_device: bool,
    tape: Tape,
    transposed: Buffer,
    sums: ChunkSums,
    rows: usize,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) gpu: cuda::LayersMemory,
}

impl MlpCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a forward pass.
    pub(crate) fn begin(&mut self, shape: &MlpShape, rows: usize, on_device: bool) {
        match &mut self.shape {
            // Without taking memory again.
            Some(own) => {
                let mut hidden = std::mem::take(&mut own.hidden);
                hidden.clone_from(&shape.hidden);
                *own = MlpShape { hidden, ..*shape };
            }
            None => self.shape = Some(shape.clone()),
        }
        (self.rows, self.on_device) = (rows, on_device);
    }

    /// Forgets a forward pass that failed: there may be no tape, or only a part of one.
    pub(crate) fn forget(&mut self) {
        self.shape = None;
    }

    /// Refuses to go backward through other layers.
    pub(crate) fn check_shape(&self, shape: &MlpShape) -> Result<(), Error> {
        if self.shape.as_ref() == Some(shape) {
            return Ok(());
        }
        let before = self.shape.as_ref().map_or("no forward pass".to_string(), |s| format!("one of {s:?}"));
        Err(Error::Shape(format!("backward of {shape:?} after {before}; go forward with it first")))
    }
}

/// Rows through layers. K inputs, N outputs.
#[derive(Debug)]
pub struct LayersForward<'a> {
    /// The layers.
    pub shape: &'a MlpShape,
    /// Parameters `[P]`.
    pub params: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// `[rows, K]`.
    pub input: &'a [f32],
    /// Written: `[rows, N]`.
    pub output: &'a mut [f32],
}

impl LayersForward<'_> {
    fn check(&self) -> Result<(), Error> {
        check_len("params", "[P]", self.shape.param_count(), self.params.len())?;
        check_len("input", "[rows, K]", self.rows * self.shape.input, self.input.len())?;
        check_len("output", "[rows, N]", self.rows * self.shape.output, self.output.len())
    }
}

/// Backward of the last [`LayersForward`].
#[derive(Debug)]
pub struct LayersBackward<'a> {
    /// The layers.
    pub shape: &'a MlpShape,
    /// Parameters `[P]`.
    pub params: &'a [f32],
    /// What the forward pass read `[rows, K]`.
    pub input: &'a [f32],
    /// Gradient of the outputs `[rows, N]`.
    pub d_output: &'a [f32],
    /// Written: gradient of the parameters `[P]`.
    pub grads: &'a mut [f32],
    /// Written if given: gradient of the input `[rows, K]`.
    pub d_input: Option<&'a mut [f32]>,
}

impl LayersBackward<'_> {
    fn check(&self, cache: &MlpCache) -> Result<(), Error> {
        let rows = cache.rows;
        cache.check_shape(self.shape)?;
        check_len("params", "[P]", self.shape.param_count(), self.params.len())?;
        check_len("input", "[rows, K]", rows * self.shape.input, self.input.len())?;
        check_len("d_output", "[rows, N]", rows * self.shape.output, self.d_output.len())?;
        check_len("grads", "[P]", self.shape.param_count(), self.grads.len())?;
        match &self.d_input {
            Some(d) => check_len("d_input", "[rows, K]", rows * self.shape.input, d.len()),
            None => Ok(()),
        }
    }
}

/// Multiply-adds of a forward pass from which on a GPU takes it from the host: some 35 us of one core, where copies there and
/// back, each waited for, and a launch a layer take as long before anything is computed. An estimate: bits do not depend on it.
const WORTH_COPYING: usize = 2_000_000;

/// Whether a forward pass of so many rows is worth the way to a GPU.
pub(crate) fn is_worth_copying(rows: usize, multiply_adds: usize) -> bool {
    rows * multiply_adds >= WORTH_COPYING
}

impl Backend {
    /// Rows through layers, keeping in `cache` what backward needs. A GPU takes passes of two million multiply-adds or more; of
    /// fewer the host is done before they have been copied.
    ///
    /// # Errors
    /// [`Error::Length`] if a buffer does not fit; [`Error::Gpu`] from a GPU.
    pub fn layers_forward(&mut self, cache: &mut MlpCache, call: LayersForward<'_>) -> Result<(), Error> {
        call.check()?;
        match self {
            Backend::Cuda(gpu) if is_worth_copying(call.rows, call.shape.multiply_adds()) => {
                cache.begin(call.shape, call.rows, true);
                let result = gpu.layers_forward(cache, call);
                if result.is_err() {
                    cache.forget();
                }
                result
            }
            host => {
                host.mlp_forward(call.shape, call.params, call.rows, call.input, cache, call.output);
                Ok(())
            }
        }
    }

    /// Backward of the last [`Backend::layers_forward`] with this cache and the same `params` and `input`.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Shape`] for what does not fit that forward pass; [`Error::Gpu`] from a GPU.
    pub fn layers_backward(&mut self, cache: &mut MlpCache, call: LayersBackward<'_>) -> Result<(), Error> {
        call.check(cache)?;
        if let Some(gpu) = self.of_pass(cache.on_device)? {
            return gpu.layers_backward(cache, call);
        }
        let LayersBackward { shape, params, input, d_output, grads, d_input } = call;
        self.mlp_backward(shape, params, cache.rows, input, cache, d_output, grads, d_input);
        Ok(())
    }

    /// The GPU where a forward pass was `on_device`; none where it was on the host.
    pub(crate) fn of_pass(&mut self, on_device: bool) -> Result<Option<&mut Cuda>, Error> {
        match (self, on_device) {
            (_, false) => Ok(None),
            (Backend::Cuda(gpu), true) => Ok(Some(gpu)),
            (Backend::Cpu(_), true) => {
                Err(Error::Shape("the forward pass was on a GPU; go backward there as well".to_string()))
            }
        }
    }

    /// Layers forward, on the host: `input` `[rows, K]` to `output` `[rows, N]`, keeping activations in `cache`. Large calls are
    /// spread over all threads.
    ///
    /// # Panics
    /// If a buffer does not fit the shape.
    pub fn mlp_forward(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        input: &[f32],
        cache: &mut MlpCache,
        output: &mut [f32],
    ) {
        assert_eq!(params.len(), shape.param_count(), "params [P]");
        assert_eq!(input.len(), rows * shape.input, "input [rows, K]");
        assert_eq!(output.len(), rows * shape.output, "output [rows, N]");
        cache.tape.fit(shape, rows);
        cache.begin(shape, rows, false);
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(rows * shape.multiply_adds()));
        let (block, blocks) = blocks_of(rows, threads);
        let (tape, output) = (&cache.tape, Shared::new(output));
        cpu.run(threads, blocks, &|b, _| {
            let (first, count) = (b * block, block.min(rows - b * block));
            // SAFETY: a row belongs to one block.
            let output = unsafe { output.part(first * shape.output, count * shape.output) };
            let x = (&input[first * shape.input..], shape.input);
            forward_rows(isa, shape, params, x, first, count, tape, output);
        });
    }

    /// Backward of the last [`Backend::mlp_forward`] with this cache, same `params` and `input`. Overwrites `grads`
    /// `[P]` with the gradient of the parameters and `grad_input` `[rows, K]` with that of the input, given
    /// `grad_output` `[rows, N]`.
    ///
    /// # Panics
    /// If a buffer does not fit the shape, or `rows` is not that of the forward pass.
    #[allow(clippy::too_many_arguments)]
    pub fn mlp_backward(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        input: &[f32],
        cache: &mut MlpCache,
        grad_output: &[f32],
        grads: &mut [f32],
        grad_input: Option<&mut [f32]>,
    ) {
        let p = shape.param_count();
        assert_eq!(params.len(), p, "params [P]");
        assert_eq!(grads.len(), p, "grads [P]");
        assert_eq!(rows, cache.rows, "rows of the forward pass");
        assert!(!cache.on_device, "the forward pass was one of `layers_forward` on a GPU");
        assert_eq!(input.len(), rows * shape.input, "input [rows, K]");
        assert_eq!(grad_output.len(), rows * shape.output, "grad_output [rows, N]");
        if let Some(g) = &grad_input {
            assert_eq!(g.len(), rows * shape.input, "grad_input [rows, K]");
        }
        let MlpCache { tape, transposed, sums, .. } = cache;
        transposed.fit(p);
        transpose_weights(shape, params, transposed.as_mut_slice(), grad_input.is_some());
        let (tape, transposed) = (&*tape, transposed.as_slice());
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(2 * rows * shape.multiply_adds()));
        let grad_input = grad_input.map(Shared::new);
        let backward = |first: usize, count: usize| {
            // SAFETY: a row belongs to one block.
            let below =
                grad_input.as_ref().map(|g| unsafe { g.part(first * shape.input, count * shape.input) });
            let d_out = &grad_output[first * shape.output..][..count * shape.output];
            backward_rows(isa, shape, params, transposed, first, count, tape, d_out, below);
        };
        let n_chunks = rows.div_ceil(CHUNK_ROWS);
        // A thread that has a chunk to itself goes backward in it just before it sums it up.
        let at_once = threads == 1 || chunks::apart(n_chunks, threads);
        if !at_once {
            let (block, blocks) = blocks_of(rows, threads);
            cpu.run(threads, blocks, &|b, _| backward(b * block, block.min(rows - b * block)));
        }
        sums.run(cpu, threads, n_chunks, grads, &|part, out| {
            let first = part.chunk * CHUNK_ROWS;
            let count = CHUNK_ROWS.min(rows - first);
            if at_once {
                backward(first, count);
            }
            let x = (&input[first * shape.input..], shape.input);
            let d_out = &grad_output[first * shape.output..];
            grads_rows(isa, shape, x, first, count, tape, d_out, out, 0, part.share);
        });
    }

    /// [`Backend::mlp_backward`] without the parameters' part: only the gradient of the input, for whoever learns through a
    /// network that itself stays as it is.
    ///
    /// # Panics
    /// If a buffer does not fit the shape, or `rows` is not that of the forward pass.
    pub fn mlp_backward_input(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        cache: &mut MlpCache,
        grad_output: &[f32],
        grad_input: &mut [f32],
    ) {
        let p = shape.param_count();
        assert_eq!(params.len(), p, "params [P]");
        assert_eq!(rows, cache.rows, "rows of the forward pass");
        assert!(!cache.on_device, "the forward pass was one of `layers_forward` on a GPU");
        assert_eq!(grad_output.len(), rows * shape.output, "grad_output [rows, N]");
        assert_eq!(grad_input.len(), rows * shape.input, "grad_input [rows, K]");
        let MlpCache { tape, transposed, .. } = cache;
        transposed.fit(p);
        transpose_weights(shape, params, transposed.as_mut_slice(), true);
        let (tape, transposed) = (&*tape, transposed.as_slice());
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(rows * shape.multiply_adds()));
        let (block, blocks) = blocks_of(rows, threads);
        let grad_input = Shared::new(grad_input);
        cpu.run(threads, blocks, &|b, _| {
            let (first, count) = (b * block, block.min(rows - b * block));
            // SAFETY: a row belongs to one block.
            let below = unsafe { grad_input.part(first * shape.input, count * shape.input) };
            let d_out = &grad_output[first * shape.output..][..count * shape.output];
            backward_rows(isa, shape, params, transposed, first, count, tape, d_out, Some(below));
        });
    }
}

#[cfg(test)]
mod tests;
