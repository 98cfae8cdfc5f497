//! What users of the simulator rely on: the same run from the same seed, every message accounted for, order
//! on links, faults at their times.

#![allow(clippy::unwrap_used)]

use std::fmt;

use coact_messaging::{
    Agent, Context, Counts, Ended, Error, Latency, LinkOutage, Message, Outage, Pacing, Settings, Simulator,
    Topology,
};
use proptest::prelude::*;

/// Numbers that walk around: each arrival is passed on at random, until it has made enough steps.
#[derive(Debug, Clone)]
struct Walker {
    start_with: u64,
    seen: Seen,
}

#[derive(Debug, Clone, Copy)]
struct Steps(u64);

impl Message for Steps {
    fn n_bytes(&self) -> u64 {
        8
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        write!(line, "steps {}", self.0)
    }
}

impl Walker {
    fn new(start_with: u64) -> Self {
        Self { start_with, seen: Vec::new() }
    }
}

impl Agent for Walker {
    type Message = Steps;

    fn on_start(&mut self, context: &mut Context<'_, Steps>) {
        for k in 0..self.start_with {
            let neighbors = context.neighbors();
            if neighbors.is_empty() {
                return;
            }
            let to = neighbors[k as usize % neighbors.len()];
            context.send(to, Steps(20));
        }
    }

    fn on_message(&mut self, from: usize, message: Steps, context: &mut Context<'_, Steps>) {
        self.seen.push((context.time(), from, message.0));
        if message.0 > 0 {
            let n = context.neighbors().len() as u32;
            let choice = context.random().below(n) as usize;
            let to = context.neighbors()[choice];
            context.send(to, Steps(message.0 - 1));
            if message.0.is_multiple_of(7) {
                context.note(format_args!("passed on to {to}"));
            }
        }
    }

    fn is_idle(&self) -> bool {
        true
    }
}

fn rough(seed: u64, pacing: Pacing) -> Settings {
    Settings {
        seed,
        pacing,
        latency: Latency::Uniform(1, 5),
        loss: 0.05,
        in_order: false,
        outages: vec![
            Outage { agent: 3, from: 4, until: Some(9) },
            Outage { agent: 5, from: 6, until: None },
        ],
        failure_detector: Some(2),
        log: true,
        ..Settings::default()
    }
}

/// What one agent saw: when, from whom, what.
type Seen = Vec<(u64, usize, u64)>;

fn walk(settings: Settings) -> (String, Counts, Vec<Seen>) {
    let topology = Topology::random_connected(12, 20, 4).unwrap();
    let mut simulator = Simulator::new(topology, settings, vec![Walker::new(3); 12]).unwrap();
    assert_eq!(simulator.run(10_000).unwrap(), Ended::Quiet);
    let (log, counts) = (simulator.log().to_owned(), simulator.counts());
    (log, counts, simulator.into_agents().into_iter().map(|agent| agent.seen).collect())
}

#[test]
fn a_run_is_the_same_from_the_same_seed_at_any_number_of_threads() {
    for pacing in [Pacing::Rounds, Pacing::Events] {
        let alone = walk(rough(1, pacing));
        assert_eq!(alone, walk(rough(1, pacing)));
        assert_ne!(alone.0, walk(rough(2, pacing)).0);
        for n_threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let together = pool.install(|| walk(Settings { parallel: true, ..rough(1, pacing) }));
            assert_eq!(alone, together, "{n_threads} threads, {pacing:?}");
        }
        assert!(alone.0.contains("note") && alone.0.contains("lost") && alone.0.contains("miss"));
    }
}

#[test]
fn pacing_does_not_change_what_agents_see() {
    assert_eq!(walk(rough(1, Pacing::Rounds)).2, walk(rough(1, Pacing::Events)).2);
}

/// Sends a numbered message each round for some rounds and notes what arrives.
#[derive(Debug, Clone, Default)]
struct Counter {
    sends: u64,
    got: Vec<(u64, u64)>,
    events: Vec<String>,
}

impl Agent for Counter {
    type Message = Steps;

    fn on_start(&mut self, context: &mut Context<'_, Steps>) {
        self.events.push(format!("{} start", context.time()));
    }

    fn on_message(&mut self, _from: usize, message: Steps, context: &mut Context<'_, Steps>) {
        self.got.push((context.time(), message.0));
    }

    fn on_round(&mut self, context: &mut Context<'_, Steps>) {
        if context.time() <= self.sends {
            let time = context.time();
            context.broadcast(&Steps(time));
        }
    }

    fn on_timer(&mut self, tag: u64, context: &mut Context<'_, Steps>) {
        self.events.push(format!("{} timer {tag}", context.time()));
    }

    fn on_crash(&mut self) {
        self.events.push("crash".into());
    }

    fn on_return(&mut self, context: &mut Context<'_, Steps>) {
        self.events.push(format!("{} return", context.time()));
    }

    fn on_neighbor(&mut self, neighbor: usize, is_up: bool, context: &mut Context<'_, Steps>) {
        self.events.push(format!("{} neighbor {neighbor} {is_up}", context.time()));
    }

    fn is_idle(&self) -> bool {
        self.sends == 0
    }
}

fn pair(settings: Settings, sends: u64) -> Simulator<Counter> {
    let agents = vec![Counter { sends, ..Counter::default() }, Counter::default()];
    Simulator::new(Topology::line(2).unwrap(), settings, agents).unwrap()
}

#[test]
fn a_link_keeps_the_order_of_sending_where_asked_to() {
    let settings =
        |in_order| Settings { latency: Latency::Uniform(1, 9), in_order, seed: 3, ..Settings::default() };
    let arrivals = |in_order| {
        let mut simulator = pair(settings(in_order), 200);
        simulator.run(250).unwrap();
        simulator.agent(1).got.clone()
    };
    let ordered = arrivals(true);
    assert_eq!(ordered.iter().map(|got| got.1).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    assert!(ordered.iter().all(|&(at, sent)| (1..=9).contains(&(at - sent))));
    assert!(!arrivals(false).is_sorted_by_key(|got| got.1));
}

#[test]
fn losses_come_as_often_as_asked_for() {
    let mut simulator = pair(Settings { loss: 0.2, seed: 9, ..Settings::default() }, 10_000);
    simulator.run(10_001).unwrap();
    let counts = simulator.counts();
    // Five standard deviations of a binomial: 5 * sqrt(10000 * 0.2 * 0.8) = 200.
    assert!(counts.lost.abs_diff(2_000) < 200, "{counts:?}");
    assert_eq!((counts.sent, counts.bytes, counts.in_flight()), (10_000, 80_000, 0));
    assert_eq!(simulator.sent_by(), [10_000, 0]);
}

#[test]
fn crash_and_return_come_at_their_ticks() {
    let settings = Settings {
        outages: vec![
            Outage { agent: 1, from: 3, until: Some(5) },
            Outage { agent: 1, from: 5, until: Some(7) },
        ],
        failure_detector: Some(2),
        ..Settings::default()
    };
    let mut simulator = pair(settings, 9);
    simulator.run(20).unwrap();
    // What was sent in round t arrives at t + 1; 3 to 6 find nobody home.
    let arrived = simulator.agent(1).got.iter().map(|got| got.1).collect::<Vec<_>>();
    assert_eq!(arrived, [1, 6, 7, 8, 9]);
    assert_eq!(simulator.agent(1).events, ["0 start", "crash", "7 return"]);
    assert_eq!(simulator.agent(0).events, ["0 start", "5 neighbor 1 false", "9 neighbor 1 true"]);
    assert_eq!(simulator.counts().missed, 4);
}

#[test]
fn an_agent_that_is_down_at_first_returns_without_a_start() {
    let outages = vec![Outage { agent: 1, from: 0, until: Some(4) }];
    let mut simulator = pair(Settings { outages, ..Settings::default() }, 0);
    assert_eq!(simulator.run(20).unwrap(), Ended::Quiet);
    assert_eq!(simulator.agent(1).events, ["4 return"]);
}

#[test]
fn a_link_that_is_down_loses_what_is_sent_over_it() {
    let link_outages = vec![LinkOutage { link: (1, 0), from: 2, until: Some(4) }];
    let mut simulator = pair(Settings { link_outages, ..Settings::default() }, 5);
    simulator.run(10).unwrap();
    assert_eq!(simulator.agent(1).got, [(2, 1), (5, 4), (6, 5)]);
}

/// Sets timers at the start and cancels on the first of them.
#[derive(Debug, Default)]
struct Alarm(Vec<(u64, u64)>);

impl Agent for Alarm {
    type Message = Steps;

    fn on_start(&mut self, context: &mut Context<'_, Steps>) {
        context.set_timer(1_000_000, 7);
        context.set_timer(3_000_000, 8);
        context.set_timer(2_000_000, 9);
        context.set_timer(u64::MAX, 10);
        context.set_timer(0, 11);
    }

    fn on_message(&mut self, _from: usize, _message: Steps, _context: &mut Context<'_, Steps>) {}

    fn on_timer(&mut self, tag: u64, context: &mut Context<'_, Steps>) {
        self.0.push((context.time(), tag));
        if tag == 9 {
            context.cancel_timers();
        }
    }
}

#[test]
fn timers_run_out_in_order_and_cancelled_ones_do_not_hold_a_run_up() {
    let settings = Settings { pacing: Pacing::Events, ..Settings::default() };
    let mut simulator =
        Simulator::new(Topology::complete(1).unwrap(), settings, vec![Alarm::default()]).unwrap();
    assert_eq!(simulator.run(u64::MAX - 1).unwrap(), Ended::Quiet);
    assert_eq!(simulator.agent(0).0, [(1, 11), (1_000_000, 7), (2_000_000, 9)]);
    assert_eq!(simulator.time(), 2_000_000);
}

/// Writes to an agent that it is not linked with.
#[derive(Debug, Clone)]
struct Stray;

impl Agent for Stray {
    type Message = Steps;

    fn on_message(&mut self, _from: usize, _message: Steps, _context: &mut Context<'_, Steps>) {}

    fn on_start(&mut self, context: &mut Context<'_, Steps>) {
        context.send((context.id() + 2) % 4, Steps(1));
    }
}

#[test]
fn wrong_uses_are_named() {
    let ring = || Topology::ring(4).unwrap();
    let stray = Simulator::new(ring(), Settings::default(), vec![Stray; 4]).unwrap().run(9);
    assert_eq!(stray, Err(Error::NoLink { from: 0, to: 2 }));
    let few = Simulator::new(ring(), Settings::default(), vec![Stray; 3]).unwrap_err();
    assert_eq!(few, Error::AgentCount { agents: 3, topology: 4 });
    let outage = |agent, until| vec![Outage { agent, from: 5, until }];
    let wrong = [
        Settings { loss: 1.5, ..Settings::default() },
        Settings { loss: f64::NAN, ..Settings::default() },
        Settings { latency: Latency::Fixed(0), ..Settings::default() },
        Settings { latency: Latency::Uniform(3, 2), ..Settings::default() },
        Settings { latency: Latency::Fixed(u64::MAX), ..Settings::default() },
        Settings { outages: outage(4, None), ..Settings::default() },
        Settings { outages: outage(1, Some(5)), ..Settings::default() },
        Settings {
            link_outages: vec![LinkOutage { link: (0, 2), from: 0, until: None }],
            ..Settings::default()
        },
    ];
    for settings in wrong {
        let error = Simulator::new(ring(), settings, vec![Stray; 4]).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_run_stops_at_its_last_tick_and_goes_on_from_there() {
    let mut simulator = pair(Settings::default(), 50);
    assert_eq!(simulator.run(10).unwrap(), Ended::TimeLimit);
    assert_eq!((simulator.time(), simulator.agent(1).got.len()), (10, 9));
    simulator.run(60).unwrap();
    assert_eq!(simulator.agent(1).got.len(), 50);
}

#[test]
fn no_agents_no_run() {
    let mut simulator: Simulator<Stray> =
        Simulator::new(Topology::complete(0).unwrap(), Settings::default(), vec![]).unwrap();
    assert_eq!(simulator.run(5).unwrap(), Ended::Quiet);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever fails, every message is delivered, lost or missed in the end, and the log says the same.
    #[test]
    fn every_message_is_accounted_for(
        seed: u64, n in 2_usize..9, extra in 0_usize..9, loss in 0.0..0.5_f64, high in 1_u64..6,
        down in 0_u64..12, in_order: bool, events: bool,
    ) {
        let n_edges = (n - 1 + extra).min(n * (n - 1) / 2);
        let settings = Settings {
            seed,
            pacing: if events { Pacing::Events } else { Pacing::Rounds },
            latency: Latency::Uniform(1, high),
            loss,
            in_order,
            outages: vec![Outage { agent: n - 1, from: down, until: Some(down + 5) }],
            log: true,
            ..Settings::default()
        };
        let topology = Topology::random_connected(n, n_edges, seed).unwrap();
        let mut simulator = Simulator::new(topology, settings, vec![Walker::new(2); n]).unwrap();
        prop_assert_eq!(simulator.run(100_000).unwrap(), Ended::Quiet);
        let counts = simulator.counts();
        prop_assert_eq!(counts.in_flight(), 0);
        let lines = |what: &str| {
            simulator.log().lines().filter(|line| line.split(' ').nth(1) == Some(what)).count() as u64
        };
        prop_assert_eq!(lines("send") + lines("lost"), counts.sent);
        prop_assert_eq!(lines("recv"), counts.delivered);
        prop_assert_eq!(lines("lost"), counts.lost);
        prop_assert_eq!(lines("miss"), counts.missed);
        let seen: usize = simulator.agents().map(|agent| agent.seen.len()).sum();
        prop_assert_eq!(seen as u64, counts.delivered);
    }
}
