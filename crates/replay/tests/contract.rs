//! What a user relies on, one promise a test.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Error, Prioritized, Replay, ReplayConfig, WeightNorm};

fn spec(n_agents: usize) -> EnvSpec {
    let group = GroupSpec {
        name: "team".into(),
        n_agents,
        obs: vec![ObsField::unbounded("x", 2)],
        action: ActionSpace::Discrete { n: 3 },
        masked: false,
    };
    EnvSpec {
        name: "toy".into(),
        version: 1,
        groups: vec![group],
        state_width: 0,
        episode_limit: Some(10),
        reward: RewardKind::Common,
    }
}

fn prioritized(capacity: usize) -> ReplayConfig {
    let prioritized = Some(Prioritized { alpha: 1.0, eps: 0.0 });
    ReplayConfig { prioritized, ..ReplayConfig::uniform(capacity, 1) }
}

/// A replay after `n` steps of one environment without an end.
fn filled(config: ReplayConfig, n: usize) -> Replay {
    let spec = spec(1);
    let mut replay = Replay::new(&spec, config).unwrap();
    replay.begin(&StepBatch::new(&spec, 1)).unwrap();
    let mut step = StepBatch::new(&spec, 1);
    step.is_first[0] = false;
    for _ in 0..n {
        replay.push(&ActionBatch::new(&spec, 1), &step).unwrap();
    }
    replay
}

fn rng(position: u64) -> Stream {
    Stream::new(5, Purpose::Replay, 0, position)
}

/// Share of draws of each id in 2000 batches of 4.
fn shares(replay: &Replay, n: usize) -> Vec<f64> {
    let (mut batch, mut rng) = (Batch::new(&spec(1), 4), rng(0));
    let mut shares = vec![0.0; n];
    for _ in 0..2000 {
        replay.sample(&mut rng, 4, 0.0, &mut batch).unwrap();
        batch.ids.iter().for_each(|&id| shares[id as usize] += 1.0 / 8000.0);
    }
    shares
}

#[test]
fn bad_settings_are_one_line_that_says_what_to_do() {
    let good = ReplayConfig { n_step: 3, ..ReplayConfig::uniform(100, 4) };
    let bad = [
        (ReplayConfig { n_envs: 0, ..good.clone() }, "n_envs"),
        (ReplayConfig { n_step: 0, ..good.clone() }, "n_step"),
        (ReplayConfig { gamma: 1.5, ..good.clone() }, "gamma"),
        (ReplayConfig { gamma: f32::NAN, ..good.clone() }, "gamma"),
        (ReplayConfig { capacity: 15, ..good.clone() }, "at least 16"),
        (ReplayConfig { capacity: usize::MAX, ..good.clone() }, "at most"),
        (ReplayConfig { prioritized: Some(Prioritized { alpha: -1.0, eps: 0.0 }), ..good.clone() }, "alpha"),
        (
            ReplayConfig { prioritized: Some(Prioritized { alpha: 1.0, eps: f32::NAN }), ..good.clone() },
            "eps",
        ),
    ];
    for (config, word) in bad {
        let error = Replay::new(&spec(1), config).unwrap_err().to_string();
        assert!(error.contains(word) && error.lines().count() == 1, "{error}");
    }
    assert!(Replay::new(&spec(0), good.clone()).unwrap_err().to_string().contains("no agents"));
    assert!(Replay::new(&spec(1), ReplayConfig { capacity: 16, ..good }).is_ok());
}

#[test]
fn memory_is_told_before_it_is_taken_and_refused_if_it_is_not_there() {
    let mut wide = spec(1);
    wide.groups[0].obs = vec![ObsField::unbounded("x", 100)];
    let config = ReplayConfig::uniform(1_000_000, 1);
    let bytes = Replay::memory_bytes(&wide, &config).unwrap();
    assert!((400_000_000..500_000_000).contains(&bytes), "{bytes} bytes for 1e8 floats");
    wide.groups[0].obs = vec![ObsField::unbounded("x", 1 << 40)];
    let error = Replay::new(&wide, config).unwrap_err();
    assert!(matches!(error, Error::Memory { capacity: 1_000_000, .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn a_batch_larger_than_the_buffer_names_both_numbers() {
    let replay = filled(ReplayConfig::uniform(100, 1), 10);
    let error = replay.sample(&mut rng(0), 32, 0.0, &mut Batch::new(&spec(1), 32)).unwrap_err();
    assert_eq!(error, Error::TooFew { batch_size: 32, stored: 10 });
    assert!(error.to_string().contains("32") && error.to_string().contains("10"));
    assert!(replay.sample(&mut rng(0), 0, 0.0, &mut Batch::new(&spec(1), 1)).is_err());
    assert!(replay.sample(&mut rng(0), 1, f32::NAN, &mut Batch::new(&spec(1), 1)).is_err());
}

#[test]
fn numbers_that_are_not_finite_name_environment_and_agent() {
    let spec = spec(3);
    let mut replay = Replay::new(&spec, ReplayConfig::uniform(100, 2)).unwrap();
    let (actions, good) = (ActionBatch::new(&spec, 2), StepBatch::new(&spec, 2));
    replay.begin(&good).unwrap();
    let mut bad = good.clone();
    bad.groups[0].obs[(3 + 2) * 2 + 1] = f32::NAN;
    let error = replay.push(&actions, &bad).unwrap_err().to_string();
    assert!(error.contains("observation of environment 1, agent 2 is NaN"), "{error}");
    let mut bad = good.clone();
    bad.groups[0].reward[1] = f32::INFINITY;
    let error = replay.push(&actions, &bad).unwrap_err().to_string();
    assert!(error.contains("reward of environment 0, agent 1 is inf"), "{error}");
    // Rows of final observations are read only where an episode ended.
    let mut fine = good.clone();
    fine.is_first = vec![true, false];
    fine.groups[0].final_obs[7] = f32::NAN;
    replay.push(&actions, &fine).unwrap();
    fine.is_first[1] = true;
    let error = replay.push(&actions, &fine).unwrap_err().to_string();
    assert!(error.contains("final observation of environment 1, agent 0"), "{error}");
    let mut bad = actions.clone();
    bad.discrete[0][4] = 3;
    let error = replay.push(&bad, &good).unwrap_err().to_string();
    assert!(error.contains("action 3 of environment 1, agent 1"), "{error}");
    assert_eq!(replay.inserted(), 2, "only the good step is stored");
}

#[test]
fn capacity_and_counts_are_over_all_environments() {
    let spec = spec(1);
    let mut replay = Replay::new(&spec, ReplayConfig { n_step: 2, ..ReplayConfig::uniform(20, 3) }).unwrap();
    assert_eq!((replay.capacity(), replay.len(), replay.inserted()), (18, 0, 0));
    let mut step = StepBatch::new(&spec, 3);
    replay.begin(&step).unwrap();
    step.is_first.fill(false);
    for t in 1..30 {
        replay.push(&ActionBatch::new(&spec, 3), &step).unwrap();
        assert_eq!(replay.len(), (3 * (t - 1)).min(18), "the newest waits for its second step");
        assert_eq!(replay.inserted(), 3 * t as u64);
    }
}

#[test]
fn an_overwritten_transition_is_stale_and_its_priority_is_gone() {
    let mut replay = filled(prioritized(4), 4);
    assert_eq!(replay.update_priorities(&[0, 1], &[1000.0, 3.0]), Ok(0));
    let spec = spec(1);
    let mut step = StepBatch::new(&spec, 1);
    step.is_first[0] = false;
    replay.push(&ActionBatch::new(&spec, 1), &step).unwrap();
    assert_eq!(replay.update_priorities(&[0, 1], &[5.0, 3.0]), Ok(1), "id 0 was overwritten");
    // Ids 2 and 3 have priority 1, id 4 the largest so far, id 1 has 3.
    let shares = shares(&replay, 5);
    let expected = [0.0, 3.0 / 1005.0, 1.0 / 1005.0, 1.0 / 1005.0, 1000.0 / 1005.0];
    for (id, (found, expected)) in shares.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 0.002, "id {id}: drawn {found}, expected {expected}");
    }
}

#[test]
fn the_last_of_equal_ids_counts() {
    let mut replay = filled(prioritized(10), 4);
    assert_eq!(replay.update_priorities(&[2, 2, 0, 1, 3, 2], &[9.0, 50.0, 1.0, 1.0, 1.0, 5.0]), Ok(0));
    assert!((shares(&replay, 4)[2] - 5.0 / 8.0).abs() < 0.01);
}

#[test]
fn bad_priorities_change_nothing() {
    let mut replay = filled(prioritized(10), 4);
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let error = replay.update_priorities(&[0, 1], &[500.0, bad]).unwrap_err();
        assert!(matches!(error, Error::BadPriority { id: 1, .. }), "{error}");
    }
    assert_eq!(replay.update_priorities(&[0, 4], &[500.0, 1.0]), Err(Error::UnknownId { id: 4, newest: 3 }));
    assert!(replay.update_priorities(&[0], &[]).is_err());
    assert!(shares(&replay, 4).iter().all(|s| (s - 0.25).abs() < 0.01));
    let mut uniform = filled(ReplayConfig::uniform(10, 1), 4);
    assert_eq!(uniform.update_priorities(&[0], &[1.0]), Err(Error::NotPrioritized));
}

#[test]
fn uniform_draws_are_uniform_with_replacement() {
    let replay = filled(ReplayConfig::uniform(50, 1), 20);
    let (mut batch, mut rng) = (Batch::new(&spec(1), 10), rng(1));
    let (mut counts, mut batches_with_twins) = ([0_u32; 20], 0);
    for _ in 0..10_000 {
        replay.sample(&mut rng, 10, 0.0, &mut batch).unwrap();
        batch.ids.iter().for_each(|&id| counts[id as usize] += 1);
        batch.ids.sort_unstable();
        batches_with_twins += u32::from(batch.ids.windows(2).any(|w| w[0] == w[1]));
    }
    let chi_square: f64 = counts.iter().map(|&c| (f64::from(c) - 5000.0).powi(2) / 5000.0).sum();
    // 19 degrees of freedom: exceeded once in a million at 62.5.
    assert!(chi_square < 62.5, "chi-square {chi_square}");
    // 1 - 20 * 19 * .. * 11 / 20^10 = 0.9345 of 10,000 batches; five standard deviations are 124.
    assert!((f64::from(batches_with_twins) - 9345.0).abs() < 124.0, "{batches_with_twins}");
}

#[test]
fn a_loaded_replay_goes_on_to_the_same_bits() {
    for config in [prioritized(30), ReplayConfig { n_step: 3, ..ReplayConfig::uniform(30, 1) }] {
        let mut replay = filled(config.clone(), 45);
        let mut writer = Writer::new();
        replay.save(&mut writer);
        let bytes = writer.into_bytes();
        let mut loaded = Replay::new(&spec(1), config.clone()).unwrap();
        loaded.load(&mut Reader::new("replay", &bytes)).unwrap();
        let (mut a, mut b) = (Batch::new(&spec(1), 8), Batch::new(&spec(1), 8));
        let (mut rng_a, mut rng_b) = (rng(3), rng(3));
        let mut step = StepBatch::new(&spec(1), 1);
        for t in 0..40 {
            replay.sample(&mut rng_a, 8, 0.7, &mut a).unwrap();
            loaded.sample(&mut rng_b, 8, 0.7, &mut b).unwrap();
            assert_eq!(a, b, "batch {t}");
            if config.prioritized.is_some() {
                let td_abs: Vec<f32> = a.ids.iter().map(|&id| (id % 7) as f32).collect();
                replay.update_priorities(&a.ids, &td_abs).unwrap();
                loaded.update_priorities(&b.ids, &td_abs).unwrap();
            }
            (step.is_first[0], step.truncated[0]) = (t % 5 == 4, t % 10 == 9);
            step.groups[0].obs.fill(t as f32);
            step.groups[0].final_obs.fill(-t as f32);
            replay.push(&ActionBatch::new(&spec(1), 1), &step).unwrap();
            loaded.push(&ActionBatch::new(&spec(1), 1), &step).unwrap();
        }
    }
}

#[test]
fn only_the_filled_part_is_saved_and_foreign_states_are_refused() {
    let saved = |replay: &Replay| {
        let mut writer = Writer::new();
        replay.save(&mut writer);
        writer.into_bytes()
    };
    let config = ReplayConfig::uniform(1_000_000, 1);
    let bytes = saved(&filled(config.clone(), 100));
    assert!(bytes.len() < 10_000, "{} bytes for 100 transitions", bytes.len());
    for other in [
        ReplayConfig { gamma: 0.98, ..config.clone() },
        ReplayConfig { n_step: 2, ..config.clone() },
        ReplayConfig { capacity: 500_000, ..config.clone() },
        ReplayConfig { prioritized: Some(Prioritized { alpha: 0.6, eps: 1e-6 }), ..config.clone() },
    ] {
        let mut replay = filled(other, 5);
        let error = replay.load(&mut Reader::new("replay", &bytes)).unwrap_err().to_string();
        assert!(error.contains("differs from this replay's"), "{error}");
        assert!(replay.is_empty());
    }
    let mut replay = filled(config, 5);
    for n in (0..bytes.len()).step_by(97) {
        assert!(replay.load(&mut Reader::new("replay", &bytes[..n])).is_err(), "{n} bytes were accepted");
    }
}

#[test]
fn weights_are_divided_by_the_largest_of_batch_or_buffer() {
    for norm in [WeightNorm::Batch, WeightNorm::Buffer] {
        let mut replay = filled(ReplayConfig { normalize_weights_by: norm, ..prioritized(100) }, 100);
        let ids: Vec<u64> = (0..100).collect();
        let td_abs: Vec<f32> =
            ids.iter().map(|&id| if id == 0 { 0.001 } else { 1.0 + (id % 4) as f32 }).collect();
        replay.update_priorities(&ids, &td_abs).unwrap();
        let mut batch = Batch::new(&spec(1), 16);
        replay.sample(&mut rng(2), 16, 1.0, &mut batch).unwrap();
        let least = match norm {
            WeightNorm::Batch => {
                batch.ids.iter().map(|&id| td_abs[id as usize]).fold(f32::INFINITY, f32::min)
            }
            WeightNorm::Buffer => 0.001,
        };
        for (id, weight) in batch.ids.iter().zip(&batch.weight) {
            let expected = least / td_abs[*id as usize];
            assert!((weight / expected - 1.0).abs() < 2e-4, "{norm:?}: weight {weight}, expected {expected}");
        }
    }
}

#[test]
fn views_have_the_shape_of_the_group() {
    let spec = spec(3);
    let batch = Batch::new(&spec, 5);
    assert_eq!(batch.obs_view(0).dim(), (5, 3, 2));
    assert_eq!(batch.next_obs_view(0).dim(), (5, 3, 2));
    assert_eq!(batch.action_view(0).dim(), (5, 3));
    assert_eq!(batch.reward_view(0).dim(), (5, 3));
    assert_eq!(batch.discount_view(0).dim(), (5, 3));
    assert_eq!(batch.valid_view(0).dim(), (5, 3));
}
