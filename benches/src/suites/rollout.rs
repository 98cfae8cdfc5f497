//! `rollout`: policy, environment step and storing, of 256 copies of `simple_spread`; a call is one step of all.

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_kernels::{Act, ActScratch, Backend, Device, Exploration, QShape};
use coact_replay::{Replay, ReplayConfig};
use serde_json::Value;

use super::network::{AGENTS, OBS, backend, parameters, q_shape};
use super::{Session, on_threads};
use crate::contest::{Contest, Run, Unit};

const ENVS: usize = 256;
/// Steps a second on one thread.
const GOAL: f64 = 2e6;

/// Holds the contests: one for each number of threads, because the goal is for one.
///
/// # Errors
/// What the environment, a kernel or replay said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for threads in session.threads.clone() {
        session.hold(Contest {
            name: format!("rollout/simple_spread/e{ENVS}/t{threads}"),
            unit: Unit::PerSecond("steps/s"),
            items: ENVS as f64,
            goal: (threads == 1).then_some(GOAL),
            ours: vec![(threads, rolling(threads)?)],
            peers: Vec::new(),
            bound: None,
        })?;
    }
    Ok(())
}

struct Rollout {
    envs: Box<dyn BatchEnv>,
    backend: Backend,
    shape: QShape,
    params: Vec<f32>,
    scratch: ActScratch,
    actions: ActionBatch,
    step: StepBatch,
    replay: Replay,
    n: u64,
}

impl Rollout {
    fn new(threads: usize) -> Result<Self, String> {
        let text = |e: coact_core::Error| e.to_string();
        let mut envs =
            coact_envs::find("simple_spread").and_then(|e| e.build(&Value::Null, ENVS)).map_err(text)?;
        assert_eq!((envs.spec().n_agents(), envs.spec().groups[0].obs_width()), (AGENTS, OBS));
        let mut step = StepBatch::new(envs.spec(), ENVS);
        envs.reset(1, &mut step).map_err(text)?;
        let config = ReplayConfig::uniform(200_000, ENVS);
        let mut replay = Replay::new(envs.spec(), config).map_err(|e| e.to_string())?;
        replay.begin(&step).map_err(|e| e.to_string())?;
        let shape = q_shape();
        Ok(Self {
            actions: ActionBatch::new(envs.spec(), ENVS),
            backend: backend(Device::Cpu, threads)?,
            params: parameters(&shape, 0),
            scratch: ActScratch::new(&shape, ENVS, AGENTS),
            shape,
            envs,
            step,
            replay,
            n: 0,
        })
    }

    fn advance(&mut self) -> Result<(), String> {
        let group = &self.step.groups[0];
        let call = Act {
            shape: &self.shape,
            params: &self.params,
            n_sets: 1,
            n_agents: AGENTS,
            obs: &group.obs,
            mask: &group.mask,
            alive: &group.alive,
            exploration: Exploration::EpsilonGreedy { epsilon: 0.05 },
            seed: 1,
            step: self.n,
            first_row: 0,
            actions: &mut self.actions.discrete[0],
            q: None,
        };
        self.backend.act(&mut self.scratch, call).map_err(|e| e.to_string())?;
        self.envs.step(&self.actions, &mut self.step).map_err(|e| e.to_string())?;
        self.replay.push(&self.actions, &self.step).map_err(|e| e.to_string())?;
        self.n += 1;
        Ok(())
    }
}

fn rolling(threads: usize) -> Result<Run<'static>, String> {
    let mut rollout = Rollout::new(threads)?;
    on_threads(threads, move |calls| (0..calls).try_for_each(|_| rollout.advance()))
}
