//! What goes wrong, as one exception of Python with one line that says what to do. No panic crosses the border.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::PyValueError;
use pyo3::{PyErr, PyResult, create_exception};

create_exception!(coact, CoactError, PyValueError, "What coact refuses, in one line that says what to do.");

/// The exception for an error of Rust.
pub fn refuse(error: impl Display) -> PyErr {
    CoactError::new_err(error.to_string().replace('\n', " "))
}

/// Runs `work`; a panic in it becomes an error.
///
/// # Errors
/// What `work` reports, or its panic.
pub fn guarded<R>(work: impl FnOnce() -> coact_core::Result<R>) -> coact_core::Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(coact_core::Error::invalid(format!("coact broke a rule of its own ({text}); please report it")))
    })
}

/// What the mutex holds, or an error where another thread is at work on it.
///
/// # Errors
/// Another thread holds it.
pub fn try_lock<T>(mutex: &Mutex<T>) -> PyResult<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Ok(guard),
        // Panics are caught before they reach a guard, and every use begins with a look at the phase.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(refuse("another thread is stepping this environment; wait for it, or make one a thread"))
        }
    }
}
