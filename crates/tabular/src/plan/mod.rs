//! Dynamic programming: optimal values and policies of a model that is known.
//!
//! Every planner returns the values it ended with, a policy that is greedy for them, and the residual; an independent
//! proof of how far both are from the optimum comes from [`crate::certificate`].
//!
//! Ties between actions go to the lowest index, so that all methods give the same policy where values agree.

mod evaluation;
mod linear_program;
mod policy_iteration;
mod prioritized;
mod sweep;
mod value_iteration;

pub use evaluation::{evaluate, evaluate_sweeps, occupancy};
pub use sweep::{backup, q_values};

use crate::model::Model;
use crate::{Error, Result};

/// A way to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Synchronous value iteration (Bellman 1957), with the bounds of MacQueen and Porteus as its stop.
    ValueIteration,
    /// Value iteration in place, states in order.
    GaussSeidel,
    /// Value iteration of the state with the largest error first (Moore and Atkeson 1993).
    Prioritized,
    /// Howard's policy iteration, evaluation by elimination.
    PolicyIteration,
    /// Puterman and Shin's modified policy iteration: some sweeps of evaluation a policy.
    ModifiedPolicyIteration,
    /// The linear program of discounted occupancies.
    LinearProgram,
}

/// All methods with their names and one line about each.
pub const METHODS: &[(&str, Method, &str)] = &[
    ("vi", Method::ValueIteration, "value iteration"),
    ("gs", Method::GaussSeidel, "Gauss-Seidel value iteration"),
    ("prioritized", Method::Prioritized, "prioritized sweeping"),
    ("pi", Method::PolicyIteration, "policy iteration"),
    ("mpi", Method::ModifiedPolicyIteration, "modified policy iteration"),
    ("lp", Method::LinearProgram, "linear program"),
];

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanOptions {
    /// Largest allowed distance of the values from the optimum where `gamma < 1`; largest residual where it is 1.
    pub tolerance: f64,
    /// Most iterations (sweeps, or policies).
    pub max_iterations: usize,
    /// Sweeps of evaluation a policy of modified policy iteration.
    pub evaluation_sweeps: usize,
}

impl Default for PlanOptions {
    /// 1e-9, a million iterations; 20 sweeps (Puterman 2005 reports little difference between 5 and 50).
    fn default() -> Self {
        Self { tolerance: 1e-9, max_iterations: 1_000_000, evaluation_sweeps: 20 }
    }
}

/// What is known after an iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Iterations made.
    pub iteration: usize,
    /// Largest change, or largest gain of another action, in it.
    pub residual: f64,
}

/// Values, a policy, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Value of each state `[S]`.
    pub values: Vec<f64>,
    /// Action of each state `[S]`; 0 in terminal states.
    pub policy: Vec<usize>,
    /// Iterations made.
    pub iterations: usize,
    /// Residual of each iteration.
    pub residuals: Vec<f64>,
}

/// Plans by `method`.
///
/// # Errors
/// No convergence, a method that does not apply, or a tolerance that is not positive.
pub fn plan(model: &Model, method: Method, options: &PlanOptions) -> Result<Plan> {
    plan_with(model, method, options, &mut |_| {})
}

/// [`plan`], telling `observe` about every iteration.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(
    model: &Model,
    method: Method,
    options: &PlanOptions,
    observe: &mut dyn FnMut(Progress),
) -> Result<Plan> {
    if options.tolerance.is_nan() || options.tolerance <= 0.0 {
        let expected = "a positive number";
        return Err(Error::BadNumber { what: "tolerance".into(), value: options.tolerance, expected });
    }
    let mut log = Log { residuals: Vec::new(), observe };
    match method {
        Method::ValueIteration => value_iteration::synchronous(model, options, 0, &mut log),
        Method::ModifiedPolicyIteration => {
            value_iteration::synchronous(model, options, options.evaluation_sweeps, &mut log)
        }
        Method::GaussSeidel => value_iteration::gauss_seidel(model, options, &mut log),
        Method::Prioritized => prioritized::prioritized(model, options, &mut log),
        Method::PolicyIteration => policy_iteration::policy_iteration(model, options, &mut log),
        Method::LinearProgram => linear_program::linear_program(model, options, &mut log),
    }
}

/// Residuals so far, and who wants to hear of them.
struct Log<'a> {
    residuals: Vec<f64>,
    observe: &'a mut dyn FnMut(Progress),
}

impl Log<'_> {
    fn push(&mut self, residual: f64) {
        self.residuals.push(residual);
        (self.observe)(Progress { iteration: self.residuals.len(), residual });
    }

    /// The plan with these values and the policy that is greedy for them.
    fn finish(&mut self, model: &Model, values: Vec<f64>) -> Plan {
        let mut next = vec![0.0; model.n_states];
        let mut policy = vec![0; model.n_states];
        sweep::backup(model, &values, &mut next, &mut policy);
        let residuals = std::mem::take(&mut self.residuals);
        Plan { values, policy, iterations: residuals.len(), residuals }
    }
}
