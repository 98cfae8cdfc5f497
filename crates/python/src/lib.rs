//! The Python package `coact`: environments as PettingZoo's parallel form, as Gymnasium's and batched on NumPy arrays.
//!
//! This is the compiled half, the module `coact._coact`: one copy (`One`) and a batch (`Batch`). What PettingZoo
//! and Gymnasium ask for is written in Python, in `python/coact`.
//!
//! Not here: rules of environments, learning, windows.

mod actions;
mod batch;
mod describe;
mod fault;
mod lend;
mod one;

/// What Python sees.
#[pyo3::pymodule]
mod _coact {
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::describe::{listed, options_of};
    #[pymodule_export]
    use crate::fault::CoactError;
    #[pymodule_export]
    use crate::one::One;

    /// Version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
