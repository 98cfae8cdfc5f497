//! Returns against the values of plans, masks, and what learners see.

use coact_core::{Purpose, Stream};

use super::*;
use crate::exact::best_plan;
use crate::input::read_problem;
use crate::methods::{Options, solve};
use crate::team::{Goal, Paths, Robot, Task};
use crate::{CostMatrix, Objective, Team};

/// Four robots and seven tasks with windows, skills, precedence and durations, from a seed.
fn team(seed: u64, goal: Goal, with_precedence: bool) -> Problem {
    let mut rng = Stream::new(seed, Purpose::Init, 0, 0);
    let mut place = || [f64::from(rng.range(0.0, 10.0)), f64::from(rng.range(-4.0, 3.0))];
    let robot = |i: usize, at| Robot {
        speed: 1.0 + i as f64 / 4.0,
        capacity: 2 + i % 2,
        skills: if i.is_multiple_of(2) { vec!["lift".into()] } else { Vec::new() },
        ..Robot::at(format!("r{i}"), at)
    };
    let robots = (0..4).map(|i| robot(i, place())).collect();
    let task = |i: usize, at| Task {
        duration: i as f64 / 3.0,
        earliest: (i % 3) as f64,
        latest: if i.is_multiple_of(3) { 8.0 } else { f64::INFINITY },
        skills: if i == 2 { vec!["lift".into()] } else { Vec::new() },
        after: if with_precedence && i > 3 { vec![i - 3] } else { Vec::new() },
        reward: 1.0 + i as f64,
        ..Task::at(format!("t{i}"), at)
    };
    let tasks = (0..7).map(|i| task(i, place())).collect();
    Problem::Team(Team::new(robots, tasks, goal).unwrap())
}

fn tables() -> [Problem; 3] {
    let scores = r#"{"scores": [[3, 0, 5, 1], [4, 2, -1, 1], [1, 1, 6, 2]], "capacity": [1, 2, 2]}"#;
    let costs = vec![4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, f64::INFINITY];
    let costs = CostMatrix::new(3, 3, costs).unwrap();
    [
        read_problem(scores).unwrap(),
        Problem::Costs { costs: costs.clone(), objective: Objective::Minimize },
        Problem::Costs { costs, objective: Objective::Maximize },
    ]
}

fn problems() -> Vec<Problem> {
    let goals = [Goal::Travel, Goal::Makespan, Goal::Reward { discount: 0.9 }];
    let teams = goals.into_iter().flat_map(|goal| [false, true].map(|with| team(3, goal, with)));
    teams.chain(tables()).collect()
}

/// Plays until the end; `choose` gives the action of an agent. Returns what was paid, and in how many steps.
fn play(env: &mut AllocationEnv, mut choose: impl FnMut(&AllocationEnv, usize) -> u32) -> (f64, usize) {
    let n = env.spec().n_agents();
    let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
    env.reset(&mut Stream::new(0, Purpose::Reset, 0, 0));
    let (mut sum, mut n_steps) = (0.0, 0);
    while env.alive(0) {
        let discrete: Vec<u32> = (0..n).map(|agent| choose(env, agent)).collect();
        let actions = Actions { discrete: &discrete, continuous: &[] };
        let mut rng = Stream::new(0, Purpose::Step, 0, 0);
        assert!(!env.step(actions, &mut rng, &mut reward, &mut terminated).unwrap());
        assert_eq!(terminated[0], !env.alive(0));
        assert!(reward.iter().all(|r| *r == reward[0]));
        sum += f64::from(reward[0]);
        n_steps += 1;
        check_view(env);
    }
    (sum, n_steps)
}

/// Observations and states keep to their bounds, and masks say what the observation says.
fn check_view(env: &AllocationEnv) {
    let group = &env.spec().groups[0];
    let bounds: Vec<_> = group.obs.iter().flat_map(|f| vec![(f.low, f.high); f.width]).collect();
    let at = group.obs.iter().take_while(|f| f.name != "legal").map(|f| f.width).sum::<usize>();
    for agent in 0..group.n_agents {
        let (mut obs, mut mask) = (vec![f32::NAN; bounds.len()], vec![0; group.mask_words()]);
        env.observe(agent, &mut obs);
        env.legal(agent, &mut mask);
        assert!(obs.iter().zip(&bounds).all(|(x, (low, high))| (*low..=*high).contains(x)), "{obs:?}");
        assert_eq!(mask[0] & 1, 1, "waiting is always legal");
        for task in 0..env.owners.len() {
            assert_eq!(f32::from(u8::from(mask[0] >> (task + 1) & 1 == 1)), obs[at + task]);
        }
    }
    let mut state = vec![f32::NAN; env.spec().state_width];
    env.state(&mut state);
    assert!(state.iter().all(|x| (0.0..=1.0).contains(x)), "{state:?}");
    assert!(!env.scene().shapes.is_empty());
}

fn random_action(env: &AllocationEnv, agent: usize, rng: &mut Stream) -> u32 {
    let tasks = (0..env.owners.len()).filter(|&task| env.prospect(agent, task).is_some());
    let legal: Vec<u32> = std::iter::once(0).chain(tasks.map(|task| task as u32 + 1)).collect();
    legal[rng.below(legal.len() as u32) as usize]
}

/// Follows a plan: the next task of the path as soon as it is legal.
fn follow(env: &mut AllocationEnv, paths: &Paths) -> f64 {
    let choose = |env: &AllocationEnv, agent: usize| match paths[agent].get(env.counts[agent]) {
        Some(&task) if env.prospect(agent, task).is_some() => task as u32 + 1,
        _ => 0,
    };
    play(env, choose).0
}

#[test]
fn returns_are_the_values_of_the_plans_built() {
    for (which, problem) in problems().iter().enumerate() {
        let mut env = AllocationEnv::new(problem).unwrap();
        let mut rng = Stream::new(which as u64, Purpose::Explore, 0, 0);
        let mut returns = Vec::new();
        for _ in 0..100 {
            let (sum, n_steps) = play(&mut env, |env, agent| random_action(env, agent, &mut rng));
            assert!(n_steps <= env.owners.len() + 1);
            let worth = value(problem, &Allocation::Paths(env.paths())).unwrap();
            assert!((worth - sum).abs() < 1e-5, "{which}: {sum}, but {:?} is worth {worth}", env.paths());
            returns.push(sum);
        }
        returns.dedup();
        assert!(returns.len() > 10, "{which}: chance plays alike");
    }
}

#[test]
fn plans_of_exact_methods_can_be_followed_and_no_chance_beats_them() {
    for (which, problem) in problems().iter().enumerate() {
        let answer = solve(problem, "exact", &Options::default()).unwrap();
        let best = value(problem, &answer.allocation).unwrap();
        let paths: Paths = match &answer.allocation {
            Allocation::Assignment(found) => {
                found.row_to_col.iter().map(|c| c.iter().copied().collect()).collect()
            }
            Allocation::Paths(paths) => paths.clone(),
            _ => unreachable!(),
        };
        let mut env = AllocationEnv::new(problem).unwrap();
        assert!((follow(&mut env, &paths) - best).abs() < 1e-5, "{which}");
        let mut rng = Stream::new(9, Purpose::Explore, 0, 0);
        let returns = (0..500).map(|_| play(&mut env, |env, agent| random_action(env, agent, &mut rng)).0);
        let returns: Vec<f64> = returns.collect();
        assert!(returns.iter().all(|sum| *sum <= best + 1e-5), "{which}: beaten");
        assert!(returns.iter().sum::<f64>() / 500.0 < best - 0.05, "{which}: chance is as good");
    }
}

/// One more task is worth more than any travel, any end and any cost.
#[test]
fn one_more_task_always_counts_more() {
    for goal in [Goal::Travel, Goal::Makespan] {
        for seed in 0..30 {
            let problem = team(seed, goal, false);
            let Problem::Team(team) = &problem else { unreachable!() };
            let mut env = AllocationEnv::new(&problem).unwrap();
            let mut rng = Stream::new(seed, Purpose::Explore, 1, 0);
            for _ in 0..20 {
                let (sum, _) = play(&mut env, |env, agent| random_action(env, agent, &mut rng));
                let n = env.awards.len() as f64;
                assert!(sum <= n + 1e-5 && sum >= n - 1.0 - 1e-5, "{goal:?}: {sum} for {n} tasks");
            }
            let best = value(&problem, &Allocation::Paths(best_plan(team).unwrap())).unwrap();
            assert!(best > 6.0, "a plan fits all seven tasks: {best}");
        }
    }
}

#[test]
fn whoever_starts_first_gets_the_task() {
    let robots =
        vec![Robot::at("far", [5.0, 0.0]), Robot::at("near", [1.0, 0.0]), Robot::at("as near", [-1.0, 0.0])];
    let tasks = vec![Task::at("a", [0.0, 0.0]), Task::at("b", [9.0, 0.0])];
    let problem = Problem::Team(Team::new(robots, tasks, Goal::Reward { discount: 0.9 }).unwrap());
    let mut env = AllocationEnv::new(&problem).unwrap();
    let (mut reward, mut terminated) = ([0.0; 3], [false; 3]);
    let mut step = |env: &mut AllocationEnv, discrete: [u32; 3]| {
        let actions = Actions { discrete: &discrete, continuous: &[] };
        let ended = env.step(actions, &mut Stream::new(0, Purpose::Step, 0, 0), &mut reward, &mut terminated);
        ended.map(|_| (reward[0], terminated[0]))
    };
    let (paid, ended) = step(&mut env, [1, 1, 1]).unwrap();
    assert_eq!(env.paths(), [vec![], vec![0], vec![]]);
    // Two rewards of 1; the first starts after one unit of time.
    assert!((paid - 0.45).abs() < 1e-6 && !ended);
    let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
    env.observe(0, &mut obs);
    // capacity, position, free_at, legal, appeal, rival, offset: the box reaches from -1 to 9.
    let appeal = 0.9_f32.powi(4);
    let rival = 0.9_f32.powi(10);
    let expected = [1.0, 0.6, 0.0, 0.0, 0.0, 1.0, 0.0, appeal, 0.0, rival, 0.0, 0.0, 0.4, 0.0];
    assert!(obs.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{obs:?}");
    // What is taken, then capacity, position, free_at and appeals of each.
    let mut state = vec![0.0; env.spec().state_width];
    env.state(&mut state);
    let mut expected = vec![1.0, 0.0, 1.0, 0.6, 0.0, 0.0, 0.0, appeal];
    expected.extend([0.5, 0.1, 0.0, 0.05, 0.0, rival]);
    expected.extend([1.0, 0.0, 0.0, 0.0, 0.0, rival]);
    assert_eq!(state.len(), expected.len());
    assert!(state.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{state:?}");
    assert!(step(&mut env, [1, 0, 0]).unwrap_err().to_string().contains("illegal"));
    assert!(step(&mut env, [3, 0, 0]).unwrap_err().to_string().contains("not one of 3"));
    // Everybody waits: that is the plan.
    assert_eq!(step(&mut env, [0, 0, 0]).unwrap(), (0.0, true));
    assert!(!env.alive(0));
}

#[test]
fn a_loaded_state_goes_on_alike_and_bad_ones_are_refused() {
    for problem in problems() {
        let mut env = AllocationEnv::new(&problem).unwrap();
        let n = env.spec().n_agents();
        let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
        let mut rng = Stream::new(4, Purpose::Explore, 0, 0);
        while env.awards.is_empty() {
            env.begin();
            let discrete: Vec<u32> = (0..n).map(|agent| random_action(&env, agent, &mut rng)).collect();
            let actions = Actions { discrete: &discrete, continuous: &[] };
            env.step(actions, &mut rng, &mut reward, &mut terminated).unwrap();
        }
        let mut out = Writer::new();
        env.save(&mut out);
        let bytes = out.into_bytes();
        let mut other = AllocationEnv::new(&problem).unwrap();
        other.load(&mut Reader::new("environment", &bytes)).unwrap();
        assert_eq!((&other.owners, &other.starts, &other.free_at), (&env.owners, &env.starts, &env.free_at));
        assert_eq!((&other.prospects, other.makespan), (&env.prospects, env.makespan));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            let _ = other.load(&mut Reader::new("environment", &damaged));
            assert!(other.load(&mut Reader::new("environment", &bytes[..at])).is_err());
        }
        env.ended = true;
        let mut over = Writer::new();
        env.save(&mut over);
        other.load(&mut Reader::new("environment", &over.into_bytes())).unwrap();
        assert!(!other.alive(0));
        // The same award twice.
        let mut twice = Writer::new();
        twice.bool(false);
        twice.u32(2);
        let (agent, task) = env.awards[0];
        [agent, task, agent, task].into_iter().for_each(|x| twice.u32(x));
        assert!(other.load(&mut Reader::new("environment", &twice.into_bytes())).is_err());
    }
}

#[test]
fn problems_of_other_kinds_are_refused() {
    let refused = |text: &str, word: &str| {
        let error = AllocationEnv::new(&read_problem(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    };
    refused(r#"{"players": ["a", "b"], "values": {"a": 1, "b": 1, "a b": 3}}"#, "coalition");
    refused(r#"{"costs": [[1, 2], [2, 1]], "loads": [[1, 1], [1, 1]], "capacities": [1, 1]}"#, "generalized");
    refused(r#"{"robots": [], "tasks": []}"#, "0 agents");
    let [scores, costs, _] = tables();
    assert!(value(&scores, &Allocation::Agents(vec![0])).is_err());
    assert!(value(&costs, &Allocation::Paths(vec![vec![0]])).is_err());
}
