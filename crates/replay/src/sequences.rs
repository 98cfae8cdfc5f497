//! Replay of sequences, for recurrent learners: the last steps of many environments, drawn as [`Rollout`]s of one
//! length.

use std::collections::VecDeque;

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, EnvSpec, StepBatch, Stream};
use serde::{Deserialize, Serialize};

use crate::check::Gate;
use crate::error::{Error, Result};
use crate::rollout::{Rollout, row};

/// Where sequences begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceStart {
    /// At any step; a sequence may hold the end of one episode and the beginning of the next.
    #[default]
    Any,
    /// At first observations; steps after the episode's end count for nothing (`valid` is false).
    Episode,
}

/// Settings of a [`SequenceReplay`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequenceConfig {
    /// Steps kept, counted over all environments; rounded down to a multiple of `n_envs`.
    pub capacity: usize,
    /// Environments that step together, `E`.
    pub n_envs: usize,
    /// Steps of a sequence, `T`, `burn_in` included.
    pub length: usize,
    /// Leading steps that only warm recurrent state up.
    pub burn_in: usize,
    /// Where sequences begin.
    pub start: SequenceStart,
    /// Discount of one step, 0 to 1.
    pub gamma: f32,
    /// Width `M` of the recurrent state stored beside each step; 0 stores none, and sequences begin with zeros.
    pub memory_width: usize,
}

impl SequenceConfig {
    fn check(&self, spec: &EnvSpec) -> Result<()> {
        let fail = |text: String| Err(Error::Config(text));
        if self.n_envs == 0 {
            return fail("`n_envs` is 0; at least one environment must feed it".into());
        }
        if self.length == 0 || self.burn_in >= self.length {
            return fail(format!(
                "`burn_in` {} leaves nothing to learn of `sequence_length` {}; lower it or raise the length",
                self.burn_in, self.length
            ));
        }
        if !(0.0..=1.0).contains(&self.gamma) {
            return fail(format!("`gamma` is {}; use 0 to 1", self.gamma));
        }
        let least = self.n_envs.saturating_mul(self.length + 1);
        if self.capacity < least || self.capacity > 1 << 30 {
            return fail(format!(
                "`capacity` (a run: `buffer_size`) is {}; sequences of {} steps of {} environments need {least} to {}",
                self.capacity,
                self.length,
                self.n_envs,
                1 << 30
            ));
        }
        if spec.groups.is_empty() || spec.groups.iter().any(|g| g.n_agents == 0) {
            return fail(format!("environment `{}` has no agents or an empty group", spec.name));
        }
        Ok(())
    }

    /// Times in memory: those of the steps, and one for the observation to act on.
    fn n_slots(&self) -> usize {
        self.capacity / self.n_envs + 1
    }
}

/// The last steps of `E` environments. Times count pushes over the life of the replay.
#[derive(Debug, Clone)]
pub struct SequenceReplay {
    config: SequenceConfig,
    gate: Gate,
    /// Time `t` is row `t mod n_slots` of every column. Final rows are kept apart.
    ring: Rollout,
    /// Recurrent state `[n_slots, E, M]` before each observation.
    memory: Vec<f32>,
    /// Who acts next, `[E, A]` of each group; empty before the first observations.
    alive: Vec<Vec<bool>>,
    /// Number of pushes; also the time of the observation to act on.
    pushed: u64,
    /// Truncated ends `(t, b)` in order, with their last rows (all groups' observations and the state).
    ends: VecDeque<(u64, u32)>,
    end_values: VecDeque<f32>,
    end_masks: VecDeque<u32>,
    /// First observations of episodes `(t, b)`, in order.
    starts: VecDeque<(u64, u32)>,
    /// Where the sequences drawn last begin: `(t, b)`.
    drawn: Vec<(u64, usize)>,
    /// Their truncated ends: `(t, b)` in the sequences, and the place in `ends`.
    found: Vec<(u32, u32, usize)>,
}

impl SequenceReplay {
    /// An empty replay.
    ///
    /// # Errors
    /// Settings that make no sense, or memory that is not there.
    pub fn new(spec: &EnvSpec, config: SequenceConfig) -> Result<Self> {
        config.check(spec)?;
        let bytes = Self::memory_bytes(spec, &config)?;
        let probe = usize::try_from(bytes).map(|n| Vec::<u8>::new().try_reserve_exact(n));
        if !matches!(probe, Ok(Ok(()))) {
            return Err(Error::Memory { capacity: config.capacity, bytes });
        }
        let n_slots = config.n_slots();
        // As many slots for steps as for observations; a rollout has one observation more, which stays unused.
        let ring = Rollout::new(spec, n_slots, config.n_envs);
        Ok(Self {
            gate: Gate { spec: spec.clone(), n_envs: config.n_envs, reward_limit: f32::MAX },
            ring,
            memory: vec![0.0; n_slots * config.n_envs * config.memory_width],
            alive: Vec::new(),
            pushed: 0,
            ends: VecDeque::new(),
            end_values: VecDeque::new(),
            end_masks: VecDeque::new(),
            starts: VecDeque::new(),
            drawn: Vec::new(),
            found: Vec::new(),
            config,
        })
    }

    /// Bytes that a replay will take at least, to be told before they are taken; truncated ends come on top.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn memory_bytes(spec: &EnvSpec, config: &SequenceConfig) -> Result<u64> {
        config.check(spec)?;
        let group = |g: &coact_core::GroupSpec| {
            let words = g.obs_width() + g.mask_words() + 1 + g.action.n_continuous() + 2;
            g.n_agents * (4 * words + 1)
        };
        let groups: usize = spec.groups.iter().map(group).sum();
        let row = groups + 4 * (spec.state_width + config.memory_width) + 9;
        Ok(((config.n_slots() + 1) * config.n_envs) as u64 * row as u64)
    }

    /// Settings.
    pub fn config(&self) -> &SequenceConfig {
        &self.config
    }

    /// Steps stored.
    pub fn len(&self) -> usize {
        (self.pushed - self.oldest()) as usize * self.config.n_envs
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Steps stored when the replay is full.
    pub fn capacity(&self) -> usize {
        (self.config.n_slots() - 1) * self.config.n_envs
    }

    /// Whether a sequence can be drawn.
    pub fn can_sample(&self) -> bool {
        match self.config.start {
            SequenceStart::Any => self.pushed - self.oldest() >= self.config.length as u64,
            SequenceStart::Episode => self.n_whole_starts() > 0,
        }
    }

    /// First time that is stored.
    fn oldest(&self) -> u64 {
        (self.pushed + 1).saturating_sub(self.config.n_slots() as u64)
    }

    fn slot(&self, time: u64) -> usize {
        (time % self.config.n_slots() as u64) as usize
    }

    /// Starts of episodes that a whole sequence follows.
    fn n_whole_starts(&self) -> usize {
        let length = self.config.length as u64;
        self.starts.partition_point(|&(t, _)| t + length <= self.pushed)
    }

    /// First observations after a reset of the environments, and the recurrent state `[E, M]` of the actors. To be
    /// called once, before anything is pushed.
    ///
    /// # Errors
    /// Columns of another shape, or a number that is not finite; nothing is stored then.
    pub fn begin(&mut self, first: &StepBatch, memory: &[f32]) -> Result<()> {
        self.gate.first(first)?;
        if self.pushed > 0 {
            return Err(Error::Config("`begin` comes once, before the first `push`".into()));
        }
        self.check_memory(memory)?;
        self.alive = first.groups.iter().map(|g| g.alive.clone()).collect();
        self.starts.clear();
        self.see(first, memory);
        Ok(())
    }

    fn check_memory(&self, memory: &[f32]) -> Result<()> {
        let expected = self.config.n_envs * self.config.memory_width;
        if expected > 0 && memory.len() != expected {
            return Err(Error::Shape { what: "memory", expected, found: memory.len() });
        }
        Ok(())
    }

    /// Stores what is seen at time `pushed`.
    fn see(&mut self, step: &StepBatch, memory: &[f32]) {
        let slot = self.slot(self.pushed);
        self.ring.put_seen(slot, step);
        let width = self.config.n_envs * self.config.memory_width;
        self.memory[slot * width..(slot + 1) * width].copy_from_slice(&memory[..width]);
        let first = (0..step.n_envs).filter(|&e| step.is_first[e]);
        self.starts.extend(first.map(|e| (self.pushed, e as u32)));
    }

    /// Stores the actions taken on the observations given last, what came of them, and the recurrent state `[E, M]`
    /// of the actors before they read the new observations.
    ///
    /// # Errors
    /// Columns of another shape, an action outside its space, or a number that is not finite; nothing is stored then.
    pub fn push(&mut self, actions: &ActionBatch, step: &StepBatch, memory: &[f32]) -> Result<()> {
        if self.alive.is_empty() {
            return Err(Error::NotBegun);
        }
        self.gate.actions(actions)?;
        self.gate.step(step)?;
        self.check_memory(memory)?;
        self.ring.put_step(self.slot(self.pushed), actions, &self.alive, step, self.config.gamma);
        for env in (0..step.n_envs).filter(|&e| step.is_first[e] && step.truncated[e]) {
            self.ends.push_back((self.pushed, env as u32));
            for group in &step.groups {
                self.end_values.extend(row(&group.final_obs, env, step.n_envs));
                self.end_masks.extend(row(&group.final_mask, env, step.n_envs));
            }
            self.end_values.extend(row(&step.final_state, env, step.n_envs));
        }
        self.alive.iter_mut().zip(&step.groups).for_each(|(to, from)| to.copy_from_slice(&from.alive));
        self.pushed += 1;
        self.see(step, memory);
        self.forget();
        Ok(())
    }

    /// Forgets ends and starts that are no longer stored.
    fn forget(&mut self) {
        let oldest = self.oldest();
        let (values, masks) = self.end_widths();
        while self.ends.front().is_some_and(|&(t, _)| t < oldest) {
            self.ends.pop_front();
            self.end_values.drain(..values);
            self.end_masks.drain(..masks);
        }
        while self.starts.front().is_some_and(|&(t, _)| t < oldest) {
            self.starts.pop_front();
        }
    }

    /// Numbers and mask words of one truncated end.
    fn end_widths(&self) -> (usize, usize) {
        let spec = &self.gate.spec;
        let values: usize = spec.groups.iter().map(|g| g.n_agents * g.obs_width()).sum();
        let masks = spec.groups.iter().map(|g| g.n_agents * g.mask_words()).sum();
        (values + spec.state_width, masks)
    }

    /// Draws `n` sequences independently and uniformly into `out`, which is made fitting.
    ///
    /// # Errors
    /// No sequences asked for, or none whole in memory.
    pub fn sample(&mut self, rng: &mut Stream, n: usize, out: &mut Rollout) -> Result<()> {
        if n == 0 {
            return Err(Error::Config("`batch_size` is 0; sample at least one sequence".into()));
        }
        if !self.can_sample() {
            return Err(Error::TooFew { batch_size: self.config.length, stored: self.len() });
        }
        if (out.n_steps, out.n_envs) != (self.config.length, n) || out.groups.len() != self.ring.groups.len()
        {
            *out = Rollout::new(&self.gate.spec, self.config.length, n);
        }
        out.clear_ends();
        out.burn_in = self.config.burn_in;
        out.memory.resize(n * self.config.memory_width, 0.0);
        let below =
            |rng: &mut Stream, bound: u64| ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64;
        self.drawn.clear();
        for b in 0..n {
            let (time, env) = match self.config.start {
                SequenceStart::Any => {
                    let times = self.pushed - self.oldest() - self.config.length as u64 + 1;
                    let cell = below(rng, times * self.config.n_envs as u64);
                    let n_envs = self.config.n_envs as u64;
                    (self.oldest() + cell / n_envs, (cell % n_envs) as usize)
                }
                SequenceStart::Episode => {
                    let (time, env) = self.starts[below(rng, self.n_whole_starts() as u64) as usize];
                    (time, env as usize)
                }
            };
            self.copy_sequence(time, env, b, out);
            self.drawn.push((time, env));
        }
        self.copy_ends(out);
        Ok(())
    }

    /// Copies the steps of environment `env` from `time` on to column `b`.
    fn copy_sequence(&self, time: u64, env: usize, b: usize, out: &mut Rollout) {
        let (from_envs, to_envs) = (self.config.n_envs, out.n_envs);
        let length = self.config.length;
        let mut over = false;
        for t in 0..=length {
            let slot = self.slot(time + t as u64);
            let (from, to) = (slot * from_envs + env, t * to_envs + b);
            for (ring, out) in self.ring.groups.iter().zip(&mut out.groups) {
                let seen = ((self.config.n_slots() + 1) * from_envs, (length + 1) * to_envs);
                copy(&ring.obs, from, &mut out.obs, to, seen);
                copy(&ring.mask, from, &mut out.mask, to, seen);
            }
            let seen = ((self.config.n_slots() + 1) * from_envs, (length + 1) * to_envs);
            copy(&self.ring.state, from, &mut out.state, to, seen);
            out.is_first[to] = self.ring.is_first[from];
            over |= t > 0 && self.config.start == SequenceStart::Episode && out.is_first[to];
            if t == length {
                break;
            }
            let steps = (self.config.n_slots() * from_envs, length * to_envs);
            for (ring, out) in self.ring.groups.iter().zip(&mut out.groups) {
                copy(&ring.action, from, &mut out.action, to, steps);
                copy(&ring.action_continuous, from, &mut out.action_continuous, to, steps);
                copy(&ring.reward, from, &mut out.reward, to, steps);
                copy(&ring.discount, from, &mut out.discount, to, steps);
                copy(&ring.valid, from, &mut out.valid, to, steps);
                if over {
                    let agents = out.valid.len() / steps.1;
                    out.valid[to * agents..(to + 1) * agents].fill(false);
                }
            }
            out.team_reward[to] = self.ring.team_reward[from];
            out.team_discount[to] = self.ring.team_discount[from];
        }
        let width = self.config.memory_width;
        let from = (self.slot(time) * from_envs + env) * width;
        out.memory[b * width..(b + 1) * width].copy_from_slice(&self.memory[from..from + width]);
    }

    /// Copies the truncated ends of the sequences drawn, in the order of time, then of columns.
    fn copy_ends(&mut self, out: &mut Rollout) {
        let length = self.config.length as u64;
        self.found.clear();
        for (b, &(time, env)) in self.drawn.iter().enumerate() {
            let first = self.ends.partition_point(|&(t, _)| t < time);
            let within = self.ends.range(first..).take_while(|&&(t, _)| t < time + length);
            let own = (first..).zip(within).filter(|(_, (_, e))| *e as usize == env);
            self.found.extend(own.map(|(i, &(t, _))| ((t - time) as u32, b as u32, i)));
        }
        self.found.sort_unstable();
        let (values, masks) = self.end_widths();
        for &(t, b, i) in &self.found {
            out.ends.push((t, b));
            let mut value = self.end_values.range(i * values..(i + 1) * values).copied();
            let mut mask = self.end_masks.range(i * masks..(i + 1) * masks).copied();
            for (group, spec) in out.groups.iter_mut().zip(&self.gate.spec.groups) {
                group.final_obs.extend(value.by_ref().take(spec.n_agents * spec.obs_width()));
                group.final_mask.extend(mask.by_ref().take(spec.n_agents * spec.mask_words()));
            }
            out.final_state.extend(value);
        }
    }

    /// Appends everything that is stored.
    pub fn save(&self, out: &mut Writer) {
        let c = &self.config;
        out.u64s(&[c.n_slots() as u64, c.n_envs as u64, c.memory_width as u64, u64::from(c.gamma.to_bits())]);
        out.u64s(&[self.pushed, self.ends.len() as u64, self.starts.len() as u64]);
        self.alive.iter().for_each(|alive| out.bools(alive));
        let filled = self.filled_rows();
        let (slots, seen) = (c.n_slots(), c.n_slots() + 1);
        for g in &self.ring.groups {
            out.f32s(head(&g.obs, filled, seen));
            out.u32s(head(&g.mask, filled, seen));
            out.u32s(head(&g.action, filled, slots));
            [&g.action_continuous, &g.reward, &g.discount]
                .into_iter()
                .for_each(|column| out.f32s(head(column, filled, slots)));
            out.bools(head(&g.valid, filled, slots));
        }
        out.f32s(head(&self.ring.state, filled, seen));
        out.bools(head(&self.ring.is_first, filled, seen));
        out.f32s(head(&self.ring.team_reward, filled, slots));
        out.f32s(head(&self.ring.team_discount, filled, slots));
        out.f32s(head(&self.memory, filled, slots));
        for &(t, env) in self.ends.iter().chain(&self.starts) {
            out.u64(t);
            out.u32(env);
        }
        self.end_values.iter().for_each(|&v| out.f32(v));
        self.end_masks.iter().for_each(|&m| out.u32(m));
    }

    /// Rows of the ring that hold anything.
    fn filled_rows(&self) -> usize {
        (self.pushed + 1).min(self.config.n_slots() as u64) as usize
    }

    /// Restores what [`SequenceReplay::save`] wrote, into a replay made alike that was begun.
    ///
    /// # Errors
    /// Damaged bytes, or those of a replay with other settings.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        if self.alive.is_empty() {
            return Err(Error::NotBegun);
        }
        let c = self.config;
        let mut made = [0; 4];
        from.u64s(&mut made)?;
        let own = [c.n_slots() as u64, c.n_envs as u64, c.memory_width as u64, u64::from(c.gamma.to_bits())];
        if made != own {
            return Err(from.error("it is a replay of sequences with other settings").into());
        }
        let mut counts = [0; 3];
        from.u64s(&mut counts)?;
        let [pushed, n_ends, n_starts] = counts;
        let cells = (c.n_slots() * c.n_envs) as u64;
        if pushed > 1 << 62 || n_ends > cells || n_starts > cells {
            return Err(from.error(format!("{pushed} pushes with {n_ends} ends cannot be")).into());
        }
        self.pushed = pushed;
        for alive in &mut self.alive {
            from.bools(alive)?;
        }
        let filled = self.filled_rows();
        let (slots, seen) = (c.n_slots(), c.n_slots() + 1);
        for g in &mut self.ring.groups {
            from.f32s(head_mut(&mut g.obs, filled, seen))?;
            from.u32s(head_mut(&mut g.mask, filled, seen))?;
            from.u32s(head_mut(&mut g.action, filled, slots))?;
            for column in [&mut g.action_continuous, &mut g.reward, &mut g.discount] {
                from.f32s(head_mut(column, filled, slots))?;
            }
            from.bools(head_mut(&mut g.valid, filled, slots))?;
        }
        from.f32s(head_mut(&mut self.ring.state, filled, seen))?;
        from.bools(head_mut(&mut self.ring.is_first, filled, seen))?;
        from.f32s(head_mut(&mut self.ring.team_reward, filled, slots))?;
        from.f32s(head_mut(&mut self.ring.team_discount, filled, slots))?;
        from.f32s(head_mut(&mut self.memory, filled, slots))?;
        let oldest = self.oldest();
        let read = |from: &mut Reader<'_>, n: u64, to: &mut VecDeque<(u64, u32)>| -> Result<()> {
            to.clear();
            for _ in 0..n {
                let (t, env) = (from.u64()?, from.u32()?);
                let ordered = to.back().is_none_or(|&last| last < (t, env));
                if t < oldest || t > pushed || env as usize >= c.n_envs || !ordered {
                    return Err(from.error("an episode begins or ends where nothing is stored").into());
                }
                to.push_back((t, env));
            }
            Ok(())
        };
        read(from, n_ends, &mut self.ends)?;
        read(from, n_starts, &mut self.starts)?;
        let (values, masks) = self.end_widths();
        self.end_values.clear();
        for _ in 0..n_ends as usize * values {
            self.end_values.push_back(from.f32()?);
        }
        self.end_masks.clear();
        for _ in 0..n_ends as usize * masks {
            self.end_masks.push_back(from.u32()?);
        }
        Ok(())
    }
}

/// Copies row `from` to row `to`, of columns with so many rows each.
fn copy<T: Copy>(ring: &[T], from: usize, out: &mut [T], to: usize, rows: (usize, usize)) {
    let width = ring.len() / rows.0;
    debug_assert_eq!(width, out.len() / rows.1, "columns of one width");
    out[to * width..(to + 1) * width].copy_from_slice(&ring[from * width..(from + 1) * width]);
}

/// The first `filled` of `rows` equal rows.
fn head<T>(column: &[T], filled: usize, rows: usize) -> &[T] {
    &column[..column.len() / rows * filled]
}

fn head_mut<T>(column: &mut [T], filled: usize, rows: usize) -> &mut [T] {
    let len = column.len() / rows * filled;
    &mut column[..len]
}
