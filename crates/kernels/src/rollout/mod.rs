//! Rollouts on a GPU: T steps of many environments in one launch, actions chosen by a network on the way, state on the device
//! from one call to the next. `cartpole` without springs and `simple_spread`, to the bits of `coact-envs`, which is their
//! code for the CPU: this crate knows no environment there, and a rollout on the CPU is an error that says so.
//!
//! A call with a network gives what `T` times [`Backend::act`] and a step would: same draws of exploration, same starts of
//! episodes. Episodes begin again in the step in which they end.
//!
//! Operations: those of [`Backend::act`] a row and step, and some 60 (`cartpole`) or `40 A + 60 A^2` (`simple_spread`) an
//! environment and step. Bytes: the state once in and out, and what is asked for of each step. Launches: one.

#[cfg(feature = "cuda")]
mod cuda;

use crate::error::check_len;
use crate::{Backend, Error, Exploration, QShape};
use coact_core::{Purpose, Stream};

/// On which scale `simple_spread` pays, as `coact-envs` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpreadScale {
    /// That of mpe2.
    Mpe2,
    /// That of PettingZoo before 2023.
    PettingZoo,
    /// That of 2017 and EPyMARL.
    OpenAi,
    /// The same with landmarks that start within 0.8.
    Mappo,
}

/// Environments that step on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DeviceEnv {
    /// `cartpole` with `coupling = "none"`.
    CartPole,
    /// `simple_spread` with discrete actions.
    Spread {
        /// Weight of the local reward.
        local_ratio: f64,
        /// On which scale agents are paid.
        scale: SpreadScale,
    },
}

/// Largest number of agents: an environment fits a tile of rows.
const MAX_AGENTS: usize = 32;

/// Environments, and where they stand.
#[derive(Debug)]
pub struct Rollouts {
    env: DeviceEnv,
    n_envs: usize,
    n_agents: usize,
    limit: u32,
    seed: u64,
    columns: RolloutColumns,
    /// Whether `columns` are newer than what the device has.
    changed: bool,
    #[cfg(feature = "cuda")]
    gpu: cuda::RolloutMemory,
}

/// The state of E environments of A agents with S variables.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RolloutColumns {
    /// `[E, S]`: `x, v, angle, angular velocity` of each cart; or `x, y, vx, vy` of each agent, then `x, y` of each landmark.
    pub vars: Vec<f32>,
    /// `[E, A]`: 1 where the agent acts, else 0.
    pub alive: Vec<u32>,
    /// `[E]`: steps since the episode began.
    pub elapsed: Vec<u32>,
    /// `[E]`: number of the episode.
    pub episode: Vec<u64>,
}

impl Rollouts {
    /// `n_envs` environments at the start of episode 0, whose episodes are truncated after `limit` steps.
    ///
    /// # Errors
    /// [`Error::Shape`] for no environments, no agents, more than 32, or no steps; [`Error::Setting`] for a ratio outside
    /// of 0..=1.
    pub fn new(env: DeviceEnv, n_envs: usize, n_agents: usize, limit: u32, seed: u64) -> Result<Self, Error> {
        if n_envs == 0 || n_envs > 1 << 26 || !(1..=MAX_AGENTS).contains(&n_agents) || limit == 0 {
            return Err(Error::Shape(format!(
                "{n_envs} environments of {n_agents} agents and {limit} steps; give 1 to 2^26 of 1 to {MAX_AGENTS} agents and at least 1 step"
            )));
        }
        if let DeviceEnv::Spread { local_ratio, .. } = env
            && !(0.0..=1.0).contains(&local_ratio)
        {
            return Err(Error::Setting {
                what: "local_ratio",
                value: local_ratio as f32,
                must: "within 0 and 1",
            });
        }
        let mut rollouts = Self {
            env,
            n_envs,
            n_agents,
            limit,
            seed,
            columns: RolloutColumns::default(),
            changed: true,
            #[cfg(feature = "cuda")]
            gpu: cuda::RolloutMemory::default(),
        };
        rollouts.reset(seed);
        Ok(rollouts)
    }

    /// Starts episode 0 of every environment from `seed`.
    pub fn reset(&mut self, seed: u64) {
        let (e, s) = (self.n_envs, self.n_vars());
        self.seed = seed;
        self.changed = true;
        let mut vars = vec![0.0; e * s];
        for (env, row) in vars.chunks_exact_mut(s).enumerate() {
            let mut rng = Stream::new(seed, Purpose::Reset, env as u32, 0);
            match self.env {
                DeviceEnv::CartPole => row.iter_mut().for_each(|v| *v = rng.range(-0.05, 0.05)),
                DeviceEnv::Spread { .. } => {
                    let (agents, landmarks) = row.split_at_mut(4 * self.n_agents);
                    for agent in agents.chunks_exact_mut(4) {
                        agent.copy_from_slice(&[rng.range(-1.0, 1.0), rng.range(-1.0, 1.0), 0.0, 0.0]);
                    }
                    let range = self.landmark_range();
                    landmarks.iter_mut().for_each(|v| *v = rng.range(-range, range));
                }
            }
        }
        self.columns = RolloutColumns {
            vars,
            alive: vec![1; e * self.n_agents],
            elapsed: vec![0; e],
            episode: vec![0; e],
        };
    }

    /// Goes on from another state.
    ///
    /// # Errors
    /// [`Error::Length`] for columns of another shape.
    pub fn set(&mut self, columns: RolloutColumns) -> Result<(), Error> {
        check_len("vars", "[E, S]", self.n_envs * self.n_vars(), columns.vars.len())?;
        check_len("alive", "[E, A]", self.n_envs * self.n_agents, columns.alive.len())?;
        check_len("elapsed", "[E]", self.n_envs, columns.elapsed.len())?;
        check_len("episode", "[E]", self.n_envs, columns.episode.len())?;
        (self.columns, self.changed) = (columns, true);
        Ok(())
    }

    /// Steps after which an episode is truncated.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Variables of an environment, `S`.
    pub fn n_vars(&self) -> usize {
        match self.env {
            DeviceEnv::CartPole => 4 * self.n_agents,
            DeviceEnv::Spread { .. } => 6 * self.n_agents,
        }
    }

    /// Width of an observation, `D`.
    pub fn obs_width(&self) -> usize {
        match self.env {
            DeviceEnv::CartPole => 4,
            DeviceEnv::Spread { .. } => 6 * self.n_agents,
        }
    }

    /// Actions of an agent, `N`.
    pub fn n_actions(&self) -> usize {
        match self.env {
            DeviceEnv::CartPole => 2,
            DeviceEnv::Spread { .. } => 5,
        }
    }

    fn landmark_range(&self) -> f32 {
        match self.env {
            DeviceEnv::Spread { scale: SpreadScale::Mappo, .. } => 0.8,
            _ => 1.0,
        }
    }
}

/// Who acts in a rollout.
#[derive(Debug, Clone, Copy)]
pub enum Policy<'a> {
    /// A network, one set of parameters `[P]` for all agents, and how it explores. [`Exploration::Noise`] is refused.
    Network {
        /// Its shape: `D` inputs and `N` actions.
        shape: &'a QShape,
        /// Its parameters `[P]`.
        params: &'a [f32],
        /// How it explores.
        exploration: Exploration<'a>,
    },
    /// Uniform actions: those of an epsilon of 1.
    Uniform,
    /// These actions `[T, E, A]`.
    Given(&'a [u32]),
}

/// What is wanted of each of T steps of E environments of A agents; empty for nothing.
#[derive(Debug, Default)]
pub struct RolloutOut<'a> {
    /// Observations acted on `[T, E, A, D]`.
    pub obs: &'a mut [f32],
    /// Actions `[T, E, A]`.
    pub actions: &'a mut [u32],
    /// Rewards `[T, E, A]`.
    pub reward: &'a mut [f32],
    /// `[T, E, A]`: the agent acted, that is, had not ended before.
    pub acted: &'a mut [bool],
    /// `[T, E, A]`: the agent's process ended in this step.
    pub terminated: &'a mut [bool],
    /// `[T, E]`: a time limit ended the episode.
    pub truncated: &'a mut [bool],
    /// `[T, E]`: the episode ended in this step.
    pub over: &'a mut [bool],
    /// Last observations `[T, E, A, D]` of the episodes that ended; other rows are left as they were on the device, without
    /// meaning.
    pub final_obs: &'a mut [f32],
    /// Observations `[E, A, D]` to act on after the last step.
    pub next_obs: &'a mut [f32],
}

/// One call of [`Backend::rollout`].
#[derive(Debug)]
pub struct Rollout<'a> {
    /// Number of steps, `T`.
    pub steps: usize,
    /// Who acts.
    pub policy: Policy<'a>,
    /// Seed of exploration.
    pub seed: u64,
    /// Number of the first step, for exploration.
    pub step: u64,
    /// What is written.
    pub out: RolloutOut<'a>,
}

impl Rollout<'_> {
    fn check(&self, envs: &Rollouts) -> Result<(), Error> {
        let (t, e, a, d) = (self.steps, envs.n_envs, envs.n_agents, envs.obs_width());
        let rows = t * e * a;
        let out = &self.out;
        let optional = |what, shape, expected, found: usize| match found {
            0 => Ok(()),
            _ => check_len(what, shape, expected, found),
        };
        optional("obs", "[T, E, A, D]", rows * d, out.obs.len())?;
        optional("actions", "[T, E, A]", rows, out.actions.len())?;
        optional("reward", "[T, E, A]", rows, out.reward.len())?;
        optional("acted", "[T, E, A]", rows, out.acted.len())?;
        optional("terminated", "[T, E, A]", rows, out.terminated.len())?;
        optional("truncated", "[T, E]", t * e, out.truncated.len())?;
        optional("over", "[T, E]", t * e, out.over.len())?;
        optional("final_obs", "[T, E, A, D]", rows * d, out.final_obs.len())?;
        optional("next_obs", "[E, A, D]", e * a * d, out.next_obs.len())?;
        match self.policy {
            Policy::Network { shape, params, exploration } => {
                if shape.mlp.input != d || shape.n_actions != envs.n_actions() {
                    return Err(Error::Shape(format!(
                        "a network of {} inputs and {} actions for an environment of {d} and {}",
                        shape.mlp.input,
                        shape.n_actions,
                        envs.n_actions()
                    )));
                }
                if matches!(exploration, Exploration::Noise { .. }) {
                    let text = "noise on values does not explore in a rollout; use greedy, epsilon-greedy or boltzmann";
                    return Err(Error::Shape(text.to_string()));
                }
                check_len("params", "[P]", shape.param_count(), params.len())
            }
            Policy::Uniform => Ok(()),
            Policy::Given(actions) => {
                check_len("given actions", "[T, E, A]", rows, actions.len())?;
                let n = envs.n_actions() as u32;
                match actions.iter().position(|&action| action >= n) {
                    None => Ok(()),
                    Some(i) => Err(Error::BadAction {
                        sample: i / a,
                        agent: i % a,
                        action: actions[i],
                        n_actions: n as usize,
                    }),
                }
            }
        }
    }
}

impl Backend {
    /// Steps all environments `T` times in one launch.
    ///
    /// # Errors
    /// [`Error::NoGpu`] on the CPU, where environments are stepped by `coact-envs`; [`Error::Length`], [`Error::Shape`] or
    /// [`Error::BadAction`] for a call that does not fit the environments; [`Error::NonFiniteState`] for a state that is not
    /// finite any more; [`Error::Gpu`] if the device fails.
    pub fn rollout(&mut self, envs: &mut Rollouts, call: Rollout<'_>) -> Result<(), Error> {
        call.check(envs)?;
        match self {
            Backend::Cpu(_) => Err(Error::NoGpu(
                "rollouts in one launch are for GPUs, and environments step by themselves".to_string(),
            )),
            Backend::Cuda(cuda) => cuda.rollout(envs, call),
        }
    }

    /// The state of all environments, from the device if it is newer there.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device fails.
    pub fn rollout_columns<'a>(&mut self, envs: &'a mut Rollouts) -> Result<&'a RolloutColumns, Error> {
        if let Backend::Cuda(cuda) = self
            && !envs.changed
        {
            cuda.rollout_columns(envs)?;
        }
        Ok(&envs.columns)
    }
}
