//! The consensus-based auction algorithm (Choi, Brunet and How 2009): one task an agent. Each agent bids for the task
//! that it values most among those it can win, neighbors tell each other the highest bids, and whoever is outbid bids
//! anew. Agents that crash keep what they won; use [`crate::cbba`] where that may happen.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message};

use crate::Result;
use crate::bids::Bids;
use crate::cbba::refuse_coupled;
use crate::consensus::{self, Bidder, ConsensusOptions, Outcome};

/// Runs CBAA until all agents agree. Agents of capacity 0 take nothing, all others one task.
///
/// # Errors
/// As [`crate::cbba::cbba`].
pub fn cbaa<B: Bids>(problem: &B, options: &ConsensusOptions) -> Result<Outcome> {
    refuse_coupled(problem, "cbaa")?;
    let agents = (0..problem.n_agents()).map(|id| Auctioneer::new(problem, id)).collect();
    consensus::run(agents, problem.n_tasks(), options)
}

/// The highest bid for each task and who made it.
#[derive(Debug, Clone, PartialEq)]
struct Highest(Vec<Option<(f64, usize)>>);

impl Message for Highest {
    fn n_bytes(&self) -> u64 {
        self.0.len() as u64 * 12
    }

    fn n_values(&self) -> u64 {
        2 * self.0.len() as u64
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        line.write_str("highest")?;
        for bid in &self.0 {
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
    highest: Highest,
    task: Vec<usize>,
    changed: bool,
}

impl<'a, B: Bids> Auctioneer<'a, B> {
    fn new(problem: &'a B, id: usize) -> Self {
        Self {
            problem,
            id,
            highest: Highest(vec![None; problem.n_tasks()]),
            task: Vec::new(),
            changed: false,
        }
    }

    fn bid(&mut self) {
        if !self.task.is_empty() || self.problem.capacity(self.id) == 0 {
            return;
        }
        let mut best: Option<(usize, f64)> = None;
        for (task, highest) in self.highest.0.iter().enumerate() {
            let Some(offer) = self.problem.offer(self.id, &[], task, &[]) else { continue };
            let wins = highest.is_none_or(|held| is_higher((offer.bid, self.id), held));
            if wins && offer.bid > best.map_or(0.0, |b| b.1) {
                best = Some((task, offer.bid));
            }
        }
        if let Some((task, bid)) = best {
            self.highest.0[task] = Some((bid, self.id));
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
        context.broadcast(&Arc::new(self.highest.clone()));
    }

    fn on_message(
        &mut self,
        _from: usize,
        message: Self::Message,
        _context: &mut Context<'_, Self::Message>,
    ) {
        for (mine, theirs) in self.highest.0.iter_mut().zip(&message.0) {
            if let Some(bid) = *theirs
                && mine.is_none_or(|held| is_higher(bid, held))
            {
                *mine = Some(bid);
                self.changed = true;
            }
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Self::Message>) {
        let (id, highest) = (self.id, &self.highest.0);
        self.task.retain(|&task| highest[task].is_some_and(|held| held.1 == id));
        self.bid();
        context.broadcast(&Arc::new(self.highest.clone()));
    }

    fn on_crash(&mut self) {
        self.task.clear();
    }
}

impl<B: Bids> Bidder for Auctioneer<'_, B> {
    fn path(&self) -> &[usize] {
        &self.task
    }

    fn winner(&self, task: usize) -> Option<usize> {
        self.highest.0[task].map(|held| held.1)
    }

    fn bid(&self, task: usize) -> f64 {
        self.highest.0[task].map_or(0.0, |held| held.0)
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
