//! The columns of a [`StepBatch`] as slices that can be split between threads by environment.

use coact_core::{EnvSpec, GroupSpec, StepBatch};

/// Groups that a batch can have.
pub const MAX_GROUPS: usize = 16;

/// All columns of some consecutive environments.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub groups: [Option<GroupColumns<'a>>; MAX_GROUPS],
    pub state: &'a mut [f32],
    pub final_state: &'a mut [f32],
    pub truncated: &'a mut [bool],
    pub is_first: &'a mut [bool],
}

/// Columns of one group.
#[derive(Debug)]
pub(crate) struct GroupColumns<'a> {
    pub obs: &'a mut [f32],
    pub final_obs: &'a mut [f32],
    pub mask: &'a mut [u32],
    pub final_mask: &'a mut [u32],
    pub reward: &'a mut [f32],
    pub terminated: &'a mut [bool],
    pub alive: &'a mut [bool],
}

impl<'a> Columns<'a> {
    /// All environments of a batch.
    ///
    /// # Panics
    /// More than [`MAX_GROUPS`] groups.
    pub fn of(spec: &EnvSpec, out: &'a mut StepBatch) -> Self {
        assert!(spec.groups.len() <= MAX_GROUPS, "{} groups, {MAX_GROUPS} fit", spec.groups.len());
        let mut groups = [const { None }; MAX_GROUPS];
        for (slot, group) in groups.iter_mut().zip(&mut out.groups) {
            *slot = Some(GroupColumns {
                obs: &mut group.obs,
                final_obs: &mut group.final_obs,
                mask: &mut group.mask,
                final_mask: &mut group.final_mask,
                reward: &mut group.reward,
                terminated: &mut group.terminated,
                alive: &mut group.alive,
            });
        }
        Self {
            groups,
            state: &mut out.state,
            final_state: &mut out.final_state,
            truncated: &mut out.truncated,
            is_first: &mut out.is_first,
        }
    }

    /// Sets what is true of most environments in most steps: nobody ended, everybody acts.
    pub fn fill_flags(&mut self, is_first: bool) {
        self.truncated.fill(false);
        self.is_first.fill(is_first);
        for group in self.groups.iter_mut().flatten() {
            group.terminated.fill(false);
            group.alive.fill(true);
        }
    }

    /// The first `n` environments, and the others.
    pub fn split_at(self, spec: &EnvSpec, n: usize) -> (Self, Self) {
        let (mut left, mut right) = ([const { None }; MAX_GROUPS], [const { None }; MAX_GROUPS]);
        let slots = left.iter_mut().zip(&mut right).zip(&spec.groups);
        for (group, ((left, right), spec)) in self.groups.into_iter().flatten().zip(slots) {
            let (a, b) = group.split_at(spec, n);
            (*left, *right) = (Some(a), Some(b));
        }
        let s = n * spec.state_width;
        let (state, state_right) = self.state.split_at_mut(s);
        let (final_state, final_state_right) = self.final_state.split_at_mut(s);
        let (truncated, truncated_right) = self.truncated.split_at_mut(n);
        let (is_first, is_first_right) = self.is_first.split_at_mut(n);
        let others = Self {
            groups: right,
            state: state_right,
            final_state: final_state_right,
            truncated: truncated_right,
            is_first: is_first_right,
        };
        (Self { groups: left, state, final_state, truncated, is_first }, others)
    }
}

impl GroupColumns<'_> {
    fn split_at(self, spec: &GroupSpec, n: usize) -> (Self, Self) {
        let rows = n * spec.n_agents;
        let d = spec.obs_width();
        let (obs, obs_right) = self.obs.split_at_mut(rows * d);
        let (final_obs, final_obs_right) = self.final_obs.split_at_mut(rows * d);
        let words = rows * spec.mask_words();
        let (mask, mask_right) = self.mask.split_at_mut(words);
        let (final_mask, final_mask_right) = self.final_mask.split_at_mut(words);
        let (reward, reward_right) = self.reward.split_at_mut(rows);
        let (terminated, terminated_right) = self.terminated.split_at_mut(rows);
        let (alive, alive_right) = self.alive.split_at_mut(rows);
        let others = Self {
            obs: obs_right,
            final_obs: final_obs_right,
            mask: mask_right,
            final_mask: final_mask_right,
            reward: reward_right,
            terminated: terminated_right,
            alive: alive_right,
        };
        (Self { obs, final_obs, mask, final_mask, reward, terminated, alive }, others)
    }
}
