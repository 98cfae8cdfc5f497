//! Teams and tasks: recorded cases, protocols against the greedy allocation, faults of the network, exact plans.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use coact_allocation::bids::{Bids, Offer, ScoreTable};
use coact_allocation::cbaa::cbaa;
use coact_allocation::cbba::{CbbaOptions, cbba};
use coact_allocation::certificate::check_plan;
use coact_allocation::consensus::{ConsensusOptions, Outcome};
use coact_allocation::contract_net::{ContractNetOptions, contract_net};
use coact_allocation::exact::best_plan;
use coact_allocation::generalized::generalized_assignment;
use coact_allocation::sequential::{greedy, single_item_auction, warped_greedy};
use coact_allocation::team::Paths;
use coact_allocation::{CostMatrix, Error, Goal, Robot, Task, Team};
use coact_core::rng::{Purpose, Stream};
use coact_messaging::{Latency, Outage, Settings, Topology};
use serde_json::Value;

fn stream(seed: u64) -> Stream {
    Stream::new(seed, Purpose::Init, 0, 0)
}

fn table(n: usize, m: usize, capacity: usize, stream: &mut Stream) -> ScoreTable {
    let scores = (0..n * m).map(|_| stream.uniform_f64() * 100.0).collect();
    ScoreTable::new(n, m, scores, vec![capacity; n]).unwrap()
}

/// Robots and tasks on a square of side 10.
fn team(n: usize, m: usize, capacity: usize, goal: Goal, stream: &mut Stream) -> Team {
    let mut point = || [stream.uniform_f64() * 10.0, stream.uniform_f64() * 10.0];
    let robots = (0..n).map(|i| Robot { capacity, ..Robot::at(format!("r{i}"), point()) }).collect();
    let tasks =
        (0..m).map(|i| Task { reward: 5.0 + i as f64, ..Task::at(format!("t{i}"), point()) }).collect();
    Team::new(robots, tasks, goal).unwrap()
}

fn over(topology: Topology) -> CbbaOptions {
    let consensus = ConsensusOptions { topology: Some(topology), ..ConsensusOptions::default() };
    CbbaOptions { consensus, lost_after: None }
}

/// Chain, ring, star, everybody with everybody, and a random connected graph.
fn topologies(n: usize, seed: u64) -> Vec<Topology> {
    let most = n * (n - 1) / 2;
    vec![
        Topology::complete(n).unwrap(),
        Topology::line(n).unwrap(),
        Topology::ring(n).unwrap(),
        Topology::star(n).unwrap(),
        Topology::random_connected(n, (n - 1 + seed as usize % 3).min(most), seed).unwrap(),
    ]
}

fn sorted(paths: &Paths) -> Paths {
    let mut paths = paths.clone();
    paths.iter_mut().for_each(|path| path.sort_unstable());
    paths
}

fn assert_within_bound(found: &Outcome, n: usize, m: usize, capacity: usize, diameter: usize) {
    let bound = m.min(n * capacity) * diameter;
    assert!(found.is_agreed && found.n_rounds <= bound as u64, "{} rounds, bound {bound}", found.n_rounds);
}

#[test]
fn cbba_equals_greedy_on_every_topology() {
    let mut stream = stream(1);
    let (mut ratios, mut least) = (0.0, f64::INFINITY);
    for instance in 0..1000 {
        let n = 2 + stream.below(5) as usize;
        let (m, capacity) = (1 + stream.below(8) as usize, 1 + stream.below(3) as usize);
        let problem = table(n, m, capacity, &mut stream);
        let expected = greedy(&problem);
        for topology in topologies(n, instance) {
            let diameter = topology.diameter().unwrap();
            let found = cbba(&problem, &over(topology)).unwrap();
            assert_eq!(sorted(&found.paths), sorted(&expected.paths), "{instance}");
            assert_within_bound(&found, n, m, capacity, diameter);
        }
        let ratio = problem.total(&expected.paths) / problem.total(&problem.optimum().unwrap());
        assert!((0.5..=1.0 + 1e-12).contains(&ratio), "{ratio}");
        ratios += ratio;
        least = ratio.min(least);
    }
    assert!(ratios / 1000.0 > 0.9 && least < 1.0);
}

/// Each of the 1 + 4 + 38 + 728 connected graphs of two to five agents.
#[test]
fn cbba_equals_greedy_on_every_connected_graph_of_few_agents() {
    let mut stream = stream(9);
    let mut n_graphs = 0;
    for n in 2..=5 {
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|a| (0..a).map(move |b| (b, a))).collect();
        for chosen in 0..1_usize << pairs.len() {
            let edges: Vec<_> = (0..pairs.len()).filter(|k| chosen >> k & 1 == 1).map(|k| pairs[k]).collect();
            let topology = Topology::from_edges(n, &edges).unwrap();
            let Some(diameter) = topology.diameter() else { continue };
            n_graphs += 1;
            let (m, capacity) = (1 + stream.below(6) as usize, 1 + stream.below(3) as usize);
            let problem = table(n, m, capacity, &mut stream);
            let found = cbba(&problem, &over(topology)).unwrap();
            assert_eq!(sorted(&found.paths), sorted(&greedy(&problem).paths), "{edges:?}");
            assert_within_bound(&found, n, m, capacity, diameter);
        }
    }
    assert_eq!(n_graphs, 771);
}

/// Where nobody wants what another has, the first round of bids is the last.
#[test]
fn agents_of_different_tastes_agree_at_once() {
    for n in [2, 5, 9] {
        let scores = (0..n * n).map(|k| if k / n == k % n { 9.0 } else { 1.0 }).collect();
        let problem = ScoreTable::new(n, n, scores, vec![1; n]).unwrap();
        let found = cbba(&problem, &CbbaOptions::default()).unwrap();
        assert_eq!(found.paths, (0..n).map(|agent| vec![agent]).collect::<Vec<_>>());
        assert_eq!(found.n_rounds, 1);
    }
}

#[test]
fn greedy_reaches_its_known_share_of_the_optimum() {
    // 8 agents, 8 tasks, uniform scores: 0.9427 on average.
    let mut stream = stream(2);
    let ratios: Vec<f64> = (0..1000)
        .map(|_| {
            let problem = table(8, 8, 1, &mut stream);
            problem.total(&greedy(&problem).paths) / problem.total(&problem.optimum().unwrap())
        })
        .collect();
    let mean = ratios.iter().sum::<f64>() / 1000.0;
    assert!((mean - 0.9427).abs() < 0.006, "{mean}");
    assert!(ratios.iter().all(|&r| r >= 0.5));
}

/// Scores that halve with every task that an agent already has.
struct Halving(ScoreTable);

impl Bids for Halving {
    fn n_agents(&self) -> usize {
        self.0.n_agents()
    }
    fn n_tasks(&self) -> usize {
        self.0.n_tasks()
    }
    fn capacity(&self, agent: usize) -> usize {
        self.0.capacity(agent)
    }
    fn offer(&self, agent: usize, path: &[usize], task: usize, starts: &[Option<f64>]) -> Option<Offer> {
        let mut offer = self.0.offer(agent, path, task, starts)?;
        offer.bid *= 0.5_f64.powi(path.len() as i32);
        Some(offer)
    }
}

#[test]
fn cbba_equals_greedy_where_gains_diminish_and_warped_greedy_elsewhere() {
    let mut stream = stream(3);
    for instance in 0..150 {
        let n = 2 + stream.below(4) as usize;
        let (m, capacity) = (1 + stream.below(8) as usize, 1 + stream.below(4) as usize);
        let halving = Halving(table(n, m, capacity, &mut stream));
        let goal = [Goal::Reward { discount: 0.9 }, Goal::Travel, Goal::Makespan][instance as usize % 3];
        let team = team(n, m, capacity, goal, &mut stream);
        let topologies = topologies(n, instance);
        let topology = topologies[instance as usize % 5].clone();
        let diameter = topology.diameter().unwrap();
        let found = cbba(&halving, &over(topology.clone())).unwrap();
        assert_eq!(found.paths, greedy(&halving).paths, "{instance}");
        assert_within_bound(&found, n, m, capacity, diameter);
        let found = cbba(&team, &over(topology)).unwrap();
        assert_eq!(found.paths, warped_greedy(&team).paths, "{instance} {goal:?}");
        assert_within_bound(&found, n, m, capacity, diameter);
        check_plan(&team, &found.paths).unwrap();
    }
}

#[test]
fn ties_go_to_the_lower_agent_and_task() {
    for (n, m, capacity) in [(3, 3, 1), (4, 6, 2), (2, 5, 5), (1, 4, 2), (5, 1, 3)] {
        let problem = ScoreTable::new(n, m, vec![1.0; n * m], vec![capacity; n]).unwrap();
        let expected = greedy(&problem).paths;
        assert_eq!(expected[0], (0..m.min(capacity)).collect::<Vec<_>>());
        for topology in topologies(n, 3) {
            assert_eq!(cbba(&problem, &over(topology)).unwrap().paths, expected);
        }
    }
}

#[test]
fn degenerate_problems() {
    let empty = ScoreTable::new(0, 0, vec![], vec![]).unwrap();
    assert_eq!(cbba(&empty, &CbbaOptions::default()).unwrap().paths, Paths::new());
    for (n, m, capacity, score) in
        [(3, 0, 1, 1.0), (1, 3, 2, 1.0), (2, 2, 0, 1.0), (2, 2, 1, -1.0), (2, 2, 1, 0.0)]
    {
        let problem = ScoreTable::new(n, m, vec![score; n * m], vec![capacity; n]).unwrap();
        let expected = greedy(&problem).paths;
        assert_eq!(cbba(&problem, &CbbaOptions::default()).unwrap().paths, expected);
        let contracts = contract_net(&problem, &ContractNetOptions::default()).unwrap();
        assert_eq!(contracts.paths.iter().flatten().count(), expected.iter().flatten().count());
    }
    let apart = Topology::from_edges(3, &[(0, 1)]).unwrap();
    let problem = ScoreTable::new(3, 2, vec![1.0; 6], vec![1; 3]).unwrap();
    assert!(cbba(&problem, &over(apart)).unwrap_err().to_string().contains("not connected"));
}

#[test]
fn cbaa_equals_greedy_of_one_task_each() {
    let mut stream = stream(4);
    for instance in 0..300 {
        let n = 2 + stream.below(6) as usize;
        let problem = table(n, 1 + stream.below(8) as usize, 1, &mut stream);
        for topology in topologies(n, instance) {
            let found = cbaa(&problem, &over(topology)).unwrap();
            assert!(found.is_agreed);
            assert_eq!(found.paths, greedy(&problem).paths, "{instance}");
        }
    }
}

#[test]
fn losses_and_delays_only_cost_time() {
    let mut stream = stream(5);
    for instance in 0..60 {
        let (n, m) = (5, 10);
        let problem = table(n, m, 2, &mut stream);
        let settings = Settings {
            seed: instance,
            loss: [0.2, 0.5, 0.8][instance as usize % 3],
            latency: [Latency::Fixed(1), Latency::Uniform(1, 4)][instance as usize % 2],
            in_order: instance % 4 < 2,
            ..Settings::default()
        };
        let topology = Some(topologies(n, instance)[instance as usize % 5].clone());
        let consensus = ConsensusOptions { topology, settings, max_rounds: None };
        let options = CbbaOptions { consensus, lost_after: None };
        let found = cbba(&problem, &options).unwrap();
        assert!(found.is_agreed, "{instance}");
        assert_eq!(sorted(&found.paths), sorted(&greedy(&problem).paths), "{instance}");
        assert_eq!(found.rounds.last().unwrap().n_conflicts, 0);
        assert!(found.counts.lost > 0);
        assert!(cbaa(&problem, &options).unwrap().is_agreed);
    }
}

#[test]
fn tasks_of_a_crashed_agent_are_done_by_others() {
    let mut stream = stream(6);
    for instance in 0..40 {
        let (n, m) = (5, 8);
        let problem = table(n, m, 4, &mut stream);
        let settings = Settings {
            seed: instance,
            loss: [0.0, 0.2][instance as usize % 2],
            outages: vec![Outage { agent: 2, from: 1 + instance % 12, until: None }],
            ..Settings::default()
        };
        let topology = Some(topologies(n, instance)[[0, 2][instance as usize % 2]].clone());
        let consensus = ConsensusOptions { topology, settings, max_rounds: None };
        let found = cbba(&problem, &CbbaOptions { consensus, lost_after: Some(15) }).unwrap();
        assert!(found.is_agreed, "{instance}");
        let mut tasks: Vec<usize> = found.paths.iter().flatten().copied().collect();
        tasks.sort_unstable();
        assert_eq!(tasks, (0..m).collect::<Vec<_>>(), "{instance}");
        assert_eq!(found.paths[2], Vec::<usize>::new());
    }
}

#[test]
fn cbaa_gives_tasks_of_a_crashed_agent_to_those_left() {
    let mut stream = stream(8);
    for instance in 0..40 {
        let (n, m) = (5, 3);
        let problem = table(n, m, 1, &mut stream);
        let down = greedy(&problem).paths.iter().position(|path| !path.is_empty()).unwrap();
        let settings = Settings {
            seed: instance,
            loss: [0.0, 0.2][instance as usize % 2],
            outages: vec![Outage { agent: down, from: 1 + instance % 12, until: None }],
            ..Settings::default()
        };
        let topology = Some(topologies(n, instance)[[0, 2][instance as usize % 2]].clone());
        let consensus = ConsensusOptions { topology, settings, max_rounds: None };
        let found = cbaa(&problem, &CbbaOptions { consensus, lost_after: Some(15) }).unwrap();
        assert!(found.is_agreed, "{instance}");
        // Agents that hold a task keep it, so this need not be what they would have agreed on without the lost one; but
        // every task has one holder, and nobody without a task offers more for it.
        let mut holders = vec![None; m];
        for (agent, path) in found.paths.iter().enumerate() {
            for &task in path {
                assert!(
                    agent != down && holders[task].replace(agent).is_none(),
                    "{instance}: {:?}",
                    found.paths
                );
            }
        }
        let bid = |agent: usize, task: usize| problem.offer(agent, &[], task, &[]).unwrap().bid;
        for (task, holder) in holders.into_iter().enumerate() {
            let held = bid(holder.unwrap(), task);
            let idle = (0..n).filter(|&agent| agent != down && found.paths[agent].is_empty());
            assert!(idle.map(|agent| bid(agent, task)).all(|other| other <= held), "{instance}: task {task}");
        }
    }
}

#[test]
fn an_agent_of_cbaa_that_returns_has_its_task_again() {
    let problem =
        ScoreTable::new(3, 3, vec![9.0, 1.0, 1.0, 2.0, 9.0, 1.0, 1.0, 1.0, 9.0], vec![1; 3]).unwrap();
    for until in [6, 40] {
        let outages = vec![Outage { agent: 1, from: 4, until: Some(until) }];
        let consensus =
            ConsensusOptions { settings: Settings { outages, ..Settings::default() }, ..Default::default() };
        let found = cbaa(&problem, &CbbaOptions { consensus, lost_after: Some(6) }).unwrap();
        assert!(found.is_agreed, "{until}");
        assert_eq!(found.paths, [[0], [1], [2]], "{until}");
    }
}

#[test]
fn an_agent_that_returns_joins_in_again() {
    let problem =
        ScoreTable::new(3, 3, vec![9.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0, 9.0], vec![1; 3]).unwrap();
    let settings =
        Settings { outages: vec![Outage { agent: 1, from: 4, until: Some(40) }], ..Settings::default() };
    let consensus = ConsensusOptions { settings, ..ConsensusOptions::default() };
    let found = cbba(&problem, &CbbaOptions { consensus, lost_after: Some(6) }).unwrap();
    assert!(found.is_agreed && found.n_rounds >= 40);
    assert_eq!(found.paths, [[0], [1], [2]]);
    let while_away = found.rounds.iter().find(|r| r.round == 30).unwrap();
    assert_eq!((while_away.n_assigned, while_away.n_conflicts), (2, 0));
}

#[test]
fn equal_seeds_give_equal_logs_at_any_number_of_threads() {
    let problem = table(6, 9, 2, &mut stream(7));
    let log = |seed, threads: Option<usize>| {
        let settings =
            Settings { seed, loss: 0.3, log: true, parallel: threads.is_some(), ..Settings::default() };
        let consensus = ConsensusOptions { settings, ..ConsensusOptions::default() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(1)).build().unwrap();
        let options = CbbaOptions { consensus, lost_after: None };
        pool.install(|| cbba(&problem, &options).unwrap().log)
    };
    let one = log(1, None);
    assert!(one.lines().count() > 100 && one.contains("winners"));
    assert_eq!(one, log(1, Some(1)));
    assert_eq!(one, log(1, Some(4)));
    assert_ne!(one, log(2, None));
}

#[test]
fn contracts_go_to_the_best_bid_and_survive_faults() {
    let mut stream = stream(8);
    for instance in 0..40 {
        let problem = table(4, 7, 3, &mut stream);
        let quiet = contract_net(&problem, &ContractNetOptions::default()).unwrap();
        // Task after task, the best robot with room.
        let mut expected: Paths = vec![Vec::new(); 4];
        for task in 0..7 {
            let free = (0..4).filter(|&r| expected[r].len() < 3);
            let best =
                free.max_by(|&a, &b| problem.score(a, task).total_cmp(&problem.score(b, task))).unwrap();
            expected[best].push(task);
        }
        assert_eq!(quiet.paths, expected);
        assert_eq!((quiet.n_calls, quiet.n_rebids, quiet.unassigned.len()), (7, 0, 0));
        // Announcement, answer, award or rejection to all who proposed, report.
        let n_proposals: u64 = quiet.counts.sent - 7 * 4 * 2;
        assert!((7 * 2..=7 * 5).contains(&n_proposals), "{:?}", quiet.counts);
        let settings = Settings {
            seed: instance,
            loss: 0.25,
            outages: vec![Outage { agent: 1, from: 9, until: None }],
            ..Settings::default()
        };
        let failures = vec![(0, expected[0].first().copied().unwrap_or(0))];
        let options =
            ContractNetOptions { settings, failures: failures.clone(), tries: 12, ..Default::default() };
        let found = contract_net(&problem, &options).unwrap();
        let mut tasks: Vec<usize> = found.paths.iter().flatten().copied().chain(found.unassigned).collect();
        tasks.sort_unstable();
        assert_eq!(tasks, (0..7).collect::<Vec<_>>());
        assert!(!found.paths[0].contains(&failures[0].1), "a failed task stays failed");
    }
}

#[test]
fn a_contractor_that_fails_or_dies_loses_the_task() {
    let problem = ScoreTable::new(3, 1, vec![5.0, 9.0, 7.0], vec![1; 3]).unwrap();
    let failing = ContractNetOptions { failures: vec![(1, 0)], ..ContractNetOptions::default() };
    let found = contract_net(&problem, &failing).unwrap();
    assert_eq!((found.paths, found.n_calls, found.n_rebids), (vec![vec![], vec![], vec![0]], 2, 1));
    // Robot 1 proposes at tick 1 and is gone when the award arrives at tick 3.
    let outages = vec![Outage { agent: 1, from: 3, until: None }];
    let dying =
        ContractNetOptions { settings: Settings { outages, ..Settings::default() }, ..Default::default() };
    let found = contract_net(&problem, &dying).unwrap();
    assert_eq!((found.paths, found.n_rebids), (vec![vec![], vec![], vec![0]], 1));
    let all_fail = ContractNetOptions { failures: vec![(0, 0), (1, 0), (2, 0)], ..Default::default() };
    let found = contract_net(&problem, &all_fail).unwrap();
    assert_eq!((found.unassigned, found.n_rebids), (vec![0], 3));
}

/// The best plan by trying every way to put every task anywhere.
fn brute_force(team: &Team) -> (usize, f64) {
    fn go(team: &Team, task: usize, paths: &mut Paths, best: &mut (usize, f64)) {
        if let Ok(e) = team.evaluate(paths) {
            let found = match team.goal() {
                Goal::Travel => (e.n_assigned, -e.travel),
                Goal::Makespan => (e.n_assigned, -e.makespan),
                Goal::Reward { .. } => (0, e.reward),
            };
            if found > *best {
                *best = found;
            }
        }
        if task == team.tasks().len() {
            return;
        }
        go(team, task + 1, paths, best);
        for robot in 0..paths.len() {
            for at in 0..=paths[robot].len() {
                paths[robot].insert(at, task);
                go(team, task + 1, paths, best);
                paths[robot].remove(at);
            }
        }
    }
    let mut best = (0, f64::NEG_INFINITY);
    go(team, 0, &mut vec![Vec::new(); team.robots().len()], &mut best);
    best
}

/// A small team with windows, durations, skills and, if asked for, precedence.
fn intricate(goal: Goal, precedence: bool, stream: &mut Stream) -> Team {
    let simple = team(1 + stream.below(3) as usize, 4, 1 + stream.below(3) as usize, goal, stream);
    let (mut robots, mut tasks) = (simple.robots().to_vec(), simple.tasks().to_vec());
    for robot in &mut robots {
        robot.speed = 0.5 + stream.uniform_f64();
        robot.skills = if stream.below(2) == 0 { vec!["lift".into()] } else { vec![] };
    }
    for (k, task) in tasks.iter_mut().enumerate() {
        task.duration = f64::from(stream.below(3));
        if stream.below(3) == 0 {
            task.earliest = f64::from(stream.below(8));
            task.latest = task.earliest + f64::from(stream.below(20));
        }
        if stream.below(4) == 0 {
            task.skills = vec!["lift".into()];
        }
        if precedence && k > 0 && stream.below(2) == 0 {
            task.after = vec![stream.below(k as u32) as usize];
        }
    }
    Team::new(robots, tasks, goal).unwrap()
}

#[test]
fn exact_plans_equal_brute_force() {
    let mut stream = stream(9);
    for instance in 0..90 {
        let goal = [Goal::Travel, Goal::Makespan, Goal::Reward { discount: 0.85 }][instance % 3];
        let team = intricate(goal, instance % 2 == 1, &mut stream);
        let (n_done, score) = brute_force(&team);
        let found = best_plan(&team).unwrap();
        let e = team.evaluate(&found).unwrap();
        let (done, reached) = match goal {
            Goal::Travel => (e.n_assigned, -e.travel),
            Goal::Makespan => (e.n_assigned, -e.makespan),
            Goal::Reward { .. } => (0, e.reward),
        };
        assert_eq!(done, n_done, "{instance} {goal:?}");
        assert!((reached - score).abs() < 1e-9, "{instance} {goal:?} {reached} {score}");
    }
}

#[test]
fn plans_of_all_methods_pass_the_independent_check() {
    let mut stream = stream(10);
    for instance in 0..120 {
        let goal = [Goal::Travel, Goal::Makespan, Goal::Reward { discount: 0.85 }][instance % 3];
        let team = intricate(goal, instance % 2 == 1, &mut stream);
        let mut plans = vec![greedy(&team).paths, single_item_auction(&team).paths];
        let options = ContractNetOptions { order: team.order(), ..ContractNetOptions::default() };
        plans.push(contract_net(&team, &options).unwrap().paths);
        match cbba(&team, &CbbaOptions::default()) {
            Ok(found) => plans.push(found.paths),
            Err(e) => assert!(matches!(e, Error::Unsupported { .. }) && team.has_precedence(), "{e}"),
        }
        for paths in plans {
            let (a, b) = (team.evaluate(&paths).unwrap(), check_plan(&team, &paths).unwrap());
            for (x, y) in [(a.travel, b.travel), (a.makespan, b.makespan), (a.reward, b.reward)] {
                assert!((x - y).abs() < 1e-9, "{instance}");
            }
            assert_eq!(a.starts.iter().filter(|s| s.is_none()).count(), b.unassigned.len());
        }
    }
}

#[test]
fn wrong_plans_are_refused_by_both_checks() {
    let mut tasks: Vec<Task> = (0..3).map(|i| Task::at(format!("t{i}"), [f64::from(i), 0.0])).collect();
    tasks[1].skills = vec!["weld".into()];
    tasks[2].after = vec![0];
    tasks[0].latest = 1.5;
    let mut robots = vec![Robot::at("a", [0.0, 0.0]), Robot::at("b", [9.0, 0.0])];
    robots[0].capacity = 2;
    robots[0].skills = vec!["weld".into()];
    let team = Team::new(robots, tasks, Goal::Travel).unwrap();
    let wrong: [Vec<Vec<usize>>; 8] = [
        vec![vec![0, 2]],
        vec![vec![0], vec![0]],
        vec![vec![0, 1, 2], vec![]],
        vec![vec![], vec![1]],
        vec![vec![2], vec![]],
        vec![vec![2, 0], vec![]],
        vec![vec![], vec![0]],
        vec![vec![3], vec![]],
    ];
    for paths in wrong {
        assert!(team.evaluate(&paths).is_err(), "{paths:?}");
        assert!(check_plan(&team, &paths).is_err(), "{paths:?}");
    }
    let good = vec![vec![0, 1], vec![2]];
    assert_eq!(team.evaluate(&good).unwrap().travel, 8.0);
    assert_eq!(check_plan(&team, &good).unwrap().travel, 8.0);
    assert_eq!(team.class().to_string(), "XD[ST-SR-TA]");
}

#[test]
fn impossible_teams_are_refused() {
    let robot = || vec![Robot::at("r", [0.0, 0.0])];
    let task = || Task::at("t", [0.0, 0.0]);
    let refused = |robots: Vec<Robot>, tasks: Vec<Task>| {
        Team::new(robots, tasks, Goal::Travel).unwrap_err().to_string()
    };
    assert!(refused(vec![Robot { speed: 0.0, ..robot().remove(0) }], vec![]).contains("speed"));
    assert!(refused(vec![Robot::at("r", [f64::NAN, 0.0])], vec![]).contains("position"));
    assert!(refused(robot(), vec![Task { duration: -1.0, ..task() }]).contains("duration"));
    assert!(refused(robot(), vec![Task { earliest: 3.0, latest: 2.0, ..task() }]).contains("latest"));
    assert!(refused(robot(), vec![Task { reward: f64::NAN, ..task() }]).contains("reward"));
    assert!(refused(robot(), vec![Task { after: vec![1], ..task() }]).contains("not there"));
    let circle = vec![Task { after: vec![1], ..task() }, Task { after: vec![0], ..task() }];
    assert!(refused(robot(), circle).contains("circle"));
    for discount in [0.0, 1.1, f64::NAN] {
        assert!(Team::new(robot(), vec![], Goal::Reward { discount }).is_err());
    }
}

#[test]
fn generalized_assignment_equals_brute_force() {
    let mut stream = stream(12);
    for _ in 0..60 {
        let (n, m) = (2 + stream.below(2) as usize, 1 + stream.below(5) as usize);
        let mut values = |n_values| (0..n_values).map(|_| f64::from(1 + stream.below(9))).collect::<Vec<_>>();
        let costs = CostMatrix::new(n, m, values(n * m)).unwrap();
        let loads = CostMatrix::new(n, m, values(n * m)).unwrap();
        let capacities: Vec<f64> = values(n).iter().map(|c| c + 3.0).collect();
        let mut best = f64::INFINITY;
        for code in 0..n.pow(m as u32) {
            let agent = |task: usize| code / n.pow(task as u32) % n;
            let mut left = capacities.clone();
            (0..m).for_each(|task| left[agent(task)] -= loads.at(agent(task), task));
            if left.iter().all(|&l| l >= 0.0) {
                best = f64::min(best, (0..m).map(|task| costs.at(agent(task), task)).sum());
            }
        }
        match generalized_assignment(&costs, &loads, &capacities, 100_000) {
            Ok(plan) => assert_eq!(plan.total, best),
            Err(e) => assert!(best.is_infinite() && e.to_string().contains("capacities"), "{e}"),
        }
    }
}

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/task_allocation.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn recorded_cases() {
    for case in vectors()["cases"].as_array().unwrap() {
        let optimum = case["optimal_total"].as_f64().unwrap();
        if case["kind"] == "additive" {
            let scores: Vec<Vec<f64>> = case["score"].as_array().unwrap().iter().map(numbers).collect();
            let capacities = numbers(&case["capacity"]).iter().map(|&c| c as usize).collect();
            let problem =
                ScoreTable::new(scores.len(), scores[0].len(), scores.concat(), capacities).unwrap();
            let awards: Vec<Vec<f64>> =
                greedy(&problem).awards.iter().map(|&(a, t, _)| vec![a as f64, t as f64]).collect();
            let recorded: Vec<Vec<f64>> =
                case["greedy_pairs_in_order"].as_array().unwrap().iter().map(numbers).collect();
            assert_eq!(awards, recorded);
            let best = problem.total(&problem.optimum().unwrap());
            assert!((best - optimum).abs() < 1e-9);
            continue;
        }
        let points = |name: &str| -> Vec<[f64; 2]> {
            case[name].as_array().unwrap().iter().map(|p| numbers(p).try_into().unwrap()).collect()
        };
        let capacity = case["capacity_each"].as_u64().unwrap() as usize;
        let robots =
            points("agents_xy").into_iter().map(|p| Robot { capacity, ..Robot::at("", p) }).collect();
        let rewards = numbers(&case["task_reward"]);
        let tasks =
            points("tasks_xy").into_iter().zip(rewards).map(|(p, reward)| Task { reward, ..Task::at("", p) });
        let goal = Goal::Reward { discount: case["lambda"].as_f64().unwrap() };
        let team = Team::new(robots, tasks.collect(), goal).unwrap();
        let found = greedy(&team);
        let recorded: Vec<Vec<f64>> = case["sga_paths"].as_array().unwrap().iter().map(numbers).collect();
        let paths: Vec<Vec<f64>> =
            found.paths.iter().map(|path| path.iter().map(|&t| t as f64).collect()).collect();
        assert_eq!(paths, recorded);
        let worth = |paths: &Paths| team.evaluate(paths).unwrap().reward;
        assert!((worth(&found.paths) - case["sga_total"].as_f64().unwrap()).abs() < 1e-9);
        assert!((worth(&best_plan(&team).unwrap()) - optimum).abs() < 1e-9);
        assert!(worth(&cbba(&team, &CbbaOptions::default()).unwrap().paths) >= 0.5 * optimum);
    }
}
