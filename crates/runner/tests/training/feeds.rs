//! Learners of consecutive steps get what the settings say, on policy and out of replay, and a run with them goes on
//! after an interruption as if there had been none. The learner here learns nothing; it notes what it is fed.

use std::sync::{Arc, Mutex};

use coact_algorithms::{ActMode, AgentPolicy, AnyLearner, Clock, Learner, SequenceLearner, UpdateStats};
use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, StepBatch};
use coact_replay::{Rollout, SequenceStart};
use coact_runner::checkpoint::CheckpointStore;
use coact_runner::observer::Silent;
use coact_runner::{RunSettings, Training, train};

use crate::support::Setup;

const ENVS: usize = 3;

/// Every action is the step counter's parity; its recurrent state `[E, 2]` counts its acts.
struct Notes {
    acts: u64,
    updates: u64,
    memory: Vec<f32>,
    fed: Arc<Mutex<Vec<Rollout>>>,
}

impl Learner for Notes {
    fn act(
        &mut self,
        _: &StepBatch,
        mode: ActMode,
        actions: &mut ActionBatch,
    ) -> coact_algorithms::Result<()> {
        if let ActMode::Explore(_) = mode {
            actions.discrete[0].fill((self.acts % 2) as u32);
            self.acts += 1;
            self.memory.fill(self.acts as f32);
        }
        Ok(())
    }
    fn params(&self) -> &[f32] {
        &[]
    }
    fn set_params(&mut self, _: &[f32]) {}
    fn grad_steps(&self) -> u64 {
        self.updates
    }
    fn action_values(&mut self, _: &StepBatch, _: usize) -> coact_algorithms::Result<Vec<f32>> {
        Ok(Vec::new())
    }
    fn memory(&self) -> &[f32] {
        &self.memory
    }
    fn gauges(&self, _: Clock) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
    fn policies(&self) -> Vec<AgentPolicy> {
        Vec::new()
    }
    fn save(&self, out: &mut Writer) {
        out.u64(self.acts);
        out.u64(self.updates);
        out.f32s(&self.memory);
    }
    fn load(&mut self, from: &mut Reader<'_>) -> coact_algorithms::Result<()> {
        self.acts = from.u64()?;
        self.updates = from.u64()?;
        Ok(from.f32s(&mut self.memory)?)
    }
}

impl SequenceLearner for Notes {
    fn learn(&mut self, rollout: &Rollout) -> coact_algorithms::Result<UpdateStats> {
        self.updates += 1;
        self.fed.lock().unwrap().push(rollout.clone());
        Ok(UpdateStats::default())
    }
}

type Fed = Arc<Mutex<Vec<Rollout>>>;

fn run(settings: RunSettings, feed: fn(Box<dyn SequenceLearner>) -> AnyLearner) -> (Training, Fed) {
    let mut setup = Setup::new("cartpole", "iql");
    setup.wrappers.time_limit = Some(7);
    let fed = Fed::default();
    let memory = vec![0.0; 2 * ENVS];
    let notes = Notes { acts: 0, updates: 0, memory, fed: fed.clone() };
    let (env, eval_env) = (setup.environment(ENVS), setup.environment(1));
    (Training::new(settings, 5, env, eval_env, feed(Box::new(notes))).unwrap(), fed)
}

fn settings() -> RunSettings {
    RunSettings { env_steps: 120, buffer_size: 60, batch_size: 4, ..Setup::new("cartpole", "iql").run }
}

fn fed_with(settings: RunSettings, feed: fn(Box<dyn SequenceLearner>) -> AnyLearner) -> Vec<Rollout> {
    let (mut run, fed) = run(settings, feed);
    train(&mut run, None, &mut Silent).unwrap();
    let fed = std::mem::take(&mut *fed.lock().unwrap());
    assert_eq!(run.learner().grad_steps(), fed.len() as u64);
    fed
}

#[test]
fn on_policy_every_step_is_learned_from_once() {
    let fed = fed_with(RunSettings { rollout_steps: 8, ..settings() }, AnyLearner::OnPolicy);
    // 120 environment steps are 40 of each of 3 copies: 5 rollouts of 8.
    assert_eq!(fed.len(), 5);
    for (i, rollout) in fed.iter().enumerate() {
        assert_eq!((rollout.n_steps, rollout.n_envs, rollout.burn_in), (8, ENVS, 0));
        assert_eq!(rollout.memory, vec![8.0 * i as f32; 2 * ENVS], "recurrent state when the rollout began");
        if let Some(next) = fed.get(i + 1) {
            let width = rollout.groups[0].obs.len() / 9;
            assert_eq!(rollout.groups[0].obs[8 * width..], next.groups[0].obs[..width]);
            assert_eq!(rollout.is_first[8 * ENVS..], next.is_first[..ENVS]);
        }
    }
    let fed = fed_with(RunSettings { rollout_steps: 20, ..settings() }, AnyLearner::OnPolicy);
    assert_eq!((fed.len(), fed[0].n_steps), (2, 20));
}

#[test]
fn sequences_have_the_length_burn_in_and_start_asked_for() {
    let settings = RunSettings { sequence_length: 5, burn_in: 2, learning_starts: 30, ..settings() };
    let fed = fed_with(settings.clone(), AnyLearner::Sequences);
    // From 30 environment steps on, one update each time the 3 copies step.
    assert_eq!(fed.len(), 31);
    assert!(fed.iter().all(|r| (r.n_steps, r.n_envs, r.burn_in) == (7, 4, 2) && r.memory.is_empty()));
    assert!(fed.iter().any(|r| r.is_first[..4].contains(&false)), "any step begins a sequence");

    let stored = fed_with(RunSettings { store_memory: true, ..settings.clone() }, AnyLearner::Sequences);
    assert!(stored.iter().all(|r| r.memory.len() == 8));
    assert!(stored.iter().any(|r| r.memory[0] != r.memory[2]), "each sequence has the state of its own time");

    let episodes = RunSettings { sequence_start: SequenceStart::Episode, ..settings };
    let fed = fed_with(episodes, AnyLearner::Sequences);
    assert!(fed.iter().all(|r| !r.is_first[..4].contains(&false)), "episodes begin at first observations");
}

#[test]
fn settings_that_consecutive_steps_have_no_use_for_are_refused() {
    let fault = |settings: RunSettings, feed: fn(Box<dyn SequenceLearner>) -> AnyLearner| {
        let setup = Setup::new("cartpole", "iql");
        let notes = Notes { acts: 0, updates: 0, memory: vec![0.0; 6], fed: Fed::default() };
        let (env, eval_env) = (setup.environment(ENVS), setup.environment(1));
        match Training::new(settings, 5, env, eval_env, feed(Box::new(notes))) {
            Ok(_) => panic!("not refused"),
            Err(error) => error.to_string(),
        }
    };
    let prioritized = RunSettings { prioritized_replay: true, ..settings() };
    assert!(fault(prioritized.clone(), AnyLearner::OnPolicy).contains("prioritized_replay"));
    assert!(fault(prioritized, AnyLearner::Sequences).contains("prioritized_replay"));
    assert!(fault(RunSettings { n_step: 3, ..settings() }, AnyLearner::OnPolicy).contains("n_step"));
    let long = RunSettings { sequence_length: 40, ..settings() };
    assert!(fault(long, AnyLearner::Sequences).contains("buffer_size"));
}

#[test]
fn a_restored_run_is_fed_the_same() {
    let settings = RunSettings {
        rollout_steps: 14,
        sequence_length: 5,
        store_memory: true,
        checkpoint_every: Some(51),
        ..settings()
    };
    for feed in [AnyLearner::OnPolicy as fn(Box<dyn SequenceLearner>) -> AnyLearner, AnyLearner::Sequences] {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(folder.path()).unwrap().keep_last(9);
        let (mut whole, all) = run(settings.clone(), feed);
        train(&mut whole, Some(&store), &mut Silent).unwrap();
        let (mut resumed, rest) = run(settings.clone(), feed);
        resumed.restore(&store.load(51).unwrap()).unwrap();
        let learned = resumed.learner().grad_steps() as usize;
        train(&mut resumed, None, &mut Silent).unwrap();
        let (all, rest) = (all.lock().unwrap(), rest.lock().unwrap());
        assert!(learned > 0 && !rest.is_empty());
        assert_eq!(all[learned..], rest[..]);
    }
}
