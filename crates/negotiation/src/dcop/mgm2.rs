//! MGM-2 (Maheswaran, Pearce and Tambe 2004): MGM in which some agents offer a neighbor to move together, which leads
//! out of assignments that nobody can improve alone. The cost never rises.
//!
//! A cycle is five ticks: values; offers (what each pair of values would gain the one who offers); answers; gains;
//! and `go` between the two of a pair, who move only if both of them gain most among their neighbors. Whether a
//! neighborhood has come to rest cannot be known while offers are drawn at random; a run ends when nobody
//! has moved or could gain alone for [`PATIENCE`] cycles.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message};

use super::local::{Local, best};
use super::options::Favor;
use super::solve::{Found, HasValue, Run};
use crate::Result;

/// Cycles without a move after which a run ends. At threshold 0.5 a given pair of neighbors with four others each
/// has by then tried with a probability of about 0.95.
const PATIENCE: u32 = 50;

#[derive(Clone)]
enum Mail {
    Value(usize),
    /// Gains by own value (slow) and value of the receiver (fast).
    Offer(Arc<[f64]>),
    /// The value for the one who offered, and what both gain; or no.
    Answer(Option<(usize, f64)>),
    /// The gain, and who leads: the lower of a pair.
    Gain(f64, usize),
    Go(bool),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Value(_) => 4,
            Self::Offer(gains) => 8 * gains.len() as u64,
            Self::Answer(_) => 12,
            Self::Gain(..) => 12,
            Self::Go(_) => 1,
        }
    }

    fn n_values(&self) -> u64 {
        match self {
            Self::Offer(gains) => 3 * gains.len() as u64,
            Self::Answer(_) => 3,
            _ => 1,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Value(value) => write!(line, "value {value}"),
            Self::Offer(gains) => write!(line, "offer of {} pairs", gains.len()),
            Self::Answer(Some((value, gain))) => write!(line, "accept value {value} gain {gain}"),
            Self::Answer(None) => write!(line, "reject"),
            Self::Gain(gain, _) => write!(line, "gain {gain}"),
            Self::Go(go) => write!(line, "go {go}"),
        }
    }
}

struct Pairer {
    local: Local,
    sizes: Vec<usize>,
    value: usize,
    target: usize,
    gain: f64,
    alone_gain: f64,
    threshold: f64,
    favor: Favor,
    offers: Vec<(usize, Arc<[f64]>)>,
    offered_to: Option<usize>,
    partner: Option<usize>,
    leader: usize,
    wins: bool,
    partner_goes: bool,
    n_quiet: u32,
    costs: Vec<f64>,
    choices: Vec<usize>,
}

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let locals = Local::all(model).into_iter().zip(&model.initial).enumerate();
    let agents = locals.map(|(v, (local, &value))| Pairer {
        sizes: model.topology.neighbors(v).iter().map(|&other| model.sizes[other]).collect(),
        local,
        value,
        target: value,
        gain: 0.0,
        alone_gain: f64::INFINITY,
        threshold: run.options.threshold,
        favor: run.options.favor,
        offers: Vec::new(),
        offered_to: None,
        partner: None,
        leader: v,
        wins: false,
        partner_goes: false,
        n_quiet: 0,
        costs: Vec::new(),
        choices: Vec::new(),
    });
    let agents = agents.collect();
    let topology = model.topology.clone();
    run.cycles(topology, agents, 5)
}

impl Pairer {
    /// What it can gain alone; and perhaps an offer to a neighbor.
    fn begin(&mut self, context: &mut Context<'_, Mail>) {
        self.local.costs(&mut self.costs);
        let least = best(&self.costs, self.local.tolerance, &mut self.choices);
        let gain = self.costs[self.value] - least;
        self.alone_gain = if gain > self.local.tolerance { gain } else { 0.0 };
        self.gain = self.alone_gain;
        let choice = context.random().below(self.choices.len() as u32) as usize;
        self.target = self.choices[choice];
        (self.partner, self.offered_to, self.leader, self.partner_goes) = (None, None, context.id(), false);
        self.offers.clear();
        let n = context.neighbors().len() as u32;
        if n > 0 && context.random().uniform_f64() < self.threshold {
            let slot = context.random().below(n) as usize;
            let to = context.neighbors()[slot];
            let now = self.costs[self.value];
            let n_theirs = self.sizes[slot];
            let mut gains = vec![0.0; self.local.n_values() * n_theirs];
            self.with_each(slot, |theirs, costs| {
                for (own, cost) in costs.iter().enumerate() {
                    gains[own * n_theirs + theirs] = now - cost;
                }
            });
            self.offered_to = Some(to);
            context.send(to, Mail::Offer(gains.into()));
        }
    }

    /// Own costs for each value of one neighbor.
    fn with_each(&mut self, slot: usize, mut take: impl FnMut(usize, &[f64])) {
        let before = self.local.known[slot];
        for theirs in 0..self.sizes[slot] {
            self.local.known[slot] = theirs;
            self.local.costs(&mut self.costs);
            take(theirs, &self.costs);
        }
        self.local.known[slot] = before;
    }

    /// Costs of the constraints shared with a neighbor, for each pair of own value and theirs (slow).
    fn shared(&mut self, slot: usize) -> Vec<f64> {
        let n = self.local.n_values();
        let mut shared = vec![0.0; n * self.sizes[slot]];
        let before = self.local.known[slot];
        for theirs in 0..self.sizes[slot] {
            self.local.known[slot] = theirs;
            for link in self.local.links.iter().filter(|link| link.others.iter().any(|other| other.0 == slot))
            {
                let start = link.start(&self.local.known);
                for own in 0..n {
                    shared[theirs * n + own] += link.factor.table[start + own * link.stride];
                }
            }
        }
        self.local.known[slot] = before;
        shared
    }

    /// Accepts the best offer if it is better than moving alone, and rejects the others.
    fn answer(&mut self, context: &mut Context<'_, Mail>) {
        let offers = std::mem::take(&mut self.offers);
        let mut chosen: Option<(usize, usize, usize, f64)> = None;
        if self.offered_to.is_none() {
            for (from, gains) in &offers {
                let slot = context.neighbors().partition_point(|other| other < from);
                let n = self.local.n_values();
                let shared = self.shared(slot);
                let shared_now = shared[self.local.known[slot] * n + self.value];
                self.local.costs(&mut self.costs);
                let now = self.costs[self.value];
                self.with_each(slot, |theirs, costs| {
                    for (own, cost) in costs.iter().enumerate() {
                        // Both count the shared constraints; once is right.
                        let twice = shared_now - shared[theirs * n + own];
                        let gain = gains[theirs * n + own] + (now - cost) - twice;
                        if chosen.is_none_or(|best| gain > best.3) {
                            chosen = Some((*from, theirs, own, gain));
                        }
                    }
                });
            }
        }
        let tolerance = self.local.tolerance;
        let by_chance = context.random().below(2) == 1;
        let accepted = chosen.filter(|&(.., gain)| {
            let equal = (gain - self.alone_gain).abs() <= tolerance;
            let prefers = match self.favor {
                Favor::Unilateral => false,
                Favor::No => by_chance,
                Favor::Coordinated => true,
            };
            gain > tolerance && (gain > self.alone_gain + tolerance || (equal && prefers))
        });
        for (from, _) in &offers {
            let answer =
                accepted.filter(|chosen| chosen.0 == *from).map(|(_, theirs, _, gain)| (theirs, gain));
            context.send(*from, Mail::Answer(answer));
        }
        if let Some((from, _, own, gain)) = accepted {
            self.commit(from, own, gain, context.id());
        }
    }

    fn commit(&mut self, partner: usize, target: usize, gain: f64, id: usize) {
        (self.partner, self.target, self.gain) = (Some(partner), target, gain);
        self.leader = id.min(partner);
    }

    fn finish(&mut self, context: &mut Context<'_, Mail>) {
        let moves = self.wins && (self.partner.is_none() || self.partner_goes);
        if moves {
            self.value = self.target;
        }
        self.n_quiet = if moves || self.alone_gain > 0.0 { 0 } else { self.n_quiet + 1 };
        context.broadcast(&Mail::Value(self.value));
    }
}

impl Agent for Pairer {
    type Message = Mail;

    fn on_start(&mut self, context: &mut Context<'_, Mail>) {
        context.broadcast(&Mail::Value(self.value));
    }

    fn on_message(&mut self, from: usize, message: Mail, context: &mut Context<'_, Mail>) {
        match message {
            Mail::Value(value) => {
                let slot = context.neighbors().partition_point(|&other| other < from);
                self.local.known[slot] = value;
            }
            Mail::Offer(gains) => self.offers.push((from, gains)),
            Mail::Answer(Some((value, gain))) => self.commit(from, value, gain, context.id()),
            Mail::Answer(None) => {}
            Mail::Gain(gain, leader) => {
                let is_partner = self.partner == Some(from);
                let first = self.gain > gain || (self.gain == gain && self.leader < leader);
                self.wins &= is_partner || first;
            }
            Mail::Go(go) => self.partner_goes = go,
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Mail>) {
        match (context.time() - 1) % 5 {
            0 => self.begin(context),
            1 => self.answer(context),
            2 => {
                self.wins = self.gain > 0.0;
                context.broadcast(&Mail::Gain(self.gain, self.leader));
            }
            3 => {
                if let Some(partner) = self.partner {
                    context.send(partner, Mail::Go(self.wins));
                }
            }
            _ => self.finish(context),
        }
    }
}

impl HasValue for Pairer {
    fn value(&self) -> Option<usize> {
        Some(self.value)
    }

    fn is_settled(&self) -> bool {
        self.n_quiet >= PATIENCE || (self.sizes.is_empty() && self.n_quiet > 0)
    }
}
