//! A replay as its memory lies, for those who keep a copy of it elsewhere (a GPU) and draw there. The host's replay stays
//! whole but for priorities, which can be lent: they are then changed where the draws are made.

use crate::priority::PrioritySums;
use crate::replay::Replay;

/// Words of one group in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawGroup {
    /// First of the observations `[A, D]`, floats as their bits.
    pub obs: usize,
    /// First of the masks `[A, W]`, if the group has any.
    pub mask: Option<usize>,
    /// First of the actions `[A]`.
    pub action: usize,
    /// First of the rewards `[A]`.
    pub reward: usize,
    /// First of the discounts `[A]`.
    pub discount: usize,
    /// First of the bits that say which agents acted.
    pub valid: usize,
}

/// Rows of words over cells; see the module `ring` for what they hold.
#[derive(Debug, Clone, Copy)]
pub struct RawReplay<'a> {
    /// `[T * E, width]`.
    pub words: &'a [u32],
    /// Final observations `[R, seen]`.
    pub finals: &'a [u32],
    /// Words that these take if episodes are cut off by their limit alone.
    pub final_words: usize,
    /// Words of a row.
    pub width: usize,
    /// Words of the part that is seen, which comes first.
    pub seen: usize,
    /// The word that says where the next observation is.
    pub next: usize,
    /// The word of the team's reward.
    pub team_reward: usize,
    /// The word of the team's discount.
    pub team_discount: usize,
    /// Environments `E`.
    pub n_envs: usize,
    /// Moments `T`.
    pub n_slots: usize,
    /// Moments until a record is complete.
    pub n_step: usize,
    /// Moments stored so far.
    pub pushed: u64,
    /// Changes whenever complete rows change.
    pub revision: u64,
    /// Leaves `[T * E]` and what new transitions get; `None` without priorities. Not up to date while they are lent.
    pub priorities: Option<(&'a [u32], u32)>,
    /// Changes whenever the leaves are replaced as a whole.
    pub priorities_revision: u64,
}

impl Replay {
    /// The memory.
    pub fn raw(&self) -> RawReplay<'_> {
        let layout = &self.ring.layout;
        RawReplay {
            words: &self.ring.words,
            finals: &self.finals.words,
            final_words: self.config.n_final_rows(&self.gate.spec) * layout.seen,
            width: layout.width,
            seen: layout.seen,
            next: layout.next,
            team_reward: layout.team_reward,
            team_discount: layout.team_discount,
            n_envs: self.config.n_envs,
            n_slots: self.ring.geometry.n_slots,
            n_step: self.config.n_step,
            pushed: self.pushed,
            revision: self.revision,
            priorities: self.priorities.as_ref().map(|p| (p.sums.leaves(), p.largest)),
            priorities_revision: self.loaded,
        }
    }

    /// The words of group `group`.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn raw_group(&self, group: usize) -> RawGroup {
        let words = &self.ring.layout.groups[group];
        RawGroup {
            obs: words.obs.start,
            mask: (!words.mask.is_empty()).then_some(words.mask.start),
            action: words.action.start,
            reward: words.reward.start,
            discount: words.discount.start,
            valid: words.valid.start,
        }
    }

    /// From now on priorities are kept elsewhere: those here no longer follow, and nothing can be drawn here.
    pub fn lend_priorities(&mut self) {
        self.lent = self.priorities.is_some();
    }

    /// Takes the lent priorities as they are now, so that they can be saved; they stay lent.
    ///
    /// # Panics
    /// If there are not as many as cells.
    pub fn store_priorities(&mut self, leaves: &[u32], largest: u32) {
        assert_eq!(leaves.len(), self.ring.geometry.n_cells(), "one leaf a cell");
        let Some(p) = &mut self.priorities else { return };
        let mut sums = match p.sums.tracks_minimum() {
            true => PrioritySums::with_minimum(leaves.len()),
            false => PrioritySums::new(leaves.len()),
        };
        sums.set_each(leaves.iter().copied().enumerate());
        (p.sums, p.largest) = (sums, largest);
        p.refresh(self.config.normalize_weights_by);
        self.stored_at = self.pushed;
    }
}
