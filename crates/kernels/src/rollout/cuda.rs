//! The launch of a rollout, and the memory of its environments on the device.

use super::{DeviceEnv, Policy, Rollout, RolloutColumns, Rollouts, SpreadScale};
use crate::cuda::{Column, Cuda, Grid, MAX_SHARED_BYTES, Mirror, Network, kernel_arguments};
use crate::{Error, Exploration, Precision};
use coact_core::rng::key_of;

/// Threads of a block with a network.
const THREADS: u32 = 128;
/// Threads of a block without one, at most.
const ENV_THREADS: u32 = 128;

/// `EnvShape` of `env.cuh`.
#[repr(C)]
#[derive(Clone, Copy)]
struct EnvShape {
    env: u32,
    n_agents: u32,
    n_vars: u32,
    obs_width: u32,
    n_actions: u32,
    limit: u32,
    scale: u32,
    shared: f32,
    local: f32,
    landmark_range: f32,
}

/// `RolloutArgs` of `kernel.cu`.
#[repr(C)]
struct RolloutArgs {
    net: Network,
    env: EnvShape,
    params: u64,
    vars: u64,
    alive: u64,
    elapsed: u64,
    episode: u64,
    given: u64,
    obs: u64,
    actions: u64,
    reward: u64,
    acted: u64,
    terminated: u64,
    truncated: u64,
    over: u64,
    final_obs: u64,
    next_obs: u64,
    error: u64,
    n_envs: u32,
    steps: u32,
    kind: u32,
    unused: u32,
    step: [u32; 2],
    key: [u32; 2],
    reset_key: [u32; 2],
    epsilon: f32,
    temperature: f32,
}

kernel_arguments!(EnvShape: 40, RolloutArgs: 280);

/// Memory of a GPU for environments and what is asked for of them.
#[derive(Debug, Default)]
pub(super) struct RolloutMemory {
    vars: Column<f32>,
    alive: Column<u32>,
    elapsed: Column<u32>,
    episode: Column<u64>,
    params: Mirror,
    given: Column<u32>,
    obs: Column<f32>,
    actions: Column<u32>,
    reward: Column<f32>,
    acted: Column<u8>,
    terminated: Column<u8>,
    truncated: Column<u8>,
    over: Column<u8>,
    final_obs: Column<f32>,
    next_obs: Column<f32>,
    error: Column<u64>,
    flags: Vec<u8>,
}

fn env_shape(envs: &Rollouts) -> EnvShape {
    let (env, local_ratio, scale) = match envs.env {
        DeviceEnv::CartPole => (0, 0.0, 0),
        DeviceEnv::Spread { local_ratio, scale } => {
            let scale = match scale {
                SpreadScale::Mpe2 => 0,
                SpreadScale::PettingZoo => 1,
                SpreadScale::OpenAi | SpreadScale::Mappo => 2,
            };
            (1, local_ratio, scale)
        }
    };
    EnvShape {
        env,
        n_agents: envs.n_agents as u32,
        n_vars: envs.n_vars() as u32,
        obs_width: envs.obs_width() as u32,
        n_actions: envs.n_actions() as u32,
        limit: envs.limit,
        scale,
        shared: (1.0 - local_ratio) as f32,
        local: local_ratio as f32,
        landmark_range: envs.landmark_range(),
    }
}

impl EnvShape {
    /// Bytes of shared memory of `copies` environments, as `copy_floats` counts them.
    fn shared_bytes(&self, copies: u32) -> u32 {
        4 * copies * (self.n_vars + 6 * self.n_agents + 3)
    }
}

/// What is launched: with which network, in which blocks.
struct Form {
    net: Network,
    kind: u32,
    epsilon: f32,
    temperature: f32,
    grid: Grid,
    /// Rows of a tile; 0 without a network.
    tile: u32,
    /// Whether on matrix units.
    fast: bool,
}

fn form(call: &Rollout<'_>, shape: &EnvShape, n_envs: u32, precision: Precision) -> Result<Form, Error> {
    let Policy::Network { shape: network, exploration, .. } = call.policy else {
        let fits = |threads: &u32| shape.shared_bytes(*threads) <= MAX_SHARED_BYTES;
        let threads = [ENV_THREADS, ENV_THREADS / 2].into_iter().find(fits).unwrap_or(32);
        let grid = Grid {
            blocks: (n_envs.div_ceil(threads), 1, 1),
            threads,
            shared_bytes: shape.shared_bytes(threads),
        };
        return Ok(Form {
            net: Network::default(),
            kind: 1,
            epsilon: 1.0,
            temperature: 1.0,
            grid,
            tile: 0,
            fast: false,
        });
    };
    let (kind, epsilon, temperature) = match exploration {
        Exploration::EpsilonGreedy { epsilon } => (1, epsilon, 1.0),
        Exploration::Boltzmann { temperature } => (2, 0.0, temperature),
        Exploration::Greedy | Exploration::Noise { .. } => (0, 0.0, 1.0),
    };
    let net = Network::new(network)?;
    let bytes = |tile: u32| net.shared_bytes(tile) + shape.shared_bytes(tile / shape.n_agents);
    let fits = |tile: u32| shape.n_agents <= tile && bytes(tile) <= MAX_SHARED_BYTES;
    let few = n_envs * shape.n_agents < 32 * 132 && shape.n_agents <= 8;
    let strict = if few || bytes(32) > MAX_SHARED_BYTES { 8 } else { 32 };
    // As `act` chooses, where environments leave it the room.
    let fast = net.fast_tile((n_envs * shape.n_agents) as usize);
    let fast = fast.filter(|&tile| precision == Precision::Fast && fits(tile));
    let tile = fast.unwrap_or(strict);
    if !fits(tile) {
        return Err(Error::Shape(format!(
            "a network whose widest layer has {} units does not fit a multiprocessor beside environments of {} agents; use a smaller one, or the cpu",
            network.mlp.max_width(),
            shape.n_agents
        )));
    }
    let grid = Grid {
        blocks: (n_envs.div_ceil(tile / shape.n_agents), 1, 1),
        threads: THREADS,
        shared_bytes: bytes(tile),
    };
    Ok(Form { net, kind, epsilon, temperature, grid, tile, fast: fast.is_some() })
}

impl Cuda {
    pub(super) fn rollout(&mut self, envs: &mut Rollouts, mut call: Rollout<'_>) -> Result<(), Error> {
        if call.steps == 0 && call.out.next_obs.is_empty() {
            return Ok(());
        }
        let shape = env_shape(envs);
        let form = form(&call, &shape, envs.n_envs as u32, self.precision())?;
        let args = args(self, envs, &call, shape, &form)?;
        let kernels = self.kernels();
        let kernel = match (form.tile, form.fast) {
            (0, _) => &kernels.rollout_env,
            (8, _) => &kernels.rollout_policy_8,
            (16, _) => &kernels.rollout_policy_fast_16,
            (_, false) => &kernels.rollout_policy_32,
            (_, true) => &kernels.rollout_policy_fast_32,
        };
        // SAFETY: `args` made each column that is not null as long as `Rollout::check` found its shape to be.
        unsafe { self.launch("roll out", kernel, form.grid, &args) }?;
        let memory = &mut envs.gpu;
        let out = &mut call.out;
        memory.obs.download(self, out.obs)?;
        memory.actions.download(self, out.actions)?;
        memory.reward.download(self, out.reward)?;
        memory.final_obs.download(self, out.final_obs)?;
        memory.next_obs.download(self, out.next_obs)?;
        let RolloutMemory { acted, terminated, truncated, over, flags, .. } = memory;
        for (column, out) in [
            (&*acted, &mut *out.acted),
            (terminated, &mut *out.terminated),
            (truncated, &mut *out.truncated),
            (over, &mut *out.over),
        ] {
            flags.resize(out.len(), 0);
            column.download(self, flags)?;
            out.iter_mut().zip(&*flags).for_each(|(to, flag)| *to = *flag != 0);
        }
        let mut code = [0];
        memory.error.download(self, &mut code)?;
        match code[0] {
            u64::MAX => Ok(()),
            code => Err(Error::NonFiniteState { env: code as u32 as usize, step: (code >> 32) as usize }),
        }
    }

    /// Brings the state back.
    pub(super) fn rollout_columns(&mut self, envs: &mut Rollouts) -> Result<(), Error> {
        let RolloutColumns { vars, alive, elapsed, episode } = &mut envs.columns;
        envs.gpu.vars.download(self, vars)?;
        envs.gpu.alive.download(self, alive)?;
        envs.gpu.elapsed.download(self, elapsed)?;
        envs.gpu.episode.download(self, episode)
    }
}

/// Uploads what has changed, and makes room for what is wanted.
fn args(
    gpu: &Cuda,
    envs: &mut Rollouts,
    call: &Rollout<'_>,
    env: EnvShape,
    form: &Form,
) -> Result<RolloutArgs, Error> {
    let (memory, columns, out) = (&mut envs.gpu, &envs.columns, &call.out);
    if envs.changed {
        memory.vars.upload(gpu, &columns.vars)?;
        memory.alive.upload(gpu, &columns.alive)?;
        memory.elapsed.upload(gpu, &columns.elapsed)?;
        memory.episode.upload(gpu, &columns.episode)?;
        envs.changed = false;
    }
    let params: &[f32] = if let Policy::Network { params, .. } = call.policy { params } else { &[] };
    let given: &[u32] = if let Policy::Given(actions) = call.policy { actions } else { &[] };
    Ok(RolloutArgs {
        net: form.net,
        env,
        params: memory.params.upload(gpu, params)?,
        vars: memory.vars.fit(gpu, columns.vars.len())?,
        alive: memory.alive.fit(gpu, columns.alive.len())?,
        elapsed: memory.elapsed.fit(gpu, columns.elapsed.len())?,
        episode: memory.episode.fit(gpu, columns.episode.len())?,
        given: memory.given.upload(gpu, given)?,
        obs: memory.obs.fit(gpu, out.obs.len())?,
        actions: memory.actions.fit(gpu, out.actions.len())?,
        reward: memory.reward.fit(gpu, out.reward.len())?,
        acted: memory.acted.fit(gpu, out.acted.len())?,
        terminated: memory.terminated.fit(gpu, out.terminated.len())?,
        truncated: memory.truncated.fit(gpu, out.truncated.len())?,
        over: memory.over.fit(gpu, out.over.len())?,
        final_obs: memory.final_obs.fit(gpu, out.final_obs.len())?,
        next_obs: memory.next_obs.fit(gpu, out.next_obs.len())?,
        error: memory.error.upload(gpu, &[u64::MAX])?,
        n_envs: envs.n_envs as u32,
        steps: call.steps as u32,
        kind: form.kind,
        unused: 0,
        step: [call.step as u32, (call.step >> 32) as u32],
        key: key_of(call.seed),
        reset_key: key_of(envs.seed),
        epsilon: form.epsilon,
        temperature: form.temperature,
    })
}
