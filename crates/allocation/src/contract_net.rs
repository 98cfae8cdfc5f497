//! The contract net protocol (Smith 1980, FIPA SC00029): a manager announces one task after the other; contractors
//! propose or refuse; the best proposal is awarded, the others are rejected; the contractor reports success or
//! failure. What is not answered in time is sent again, and a contractor that stays silent or fails loses the task,
//! which is announced anew. The record is the manager's alone, so no task is ever done twice by it.

use std::collections::VecDeque;
use std::fmt;

use coact_messaging::{Agent, Context, Counts, Latency, Message, Pacing, Settings, Simulator, Topology};

use crate::Result;
use crate::bids::Bids;
use crate::consensus::{Progress, Watch};
use crate::team::Paths;

/// Settings of [`contract_net`].
#[derive(Debug, Clone, PartialEq)]
pub struct ContractNetOptions {
    /// Loss, latency, crashes, seed, log; robots are agents `0..n`, the manager is agent `n`. Pacing is by events.
    pub settings: Settings,
    /// Times that an unanswered award or a task without proposals is tried before the manager moves on.
    pub tries: u32,
    /// Robot and task: the robot reports failure when it gets to that task.
    pub failures: Vec<(usize, usize)>,
    /// Order in which tasks are announced; by index if empty. Tasks must come after those that they wait for.
    pub order: Vec<usize>,
}

impl Default for ContractNetOptions {
    fn default() -> Self {
        Self { settings: Settings::default(), tries: 5, failures: Vec::new(), order: Vec::new() }
    }
}

/// What the manager recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Contracts {
    /// Tasks of each robot in the order in which it does them.
    pub paths: Paths,
    /// Tasks for which there was no contractor.
    pub unassigned: Vec<usize>,
    /// Calls for proposals, including those made again.
    pub n_calls: u64,
    /// Calls that became necessary because a contractor failed or fell silent.
    pub n_rebids: u64,
    /// Tick at which the last task was settled.
    pub time: u64,
    /// Messages and bytes.
    pub counts: Counts,
    /// The log of the simulator, if the settings ask for one.
    pub log: String,
}

/// Runs the protocol until every task is reported as done or given up.
///
/// # Errors
/// [`crate::Error::Invalid`] for an order that is not one of all tasks; errors of the simulator.
pub fn contract_net<B: Bids>(problem: &B, options: &ContractNetOptions) -> Result<Contracts> {
    contract_net_watched(problem, options, &mut |_| ())
}

/// [`contract_net`], with somebody who looks on now and then.
///
/// # Errors
/// As there.
pub fn contract_net_watched<B: Bids>(
    problem: &B,
    options: &ContractNetOptions,
    watch: &mut Watch<'_>,
) -> Result<Contracts> {
    let (n, m) = (problem.n_agents(), problem.n_tasks());
    let order: Vec<usize> = if options.order.is_empty() { (0..m).collect() } else { options.order.clone() };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..m).collect::<Vec<_>>() {
        return Err(crate::Error::invalid(format!("the order must name each of the {m} tasks once")));
    }
    let latency = match options.settings.latency {
        Latency::Fixed(ticks) | Latency::Uniform(_, ticks) => ticks,
    };
    let mut agents: Vec<Party<'_, B>> = (0..n)
        .map(|id| {
            let fails = options.failures.iter().filter(|f| f.0 == id).map(|f| f.1).collect();
            Party::Contractor(Contractor { problem, id, path: Vec::new(), settled: Vec::new(), fails })
        })
        .collect();
    agents.push(Party::Manager(Manager {
        problem,
        n_robots: n,
        queue: order.into(),
        patience: 2 * latency + 1,
        tries: options.tries.max(1),
        call: None,
        n_calls: 0,
        n_rebids: 0,
        excluded: vec![Vec::new(); m],
        starts: vec![None; m],
        paths: vec![Vec::new(); n],
        unassigned: Vec::new(),
        time: 0,
    }));
    let edges: Vec<(usize, usize)> = (0..n).map(|robot| (robot, n)).collect();
    let settings = Settings { pacing: Pacing::Events, ..options.settings.clone() };
    let mut simulator = Simulator::new(Topology::from_edges(n + 1, &edges)?, settings, agents)?;
    let mut n_steps = 0_u64;
    while simulator.step()? {
        n_steps += 1;
        if n_steps.is_multiple_of(64) {
            watch(&Progress { unit: "ticks", count: simulator.time(), messages: simulator.counts().sent });
        }
    }
    let (counts, log) = (simulator.counts(), simulator.take_log());
    let Some(Party::Manager(mut manager)) = simulator.into_agents().pop() else {
        return Err(crate::Error::invalid("the manager is gone"));
    };
    // A manager that crashed for good leaves tasks behind.
    manager.unassigned.extend(manager.call.take().map(|call| call.task));
    manager.unassigned.extend(manager.queue.drain(..));
    manager.unassigned.sort_unstable();
    Ok(Contracts {
        paths: manager.paths,
        unassigned: manager.unassigned,
        n_calls: manager.n_calls,
        n_rebids: manager.n_rebids,
        time: manager.time,
        counts,
        log,
    })
}

/// What is said between manager and contractor about a task; `call` numbers the announcements.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// Manager: who does this task? With the starts of tasks that it waits for.
    Announce {
        /// Number of the announcement.
        call: u64,
        /// The task.
        task: usize,
        /// Path of the receiver as the manager knows it, with the starts of its tasks and of predecessors.
        path: Vec<usize>,
        /// Known starts.
        starts: Vec<Option<f64>>,
    },
    /// Contractor: I do, for this bid.
    Propose {
        /// Number of the announcement.
        call: u64,
        /// Higher is better.
        bid: f64,
    },
    /// Contractor: not I.
    Refuse {
        /// Number of the announcement.
        call: u64,
    },
    /// Manager: it is yours.
    Award {
        /// Number of the announcement.
        call: u64,
        /// The task.
        task: usize,
    },
    /// Manager: somebody else does it.
    Reject {
        /// Number of the announcement.
        call: u64,
    },
    /// Contractor: it is done.
    Report {
        /// Number of the announcement.
        call: u64,
    },
    /// Contractor: it could not be done.
    Failure {
        /// Number of the announcement.
        call: u64,
    },
}

impl Message for Word {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Announce { path, starts, .. } => 16 + 4 * path.len() as u64 + 8 * starts.len() as u64,
            Self::Propose { .. } => 17,
            Self::Award { .. } => 13,
            _ => 9,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Announce { call, task, .. } => write!(line, "announce task {task}, call {call}"),
            Self::Propose { call, bid } => write!(line, "propose {bid}, call {call}"),
            Self::Refuse { call } => write!(line, "refuse, call {call}"),
            Self::Award { call, task } => write!(line, "award task {task}, call {call}"),
            Self::Reject { call } => write!(line, "reject, call {call}"),
            Self::Report { call } => write!(line, "report, call {call}"),
            Self::Failure { call } => write!(line, "failure, call {call}"),
        }
    }
}

/// A manager or a contractor.
enum Party<'a, B> {
    Manager(Manager<'a, B>),
    Contractor(Contractor<'a, B>),
}

impl<B: Bids> Agent for Party<'_, B> {
    type Message = Word;

    fn on_start(&mut self, context: &mut Context<'_, Word>) {
        if let Self::Manager(manager) = self {
            manager.announce(context);
        }
    }

    fn on_return(&mut self, context: &mut Context<'_, Word>) {
        // The manager keeps its record and takes up the open task again.
        if let Self::Manager(manager) = self {
            manager.queue.extend(manager.call.take().map(|call| call.task));
            manager.announce(context);
        }
    }

    fn on_message(&mut self, from: usize, message: Word, context: &mut Context<'_, Word>) {
        match self {
            Self::Manager(manager) => manager.hear(from, &message, context),
            Self::Contractor(contractor) => contractor.hear(from, message, context),
        }
    }

    fn on_timer(&mut self, tag: u64, context: &mut Context<'_, Word>) {
        if let Self::Manager(manager) = self {
            manager.time_is_up(tag, context);
        }
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// The announcement that is being settled.
struct Call {
    number: u64,
    task: usize,
    answers: usize,
    bids: Vec<(f64, usize)>,
    /// The contractor that has the award, and how often it was sent.
    awarded: Option<(usize, u32)>,
    tries: u32,
}

struct Manager<'a, B> {
    problem: &'a B,
    n_robots: usize,
    queue: VecDeque<usize>,
    /// Ticks in which an answer must come.
    patience: u64,
    tries: u32,
    call: Option<Call>,
    n_calls: u64,
    n_rebids: u64,
    /// Robots that failed, task by task.
    excluded: Vec<Vec<usize>>,
    starts: Vec<Option<f64>>,
    paths: Paths,
    unassigned: Vec<usize>,
    time: u64,
}

impl<B: Bids> Manager<'_, B> {
    /// Announces the next task of the queue, if any.
    fn announce(&mut self, context: &mut Context<'_, Word>) {
        if let Some(task) = self.queue.pop_front() {
            self.call_for(task, self.tries, context);
        }
    }

    fn call_for(&mut self, task: usize, tries: u32, context: &mut Context<'_, Word>) {
        self.n_calls += 1;
        let number = self.n_calls;
        for robot in 0..self.n_robots {
            let (path, starts) = (self.paths[robot].clone(), self.starts.clone());
            context.send(robot, Word::Announce { call: number, task, path, starts });
        }
        self.call = Some(Call { number, task, answers: 0, bids: Vec::new(), awarded: None, tries });
        context.cancel_timers();
        context.set_timer(self.patience, number);
    }

    fn hear(&mut self, from: usize, word: &Word, context: &mut Context<'_, Word>) {
        let Some(call) = &mut self.call else { return };
        let awarded_here = call.awarded.is_some_and(|(robot, _)| robot == from);
        match *word {
            Word::Propose { call: number, bid } if number == call.number && call.awarded.is_none() => {
                call.answers += 1;
                if !self.excluded[call.task].contains(&from) {
                    call.bids.push((bid, from));
                }
            }
            Word::Refuse { call: number } if number == call.number && call.awarded.is_none() => {
                call.answers += 1
            }
            Word::Report { call: number } if number == call.number && awarded_here => {
                return self.record(from, context);
            }
            Word::Failure { call: number } if number == call.number && awarded_here => {
                context.note(format_args!("robot {from} failed at task {}", call.task));
                return self.rebid(from, context);
            }
            _ => return,
        }
        if call.answers == self.n_robots {
            self.decide(context);
        }
    }

    /// Awards the task to the best proposal: the highest bid, then the lowest robot.
    fn decide(&mut self, context: &mut Context<'_, Word>) {
        let Some(call) = &mut self.call else { return };
        let best = call.bids.iter().copied().reduce(|a, b| if (b.0, a.1) > (a.0, b.1) { b } else { a });
        let (number, task) = (call.number, call.task);
        match best {
            Some((_, robot)) => {
                call.awarded = Some((robot, 1));
                for &(_, other) in call.bids.iter().filter(|bid| bid.1 != robot) {
                    context.send(other, Word::Reject { call: number });
                }
                context.send(robot, Word::Award { call: number, task });
                context.cancel_timers();
                context.set_timer(self.patience, number);
            }
            // If all have refused, asking again is in vain; silence may be loss.
            None if call.answers == self.n_robots || call.tries <= 1 => {
                self.unassigned.push(task);
                self.settle(context);
            }
            None => {
                let tries = call.tries - 1;
                self.call_for(task, tries, context);
            }
        }
    }

    fn time_is_up(&mut self, tag: u64, context: &mut Context<'_, Word>) {
        let Some(call) = self.call.as_mut().filter(|call| call.number == tag) else { return };
        match &mut call.awarded {
            None => self.decide(context),
            Some((robot, sent)) if *sent < self.tries => {
                *sent += 1;
                context.send(*robot, Word::Award { call: tag, task: call.task });
                context.set_timer(self.patience, tag);
            }
            Some((robot, _)) => {
                let robot = *robot;
                context.note(format_args!("robot {robot} is silent about task {}", call.task));
                self.rebid(robot, context);
            }
        }
    }

    /// Announces the task again, without the robot that failed.
    fn rebid(&mut self, robot: usize, context: &mut Context<'_, Word>) {
        let Some(call) = self.call.take() else { return };
        self.n_rebids += 1;
        self.excluded[call.task].push(robot);
        self.call_for(call.task, self.tries, context);
    }

    /// Writes a reported task into the plan, where the contractor's offer had put it.
    fn record(&mut self, robot: usize, context: &mut Context<'_, Word>) {
        let Some(task) = self.call.as_ref().map(|call| call.task) else { return };
        let path = &mut self.paths[robot];
        if let Some(offer) = self.problem.offer(robot, path, task, &self.starts) {
            path.insert(offer.at, task);
            self.starts[task] = self.problem.start_of_last(robot, path, &self.starts);
        }
        self.settle(context);
    }

    /// Closes the call and goes on with the next task.
    fn settle(&mut self, context: &mut Context<'_, Word>) {
        self.time = context.time();
        self.call = None;
        context.cancel_timers();
        self.announce(context);
    }
}

struct Contractor<'a, B> {
    problem: &'a B,
    id: usize,
    /// The path that the manager has on record.
    path: Vec<usize>,
    /// Calls answered for good, with what was reported, so that a repeated award gets the same answer.
    settled: Vec<(u64, bool)>,
    fails: Vec<usize>,
}

impl<B: Bids> Contractor<'_, B> {
    fn hear(&mut self, manager: usize, word: Word, context: &mut Context<'_, Word>) {
        match word {
            Word::Announce { call, task, path, starts } => {
                self.path = path;
                let has_room = self.path.len() < self.problem.capacity(self.id);
                let offer =
                    if has_room { self.problem.offer(self.id, &self.path, task, &starts) } else { None };
                let answer = match offer {
                    Some(offer) => Word::Propose { call, bid: offer.bid },
                    None => Word::Refuse { call },
                };
                context.send(manager, answer);
            }
            Word::Award { call, task } => {
                let known = self.settled.iter().find(|settled| settled.0 == call).map(|settled| settled.1);
                let success = known.unwrap_or_else(|| !self.fails.contains(&task));
                if known.is_none() {
                    self.settled.push((call, success));
                    context.note(format_args!("takes task {task}"));
                }
                let answer = if success { Word::Report { call } } else { Word::Failure { call } };
                context.send(manager, answer);
            }
            _ => {}
        }
    }
}
