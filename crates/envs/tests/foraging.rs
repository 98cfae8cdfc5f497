//! Foraging by hand: the original's own tests, spawning, sharing, collisions, sight, masks; and what a scripted team
//! earns.

#![allow(clippy::unwrap_used)]

use coact_core::{ActionBatch, Actions, Purpose, StepBatch, Stream};
use coact_envs::lbf::{Foraging, ForagingOptions, GridForaging, Levels, Task};
use coact_envs::rules::{ActionsOf, Outcome, Rules};
use serde_json::json;

fn foraging(name: &str, options: &ForagingOptions) -> Foraging {
    Foraging::new(Task::parse(name).unwrap().configure(options).unwrap()).unwrap()
}

/// Players and food as rows of row, column, level.
fn field(rules: &Foraging, players: &[[f32; 3]], foods: &[[f32; 3]]) -> Vec<f32> {
    let mut vars = [players.as_flattened(), foods.as_flattened()].concat();
    vars.push(foods.iter().map(|f| f[2]).sum());
    assert_eq!(vars.len(), rules.n_vars());
    vars
}

fn step(rules: &Foraging, vars: &mut [f32], actions: &[u32]) -> (Vec<f32>, bool) {
    let n = actions.len();
    let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
    let outcome = Outcome { reward: &mut reward, terminated: &mut terminated };
    let given = ActionsOf { discrete: actions, continuous: &[] };
    rules.advance::<f32>(vars, &vec![true; n], given, outcome, &mut vec![0.0; rules.n_scratch()]);
    (reward, terminated[0])
}

#[test]
fn food_lies_apart_off_the_border_and_off_players() {
    let rules = foraging("lbf/Foraging-8x8-4p-4f-coop-v3", &ForagingOptions::default());
    let mut vars = vec![0.0; rules.n_vars()];
    let mut levels = [0; 3];
    for episode in 0..500 {
        rules.begin(&mut Stream::new(1, Purpose::Reset, 0, episode), &mut vars);
        let (players, foods) = (&vars[..12], &vars[12..24]);
        let cells: Vec<&[f32]> = players.chunks(3).chain(foods.chunks(3)).map(|c| &c[..2]).collect();
        for (i, cell) in cells.iter().enumerate() {
            assert!(cell.iter().all(|x| (0.0..8.0).contains(x)));
            assert!(!cells[..i].contains(cell), "two things in one cell");
        }
        players.chunks(3).for_each(|p| levels[p[2] as usize] += 1);
        let mut lowest: Vec<f32> = players.chunks(3).map(|p| p[2]).collect();
        lowest.sort_by(f32::total_cmp);
        for (i, food) in foods.chunks(3).enumerate() {
            assert!((1.0..=6.0).contains(&food[0]) && (1.0..=6.0).contains(&food[1]), "food on the border");
            assert_eq!(food[2], lowest[..3].iter().sum::<f32>(), "cooperative food needs the three lowest");
            for other in foods.chunks(3).take(i) {
                let (dr, dc) = ((food[0] - other[0]).abs(), (food[1] - other[1]).abs());
                assert!(dr.max(dc) > 1.0 && (dr.min(dc) > 0.0 || dr + dc > 2.0), "food too near");
                assert!((other[0], other[1]) < (food[0], food[1]), "food out of order");
            }
        }
        assert_eq!(vars[24], foods.chunks(3).map(|f| f[2]).sum::<f32>());
    }
    assert!(levels[1] > 800 && levels[2] > 800, "levels are drawn unevenly: {levels:?}");
}

#[test]
fn bounds_of_levels_are_handed_out_once_each() {
    let options = ForagingOptions {
        min_player_level: Levels::Each(vec![1, 3, 7]),
        max_player_level: Levels::Each(vec![1, 3, 7]),
        min_food_level: Levels::Each(vec![2, 5]),
        max_food_level: Some(Levels::Each(vec![2, 5])),
        ..Default::default()
    };
    let rules = foraging("lbf/Foraging-8x8-3p-2f-v3", &options);
    let mut vars = vec![0.0; rules.n_vars()];
    let mut firsts = std::collections::BTreeSet::new();
    for episode in 0..50 {
        rules.begin(&mut Stream::new(1, Purpose::Reset, 0, episode), &mut vars);
        let mut levels: Vec<u32> = vars[..9].chunks(3).map(|p| p[2] as u32).collect();
        firsts.insert(levels[0]);
        levels.sort_unstable();
        assert_eq!(levels, [1, 3, 7]);
        let mut foods: Vec<u32> = vars[9..15].chunks(3).map(|p| p[2] as u32).collect();
        foods.sort_unstable();
        assert_eq!(foods, [2, 5]);
    }
    assert_eq!(firsts.len(), 3, "always the same player");
}

#[test]
fn a_load_is_shared_by_level_and_an_episode_pays_one() {
    let rules = foraging("lbf/Foraging-8x8-2p-2f-pen-v3", &ForagingOptions::default());
    let mut vars = field(&rules, &[[2.0, 3.0, 1.0], [4.0, 3.0, 2.0]], &[[3.0, 3.0, 3.0], [6.0, 6.0, 1.0]]);
    assert_eq!(step(&rules, &mut vars, &[5, 0]), (vec![-0.1, 0.0], false), "too weak alone");
    let (reward, _) = step(&rules, &mut vars, &[5, 5]);
    assert_eq!(reward, [1.0 * 3.0 / (3.0 * 4.0), 2.0 * 3.0 / (3.0 * 4.0)]);
    assert_eq!(vars[6..9], [-1.0, -1.0, 0.0], "loaded food is gone");
    assert_eq!(step(&rules, &mut vars, &[5, 5]).0, [0.0, 0.0], "a load beside nothing is free");
    vars[..6].copy_from_slice(&[6.0, 5.0, 1.0, 5.0, 6.0, 2.0]);
    let (reward, over) = step(&rules, &mut vars, &[0, 5]);
    assert_eq!((reward, over), (vec![0.0, 0.25], true), "only those that load are paid");
    let plain = ForagingOptions { normalize_reward: false, ..Default::default() };
    let rules = foraging("lbf/Foraging-8x8-2p-1f-v3", &plain);
    let mut vars = field(&rules, &[[2.0, 3.0, 1.0], [4.0, 3.0, 2.0]], &[[3.0, 3.0, 3.0]]);
    assert_eq!(step(&rules, &mut vars, &[5, 5]), (vec![3.0, 6.0], true));
}

#[test]
fn walls_food_and_others_block() {
    let rules = foraging("lbf/Foraging-5x5-3p-1f-v3", &ForagingOptions::default());
    let walk = |players: [[f32; 2]; 3], actions: [u32; 3]| {
        let players = players.map(|p| [p[0], p[1], 1.0]);
        let mut vars = field(&rules, &players, &[[2.0, 2.0, 1.0]]);
        step(&rules, &mut vars, &actions);
        [[vars[0], vars[1]], [vars[3], vars[4]], [vars[6], vars[7]]]
    };
    // Into walls and food: nothing happens.
    let start = [[0.0, 0.0], [2.0, 1.0], [4.0, 4.0]];
    assert_eq!(walk(start, [1, 4, 4]), start);
    // A swap, and a third one that wants a cell of it too: that cell is entered by nobody.
    assert_eq!(walk([[0.0, 0.0], [0.0, 1.0], [4.0, 4.0]], [4, 3, 0]), [[0.0, 1.0], [0.0, 0.0], [4.0, 4.0]]);
    // Following into the cell of one whose own move fails leaves two in it, as in the original.
    assert_eq!(walk([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0]], [4, 4, 3]), [[0.0, 1.0], [0.0, 1.0], [0.0, 3.0]]);
}

#[test]
fn sight_hides_food_and_is_counted_from_its_corner() {
    let rules = foraging("lbf/Foraging-2s-8x8-3p-2f-v3", &ForagingOptions::default());
    let players = [[4.0, 4.0, 1.0], [6.0, 6.0, 2.0], [7.0, 4.0, 2.0]];
    let vars = field(&rules, &players, &[[3.0, 5.0, 2.0], [6.0, 1.0, 1.0]]);
    let mut obs = vec![0.0; 15];
    rules.observe::<f32>(&vars, 0, &mut obs);
    assert_eq!(obs[..6], [1.0, 3.0, 2.0, -1.0, -1.0, 0.0]);
    assert_eq!(obs[6..], [2.0, 2.0, 1.0, 4.0, 4.0, 2.0, -1.0, -1.0, 0.0]);
}

#[test]
fn a_grid_shows_levels_and_what_can_be_entered() {
    let rules = foraging("lbf/Foraging-grid-1s-5x5-2p-1f-v3", &ForagingOptions::default());
    let rules = GridForaging(rules);
    let vars = field(&rules.0, &[[0.0, 0.0, 2.0], [0.0, 1.0, 1.0]], &[[1.0, 1.0, 3.0]]);
    let mut obs = vec![0.0; 27];
    rules.observe::<f32>(&vars, 0, &mut obs);
    assert_eq!(obs[..9], [0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(obs[9..18], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0]);
    assert_eq!(obs[18..], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn masks_leave_what_does_something() {
    let found = coact_envs::find("lbf/Foraging-5x5-2p-1f-v3").unwrap();
    let mut env = found.build_one(&json!({"mask_actions": true})).unwrap();
    let (mut reward, mut terminated) = ([0.0; 2], [false; 2]);
    let mut checked = 0;
    for episode in 0..20 {
        let mut rng = Stream::new(2, Purpose::Reset, 0, episode);
        env.reset(&mut rng);
        for _ in 0..30 {
            let mut state = vec![0.0; 10];
            env.state(&mut state);
            let mut actions = [0; 2];
            for (agent, action) in actions.iter_mut().enumerate() {
                let mut mask = [0];
                env.legal(agent, &mut mask);
                let (row, col) = (state[3 * agent], state[3 * agent + 1]);
                let empty = |r: f32, c: f32| {
                    (0.0..5.0).contains(&r) && (0.0..5.0).contains(&c) && [r, c] != state[6..8]
                };
                let near = (row - state[6]).abs() + (col - state[7]).abs() == 1.0;
                let moves = [(row - 1.0, col), (row + 1.0, col), (row, col - 1.0), (row, col + 1.0)];
                let expected = moves
                    .iter()
                    .enumerate()
                    .fold(1, |m, (i, to)| m | u32::from(empty(to.0, to.1)) << (i + 1));
                assert_eq!(mask[0], expected | u32::from(near) << 5, "{state:?}, player {agent}");
                *action = rng.below(6);
                checked += usize::from(near);
            }
            env.step(Actions { discrete: &actions, continuous: &[] }, &mut rng, &mut reward, &mut terminated)
                .unwrap();
            if terminated[0] {
                break;
            }
        }
    }
    assert!(checked > 20, "players were hardly ever beside food");
}

/// Everybody walks to the food that is nearest to all of them together and loads it.
fn gather(state: &[f32], n_players: usize, player: usize, rng: &mut Stream) -> u32 {
    let (players, foods) = state.split_at(3 * n_players);
    let far = |p: &[f32], f: &[f32]| (p[0] - f[0]).abs() + (p[1] - f[1]).abs();
    let all = |f: &[f32]| players.chunks(3).map(|p| far(p, f)).sum::<f32>();
    let left = foods[..foods.len() - 1].chunks(3).filter(|f| f[2] > 0.0);
    let Some(food) = left.min_by(|a, b| all(a).total_cmp(&all(b))) else { return 0 };
    let me = &players[3 * player..3 * player + 3];
    if far(me, food) == 1.0 {
        return 5;
    }
    let blocked = |r: f32, c: f32| foods.chunks_exact(3).any(|f| f[..2] == [r, c]);
    let moves = [(1, -1.0, 0.0), (2, 1.0, 0.0), (3, 0.0, -1.0), (4, 0.0, 1.0)];
    let nearer = |(_, r, c): &&(u32, f32, f32)| {
        far(&[me[0] + r, me[1] + c], food) < far(me, food) && !blocked(me[0] + r, me[1] + c)
    };
    let ways: Vec<u32> = moves.iter().filter(nearer).map(|m| m.0).collect();
    // A step aside now and then, so that nobody waits for another for ever.
    if ways.is_empty() || rng.below(8) == 0 {
        rng.below(5)
    } else {
        ways[rng.below(ways.len() as u32) as usize]
    }
}

#[test]
fn a_scripted_team_earns_far_more_than_chance() {
    for (name, n_players, least) in [
        ("lbf/Foraging-8x8-2p-2f-coop-v3", 2, 0.8),
        ("lbf/Foraging-10x10-3p-3f-v3", 3, 0.55),
        ("lbf/Foraging-15x15-4p-5f-v3", 4, 0.3),
    ] {
        let mut env = coact_envs::find(name).unwrap().build(&json!({}), 200).unwrap();
        let (spec, n) = (env.spec().clone(), 200);
        let (mut out, mut actions) = (StepBatch::new(&spec, n), ActionBatch::new(&spec, n));
        let mut rng = Stream::new(1, Purpose::Explore, 0, 0);
        env.reset(3, &mut out).unwrap();
        let (mut paid, mut over) = (vec![0.0; n], vec![false; n]);
        for _ in 0..50 {
            for (row, action) in actions.discrete[0].iter_mut().enumerate() {
                let state = &out.state[row / n_players * spec.state_width..][..spec.state_width];
                *action = gather(state, n_players, row % n_players, &mut rng);
            }
            env.step(&actions, &mut out).unwrap();
            for e in 0..n {
                if !over[e] {
                    paid[e] += out.groups[0].reward[e * n_players..(e + 1) * n_players].iter().sum::<f32>();
                    over[e] |= out.is_first[e];
                }
            }
        }
        let mean = paid.iter().sum::<f32>() / n as f32;
        println!("{name}: {mean}");
        assert!(mean > least && paid.iter().all(|p| *p < 1.0 + 1e-5), "{name}: {mean}");
    }
}
