//! Played groups: groups that learners neither see nor move, because somebody else plays them.
//!
//! Who that is, an [`Actor`] says: a script ([`crate::scripts::ScriptedGroup`]) or a policy learned before. Groups,
//! observations, masks and rewards of the others stay as they are; the global state still shows everybody.

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Error, Result, StepBatch};

use super::{copy_ended, copy_group_but_obs, copy_moment, forget_raw, pass_on, pass_on_limit};
use crate::scripts::{Actor, Moment, place_of};

/// An environment some of whose groups are played.
pub struct PlayedGroups {
    inner: Box<dyn BatchEnv>,
    spec: EnvSpec,
    /// Places of the other groups in the inner environment.
    kept: Vec<usize>,
    actors: Vec<Box<dyn Actor>>,
    /// The whole environment as it is now.
    view: StepBatch,
    actions: ActionBatch,
    moment: Moment,
}

impl PlayedGroups {
    /// `inner` with each of `actors` playing the group named beside it.
    ///
    /// # Errors
    /// A group that does not exist (names the nearest one) or is named twice, or no group left to the learner.
    pub fn new(inner: Box<dyn BatchEnv>, actors: Vec<(String, Box<dyn Actor>)>) -> Result<Self> {
        let whole = inner.spec();
        let mut kept: Vec<usize> = (0..whole.groups.len()).collect();
        for (name, _) in &actors {
            let place = place_of(whole, name)?;
            let n = kept.len();
            kept.retain(|g| *g != place);
            if kept.len() == n {
                let text = format!("{}: group `{name}` is played twice; name it once", whole.name);
                return Err(Error::invalid(text));
            }
        }
        if kept.is_empty() {
            let text = format!("{}: all groups are played; leave one to the learner", whole.name);
            return Err(Error::invalid(text));
        }
        let groups = kept.iter().map(|&g| whole.groups[g].clone()).collect();
        let spec = EnvSpec { groups, ..whole.clone() };
        Ok(Self {
            view: StepBatch::new(whole, inner.n_envs()),
            actions: ActionBatch::new(whole, inner.n_envs()),
            actors: actors.into_iter().map(|(_, actor)| actor).collect(),
            moment: Moment { seed: 0, step: 0 },
            spec,
            kept,
            inner,
        })
    }

    /// Writes what learners see of `view`.
    fn show(&self, out: &mut StepBatch) {
        copy_moment(&self.view, out);
        let ended = &self.view.is_first;
        for (to, &g) in out.groups.iter_mut().zip(&self.kept) {
            let from = &self.view.groups[g];
            copy_group_but_obs(ended, from, to);
            to.obs.copy_from_slice(&from.obs);
            copy_ended(ended, &from.final_obs, &mut to.final_obs);
        }
    }
}

impl BatchEnv for PlayedGroups {
    pass_on!();
    pass_on_limit!();

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        forget_raw(&mut self.view);
        self.inner.reset(seed, &mut self.view)?;
        self.moment = Moment { seed, step: 0 };
        self.show(out);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        for (own, &g) in self.kept.iter().enumerate() {
            self.actions.discrete[g].copy_from_slice(&actions.discrete[own]);
            self.actions.continuous[g].copy_from_slice(&actions.continuous[own]);
        }
        for actor in &mut self.actors {
            actor.act(&self.view, self.moment, &mut self.actions)?;
        }
        forget_raw(&mut self.view);
        self.inner.step(&self.actions, &mut self.view)?;
        self.moment.step += 1;
        self.show(out);
        Ok(())
    }

    fn save(&self, out: &mut Writer) {
        out.u64s(&[self.moment.seed, self.moment.step]);
        for group in &self.view.groups {
            out.f32s(&group.obs);
            out.u32s(&group.mask);
            out.bools(&group.alive);
        }
        out.f32s(&self.view.state);
        out.bools(&self.view.is_first);
        self.actors.iter().for_each(|actor| actor.save(out));
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let mut moment = [0; 2];
        from.u64s(&mut moment)?;
        self.moment = Moment { seed: moment[0], step: moment[1] };
        for group in &mut self.view.groups {
            from.f32s(&mut group.obs)?;
            from.u32s(&mut group.mask)?;
            from.bools(&mut group.alive)?;
        }
        from.f32s(&mut self.view.state)?;
        from.bools(&mut self.view.is_first)?;
        self.actors.iter_mut().try_for_each(|actor| actor.load(from))?;
        self.inner.load(from)
    }

    /// With the actors: an evaluation is against the same ones.
    fn save_statistics(&self, out: &mut Writer) {
        self.actors.iter().for_each(|actor| actor.save(out));
        self.inner.save_statistics(out);
    }

    fn load_statistics(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.actors.iter_mut().try_for_each(|actor| actor.load(from))?;
        self.inner.load_statistics(from)
    }
}
