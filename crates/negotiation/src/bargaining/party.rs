//! Parties of a negotiation: how they bid, what they believe about each other, when they accept. A party knows its
//! own utilities and what was offered, nothing of the others' profiles.
//!
//! - Aspiration: demands fall from the best outcome to the reservation as `1 - (1 - u_min) t^(1/e)`; `e` below 1 holds out
//!   (boulware), above 1 gives way (conceder).
//! - Tit for tat: concedes as much as the others have, measured in its own utility.
//! - MiCRO (de Jonge 2022): offers its outcomes from the best down, one new one for each new one that it was offered,
//!   and otherwise repeats an old one.
//! - Opponent modeling: an aspiration that offers, among outcomes good enough for itself, what the others are likely to
//!   like best, by the frequency of values in their offers.
//! - Random: any outcome above the reservation.

use coact_core::Stream;
use coact_core::math::pow_f64;

use super::scenario::Space;
use crate::{Error, Result};

/// How a party bids.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bidding {
    /// Demands that fall with time; the exponent.
    Aspiration(f64),
    /// An aspiration that seeks what the others like; the exponent.
    Modeling(f64),
    /// As much as the others concede.
    TitForTat,
    /// One new offer for each new one received.
    Micro,
    /// Anything above the reservation.
    Random,
}

/// When a party accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Acceptance {
    /// What is at least as good as its own next offer (AC_next).
    Next,
    /// What has at least this utility (AC_const).
    Const(f64),
    /// As `Next`; from this share of the time on also the best offer so far (AC_combi).
    Combi(f64),
}

/// A whole strategy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strategy {
    /// How it bids.
    pub bidding: Bidding,
    /// When it accepts.
    pub acceptance: Acceptance,
}

/// Strategies by name.
pub const STRATEGIES: [(&str, Strategy); 8] = [
    ("boulware", next(Bidding::Aspiration(0.2))),
    ("linear", next(Bidding::Aspiration(1.0))),
    ("conceder", next(Bidding::Aspiration(5.0))),
    ("tit-for-tat", Strategy { bidding: Bidding::TitForTat, acceptance: Acceptance::Combi(0.98) }),
    ("modeling", next(Bidding::Modeling(0.5))),
    ("micro", next(Bidding::Micro)),
    ("patient-combi", Strategy { bidding: Bidding::Aspiration(0.1), acceptance: Acceptance::Combi(0.9) }),
    ("random", Strategy { bidding: Bidding::Random, acceptance: Acceptance::Const(0.8) }),
];

const fn next(bidding: Bidding) -> Strategy {
    Strategy { bidding, acceptance: Acceptance::Next }
}

impl Strategy {
    /// The strategy of a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] that lists the names.
    pub fn parse(name: &str) -> Result<Self> {
        let names = STRATEGIES.map(|entry| entry.0);
        STRATEGIES.iter().find(|entry| entry.0 == name).map(|entry| entry.1).ok_or_else(|| {
            let hint = coact_core::nearest::hint(name, names);
            Error::invalid(format!("no strategy `{name}`: use one of {}{hint}", names.join(", ")))
        })
    }
}

/// What a party knows and has done.
#[derive(Debug)]
pub(super) struct Party {
    strategy: Strategy,
    pub utilities: Vec<f64>,
    /// Outcomes above the reservation, from the best down.
    ranked: Vec<usize>,
    least: f64,
    sizes: Vec<usize>,
    /// Opinions on the others, by party; nothing about itself.
    opinions: Vec<Opinion>,
    /// How many of `ranked` it has offered (MiCRO).
    n_offered: usize,
    best_received: f64,
}

/// What one party's offers show.
#[derive(Debug, Clone)]
struct Opinion {
    first: Option<usize>,
    last: Option<usize>,
    seen: std::collections::BTreeSet<usize>,
    /// How often each value of each issue was offered.
    counts: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Party {
    pub fn new(strategy: Strategy, space: &Space, own: usize) -> Self {
        let utilities = space.utilities[own].clone();
        let reservation = space.reservations[own];
        let mut ranked: Vec<usize> = (0..utilities.len()).filter(|&o| utilities[o] >= reservation).collect();
        ranked.sort_by(|&a, &b| utilities[b].total_cmp(&utilities[a]).then(a.cmp(&b)));
        let opinion = Opinion {
            first: None,
            last: None,
            seen: std::collections::BTreeSet::new(),
            counts: space.sizes.iter().map(|&n| vec![0.0; n]).collect(),
            weights: vec![1.0 / space.sizes.len().max(1) as f64; space.sizes.len()],
        };
        Self {
            strategy,
            least: ranked.last().map_or(reservation, |&o| utilities[o]),
            utilities,
            ranked,
            sizes: space.sizes.clone(),
            opinions: vec![opinion; space.utilities.len()],
            n_offered: 0,
            best_received: f64::NEG_INFINITY,
        }
    }

    /// Takes note of somebody's offer.
    pub fn hear(&mut self, from: usize, outcome: usize) {
        self.best_received = self.best_received.max(self.utilities[outcome]);
        let values = values(outcome, &self.sizes);
        self.opinions[from].hear(outcome, &values, &self.sizes);
    }

    /// Its next offer at a share of the time from 0 to 1; `None` where no outcome is worth it.
    pub fn offer(&self, time: f64, stream: &mut Stream) -> Option<usize> {
        let best = *self.ranked.first()?;
        let most = self.utilities[best];
        match self.strategy.bidding {
            Bidding::Aspiration(e) => Some(self.at_least(aspiration(most, self.least, time, e))),
            Bidding::Modeling(e) => Some(self.liked(aspiration(most, self.least, time, e))),
            Bidding::TitForTat => {
                let conceded = |o: &Opinion| Some(self.utilities[o.last?] - self.utilities[o.first?]);
                let least = self.opinions.iter().filter_map(conceded).reduce(f64::min).unwrap_or(0.0);
                Some(self.at_least((most - least.max(0.0)).max(self.least)))
            }
            Bidding::Micro => {
                if self.owes_new() {
                    return Some(self.ranked[self.n_offered]);
                }
                Some(self.ranked[stream.below(self.n_offered.max(1) as u32) as usize])
            }
            Bidding::Random => Some(self.ranked[stream.below(self.ranked.len() as u32) as usize]),
        }
    }

    /// Takes note of an offer of its own.
    pub fn has_offered(&mut self, outcome: usize) {
        if self.ranked.get(self.n_offered) == Some(&outcome) {
            self.n_offered += 1;
        }
    }

    /// Whether it takes an offer, given its own next one.
    pub fn accepts(&self, offered: usize, own_next: Option<usize>, time: f64) -> bool {
        let utility = self.utilities[offered];
        if self.ranked.is_empty() || utility < self.least {
            return false;
        }
        let as_good = match (self.strategy.bidding, own_next) {
            // MiCRO takes what is as good as the least that it has offered or would offer now.
            (Bidding::Micro, Some(_)) => {
                let reach = if self.owes_new() { self.n_offered } else { self.n_offered.saturating_sub(1) };
                utility >= self.utilities[self.ranked[reach]]
            }
            (_, own) => own.is_none_or(|own| utility >= self.utilities[own]),
        };
        match self.strategy.acceptance {
            Acceptance::Next => as_good,
            Acceptance::Const(least) => utility >= least,
            Acceptance::Combi(from) => as_good || (time >= from && utility >= self.best_received),
        }
    }

    /// Whether it has offered no more new outcomes than it was offered by each of the others.
    fn owes_new(&self) -> bool {
        let heard = self.opinions.iter().filter(|o| o.first.is_some());
        let n_received = heard.map(|o| o.seen.len()).min().unwrap_or(0);
        self.n_offered <= n_received && self.n_offered < self.ranked.len()
    }

    /// The last outcome of the ranking that is worth at least `target`.
    fn at_least(&self, target: f64) -> usize {
        let n = self.n_at_least(target);
        self.ranked[n.max(1) - 1]
    }

    fn n_at_least(&self, target: f64) -> usize {
        // The target may come out of a sum a rounding above what it was meant to equal.
        self.ranked.partition_point(|&o| self.utilities[o] >= target - 1e-12)
    }

    /// Among outcomes worth at least `target` the one that the others seem to like best; the better one for itself on
    /// equal terms.
    fn liked(&self, target: f64) -> usize {
        let candidates = &self.ranked[..self.n_at_least(target).max(1)];
        let liking = |outcome: usize| {
            let values = values(outcome, &self.sizes);
            self.opinions.iter().filter(|o| o.first.is_some()).map(|o| o.liking(&values)).product::<f64>()
        };
        let mut best = (candidates[0], liking(candidates[0]));
        for &outcome in &candidates[1..] {
            let liking = liking(outcome);
            if liking > best.1 {
                best = (outcome, liking);
            }
        }
        best.0
    }
}

fn aspiration(most: f64, least: f64, time: f64, exponent: f64) -> f64 {
    most - (most - least) * pow_f64(time.clamp(0.0, 1.0), 1.0 / exponent)
}

/// The value of each issue in an outcome.
fn values(outcome: usize, sizes: &[usize]) -> Vec<usize> {
    let mut rest = outcome;
    let mut values: Vec<usize> = sizes
        .iter()
        .rev()
        .map(|size| {
            let value = rest % size;
            rest /= size;
            value
        })
        .collect();
    values.reverse();
    values
}

/// How much the weight of an issue grows when its value stays the same from one offer to the next.
const WEIGHT_STEP: f64 = 0.1;

impl Opinion {
    fn hear(&mut self, outcome: usize, values: &[usize], sizes: &[usize]) {
        if let Some(last) = self.last {
            let before = self::values(last, sizes);
            for ((weight, now), before) in self.weights.iter_mut().zip(values).zip(&before) {
                if now == before {
                    *weight += WEIGHT_STEP;
                }
            }
            let sum: f64 = self.weights.iter().sum();
            self.weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        self.counts.iter_mut().zip(values).for_each(|(counts, &value)| counts[value] += 1.0);
        self.first.get_or_insert(outcome);
        self.last = Some(outcome);
        self.seen.insert(outcome);
    }

    /// A guess at this party's utility: values offered often count for more.
    fn liking(&self, values: &[usize]) -> f64 {
        let parts = self.weights.iter().zip(&self.counts).zip(values).map(|((weight, counts), &value)| {
            let most = counts.iter().copied().fold(0.0, f64::max);
            weight * if most > 0.0 { counts[value] / most } else { 0.0 }
        });
        parts.sum()
    }
}
