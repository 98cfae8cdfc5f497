//! Columns lent to NumPy without a copy: the only place of this crate with `unsafe`.
//!
//! What makes it right, in three parts:
//!
//! 1. **The memory outlives the arrays.** Columns live in the `Shelf` of a `Batch`; each array holds a reference to the
//!    Python object of that batch, so the memory is freed after the last array.
//! 2. **The memory does not move.** The fields of a shelf are private to this file. `Shelf::fill` alone hands columns out to
//!    be written, to environments whose contract is to write into columns and not to resize them; it compares all addresses
//!    and lengths afterwards, and the tests run every environment through it.
//! 3. **What is read is always a value.** Columns hold `f32` and `bool`, and are initialized. Arrays are read-only, so Python
//!    does not write. Rust writes in `reset` and `step` only. Another thread of Python that reads an array in that moment
//!    may see some rows of before and some of after: as with every NumPy array that a thread writes to, and as the
//!    documentation of the package says.

use coact_core::{EnvSpec, Result, StepBatch};
use numpy::ndarray::{ArrayView, Dimension, IntoDimension};
use numpy::{Element, PyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::batch::Batch;
use crate::fault::refuse;

/// Columns at fixed places.
pub struct Shelf {
    step: StepBatch,
    /// Legality `[E, A, N]` of each group that belongs to `obs`; empty if all is legal.
    legal: Vec<Vec<bool>>,
    /// Legality that belongs to `final_obs`.
    final_legal: Vec<Vec<bool>>,
}

impl Shelf {
    /// Columns for `n_envs` environments.
    pub fn new(spec: &EnvSpec, n_envs: usize) -> Self {
        let mask = |g: &coact_core::GroupSpec| match g.masked {
            true => vec![true; n_envs * g.n_agents * g.action.n_discrete()],
            false => Vec::new(),
        };
        let legal: Vec<Vec<bool>> = spec.groups.iter().map(mask).collect();
        Self { step: StepBatch::new(spec, n_envs), final_legal: legal.clone(), legal }
    }

    /// The columns, to look at.
    pub fn step(&self) -> &StepBatch {
        &self.step
    }

    /// Lets `work` write the columns, then spells the masks out.
    ///
    /// # Errors
    /// What `work` reports; columns that it moved.
    pub fn fill(&mut self, spec: &EnvSpec, work: impl FnOnce(&mut StepBatch) -> Result<()>) -> Result<()> {
        let before = self.places();
        let result = work(&mut self.step);
        if before != self.places() {
            return Err(coact_core::Error::invalid("an environment moved a column; please report it"));
        }
        result?;
        for (g, group) in spec.groups.iter().enumerate().filter(|(_, group)| group.masked) {
            let n = group.action.n_discrete();
            let columns = &self.step.groups[g];
            spell(&columns.mask, group.mask_words(), n, &mut self.legal[g]);
            if self.step.is_first.contains(&true) {
                spell(&columns.final_mask, group.mask_words(), n, &mut self.final_legal[g]);
            }
        }
        Ok(())
    }

    /// A number made of addresses and lengths of all columns of the step.
    fn places(&self) -> u64 {
        fn place<T>(hash: u64, column: &[T]) -> u64 {
            let next = hash ^ (column.as_ptr() as usize as u64) ^ (column.len() as u64).rotate_left(32);
            next.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
        }
        let step = &self.step;
        let mut hash = place(place(1, &step.state), &step.final_state);
        hash = place(place(hash, &step.truncated), &step.is_first);
        for group in &step.groups {
            hash = place(place(place(hash, &group.obs), &group.final_obs), &group.reward);
            hash = place(place(hash, &group.terminated), &group.alive);
        }
        hash
    }
}

/// Bits of `words` words a row as truth values, `n` a row.
fn spell(words_of_rows: &[u32], words: usize, n: usize, to: &mut [bool]) {
    for (row, to) in words_of_rows.chunks_exact(words.max(1)).zip(to.chunks_exact_mut(n.max(1))) {
        to.iter_mut().enumerate().for_each(|(a, to)| *to = row[a / 32] >> (a % 32) & 1 == 1);
    }
}

/// All columns of a batch as read-only arrays that share its memory: `truncated`, `is_first`, `state`, `final_state`, and in
/// `groups` a dictionary a group.
///
/// # Errors
/// Another thread steps the batch.
pub fn columns<'py>(owner: &Bound<'py, Batch>) -> PyResult<Bound<'py, PyDict>> {
    let py = owner.py();
    let batch = owner.get();
    let (spec, e) = (batch.spec(), batch.n_envs());
    let inner = batch.lock()?;
    let Shelf { step, legal, final_legal } = inner.shelf();
    let groups = PyList::empty(py);
    for (g, group) in spec.groups.iter().enumerate() {
        let (a, d, n) = (group.n_agents, group.obs_width(), group.action.n_discrete());
        let (columns, out) = (&step.groups[g], PyDict::new(py));
        out.set_item("obs", lend(owner, &columns.obs, [e, a, d])?)?;
        out.set_item("final_obs", lend(owner, &columns.final_obs, [e, a, d])?)?;
        out.set_item("reward", lend(owner, &columns.reward, [e, a])?)?;
        out.set_item("terminated", lend(owner, &columns.terminated, [e, a])?)?;
        out.set_item("alive", lend(owner, &columns.alive, [e, a])?)?;
        if group.masked {
            out.set_item("action_mask", lend(owner, &legal[g], [e, a, n])?)?;
            out.set_item("final_action_mask", lend(owner, &final_legal[g], [e, a, n])?)?;
        }
        groups.append(out)?;
    }
    let out = PyDict::new(py);
    out.set_item("groups", groups)?;
    out.set_item("truncated", lend(owner, &step.truncated, [e])?)?;
    out.set_item("is_first", lend(owner, &step.is_first, [e])?)?;
    out.set_item("state", lend(owner, &step.state, [e, spec.state_width])?)?;
    out.set_item("final_state", lend(owner, &step.final_state, [e, spec.state_width])?)?;
    Ok(out)
}

/// A read-only array over a column of the shelf of `owner`. For [`columns`] alone, which takes columns from there.
#[expect(
    clippy::ptr_arg,
    reason = "the pointer of a vector is that of its memory, the one of a slice that of a borrow"
)]
fn lend<'py, T: Element, const N: usize>(
    owner: &Bound<'py, Batch>,
    column: &Vec<T>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyAny>>
where
    [usize; N]: IntoDimension,
    <[usize; N] as IntoDimension>::Dim: Dimension,
{
    if column.len() != shape.iter().product::<usize>() {
        return Err(refuse(format!(
            "a column of {} numbers is not {shape:?}; please report it",
            column.len()
        )));
    }
    let container = owner.clone().into_any();
    // SAFETY: `column` is a vector of the shelf of `owner` and holds as many initialized values as `shape` says, without
    // strides. It is neither freed nor moved while `owner` lives (parts 1 and 2 above), and `owner` becomes the base
    // object of the array. `as_ptr` makes no reference to the values that a later write could contradict.
    #[allow(unsafe_code)]
    let array = unsafe {
        let view = ArrayView::from_shape_ptr(shape, column.as_ptr());
        PyArray::borrow_from_array(&view, container)
    };
    let fault = |e| refuse(format!("a column cannot be lent: {e}"));
    Ok(array.try_readwrite().map_err(fault)?.make_nonwriteable().as_any().clone())
}
