//! Carts that are not joined, as struct of arrays: the fast form of `cartpole` with `coupling = "none"`.
//!
//! One row a cart, rows in the order of the columns `[E, A]`; each loop runs over rows of plain arrays, which
//! compilers vectorize. Equal, bit for bit, to single copies. Not here: springs (see [`crate::LaneBatch`]).

// Loops over one index of several arrays are what the vectorizer sees through best.
#![allow(clippy::needless_range_loop)]

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{counter_of, key_of, philox4x32, unit_f32};
use coact_core::scene::Scene;
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Error, Purpose, Result, StepBatch};
use pulp::{Simd, WithSimd};

use super::physics::CartPolePhysics;
use super::{CartPole, Coupling};
use crate::lane_batch::up_to_avx2;
use crate::real::Formula;
use crate::rules::Rules;
use crate::vectorized::{check_copies, check_limit};

/// Environments that go from actions to observations together: their rows stay in the nearest cache.
const CHUNK: usize = 256;

/// Carts that start together; their random draws share vector registers.
const STARTING: usize = 16;

/// `E` copies of independent carts.
#[derive(Debug)]
pub struct CartPoleBatch {
    rules: CartPole,
    n_envs: usize,
    seed: u64,
    carts: Carts,
    /// Steps since the start of the episode, `[E]`.
    elapsed: Vec<u32>,
    /// Number of the episode, `[E]`.
    episode: Vec<u64>,
    /// [`DOWN`] and [`LATE`] of each environment, in whole blocks of 64 and 0 beyond `E`; used within a step.
    marks: Vec<u8>,
    /// Environments of a chunk that need attention, and then those that start an episode; used within a step.
    listed: Vec<u32>,
}

/// Mark of an environment in which a pole is down.
const DOWN: u8 = 1;
/// Mark of an environment that reached its limit of steps.
const LATE: u8 = 2;

/// One entry a cart, `[E, A]`.
#[derive(Debug)]
struct Carts {
    x: Vec<f32>,
    v: Vec<f32>,
    theta: Vec<f32>,
    omega: Vec<f32>,
    /// 1 if the pole is up, else 0.
    alive: Vec<u32>,
    /// 1 if the pole fell in this step, else 0; used within a step.
    fell: Vec<u32>,
}

impl CartPoleBatch {
    /// `n_envs` copies of `rules`.
    ///
    /// # Errors
    /// No copies, too many, or carts that are joined.
    pub fn new(rules: CartPole, n_envs: usize) -> Result<Self> {
        check_copies(n_envs)?;
        if rules.coupling != Coupling::None {
            return Err(Error::invalid("cartpole: this batch has no springs; set coupling to none"));
        }
        let rows = n_envs * rules.spec().n_agents();
        let carts = Carts {
            x: vec![0.0; rows],
            v: vec![0.0; rows],
            theta: vec![0.0; rows],
            omega: vec![0.0; rows],
            alive: vec![1; rows],
            fell: vec![0; rows],
        };
        let (elapsed, episode) = (vec![0; n_envs], vec![0; n_envs]);
        let marks = vec![0; n_envs.next_multiple_of(64)];
        Ok(Self { rules, n_envs, seed: 0, carts, elapsed, episode, marks, listed: vec![0; CHUNK] })
    }

    fn n_agents(&self) -> usize {
        self.rules.spec().groups[0].n_agents
    }

    /// Starts the current episodes of the first `n_listed` listed environments: four draws a cart, as
    /// [`Rules::begin`] draws them.
    #[inline(always)]
    fn begin(&mut self, n_listed: usize) {
        let (n, key) = (self.n_agents(), key_of(self.seed));
        let mut counters = [[0; 4]; STARTING];
        let mut rows = [0; STARTING];
        let mut waiting = 0;
        for i in 0..n_listed {
            let env = self.listed[i] as usize;
            self.elapsed[env] = 0;
            for agent in 0..n {
                rows[waiting] = env * n + agent;
                counters[waiting] = counter_of(Purpose::Reset, env as u32, self.episode[env], agent as u32);
                waiting += 1;
                if waiting == STARTING || (i + 1 == n_listed && agent + 1 == n) {
                    let states = starts(&counters, key);
                    for (&row, state) in rows.iter().zip(states).take(waiting) {
                        self.carts.put(row, state);
                    }
                    waiting = 0;
                }
            }
        }
    }

    /// One step of all environments. Returns whether all states are finite.
    #[inline(always)]
    fn advance(&mut self, actions: &[u32], out: &mut StepBatch) -> bool {
        let n = self.n_agents();
        let limit = self.rules.spec().episode_limit.unwrap_or(u32::MAX);
        let group = &mut out.groups[0];
        out.truncated.fill(false);
        out.is_first.fill(false);
        group.terminated.fill(false);
        group.alive.fill(true);
        let mut finite = true;
        for first in (0..self.n_envs).step_by(CHUNK) {
            let last = self.n_envs.min(first + CHUNK);
            let (from, to) = (first * n, last * n);
            let (actions, reward) = (&actions[from..to], &mut out.groups[0].reward[from..to]);
            let (elapsed, marks) = (&mut self.elapsed[first..last], &mut self.marks[first..last]);
            if n == 1 {
                finite &= self.carts.advance_alone(&self.rules.physics, actions, from, elapsed, limit, marks);
                reward.fill(1.0);
            } else {
                finite &= self.carts.advance(&self.rules.physics, actions, reward, from);
                mark(&self.carts.alive[from..to], elapsed, limit, marks);
            }
            let n_listed = self.list(first, last);
            let n_over =
                if n == 1 { self.finish_alone(n_listed, out) } else { self.finish(n_listed, n, out) };
            self.begin(n_over);
            let obs = &mut out.groups[0].obs[4 * from..4 * to];
            self.carts.observe(obs, from, to);
            out.state[4 * from..4 * to].copy_from_slice(obs);
        }
        finite
    }

    /// Lists the marked environments of a chunk and returns how many there are.
    #[inline(always)]
    fn list(&mut self, first: usize, last: usize) -> usize {
        let mut n_listed = 0;
        for block in (first..last).step_by(64) {
            // One branch guessed wrong in 64 environments, where a branch an environment guesses wrong at every end.
            let mut bits = bits_of(&self.marks[block..block + 64]);
            while bits != 0 {
                self.listed[n_listed] = block as u32 + bits.trailing_zeros();
                n_listed += 1;
                bits &= bits - 1;
            }
        }
        n_listed
    }

    /// Writes flags of the listed environments and keeps those listed whose episode is over. Returns how many.
    #[inline(always)]
    fn finish(&mut self, n_listed: usize, n: usize, out: &mut StepBatch) -> usize {
        let group = &mut out.groups[0];
        let mut n_over = 0;
        for i in 0..n_listed {
            let env = self.listed[i] as usize;
            let rows = env * n..(env + 1) * n;
            let mut acting = 0;
            for row in rows.clone() {
                acting |= self.carts.alive[row];
                group.terminated[row] = self.carts.fell[row] == 1;
                group.alive[row] = self.carts.alive[row] == 1;
            }
            let truncated = acting == 1 && self.marks[env] & LATE != 0;
            if acting == 1 && !truncated {
                continue;
            }
            out.truncated[env] = truncated;
            out.is_first[env] = true;
            self.carts.observe(&mut group.final_obs[4 * rows.start..4 * rows.end], rows.start, rows.end);
            self.carts.observe(&mut out.final_state[4 * rows.start..4 * rows.end], rows.start, rows.end);
            group.alive[rows].fill(true);
            self.episode[env] += 1;
            self.listed[n_over] = env as u32;
            n_over += 1;
        }
        n_over
    }

    /// The same for environments of one cart, all of whose listed episodes are over.
    #[inline(always)]
    fn finish_alone(&mut self, n_listed: usize, out: &mut StepBatch) -> usize {
        let group = &mut out.groups[0];
        let final_obs = group.final_obs.as_chunks_mut::<4>().0;
        let final_state = out.final_state.as_chunks_mut::<4>().0;
        for &env in &self.listed[..n_listed] {
            let env = env as usize;
            let last = self.carts.get(env);
            final_obs[env] = last;
            final_state[env] = last;
            let down = self.marks[env] & DOWN != 0;
            group.terminated[env] = down;
            out.truncated[env] = !down;
            out.is_first[env] = true;
            self.episode[env] += 1;
        }
        n_listed
    }

    fn fault(&self) -> Error {
        let n = self.n_agents();
        for row in 0..self.carts.x.len() {
            let now = self.carts.get(row);
            if let Some(&value) = now.iter().find(|v| !v.is_finite()) {
                return Error::NonFinite { what: "state", env: row / n, agent: row % n, value };
            }
        }
        Error::invalid("a state of cartpole was not finite in the step in which its episode ended")
    }
}

impl Carts {
    #[inline(always)]
    fn put(&mut self, row: usize, [x, v, theta, omega]: [f32; 4]) {
        self.x[row] = x;
        self.v[row] = v;
        self.theta[row] = theta;
        self.omega[row] = omega;
        self.alive[row] = 1;
    }

    #[inline(always)]
    fn get(&self, row: usize) -> [f32; 4] {
        [self.x[row], self.v[row], self.theta[row], self.omega[row]]
    }

    /// The carts of several agents from row `from` on by one step; who has fallen stays where it is.
    #[inline(always)]
    fn advance(
        &mut self,
        physics: &CartPolePhysics,
        actions: &[u32],
        reward: &mut [f32],
        from: usize,
    ) -> bool {
        let n = actions.len();
        let (x, v) = (&mut self.x[from..from + n], &mut self.v[from..from + n]);
        let (theta, omega) = (&mut self.theta[from..from + n], &mut self.omega[from..from + n]);
        let (alive, fell) = (&mut self.alive[from..from + n], &mut self.fell[from..from + n]);
        assert_eq!(reward.len(), n);
        let mut bad = 0;
        for i in 0..n {
            let next: [f32; 4] = physics.of([x[i], v[i], theta[i], omega[i], force(actions[i])]);
            let fallen = CartPolePhysics::fallen::<f32>(next);
            let up = 0_u32.wrapping_sub(alive[i]);
            x[i] = choose(up, next[0], x[i]);
            v[i] = choose(up, next[1], v[i]);
            theta[i] = choose(up, next[2], theta[i]);
            omega[i] = choose(up, next[3], omega[i]);
            // Also of who has fallen: after a step that failed, the next one must fail too.
            bad |= not_finite([x[i], v[i], theta[i], omega[i]]);
            reward[i] = alive[i] as f32;
            fell[i] = u32::from(fallen) & alive[i];
            alive[i] &= u32::from(!fallen);
        }
        bad == 0
    }

    /// Carts of one agent each from row `from` on by one step. None waits for another, so nothing is chosen, and
    /// steps are counted and ends marked on the way.
    #[inline(always)]
    fn advance_alone(
        &mut self,
        physics: &CartPolePhysics,
        actions: &[u32],
        from: usize,
        elapsed: &mut [u32],
        limit: u32,
        marks: &mut [u8],
    ) -> bool {
        let n = actions.len();
        let (x, v) = (&mut self.x[from..from + n], &mut self.v[from..from + n]);
        let (theta, omega) = (&mut self.theta[from..from + n], &mut self.omega[from..from + n]);
        assert_eq!([elapsed.len(), marks.len()], [n; 2]);
        let mut bad = 0;
        for i in 0..n {
            let next: [f32; 4] = physics.of([x[i], v[i], theta[i], omega[i], force(actions[i])]);
            let fallen = CartPolePhysics::fallen::<f32>(next);
            bad |= not_finite(next);
            [x[i], v[i], theta[i], omega[i]] = next;
            elapsed[i] += 1;
            marks[i] = (DOWN * u8::from(fallen)) | (LATE * u8::from(elapsed[i] >= limit));
        }
        bad == 0
    }

    /// Rows `from..to` as `[rows, 4]`.
    #[inline(always)]
    fn observe(&self, obs: &mut [f32], from: usize, to: usize) {
        let (x, v) = (&self.x[from..to], &self.v[from..to]);
        let (theta, omega) = (&self.theta[from..to], &self.omega[from..to]);
        let rows = obs.as_chunks_mut::<4>().0;
        let n = rows.len();
        assert!([x.len(), v.len(), theta.len(), omega.len()] == [n; 4]);
        for i in 0..n {
            rows[i] = [x[i], v[i], theta[i], omega[i]];
        }
    }
}

/// Newtons of an action.
#[inline(always)]
fn force(action: u32) -> f32 {
    if action == 1 { 10.0 } else { -10.0 }
}

/// 1 if a number of `state` is not finite, else 0.
#[inline(always)]
fn not_finite(state: [f32; 4]) -> u32 {
    u32::from(((state[0] + state[1]) * 0.0 + (state[2] + state[3]) * 0.0).is_nan())
}

/// Counts a step of each environment and marks what needs attention: an episode that is over, or a pole that is
/// down.
#[inline(always)]
fn mark(alive: &[u32], elapsed: &mut [u32], limit: u32, marks: &mut [u8]) {
    let n = alive.len() / elapsed.len();
    for ((up, elapsed), mark) in alive.chunks_exact(n).zip(elapsed).zip(marks) {
        *elapsed += 1;
        let all_up = up.iter().fold(1, |all, a| all & a);
        *mark = (DOWN * u8::from(all_up == 0)) | (LATE * u8::from(*elapsed >= limit));
    }
}

/// Bit `i` says whether `marks[i]` has a bit set, of 64 marks.
#[inline(always)]
fn bits_of(marks: &[u8]) -> u64 {
    let mut bits = 0;
    for (i, eight) in marks.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let any = (word | (word >> 1)) & 0x0101_0101_0101_0101;
        // The product puts byte `k` at bit `56 + k`, and nothing else there or above.
        bits |= (any.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

/// First states of carts from the counters of their draws.
#[inline(always)]
fn starts(counters: &[[u32; 4]; STARTING], key: [u32; 2]) -> [[f32; 4]; STARTING] {
    let mut words = [[0; STARTING]; 4];
    for i in 0..STARTING {
        let block = philox4x32(counters[i], key);
        for (word, drawn) in words.iter_mut().zip(block) {
            word[i] = drawn;
        }
    }
    let mut states = [[0.0; 4]; STARTING];
    for i in 0..STARTING {
        states[i] = words.map(|word| -0.05 + (0.05 - -0.05) * unit_f32(word[i]));
    }
    states
}

/// `yes` where all bits of `mask` are set, `no` where none is. An `if` would become a masked store, which is slow
/// on some machines.
#[inline(always)]
fn choose(mask: u32, yes: f32, no: f32) -> f32 {
    f32::from_bits((mask & yes.to_bits()) | (!mask & no.to_bits()))
}

/// A step, to be compiled for each instruction set.
struct Job<'a> {
    batch: &'a mut CartPoleBatch,
    actions: &'a [u32],
    out: &'a mut StepBatch,
}

impl WithSimd for Job<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> bool {
        self.batch.advance(self.actions, self.out)
    }
}

impl BatchEnv for CartPoleBatch {
    fn spec(&self) -> &EnvSpec {
        self.rules.spec()
    }

    fn n_envs(&self) -> usize {
        self.n_envs
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        self.seed = seed;
        self.episode.fill(0);
        for first in (0..self.n_envs).step_by(CHUNK) {
            let n_starting = CHUNK.min(self.n_envs - first);
            (0..n_starting).for_each(|i| self.listed[i] = (first + i) as u32);
            self.begin(n_starting);
        }
        let group = &mut out.groups[0];
        group.reward.fill(0.0);
        group.terminated.fill(false);
        group.alive.fill(true);
        self.carts.observe(&mut group.obs, 0, self.carts.x.len());
        out.state.copy_from_slice(&group.obs);
        out.truncated.fill(false);
        out.is_first.fill(true);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        let actions = &actions.discrete[0][..];
        if actions.iter().fold(0, |top: u32, a| top.max(*a)) > 1 {
            let n = self.n_agents();
            let row = actions.iter().position(|a| *a > 1).unwrap_or(0);
            let (env, agent, action) = (row / n, row % n, actions[row]);
            return Err(Error::BadAction { env, agent, action, n_actions: 2 });
        }
        let finite = up_to_avx2(Job { batch: self, actions, out });
        if finite { Ok(()) } else { Err(self.fault()) }
    }

    fn limit_episodes(&mut self, max_steps: u32) -> Result<()> {
        self.rules.set_limit(check_limit(self.rules.spec(), max_steps)?);
        Ok(())
    }

    fn scene(&self, env: usize) -> Scene {
        let n = self.n_agents();
        let vars: Vec<f32> = (env * n..(env + 1) * n).flat_map(|row| self.carts.get(row)).collect();
        let alive: Vec<bool> = self.carts.alive[env * n..(env + 1) * n].iter().map(|a| *a == 1).collect();
        self.rules.scene(&vars, &alive, self.elapsed[env])
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.seed);
        let Carts { x, v, theta, omega, alive, .. } = &self.carts;
        [x, v, theta, omega].into_iter().for_each(|column| out.f32s(column));
        out.u32s(alive);
        out.u32s(&self.elapsed);
        out.u64s(&self.episode);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.seed = from.u64()?;
        let Carts { x, v, theta, omega, alive, .. } = &mut self.carts;
        for column in [x, v, theta, omega] {
            from.f32s(column)?;
            // A frozen agent's numbers are not computed again, so no step would notice.
            if let Some(bad) = column.iter().find(|value| !value.is_finite()) {
                return Err(from.error(format!("{bad} in the state of a cart")));
            }
        }
        from.u32s(alive)?;
        if alive.iter().any(|a| *a > 1) {
            return Err(from.error("a truth value is neither 0 nor 1"));
        }
        if alive.chunks_exact(alive.len() / self.n_envs).any(|up| up.iter().all(|a| *a == 0)) {
            return Err(from.error("all carts of an environment are down, though its episode goes on"));
        }
        from.u32s(&mut self.elapsed)?;
        from.u64s(&mut self.episode)
    }
}
