//! Environments that break their promises: one clear error that names environment and agent, nothing stored.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene};
use coact_core::{
    ActionBatch, ActionSpace, Actions, BatchEnv, EnvSpec, GroupSpec, MultiAgentEnv, ObsField, Result,
    RewardKind, StepBatch, Stream,
};
use coact_envs::Vectorized;
use coact_runner::Training;

use crate::support::Setup;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    NanReward,
    InfiniteReward,
    NanObservation,
    NoLegalAction,
}

/// Three agents in two groups; in step 5 agent 2, the second of the second group, goes wrong.
#[derive(Clone)]
struct Faulty {
    spec: EnvSpec,
    fault: Fault,
    elapsed: u32,
}

const FAULT_AT: u32 = 5;
const CULPRIT: usize = 2;

impl Faulty {
    fn new(fault: Fault) -> Self {
        let group = |name: &str, n_agents| GroupSpec {
            name: name.into(),
            n_agents,
            obs: vec![ObsField::unbounded("elapsed", 1)],
            action: ActionSpace::Discrete { n: 2 },
            masked: true,
        };
        let spec = EnvSpec {
            name: "faulty".into(),
            version: 1,
            groups: vec![group("one", 1), group("two", 2)],
            state_width: 0,
            episode_limit: Some(50),
            reward: RewardKind::PerAgent,
        };
        Self { spec, fault, elapsed: 0 }
    }

    fn fails(&self, fault: Fault, agent: usize) -> bool {
        self.fault == fault && self.elapsed == FAULT_AT && agent == CULPRIT
    }
}

impl MultiAgentEnv for Faulty {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        _actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        self.elapsed += 1;
        terminated.fill(false);
        for (agent, reward) in reward.iter_mut().enumerate() {
            *reward = match () {
                () if self.fails(Fault::NanReward, agent) => f32::NAN,
                () if self.fails(Fault::InfiniteReward, agent) => f32::INFINITY,
                () => 1.0,
            };
        }
        Ok(self.elapsed == 50)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        obs[0] = if self.fails(Fault::NanObservation, agent) { f32::NAN } else { self.elapsed as f32 };
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask[0] = if self.fails(Fault::NoLegalAction, agent) { 0 } else { 0b11 };
    }

    fn scene(&self) -> Scene {
        Scene {
            bounds: (0.0, 1.0, 0.0, 1.0),
            background: Color(0, 0, 0),
            shapes: Vec::new(),
            caption: String::new(),
        }
    }

    fn save(&self, out: &mut Writer) {
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.elapsed = from.u32()?;
        Ok(())
    }
}

/// A batch that checks nothing, as a hasty author writes it: the loop itself must notice.
struct Unchecked {
    inner: Vectorized<Faulty>,
    fault: Fault,
    steps: u32,
}

impl BatchEnv for Unchecked {
    fn spec(&self) -> &EnvSpec {
        self.inner.spec()
    }

    fn n_envs(&self) -> usize {
        self.inner.n_envs()
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        self.inner.reset(seed, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        self.inner.step(actions, out)?;
        self.steps += 1;
        if self.steps == FAULT_AT {
            // Environment 1, second agent of the second group.
            let columns = &mut out.groups[1];
            match self.fault {
                Fault::None => {}
                Fault::NanReward => columns.reward[3] = f32::NAN,
                Fault::InfiniteReward => columns.reward[3] = f32::INFINITY,
                Fault::NanObservation => columns.obs[3] = f32::NAN,
                Fault::NoLegalAction => columns.mask[3] = 0,
            }
        }
        Ok(())
    }

    fn scene(&self, env: usize) -> Scene {
        self.inner.scene(env)
    }

    fn save(&self, out: &mut Writer) {
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.inner.load(from)
    }
}

fn run_in(env: Box<dyn BatchEnv>) -> Training {
    let mut setup = Setup::new("faulty", "iql");
    setup.n_envs = 2;
    let learner = setup.build_learner(env.spec()).unwrap();
    let eval_env = Box::new(Vectorized::new(1, || Ok(Faulty::new(Fault::None))).unwrap());
    Training::new(setup.run, 0, env, eval_env, learner).unwrap()
}

/// Collects until an error; returns it, and what was stored before and is stored then.
fn failure(env: Box<dyn BatchEnv>) -> (String, usize, usize) {
    let mut run = run_in(env);
    for _ in 0..20 {
        let before = run.stored();
        if let Err(error) = run.collect() {
            return (error.to_string(), before, run.stored());
        }
    }
    panic!("nobody noticed");
}

const FAULTS: [(Fault, &str); 4] = [
    (Fault::NanReward, "reward of environment 0, agent 2 is NaN"),
    (Fault::InfiniteReward, "reward of environment 0, agent 2 is inf"),
    (Fault::NanObservation, "observation of environment 0, agent 2 is NaN"),
    (Fault::NoLegalAction, "no legal action for environment 0, agent 2"),
];

#[test]
fn the_vectorizer_names_environment_and_agent() {
    for (fault, text) in FAULTS {
        let env = Vectorized::new(2, || Ok(Faulty::new(fault))).unwrap();
        let (error, before, after) = failure(Box::new(env));
        assert!(error.contains(text), "{fault:?}: {error}");
        assert!(!error.contains('\n') && error.contains("; "), "{error}");
        assert_eq!((before, after), (8, 8), "{fault:?}: four whole steps of two copies");
    }
}

#[test]
fn the_loop_notices_what_a_batch_does_not_check() {
    for (fault, text) in FAULTS {
        let inner = Vectorized::new(2, || Ok(Faulty::new(Fault::None))).unwrap();
        let (error, before, after) = failure(Box::new(Unchecked { inner, fault, steps: 0 }));
        let text = text.replace("environment 0", "environment 1");
        assert!(error.contains(&text), "{fault:?}: {error}");
        assert_eq!(before, after, "{fault:?}: a bad step was stored");
    }
}

#[test]
fn a_healthy_one_runs() {
    let mut run = run_in(Box::new(Vectorized::new(2, || Ok(Faulty::new(Fault::None))).unwrap()));
    (0..200).for_each(|_| run.collect().unwrap());
}
