//! Methods that settle one pair of agent and task after the other, the best offer first.

use crate::bids::Bids;
use crate::team::Paths;

/// What a sequential method came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequential {
    /// Tasks of each agent, in the order in which it does them.
    pub paths: Paths,
    /// Agent, task and bid, in the order in which they were settled.
    pub awards: Vec<(usize, usize, f64)>,
    /// Messages that the auction takes: bids to the auctioneer and its announcements.
    pub messages: u64,
}

/// The sequential greedy allocation: of all agents and tasks, the pair with the highest offer is settled, offers are
/// made anew, and so on until nobody offers anything. Ties go to the lower agent, then the lower task. At least half
/// of the optimum where what a task adds never grows with what the agent already has.
pub fn greedy(problem: &impl Bids) -> Sequential {
    sequential(problem, |_, _, bid| bid)
}

/// Greedy with bids that never rise above those an agent has won with before, as warped CBBA bids: where marginal
/// gains diminish this is [`greedy`], and elsewhere it is what CBBA agrees on.
pub fn warped_greedy(problem: &impl Bids) -> Sequential {
    let mut lowest = vec![f64::INFINITY; problem.n_agents()];
    sequential(problem, |agent, won, bid| {
        let warped = lowest[agent].min(bid);
        if won {
            lowest[agent] = warped;
        }
        warped
    })
}

/// A sequential single-item auction (Lagoudakis and others 2005): in each round every agent sends its best bid for
/// any open task to an auctioneer, who awards the best one and tells everybody. The bids are those of the goal:
/// added travel (MiniSum), end of the path (MiniMax) or added reward. Same result as [`greedy`].
pub fn single_item_auction(problem: &impl Bids) -> Sequential {
    let mut out = greedy(problem);
    // One announcement to all at the start; a bid of each and a result to all in each round; and a last round in
    // which nobody bids.
    let n = problem.n_agents() as u64;
    out.messages = n + 2 * n * (out.awards.len() as u64 + 1);
    out
}

/// Settles the best pairs by `weigh(agent, won, bid)`, which is also told of each win.
fn sequential(problem: &impl Bids, mut weigh: impl FnMut(usize, bool, f64) -> f64) -> Sequential {
    let (n, m) = (problem.n_agents(), problem.n_tasks());
    let mut out = Sequential { paths: vec![Vec::new(); n], ..Sequential::default() };
    let mut open: Vec<usize> = (0..m).collect();
    let mut starts = vec![None; m];
    // Offers of an agent change only when it wins, or when a task that others wait for gets its time.
    let mut offers = vec![None; n * m];
    let mut is_stale = vec![true; n];
    while !open.is_empty() {
        let mut best: Option<(f64, usize, usize)> = None;
        for agent in 0..n {
            let is_full = out.paths[agent].len() >= problem.capacity(agent);
            for &task in &open {
                let offer = &mut offers[agent * m + task];
                if is_stale[agent] || problem.is_coupled() {
                    *offer =
                        if is_full { None } else { problem.offer(agent, &out.paths[agent], task, &starts) };
                }
                let Some(offer) = offer else { continue };
                let bid = weigh(agent, false, offer.bid);
                if bid > best.map_or(0.0, |b| b.0) {
                    best = Some((bid, agent, task));
                }
            }
            is_stale[agent] = false;
        }
        let Some((bid, agent, task)) = best else { break };
        let Some(offer) = offers[agent * m + task] else { break };
        weigh(agent, true, offer.bid);
        out.paths[agent].insert(offer.at, task);
        starts[task] = problem.start_of_last(agent, &out.paths[agent], &starts);
        out.awards.push((agent, task, bid));
        is_stale[agent] = true;
        open.retain(|&t| t != task);
    }
    out
}
