//! Many copies of a [`MultiAgentEnv`], stepped together: any environment becomes a [`BatchEnv`].
//!
//! Copies run on all threads where there is enough work; each copy draws only from streams named by its index,
//! its episode and its step, so the number of threads never shows.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionBatch, Actions, BatchEnv, EnvSpec, Error, MultiAgentEnv, Purpose, Result, StepBatch, Stream,
};
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

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

/// One copy, its counters and what it wrote last. Rows of all agents lie one after the other.
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
    alive: Vec<bool>,
    now: View,
    last: View,
    truncated: bool,
    ended: bool,
    failure: Option<Error>,
}

/// What agents see at one moment.
#[derive(Debug, Clone)]
struct View {
    obs: Vec<f32>,
    mask: Vec<u32>,
    state: Vec<f32>,
}

impl View {
    fn new(spec: &EnvSpec) -> Self {
        let sum = |f: &dyn Fn(&coact_core::GroupSpec) -> usize| spec.groups.iter().map(f).sum();
        Self {
            obs: vec![0.0; sum(&|g| g.n_agents * g.obs_width())],
            mask: vec![u32::MAX; sum(&|g| g.n_agents * g.mask_words())],
            state: vec![0.0; spec.state_width],
        }
    }

    /// Takes the moment of `env`.
    ///
    /// # Errors
    /// An observation that is not finite, or an acting agent without a legal action.
    fn take(&mut self, spec: &EnvSpec, env: &impl MultiAgentEnv, index: usize) -> Result<()> {
        let (mut obs, mut mask) = (&mut self.obs[..], &mut self.mask[..]);
        for (agent, (group, _)) in spec.agents().enumerate() {
            let group = &spec.groups[group];
            let (row, rest) = obs.split_at_mut(group.obs_width());
            env.observe(agent, row);
            if let Some(&value) = row.iter().find(|v| !v.is_finite()) {
                return Err(Error::NonFinite { what: "observation", env: index, agent, value });
            }
            obs = rest;
            let (words, rest) = mask.split_at_mut(group.mask_words());
            if group.masked {
                env.legal(agent, words);
                clear_beyond(words, group.action.n_discrete());
                if env.alive(agent) && words.iter().all(|w| *w == 0) {
                    return Err(Error::NoLegalAction { env: index, agent });
                }
            }
            mask = rest;
        }
        env.state(&mut self.state);
        Ok(())
    }
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
        let view = View::new(spec);
        Self {
            index: index as u32,
            episode: 0,
            steps: 0,
            elapsed: 0,
            discrete: vec![0; n],
            continuous: vec![0.0; spec.n_continuous()],
            reward: vec![0.0; n],
            terminated: vec![false; n],
            alive: vec![true; n],
            now: view.clone(),
            last: view,
            truncated: false,
            ended: true,
            failure: None,
            env,
        }
    }

    fn begin(&mut self, spec: &EnvSpec, seed: u64) -> Result<()> {
        self.env.reset(&mut Stream::new(seed, Purpose::Reset, self.index, self.episode));
        self.elapsed = 0;
        self.alive.iter_mut().enumerate().for_each(|(a, alive)| *alive = self.env.alive(a));
        self.now.take(spec, &self.env, self.index as usize)
    }

    fn restart(&mut self, spec: &EnvSpec, seed: u64) -> Result<()> {
        (self.episode, self.steps) = (0, 0);
        self.reward.fill(0.0);
        self.terminated.fill(false);
        (self.truncated, self.ended) = (false, true);
        self.begin(spec, seed)
    }

    /// Refuses actions that the masks of the moment exclude.
    fn check_legal(&self, spec: &EnvSpec) -> Result<()> {
        let mut mask = &self.now.mask[..];
        for (agent, (group, _)) in spec.agents().enumerate() {
            let (words, rest) = mask.split_at(spec.groups[group].mask_words());
            mask = rest;
            let action = self.discrete[agent];
            // An action that does not exist at all is for the environment to refuse.
            if action as usize >= spec.groups[group].action.n_discrete() {
                continue;
            }
            let word = words.get(action as usize / 32);
            if self.alive[agent] && word.is_some_and(|w| w >> (action % 32) & 1 == 0) {
                let env = self.index;
                return Err(Error::invalid(format!(
                    "action {action} of environment {env}, agent {agent} is illegal now; choose by its mask"
                )));
            }
        }
        Ok(())
    }

    fn step(&mut self, spec: &EnvSpec, seed: u64, limit: Option<u32>) -> Result<()> {
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
        self.alive.iter_mut().enumerate().for_each(|(a, alive)| *alive = self.env.alive(a));
        let acting = self.alive.contains(&true);
        self.truncated = acting && (stopped || limit.is_some_and(|l| self.elapsed >= l));
        self.ended = self.truncated || !acting;
        if self.ended {
            self.last.take(spec, &self.env, self.index as usize)?;
            self.episode += 1;
            return self.begin(spec, seed);
        }
        self.now.take(spec, &self.env, self.index as usize)
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

    /// Writes this slot's rows.
    fn store(&self, spec: &EnvSpec, out: &mut StepBatch, with_last: bool) {
        let env = self.index as usize;
        let (mut agent, mut obs_at, mut mask_at) = (0, 0, 0);
        for (group, column) in spec.groups.iter().zip(&mut out.groups) {
            let n = group.n_agents;
            let rows = env * n..(env + 1) * n;
            column.reward[rows.clone()].copy_from_slice(&self.reward[agent..agent + n]);
            column.terminated[rows.clone()].copy_from_slice(&self.terminated[agent..agent + n]);
            column.alive[rows].copy_from_slice(&self.alive[agent..agent + n]);
            let (d, w) = (n * group.obs_width(), n * group.mask_words());
            column.obs[env * d..][..d].copy_from_slice(&self.now.obs[obs_at..][..d]);
            column.mask[env * w..][..w].copy_from_slice(&self.now.mask[mask_at..][..w]);
            if with_last {
                column.final_obs[env * d..][..d].copy_from_slice(&self.last.obs[obs_at..][..d]);
                column.final_mask[env * w..][..w].copy_from_slice(&self.last.mask[mask_at..][..w]);
            }
            agent += n;
            obs_at += d;
            mask_at += w;
        }
        let s = spec.state_width;
        out.state[env * s..][..s].copy_from_slice(&self.now.state);
        if with_last {
            out.final_state[env * s..][..s].copy_from_slice(&self.last.state);
        }
        out.truncated[env] = self.truncated;
        out.is_first[env] = self.ended;
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
    /// No copies, too many, or what `make` reports.
    pub fn new(n_envs: usize, mut make: impl FnMut() -> Result<T>) -> Result<Self> {
        check_copies(n_envs)?;
        let first = make()?;
        let spec = first.spec().clone();
        let mut copies = Vec::with_capacity(n_envs);
        copies.push(Slot::new(first, 0));
        for index in 1..n_envs {
            copies.push(Slot::new(make()?, index));
        }
        Ok(Self { spec, seed: 0, limit: None, copies })
    }

    /// Runs `work` on every copy, then reports the first failure.
    fn each(&mut self, work: impl Fn(&mut Slot<T>, &EnvSpec) -> Result<()> + Sync) -> Result<()> {
        let spec = &self.spec;
        let row: usize = spec.groups.iter().map(|g| g.n_agents * (g.obs_width() + 16)).sum();
        let run = |slot: &mut Slot<T>| slot.failure = work(slot, spec).err();
        if self.copies.len() * row >= PARALLEL_ABOVE && rayon::current_num_threads() > 1 {
            self.copies.par_iter_mut().for_each(run);
        } else {
            self.copies.iter_mut().for_each(run);
        }
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
        self.each(|slot, spec| slot.restart(spec, seed))?;
        self.copies.iter().for_each(|slot| slot.store(&self.spec, out, false));
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        let (seed, limit) = (self.seed, self.limit);
        let mut first_agent = 0;
        for (group, components) in self.spec.groups.iter().zip(&actions.continuous) {
            check_components(group, first_agent, components)?;
            first_agent += group.n_agents;
        }
        self.each(|slot, spec| {
            slot.fetch(spec, actions);
            slot.step(spec, seed, limit)
        })?;
        self.copies.iter().for_each(|slot| slot.store(&self.spec, out, slot.ended));
        Ok(())
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
            slot.alive.iter_mut().enumerate().for_each(|(a, alive)| *alive = slot.env.alive(a));
            slot.now.take(&self.spec, &slot.env, slot.index as usize)?;
        }
        Ok(())
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
