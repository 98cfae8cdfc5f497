//! The consensus-based bundle algorithm (Choi, Brunet and How 2009): every agent bundles the tasks that it values
//! most, tells its neighbors what it knows of the winners of all tasks, and gives way by 17 decision rules. Nobody
//! leads. With diminishing marginal gains the agents agree on the sequential greedy allocation within
//! `min(n_tasks, n_agents * capacity) * diameter` rounds and get at least half of the optimum. Other scores are warped (Johnson
//! and others 2012): an agent never bids more for a task than for those bundled before it, which keeps the agreement.
//!
//! Agents that have not been heard of for some rounds, by themselves or through others, are taken for lost if
//! [`CbbaOptions::lost_after`] says so, and their tasks are free again.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message};

use crate::bids::{Bids, Offer};
use crate::consensus::{self, Bidder, ConsensusOptions, Outcome, Watch};
use crate::{Error, Result};

/// Settings of [`cbba`] and [`cbaa`](crate::cbaa::cbaa): the network, and when an agent is lost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CbbaOptions {
    /// The network and how long to go on.
    pub consensus: ConsensusOptions,
    /// Rounds after which an agent that was not heard of is taken for lost; `None`: never.
    pub lost_after: Option<u64>,
}

/// Runs CBBA until all agents agree.
///
/// # Errors
/// [`Error::Unsupported`] where tasks wait for tasks of other agents; [`Error::Invalid`] where the agents that are up
/// are not connected; errors of the simulator.
pub fn cbba<B: Bids>(problem: &B, options: &CbbaOptions) -> Result<Outcome> {
    cbba_watched(problem, options, &mut |_| ())
}

/// [`cbba`], with somebody who looks on after every round.
///
/// # Errors
/// As there.
pub fn cbba_watched<B: Bids>(problem: &B, options: &CbbaOptions, watch: &mut Watch<'_>) -> Result<Outcome> {
    refuse_coupled(problem, "cbba")?;
    let agents = (0..problem.n_agents()).map(|id| Bundler::new(problem, id, options.lost_after)).collect();
    consensus::run(agents, problem.n_tasks(), &options.consensus, watch)
}

/// Agents that decide for themselves cannot know when tasks of others end.
pub(crate) fn refuse_coupled(problem: &impl Bids, method: &'static str) -> Result<()> {
    if !problem.is_coupled() {
        return Ok(());
    }
    let reason = "tasks wait for tasks of other robots; use greedy, ssi, contract-net or exact".to_string();
    Err(Error::Unsupported { method, class: "XD[ST-SR-TA]".to_string(), reason })
}

/// What an agent tells its neighbors.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// Highest bid for each task, as far as known.
    bids: Vec<f64>,
    /// Who made it.
    winners: Vec<Option<usize>>,
    /// Round of the latest news of each agent, plus 1; 0 if there is none yet.
    news: Vec<u64>,
}

impl Message for Claims {
    fn n_bytes(&self) -> u64 {
        // A bid and a winner a task, a time an agent.
        (self.bids.len() * 12 + self.news.len() * 8) as u64
    }

    fn n_values(&self) -> u64 {
        (2 * self.bids.len() + self.news.len()) as u64
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        line.write_str("winners")?;
        for winner in &self.winners {
            match winner {
                Some(agent) => write!(line, " {agent}")?,
                None => line.write_str(" -")?,
            }
        }
        Ok(())
    }
}

/// What the receiver does about one task after the sender's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Takes over the sender's bid and winner.
    Update,
    /// Forgets the winner.
    Reset,
    /// Keeps its own view.
    Leave,
}

/// One agent of CBBA.
struct Bundler<'a, B> {
    problem: &'a B,
    id: usize,
    lost_after: Option<u64>,
    claims: Claims,
    /// Tasks in the order in which they were added, with the bids.
    bundle: Vec<(usize, f64)>,
    /// The same tasks in the order in which they would be done.
    path: Vec<usize>,
    changed: bool,
}

impl<'a, B: Bids> Bundler<'a, B> {
    fn new(problem: &'a B, id: usize, lost_after: Option<u64>) -> Self {
        let (n, m) = (problem.n_agents(), problem.n_tasks());
        let claims = Claims { bids: vec![0.0; m], winners: vec![None; m], news: vec![0; n] };
        Self { problem, id, lost_after, claims, bundle: Vec::new(), path: Vec::new(), changed: false }
    }

    /// Row of the table of the paper for the task: what the sender (k) and the receiver (i) think who wins.
    fn decide(&self, sender: usize, theirs: &Claims, task: usize) -> Decision {
        use Decision::{Leave, Reset, Update};
        let (i, k) = (self.id, sender);
        let mine = &self.claims;
        let higher = beats(theirs, mine, task);
        // Whether the sender has later news of an agent than the receiver, and the other way around.
        let newer = |agent: usize| theirs.news[agent] > mine.news[agent];
        let older = |agent: usize| mine.news[agent] > theirs.news[agent];
        let when = |holds: bool, then: Decision| if holds { then } else { Leave };
        match (theirs.winners[task], mine.winners[task]) {
            // The sender thinks that it wins itself.
            (Some(w), Some(me)) if w == k && me == i => when(higher, Update),
            (Some(w), Some(they)) if w == k && they == k => Update,
            (Some(w), Some(other)) if w == k => when(newer(other) || higher, Update),
            (Some(w), None) if w == k => Update,
            // The sender thinks that the receiver wins.
            (Some(w), Some(me)) if w == i && me == i => Leave,
            (Some(w), Some(they)) if w == i && they == k => Reset,
            (Some(w), Some(other)) if w == i => when(newer(other), Reset),
            (Some(w), None) if w == i => Leave,
            // The sender thinks that a third agent m wins.
            (Some(m), Some(me)) if me == i => when(newer(m) && higher, Update),
            (Some(m), Some(they)) if they == k => {
                if newer(m) {
                    Update
                } else {
                    Reset
                }
            }
            (Some(m), Some(same)) if same == m => when(newer(m), Update),
            (Some(m), Some(other)) => {
                if newer(m) && (newer(other) || higher) {
                    Update
                } else if newer(other) && older(m) {
                    Reset
                } else {
                    Leave
                }
            }
            (Some(m), None) => when(newer(m), Update),
            // The sender knows of no winner.
            (None, Some(me)) if me == i => Leave,
            (None, Some(they)) if they == k => Update,
            (None, Some(other)) => when(newer(other), Update),
            (None, None) => Leave,
        }
    }

    /// Gives up all tasks bundled after the first one lost: their bids assumed it.
    fn release(&mut self) {
        let lost = self.bundle.iter().position(|&(task, _)| self.claims.winners[task] != Some(self.id));
        let Some(lost) = lost else { return };
        for (task, _) in self.bundle.drain(lost..) {
            self.path.retain(|&t| t != task);
            if self.claims.winners[task] == Some(self.id) {
                (self.claims.winners[task], self.claims.bids[task]) = (None, 0.0);
            }
        }
        self.changed = true;
    }

    /// Adds the tasks that this agent can win, the highest bid first, until it is full.
    fn build(&mut self) {
        while self.path.len() < self.problem.capacity(self.id) {
            let ceiling = self.bundle.last().map_or(f64::INFINITY, |&(_, bid)| bid);
            let mut best: Option<(usize, Offer)> = None;
            for task in (0..self.claims.bids.len()).filter(|task| !self.path.contains(task)) {
                let Some(mut offer) = self.problem.offer(self.id, &self.path, task, &[]) else { continue };
                offer.bid = offer.bid.min(ceiling);
                let wins = match self.claims.winners[task] {
                    None => true,
                    Some(winner) => (offer.bid, winner) > (self.claims.bids[task], self.id),
                };
                if wins && offer.bid > best.map_or(0.0, |(_, b)| b.bid) {
                    best = Some((task, offer));
                }
            }
            let Some((task, offer)) = best else { break };
            self.path.insert(offer.at, task);
            self.bundle.push((task, offer.bid));
            (self.claims.winners[task], self.claims.bids[task]) = (Some(self.id), offer.bid);
            self.changed = true;
        }
    }

    /// Frees the tasks of agents that nobody has heard of for long.
    fn drop_lost(&mut self, time: u64) {
        let Some(lost_after) = self.lost_after else { return };
        for task in 0..self.claims.winners.len() {
            let Some(winner) = self.claims.winners[task] else { continue };
            if winner != self.id && (time + 1).saturating_sub(self.claims.news[winner]) > lost_after {
                (self.claims.winners[task], self.claims.bids[task]) = (None, 0.0);
                self.changed = true;
            }
        }
    }

    fn tell(&mut self, context: &mut Context<'_, Arc<Claims>>) {
        self.claims.news[self.id] = context.time() + 1;
        context.broadcast(&Arc::new(self.claims.clone()));
    }
}

/// Whether their bid for a task is higher, or equal and by a lower agent.
fn beats(theirs: &Claims, mine: &Claims, task: usize) -> bool {
    let (a, b) = (theirs.bids[task], mine.bids[task]);
    a > b || (a == b && theirs.winners[task] < mine.winners[task])
}

impl<B: Bids> Agent for Bundler<'_, B> {
    type Message = Arc<Claims>;

    fn on_start(&mut self, context: &mut Context<'_, Self::Message>) {
        self.build();
        self.tell(context);
    }

    fn on_message(&mut self, from: usize, message: Self::Message, context: &mut Context<'_, Self::Message>) {
        if message.news[from] < self.claims.news[from] {
            // Late mail; what the sender knew then has come by another way.
            return;
        }
        for task in 0..self.claims.bids.len() {
            let decision = self.decide(from, &message, task);
            let (winner, bid) = match decision {
                Decision::Leave => continue,
                Decision::Update => (message.winners[task], message.bids[task]),
                Decision::Reset => (None, 0.0),
            };
            if (self.claims.winners[task], self.claims.bids[task]) != (winner, bid) {
                (self.claims.winners[task], self.claims.bids[task]) = (winner, bid);
                self.changed = true;
                context.note(format_args!("task {task}: {decision:?} to {winner:?} at {bid}"));
            }
        }
        for (mine, theirs) in self.claims.news.iter_mut().zip(&message.news) {
            *mine = (*mine).max(*theirs);
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Self::Message>) {
        self.drop_lost(context.time());
        self.release();
        self.build();
        self.tell(context);
    }

    fn on_crash(&mut self) {
        let n_tasks = self.problem.n_tasks();
        self.claims.bids = vec![0.0; n_tasks];
        self.claims.winners = vec![None; n_tasks];
        self.bundle.clear();
        self.path.clear();
    }
}

impl<B: Bids> Bidder for Bundler<'_, B> {
    fn path(&self) -> &[usize] {
        &self.path
    }

    fn winner(&self, task: usize) -> Option<usize> {
        self.claims.winners[task]
    }

    fn bid(&self, task: usize) -> f64 {
        self.claims.bids[task]
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bids::ScoreTable;

    /// The table of the paper, row by row: sender's winner, receiver's winner, then what is done with news and bid
    /// (sender newer of m, sender newer of n, higher bid). Agents: receiver 0, sender 1, m 2, n 3.
    #[test]
    fn the_seventeen_rules() {
        use Decision::{Leave, Reset, Update};
        let (i, k, m, n) = (Some(0), Some(1), Some(2), Some(3));
        type Rule = fn(bool, bool, bool) -> Decision;
        let rules: [(Option<usize>, Option<usize>, Rule); 17] = [
            (k, i, |_, _, h| if h { Update } else { Leave }),
            (k, k, |_, _, _| Update),
            (k, m, |s, _, h| if s || h { Update } else { Leave }),
            (k, None, |_, _, _| Update),
            (i, i, |_, _, _| Leave),
            (i, k, |_, _, _| Reset),
            (i, m, |s, _, _| if s { Reset } else { Leave }),
            (i, None, |_, _, _| Leave),
            (m, i, |s, _, h| if s && h { Update } else { Leave }),
            (m, k, |s, _, _| if s { Update } else { Reset }),
            (m, m, |s, _, _| if s { Update } else { Leave }),
            (m, n, |s, t, h| match (s, t) {
                (true, true) => Update,
                (true, false) if h => Update,
                (false, true) => Reset,
                _ => Leave,
            }),
            (m, None, |s, _, _| if s { Update } else { Leave }),
            (None, i, |_, _, _| Leave),
            (None, k, |_, _, _| Update),
            (None, m, |s, _, _| if s { Update } else { Leave }),
            (None, None, |_, _, _| Leave),
        ];
        let table = ScoreTable::new(4, 1, vec![1.0; 4], vec![1; 4]).unwrap();
        for (row, (theirs, mine, rule)) in rules.into_iter().enumerate() {
            for bits in 0..8 {
                let (newer_m, newer_n, higher) = (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4);
                let mut receiver = Bundler::new(&table, 0, None);
                receiver.claims = Claims { bids: vec![5.0], winners: vec![mine], news: vec![5; 4] };
                let news = |newer: bool| if newer { 6 } else { 4 };
                let sent = Claims {
                    bids: vec![if higher { 6.0 } else { 4.0 }],
                    winners: vec![theirs],
                    news: vec![5, 5, news(newer_m), news(newer_n)],
                };
                let found = receiver.decide(1, &sent, 0);
                assert_eq!(found, rule(newer_m, newer_n, higher), "row {}, case {bits:03b}", row + 1);
            }
        }
    }
}
