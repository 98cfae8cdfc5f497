//! The batched form of an environment equals single copies of it, bit for bit: over many steps, resets, time
//! limits and contacts, for any number of copies, on one thread or several.

#![allow(clippy::unwrap_used)]

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_envs::cartpole::batch::CartPoleBatch;
use coact_envs::cartpole::{CartPole, CartPoleOptions, Coupling};
use coact_envs::golden::random_actions;
use coact_envs::lbf::{Foraging, ForagingOptions, Task};
use coact_envs::particle::adversary::{Adversary, AdversaryOptions};
use coact_envs::particle::simple::{Simple, SimpleOptions};
use coact_envs::particle::speaker_listener::{SpeakerListener, SpeakerListenerOptions};
use coact_envs::particle::spread::{Spread, SpreadOptions};
use coact_envs::particle::tag::{Tag, TagOptions};
use coact_envs::rules::{OneCopy, Rules};
use coact_envs::rware::{
    Observation, RewardScheme, Warehouse, WarehouseBatch, WarehouseEnv, WarehouseOptions,
};
use coact_envs::{LaneBatch, Vectorized};
use serde::Serialize;

/// The batched form of a listed environment beside copies of `rules`, which `options` must describe.
fn compare<T: Rules>(rules: T, options: &impl Serialize, n_envs: usize, n_steps: u64) -> usize {
    let options = serde_json::to_value(options).unwrap();
    let mut lanes = coact_envs::find(&rules.spec().name).unwrap().build(&options, n_envs).unwrap();
    compare_with(&mut *lanes, rules, n_envs, n_steps)
}

/// Carts in lanes, which are listed with springs only.
fn compare_carts(rules: CartPole, n_envs: usize, n_steps: u64) -> usize {
    compare_with(&mut LaneBatch::new(rules.clone(), n_envs).unwrap(), rules, n_envs, n_steps)
}

/// Steps a batched form and copies and compares everything that they write. Returns how many episodes ended.
fn compare_with<T: Rules>(lanes: &mut dyn BatchEnv, rules: T, n_envs: usize, n_steps: u64) -> usize {
    let mut copies = Vectorized::new(n_envs, || Ok(OneCopy::new(rules.clone()))).unwrap();
    let mut of_lanes = StepBatch::new(lanes.spec(), n_envs);
    let mut of_copies = of_lanes.clone();
    let mut actions = ActionBatch::new(lanes.spec(), n_envs);
    lanes.reset(11, &mut of_lanes).unwrap();
    copies.reset(11, &mut of_copies).unwrap();
    let name = &rules.spec().name;
    assert!(of_lanes == of_copies, "{name}, {n_envs} copies: reset");
    let mut ended = 0;
    for t in 0..n_steps {
        random_actions(lanes, &of_lanes, 5, t, &mut actions);
        lanes.step(&actions, &mut of_lanes).unwrap();
        copies.step(&actions, &mut of_copies).unwrap();
        assert!(of_lanes == of_copies, "{name}, {n_envs} copies: step {t}");
        ended += of_lanes.is_first.iter().filter(|f| **f).count();
    }
    ended
}

fn cart(n_agents: usize, coupling: Coupling, max_steps: u32) -> CartPole {
    CartPole::new(&CartPoleOptions { n_agents, coupling, max_steps, ..Default::default() }).unwrap()
}

#[test]
fn carts_are_equal() {
    assert!(compare_carts(cart(1, Coupling::None, 500), 16, 3000) > 1000);
    assert!(compare_carts(cart(2, Coupling::None, 500), 37, 1000) > 500);
    // A limit that some poles outlive and others do not.
    assert!(compare_carts(cart(3, Coupling::None, 20), 5, 1000) > 200);
    assert!(compare_carts(cart(4, Coupling::Spring, 500), 19, 1000) > 500);
}

#[test]
fn rows_of_carts_are_equal() {
    for (n_agents, n_envs, limit, n_steps) in
        [(1, 300, 500, 1000), (1, 16, 30, 1000), (2, 37, 500, 1000), (3, 5, 20, 1000)]
    {
        let rules = cart(n_agents, Coupling::None, limit);
        let mut rows = CartPoleBatch::new(rules.clone(), n_envs).unwrap();
        assert!(compare_with(&mut rows, rules, n_envs, n_steps) > 200);
    }
    assert!(CartPoleBatch::new(cart(2, Coupling::Spring, 500), 4).is_err());
}

#[test]
fn particles_are_equal() {
    for n_agents in [1, 3, 5] {
        let options = SpreadOptions { n_agents, ..Default::default() };
        assert!(compare(Spread::new(&options).unwrap(), &options, 21, 1000) == 21 * 40);
    }
    // Long episodes in a crowd: many contacts.
    let crowd = SpreadOptions { n_agents: 6, max_cycles: 400, ..Default::default() };
    compare(Spread::new(&crowd).unwrap(), &crowd, 3, 1200);
    let hunt = TagOptions { n_agents: 2, max_cycles: 60, ..Default::default() };
    compare(Tag::new(&hunt).unwrap(), &hunt, 18, 600);
    let adversary = AdversaryOptions::default();
    compare(Adversary::new(&adversary).unwrap(), &adversary, 17, 200);
    // Neighbors in order, endings before the limit, stages.
    let (n_agent_neighbors, n_landmark_neighbors) = (Some(2), Some(3));
    let near = AdversaryOptions { n_agents: 3, n_agent_neighbors, n_landmark_neighbors, ..adversary };
    compare(Adversary::new(&near).unwrap(), &near, 17, 200);
    let covered = SpreadOptions {
        n_agents: 1,
        terminate_on_success: true,
        curriculum_stage: Some(0),
        n_agent_neighbors: Some(1),
        max_cycles: 200,
        ..Default::default()
    };
    assert!(compare(Spread::new(&covered).unwrap(), &covered, 21, 1000) > 21 * 5);
    let caught = TagOptions {
        terminate_on_success: true,
        curriculum_stage: Some(0),
        n_agent_neighbors,
        n_landmark_neighbors,
        ..hunt
    };
    compare(Tag::new(&caught).unwrap(), &caught, 18, 600);
    for continuous in [false, true] {
        let options = SimpleOptions { continuous, ..Default::default() };
        compare(Simple::new(&options).unwrap(), &options, 2, 200);
        let options = SpeakerListenerOptions { continuous, ..Default::default() };
        compare(SpeakerListener::new(&options).unwrap(), &options, 33, 200);
    }
}

#[test]
fn foraging_is_equal() {
    for (name, n_envs) in [
        ("lbf/Foraging-8x8-2p-2f-coop-v3", 19),
        ("lbf/Foraging-2s-6x5-4p-3f-pen-v3", 16),
        ("lbf/Foraging-1s-5x5-3p-2f-ind-v3", 5),
        ("lbf/Foraging-10x10-6p-4f-v3", 3),
    ] {
        let config = Task::parse(name).unwrap().configure(&ForagingOptions::default()).unwrap();
        assert!(
            compare(Foraging::new(config).unwrap(), &ForagingOptions::default(), n_envs, 1500) >= 30 * n_envs,
            "{name}"
        );
    }
}

#[test]
fn warehouses_are_equal() {
    let plain = WarehouseOptions { max_steps: 120, ..Default::default() };
    let crowd = WarehouseOptions {
        msg_bits: 2,
        observation: Observation::Dict,
        reward: Some(RewardScheme::TwoStage),
        max_inactivity_steps: Some(90),
        layout: "....\n.xx.\n.xx.\n.gg.".into(),
        request_queue_size: Some(3),
        ..Default::default()
    };
    let far = WarehouseOptions {
        normalised_coordinates: true,
        reward: Some(RewardScheme::Global),
        ..plain.clone()
    };
    for (name, options, n_envs) in [
        ("rware/tiny-2ag-v2", &plain, 9),
        ("rware/small-4ag-hard-v2", &plain, 3),
        ("rware/2s-tiny-3h-19ag-easy-v2", &far, 4),
        ("rware/custom-5ag-v2", &crowd, 8),
    ] {
        let house = Warehouse::named(name, options).unwrap();
        let mut rows = WarehouseBatch::new(house.clone(), n_envs).unwrap();
        let house = std::sync::Arc::new(house);
        let mut copies = Vectorized::new(n_envs, || Ok(WarehouseEnv::new(house.clone()))).unwrap();
        let (mut a, mut b) = (StepBatch::new(rows.spec(), n_envs), StepBatch::new(rows.spec(), n_envs));
        let mut actions = ActionBatch::new(rows.spec(), n_envs);
        rows.reset(4, &mut a).unwrap();
        copies.reset(4, &mut b).unwrap();
        let (mut ended, mut paid) = (0, 0.0);
        for t in 0..2500 {
            random_actions(&rows, &a, 5, t, &mut actions);
            rows.step(&actions, &mut a).unwrap();
            copies.step(&actions, &mut b).unwrap();
            assert!(a == b, "{name}: step {t}");
            ended += a.is_first.iter().filter(|f| **f).count();
            paid += a.groups[0].reward.iter().sum::<f32>();
        }
        assert!(ended >= 15 * n_envs, "{name}: {ended} episodes");
        assert!(paid > 0.0 || n_envs != 8, "{name}: nothing was delivered");
    }
}

#[test]
fn threads_do_not_show_in_warehouses() {
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let run = || {
        let options = WarehouseOptions { max_steps: 7, ..Default::default() };
        let house = Warehouse::named("rware/tiny-2ag-v2", &options).unwrap();
        let mut env = WarehouseBatch::new(house, 4000).unwrap();
        let mut step = StepBatch::new(env.spec(), 4000);
        let mut actions = ActionBatch::new(env.spec(), 4000);
        env.reset(3, &mut step).unwrap();
        for t in 0..20 {
            random_actions(&env, &step, 5, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
        }
        step
    };
    assert!(pool(1).install(run) == pool(2).install(run));
}

#[test]
fn threads_do_not_show() {
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let run = || {
        let mut env = LaneBatch::new(cart(1, Coupling::None, 500), 60_000).unwrap();
        let mut step = StepBatch::new(env.spec(), 60_000);
        let mut actions = ActionBatch::new(env.spec(), 60_000);
        env.reset(3, &mut step).unwrap();
        for t in 0..40 {
            random_actions(&env, &step, 5, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
        }
        step
    };
    let one = pool(1).install(run);
    assert!(one == pool(2).install(run));
    assert!(one.is_first.contains(&true), "no episode ended in the last step");
}

#[test]
fn without_stiffness_springs_change_nothing() {
    let spring =
        CartPoleOptions { coupling: Coupling::Spring, stiffness: 0.0, damping: 0.0, ..Default::default() };
    let mut coupled = LaneBatch::new(CartPole::new(&spring).unwrap(), 64).unwrap();
    let mut free = LaneBatch::new(cart(2, Coupling::None, 500), 64).unwrap();
    let (mut a, mut b) = (StepBatch::new(coupled.spec(), 64), StepBatch::new(free.spec(), 64));
    let mut actions = ActionBatch::new(free.spec(), 64);
    coupled.reset(1, &mut a).unwrap();
    free.reset(1, &mut b).unwrap();
    let mut whole = [true; 64];
    let mut compared = 0;
    for t in 0..60 {
        random_actions(&free, &b, 5, t, &mut actions);
        coupled.step(&actions, &mut a).unwrap();
        free.step(&actions, &mut b).unwrap();
        for (env, whole) in whole.iter_mut().enumerate() {
            // Equal until the first pole falls, and in that step the last observations are the same.
            let fell = b.groups[0].terminated[2 * env..2 * env + 2].contains(&true);
            if *whole && !fell {
                assert_eq!(a.groups[0].obs[8 * env..8 * env + 8], b.groups[0].obs[8 * env..8 * env + 8]);
                compared += 1;
            }
            if *whole && fell {
                assert!(a.is_first[env], "the coupled episode goes on after a fall");
                assert_eq!(a.groups[0].terminated[2 * env..2 * env + 2], [true; 2]);
            }
            *whole &= !fell;
        }
    }
    assert!(compared > 500);
    let mut stiff = LaneBatch::new(cart(2, Coupling::Spring, 500), 64).unwrap();
    stiff.reset(1, &mut a).unwrap();
    free.reset(1, &mut b).unwrap();
    stiff.step(&actions, &mut a).unwrap();
    free.step(&actions, &mut b).unwrap();
    assert_ne!(a.groups[0].obs, b.groups[0].obs, "the default spring does nothing");
}

#[test]
fn a_state_that_is_not_finite_is_named() {
    let mut env = LaneBatch::new(cart(2, Coupling::None, 500), 20).unwrap();
    let mut step = StepBatch::new(env.spec(), 20);
    env.reset(0, &mut step).unwrap();
    // Environment 17, cart 1: second block, lane 1, variable 5. Saved: seed, count, then a length and 16 numbers
    // for each variable of each block.
    let mut saved = coact_core::codec::Writer::new();
    env.save(&mut saved);
    let mut bytes = saved.into_bytes();
    let lanes = 8 + 16 * 4;
    let block = (8 + 2) * lanes + lanes + (8 + 16 * 8);
    let at = 16 + block + 5 * lanes + 8 + 4;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    env.load(&mut coact_core::codec::Reader::new("environment", &bytes)).unwrap();
    let actions = ActionBatch::new(env.spec(), 20);
    let text = env.step(&actions, &mut step).unwrap_err().to_string();
    assert!(text.contains("environment 17, agent 1"), "{text}");
}
