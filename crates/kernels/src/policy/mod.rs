//! Rows of masked categorical policies: actions drawn from them; and their loss with its gradient by their logits, what a
//! policy-gradient step does between forward and backward.
//!
//! ```text
//! log_prob   = logit(action) - top - ln(sum of exp(logit - top))                    over legal actions, ascending
//! entropy    = ln(sum) - (sum of exp(logit - top) * (logit - top)) / sum
//! loss       = max(-advantage * ratio, -advantage * clamp(ratio, 1 - clip, 1 + clip)), ratio = exp(log_prob - old_log_prob)
//!            | -advantage * log_prob                                                 without `clip`
//! d_logit(a) = weight * (d_loss/d_log_prob * (1[a = action] - p(a)) + ent_coef * p(a) * (ln p(a) + entropy))
//! ```
//!
//! Rows are lanes, sixteen at a time; a sum over actions is a chain within its lane, so the width is invisible. Illegal
//! actions are left out by selection and get a gradient of 0; so does every action of a row of weight 0, whatever it holds.

mod cpu;
pub mod reference;

use crate::Backend;

/// What a row comes to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PolicyTerms {
    /// Log-probability of the action.
    pub log_prob: f32,
    /// Entropy of the row, in nats.
    pub entropy: f32,
    /// Policy loss, without weight and entropy.
    pub loss: f32,
    /// Estimate of the divergence from the old policy, `ratio - 1 - ln ratio`; 0 without clip.
    pub kl: f32,
    /// 1 where the ratio was outside `1 - clip ..= 1 + clip`, else 0.
    pub clipped: f32,
}

/// Rows of one call, `R` of them.
#[derive(Debug)]
pub struct PolicyRows<'a> {
    /// Number of actions, `N`.
    pub n_actions: usize,
    /// Logits `[R, N]`; their gradient afterwards.
    pub logits: &'a mut [f32],
    /// Legality masks `[R, W]`; empty if all is legal.
    pub mask: &'a [u32],
    /// Actions taken `[R]`.
    pub action: &'a [u32],
    /// Their log-probabilities `[R]` under the policy that acted; not read without `clip`.
    pub old_log_prob: &'a [f32],
    /// Advantages `[R]`.
    pub advantage: &'a [f32],
    /// Weight of each row in the loss `[R]`; 0 for rows that do not count.
    pub weight: &'a [f32],
    /// How far the ratio may move; `None` for the plain log-probability.
    pub clip: Option<f32>,
    /// Weight of the entropy.
    pub ent_coef: f32,
    /// What each row comes to `[R]`; of no meaning where the weight is 0.
    pub terms: &'a mut [PolicyTerms],
}

/// Stands for the action of a row without a legal one.
pub const NO_ACTION: u32 = u32::MAX;

/// Rows to draw actions for, `R` of them.
#[derive(Debug)]
pub struct DrawRows<'a> {
    /// Number of actions, `N`.
    pub n_actions: usize,
    /// Logits `[R, N]`.
    pub logits: &'a [f32],
    /// Legality masks `[R, W]`; empty if all is legal.
    pub mask: &'a [u32],
    /// Uniform draws `[R]` from [0, 1), or empty for the most likely actions (the first of equals).
    pub uniform: &'a [f32],
    /// The actions `[R]`: the first legal one with which the cumulated probability exceeds the draw; [`NO_ACTION`] where
    /// none is legal.
    pub action: &'a mut [u32],
}

impl Backend {
    /// Draws an action for every row.
    ///
    /// # Panics
    /// If the columns do not fit each other.
    pub fn draw_rows(&mut self, mut call: DrawRows<'_>) {
        let rows = call.action.len();
        assert_eq!(call.logits.len(), rows * call.n_actions, "logits [R, N]");
        let words = words_of(call.n_actions, call.mask);
        assert_eq!(call.mask.len(), rows * words, "mask [R, W]");
        let draws = if call.uniform.is_empty() { rows } else { call.uniform.len() };
        assert_eq!(draws, rows, "uniform [R]");
        cpu::draw_rows(self.isa(), &mut call, words);
    }

    /// Turns logits into the gradient of the loss by them.
    ///
    /// # Panics
    /// If the columns do not fit each other, or an action is none of `N`.
    pub fn policy_rows(&mut self, mut call: PolicyRows<'_>) {
        let (n, rows) = (call.n_actions, call.action.len());
        assert_eq!(call.logits.len(), rows * n, "logits [R, N]");
        let words = words_of(n, call.mask);
        assert_eq!(call.mask.len(), rows * words, "mask [R, W]");
        let old = if call.clip.is_some() { call.old_log_prob.len() } else { rows };
        assert_eq!(
            [old, call.advantage.len(), call.weight.len(), call.terms.len()],
            [rows; 4],
            "old_log_prob, advantage, weight, terms [R]"
        );
        assert!(call.action.iter().all(|&a| (a as usize) < n), "actions below {n}");
        cpu::policy_rows(self.isa(), &mut call, words);
    }
}

/// Words a row of a mask.
fn words_of(n_actions: usize, mask: &[u32]) -> usize {
    if mask.is_empty() { 0 } else { n_actions.div_ceil(32) }
}

#[cfg(test)]
mod tests;
