//! The stacked alternating-offers protocol (Aydogan, Festen, Hindriks and Jonker 2017), for two and more parties, on the
//! simulator: parties take turns; the one whose turn it is accepts the standing offer, makes another, or ends the
//! negotiation; an offer that all others accept in a row is the agreement.
//!
//! A round is one turn of everybody. Time runs from 0 in the first round to 1 in the last. What a party does, it
//! tells all others; messages take one tick and are never lost.

use std::fmt;

use coact_core::math::pow_f64;
use coact_messaging::{Agent, Context, Counts, Message, Pacing, Settings, Simulator, Topology};

use super::party::{Party, Strategy};
use super::scenario::{Scenario, Space};
use crate::{Error, Result};

/// How a negotiation is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// One strategy for each party.
    pub strategies: Vec<Strategy>,
    /// Rounds until the deadline.
    pub n_rounds: u64,
    /// Where randomness comes from.
    pub seed: u64,
    /// Whether a log is kept.
    pub log: bool,
}

/// An offer on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The turn, from 0.
    pub turn: u64,
    /// Who made it.
    pub party: usize,
    /// What was offered.
    pub outcome: usize,
}

/// How a negotiation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an agreement.
    Agreement,
    /// At the deadline.
    Deadline,
    /// Because a party left.
    Left,
}

/// A negotiation that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Negotiation {
    /// What was agreed on.
    pub agreement: Option<usize>,
    /// How it ended.
    pub end: End,
    /// Rounds that were begun.
    pub n_rounds: u64,
    /// What each party has of it: the utility of the agreement, or of none, discounted by the time it took.
    pub utilities: Vec<f64>,
    /// All offers.
    pub offers: Vec<Offer>,
    /// Messages.
    pub counts: Counts,
    /// The log, if one was asked for.
    pub log: String,
}

#[derive(Debug, Clone, Copy)]
enum Say {
    Offer(usize),
    Accept,
    End,
}

impl Message for Say {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Offer(_) => 9,
            Self::Accept | Self::End => 1,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Offer(outcome) => write!(line, "offer {outcome}"),
            Self::Accept => line.write_str("accept"),
            Self::End => line.write_str("end"),
        }
    }
}

/// A party at the table: it follows the protocol, its strategy decides.
struct Seat {
    party: Party,
    n_parties: usize,
    n_rounds: u64,
    turn: u64,
    standing: Option<(usize, usize)>,
    n_accepted: usize,
    end: Option<End>,
    offers: Vec<Offer>,
}

/// Holds a negotiation.
///
/// # Errors
/// [`Error::Invalid`] without two parties, a strategy for each, and a round; [`Error::TooMany`] for too many outcomes.
pub fn negotiate(scenario: &Scenario, terms: &Terms) -> Result<Negotiation> {
    let space = scenario.space()?;
    let n = scenario.profiles.len();
    if n < 2 {
        return Err(Error::invalid(format!("{n} party at the table: give the profiles of at least two")));
    }
    if terms.strategies.len() != n {
        let message = format!("{} strategies for {n} parties: give one for each", terms.strategies.len());
        return Err(Error::invalid(message));
    }
    if terms.n_rounds == 0 || terms.n_rounds > 1 << 40 {
        return Err(Error::invalid(format!("{} rounds: expected from 1 to 2^40", terms.n_rounds)));
    }
    let seats = terms.strategies.iter().enumerate().map(|(own, &strategy)| Seat {
        party: Party::new(strategy, &space, own),
        n_parties: n,
        n_rounds: terms.n_rounds,
        turn: 0,
        standing: None,
        n_accepted: 0,
        end: None,
        offers: Vec::new(),
    });
    let seats = seats.collect();
    let settings =
        Settings { seed: terms.seed, pacing: Pacing::Events, log: terms.log, ..Settings::default() };
    let mut simulator = Simulator::new(Topology::complete(n)?, settings, seats)?;
    simulator.run(u64::MAX - 1)?;
    let (counts, log) = (simulator.counts(), simulator.take_log());
    let seat = simulator.agent(0);
    let agreement = seat.standing.filter(|_| seat.end == Some(End::Agreement)).map(|standing| standing.1);
    let n_rounds = (seat.turn.max(1) - 1) / n as u64 + 1;
    Ok(Negotiation {
        agreement,
        end: seat.end.unwrap_or(End::Deadline),
        n_rounds,
        utilities: utilities(scenario, &space, agreement, time_of(n_rounds - 1, terms.n_rounds)),
        offers: seat.offers.clone(),
        counts,
        log,
    })
}

fn utilities(scenario: &Scenario, space: &Space, agreement: Option<usize>, time: f64) -> Vec<f64> {
    let raw = agreement.map_or_else(|| space.reservations.clone(), |outcome| space.at(outcome));
    raw.iter()
        .zip(&scenario.profiles)
        .map(|(utility, profile)| utility * pow_f64(profile.discount, time))
        .collect()
}

pub(super) fn time_of(round: u64, n_rounds: u64) -> f64 {
    if n_rounds == 1 { 1.0 } else { round as f64 / (n_rounds - 1) as f64 }
}

impl Seat {
    /// Takes note of what somebody did in the current turn.
    fn note(&mut self, who: usize, own: usize, what: Say) {
        match what {
            Say::Offer(outcome) => {
                self.offers.push(Offer { turn: self.turn, party: who, outcome });
                self.standing = Some((who, outcome));
                self.n_accepted = 0;
                if who == own {
                    self.party.has_offered(outcome);
                } else {
                    self.party.hear(who, outcome);
                }
            }
            Say::Accept => {
                self.n_accepted += 1;
                if self.n_accepted == self.n_parties - 1 {
                    self.end = Some(End::Agreement);
                }
            }
            Say::End => self.end = Some(End::Left),
        }
        self.turn += 1;
        if self.end.is_none() && self.turn >= self.n_rounds * self.n_parties as u64 {
            self.end = Some(End::Deadline);
        }
    }

    fn act_in_turn(&mut self, context: &mut Context<'_, Say>) {
        if self.end.is_some() || self.turn % self.n_parties as u64 != context.id() as u64 {
            return;
        }
        let time = time_of(self.turn / self.n_parties as u64, self.n_rounds);
        let own_next = self.party.offer(time, context.random());
        let say = match (self.standing, own_next) {
            (Some((_, offered)), own) if self.party.accepts(offered, own, time) => Say::Accept,
            (_, Some(own)) => Say::Offer(own),
            (_, None) => Say::End,
        };
        self.note(context.id(), context.id(), say);
        context.broadcast(&say);
    }
}

impl Agent for Seat {
    type Message = Say;

    fn on_start(&mut self, context: &mut Context<'_, Say>) {
        self.act_in_turn(context);
    }

    fn on_message(&mut self, from: usize, message: Say, context: &mut Context<'_, Say>) {
        self.note(from, context.id(), message);
        self.act_in_turn(context);
    }
}
