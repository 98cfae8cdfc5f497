//! What bounds kernels on a GPU, measured on it: fused multiply-adds in registers, and a copy in its memory. For those who
//! measure; no learner needs it.

#[cfg(feature = "cuda")]
mod cuda;

use crate::{Backend, Error};

/// Bounds of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Floating-point operations a second: fused multiply-adds, two each, from registers to registers.
    pub flops: f64,
    /// Bytes a second, read and written, of a copy in the device's memory.
    pub bytes: f64,
}

impl Backend {
    /// Measures what bounds kernels on a GPU: chains of `rounds` multiply-adds in all its threads, and a copy of `len` floats
    /// (a multiple of 4; larger than the caches). The fastest of five runs each. `None` on the CPU.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device refuses, or computes something else.
    ///
    /// # Panics
    /// If `len` is no multiple of 4.
    pub fn roofline(&mut self, rounds: u32, len: usize) -> Result<Option<Roofline>, Error> {
        assert_eq!(len % 4, 0, "a multiple of 4");
        match self {
            Backend::Cpu(_) => Ok(None),
            Backend::Cuda(cuda) => cuda.roofline(rounds, len).map(Some),
        }
    }
}
