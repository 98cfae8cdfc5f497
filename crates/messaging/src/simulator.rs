//! The simulator: a queue of what is due, ordered by time, then by sender, then by the order of sending; and
//! the tick that hands it out. Not here: what agents do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coact_core::Purpose;
use coact_core::rng::{Stream, counter_of, key_of, philox4x32, unit_f64};
use rayon::prelude::*;

use crate::agent::{Action, Agent, Context, Message};
use crate::counts::Counts;
use crate::settings::{Latency, Pacing, Settings};
use crate::{Error, Result, Topology};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is on its way, nothing is scheduled, and nobody wants to act.
    Quiet,
    /// The last tick allowed was reached.
    TimeLimit,
}

/// Something that reaches an agent in a tick.
#[derive(Debug)]
enum Input<M> {
    Start,
    Return,
    Message { from: usize, message: M },
    Timer { tag: u64 },
    Neighbor { neighbor: usize, is_up: bool },
}

/// Something due at a later tick.
#[derive(Debug)]
enum Due<M> {
    Message { from: usize, to: usize, number: u64, message: M },
    Timer { agent: usize, tag: u64, epoch: u32 },
    Neighbor { agent: usize, neighbor: usize, is_up: bool },
}

/// One agent and what surrounds it.
#[derive(Debug)]
struct Slot<A: Agent> {
    agent: A,
    /// Outages that the agent is in; it is up where there is none.
    n_outages: u32,
    /// Raised by a crash and by cancelling; timers of an earlier epoch are void.
    epoch: u32,
    /// Timers set in this epoch that have not run out.
    n_timers: u64,
    inbox: Vec<Input<A::Message>>,
    actions: Vec<Action<A::Message>>,
}

impl<A: Agent> Slot<A> {
    fn is_up(&self) -> bool {
        self.n_outages == 0
    }

    /// Makes all timers void; returns how many there were.
    fn void_timers(&mut self) -> u64 {
        self.epoch = self.epoch.wrapping_add(1);
        std::mem::take(&mut self.n_timers)
    }
}

/// A run: agents on a topology under settings.
#[derive(Debug)]
pub struct Simulator<A: Agent> {
    topology: Topology,
    settings: Settings,
    slots: Vec<Slot<A>>,
    time: u64,
    started: bool,
    queue: BTreeMap<u64, Vec<Due<A::Message>>>,
    /// What is in `queue` without void timers.
    n_due: u64,
    /// Emptied lists of `queue`, used again.
    spare: Vec<Vec<Due<A::Message>>>,
    /// `(tick, agent, is_up)` of crashes and returns, ascending, those of the past removed from the end.
    changes: Vec<(u64, usize, bool)>,
    /// Messages sent on each directed edge, and the latest tick at which one of them is due.
    edges: Vec<(u64, u64)>,
    /// Agents that this tick calls.
    called: Vec<usize>,
    counts: Counts,
    sent_by: Vec<u64>,
    log: String,
}

impl<A: Agent> Simulator<A> {
    /// Places agents on a topology. Nothing happens before the first step.
    ///
    /// # Errors
    /// [`Error::AgentCount`] unless there is one agent for each place; [`Error::Setting`].
    pub fn new(topology: Topology, settings: Settings, agents: Vec<A>) -> Result<Self> {
        if agents.len() != topology.n_agents() {
            return Err(Error::AgentCount { agents: agents.len(), topology: topology.n_agents() });
        }
        settings.check(&topology)?;
        let mut changes = Vec::new();
        for outage in &settings.outages {
            changes.push((outage.from, outage.agent, false));
            changes.extend(outage.until.map(|until| (until, outage.agent, true)));
        }
        changes.sort_unstable_by(|a, b| b.cmp(a));
        let slot = |agent| Slot {
            agent,
            n_outages: 0,
            epoch: 0,
            n_timers: 0,
            inbox: Vec::new(),
            actions: Vec::new(),
        };
        Ok(Self {
            slots: agents.into_iter().map(slot).collect(),
            time: 0,
            started: false,
            queue: BTreeMap::new(),
            n_due: 0,
            spare: Vec::new(),
            changes,
            edges: vec![(0, 0); topology.n_directed()],
            called: Vec::new(),
            counts: Counts::default(),
            sent_by: vec![0; topology.n_agents()],
            log: String::new(),
            topology,
            settings,
        })
    }

    /// Steps until nothing is left to happen or the tick `last` is over.
    ///
    /// # Errors
    /// [`Error::NoLink`] where an agent writes to somebody it is not linked with.
    pub fn run(&mut self, last: u64) -> Result<Ended> {
        loop {
            match self.next_time() {
                None => return Ok(Ended::Quiet),
                Some(time) if time > last => return Ok(Ended::TimeLimit),
                Some(_) => self.step()?,
            };
        }
    }

    /// Runs the next tick at which something happens: tick 0 first. False, and nothing happens, where nothing
    /// is left to happen.
    ///
    /// # Errors
    /// [`Error::NoLink`].
    pub fn step(&mut self) -> Result<bool> {
        let Some(time) = self.next_time() else { return Ok(false) };
        self.time = time;
        self.change_agents();
        if time == 0 {
            self.started = true;
            for (id, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_up()) {
                slot.inbox.push(Input::Start);
                self.called.push(id);
            }
        }
        self.hand_out();
        self.call_agents();
        self.route()?;
        Ok(true)
    }

    /// The tick that comes next, if any.
    fn next_time(&self) -> Option<u64> {
        if !self.started {
            return Some(0);
        }
        let due = self.queue.first_key_value().map(|(&time, _)| time).filter(|_| self.n_due > 0);
        let change = self.changes.last().map(|change| change.0);
        let next_event = due.into_iter().chain(change).min();
        match self.settings.pacing {
            Pacing::Events => next_event,
            Pacing::Rounds => {
                let wants =
                    next_event.is_some() || self.slots.iter().any(|s| s.is_up() && !s.agent.is_idle());
                wants.then_some(self.time + 1)
            }
        }
    }

    /// Crashes and returns of this tick.
    fn change_agents(&mut self) {
        while let Some(&(at, id, returns)) = self.changes.last()
            && at <= self.time
        {
            self.changes.pop();
            let slot = &mut self.slots[id];
            let was_up = slot.is_up();
            slot.n_outages = if returns { slot.n_outages - 1 } else { slot.n_outages + 1 };
            if slot.is_up() == was_up {
                continue;
            }
            if returns {
                slot.inbox.push(Input::Return);
                self.called.push(id);
            } else {
                self.n_due -= slot.void_timers();
                if self.started {
                    slot.agent.on_crash();
                }
            }
            if self.settings.log {
                let what = if returns { "return" } else { "crash" };
                let _ = writeln!(self.log, "{} {what} {id}", self.time);
            }
            if let Some(delay) = self.settings.failure_detector {
                for place in 0..self.topology.neighbors(id).len() {
                    let agent = self.topology.neighbors(id)[place];
                    self.schedule(delay, Due::Neighbor { agent, neighbor: id, is_up: returns });
                }
            }
        }
    }

    /// Moves what is due in this tick into inboxes.
    fn hand_out(&mut self) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| *entry.key() <= self.time) {
            let mut list = entry.remove();
            for due in list.drain(..) {
                self.deliver(due);
            }
            self.spare.push(list);
        }
    }

    fn deliver(&mut self, due: Due<A::Message>) {
        let (agent, input) = match due {
            Due::Message { from, to, number, message } => {
                let is_up = self.slots[to].is_up();
                let count = if is_up { &mut self.counts.delivered } else { &mut self.counts.missed };
                *count += 1;
                if self.settings.log {
                    let what = if is_up { "recv" } else { "miss" };
                    let _ = writeln!(self.log, "{} {what} {from}->{to} #{number}", self.time);
                }
                (to, Input::Message { from, message })
            }
            Due::Timer { agent, tag, epoch } => {
                let slot = &mut self.slots[agent];
                if epoch != slot.epoch {
                    return;
                }
                slot.n_timers -= 1;
                if self.settings.log {
                    let _ = writeln!(self.log, "{} timer {agent} {tag}", self.time);
                }
                (agent, Input::Timer { tag })
            }
            Due::Neighbor { agent, neighbor, is_up } => (agent, Input::Neighbor { neighbor, is_up }),
        };
        self.n_due -= 1;
        let slot = &mut self.slots[agent];
        if slot.is_up() {
            if slot.inbox.is_empty() {
                self.called.push(agent);
            }
            slot.inbox.push(input);
        }
    }

    /// Lets agents act: all that are up in rounds, otherwise those with something in their inbox.
    fn call_agents(&mut self) {
        let (topology, time, seed) = (&self.topology, self.time, self.settings.seed);
        let in_rounds = self.settings.pacing == Pacing::Rounds && time > 0;
        let logging = self.settings.log;
        let call = |id: usize, slot: &mut Slot<A>| {
            let mut context = Context {
                id,
                time,
                neighbors: topology.neighbors(id),
                actions: &mut slot.actions,
                stream: Stream::new(seed, Purpose::Agent, id as u32, time),
                logging,
            };
            for input in slot.inbox.drain(..) {
                match input {
                    Input::Start => slot.agent.on_start(&mut context),
                    Input::Return => slot.agent.on_return(&mut context),
                    Input::Message { from, message } => slot.agent.on_message(from, message, &mut context),
                    Input::Timer { tag } => slot.agent.on_timer(tag, &mut context),
                    Input::Neighbor { neighbor, is_up } => {
                        slot.agent.on_neighbor(neighbor, is_up, &mut context);
                    }
                }
            }
            if in_rounds {
                slot.agent.on_round(&mut context);
            }
        };
        if in_rounds {
            self.called.clear();
            self.called.extend((0..self.slots.len()).filter(|&id| self.slots[id].is_up()));
        }
        self.called.sort_unstable();
        if self.settings.parallel {
            let is_called = |slot: &Slot<A>| slot.is_up() && (in_rounds || !slot.inbox.is_empty());
            let slots = self.slots.par_iter_mut().enumerate();
            slots.filter(|(_, slot)| is_called(slot)).for_each(|(id, slot)| call(id, slot));
        } else {
            for &id in &self.called {
                call(id, &mut self.slots[id]);
            }
        }
    }

    /// Does what agents asked for, agent by agent in ascending order.
    fn route(&mut self) -> Result<()> {
        let called = std::mem::take(&mut self.called);
        for &id in &called {
            let mut actions = std::mem::take(&mut self.slots[id].actions);
            for action in actions.drain(..) {
                self.perform(id, action)?;
            }
            self.slots[id].actions = actions;
        }
        self.called = called;
        self.called.clear();
        Ok(())
    }

    fn perform(&mut self, id: usize, action: Action<A::Message>) -> Result<()> {
        match action {
            Action::Send { link, message } => self.send(id, link, message),
            Action::Timer { delay, tag } => {
                let epoch = self.slots[id].epoch;
                if self.schedule(delay, Due::Timer { agent: id, tag, epoch }) {
                    self.slots[id].n_timers += 1;
                }
            }
            Action::CancelTimers => self.n_due -= self.slots[id].void_timers(),
            Action::Note(text) => {
                let _ = writeln!(self.log, "{} note {id} {}", self.time, text.replace('\n', " "));
            }
            Action::WrongReceiver(to) => return Err(Error::NoLink { from: id, to }),
        }
        Ok(())
    }

    fn send(&mut self, from: usize, link: usize, message: A::Message) {
        let edge = self.topology.first_edge(from) + link;
        let to = self.topology.neighbors(from)[link];
        let (number, latest) = self.edges[edge];
        self.edges[edge].0 += 1;
        self.counts.sent += 1;
        self.counts.bytes += message.n_bytes();
        self.counts.values += message.n_values();
        self.sent_by[from] += 1;
        let random = self.settings.loss > 0.0 || matches!(self.settings.latency, Latency::Uniform(..));
        let words = if random {
            philox4x32(counter_of(Purpose::Message, edge as u32, number, 0), key_of(self.settings.seed))
        } else {
            [0; 4]
        };
        let is_lost = (self.settings.loss > 0.0 && unit_f64(words[0], words[1]) < self.settings.loss)
            || self.settings.is_link_down(from, to, self.time);
        if self.settings.log {
            let what = if is_lost { "lost" } else { "send" };
            let n_bytes = message.n_bytes();
            let _ = write!(self.log, "{} {what} {from}->{to} #{number} {n_bytes}B ", self.time);
            let start = self.log.len();
            let _ = message.describe(&mut self.log);
            if self.log.len() == start {
                self.log.pop();
            }
            self.log.push('\n');
        }
        if is_lost {
            self.counts.lost += 1;
            return;
        }
        let ticks = match self.settings.latency {
            Latency::Fixed(ticks) => ticks,
            Latency::Uniform(low, high) => {
                low + ((u128::from(words[2]) * u128::from(high - low + 1)) >> 32) as u64
            }
        };
        let mut delay = ticks;
        if self.settings.in_order {
            delay = delay.max(latest.saturating_sub(self.time));
            self.edges[edge].1 = self.time + delay;
        }
        self.schedule(delay, Due::Message { from, to, number, message });
    }

    /// Queues something; false where its time is beyond all counting, so that it never happens.
    fn schedule(&mut self, delay: u64, due: Due<A::Message>) -> bool {
        let Some(at) = self.time.checked_add(delay) else { return false };
        let spare = &mut self.spare;
        self.queue.entry(at).or_insert_with(|| spare.pop().unwrap_or_default()).push(due);
        self.n_due += 1;
        true
    }

    /// The current tick; under [`Pacing::Rounds`] the number of rounds so far.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The topology.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The agents, by number.
    pub fn agents(&self) -> impl ExactSizeIterator<Item = &A> {
        self.slots.iter().map(|slot| &slot.agent)
    }

    /// One agent.
    ///
    /// # Panics
    /// If there is no such agent.
    pub fn agent(&self, id: usize) -> &A {
        &self.slots[id].agent
    }

    /// One agent, to change it between ticks, as an operator would.
    ///
    /// # Panics
    /// If there is no such agent.
    pub fn agent_mut(&mut self, id: usize) -> &mut A {
        &mut self.slots[id].agent
    }

    /// Whether an agent is up.
    ///
    /// # Panics
    /// If there is no such agent.
    pub fn is_up(&self, id: usize) -> bool {
        self.slots[id].is_up()
    }

    /// The agents, at the end of a run.
    pub fn into_agents(self) -> Vec<A> {
        self.slots.into_iter().map(|slot| slot.agent).collect()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Messages sent by each agent.
    pub fn sent_by(&self) -> &[u64] {
        &self.sent_by
    }

    /// The log so far, if one is kept: a line for each event, with its tick first.
    ///
    /// `send`, `lost`: sender, receiver, number of the message on this link, size, content. `recv`, `miss` (the
    /// receiver was down). `timer`: agent, tag. `crash`, `return`: agent. `note`: agent, its words.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Takes the log so far, so that a long run can write it out piece by piece.
    pub fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log)
    }
}
