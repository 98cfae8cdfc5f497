//! `mdp`: optimal values, action values and greedy actions of finite models by every planner, each certified, and
//! the value of the uniform policy.

use coact_tabular::certificate::certify;
use coact_tabular::plan::{self, METHODS, PlanOptions};

use super::case::{field, indices, numbers_of, table_of};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-7;
/// Greedy actions are compared where the second best is worse by more.
const GAP: f64 = 1e-6;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let model = coact_tabular::model::read_json(&v.to_string()).map_err(|e| e.to_string())?;
    let (n_states, n_actions) = (model.n_states(), model.n_actions());
    let optimal = numbers_of(v, "V_opt", n_states)?;
    let q_optimal = v.get("Q_opt").map(|_| table_of(v, "Q_opt", n_states, n_actions)).transpose()?;
    let greedy = v.get("greedy_action").map(|_| indices(v, "greedy_action", n_actions)).transpose()?;
    let gap = v.get("action_gap").map(|_| numbers_of(v, "action_gap", n_states)).transpose()?;
    let sparse = model.to_sparse();
    for &(name, method, _) in METHODS {
        for model in [&model, &sparse] {
            let plan =
                plan::plan(model, method, &PlanOptions::default()).map_err(|e| format!("{name}: {e}"))?;
            case.all_close(&format!("{name}: V_opt"), &plan.values, &optimal, TOLERANCE);
            if let Some(expected) = &q_optimal {
                let q = plan::q_values(model, &plan.values);
                case.all_close(&format!("{name}: Q_opt"), &q, expected, TOLERANCE);
            }
            if let (Some(greedy), Some(gap)) = (&greedy, &gap) {
                case.check(greedy.len() == n_states, || "greedy_action has another length".into());
                for (s, (&a, &gap)) in greedy.iter().zip(gap).enumerate().filter(|(_, (_, gap))| **gap > GAP)
                {
                    let found = plan.policy[s];
                    case.check(found == a, || {
                        format!("{name}: greedy_action[{s}] is {found}, recorded {a} ({gap})")
                    });
                }
            }
            let proof = certify(model, &plan.values, &plan.policy).map_err(|e| e.to_string())?;
            let loss = proof.policy_bound.unwrap_or(proof.residual);
            case.check(loss <= TOLERANCE, || format!("{name}: the certificate allows a loss of {loss}"));
        }
    }
    if v.get("V_uniform_policy").is_some() {
        let expected = numbers_of(v, "V_uniform_policy", n_states)?;
        let uniform = vec![1.0 / n_actions as f64; n_states * n_actions];
        let value = plan::evaluate(&model, &uniform).map_err(|e| e.to_string())?;
        case.all_close("V_uniform_policy", &value, &expected, TOLERANCE);
    }
    field(v, "gamma").map(|_| ())
}
