//! Matrix products with a fixed order of summation: `C[i][j]` starts from 0, a bias or itself, and a chain of
//! fused multiply-adds runs over `k` ascending. One form serves forward (`A` = rows), the gradient of the rows (`B` =
//! transposed weights) and the gradient of the weights (`A` = rows, read transposed).
//!
//! Operations: `m n k` multiply-adds; bytes: `4 (m k + k n + m n)`.

mod cpu;
pub(crate) mod lanes;
pub mod reference;
mod tile;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub(crate) use cpu::product;

use crate::{Activation, Error, error::check_len};

/// From what the chains start.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// One value a column.
    Bias(&'a [f32]),
    /// What the output holds.
    Here,
}

/// What happens to a finished sum.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a> {
    Plain,
    /// `max(c, 0)`, NaN stays.
    Relu,
    /// `c` where the matrix of the same shape and row stride is positive, else 0.
    Where(&'a [f32]),
}

/// A product `[m, n]`; strides in elements.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: &'a [f32],
    pub(crate) a_row: usize,
    pub(crate) a_col: usize,
    pub(crate) b: &'a [f32],
    pub(crate) b_row: usize,
    pub(crate) start: Start<'a>,
    pub(crate) finish: Finish<'a>,
}

impl Product<'_> {
    /// Every element that the product touches lies inside its slice.
    fn check(&self, c: &[f32], c_row: usize) {
        let Product { m, n, k, .. } = *self;
        let last = |rows: usize, row: usize, cols: usize, col: usize| {
            if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row + (cols - 1) * col + 1 }
        };
        assert!(last(m, self.a_row, k, self.a_col) <= self.a.len(), "A [{m}, {k}] of {}", self.a.len());
        assert!(last(k, self.b_row, n, 1) <= self.b.len(), "B [{k}, {n}] of {}", self.b.len());
        assert!(last(m, c_row, n, 1) <= c.len() && c_row >= n, "C [{m}, {n}] of {}", c.len());
        if let Start::Bias(bias) = self.start {
            assert!(n <= bias.len(), "bias [{n}] of {}", bias.len());
        }
        if let Finish::Where(h) = self.finish {
            assert!(last(m, c_row, n, 1) <= h.len(), "H [{m}, {n}] of {}", h.len());
        }
    }
}

/// One dense layer: `output = act(input * weight + bias)`.
#[derive(Debug)]
pub struct DenseForward<'a> {
    /// Number of rows, `M`.
    pub rows: usize,
    /// Input width, `K`.
    pub inputs: usize,
    /// Output width, `N`.
    pub outputs: usize,
    /// `[M, K]`.
    pub input: &'a [f32],
    /// `[K, N]`, input-major.
    pub weight: &'a [f32],
    /// `[N]`.
    pub bias: &'a [f32],
    /// Nonlinearity; `None` is linear.
    pub activation: Option<Activation>,
    /// `[M, N]`, written.
    pub output: &'a mut [f32],
}

impl DenseForward<'_> {
    fn check(&self) -> Result<(), Error> {
        check_len("input", "[M, K]", self.rows * self.inputs, self.input.len())?;
        check_len("weight", "[K, N]", self.inputs * self.outputs, self.weight.len())?;
        check_len("bias", "[N]", self.outputs, self.bias.len())?;
        check_len("output", "[M, N]", self.rows * self.outputs, self.output.len())
    }
}

impl crate::Backend {
    /// One dense layer on the calling thread.
    ///
    /// # Errors
    /// [`Error::Length`] if a buffer does not fit.
    pub fn dense_forward(&mut self, call: DenseForward<'_>) -> Result<(), Error> {
        call.check()?;
        let isa = self.isa();
        let relu = call.activation == Some(Activation::Relu);
        let product_of = Product {
            m: call.rows,
            n: call.outputs,
            k: call.inputs,
            a: call.input,
            a_row: call.inputs,
            a_col: 1,
            b: call.weight,
            b_row: call.outputs,
            start: Start::Bias(call.bias),
            finish: if relu { Finish::Relu } else { Finish::Plain },
        };
        product(isa, &product_of, call.output, call.outputs);
        if call.activation == Some(Activation::Tanh) {
            crate::rows::tanh(isa, call.output);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
