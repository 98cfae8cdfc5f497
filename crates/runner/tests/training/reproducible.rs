//! The same seed gives the same bits: at any number of threads, on any instruction set, and however often a run is
//! interrupted.

use coact_core::codec::Writer;
use coact_kernels::{CpuOptions, Isa};
use coact_runner::checkpoint::{CheckpointStore, Loaded};
use coact_runner::metrics::Record;
use coact_runner::observer::Observer;
use coact_runner::policy::params_hash;
use coact_runner::{Training, train};
use serde_json::json;

use crate::support::{Diary, Setup};

/// Everything that has state: groups, wrappers, priorities, windows, noise, several copies, episodes that end.
fn busy(algorithm: &'static str) -> Setup {
    let mut setup = Setup::new("simple_tag", algorithm).learner(json!({
        "hidden": [24, 16], "dueling": true, "double_qc": true, "tau": 0.05,
        "exploration_noise": "ornstein_uhlenbeck", "learning_schedule": "cosine",
        "exploration_fraction": 0.5,
    }));
    setup.n_envs = 3;
    setup.seed = 11;
    setup.wrappers.normalize_obs = true;
    setup.wrappers.normalize_returns = true;
    setup.wrappers.reward_scaling = 0.5;
    setup.wrappers.agent_index = true;
    setup.wrappers.last_action = true;
    setup.wrappers.time_limit = Some(7);
    setup.run.env_steps = 600;
    setup.run.buffer_size = 210;
    setup.run.batch_size = 40;
    setup.run.learning_starts = 60;
    setup.run.n_step = 3;
    setup.run.prioritized_replay = true;
    setup.run.eval_every = 150;
    setup.run.log_every = 60;
    setup
}

/// Every part of a checkpoint, without the clock on the wall.
fn everything(run: &Training) -> Vec<(&'static str, Vec<u8>)> {
    run.parts().unwrap().into_iter().map(|(name, bytes)| (name, without_wall_clock(name, bytes))).collect()
}

/// `run.bin` begins with the counters behind their length, then the seconds.
fn without_wall_clock(name: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    if name == "run.bin" {
        let mut counters = Writer::new();
        counters.u64s(&[0; 6]);
        let at = counters.into_bytes().len();
        bytes[at..at + 8].fill(0);
    }
    bytes
}

/// Trains with `threads` threads each; all end with the hash of the setup's own.
pub fn expect_same_hash(setup: &Setup, threads: &[usize]) {
    let expected = setup.hash();
    for &threads in threads {
        let cpu = CpuOptions { threads, isa: None };
        let found = Setup { cpu, ..setup.clone() }.hash();
        assert_eq!(found, expected, "{}, {threads} threads", setup.algorithm);
    }
}

/// Trains on every instruction set of this machine; all end with the hash of the setup's own.
pub fn expect_same_hash_on_every_isa(setup: &Setup) {
    let expected = setup.hash();
    for isa in Isa::available() {
        let cpu = CpuOptions { threads: 1, isa: Some(isa) };
        assert_eq!(Setup { cpu, ..setup.clone() }.hash(), expected, "{}, {isa:?}", setup.algorithm);
    }
}

#[test]
fn threads_and_instruction_sets_do_not_show() {
    for algorithm in ["iql", "vdn"] {
        expect_same_hash(&busy(algorithm), &[2, 7]);
        expect_same_hash_on_every_isa(&busy(algorithm));
    }
}

/// Batches above the work that one thread takes on alone, on awkward widths.
#[test]
fn large_batches_do_not_show_threads_either() {
    let hash = |threads, isa| {
        let mut setup = Setup::new("simple_spread", "vdn").learner(json!({"hidden": [67, 33]}));
        setup.cpu = CpuOptions { threads, isa };
        setup.n_envs = 8;
        setup.run.env_steps = 2_560;
        setup.run.buffer_size = 2_000;
        setup.run.batch_size = 1_500;
        setup.run.learning_starts = 2_400;
        setup.hash()
    };
    let expected = hash(1, None);
    assert_eq!(hash(2, None), expected);
    assert_eq!(hash(7, None), expected);
    for isa in Isa::available() {
        assert_eq!(hash(2, Some(isa)), expected, "{isa:?}");
    }
}

#[test]
fn every_seed_is_accepted_and_is_a_run_of_its_own() {
    let seeds = [0, 1, (1 << 31) - 1, 1 << 63, u64::MAX];
    let hashes: Vec<String> =
        seeds.iter().map(|&seed| Setup { seed, ..Setup::new("climbing", "iql") }.hash()).collect();
    for (i, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(hash), "seed {} repeats an earlier one", seeds[i]);
    }
    // Not only the initial weights differ: environments and exploration do too.
    let first = |seed| {
        let mut run = Setup { seed, ..Setup::new("cartpole", "iql") }.build();
        (0..5).for_each(|_| run.collect().unwrap());
        everything(&run).into_iter().find(|(name, _)| *name == "replay.bin").unwrap().1
    };
    assert_ne!(first(3), first(4));
    assert_eq!(first(3), first(3));
}

/// Keeps records up to `env_steps` and ends the run at the first one beyond, as abruptly as a full disk would.
struct CutAfter<'a> {
    env_steps: u64,
    diary: &'a mut Diary,
}

impl Observer for CutAfter<'_> {
    fn on_record(&mut self, record: &Record) -> coact_runner::Result<()> {
        if record.env_steps > self.env_steps {
            return Err(coact_runner::Error::invalid("cut"));
        }
        self.diary.on_record(record)
    }
}

/// Goes on from `from`, is cut some time after `env_steps`, and returns the checkpoint of that step.
fn run_until(setup: &Setup, from: Option<Loaded>, diary: &mut Diary, env_steps: u64) -> Loaded {
    let mut setup = setup.clone();
    setup.run.checkpoint_every = Some(env_steps);
    let mut run = setup.build();
    if let Some(loaded) = from {
        run.restore(&loaded).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).unwrap();
    let cut = train(&mut run, Some(&store), &mut CutAfter { env_steps, diary });
    assert_eq!(cut.unwrap_err().to_string(), "cut");
    store.load(env_steps).unwrap()
}

/// Parts written at several moments, put into fresh runs that go on: the end is the same to the last bit, replay,
/// optimizer, normalizers, noise and metrics included. What an uninterrupted run tells.
pub fn expect_same_end_after_cuts(setup: &Setup, cuts: &[u64]) -> Diary {
    let (whole, expected_diary, _) = setup.watch();
    let (mut diary, mut loaded) = (Diary::default(), None);
    for &env_steps in cuts {
        loaded = Some(run_until(setup, loaded, &mut diary, env_steps));
    }
    let mut run = setup.build();
    run.restore(&loaded.unwrap()).unwrap();
    train(&mut run, None, &mut diary).unwrap();
    for ((name, found), (_, expected)) in everything(&run).iter().zip(&everything(&whole)) {
        assert!(found == expected, "{}: {name} differs after interruptions", setup.algorithm);
    }
    assert_eq!(diary.timeless(), expected_diary.timeless(), "{}", setup.algorithm);
    expected_diary
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    for algorithm in ["iql", "vdn"] {
        // Before the first gradient step, amid episodes, on an end of episodes, on an evaluation and a record, late.
        let diary = expect_same_end_after_cuts(&busy(algorithm), &[30, 102, 126, 300, 537]);
        assert_eq!(diary.steps_of("eval/return"), [150, 300, 450, 600]);
    }
}

/// A checkpoint continues its own run only: another seed would name other random streams.
#[test]
fn a_checkpoint_of_another_seed_is_refused() {
    let setup = Setup::new("climbing", "iql");
    let loaded = checkpoint_of(&setup.train());
    let error = Setup { seed: 1, ..setup }.build().restore(&loaded).unwrap_err().to_string();
    assert!(error.contains("seed 0") && error.contains("seed 1"), "{error}");
}

/// A checkpoint in memory.
fn checkpoint_of(run: &Training) -> Loaded {
    let parts = run.parts().unwrap().into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect();
    Loaded { env_steps: run.clock().env_steps, parts, skipped: Vec::new() }
}

/// What is restored is what was saved, at once.
#[test]
fn restoring_is_the_inverse_of_saving() {
    let setup = busy("iql");
    let mut run = setup.build();
    (0..50).for_each(|_| run.collect().unwrap());
    for _ in 0..5 {
        run.update(1).unwrap();
    }
    let (parts, loaded) = (run.parts().unwrap(), checkpoint_of(&run));
    let mut again = setup.build();
    again.restore(&loaded).unwrap();
    assert_eq!(again.parts().unwrap(), parts);
    assert_eq!(params_hash(again.learner().params()), params_hash(run.learner().params()));
}

/// A run that has ended stays as it is when it is resumed, whatever ended it.
#[test]
fn a_finished_run_does_not_go_on_when_resumed() {
    let base = Setup::new("climbing", "iql");
    let mut by_episodes = base.clone();
    by_episodes.run.max_episodes = Some(3);
    let mut by_return = base.clone();
    by_return.run.eval_every = 30;
    by_return.run.stop_return = Some(-1e9);
    for setup in [base, by_episodes, by_return] {
        let (run, _, reason) = setup.watch();
        let loaded = checkpoint_of(&run);
        let mut again = setup.build();
        again.restore(&loaded).unwrap();
        let mut diary = Diary::default();
        assert_eq!(train(&mut again, None, &mut diary).unwrap(), reason);
        assert!(diary.records.is_empty(), "{reason:?}: {:?}", diary.records);
        assert!(everything(&again) == everything(&run), "{reason:?}: the run went on");
    }
}
