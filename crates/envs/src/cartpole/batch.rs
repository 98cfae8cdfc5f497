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
use pulp::{Arch, Simd, WithSimd};

use super::physics::CartPolePhysics;
use super::{CartPole, Coupling};
use crate::real::Formula;
use crate::rules::Rules;
use crate::vectorized::{check_copies, check_limit};

/// Environments that go from actions to observations together: their rows stay in the nearest cache.
const CHUNK: usize = 256;

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
    /// 1 where the episode is over, `[E]`; used within a step.
    over: Vec<u32>,
    /// Environments of a chunk that need attention, and one place more; used within a step.
    listed: Vec<u32>,
}

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
        let (elapsed, episode, over) = (vec![0; n_envs], vec![0; n_envs], vec![0; n_envs]);
        let listed = vec![0; CHUNK + 1];
        Ok(Self { rules, n_envs, seed: 0, carts, elapsed, episode, over, listed })
    }

    fn n_agents(&self) -> usize {
        self.rules.spec().groups[0].n_agents
    }

    /// Starts the current episode of one environment: four draws a cart, as [`Rules::begin`] draws them.
    #[inline(always)]
    fn begin(&mut self, env: usize) {
        let n = self.n_agents();
        for agent in 0..n {
            let counter = counter_of(Purpose::Reset, env as u32, self.episode[env], agent as u32);
            let words = philox4x32(counter, key_of(self.seed));
            let [x, v, theta, omega] = words.map(|word| -0.05 + (0.05 - -0.05) * unit_f32(word));
            self.carts.put(env * n + agent, [x, v, theta, omega]);
        }
        self.elapsed[env] = 0;
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
            finite &= self.carts.advance(&self.rules.physics, actions, &mut out.groups[0].reward, from, to);
            self.count(first, last, n, limit);
            // Listing without a branch costs less than guessing wrong where an episode ends.
            let mut n_listed = 0;
            for env in first..last {
                self.listed[n_listed] = env as u32;
                n_listed += self.over[env] as usize;
            }
            for i in 0..n_listed {
                self.finish(self.listed[i] as usize, n, out);
            }
            self.carts.observe(&mut out.groups[0].obs[4 * from..4 * to], from, to);
        }
        finite
    }

    /// Counts steps and marks what needs attention: an episode that is over, or a pole that is down.
    #[inline(always)]
    fn count(&mut self, first: usize, last: usize, n: usize, limit: u32) {
        let (elapsed, over) = (&mut self.elapsed[first..last], &mut self.over[first..last]);
        let alive = &self.carts.alive[first * n..last * n];
        if n == 1 {
            for i in 0..over.len() {
                elapsed[i] += 1;
                over[i] = u32::from(elapsed[i] >= limit) | (alive[i] ^ 1);
            }
            return;
        }
        for (i, up) in alive.chunks_exact(n).enumerate() {
            elapsed[i] += 1;
            over[i] = u32::from(elapsed[i] >= limit) | (up.iter().fold(1, |all, a| all & a) ^ 1);
        }
    }

    /// Writes flags of an environment that needs attention; ends its episode and starts the next one if it is over.
    #[inline(always)]
    fn finish(&mut self, env: usize, n: usize, out: &mut StepBatch) {
        let rows = env * n..(env + 1) * n;
        let group = &mut out.groups[0];
        let mut acting = 0;
        for row in rows.clone() {
            acting |= self.carts.alive[row];
            group.terminated[row] = self.carts.fell[row] == 1;
            group.alive[row] = self.carts.alive[row] == 1;
        }
        let limit = self.rules.spec().episode_limit.unwrap_or(u32::MAX);
        let truncated = acting == 1 && self.elapsed[env] >= limit;
        if acting == 1 && !truncated {
            return;
        }
        out.truncated[env] = truncated;
        out.is_first[env] = true;
        self.carts.observe(&mut group.final_obs[4 * rows.start..4 * rows.end], rows.start, rows.end);
        self.carts.observe(&mut out.final_state[4 * rows.start..4 * rows.end], rows.start, rows.end);
        group.alive[rows].fill(true);
        self.episode[env] += 1;
        self.begin(env);
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

    /// Rows `from..to` by one step.
    #[inline(always)]
    fn advance(
        &mut self,
        physics: &CartPolePhysics,
        actions: &[u32],
        reward: &mut [f32],
        from: usize,
        to: usize,
    ) -> bool {
        let (x, v) = (&mut self.x[from..to], &mut self.v[from..to]);
        let (theta, omega) = (&mut self.theta[from..to], &mut self.omega[from..to]);
        let (alive, fell) = (&mut self.alive[from..to], &mut self.fell[from..to]);
        let (actions, reward) = (&actions[from..to], &mut reward[from..to]);
        let n = x.len();
        assert!([v.len(), theta.len(), omega.len(), alive.len(), fell.len()] == [n; 5]);
        assert!([actions.len(), reward.len()] == [n; 2]);
        let mut bad = 0;
        for i in 0..n {
            let force = if actions[i] == 1 { 10.0 } else { -10.0 };
            let next: [f32; 4] = physics.of([x[i], v[i], theta[i], omega[i], force]);
            let fallen = CartPolePhysics::fallen::<f32>(next);
            let sum = (next[0] + next[1]) * 0.0 + (next[2] + next[3]) * 0.0;
            bad |= u32::from(sum.is_nan()) & alive[i];
            let up = 0_u32.wrapping_sub(alive[i]);
            x[i] = choose(up, next[0], x[i]);
            v[i] = choose(up, next[1], v[i]);
            theta[i] = choose(up, next[2], theta[i]);
            omega[i] = choose(up, next[3], omega[i]);
            reward[i] = alive[i] as f32;
            fell[i] = u32::from(fallen) & alive[i];
            alive[i] &= u32::from(!fallen);
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
        (0..self.n_envs).for_each(|env| self.begin(env));
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
        let finite = Arch::new().dispatch(Job { batch: self, actions, out });
        out.state.copy_from_slice(&out.groups[0].obs);
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
        from.u32s(&mut self.elapsed)?;
        from.u64s(&mut self.episode)
    }
}
