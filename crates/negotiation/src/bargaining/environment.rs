//! A negotiation as an environment for learners: alternating offers between parties that learn, or that follow a
//! strategy, and what a learner could get at best from a strategy that is known.
//!
//! # Rules
//! The protocol of [`super::negotiate`]: parties take turns; the one whose turn it is accepts the standing offer (action 1) or
//! offers an outcome (action `2 + outcome`); an offer that all others accept in a row is the agreement. Whose turn it is
//! not waits (action 0, then its only legal one). Turns of parties with a strategy pass between two steps.
//!
//! # Parameters
//! A [`Scenario`], the number of rounds (turns of everybody) until the deadline, and who learns: for each party nothing, or
//! a strategy that decides by time and chance alone (`boulware`, `linear`, `conceder`, `random`).
//!
//! # Observation
//! `party` (one-hot), `turn` (whether it is one's own), `time` (share of all turns), `standing` (whether there is an offer to
//! accept), `accepted` (share of the others that have accepted it), own utilities, scaled to 0 for the worst outcome and 1 for the best
//! (`offered`: of the standing offer; `best_received`; `last_own`: 0 before there is one), `reservation`, `discount`; then for each value of
//! each issue `on_table` (whether the last offer has it) and `worth` (what it adds to the own scaled utility). State: whose
//! turn it is, `time`, `standing`, `accepted`, `on_table`, and `best_received` and `last_own` of all parties.
//!
//! # Rewards and ends
//! Each learner is paid its utility of the agreement, discounted as [`super::Negotiation::utilities`] says, when it is reached; that of no
//! agreement at the deadline. Both terminate: the deadline is part of the negotiation.
//!
//! # Returns
//! Of a random policy: in the list of environments, for its default scenario.
//!
//! # Origin
//! The stacked alternating-offers protocol (Aydogan, Festen, Hindriks and Jonker 2017).

use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::math::pow_f64;
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error as CoreError, GroupSpec, MultiAgentEnv, ObsField, Purpose,
    RewardKind, Stream,
};

use super::party::{Acceptance, Bidding, Party, Strategy};
use super::protocol::{End, time_of};
use super::scenario::{Scenario, Space};
use crate::{Error, Result};

/// Most outcomes of an environment: each is an action.
const MAX_OUTCOMES: usize = 4096;
/// Most parties and rounds.
const MAX_PARTIES: usize = 16;
const MAX_ROUNDS: u32 = 10_000;

const WAIT: u32 = 0;
const ACCEPT: u32 = 1;
/// Actions before the first offer.
const N_BEFORE: usize = 2;

/// Parties at a table.
#[derive(Debug, Clone)]
pub struct BargainingEnv {
    spec: EnvSpec,
    table: Arc<Table>,
    /// Turns taken.
    turn: u32,
    /// Who offered what last.
    standing: Option<(usize, usize)>,
    n_accepted: usize,
    end: Option<End>,
    /// Best scaled utility that each party was offered, and that of its own last offer.
    best_received: Vec<f32>,
    last_own: Vec<f32>,
}

/// What stays the same in all episodes.
#[derive(Debug)]
struct Table {
    scenario: Scenario,
    space: Space,
    n_rounds: u32,
    /// Strategies of the parties that have one.
    seats: Vec<Option<Party>>,
    /// Parties that learn.
    learners: Vec<usize>,
    /// Least and greatest utility of each party.
    ranges: Vec<(f64, f64)>,
    /// Values of each outcome, counted over all issues, `[outcome][issue]`.
    values: Vec<usize>,
    /// What each value adds to the scaled utility of each party, `[party][value]`.
    worth: Vec<f32>,
}

impl BargainingEnv {
    /// An environment of a scenario; `seats` holds a strategy for each party that does not learn.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two parties or too many, no rounds or too many, seats that do not fit, nobody who learns,
    /// strategies that remember; [`Error::TooMany`] for more outcomes than actions are good for.
    pub fn new(scenario: &Scenario, n_rounds: u32, seats: &[Option<Strategy>]) -> Result<Self> {
        let n = scenario.profiles.len();
        if !(2..=MAX_PARTIES).contains(&n) {
            return Err(Error::invalid(format!("{n} parties at the table: expected 2 to {MAX_PARTIES}")));
        }
        if !(1..=MAX_ROUNDS).contains(&n_rounds) {
            return Err(Error::invalid(format!("{n_rounds} rounds: expected 1 to {MAX_ROUNDS}")));
        }
        if seats.len() != n {
            return Err(Error::invalid(format!("{} seats for {n} parties: give one for each", seats.len())));
        }
        let learners: Vec<usize> = (0..n).filter(|&party| seats[party].is_none()).collect();
        if learners.is_empty() {
            return Err(Error::invalid("every party has a strategy: leave one to learn"));
        }
        if seats.iter().flatten().any(|strategy| !is_memoryless(strategy)) {
            let text = "a strategy here must not depend on offers: use boulware, linear, conceder or random";
            return Err(Error::invalid(text));
        }
        let space = scenario.space()?;
        if space.n_outcomes() > MAX_OUTCOMES {
            return Err(Error::TooMany {
                what: format!("the negotiation `{}`", scenario.name),
                size: space.n_outcomes() as u64,
                limit: MAX_OUTCOMES as u64,
                advice: "every outcome is an action; use fewer issues or values",
            });
        }
        let table = Table::new(scenario, space, n_rounds, seats, learners);
        let mut env = Self {
            spec: spec(&table),
            table: Arc::new(table),
            turn: 0,
            standing: None,
            n_accepted: 0,
            end: None,
            best_received: vec![0.0; n],
            last_own: vec![0.0; n],
        };
        env.begin(&mut Stream::new(0, Purpose::Reset, 0, 0));
        Ok(env)
    }

    /// What was agreed on in an episode that is over.
    pub fn agreement(&self) -> Option<usize> {
        self.standing.filter(|_| self.end == Some(End::Agreement)).map(|(_, outcome)| outcome)
    }

    fn n_parties(&self) -> usize {
        self.table.seats.len()
    }

    fn n_turns(&self) -> u32 {
        self.table.n_rounds * self.n_parties() as u32
    }

    fn whose_turn(&self) -> usize {
        self.turn as usize % self.n_parties()
    }

    fn begin(&mut self, rng: &mut Stream) {
        (self.turn, self.standing, self.n_accepted, self.end) = (0, None, 0, None);
        self.best_received.fill(0.0);
        self.last_own.fill(0.0);
        self.pass_seats(rng);
    }

    /// Takes the turns of parties with strategies, until a learner's.
    fn pass_seats(&mut self, rng: &mut Stream) {
        let table = self.table.clone();
        while self.end.is_none() {
            let who = self.whose_turn();
            let Some(party) = &table.seats[who] else { return };
            let time = time_of(u64::from(self.turn) / table.seats.len() as u64, u64::from(table.n_rounds));
            let next = party.offer(time, rng);
            match (self.standing, next) {
                (Some((_, offered)), next) if party.accepts(offered, next, time) => self.accept(),
                (_, Some(outcome)) => self.offer(who, outcome),
                (_, None) => {
                    self.turn += 1;
                    self.end = Some(End::Left);
                }
            }
        }
    }

    fn accept(&mut self) {
        self.n_accepted += 1;
        if self.n_accepted + 1 == self.n_parties() {
            self.end = Some(End::Agreement);
        }
        self.pass_turn();
    }

    fn offer(&mut self, who: usize, outcome: usize) {
        self.standing = Some((who, outcome));
        self.n_accepted = 0;
        let table = &self.table;
        for (party, best) in self.best_received.iter_mut().enumerate() {
            let utility = table.scaled(party, table.space.utilities[party][outcome]);
            if party == who {
                self.last_own[party] = utility;
            } else {
                *best = best.max(utility);
            }
        }
        self.pass_turn();
    }

    fn pass_turn(&mut self) {
        self.turn += 1;
        if self.end.is_none() && self.turn >= self.n_turns() {
            self.end = Some(End::Deadline);
        }
    }

    /// What a party has of an episode that is over.
    fn utility(&self, party: usize) -> f64 {
        let space = &self.table.space;
        let raw = self.agreement().map_or(space.reservations[party], |o| space.utilities[party][o]);
        let round = u64::from(self.turn.max(1) - 1) / self.n_parties() as u64;
        let time = time_of(round, u64::from(self.table.n_rounds));
        raw * pow_f64(self.table.scenario.profiles[party].discount, time)
    }

    /// The offer that a party could accept.
    fn acceptable(&self, party: usize) -> Option<usize> {
        self.standing.filter(|&(by, _)| by != party && self.end.is_none()).map(|(_, outcome)| outcome)
    }

    fn write_table(&self, out: &mut [f32]) {
        out.fill(0.0);
        if let Some((_, outcome)) = self.standing {
            let n = self.table.space.sizes.len();
            self.table.values[outcome * n..(outcome + 1) * n].iter().for_each(|&value| out[value] = 1.0);
        }
    }

    fn share_accepted(&self) -> f32 {
        self.n_accepted as f32 / (self.n_parties() - 1) as f32
    }

    fn time(&self) -> f32 {
        self.turn as f32 / self.n_turns() as f32
    }
}

/// Whether a strategy looks at nothing but time, chance and the offer on the table.
fn is_memoryless(strategy: &Strategy) -> bool {
    matches!(strategy.bidding, Bidding::Aspiration(_) | Bidding::Random)
        && matches!(strategy.acceptance, Acceptance::Next | Acceptance::Const(_))
}

impl Table {
    fn new(
        scenario: &Scenario,
        space: Space,
        n_rounds: u32,
        seats: &[Option<Strategy>],
        learners: Vec<usize>,
    ) -> Self {
        let seats =
            seats.iter().enumerate().map(|(own, strategy)| strategy.map(|s| Party::new(s, &space, own)));
        let range = |own: &Vec<f64>| {
            let fold = |f: fn(f64, f64) -> f64, from: f64| own.iter().copied().fold(from, f);
            (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
        };
        let ranges: Vec<(f64, f64)> = space.utilities.iter().map(range).collect();
        let mut values = Vec::with_capacity(space.n_outcomes() * space.sizes.len());
        for outcome in 0..space.n_outcomes() {
            let (mut rest, mut after) = (outcome, space.n_outcomes());
            let mut first = 0;
            for &size in &space.sizes {
                after /= size;
                values.push(first + rest / after);
                rest %= after;
                first += size;
            }
        }
        let mut worth = Vec::new();
        for (profile, (low, high)) in scenario.profiles.iter().zip(&ranges) {
            for issue in &profile.worth {
                let least = issue.iter().copied().fold(f64::INFINITY, f64::min);
                worth.extend(issue.iter().map(|own| ratio(own - least, high - low)));
            }
        }
        let seats = seats.collect();
        Self { scenario: scenario.clone(), n_rounds, seats, learners, ranges, values, worth, space }
    }

    fn n_values(&self) -> usize {
        self.space.sizes.iter().sum()
    }

    /// A utility as a share of the way from a party's worst outcome to its best.
    fn scaled(&self, party: usize, utility: f64) -> f32 {
        let (low, high) = self.ranges[party];
        ratio(utility - low, high - low)
    }
}

fn ratio(part: f64, whole: f64) -> f32 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) as f32 } else { 0.0 }
}

fn spec(table: &Table) -> EnvSpec {
    let (n, n_values) = (table.seats.len(), table.n_values());
    let share = |name: &str, width: usize| ObsField::new(name, width, 0.0, 1.0);
    let mut obs = vec![share("party", n)];
    let own = [
        "turn",
        "time",
        "standing",
        "accepted",
        "offered",
        "best_received",
        "last_own",
        "reservation",
        "discount",
    ];
    obs.extend(own.map(|name| share(name, 1)));
    obs.extend([share("on_table", n_values), share("worth", n_values)]);
    let group = GroupSpec {
        name: "party".into(),
        n_agents: table.learners.len(),
        obs,
        action: ActionSpace::Discrete { n: N_BEFORE + table.space.n_outcomes() },
        masked: true,
    };
    EnvSpec {
        name: "bargaining".into(),
        version: 1,
        groups: vec![group],
        state_width: 3 * n + 3 + n_values,
        episode_limit: None,
        reward: RewardKind::PerAgent,
    }
}

impl MultiAgentEnv for BargainingEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.begin(rng);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> coact_core::Result<bool> {
        let who = self.whose_turn();
        let n_actions = N_BEFORE + self.table.space.n_outcomes();
        for (agent, &action) in actions.discrete.iter().enumerate() {
            if action as usize >= n_actions {
                return Err(CoreError::BadAction { env: 0, agent, action, n_actions });
            }
            let party = self.table.learners[agent];
            let is_legal = match (party == who, action) {
                (false, action) => action == WAIT,
                (true, ACCEPT) => self.acceptable(party).is_some(),
                (true, action) => action != WAIT,
            };
            if !is_legal {
                let text = format!("action {action} of agent {agent} is illegal now; choose by its mask");
                return Err(CoreError::invalid(text));
            }
        }
        let own = self.table.learners.iter().position(|&party| party == who);
        match own.and_then(|agent| actions.discrete.get(agent)) {
            Some(&ACCEPT) => self.accept(),
            Some(&action) => self.offer(who, action as usize - N_BEFORE),
            None => return Err(CoreError::invalid("nobody's turn: reset the environment first")),
        }
        self.pass_seats(rng);
        let is_over = self.end.is_some();
        terminated.fill(is_over);
        for (agent, reward) in reward.iter_mut().enumerate() {
            *reward = if is_over { self.utility(self.table.learners[agent]) as f32 } else { 0.0 };
        }
        Ok(false)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        let table = &self.table;
        let (n, party) = (self.n_parties(), table.learners[agent]);
        let flag = |holds: bool| f32::from(u8::from(holds));
        let (seats, rest) = obs.split_at_mut(n);
        seats.fill(0.0);
        seats[party] = 1.0;
        let (own, rest) = rest.split_at_mut(9);
        let offered = self.acceptable(party);
        own.copy_from_slice(&[
            flag(self.end.is_none() && self.whose_turn() == party),
            self.time(),
            flag(offered.is_some()),
            self.share_accepted(),
            offered.map_or(0.0, |outcome| table.scaled(party, table.space.utilities[party][outcome])),
            self.best_received[party],
            self.last_own[party],
            table.scaled(party, table.space.reservations[party]),
            table.scenario.profiles[party].discount as f32,
        ]);
        let (on_table, worth) = rest.split_at_mut(table.n_values());
        self.write_table(on_table);
        worth.copy_from_slice(&table.worth[party * table.n_values()..(party + 1) * table.n_values()]);
    }

    fn state(&self, state: &mut [f32]) {
        let n = self.n_parties();
        let (turns, rest) = state.split_at_mut(n);
        turns.fill(0.0);
        if self.end.is_none() {
            turns[self.whose_turn()] = 1.0;
        }
        let (own, rest) = rest.split_at_mut(3);
        let standing = f32::from(u8::from(self.standing.is_some()));
        own.copy_from_slice(&[self.time(), standing, self.share_accepted()]);
        let (on_table, rest) = rest.split_at_mut(self.table.n_values());
        self.write_table(on_table);
        rest[..n].copy_from_slice(&self.best_received);
        rest[n..].copy_from_slice(&self.last_own);
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        let party = self.table.learners[agent];
        mask.fill(0);
        if self.end.is_some() || self.whose_turn() != party {
            mask[0] = 1 << WAIT;
            return;
        }
        // Bits beyond the last action are cleared by whoever reads masks in batches; here as well.
        let n_actions = N_BEFORE + self.table.space.n_outcomes();
        mask.fill(u32::MAX);
        if !n_actions.is_multiple_of(32)
            && let Some(last) = mask.last_mut()
        {
            *last = (1 << (n_actions % 32)) - 1;
        }
        mask[0] &= !(1 << WAIT);
        if self.acceptable(party).is_none() {
            mask[0] &= !(1 << ACCEPT);
        }
    }

    fn alive(&self, _agent: usize) -> bool {
        self.end.is_none()
    }

    fn scene(&self) -> Scene {
        scene(self)
    }

    fn save(&self, out: &mut Writer) {
        out.u32(self.turn);
        out.u32(self.n_accepted as u32);
        let (by, outcome) = self.standing.map_or((u32::MAX, 0), |(by, o)| (by as u32, o as u32));
        out.u32(by);
        out.u32(outcome);
        out.u32(self.end.map_or(0, |end| end as u32 + 1));
        out.f32s(&self.best_received);
        out.f32s(&self.last_own);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        let (turn, n_accepted) = (from.u32()?, from.u32()? as usize);
        let (by, outcome, end) = (from.u32()?, from.u32()? as usize, from.u32()?);
        from.f32s(&mut self.best_received)?;
        from.f32s(&mut self.last_own)?;
        let standing = (by != u32::MAX).then_some((by as usize, outcome));
        let end = match end {
            0 => None,
            1 => Some(End::Agreement),
            2 => Some(End::Deadline),
            3 => Some(End::Left),
            _ => return Err(from.error("an end that there is not")),
        };
        (self.turn, self.n_accepted, self.standing, self.end) = (0, 0, None, None);
        let n = self.n_parties();
        let is_share = |x: &f32| (0.0..=1.0).contains(x);
        let is_there = standing.is_none_or(|(by, outcome)| by < n && outcome < self.table.space.n_outcomes());
        let agrees = end == Some(End::Agreement);
        let is_sound = is_there
            && turn <= self.n_turns()
            && (end.is_some() || turn < self.n_turns())
            && (n_accepted == 0 || standing.is_some())
            && if agrees { n_accepted + 1 == n } else { n_accepted + 1 < n }
            && self.best_received.iter().chain(&self.last_own).all(is_share);
        // Between two steps it is a learner's turn.
        let is_learners = end.is_some() || self.table.seats[turn as usize % n].is_none();
        if !is_sound || !is_learners {
            return Err(from.error("a moment that no negotiation comes to"));
        }
        (self.turn, self.n_accepted, self.standing, self.end) = (turn, n_accepted, standing, end);
        Ok(())
    }
}

/// The most that `learner` can have, discounts included, in a negotiation of two with a party that follows a strategy of time
/// alone: such a party can be foreseen. `None` for other negotiations.
///
/// # Errors
/// [`Error::TooMany`] for more outcomes than can be listed.
pub fn best_reply(
    scenario: &Scenario,
    n_rounds: u32,
    learner: usize,
    strategy: Strategy,
) -> Result<Option<f64>> {
    let is_foreseen =
        matches!(strategy.bidding, Bidding::Aspiration(_)) && is_memoryless(&strategy) && learner < 2;
    if scenario.profiles.len() != 2 || !is_foreseen || n_rounds == 0 {
        return Ok(None);
    }
    let space = scenario.space()?;
    let other = Party::new(strategy, &space, 1 - learner);
    let own = &space.utilities[learner];
    // Time alone decides; the stream is never drawn from.
    let mut rng = Stream::new(0, Purpose::Step, 0, 0);
    let mut next = |turn: u32| {
        let time = time_of(u64::from(turn / 2), u64::from(n_rounds));
        (time, other.offer(time, &mut rng))
    };
    let discount = scenario.profiles[learner].discount;
    let worth = |utility: f64, turn: u32| {
        utility * pow_f64(discount, time_of(u64::from(turn / 2), u64::from(n_rounds)))
    };
    let n_turns = 2 * n_rounds;
    let mut best = f64::NEG_INFINITY;
    let mut standing = None;
    for turn in 0..n_turns {
        if turn as usize % 2 != learner {
            let (_, offer) = next(turn);
            let Some(outcome) = offer else {
                return Ok(Some(best.max(worth(space.reservations[learner], turn))));
            };
            standing = Some(outcome);
            continue;
        }
        if let Some(offered) = standing {
            best = best.max(worth(own[offered], turn));
        }
        if turn + 1 < n_turns {
            let (time, offer) = next(turn + 1);
            let takes = |&outcome: &usize| other.accepts(outcome, offer, time);
            let taken = (0..own.len()).filter(takes).map(|outcome| own[outcome]);
            best = taken.map(|utility| worth(utility, turn + 1)).fold(best, f64::max);
            if (0..own.len()).all(|outcome| takes(&outcome)) {
                return Ok(Some(best));
            }
        }
    }
    Ok(Some(best.max(worth(space.reservations[learner], n_turns - 1))))
}

/// Bars of what the offer on the table is worth to each party, and lines at what they have without an agreement.
fn scene(env: &BargainingEnv) -> Scene {
    let table = &env.table;
    let colors = [Color(0, 114, 178), Color(213, 94, 0), Color(0, 158, 115), Color(204, 121, 167)];
    let (ink, pale) = (Color(20, 20, 20), Color(236, 240, 244));
    let mut shapes = Vec::new();
    for (party, profile) in table.scenario.profiles.iter().enumerate() {
        let x = 1.4 * party as f32;
        shapes.push(Shape::Rect { x, y: 0.0, width: 1.0, height: 1.0, color: pale });
        if let Some((_, outcome)) = env.standing {
            let height = table.scaled(party, table.space.utilities[party][outcome]);
            shapes.push(Shape::Rect { x, y: 0.0, width: 1.0, height, color: colors[party % colors.len()] });
        }
        let y = table.scaled(party, table.space.reservations[party]);
        shapes.push(Shape::Line { from: (x, y), to: (x + 1.0, y), width: 0.015, color: ink });
        let name: String =
            profile.name.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
        let mark = if env.standing.is_some_and(|(by, _)| by == party) { "offers: " } else { "" };
        let text = format!("{mark}{name}");
        shapes.push(Shape::Text { x, y: -0.16, size: 0.08, color: ink, text });
    }
    let state = match env.end {
        None => "",
        Some(End::Agreement) => ", agreed",
        Some(End::Deadline) => ", no agreement",
        Some(End::Left) => ", left",
    };
    let width = 1.4 * table.seats.len() as f32;
    Scene {
        bounds: (-0.2, width, -0.3, 1.15),
        background: Color(255, 255, 255),
        shapes,
        caption: format!("bargaining, turn {} of {}{state}", env.turn, env.n_turns()),
    }
}

#[cfg(test)]
mod tests;
