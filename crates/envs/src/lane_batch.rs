//! Many copies of [`Rules`], sixteen to a block: the fast form of an environment.
//!
//! The variables of a block are one [`Lanes`] a place, so a step is plain arithmetic on lanes, compiled for the
//! widest vectors that the machine has. Each block goes from actions to observations before the next one is
//! touched and stays in the nearest cache. Equal, bit for bit, to [`crate::Vectorized`] copies of
//! [`crate::rules::OneCopy`].

// Loops over one index of several arrays are what the vectorizer sees through best.
#![allow(clippy::needless_range_loop)]

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionBatch, ActionSpace, BatchEnv, EnvSpec, Error, GroupSpec, Purpose, Result, RewardKind, StepBatch,
    Stream,
};
use pulp::{Arch, Simd, WithSimd};

use crate::columns::Columns;
use crate::real::{LaneInt, LaneMask, Lanes, Real, WIDTH};
use crate::rules::{ActionsOf, Outcome, Rules, check_components};
use crate::vectorized::{check_copies, check_limit};

/// Numbers written per step above which a second thread is worth waking: about 0.2 ms of work.
const PARALLEL_ABOVE: usize = 1 << 19;

/// `E` copies of an environment given by [`Rules`].
#[derive(Debug)]
pub struct LaneBatch<T: Rules> {
    rules: T,
    places: Vec<Place>,
    n_envs: usize,
    seed: u64,
    /// Consecutive environments, each part a multiple of sixteen but the last.
    parts: Vec<Part>,
}

/// Some blocks and the memory to step them: what one thread works on.
#[derive(Debug, Clone)]
struct Part {
    first_env: usize,
    n_envs: usize,
    blocks: Vec<Block>,
    work: Work,
    /// Environment, agent and value of the first variable that is not finite.
    fault: Option<(usize, usize, f32)>,
}

/// Sixteen copies.
#[derive(Debug, Clone)]
struct Block {
    vars: Vec<Lanes>,
    alive: Vec<LaneMask>,
    elapsed: [u32; WIDTH],
    episode: [u64; WIDTH],
}

/// Memory that a step uses and forgets.
#[derive(Debug, Clone)]
struct Work {
    discrete: Vec<LaneInt>,
    continuous: Vec<Lanes>,
    reward: Vec<Lanes>,
    terminated: Vec<LaneMask>,
    scratch: Vec<Lanes>,
    tile: Vec<Lanes>,
    row: Vec<f32>,
}

/// Where the agents of a group are among all agents, and their widths.
#[derive(Debug, Clone, Copy)]
struct Place {
    first_agent: usize,
    n_agents: usize,
    obs_width: usize,
    discrete: bool,
    first_component: usize,
    n_components: usize,
}

impl Place {
    fn all(spec: &EnvSpec) -> Vec<Self> {
        let (mut first_agent, mut first_component) = (0, 0);
        let place = |g: &GroupSpec| {
            let n_components = g.action.n_continuous();
            let place = Self {
                first_agent,
                n_agents: g.n_agents,
                obs_width: g.obs_width(),
                discrete: g.action.n_discrete() > 0,
                first_component,
                n_components,
            };
            first_agent += g.n_agents;
            first_component += g.n_agents * n_components;
            place
        };
        spec.groups.iter().map(place).collect()
    }
}

/// What a step needs to know, the same for all parts.
struct Call<'a, T: Rules> {
    rules: &'a T,
    places: &'a [Place],
    seed: u64,
    /// None for a reset.
    actions: Option<&'a ActionBatch>,
}

impl<T: Rules> Clone for Call<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Rules> Copy for Call<'_, T> {}

impl<T: Rules> LaneBatch<T> {
    /// `n_envs` copies.
    ///
    /// # Errors
    /// No copies, or too many.
    pub fn new(rules: T, n_envs: usize) -> Result<Self> {
        check_copies(n_envs)?;
        let spec = rules.spec();
        let n_agents = spec.n_agents();
        let width: usize = spec.groups.iter().map(|g| g.n_agents * g.obs_width()).sum();
        let block = Block {
            vars: vec![Lanes::of(0.0); rules.n_vars()],
            alive: vec![LaneMask([u32::MAX; WIDTH]); n_agents],
            elapsed: [0; WIDTH],
            episode: [0; WIDTH],
        };
        let work = Work {
            discrete: vec![LaneInt([0; WIDTH]); n_agents],
            continuous: vec![Lanes::of(0.0); spec.n_continuous()],
            reward: vec![Lanes::of(0.0); n_agents],
            terminated: vec![LaneMask([0; WIDTH]); n_agents],
            scratch: vec![Lanes::of(0.0); rules.n_scratch()],
            tile: vec![Lanes::of(0.0); width],
            row: vec![0.0; rules.n_vars()],
        };
        let numbers = width + 4 * n_agents + rules.n_vars();
        let per_part = (PARALLEL_ABOVE / 2 / numbers).max(1).next_multiple_of(WIDTH);
        let parts = (0..n_envs).step_by(per_part).map(|first_env| {
            let n = per_part.min(n_envs - first_env);
            let blocks = vec![block.clone(); n.div_ceil(WIDTH)];
            Part { first_env, n_envs: n, blocks, work: work.clone(), fault: None }
        });
        let parts = parts.collect();
        let places = Place::all(rules.spec());
        Ok(Self { rules, places, n_envs, seed: 0, parts })
    }

    /// Runs all parts, on several threads if there is more than one.
    fn run(&mut self, actions: Option<&ActionBatch>, out: &mut StepBatch) -> Result<()> {
        let call = Call { rules: &self.rules, places: &self.places, seed: self.seed, actions };
        let columns = Columns::of(self.rules.spec(), out);
        run_parts(call, &mut self.parts, columns);
        match self.parts.iter_mut().find_map(|part| part.fault.take()) {
            Some((env, agent, value)) => Err(Error::NonFinite { what: "state", env, agent, value }),
            None => Ok(()),
        }
    }

    /// The block and the lane of a copy.
    fn place(&self, env: usize) -> (&Block, usize) {
        let per_part = self.parts[0].n_envs;
        let part = &self.parts[env / per_part];
        let at = env % per_part;
        (&part.blocks[at / WIDTH], at % WIDTH)
    }
}

fn run_parts<T: Rules>(call: Call<'_, T>, parts: &mut [Part], columns: Columns<'_>) {
    match parts {
        [] => {}
        [part] if T::AVX512 && !cfg!(test) => Arch::new().dispatch(Job { call, part, columns }),
        [part] => up_to_avx2(Job { call, part, columns }),
        _ => {
            let (left, right) = parts.split_at_mut(parts.len() / 2);
            let n_left = right[0].first_env - left[0].first_env;
            let (left_columns, right_columns) = columns.split_at(call.rules.spec(), n_left);
            rayon::join(|| run_parts(call, left, left_columns), || run_parts(call, right, right_columns));
        }
    }
}

/// Runs `job` compiled for this machine, with vectors of at most 256 bits (see [`Rules::AVX512`]). Unit tests do with portable
/// code, so that the rest is compiled once; integration tests see all of it.
pub(crate) fn up_to_avx2<J: WithSimd>(job: J) -> J::Output {
    if cfg!(test) {
        return Simd::vectorize(pulp::Scalar::new(), job);
    }
    #[cfg(target_arch = "x86_64")]
    match pulp::x86::V3::try_new() {
        Some(v3) => Simd::vectorize(v3, job),
        None => Simd::vectorize(pulp::Scalar::new(), job),
    }
    #[cfg(not(target_arch = "x86_64"))]
    Arch::new().dispatch(job)
}

/// One part of a step, to be compiled for each instruction set.
struct Job<'a, 'b, T: Rules> {
    call: Call<'a, T>,
    part: &'a mut Part,
    columns: Columns<'b>,
}

impl<T: Rules> WithSimd for Job<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) {
        match self.call.actions {
            None => self.part.reset(self.call, &mut self.columns),
            Some(actions) => self.part.step(self.call, actions, &mut self.columns),
        }
    }
}

impl Part {
    /// Environments in block `b`.
    #[inline(always)]
    fn lanes_of(&self, b: usize) -> usize {
        WIDTH.min(self.n_envs - b * WIDTH)
    }

    #[inline(always)]
    fn reset<T: Rules>(&mut self, call: Call<'_, T>, out: &mut Columns<'_>) {
        out.fill_flags(true);
        for b in 0..self.blocks.len() {
            let lanes = self.lanes_of(b);
            let block = &mut self.blocks[b];
            block.episode = [0; WIDTH];
            for lane in 0..WIDTH {
                block.begin(call, self.first_env + b * WIDTH + lane, lane, &mut self.work.row);
            }
            self.work.reward.fill(Lanes::of(0.0));
            self.work.write_rewards(call, out, b * WIDTH, lanes);
            self.work.write_view(call, &block.vars, out, b * WIDTH, lanes);
        }
        copy_state::<T>(out);
    }

    #[inline(always)]
    fn step<T: Rules>(&mut self, call: Call<'_, T>, actions: &ActionBatch, out: &mut Columns<'_>) {
        let spec = call.rules.spec();
        let limit = spec.episode_limit.unwrap_or(u32::MAX);
        let common = spec.reward == RewardKind::Common;
        out.fill_flags(false);
        for b in 0..self.blocks.len() {
            let lanes = self.lanes_of(b);
            let (block, work, env) = (&mut self.blocks[b], &mut self.work, b * WIDTH);
            work.fetch(call, actions, self.first_env + env, lanes);
            let given = ActionsOf { discrete: &work.discrete, continuous: &work.continuous };
            let outcome = Outcome { reward: &mut work.reward, terminated: &mut work.terminated };
            call.rules.advance::<Lanes>(&mut block.vars, &block.alive, given, outcome, &mut work.scratch);
            if !finite(&block.vars) && self.fault.is_none() {
                self.fault = block.fault(call.rules, self.first_env + env, lanes);
            }
            // Whether somebody acts, whether everybody does.
            let (mut some, mut every) = (LaneMask([0; WIDTH]), LaneMask([u32::MAX; WIDTH]));
            for (agent, alive) in block.alive.iter_mut().enumerate() {
                if !common {
                    work.reward[agent] = Lanes::select(*alive, work.reward[agent], Lanes::of(0.0));
                }
                work.terminated[agent] = Lanes::and(work.terminated[agent], *alive);
                *alive = without(*alive, work.terminated[agent]);
                some = Lanes::or(some, *alive);
                every = Lanes::and(every, *alive);
            }
            // One bit a lane: the episode is over; it is, or somebody does not act.
            let (mut over, mut special) = (0_u32, 0_u32);
            for lane in 0..WIDTH {
                block.elapsed[lane] += 1;
                let late = if block.elapsed[lane] >= limit { u32::MAX } else { 0 };
                let ends = late | !some.0[lane];
                over |= ends & 1 << lane;
                special |= (ends | !every.0[lane]) & 1 << lane;
            }
            work.write_rewards(call, out, env, lanes);
            if special != 0 {
                if !T::OBSERVES_VARS && over != 0 {
                    work.observe_all(call, &block.vars);
                }
                while special != 0 {
                    let lane = special.trailing_zeros() as usize;
                    special &= special - 1;
                    let ends = over >> lane & 1 == 1;
                    if lane < lanes {
                        work.write_flags(call, block, out, env + lane, (lane, ends));
                    }
                    if ends {
                        if lane < lanes {
                            work.write_last(call, block, out, env + lane, lane);
                        }
                        block.episode[lane] += 1;
                        block.begin(call, self.first_env + env + lane, lane, &mut work.row);
                    }
                }
            }
            work.write_view(call, &block.vars, out, env, lanes);
        }
        copy_state::<T>(out);
    }
}

impl Block {
    /// Starts the current episode of one lane.
    #[inline(never)]
    fn begin<T: Rules>(&mut self, call: Call<'_, T>, env: usize, lane: usize, row: &mut [f32]) {
        let mut rng = Stream::new(call.seed, Purpose::Reset, env as u32, self.episode[lane]);
        call.rules.begin(&mut rng, row);
        for (var, value) in self.vars.iter_mut().zip(row) {
            var.0[lane] = *value;
        }
        self.alive.iter_mut().for_each(|alive| alive.0[lane] = u32::MAX);
        self.elapsed[lane] = 0;
    }

    /// Names the first variable that is not finite.
    #[cold]
    fn fault<T: Rules>(&self, rules: &T, first_env: usize, lanes: usize) -> Option<(usize, usize, f32)> {
        let find = |lane: usize| {
            let var = self.vars.iter().position(|v| !v.0[lane].is_finite())?;
            Some((first_env + lane, rules.owner(var), self.vars[var].0[lane]))
        };
        (0..lanes).find_map(find)
    }
}

impl Work {
    /// Gathers the actions of sixteen environments from `env` on.
    #[inline(always)]
    fn fetch<T: Rules>(&mut self, call: Call<'_, T>, actions: &ActionBatch, env: usize, lanes: usize) {
        for (g, place) in call.places.iter().enumerate() {
            let n = place.n_agents;
            if place.discrete {
                let rows = &actions.discrete[g][env * n..(env + lanes) * n];
                let to = &mut self.discrete[place.first_agent..place.first_agent + n];
                if let ([one], Ok(all)) = (&mut *to, <&[u32; WIDTH]>::try_from(rows)) {
                    one.0 = *all;
                    continue;
                }
                for (lane, row) in (0..WIDTH).zip(rows.chunks_exact(n)) {
                    to.iter_mut().zip(row).for_each(|(to, action)| to.0[lane] = *action);
                }
            } else {
                let width = n * place.n_components;
                let rows = &actions.continuous[g][env * width..(env + lanes) * width];
                let to = &mut self.continuous[place.first_component..place.first_component + width];
                for (lane, row) in (0..WIDTH).zip(rows.chunks_exact(width)) {
                    to.iter_mut().zip(row).for_each(|(to, component)| to.0[lane] = *component);
                }
            }
        }
    }

    /// Rewards.
    #[inline(always)]
    fn write_rewards<T: Rules>(&self, call: Call<'_, T>, out: &mut Columns<'_>, env: usize, lanes: usize) {
        for (place, column) in call.places.iter().zip(out.groups.iter_mut().flatten()) {
            let n = place.n_agents;
            let rows = &mut column.reward[env * n..(env + lanes) * n];
            let from = &self.reward[place.first_agent..place.first_agent + n];
            if let ([one], Ok(all)) = (from, <&mut [f32; WIDTH]>::try_from(&mut *rows)) {
                *all = one.0;
                continue;
            }
            for (lane, row) in (0..WIDTH).zip(rows.chunks_exact_mut(n)) {
                row.iter_mut().zip(from).for_each(|(to, reward)| *to = reward.0[lane]);
            }
        }
    }

    /// Who ended and who acts, for an environment in which somebody does not act or the episode is over.
    #[inline(always)]
    fn write_flags<T: Rules>(
        &self,
        call: Call<'_, T>,
        block: &Block,
        out: &mut Columns<'_>,
        env: usize,
        (lane, over): (usize, bool),
    ) {
        let mut some = 0;
        for (place, column) in call.places.iter().zip(out.groups.iter_mut().flatten()) {
            for a in 0..place.n_agents {
                let (agent, row) = (place.first_agent + a, env * place.n_agents + a);
                some |= block.alive[agent].0[lane];
                column.terminated[row] = self.terminated[agent].0[lane] & 1 == 1;
                column.alive[row] = over | (block.alive[agent].0[lane] & 1 == 1);
            }
        }
        out.truncated[env] = over & (some & 1 == 1);
        out.is_first[env] = over;
    }

    /// Observations of all agents into the tile, one agent after the other.
    #[inline(always)]
    fn observe_all<T: Rules>(&mut self, call: Call<'_, T>, vars: &[Lanes]) {
        let mut at = 0;
        for place in call.places {
            for agent in place.first_agent..place.first_agent + place.n_agents {
                let tile = &mut self.tile[at..at + place.obs_width];
                call.rules.observe::<Lanes>(vars, agent, tile);
                at += place.obs_width;
            }
        }
    }

    /// Observations of all agents, and the state.
    #[inline(always)]
    fn write_view<T: Rules>(
        &mut self,
        call: Call<'_, T>,
        vars: &[Lanes],
        out: &mut Columns<'_>,
        env: usize,
        lanes: usize,
    ) {
        for (place, column) in call.places.iter().zip(out.groups.iter_mut().flatten()) {
            let (n, d) = (place.n_agents, place.obs_width);
            let rows = &mut column.obs[env * n * d..(env + lanes) * n * d];
            for (a, tile) in self.tile[..n * d].chunks_exact_mut(d.max(1)).enumerate() {
                call.rules.observe::<Lanes>(vars, place.first_agent + a, tile);
            }
            transpose(&self.tile[..n * d], rows);
        }
        if !T::OBSERVES_VARS {
            let s = vars.len();
            transpose(vars, &mut out.state[env * s..(env + lanes) * s]);
        }
    }

    /// The last view of one environment; the tile holds the observations, unless they are the variables.
    #[inline(always)]
    fn write_last<T: Rules>(
        &self,
        call: Call<'_, T>,
        block: &Block,
        out: &mut Columns<'_>,
        env: usize,
        lane: usize,
    ) {
        let mut tile = if T::OBSERVES_VARS { &block.vars[..] } else { &self.tile[..] };
        for (place, column) in call.places.iter().zip(out.groups.iter_mut().flatten()) {
            let width = place.n_agents * place.obs_width;
            let (mine, rest) = tile.split_at(width);
            let row = &mut column.final_obs[env * width..(env + 1) * width];
            row.iter_mut().zip(mine).for_each(|(x, t)| *x = t.0[lane]);
            tile = rest;
        }
        let s = block.vars.len();
        let row = &mut out.final_state[env * s..(env + 1) * s];
        row.iter_mut().zip(&block.vars).for_each(|(x, v)| *x = v.0[lane]);
    }
}

/// The state of all environments where it is what agents see.
#[inline(always)]
fn copy_state<T: Rules>(out: &mut Columns<'_>) {
    if let (true, [Some(group), ..]) = (T::OBSERVES_VARS, &out.groups) {
        out.state.copy_from_slice(group.obs);
    }
}

/// `a` where `b` does not hold.
#[inline(always)]
fn without(a: LaneMask, b: LaneMask) -> LaneMask {
    let mut out = [0; WIDTH];
    for lane in 0..WIDTH {
        out[lane] = a.0[lane] & !b.0[lane];
    }
    LaneMask(out)
}

/// Largest absolute value that a saved variable may have: far beyond what any episode reaches.
const MOST_SAVED: f32 = 1e9;

/// Whether all variables of all lanes are finite.
#[inline(always)]
fn finite(vars: &[Lanes]) -> bool {
    // x * 0 is 0 for finite x and NaN for all others, and NaN stays.
    let sum = vars.iter().fold(Lanes::of(0.0), |sum, v| sum + *v * Lanes::of(0.0));
    let mut bad = 0;
    for lane in 0..WIDTH {
        bad |= u32::from(sum.0[lane].is_nan());
    }
    bad == 0
}

/// Writes a tile (one entry a column) into rows `[lanes, columns]`.
#[inline(always)]
fn transpose(tile: &[Lanes], rows: &mut [f32]) {
    let width = tile.len();
    let Some(last) = width.checked_sub(8) else {
        for (lane, row) in (0..WIDTH).zip(rows.chunks_exact_mut(width.max(1))) {
            row.iter_mut().zip(tile).for_each(|(to, column)| *to = column.0[lane]);
        }
        return;
    };
    let mut first = 0;
    while first <= last {
        // The last eight columns overlap those before them, which costs less than a remainder of another width.
        let eight = transpose_eight(&tile[first..first + 8]);
        for (from, row) in eight.iter().zip(rows.chunks_exact_mut(width)) {
            row[first..first + 8].copy_from_slice(from);
        }
        first = if first < last { last.min(first + 8) } else { width };
    }
}

/// Eight columns as sixteen rows; compiles to shuffles.
#[inline(always)]
fn transpose_eight(columns: &[Lanes]) -> [[f32; 8]; WIDTH] {
    let mut rows = [[0.0; 8]; WIDTH];
    for lane in 0..WIDTH {
        for k in 0..8 {
            rows[lane][k] = columns[k].0[lane];
        }
    }
    rows
}

/// Refuses an action outside its space.
fn check_actions(spec: &EnvSpec, actions: &ActionBatch) -> Result<()> {
    let mut first = 0;
    for (g, group) in spec.groups.iter().enumerate() {
        let n = group.n_agents;
        match group.action {
            ActionSpace::Discrete { n: n_actions } => {
                let top = actions.discrete[g].iter().fold(0, |top: u32, a| top.max(*a));
                if top as usize >= n_actions {
                    let bad = |a: &u32| *a as usize >= n_actions;
                    let row = actions.discrete[g].iter().position(bad).unwrap_or(0);
                    let (env, agent) = (row / n, first + row % n);
                    let action = actions.discrete[g][row];
                    return Err(Error::BadAction { env, agent, action, n_actions });
                }
            }
            ActionSpace::Continuous { .. } => check_components(group, first, &actions.continuous[g])?,
        }
        first += n;
    }
    Ok(())
}

impl<T: Rules> BatchEnv for LaneBatch<T> {
    fn spec(&self) -> &EnvSpec {
        self.rules.spec()
    }

    fn n_envs(&self) -> usize {
        self.n_envs
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        self.seed = seed;
        self.run(None, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        check_actions(self.rules.spec(), actions)?;
        self.run(Some(actions), out)
    }

    fn limit_episodes(&mut self, max_steps: u32) -> Result<()> {
        self.rules.set_limit(check_limit(self.rules.spec(), max_steps)?);
        Ok(())
    }

    fn scene(&self, env: usize) -> Scene {
        let (block, lane) = self.place(env);
        let vars: Vec<f32> = block.vars.iter().map(|v| v.0[lane]).collect();
        let alive: Vec<bool> = block.alive.iter().map(|a| a.0[lane] != 0).collect();
        self.rules.scene(&vars, &alive, block.elapsed[lane])
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.seed);
        out.u64(self.n_envs as u64);
        for block in self.parts.iter().flat_map(|part| &part.blocks) {
            block.vars.iter().for_each(|v| out.f32s(&v.0));
            block.alive.iter().for_each(|a| out.u32s(&a.0));
            out.u32s(&block.elapsed);
            out.u64s(&block.episode);
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.seed = from.u64()?;
        let n = from.u64()?;
        if n != self.n_envs as u64 {
            return Err(from.error(format!("it holds {n} environments, this batch has {}", self.n_envs)));
        }
        for block in self.parts.iter_mut().flat_map(|part| &mut part.blocks) {
            for var in &mut block.vars {
                from.f32s(&mut var.0)?;
                // Their squares would overflow in rewards, which are not looked at one by one. (A step names what is no
                // number at all.)
                if let Some(bad) = var.0.iter().find(|v| v.abs() > MOST_SAVED) {
                    return Err(from.error(format!("{bad} in the state, which no episode reaches")));
                }
            }
            block.alive.iter_mut().try_for_each(|a| from.u32s(&mut a.0))?;
            if block.alive.iter().flat_map(|a| a.0).any(|word| word != 0 && word != u32::MAX) {
                return Err(from.error("a truth value is neither true nor false"));
            }
            from.u32s(&mut block.elapsed)?;
            from.u64s(&mut block.episode)?;
        }
        Ok(())
    }
}

// Shared with integration tests.
#[cfg(test)]
#[path = "../tests/tasks/forms.rs"]
mod forms;
#[cfg(test)]
#[path = "../tests/tasks/mod.rs"]
mod tasks;

/// Unit tests compile lanes as portable code, integration tests for the vectors of the machine: both compare with single
/// copies, and so with each other.
#[cfg(test)]
mod tests {
    use super::{forms, tasks};

    #[test]
    fn without_vectors_every_task_gives_the_same_bits_too() {
        for task in tasks::all() {
            forms::compare(&task, 2, 10_000);
            forms::compare(&task, 19, 300);
        }
    }
}
