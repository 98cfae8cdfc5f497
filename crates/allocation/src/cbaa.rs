//! The consensus-based auction algorithm (Choi, Brunet and How 2009): one task an agent. Each agent bids for the task
//! that it values most among those it can win, neighbors tell each other the highest bids, and whoever is outbid bids
//! anew. Agents that have not been heard of for some rounds, by themselves or through others, are taken for lost if
//! [`CbbaOptions::lost_after`] says so: their bids no longer count, and their tasks are bid for again. An agent that
//! returns remembers its bid, which counts again and wins again where it was the highest.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message};

use crate::Result;
use crate::bids::Bids;
use crate::cbba::{CbbaOptions, refuse_coupled};
use crate::consensus::{self, Bidder, Outcome, Watch};

/// Runs CBAA until all agents agree. Agents of capacity 0 take nothing, all others one task.
///
/// # Errors
/// As [`crate::cbba::cbba`].
pub fn cbaa<B: Bids>(problem: &B, options: &CbbaOptions) -> Result<Outcome> {
    cbaa_watched(problem, options, &mut |_| ())
}

/// [`cbaa`], with somebody who looks on after every round.
///
/// # Errors
/// As there.
pub fn cbaa_watched<B: Bids>(problem: &B, options: &CbbaOptions, watch: &mut Watch<'_>) -> Result<Outcome> {
    refuse_coupled(problem, "cbaa")?;
    let agents = (0..problem.n_agents()).map(|id| Auctioneer::new(problem, id, options.lost_after)).collect();
    consensus::run(agents, problem.n_tasks(), &options.consensus, watch)
}

/// What an agent tells its neighbors.
#[derive(Debug, Clone, PartialEq)]
struct Highest {
    /// The highest bid for each task and who made it.
    bids: Vec<Option<(f64, usize)>>,
    /// Round of the latest news of each agent, plus 1; 0 if there is none yet.
    news: Vec<u64>,
}

impl Message for Highest {
    fn n_bytes(&self) -> u64 {
        (self.bids.len() * 12 + self.news.len() * 8) as u64
    }

    fn n_values(&self) -> u64 {
        (2 * self.bids.len() + self.news.len()) as u64
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        line.write_str("highest")?;
        for bid in &self.bids {
            match bid {
                Some((bid, agent)) => write!(line, " {bid}@{agent}")?,
                None => line.write_str(" -")?,
            }
        }
        Ok(())
    }
}

struct Auctioneer<'a, B> {
    problem: &'a B,
    id: usize,
    lost_after: Option<u64>,
    highest: Highest,
    task: Vec<usize>,
    changed: bool,
}

impl<'a, B: Bids> Auctioneer<'a, B> {
    fn new(problem: &'a B, id: usize, lost_after: Option<u64>) -> Self {
        let (n, m) = (problem.n_agents(), problem.n_tasks());
        Self {
            problem,
            id,
            lost_after,
            highest: Highest { bids: vec![None; m], news: vec![0; n] },
            task: Vec::new(),
            changed: false,
        }
    }

    /// Whether nobody has heard of an agent for long.
    fn is_lost(&self, agent: usize, time: u64) -> bool {
        let silent = (time + 1).saturating_sub(self.highest.news[agent]);
        agent != self.id && self.lost_after.is_some_and(|most| silent > most)
    }

    /// Strikes out the bids of agents that are lost.
    fn drop_lost(&mut self, time: u64) {
        for task in 0..self.highest.bids.len() {
            if self.highest.bids[task].is_some_and(|held| self.is_lost(held.1, time)) {
                self.highest.bids[task] = None;
                self.changed = true;
            }
        }
    }

    fn tell(&mut self, context: &mut Context<'_, Arc<Highest>>) {
        self.highest.news[self.id] = context.time() + 1;
        context.broadcast(&Arc::new(self.highest.clone()));
    }

    fn bid(&mut self) {
        if !self.task.is_empty() || self.problem.capacity(self.id) == 0 {
            return;
        }
        let mut best: Option<(usize, f64)> = None;
        for (task, highest) in self.highest.bids.iter().enumerate() {
            let Some(offer) = self.problem.offer(self.id, &[], task, &[]) else { continue };
            let wins = highest.is_none_or(|held| held.1 == self.id || is_higher((offer.bid, self.id), held));
            if wins && offer.bid > best.map_or(0.0, |b| b.1) {
                best = Some((task, offer.bid));
            }
        }
        if let Some((task, bid)) = best {
            self.highest.bids[task] = Some((bid, self.id));
            self.task.push(task);
            self.changed = true;
        }
    }
}

/// Whether a bid beats another: higher, or equal and by a lower agent.
fn is_higher(bid: (f64, usize), than: (f64, usize)) -> bool {
    bid.0 > than.0 || (bid.0 == than.0 && bid.1 < than.1)
}

impl<B: Bids> Agent for Auctioneer<'_, B> {
    type Message = Arc<Highest>;

    fn on_start(&mut self, context: &mut Context<'_, Self::Message>) {
        self.bid();
        self.tell(context);
    }

    fn on_message(&mut self, _from: usize, message: Self::Message, context: &mut Context<'_, Self::Message>) {
        for (mine, theirs) in self.highest.news.iter_mut().zip(&message.news) {
            *mine = (*mine).max(*theirs);
        }
        for (task, theirs) in message.bids.iter().enumerate() {
            let Some(bid) = *theirs else { continue };
            let wins = self.highest.bids[task].is_none_or(|held| is_higher(bid, held));
            if wins && !self.is_lost(bid.1, context.time()) {
                self.highest.bids[task] = Some(bid);
                self.changed = true;
            }
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Self::Message>) {
        self.drop_lost(context.time());
        let (id, highest) = (self.id, &self.highest.bids);
        self.task.retain(|&task| highest[task].is_some_and(|held| held.1 == id));
        self.bid();
        self.tell(context);
    }
}

impl<B: Bids> Bidder for Auctioneer<'_, B> {
    fn path(&self) -> &[usize] {
        &self.task
    }

    fn winner(&self, task: usize) -> Option<usize> {
        self.highest.bids[task].map(|held| held.1)
    }

    fn bid(&self, task: usize) -> f64 {
        self.highest.bids[task].map_or(0.0, |held| held.0)
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
