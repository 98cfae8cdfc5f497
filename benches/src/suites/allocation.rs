//! `allocation`: assignment of dense and sparse matrices, distributed constraint optimization, and messages a second of
//! the simulator. Costs come from a linear congruential generator that the peers' scripts have too, so all sides solve the
//! same problems. Constraint problems are without a peer: the published pyDCOP does not come to an end on the versions
//! of Python and PyYAML of today. Where its documentation reports a time for a problem of the same size, the goal is a
//! hundredth of that.

use coact_allocation::assignment::{jonker_volgenant, sparse};
use coact_allocation::{CostMatrix, Objective, SparseCosts};
use coact_messaging::{Agent, Context, Latency, Message, Settings, Simulator, Topology};
use coact_negotiation::dcop::{Method, Options, Problem, generators, solve};

use super::{Session, alone, on_threads};
use crate::contest::{Contest, PeerCall, Run, Unit, params};
use crate::data::Lcg;

const SPARSE: usize = 10_000;
/// Pairs of a row of the sparse problem, one in each of as many stretches of columns.
const PER_ROW: usize = 20;
/// Cycles of local search.
const CYCLES: u64 = 20;
/// What pyDCOP reports for DPOP on three variables with two colors ("Analysing results"; "Getting started" says 8,432).
const REPORTED_DPOP_US: f64 = 6_329.0;
/// What pyDCOP reports for 20 cycles of MGM on 50 variables with 10 values and 96 constraints (its `metrics_cycle.csv`).
const REPORTED_MGM_US: f64 = 1_541_301.0;
/// Ticks of the simulated network in a call.
const TICKS: u64 = 50;
/// Side of the simulated grid of agents.
const SIDE: usize = 100;

/// Holds the contests.
///
/// # Errors
/// What a solver or the simulator said.
pub fn run(session: &mut Session) -> Result<(), String> {
    assignment(session)?;
    constraints(session)?;
    messages(session)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn assignment(session: &mut Session) -> Result<(), String> {
    let peer = |peer, measure, params, goal| PeerCall {
        peer,
        measure,
        params,
        items: 1.0,
        variant: "",
        goal: Some(goal),
    };
    for n in [500, 1_000, 2_000] {
        let mut lcg = Lcg::new(n as u32);
        let costs = (0..n * n).map(|_| lcg.uniform()).collect();
        let costs = CostMatrix::new(n, n, costs).map_err(text)?;
        let run: Run<'_> = Box::new(move |calls| {
            let one = |_| jonker_volgenant(&costs, Objective::Minimize).map(|_| ()).map_err(text);
            (0..calls).try_for_each(one)
        });
        let size = params(&[("n", n as f64)]);
        let rivals = vec![peer("scipy", "dense", size.clone(), 1.5), peer("lapx", "dense", size, 1.0)];
        let name = format!("allocation/dense/{n}x{n}");
        session.hold(alone(name, Unit::Microseconds, 1.0, None, run, rivals))?;
    }
    let mut lcg = Lcg::new(3);
    let stretch = SPARSE / PER_ROW;
    let mut entries = Vec::with_capacity(SPARSE * PER_ROW);
    for row in 0..SPARSE {
        for k in 0..PER_ROW {
            let col = k * stretch + lcg.below(stretch as u32) as usize;
            // Not zero, which a sparse matrix of the peer would drop.
            entries.push((row, col, 1.0 + lcg.uniform()));
        }
    }
    let costs = SparseCosts::from_entries(SPARSE, SPARSE, &entries).map_err(text)?;
    let run: Run<'_> = Box::new(move |calls| {
        (0..calls).try_for_each(|_| sparse(&costs, Objective::Minimize).map(|_| ()).map_err(text))
    });
    let size = params(&[("n", SPARSE as f64), ("per_row", PER_ROW as f64)]);
    let rivals = vec![peer("scipy", "sparse", size, 1.0)];
    let name = format!("allocation/sparse/{SPARSE}x{SPARSE}");
    // "In seconds" is the wish; one of them is the goal.
    session.hold(alone(name, Unit::Microseconds, 1.0, Some(1e6), run, rivals))
}

fn constraints(session: &mut Session) -> Result<(), String> {
    let contests = [
        (Method::Dpop, "coloring:n=3,colors=2,edges=2,soft=1", Some(REPORTED_DPOP_US)),
        (Method::Dpop, "coloring:n=20,colors=3,edges=24,soft=1", None),
        (Method::Mgm, "coloring:n=50,colors=10,edges=96,soft=1", Some(REPORTED_MGM_US)),
    ];
    for (method, problem, reported) in contests {
        let problem = generators::generate(problem, 1).map_err(text)?;
        let n = problem.variables.len();
        let options = Options { max_cycles: CYCLES, ..Options::default() };
        let run = solving(problem, method, options);
        let name = format!("allocation/{}/{n}", method.name());
        let goal = reported.map(|us| us / 100.0);
        session.hold(alone(name, Unit::Microseconds, 1.0, goal, run, Vec::new()))?;
    }
    Ok(())
}

fn solving(problem: Problem, method: Method, options: Options) -> Run<'static> {
    Box::new(move |calls| {
        (0..calls)
            .try_for_each(|_| solve(&problem, method, &options, &mut |_| true).map(|_| ()).map_err(text))
    })
}

/// An agent that averages its number with those of its neighbors.
struct Averager {
    value: f64,
    sum: f64,
    n: f64,
}

#[derive(Clone)]
struct Number(f64);

impl Message for Number {
    fn n_bytes(&self) -> u64 {
        8
    }
}

impl Agent for Averager {
    type Message = Number;

    fn on_message(&mut self, _from: usize, message: Number, _context: &mut Context<'_, Number>) {
        self.sum += message.0;
        self.n += 1.0;
    }

    fn on_round(&mut self, context: &mut Context<'_, Number>) {
        self.value = (self.value + self.sum) / (1.0 + self.n);
        (self.sum, self.n) = (0.0, 0.0);
        context.broadcast(&Number(self.value));
    }
}

fn messages(session: &mut Session) -> Result<(), String> {
    let rough =
        Settings { loss: 0.1, latency: Latency::Uniform(1, 5), in_order: false, ..Settings::default() };
    for (name, settings) in [("in_order", Settings::default()), ("lossy", rough)] {
        let mut ours = Vec::new();
        for threads in session.threads.clone() {
            let settings = Settings { parallel: threads > 1, ..settings.clone() };
            let run = on_threads(threads, move |calls| (0..calls).try_for_each(|_| averaging(&settings)))?;
            ours.push((threads, run));
        }
        // Each of the 2 * 2 * 100 * 99 directed links carries one message a tick; agents speak from tick 1 on.
        let sent = (4 * SIDE * (SIDE - 1)) as f64 * TICKS as f64;
        session.hold(Contest {
            name: format!("allocation/messages/{name}"),
            unit: Unit::PerSecond("messages/s"),
            items: sent,
            goal: None,
            ours,
            peers: Vec::new(),
            bound: None,
        })?;
    }
    Ok(())
}

fn averaging(settings: &Settings) -> Result<(), String> {
    let agents = (0..SIDE * SIDE).map(|i| Averager { value: (i % SIDE) as f64, sum: 0.0, n: 0.0 }).collect();
    let topology = Topology::grid(SIDE, SIDE).map_err(text)?;
    let mut simulator = Simulator::new(topology, settings.clone(), agents).map_err(text)?;
    simulator.run(TICKS).map_err(text)?;
    let expected = (4 * SIDE * (SIDE - 1)) as u64 * TICKS;
    let sent = simulator.counts().sent;
    if sent == expected { Ok(()) } else { Err(format!("{sent} messages were sent, not {expected}")) }
}
