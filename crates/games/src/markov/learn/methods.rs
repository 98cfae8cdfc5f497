//! All learners of Markov games by name. [`METHODS`] is the list; [`MethodEntry::start`] makes a learner.

use super::{Concept, JointQ, MarkovLearner, Rates, Selection, WolfPhc};
use crate::Result;
use crate::markov::MarkovGame;

/// What a learner is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Rates.
    pub rates: Rates,
    /// First value of all tables of joint actions.
    pub initial: f64,
    /// Whether each of two players takes the other for a friend (friend-or-foe-Q). Unless given: foes where the game is
    /// zero-sum, friends where not.
    pub friends: Option<[bool; 2]>,
    /// Most that a policy moves where it is winning (WoLF-PHC).
    pub delta_win: f64,
    /// The same where it is losing.
    pub delta_lose: f64,
    /// Steps after which both have halved.
    pub delta_half_life: f64,
}

impl Default for Settings {
    /// [`Rates::default`], values of 0; Bowling and Veloso (2002) move four times as fast where losing.
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            initial: 0.0,
            friends: None,
            delta_win: 0.002,
            delta_lose: 0.008,
            delta_half_life: 20_000.0,
        }
    }
}

/// What a learner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Minimax,
    Nash,
    Correlated(Selection),
    Friend,
    FriendOrFoe,
    Wolf,
}

/// A learner by name.
#[derive(Debug, Clone, Copy)]
pub struct MethodEntry {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    kind: Kind,
}

/// All learners.
pub const METHODS: &[MethodEntry] = &[
    entry("minimax-q", Kind::Minimax, "each against an adversary, by its own table (Littman 1994)"),
    entry("nash-q", Kind::Nash, "a Nash equilibrium of both tables in each state (Hu and Wellman 2003)"),
    entry(
        "correlated-q",
        Kind::Correlated(Selection::Utilitarian),
        "the correlated equilibrium of greatest sum (Greenwald and Hall 2003)",
    ),
    entry(
        "correlated-q-egalitarian",
        Kind::Correlated(Selection::Egalitarian),
        "the correlated equilibrium best for who gets least",
    ),
    entry(
        "correlated-q-republican",
        Kind::Correlated(Selection::Republican),
        "the correlated equilibrium with the greatest payoff of one player",
    ),
    entry(
        "correlated-q-libertarian",
        Kind::Correlated(Selection::Libertarian),
        "each player the correlated equilibrium it likes best",
    ),
    entry("friend-q", Kind::Friend, "the joint action that one likes best (Littman 2001)"),
    entry("friend-or-foe-q", Kind::FriendOrFoe, "with friends the best joint action, against foes minimax"),
    entry(
        "wolf-phc",
        Kind::Wolf,
        "policies that move faster where they are losing (Bowling and Veloso 2002)",
    ),
];

const fn entry(name: &'static str, kind: Kind, summary: &'static str) -> MethodEntry {
    MethodEntry { name, summary, kind }
}

impl MethodEntry {
    /// A learner for a game.
    ///
    /// # Errors
    /// Settings out of range, or a game with too many players for it.
    pub fn start(&self, game: &MarkovGame, settings: &Settings) -> Result<Box<dyn MarkovLearner>> {
        let concept = match self.kind {
            Kind::Minimax => Concept::Minimax,
            Kind::Nash => Concept::Nash,
            Kind::Correlated(selection) => Concept::Correlated(selection),
            Kind::Friend => Concept::Friend,
            Kind::FriendOrFoe => Concept::FriendOrFoe(settings.friends.unwrap_or([!game.is_zero_sum(); 2])),
            Kind::Wolf => {
                let Settings { rates, delta_win, delta_lose, delta_half_life, .. } = *settings;
                let learner = WolfPhc::new(game, rates, delta_win, delta_lose, delta_half_life)?;
                return Ok(Box::new(learner));
            }
        };
        Ok(Box::new(JointQ::new(game, concept, settings.rates, settings.initial)?))
    }
}
