//! One application of the Bellman operator to all states, and to one policy.
//!
//! Rows are independent, so a large table is shared among threads without changing a bit. A dense row is a dot
//! product in eight partial sums, added in a fixed tree.

use rayon::prelude::*;

use crate::model::{Kernel, Model};

/// Work (entries times actions) from which rows are shared among threads.
const PARALLEL_FROM: usize = 1 << 19;
/// States a task.
const CHUNK: usize = 64;

/// Sum of products in a fixed order that vectorizes.
pub(super) fn dot(p: &[f64], v: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (p8, v8) = (p.chunks_exact(8), v.chunks_exact(8));
    let tail: f64 = p8.remainder().iter().zip(v8.remainder()).map(|(p, v)| p * v).sum();
    for (p, v) in p8.zip(v8) {
        for lane in 0..8 {
            sums[lane] += p[lane] * v[lane];
        }
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])) + tail
}

/// Expected value after row `s * A + a`.
#[inline]
pub(super) fn expected(model: &Model, row: usize, values: &[f64]) -> f64 {
    match &model.kernel {
        Kernel::Dense(p) => dot(&p[row * model.n_states..][..model.n_states], values),
        Kernel::Sparse(rows) => {
            let range = rows.offsets[row]..rows.offsets[row + 1];
            let (next, prob) = (&rows.next[range.clone()], &rows.prob[range]);
            next.iter().zip(prob).map(|(&n, p)| p * values[n as usize]).sum()
        }
    }
}

/// Best value and action of one state. A terminal state is worth 0.
#[inline]
pub(super) fn best(model: &Model, state: usize, values: &[f64]) -> (f64, usize) {
    if model.terminal[state] {
        return (0.0, 0);
    }
    let mut best = (f64::NEG_INFINITY, 0);
    for action in 0..model.n_actions {
        let row = state * model.n_actions + action;
        if !model.legal.is_empty() && !model.legal[row] {
            continue;
        }
        let q = model.reward[row] + model.gamma * expected(model, row, values);
        if q > best.0 {
            best = (q, action);
        }
    }
    best
}

fn entries(model: &Model) -> usize {
    match &model.kernel {
        Kernel::Dense(p) => p.len(),
        Kernel::Sparse(rows) => rows.next.len(),
    }
}

/// Applies the optimality operator: `next` `[S]` gets the best values after `values` `[S]`, `policy` `[S]` who does it.
pub fn backup(model: &Model, values: &[f64], next: &mut [f64], policy: &mut [usize]) {
    let chunk = |(c, (next, policy)): (usize, (&mut [f64], &mut [usize]))| {
        for (i, (n, p)) in next.iter_mut().zip(policy).enumerate() {
            (*n, *p) = best(model, c * CHUNK + i, values);
        }
    };
    if entries(model) >= PARALLEL_FROM {
        next.par_chunks_mut(CHUNK).zip(policy.par_chunks_mut(CHUNK)).enumerate().for_each(chunk);
    } else {
        next.chunks_mut(CHUNK).zip(policy.chunks_mut(CHUNK)).enumerate().for_each(chunk);
    }
}

/// Applies the operator of one policy `[S]`.
pub(super) fn backup_policy(model: &Model, policy: &[usize], values: &[f64], next: &mut [f64]) {
    let one = |state: usize| {
        if model.terminal[state] {
            return 0.0;
        }
        let row = state * model.n_actions + policy[state];
        model.reward[row] + model.gamma * expected(model, row, values)
    };
    let chunk = |(c, next): (usize, &mut [f64])| {
        next.iter_mut().enumerate().for_each(|(i, n)| *n = one(c * CHUNK + i));
    };
    if entries(model) / model.n_actions >= PARALLEL_FROM {
        next.par_chunks_mut(CHUNK).enumerate().for_each(chunk);
    } else {
        next.chunks_mut(CHUNK).enumerate().for_each(chunk);
    }
}

/// Action values `[S, A]` for `values` `[S]`; minus infinity where an action is illegal, 0 in terminal states.
pub fn q_values(model: &Model, values: &[f64]) -> Vec<f64> {
    let rows = 0..model.n_states * model.n_actions;
    rows.map(|row| {
        let (state, action) = (row / model.n_actions, row % model.n_actions);
        match (model.terminal[state], model.is_legal(state, action)) {
            (true, _) => 0.0,
            (_, true) => model.reward[row] + model.gamma * expected(model, row, values),
            (_, false) => f64::NEG_INFINITY,
        }
    })
    .collect()
}
