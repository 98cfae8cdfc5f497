//! Discrete actions, many rows at once: what the kernels want to know of rows that lie scattered over a rollout, gathered;
//! and what they come to.

use coact_kernels::{Backend, DrawRows, PolicyRows, PolicyTerms};
use coact_replay::GroupRollout;

use super::group::{ActorLoss, Objective, Sums};

/// Columns of the rows of one pass. Buffers are kept from pass to pass.
#[derive(Debug, Default)]
pub(super) struct CategoricalRows {
    mask: Vec<u32>,
    action: Vec<u32>,
    old_log_prob: Vec<f32>,
    weight: Vec<f32>,
    uniform: Vec<f32>,
    pub(super) terms: Vec<PolicyTerms>,
}

/// Appends the masks of `rows`, `words` each.
fn gather_masks(into: &mut Vec<u32>, masks: &[u32], words: usize, rows: impl Iterator<Item = usize>) {
    into.clear();
    for row in rows {
        into.extend_from_slice(&masks[row * words..(row + 1) * words]);
    }
}

impl CategoricalRows {
    /// Actions of `rows` of `masks` under `logits`: drawn with what `uniform` gives each, or the most likely ones without.
    pub(super) fn draw(
        &mut self,
        backend: &mut Backend,
        logits: &[f32],
        (masks, words): (&[u32], usize),
        rows: impl Iterator<Item = usize> + Clone,
        uniform: Option<impl FnMut(usize) -> f32>,
    ) -> &[u32] {
        gather_masks(&mut self.mask, masks, words, rows.clone());
        self.action.clear();
        self.action.extend(rows.clone().map(|_| 0));
        self.uniform.clear();
        if let Some(uniform) = uniform {
            self.uniform.extend(rows.map(uniform));
        }
        let n_actions = logits.len() / self.action.len().max(1);
        backend.draw_rows(DrawRows {
            n_actions,
            logits,
            mask: &self.mask,
            uniform: &self.uniform,
            action: &mut self.action,
        });
        &self.action
    }

    /// Mask and action of `rows` of a rollout.
    pub(super) fn read(
        &mut self,
        seen: &GroupRollout,
        words: usize,
        rows: impl Iterator<Item = usize> + Clone,
    ) {
        gather_masks(&mut self.mask, &seen.mask, words, rows.clone());
        self.action.clear();
        self.action.extend(rows.map(|row| seen.action[row]));
        self.terms.resize(self.action.len(), PolicyTerms::default());
    }

    /// Log-probabilities of the rows read, in [`CategoricalRows::terms`]. Uses up `logits` `[R, N]`.
    pub(super) fn log_probs(&mut self, backend: &mut Backend, logits: &mut [f32]) {
        let rows = self.action.len();
        // What pulls has no part in a log-probability.
        self.weight.clear();
        self.weight.resize(rows, 0.0);
        backend.policy_rows(PolicyRows {
            n_actions: logits.len() / rows.max(1),
            logits,
            mask: &self.mask,
            action: &self.action,
            old_log_prob: &[],
            advantage: &self.weight,
            weight: &self.weight,
            clip: None,
            ent_coef: 0.0,
            terms: &mut self.terms,
        });
    }

    /// Turns the logits `[R, N]` of the rows read into the gradient of their mean loss; `rows` are theirs in `old_log_prob`.
    pub(super) fn gradient(
        &mut self,
        backend: &mut Backend,
        logits: &mut [f32],
        loss: ActorLoss<'_>,
        (advantage, valid): (&[f32], &[bool]),
        (old_log_prob, rows): (&[f32], impl Iterator<Item = usize>),
        sums: &mut Sums,
    ) {
        let clip = match loss.objective {
            Objective::LogProb => None,
            Objective::Surrogate { clip } => Some(clip),
        };
        self.old_log_prob.clear();
        if clip.is_some() {
            self.old_log_prob.extend(rows.map(|row| old_log_prob[row]));
        }
        let count = valid.iter().filter(|&&valid| valid).count();
        let share = 1.0 / count.max(1) as f32;
        self.weight.clear();
        self.weight.extend(valid.iter().map(|&valid| if valid { share } else { 0.0 }));
        backend.policy_rows(PolicyRows {
            n_actions: logits.len() / valid.len().max(1),
            logits,
            mask: &self.mask,
            action: &self.action,
            old_log_prob: &self.old_log_prob,
            advantage,
            weight: &self.weight,
            clip,
            ent_coef: loss.ent_coef,
            terms: &mut self.terms,
        });
        for (terms, _) in self.terms.iter().zip(valid).filter(|(_, valid)| **valid) {
            sums.policy_loss += f64::from(terms.loss);
            sums.entropy += f64::from(terms.entropy);
            sums.clipped += f64::from(terms.clipped);
            sums.kl += f64::from(terms.kl);
        }
    }
}
