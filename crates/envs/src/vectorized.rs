//! Many copies of a [`MultiAgentEnv`], stepped together: any environment becomes a [`BatchEnv`].
//!
//! Copies run on all threads where there is enough work; each copy draws only from streams named by its index,
//! its episode and its step, so the number of threads never shows.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionBatch, Actions, BatchEnv, EnvSpec, Error, MultiAgentEnv, Purpose, Result, StepBatch, Stream,
};

use crate::columns::{Columns, MAX_GROUPS};
use crate::rules::check_components;

/// Numbers written per step above which threads are worth waking: about 0.2 ms of work.
const PARALLEL_ABOVE: usize = 1 << 15;

/// Largest number of copies.
const MAX_COPIES: usize = 1 << 24;

/// Refuses a number of copies that makes no batch.
///
/// # Errors
/// None, or too many.
pub fn check_copies(n_envs: usize) -> Result<()> {
    if (1..=MAX_COPIES).contains(&n_envs) {
        return Ok(());
    }
    Err(Error::invalid(format!("n_envs is {n_envs}; use 1 to {MAX_COPIES}")))
}

/// `E` copies of one environment.
#[derive(Debug)]
pub struct Vectorized<T> {
    spec: EnvSpec,
    seed: u64,
    limit: Option<u32>,
    copies: Vec<Slot<T>>,
}

/// One copy and its counters. Rows of all agents lie one after the other.
#[derive(Debug)]
struct Slot<T> {
    env: T,
    index: u32,
    episode: u64,
    steps: u64,
    elapsed: u32,
    discrete: Vec<u32>,
    continuous: Vec<f32>,
    reward: Vec<f32>,
    terminated: Vec<bool>,
    /// Which actions are legal now, as in the columns of the groups.
    mask: Vec<u32>,
    failure: Option<Error>,
}

/// What a step needs to know, the same for all copies; no actions for a reset.
#[derive(Clone, Copy)]
struct Call<'a> {
    spec: &'a EnvSpec,
    seed: u64,
    limit: Option<u32>,
    actions: Option<&'a ActionBatch>,
}

/// Lets every copy work and write its rows.
fn run<T: MultiAgentEnv>(call: Call<'_>, copies: &mut [Slot<T>], mut out: Columns<'_>, per_thread: usize) {
    if copies.len() > per_thread {
        let n_left = copies.len() / 2;
        let (left, right) = copies.split_at_mut(n_left);
        let (left_out, right_out) = out.split_at(call.spec, n_left);
        rayon::join(|| run(call, left, left_out, per_thread), || run(call, right, right_out, per_thread));
        return;
    }
    for (row, slot) in copies.iter_mut().enumerate() {
        let worked = match call.actions {
            None => slot.restart(call, row, &mut out),
            Some(actions) => {
                slot.fetch(call.spec, actions);
                slot.step(call, row, &mut out)
            }
        };
        slot.failure = worked.err();
    }
}

/// A number that is not finite, if there is one.
fn not_finite(row: &[f32]) -> Option<f32> {
    const EXPONENT: u32 = 0x7f80_0000;
    let is_bad = |v: &f32| u32::from(v.to_bits() & EXPONENT == EXPONENT);
    // First all at once, which compilers vectorize.
    if row.iter().fold(0, |any, v| any | is_bad(v)) == 0 {
        return None;
    }
    row.iter().copied().find(|v| !v.is_finite())
}

/// Clears the bits of actions that do not exist, so that masks compare equal.
fn clear_beyond(words: &mut [u32], n_actions: usize) {
    if let (Some(last), used @ 1..) = (words.last_mut(), n_actions % 32) {
        *last &= (1 << used) - 1;
    }
}

impl<T: MultiAgentEnv> Slot<T> {
    fn new(env: T, index: usize) -> Self {
        let spec = env.spec();
        let n = spec.n_agents();
        let words = spec.groups.iter().map(|g| g.n_agents * g.mask_words()).sum();
        Self {
            index: index as u32,
            episode: 0,
            steps: 0,
            elapsed: 0,
            discrete: vec![0; n],
            continuous: vec![0.0; spec.n_continuous()],
            reward: vec![0.0; n],
            terminated: vec![false; n],
            mask: vec![u32::MAX; words],
            failure: None,
            env,
        }
    }

    fn begin(&mut self, call: Call<'_>, row: usize, out: &mut Columns<'_>) -> Result<()> {
        self.env.reset(&mut Stream::new(call.seed, Purpose::Reset, self.index, self.episode));
        self.elapsed = 0;
        self.show(call.spec, row, out, false)
    }

    fn restart(&mut self, call: Call<'_>, row: usize, out: &mut Columns<'_>) -> Result<()> {
        (self.episode, self.steps) = (0, 0);
        self.reward.fill(0.0);
        self.terminated.fill(false);
        (out.truncated[row], out.is_first[row]) = (false, true);
        self.begin(call, row, out)?;
        self.judge(call.spec, row, out);
        Ok(())
    }

    /// Writes observations, masks and state of the moment, as the last of an episode or as the next to act on.
    ///
    /// # Errors
    /// An observation that is not finite, or an acting agent without a legal action.
    fn show(&mut self, spec: &EnvSpec, row: usize, out: &mut Columns<'_>, last: bool) -> Result<()> {
        let (env, mut agent, mut mask) = (self.index as usize, 0, &mut self.mask[..]);
        for (group, columns) in spec.groups.iter().zip(out.groups.iter_mut().flatten()) {
            let (n, d, w) = (group.n_agents, group.obs_width(), group.mask_words());
            let (obs, words) = match last {
                true => (&mut columns.final_obs[..], &mut columns.final_mask[..]),
                false => (&mut columns.obs[..], &mut columns.mask[..]),
            };
            for member in 0..n {
                let obs = &mut obs[(row * n + member) * d..][..d];
                self.env.observe(agent, obs);
                if let Some(value) = not_finite(obs) {
                    return Err(Error::NonFinite { what: "observation", env, agent, value });
                }
                let (own, rest) = mask.split_at_mut(w);
                if group.masked {
                    self.env.legal(agent, own);
                    clear_beyond(own, group.action.n_discrete());
                    if self.env.alive(agent) && own.iter().all(|w| *w == 0) {
                        return Err(Error::NoLegalAction { env, agent });
                    }
                }
                words[(row * n + member) * w..][..w].copy_from_slice(own);
                mask = rest;
                agent += 1;
            }
        }
        let state = if last { &mut out.final_state } else { &mut out.state };
        let s = spec.state_width;
        self.env.state(&mut state[row * s..][..s]);
        Ok(())
    }

    /// Writes rewards, endings, and who acts next.
    fn judge(&self, spec: &EnvSpec, row: usize, out: &mut Columns<'_>) {
        let mut agent = 0;
        for (group, columns) in spec.groups.iter().zip(out.groups.iter_mut().flatten()) {
            let n = group.n_agents;
            columns.reward[row * n..][..n].copy_from_slice(&self.reward[agent..agent + n]);
            columns.terminated[row * n..][..n].copy_from_slice(&self.terminated[agent..agent + n]);
            for (member, alive) in columns.alive[row * n..][..n].iter_mut().enumerate() {
                *alive = self.env.alive(agent + member);
            }
            agent += n;
        }
    }

    /// Refuses actions that the masks of the moment exclude.
    fn check_legal(&self, spec: &EnvSpec) -> Result<()> {
        let mut mask = &self.mask[..];
        for (agent, (group, _)) in spec.agents().enumerate() {
            let (words, rest) = mask.split_at(spec.groups[group].mask_words());
            mask = rest;
            let action = self.discrete[agent];
            // An action that does not exist at all is for the environment to refuse.
            if action as usize >= spec.groups[group].action.n_discrete() {
                continue;
            }
            let word = words.get(action as usize / 32);
            if self.env.alive(agent) && word.is_some_and(|w| w >> (action % 32) & 1 == 0) {
                let env = self.index;
                return Err(Error::invalid(format!(
                    "action {action} of environment {env}, agent {agent} is illegal now; choose by its mask"
                )));
            }
        }
        Ok(())
    }

    fn step(&mut self, call: Call<'_>, row: usize, out: &mut Columns<'_>) -> Result<()> {
        let Call { spec, seed, limit, .. } = call;
        self.check_legal(spec)?;
        let actions = Actions { discrete: &self.discrete, continuous: &self.continuous };
        let mut rng = Stream::new(seed, Purpose::Step, self.index, self.steps);
        let stopped = self.env.step(actions, &mut rng, &mut self.reward, &mut self.terminated);
        let stopped = stopped.map_err(|e| of_env(e, self.index as usize))?;
        if let Some(agent) = self.reward.iter().position(|r| !r.is_finite()) {
            let (env, value) = (self.index as usize, self.reward[agent]);
            return Err(Error::NonFinite { what: "reward", env, agent, value });
        }
        self.steps += 1;
        self.elapsed += 1;
        let acting = (0..self.reward.len()).any(|agent| self.env.alive(agent));
        let truncated = acting && (stopped || limit.is_some_and(|l| self.elapsed >= l));
        let ended = truncated || !acting;
        (out.truncated[row], out.is_first[row]) = (truncated, ended);
        if ended {
            self.show(spec, row, out, true)?;
            self.episode += 1;
            self.begin(call, row, out)?;
        } else {
            self.show(spec, row, out, false)?;
        }
        self.judge(spec, row, out);
        Ok(())
    }

    /// Copies this slot's actions out of the batch.
    fn fetch(&mut self, spec: &EnvSpec, actions: &ActionBatch) {
        let (env, mut agent, mut at) = (self.index as usize, 0, 0);
        for (g, group) in spec.groups.iter().enumerate() {
            let n = group.n_agents;
            if group.action.n_discrete() > 0 {
                let mine = &actions.discrete[g][env * n..(env + 1) * n];
                self.discrete[agent..agent + n].copy_from_slice(mine);
            }
            let width = n * group.action.n_continuous();
            let mine = &actions.continuous[g][env * width..(env + 1) * width];
            self.continuous[at..at + width].copy_from_slice(mine);
            agent += n;
            at += width;
        }
    }
}

/// The same error, with the environment index that one copy cannot know.
fn of_env(error: Error, index: usize) -> Error {
    match error {
        Error::NonFinite { what, agent, value, .. } => Error::NonFinite { what, env: index, agent, value },
        Error::BadAction { agent, action, n_actions, .. } => {
            Error::BadAction { env: index, agent, action, n_actions }
        }
        Error::NoLegalAction { agent, .. } => Error::NoLegalAction { env: index, agent },
        other => other,
    }
}

impl<T: MultiAgentEnv> Vectorized<T> {
    /// `n_envs` copies, each made by `make`.
    ///
    /// # Errors
    /// No copies, too many, too many groups, or what `make` reports.
    pub fn new(n_envs: usize, mut make: impl FnMut() -> Result<T>) -> Result<Self> {
        check_copies(n_envs)?;
        let first = make()?;
        let spec = first.spec().clone();
        if spec.groups.len() > MAX_GROUPS {
            let (name, n) = (&spec.name, spec.groups.len());
            return Err(Error::invalid(format!("{name} has {n} groups of agents; at most {MAX_GROUPS} fit")));
        }
        let mut copies = Vec::with_capacity(n_envs);
        copies.push(Slot::new(first, 0));
        for index in 1..n_envs {
            copies.push(Slot::new(make()?, index));
        }
        Ok(Self { spec, seed: 0, limit: None, copies })
    }

    /// Lets every copy work, then reports the first failure.
    fn each(&mut self, actions: Option<&ActionBatch>, out: &mut StepBatch) -> Result<()> {
        let call = Call { spec: &self.spec, seed: self.seed, limit: self.limit, actions };
        let row: usize = self.spec.groups.iter().map(|g| g.n_agents * (g.obs_width() + 16)).sum();
        let n_threads = rayon::current_num_threads();
        let per_thread = match self.copies.len() * row >= PARALLEL_ABOVE && n_threads > 1 {
            // Several pieces a thread, because copies take their time.
            true => self.copies.len().div_ceil(4 * n_threads),
            false => self.copies.len(),
        };
        run(call, &mut self.copies, Columns::of(&self.spec, out), per_thread);
        match self.copies.iter_mut().find_map(|slot| slot.failure.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl<T: MultiAgentEnv> BatchEnv for Vectorized<T> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        self.copies.len()
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        self.seed = seed;
        self.each(None, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        let mut first_agent = 0;
        for (group, components) in self.spec.groups.iter().zip(&actions.continuous) {
            check_components(group, first_agent, components)?;
            first_agent += group.n_agents;
        }
        self.each(Some(actions), out)
    }

    fn limit_episodes(&mut self, max_steps: u32) -> Result<()> {
        let limit = check_limit(&self.spec, max_steps)?;
        self.limit = Some(limit);
        self.spec.episode_limit = Some(limit);
        Ok(())
    }

    fn scene(&self, env: usize) -> Scene {
        self.copies[env].env.scene()
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.seed);
        out.u64(self.copies.len() as u64);
        for slot in &self.copies {
            out.u64(slot.episode);
            out.u64(slot.steps);
            out.u32(slot.elapsed);
            slot.env.save(out);
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.seed = from.u64()?;
        let n = from.u64()?;
        if n != self.copies.len() as u64 {
            let text = format!("it holds {n} environments, this batch has {}", self.copies.len());
            return Err(from.error(text));
        }
        for slot in &mut self.copies {
            slot.episode = from.u64()?;
            slot.steps = from.u64()?;
            slot.elapsed = from.u32()?;
            slot.env.load(from)?;
        }
        // Masks belong to the moment, and what cannot be shown cannot be gone on from.
        let mut seen = StepBatch::new(&self.spec, self.copies.len());
        let mut columns = Columns::of(&self.spec, &mut seen);
        let mut copies = self.copies.iter_mut().enumerate();
        copies.try_for_each(|(row, slot)| slot.show(&self.spec, row, &mut columns, false))
    }
}

/// The smaller one of a wanted limit and the limit that an environment has.
///
/// # Errors
/// A limit of 0.
pub fn check_limit(spec: &EnvSpec, max_steps: u32) -> Result<u32> {
    if max_steps == 0 {
        return Err(Error::invalid("time_limit is 0; use at least 1 step"));
    }
    Ok(spec.episode_limit.map_or(max_steps, |limit| limit.min(max_steps)))
}
