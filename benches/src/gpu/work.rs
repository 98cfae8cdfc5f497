//! Work that stays on the device: gradient steps on batches drawn there, and rollouts.

use coact_core::{ActionBatch, StepBatch};
use coact_kernels::{
    Backend, Clip, DeviceEnv, Draws, Exploration, GradStep, Learned, Loss, Mixer, Policy, QShape, Resident,
    ResidentConfig, ResidentGroup, ResidentState, RingGroup, RingPriorities, RingView, Rollout, RolloutOut,
    Rollouts, Rule, SpreadScale, StepForm,
};
use coact_replay::{Prioritized, Replay, ReplayConfig};

use crate::data;
use crate::suites::network::{AGENTS, OBS, parameters};

/// Gradient steps of one call: one graph.
pub const STEPS: usize = 32;
/// Environments, and moments, of the replay ring: at least as many transitions as the largest batch.
const ENVS: usize = 256;

/// How batches come from replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Drawn {
    /// All transitions alike.
    Uniformly,
    /// By priority, which every step sets anew.
    ByPriority,
}

/// Gradient steps of a learner on the device.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// How many a call makes.
    pub a_call: usize,
    /// How batches come from replay.
    pub draws: Drawn,
    /// A graph of launches, or one cooperative launch.
    pub form: StepForm,
}

/// A VDN learner and its replay on the device.
pub struct Training {
    /// Where it runs.
    pub backend: Backend,
    resident: Resident,
    replay: Replay,
    groups: [RingGroup; 1],
    batch: usize,
    steps_a_call: usize,
    step: u64,
    steps: Vec<GradStep>,
    learned: Vec<Learned>,
}

impl Training {
    /// A learner with batches of `batch`, and a ring of more than 65,536 transitions (some 4,000
    /// where `small`).
    ///
    /// # Errors
    /// What the device or the replay said.
    pub fn new(
        shape: QShape,
        batch: usize,
        steps: Steps,
        small: bool,
        mut backend: Backend,
    ) -> Result<Self, String> {
        let text = |e: coact_kernels::Error| e.to_string();
        let p = shape.param_count();
        let tensors = shape.mlp.tensors().iter().map(coact_kernels::TensorRange::range).collect();
        let group = ResidentGroup { shape: shape.clone(), n_agents: AGENTS, n_sets: 1, n_critics: 1 };
        let config = ResidentConfig {
            groups: vec![group],
            double_q: true,
            mixer: Mixer::Sum,
            loss: Loss::Squared,
            rule: Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false },
            clip: Clip { global_norm: Some(10.0), ..Clip::default() },
            partitions: Vec::new(),
            tensors,
            form: steps.form,
        };
        let resident = backend.resident(&config).map_err(text)?;
        let mut resident = resident.ok_or("gradient steps on a device need one")?;
        let (mut params, mut target) = (parameters(&shape, 0), parameters(&shape, 1));
        let (mut mean, mut square) = (vec![0.0; p], vec![0.0; p]);
        let moments = [&mut mean[..], &mut square[..], &mut []];
        let state = ResidentState { params: &mut params, target_params: &mut target, moments };
        backend.resident_set(&mut resident, state).map_err(text)?;
        let replay = filled(if small { 16 } else { 300 }, steps.draws)?;
        let words = replay.raw_group(0);
        let group = RingGroup {
            obs: words.obs,
            mask: words.mask,
            action: words.action,
            reward: words.reward,
            discount: words.discount,
            valid: words.valid,
        };
        Ok(Self {
            backend,
            resident,
            replay,
            groups: [group],
            batch,
            steps_a_call: steps.a_call,
            step: 0,
            steps: Vec::new(),
            learned: Vec::new(),
        })
    }

    /// Makes so many calls.
    ///
    /// # Errors
    /// What the device said.
    pub fn calls(&mut self, calls: u64) -> Result<(), String> {
        for _ in 0..calls {
            let first = self.step;
            self.step += self.steps_a_call as u64;
            self.steps.clear();
            self.steps.extend((first + 1..=self.step).map(|step| GradStep { lr: 1e-3, step, tau: None }));
            self.learned.clear();
            let raw = self.replay.raw();
            let settings = self.replay.config().prioritized;
            let view = RingView {
                words: raw.words,
                finals: raw.finals,
                final_words: raw.final_words,
                groups: &self.groups,
                revision: raw.revision,
                width: raw.width,
                seen: raw.seen,
                next: raw.next,
                team_reward: raw.team_reward,
                team_discount: raw.team_discount,
                n_envs: raw.n_envs,
                n_slots: raw.n_slots,
                n_step: raw.n_step,
                pushed: raw.pushed,
                prioritized: settings.zip(raw.priorities).map(|(settings, (leaves, largest))| {
                    RingPriorities {
                        alpha: settings.alpha,
                        eps: settings.eps,
                        leaves,
                        largest,
                        revision: raw.priorities_revision,
                    }
                }),
            };
            let draws = Draws { batch_size: self.batch, seed: 1, position: first, beta: 1.0 };
            let learned =
                self.backend.resident_learn(&mut self.resident, &view, draws, &self.steps, &mut self.learned);
            learned.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// A ring of `moments` random moments of [`ENVS`] environments.
fn filled(moments: usize, draws: Drawn) -> Result<Replay, String> {
    let spec = data::spec(AGENTS, OBS);
    let mut rng = data::stream(60);
    let prioritized = (draws == Drawn::ByPriority).then_some(Prioritized { alpha: 0.6, eps: 1e-6 });
    let config = ReplayConfig { prioritized, ..ReplayConfig::uniform(moments * ENVS, ENVS) };
    let mut replay = Replay::new(&spec, config).map_err(|e| e.to_string())?;
    let mut step = StepBatch::new(&spec, ENVS);
    let mut batch = ActionBatch::new(&spec, ENVS);
    replay.begin(&step).map_err(|e| e.to_string())?;
    step.is_first.fill(false);
    for _ in 0..moments {
        let group = &mut step.groups[0];
        group.obs.copy_from_slice(&data::normals(&mut rng, ENVS * AGENTS * OBS));
        // A common reward is the same for all agents of an environment.
        for row in group.reward.chunks_exact_mut(AGENTS) {
            row.fill(rng.range(-1.0, 1.0));
        }
        batch.discrete[0].copy_from_slice(&data::indices(&mut rng, ENVS * AGENTS, 5));
        replay.push(&batch, &step).map_err(|e| e.to_string())?;
    }
    Ok(replay)
}

/// `simple_spread` on the device, with a network or with uniform actions, nothing written but the state.
pub struct Rolling {
    /// Where it runs.
    pub backend: Backend,
    envs: Rollouts,
    network: Option<(QShape, Vec<f32>)>,
    steps: usize,
    step: u64,
}

impl Rolling {
    /// `n_envs` environments, `steps` steps a call.
    ///
    /// # Errors
    /// What the environments said.
    pub fn new(
        network: Option<QShape>,
        n_envs: usize,
        steps: usize,
        backend: Backend,
    ) -> Result<Self, String> {
        let env = DeviceEnv::Spread { local_ratio: 0.5, scale: SpreadScale::Mpe2 };
        let envs = Rollouts::new(env, n_envs, AGENTS, 25, 1).map_err(|e| e.to_string())?;
        let network = network.map(|shape| {
            let params = parameters(&shape, 0);
            (shape, params)
        });
        Ok(Self { backend, envs, network, steps, step: 0 })
    }

    /// Makes so many calls.
    ///
    /// # Errors
    /// What the device said.
    pub fn calls(&mut self, calls: u64) -> Result<(), String> {
        for _ in 0..calls {
            let policy = match &self.network {
                Some((shape, params)) => Policy::Network {
                    shape,
                    params,
                    exploration: Exploration::EpsilonGreedy { epsilon: 0.05 },
                },
                None => Policy::Uniform,
            };
            let out = RolloutOut::default();
            let call = Rollout { steps: self.steps, policy, seed: 1, step: self.step, out };
            self.backend.rollout(&mut self.envs, call).map_err(|e| e.to_string())?;
            self.step += self.steps as u64;
        }
        Ok(())
    }
}
