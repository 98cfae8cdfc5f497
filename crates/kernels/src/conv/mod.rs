//! Convolutions over grids, channels first, as `torch.nn.Conv2d` has them: rows of `[C, Y, X]` to rows of
//! `[F, OY, OX]`, with an activation fused behind.
//!
//! `out[f, y, x] = bias[f] + sum over (c, i, j) of weight[f, c, i, j] in[c, y stride + i - padding, x stride + j - padding]`,
//! zero outside of the grid.
//!
//! A row is unfolded into its patches, `[C KY KX, OY OX]`, and goes through the product of the dense layers.
//!
//! Order of accumulation: an output is a chain over `(c, i, j)` ascending from the bias; the gradient of a weight is a chain
//! over the rows of a chunk (256 rows) and, within a row, over places ascending, then a pairwise tree over chunks; that
//! of a bias is the same chain of sums of rows (sixteen interleaved chains and a fixed tree); that of an input is a sum
//! over `(c, i, j)` ascending of chains over `f`.
//!
//! Operations of a row: `F C KY KX OY OX` multiply-adds forward, twice that backward.

mod cpu;
pub mod reference;

use crate::buffer::Buffer;
use crate::chunks::ChunkSums;
use crate::{Activation, Backend, Error, error::check_len};

/// A convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Channels of the input, `C`.
    pub channels: usize,
    /// Height of the input, `Y`.
    pub height: usize,
    /// Width of the input, `X`.
    pub width: usize,
    /// Channels of the output, `F`.
    pub filters: usize,
    /// Height and width of the kernel, `KY` and `KX`.
    pub kernel: [usize; 2],
    /// Step of the kernel, both ways.
    pub stride: usize,
    /// Zeros around the grid, on each side.
    pub padding: usize,
}

/// No number of elements of a row may be larger, so that no product overflows.
const LARGEST: usize = 1 << 24;

impl ConvShape {
    /// Height of the output, `OY`.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel[0]) / self.stride + 1
    }

    /// Width of the output, `OX`.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel[1]) / self.stride + 1
    }

    /// Places of the output, `OY OX`.
    pub fn places(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Numbers of a row of the input, `C Y X`.
    pub fn input(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Numbers of a row of the output, `F OY OX`.
    pub fn output(&self) -> usize {
        self.filters * self.places()
    }

    /// Inputs of an output, `C KY KX`.
    pub fn patch(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Length of the flat parameters: the weight `[F, C, KY, KX]` as PyTorch has it, then the bias `[F]`.
    pub fn param_count(&self) -> usize {
        self.filters * (self.patch() + 1)
    }

    fn multiply_adds(&self) -> usize {
        self.output() * self.patch()
    }

    /// Refuses kernels that do not fit, and what is empty or too large for memory.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self) -> Result<(), Error> {
        let Self { channels, height, width, filters, kernel, stride, padding } = *self;
        let numbers = [channels, height, width, filters, kernel[0], kernel[1], stride];
        if numbers.contains(&0) {
            return Err(Error::Shape(format!(
                "a convolution of {filters} filters of {kernel:?} with stride {stride} over [{channels}, {height}, {width}] is empty; give each number at least 1"
            )));
        }
        let grid = [height, width].map(|n| n.saturating_add(padding.saturating_mul(2)));
        if kernel[0] > grid[0] || kernel[1] > grid[1] {
            return Err(Error::Shape(format!(
                "a kernel of {kernel:?} does not fit a grid of [{height}, {width}] with a padding of {padding}; make it smaller"
            )));
        }
        let product = |factors: &[usize]| factors.iter().try_fold(1_usize, |n, &f| n.checked_mul(f));
        let sizes = [
            product(&[channels, grid[0], grid[1]]),
            product(&[filters, grid[0], grid[1]]),
            product(&[filters, channels, kernel[0], kernel[1]]),
            product(&[grid[0], grid[1], channels, kernel[0], kernel[1]]),
        ];
        let fits = stride <= LARGEST && sizes.iter().all(|size| size.is_some_and(|n| n <= LARGEST));
        if !fits {
            return Err(Error::Shape(format!(
                "a convolution of {filters} filters of {kernel:?} over [{channels}, {height}, {width}] is too large; use a smaller grid or fewer filters"
            )));
        }
        Ok(())
    }
}

/// Memory of convolutions, and what forward keeps for backward. Grows on first use.
#[derive(Debug, Default)]
pub struct ConvCache {
    /// One set of patches a thread.
    patches: Vec<Buffer>,
    /// Gradients of the sums `[rows, F, OY, OX]`.
    d_sums: Buffer,
    sums: ChunkSums,
}

impl ConvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    fn fit(&mut self, shape: &ConvShape, threads: usize) {
        if self.patches.len() < threads {
            self.patches.resize_with(threads, Buffer::new);
        }
        for patches in &mut self.patches {
            patches.fit(shape.patch() * shape.places());
        }
    }
}

/// Rows through a convolution.
#[derive(Debug)]
pub struct ConvForward<'a> {
    /// The convolution.
    pub shape: ConvShape,
    /// Weight, then bias, see [`ConvShape::param_count`].
    pub params: &'a [f32],
    /// Number of rows, `M`.
    pub rows: usize,
    /// `[M, C, Y, X]`.
    pub input: &'a [f32],
    /// Nonlinearity; `None` is linear.
    pub activation: Option<Activation>,
    /// Written: `[M, F, OY, OX]`.
    pub output: &'a mut [f32],
}

impl ConvForward<'_> {
    fn check(&self) -> Result<(), Error> {
        self.shape.check()?;
        check_len("params", "[F, C KY KX + 1]", self.shape.param_count(), self.params.len())?;
        check_len("input", "[M, C, Y, X]", self.rows * self.shape.input(), self.input.len())?;
        check_len("output", "[M, F, OY, OX]", self.rows * self.shape.output(), self.output.len())
    }
}

/// Backward of [`ConvForward`].
#[derive(Debug)]
pub struct ConvBackward<'a> {
    /// The convolution.
    pub shape: ConvShape,
    /// Weight, then bias.
    pub params: &'a [f32],
    /// Number of rows, `M`.
    pub rows: usize,
    /// `[M, C, Y, X]`.
    pub input: &'a [f32],
    /// Nonlinearity of the forward pass.
    pub activation: Option<Activation>,
    /// `[M, F, OY, OX]`, from the forward pass.
    pub output: &'a [f32],
    /// Gradient of `output` `[M, F, OY, OX]`.
    pub d_output: &'a [f32],
    /// Written: gradient of the parameters `[P]`.
    pub grads: &'a mut [f32],
    /// Written if given: gradient of the input `[M, C, Y, X]`.
    pub d_input: Option<&'a mut [f32]>,
}

impl ConvBackward<'_> {
    fn check(&self) -> Result<(), Error> {
        let (input, output) = (self.rows * self.shape.input(), self.rows * self.shape.output());
        self.shape.check()?;
        check_len("params", "[F, C KY KX + 1]", self.shape.param_count(), self.params.len())?;
        check_len("input", "[M, C, Y, X]", input, self.input.len())?;
        check_len("output", "[M, F, OY, OX]", output, self.output.len())?;
        check_len("d_output", "[M, F, OY, OX]", output, self.d_output.len())?;
        check_len("grads", "[F, C KY KX + 1]", self.shape.param_count(), self.grads.len())?;
        match &self.d_input {
            Some(d) => check_len("d_input", "[M, C, Y, X]", input, d.len()),
            None => Ok(()),
        }
    }
}

impl Backend {
    /// Rows through a convolution and its activation.
    ///
    /// # Errors
    /// [`Error::Shape`] for a convolution that cannot be, [`Error::Length`] if a buffer does not fit.
    pub fn conv_forward(&mut self, cache: &mut ConvCache, call: ConvForward<'_>) -> Result<(), Error> {
        call.check()?;
        cache.fit(&call.shape, self.threads());
        cpu::forward(self.host_mut(), cache, call);
        Ok(())
    }

    /// Gradients of a convolution and its activation.
    ///
    /// # Errors
    /// [`Error::Shape`] for a convolution that cannot be, [`Error::Length`] if a buffer does not fit.
    pub fn conv_backward(&mut self, cache: &mut ConvCache, call: ConvBackward<'_>) -> Result<(), Error> {
        call.check()?;
        cache.fit(&call.shape, self.threads());
        cache.d_sums.fit(call.rows * call.shape.output());
        cpu::backward(self.host_mut(), cache, call);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
