//! Every setting of a run does what its manual says; those that cannot be are refused by name.

use coact_algorithms::Learner;
use coact_runner::checkpoint::CheckpointStore;
use coact_runner::observer::Silent;
use coact_runner::policy::params_hash;
use coact_runner::settings::Keep;
use coact_runner::training::StopReason;
use coact_runner::{RunSettings, train};
use serde_json::{Value, json};

use crate::support::{Setup, merge};

/// `base` with `settings` laid over its run settings.
fn with(base: &Setup, settings: Value) -> Setup {
    let mut run = serde_json::to_value(&base.run).unwrap();
    merge(&mut run, settings);
    Setup { run: serde_json::from_value(run).unwrap(), ..base.clone() }
}

/// Keys that change the trained parameters, each with settings that give it something to act on.
fn changes() -> Vec<(&'static str, Value, Value)> {
    let prioritized = json!({"prioritized_replay": true});
    vec![
        ("env_steps", json!({}), json!(130)),
        ("max_episodes", json!({}), json!(2)),
        ("gamma", json!({}), json!(0.5)),
        ("n_step", json!({}), json!(4)),
        ("nstep_episodes", json!({}), json!(true)),
        ("buffer_size", json!({}), json!(30)),
        ("batch_size", json!({}), json!(9)),
        ("learning_starts", json!({}), json!(50)),
        ("min_replay_size", json!({}), json!(50)),
        ("update_every", json!({}), json!(2)),
        ("gradient_steps", json!({}), json!(2)),
        ("update_after_action", json!({}), json!(false)),
        ("prioritized_replay", json!({}), json!(true)),
        ("prioritized_replay_alpha", prioritized.clone(), json!(1.0)),
        ("prioritized_replay_beta0", prioritized.clone(), json!(0.0)),
        ("prioritized_replay_beta1", prioritized.clone(), json!(0.5)),
        ("prioritized_replay_eps", prioritized, json!(1.0)),
    ]
}

/// Keys that do not change what is learned; each has a test of its own below, in `feeds` or in the tests of
/// the binary.
const OTHERS: [&str; 15] = [
    "max_seconds",
    "stop_return",
    "stop_agent_return",
    "eval_every",
    "eval_episodes",
    "final_eval_episodes",
    "keep",
    "log_every",
    "checkpoint_every_s",
    "checkpoint_every",
    "rollout_steps",
    "sequence_length",
    "burn_in",
    "sequence_start",
    "store_memory",
];

fn base() -> Setup {
    let mut setup = Setup::new("cartpole", "iql").learner(json!({"loss": "squared"}));
    setup.wrappers.time_limit = Some(12);
    setup
}

#[test]
fn every_key_changes_what_is_learned_or_has_its_own_test() {
    for key in RunSettings::KEYS {
        let Some((_, context, value)) = changes().into_iter().find(|(name, ..)| *name == key.name) else {
            assert!(OTHERS.contains(&key.name), "`{}` is tested nowhere", key.name);
            continue;
        };
        let before = with(&base(), context);
        let changed = with(&before, json!({key.name: value}));
        assert_ne!(before.hash(), changed.hash(), "`{}` does nothing", key.name);
    }
}

fn grad_steps(settings: Value, n_envs: usize) -> u64 {
    let mut setup = with(&base(), settings);
    setup.n_envs = n_envs;
    setup.train().learner().grad_steps()
}

/// 120 environment steps; the update after step t is the first at t >= 16 and t >= 8 stored.
#[test]
fn gradient_steps_are_counted_as_the_manual_says() {
    assert_eq!(grad_steps(json!({}), 1), 105);
    assert_eq!(grad_steps(json!({"learning_starts": 100}), 1), 21);
    assert_eq!(grad_steps(json!({"learning_starts": 0, "min_replay_size": 60}), 1), 61);
    assert_eq!(
        grad_steps(json!({"learning_starts": 0, "min_replay_size": 3}), 1),
        113,
        "a batch must be stored"
    );
    assert_eq!(grad_steps(json!({"update_every": 4}), 1), 27);
    assert_eq!(grad_steps(json!({"gradient_steps": 3}), 1), 315);
    // Two copies: 60 vector steps, learning starts in the eighth.
    assert_eq!(grad_steps(json!({}), 2), 53);
    // As many as environment steps since the last update, and never for those before learning may start.
    assert_eq!(grad_steps(json!({"gradient_steps": -1}), 1), 105);
    assert_eq!(grad_steps(json!({"gradient_steps": -1}), 2), 106);
    assert_eq!(grad_steps(json!({"gradient_steps": -1, "update_every": 5}), 2), 106);
    // With windows of 3 steps a transition is stored 2 steps later.
    assert_eq!(grad_steps(json!({"learning_starts": 0, "min_replay_size": 60, "n_step": 3}), 1), 59);
}

/// Episodes of `climbing` last 25 steps: updates after steps 25, 50, 75, 100.
#[test]
fn updates_at_the_end_of_episodes_only() {
    let mut setup = with(&Setup::new("climbing", "iql"), json!({"update_after_action": false}));
    assert_eq!(setup.train().learner().grad_steps(), 4);
    setup.run.gradient_steps = -1;
    // Steps 16 to 25 of the first episode, then 25 an episode.
    assert_eq!(setup.train().learner().grad_steps(), 10 + 75);
}

#[test]
fn parameters_wait_for_learning_to_start() {
    let initial = params_hash(with(&base(), json!({})).build().learner().params());
    let after = |env_steps: u64| {
        let starts = json!({"learning_starts": 100, "env_steps": env_steps});
        with(&base(), starts).hash()
    };
    assert_eq!(after(99), initial);
    assert_ne!(after(100), initial);
}

/// The learning-rate schedule ends where the run ends.
#[test]
fn the_bound_on_gradient_steps_holds() {
    for settings in [
        json!({}),
        json!({"gradient_steps": -1}),
        json!({"gradient_steps": 3, "update_every": 2}),
        json!({"learning_starts": 0}),
        json!({"min_replay_size": 40}),
        json!({"update_after_action": false, "gradient_steps": -1}),
    ] {
        for n_envs in [1, 3] {
            let mut setup = with(&base(), settings.clone());
            setup.n_envs = n_envs;
            let (bound, taken) = (setup.run.total_grad_steps(n_envs), setup.train().learner().grad_steps());
            assert!(taken <= bound, "{settings}, {n_envs} copies: {taken} of at most {bound}");
        }
    }
}

#[test]
fn runs_end_for_the_reason_asked_for() {
    let reason = |settings| {
        let (run, _, reason) = with(&Setup::new("climbing", "iql"), settings).watch();
        (reason, run.clock().env_steps, run.clock().episodes)
    };
    assert_eq!(reason(json!({})), (StopReason::EnvSteps, 120, 4));
    assert_eq!(reason(json!({"max_episodes": 2})), (StopReason::Episodes, 50, 2));
    let eval = |stop: Value| {
        let mut settings = json!({"eval_every": 30});
        merge(&mut settings, stop);
        reason(settings)
    };
    assert_eq!(eval(json!({"stop_return": -1e9})), (StopReason::Return, 30, 1));
    assert_eq!(eval(json!({"stop_return": 1e9})), (StopReason::EnvSteps, 120, 4));
    assert_eq!(eval(json!({"stop_agent_return": -1e9})), (StopReason::Return, 30, 1));
    // Both agents get at most 275: the sum may reach 300, no agent does.
    assert_eq!(eval(json!({"stop_agent_return": 300})), (StopReason::EnvSteps, 120, 4));
    let (stopped, env_steps, _) = reason(json!({"env_steps": 1_000_000_000_u64, "max_seconds": 0.05}));
    assert_eq!(stopped, StopReason::Seconds);
    assert!(env_steps < 1_000_000_000);
}

#[test]
fn records_and_evaluations_come_when_due() {
    let settings = json!({"eval_every": 40, "eval_episodes": 3, "log_every": 50});
    let mut setup = with(&Setup::new("climbing", "iql"), settings);
    let (run, diary, _) = setup.watch();
    assert_eq!(diary.steps_of("eval/return"), [40, 80, 120]);
    assert_eq!(diary.steps_of("count/grad_steps"), [50, 100]);
    assert!(run.best().is_some());
    // Several copies may step over a multiple: the first step at or behind it counts, and the end is evaluated.
    setup.n_envs = 7;
    setup.run.env_steps = 133;
    let (_, diary, _) = setup.watch();
    assert_eq!(diary.steps_of("eval/return"), [42, 84, 126, 133]);
    assert_eq!(diary.steps_of("count/grad_steps"), [56, 105]);
    setup.run.eval_every = 0;
    assert!(setup.watch().1.steps_of("eval/return").is_empty());
}

/// Returns are those of the environment, whatever the learner is paid.
#[test]
fn logged_returns_stay_raw() {
    let returns = |scaling: f32, normalized: bool| {
        let mut setup = with(&base(), json!({"log_every": 60, "learning_starts": 1000}));
        setup.wrappers.reward_scaling = scaling;
        setup.wrappers.normalize_returns = normalized;
        let (_, diary, _) = setup.watch();
        diary.records.iter().map(|r| r.get("train/return").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(returns(0.125, false), returns(1.0, false));
    assert_eq!(returns(1.0, true), returns(1.0, false));
}

#[test]
fn checkpoints_come_when_due_and_at_the_end() {
    let steps = |settings| {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(folder.path()).unwrap().keep_last(1_000);
        let mut run = with(&Setup::new("climbing", "iql"), settings).build();
        train(&mut run, Some(&store), &mut Silent).unwrap();
        store.steps().unwrap()
    };
    assert_eq!(steps(json!({})), [120]);
    assert_eq!(steps(json!({"checkpoint_every": 50})), [50, 100, 120]);
    // Every step takes longer than a nanosecond.
    let all =
        steps(json!({"checkpoint_every_s": 1e-9, "env_steps": 9, "batch_size": 2, "learning_starts": 2}));
    assert_eq!(all, (1..=9).collect::<Vec<u64>>());
}

#[test]
fn the_best_or_the_last_is_handed_over() {
    let settings = json!({"eval_every": 20, "env_steps": 400, "buffer_size": 200});
    let mut setup = with(&Setup::new("climbing", "iql").learner(json!({"learning_rate": 0.05})), settings);
    let handed_over = |setup: &Setup| {
        let mut run = setup.train();
        let last = params_hash(run.learner().params());
        let best = params_hash(&run.best().unwrap().params);
        let (learner, _): (&mut dyn Learner, _) = run.hand_over().unwrap();
        (params_hash(learner.params()), best, last)
    };
    let (found, best, last) = handed_over(&setup);
    assert_ne!(best, last, "the best came before the end");
    assert_eq!(found, best);
    setup.run.keep = Keep::Last;
    let (found, _, last) = handed_over(&setup);
    assert_eq!(found, last);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refused = |settings: Value, words: &[&str]| {
        let error = match with(&Setup::new("climbing", "iql"), settings.clone()).try_build() {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{settings} was accepted"),
        };
        assert!(!error.contains('\n'), "{error}");
        for word in words {
            assert!(error.contains(word), "{settings}: `{word}` is not in: {error}");
        }
    };
    for key in [
        "env_steps",
        "batch_size",
        "buffer_size",
        "n_step",
        "update_every",
        "log_every",
        "eval_episodes",
        "final_eval_episodes",
        "max_episodes",
        "checkpoint_every",
        "gradient_steps",
    ] {
        refused(json!({key: 0}), &[key, "0", "1 or more"]);
    }
    for key in ["gamma", "prioritized_replay_alpha", "prioritized_replay_beta0", "prioritized_replay_beta1"] {
        refused(json!({key: 1.5}), &[key, "1.5", "[0, 1]"]);
        refused(json!({key: -0.5}), &[key, "-0.5"]);
    }
    refused(json!({"gradient_steps": -2}), &["gradient_steps", "-2"]);
    refused(json!({"prioritized_replay_eps": 0.0}), &["prioritized_replay_eps", "positive"]);
    refused(json!({"max_seconds": 0.0}), &["max_seconds", "positive"]);
    refused(json!({"checkpoint_every_s": -1.0}), &["checkpoint_every_s"]);
    refused(json!({"batch_size": 65}), &["batch_size", "65", "buffer_size", "64"]);
    refused(json!({"min_replay_size": 65}), &["min_replay_size", "65", "64"]);
    refused(json!({"n_step": 3, "nstep_episodes": false}), &["nstep_episodes", "n_step"]);
    refused(json!({"n_step": 2000}), &["n_step", "2000"]);
}

/// Replay keeps a multiple of the number of copies; a batch that needs the rest would wait for ever.
#[test]
fn a_batch_that_rounding_takes_away_is_refused() {
    let mut setup = with(&Setup::new("climbing", "iql"), json!({"buffer_size": 64, "batch_size": 64}));
    setup.n_envs = 7;
    let error = setup.try_build().err().unwrap().to_string();
    assert!(error.contains("batch_size") && error.contains("63") && error.contains("n_envs"), "{error}");
    setup.run.batch_size = 8;
    setup.run.min_replay_size = 64;
    let error = setup.try_build().err().unwrap().to_string();
    assert!(error.contains("min_replay_size"), "{error}");
    setup.run.min_replay_size = 63;
    assert!(setup.train().learner().grad_steps() > 0);
}

/// Counts near the end of their range neither overflow nor divide by zero.
#[test]
fn huge_counts_do_not_overflow() {
    let mut setup = Setup::new("climbing", "iql");
    setup.run.update_every = 1 << 62;
    assert_eq!(setup.run.total_grad_steps(4), 1);
    setup.run.update_every = 1;
    setup.run.gradient_steps = i64::MAX;
    assert_eq!(setup.run.total_grad_steps(1), u64::MAX);
}
