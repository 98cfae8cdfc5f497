//! What wrappers do to observations, rewards and ends, and what they leave alone.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, RewardKind, StepBatch};
use coact_envs::golden::random_actions;
use coact_envs::wrappers::{CommonReward, RunningStats, WrapperConfig, wrap};
use serde_json::{Value, json};

const E: usize = 6;

fn plain(name: &str) -> Box<dyn BatchEnv> {
    coact_envs::find(name).unwrap().build(&Value::Null, E).unwrap()
}

/// Runs an environment bare and wrapped side by side and shows each moment to `check`.
fn side_by_side(
    name: &str,
    config: &WrapperConfig,
    n_steps: u64,
    mut check: impl FnMut(&StepBatch, &StepBatch, Option<&ActionBatch>),
) {
    let (mut bare, mut wrapped) = (plain(name), wrap(plain(name), config).unwrap());
    let (mut a, mut b) = (StepBatch::new(bare.spec(), E), StepBatch::new(wrapped.spec(), E));
    let mut actions = ActionBatch::new(bare.spec(), E);
    bare.reset(2, &mut a).unwrap();
    wrapped.reset(2, &mut b).unwrap();
    check(&a, &b, None);
    for t in 0..n_steps {
        random_actions(&*bare, &a, 3, t, &mut actions);
        bare.step(&actions, &mut a).unwrap();
        wrapped.step(&actions, &mut b).unwrap();
        assert_eq!(a.is_first, b.is_first);
        assert_eq!(a.truncated, b.truncated);
        for (a, b) in a.groups.iter().zip(&b.groups) {
            assert_eq!((&a.terminated, &a.alive, &a.mask), (&b.terminated, &b.alive, &b.mask));
            assert_eq!(a.reward, b.raw_reward(), "raw rewards are the environment's own");
        }
        check(&a, &b, Some(&actions));
    }
}

#[test]
fn the_default_changes_nothing() {
    side_by_side("simple_tag", &WrapperConfig::default(), 60, |a, b, _| assert!(a == b));
}

#[test]
fn scaling_multiplies_rewards_only() {
    let config = WrapperConfig { reward_scaling: -2.5, ..Default::default() };
    side_by_side("simple_adversary", &config, 40, |a, b, _| {
        for (a, b) in a.groups.iter().zip(&b.groups) {
            assert!(a.reward.iter().zip(&b.reward).all(|(a, b)| a * -2.5 == *b));
            assert_eq!(a.obs, b.obs);
        }
    });
}

#[test]
fn a_common_reward_is_shared_by_all_groups() {
    for (kind, factor) in [(CommonReward::Sum, 1.0), (CommonReward::Mean, 0.25)] {
        let config = WrapperConfig { common_reward: Some(kind), ..Default::default() };
        side_by_side("simple_tag", &config, 40, |a, b, _| {
            for env in 0..E {
                let hunters: f32 = a.groups[0].reward[3 * env..3 * env + 3].iter().sum();
                let sum = (hunters + a.groups[1].reward[env]) * factor;
                assert_eq!(b.groups[0].reward[3 * env..3 * env + 3], [sum; 3]);
                assert_eq!(b.groups[1].reward[env], sum);
            }
        });
        assert_eq!(wrap(plain("simple_tag"), &config).unwrap().spec().reward, RewardKind::Common);
        // A reward that is common already is neither added up nor divided.
        side_by_side("climbing", &config, 10, |a, b, _| assert_eq!(a.groups[0].reward, b.groups[0].reward));
    }
}

#[test]
fn agent_indices_and_last_actions_are_appended() {
    let config = WrapperConfig { agent_index: true, last_action: true, ..Default::default() };
    let mut ended = 0;
    side_by_side("cartpole", &config, 120, |a, b, actions| {
        let (a_obs, b_obs) = (&a.groups[0], &b.groups[0]);
        for row in 0..2 * E {
            let first = b.is_first[row / 2];
            let now = &b_obs.obs[8 * row..8 * row + 8];
            assert_eq!(now[..4], a_obs.obs[4 * row..4 * row + 4]);
            assert_eq!(now[6..], if row % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
            let Some(actions) = actions else {
                assert_eq!(now[4..6], [0.0; 2]);
                continue;
            };
            let hot = if actions.discrete[0][row] == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
            // An agent that fell earlier did nothing; one that fell in this step did.
            let acted = b_obs.reward[row] != 0.0;
            let said = if acted { hot } else { [0.0; 2] };
            assert_eq!(now[4..6], if first { [0.0; 2] } else { said });
            if first {
                ended += 1;
                let last = &b_obs.final_obs[8 * row..8 * row + 8];
                assert_eq!(last[..4], a_obs.final_obs[4 * row..4 * row + 4]);
                assert_eq!(last[4..6], said);
                assert_eq!(last[6..], now[6..]);
            }
        }
    });
    assert!(ended > 20);
}

#[test]
fn a_time_limit_truncates_and_starts_anew() {
    let config = WrapperConfig { time_limit: Some(4), ..Default::default() };
    for name in ["cartpole", "simple_spread", "climbing", "probe_truncate_only"] {
        let mut env = wrap(plain(name), &config).unwrap();
        assert_eq!(env.spec().episode_limit, Some(4), "{name}");
        let mut step = StepBatch::new(env.spec(), E);
        let actions = ActionBatch::new(env.spec(), E);
        env.reset(0, &mut step).unwrap();
        for t in 1..=12 {
            env.step(&actions, &mut step).unwrap();
            assert_eq!(step.truncated, [t % 4 == 0; E], "{name}, step {t}");
            assert!(!step.groups[0].terminated.contains(&true), "{name}");
        }
    }
    // A process that ends is not truncated by a limit in the same step.
    let config = WrapperConfig { time_limit: Some(1), ..Default::default() };
    let mut env = wrap(plain("probe_one_value"), &config).unwrap();
    let mut step = StepBatch::new(env.spec(), E);
    env.reset(0, &mut step).unwrap();
    env.step(&ActionBatch::new(env.spec(), E), &mut step).unwrap();
    assert_eq!((&step.truncated[..], &step.groups[0].terminated[..]), (&[false; E][..], &[true; E][..]));
}

#[test]
fn observations_are_normalized_by_what_was_seen_so_far() {
    let config = WrapperConfig { normalize_obs: true, clip_obs: 2.0, ..Default::default() };
    let mut stats = [RunningStats::new(3), RunningStats::new(11)];
    let mut clipped = false;
    side_by_side("simple_speaker_listener", &config, 60, |a, b, _| {
        for (g, stats) in stats.iter_mut().enumerate() {
            let (a_obs, b_obs) = (&a.groups[g], &b.groups[g]);
            stats.update(&a_obs.obs, None);
            let mut expected = a_obs.obs.clone();
            stats.normalize(&mut expected, 2.0);
            assert_eq!(expected, b_obs.obs);
            clipped |= expected.contains(&2.0);
            if a.is_first[0] && a.truncated[0] {
                let mut expected = a_obs.final_obs.clone();
                stats.normalize(&mut expected, 2.0);
                assert_eq!(expected, b_obs.final_obs, "last observations by the same statistics");
            }
        }
    });
    assert!(clipped, "nothing was ever clipped");
}

#[test]
fn statistics_freeze_when_they_are_taken_over() {
    let config = WrapperConfig { normalize_obs: true, normalize_returns: true, ..Default::default() };
    let mut train = wrap(plain("cartpole"), &config).unwrap();
    let mut step = StepBatch::new(train.spec(), E);
    let mut actions = ActionBatch::new(train.spec(), E);
    train.reset(0, &mut step).unwrap();
    for t in 0..50 {
        random_actions(&*train, &step, 1, t, &mut actions);
        train.step(&actions, &mut step).unwrap();
    }
    let statistics = |env: &dyn BatchEnv| {
        let mut out = Writer::new();
        env.save_statistics(&mut out);
        out.into_bytes()
    };
    let learned = statistics(&*train);
    let mut evaluation = wrap(plain("cartpole"), &config).unwrap();
    evaluation.reset(9, &mut step).unwrap();
    let mut reader = Reader::new("statistics", &learned);
    evaluation.load_statistics(&mut reader).unwrap();
    reader.finish().unwrap();
    for _ in 0..30 {
        evaluation.step(&actions, &mut step).unwrap();
    }
    assert_eq!(statistics(&*evaluation), learned, "evaluation moved the statistics");
    train.step(&actions, &mut step).unwrap();
    assert_ne!(statistics(&*train), learned, "training did not");
}

#[test]
fn a_loaded_state_continues_to_the_same_bits() {
    let config = WrapperConfig {
        normalize_obs: true,
        normalize_returns: true,
        agent_index: true,
        last_action: true,
        time_limit: Some(30),
        ..Default::default()
    };
    let mut env = wrap(plain("cartpole"), &config).unwrap();
    let mut step = StepBatch::new(env.spec(), E);
    let mut actions = ActionBatch::new(env.spec(), E);
    env.reset(0, &mut step).unwrap();
    let mut other: Option<(Box<dyn BatchEnv>, StepBatch)> = None;
    for t in 0..100 {
        if t == 37 {
            let mut out = Writer::new();
            env.save(&mut out);
            let mut copy = wrap(plain("cartpole"), &config).unwrap();
            copy.load(&mut Reader::new("environment", &out.into_bytes())).unwrap();
            other = Some((copy, step.clone()));
        }
        random_actions(&*env, &step, 1, t, &mut actions);
        env.step(&actions, &mut step).unwrap();
        if let Some((copy, copied)) = &mut other {
            copy.step(&actions, copied).unwrap();
            assert!(step == *copied, "step {t}");
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (settings, word) in [
        (json!({"gamma": 1.5}), "gamma"),
        (json!({"clip_obs": 0.0}), "clip_obs"),
        (json!({"clip_reward": -1.0}), "clip_reward"),
        (json!({"reward_scaling": 0.0}), "reward_scaling"),
        (json!({"time_limit": 0}), "time_limit"),
    ] {
        let config: WrapperConfig = serde_json::from_value(settings).unwrap();
        let text = wrap(plain("simple"), &config).err().unwrap().to_string();
        assert!(text.contains(word), "{text}");
    }
    assert!(serde_json::from_value::<WrapperConfig>(json!({"normalise_obs": true})).is_err());
}
