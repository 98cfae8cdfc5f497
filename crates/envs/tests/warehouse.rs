//! The warehouse by hand: picking up, putting down, delivering, rewards, messages, custom floors; and what a scripted
//! robot earns.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use coact_core::{Actions, MultiAgentEnv, Purpose, Stream};
use coact_envs::rware::{RewardScheme, Situation, Warehouse, WarehouseEnv, WarehouseOptions};

const FLOOR: &str = ". . . . .\n. x x x .\n. . . . .\n. . g . .";

fn env(name: &str, options: &WarehouseOptions) -> WarehouseEnv {
    WarehouseEnv::new(Arc::new(Warehouse::named(name, options).unwrap()))
}

/// Actions one after the other by a robot among others that do nothing; returns the rewards of all steps added up.
fn drive(env: &mut WarehouseEnv, robot: usize, tape: &str) -> Vec<f32> {
    let n = env.spec().n_agents();
    let mut total = vec![0.0; n];
    for step in tape.chars() {
        let mut actions = vec![0; n];
        actions[robot] = ".flrt".find(step).unwrap() as u32;
        let mut reward = vec![0.0; n];
        let given = Actions { discrete: &actions, continuous: &[] };
        env.step_with(given, |_| None, &mut reward).unwrap();
        total.iter_mut().zip(&reward).for_each(|(t, r)| *t += r);
    }
    total
}

#[test]
fn a_shelf_is_picked_up_delivered_and_put_down() {
    for (reward, delivery, put_down) in [
        (RewardScheme::Individual, [1.0, 0.0], [0.0, 0.0]),
        (RewardScheme::Global, [1.0, 1.0], [0.0, 0.0]),
        (RewardScheme::TwoStage, [0.5, 0.0], [0.5, 0.0]),
    ] {
        let options = WarehouseOptions {
            layout: FLOOR.into(),
            reward: Some(reward),
            request_queue_size: Some(1),
            ..Default::default()
        };
        let mut env = env("rware/custom-2ag-v2", &options);
        let shelves = vec![[1, 1], [2, 1], [3, 1]];
        // Under the second shelf, facing down.
        let robots = vec![[2, 1, 1, 0], [0, 0, 0, 0]];
        env.place(&Situation { robots, shelves, requests: vec![2] }).unwrap();
        assert_eq!(drive(&mut env, 0, "tf"), [0.0, 0.0]);
        assert_eq!(env.situation().robots[0], [2, 2, 1, 2]);
        assert_eq!(drive(&mut env, 0, "t"), [0.0, 0.0], "put down on a highway");
        assert_eq!(env.situation().robots[0][3], 2, "put down on a highway");
        assert_eq!(drive(&mut env, 0, "f"), delivery);
        assert_eq!(env.situation().requests, [1], "the first free shelf is requested next");
        assert_eq!(drive(&mut env, 0, "llff"), [0.0, 0.0]);
        assert_eq!(drive(&mut env, 0, "t"), put_down);
        assert_eq!((env.situation().robots[0], env.situation().shelves[1]), ([2, 1, 0, 0], [2, 1]));
        // Again without a request: no reward, and none for putting down.
        assert_eq!(drive(&mut env, 0, "tllffllfft"), [0.0, 0.0]);
    }
}

#[test]
fn carriers_do_not_enter_cells_with_shelves() {
    let options = WarehouseOptions { layout: FLOOR.into(), ..Default::default() };
    let mut env = env("rware/custom-1ag-v2", &options);
    let shelves = vec![[1, 1], [2, 1], [3, 1]];
    env.place(&Situation { robots: vec![[1, 1, 3, 0]], shelves, requests: vec![3] }).unwrap();
    drive(&mut env, 0, "tf");
    assert_eq!(env.situation().robots[0], [1, 1, 3, 1]);
    drive(&mut env, 0, "tff");
    assert_eq!(env.situation().robots[0], [3, 1, 3, 0], "free robots drive under shelves");
}

#[test]
fn messages_are_heard_by_neighbors() {
    let options = WarehouseOptions { layout: FLOOR.into(), msg_bits: 2, ..Default::default() };
    let mut env = env("rware/custom-2ag-v2", &options);
    let shelves = vec![[1, 1], [2, 1], [3, 1]];
    let robots = vec![[2, 2, 1, 0], [3, 2, 0, 0]];
    env.place(&Situation { robots, shelves, requests: vec![2, 3] }).unwrap();
    // The second says 0b10 while it turns left.
    let given = Actions { discrete: &[0, 2 + 5 * 2], continuous: &[] };
    env.step_with(given, |_| None, &mut [0.0; 2]).unwrap();
    let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
    env.observe(0, &mut obs);
    assert_eq!(obs.len(), 8 + 9 * 9);
    assert_eq!(obs[..8], [2.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(obs[8 + 9 * 5..][..9], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], "the cell to the right");
    assert_eq!(obs[8 + 9..][..9], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], "a requested shelf above");
}

#[test]
fn first_moments_are_sound_and_differ() {
    let mut env = env("rware/tiny-19ag-easy-v2", &WarehouseOptions::default());
    let mut seen = std::collections::BTreeSet::new();
    for episode in 0..50 {
        env.reset(&mut Stream::new(1, Purpose::Reset, 0, episode));
        let now = env.situation();
        let mut cells: Vec<[usize; 2]> = now.robots.iter().map(|r| [r[0], r[1]]).collect();
        cells.sort_unstable();
        cells.dedup();
        assert_eq!((cells.len(), now.requests.len(), now.shelves.len()), (19, 31, 32));
        assert!(now.robots.iter().all(|r| r[0] < 10 && r[1] < 11 && r[2] < 4 && r[3] == 0));
        seen.insert(now.robots);
    }
    assert_eq!(seen.len(), 50);
}
