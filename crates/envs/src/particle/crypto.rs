//! `simple_crypto`: Alice tells Bob a color with a shared key, Eve listens.
//!
//! # Rules
//! One of two landmarks has the goal color, one (the same or the other) the key color; colors are one-hots of four.
//! Everybody says one of four words each step and nobody moves. Bob and Eve hear what Alice says in the next step.
//!
//! # Parameters
//! `max_cycles` (25), `continuous` (false; then a word is four raw numbers in 0..=1).
//!
//! # Observation
//! `eve` (4): Alice's word. `bob` (8): key color, Alice's word. `alice` (8): goal color, key color.
//!
//! # Rewards and ends
//! Alice and Bob: the squared distance of Eve's word to the goal color minus that of Bob's; Eve: minus the squared
//! distance of hers. A word of zeros counts 0. Truncated after 25 steps.
//!
//! # Returns
//! Random policy -37.5 summed; scripts 23: with a key Eve is right half the time (-25), Bob from the second step on (24, as
//! Alice). The best return of one side depends on the other.
//!
//! # Origin
//! mpe2 1.1.1 `simple_crypto_v3`.

use std::ops::Range;

use coact_core::scene::Color;
use coact_core::{ObsField, Result, Stream};
use serde::{Deserialize, Serialize};

use super::world::{Body, World};
use super::{Group, Particle, Row, Scenario, draw_one_hot};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_crypto`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CryptoOptions {
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether words are raw numbers instead of one of four.
    pub continuous: bool,
}

impl Default for CryptoOptions {
    /// The values of `simple_crypto_v3`.
    fn default() -> Self {
        Self { max_cycles: 25, continuous: false }
    }
}

/// `simple_crypto` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_crypto",
    summary: "Alice tells Bob a color with a shared key while Eve listens",
    origin: "mpe2 1.1.1 simple_crypto_v3",
    options: &[super::MAX_CYCLES, super::CONTINUOUS],
    random_return: -37.5,
    best_known: None,
    batch: |options, n| rules::copies(Crypto::new(&parse("simple_crypto", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Crypto::new(&parse("simple_crypto", options)?)?))),
};

/// The scenario. Extra variables: goal and key as one-hots of 2, the words of Eve, Bob and Alice (4 each).
#[derive(Debug, Clone)]
pub struct Crypto;

const WORDS: usize = 4;
const EVE: usize = 0;
const BOB: usize = 1;
const ALICE: usize = 2;

impl Crypto {
    /// Checks the options.
    ///
    /// # Errors
    /// No steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &CryptoOptions) -> Result<Particle<Self>> {
        let agent = Body { movable: false, ..Body::agent(0.05, false) };
        let world = World::new(vec![agent; 3], vec![Body::landmark(0.05, false); 2]);
        let four = |name: &str| ObsField::new(name, WORDS, 0.0, 1.0);
        let group = |name, obs| Group { name, n_agents: 1, obs, n_actions: WORDS };
        let groups = vec![
            group("eve", vec![four("word")]),
            group("bob", vec![four("key"), four("word")]),
            group("alice", vec![four("goal_color"), four("key")]),
        ];
        Particle::assemble(Self, world, groups, options.continuous, options.max_cycles)
    }
}

/// The color of the landmark that a one-hot of 2 marks.
#[inline(always)]
fn color_of<R: Real>(chosen: &[R]) -> [R; WORDS] {
    [chosen[0], chosen[1], R::of(0.0), R::of(0.0)]
}

impl Scenario for Crypto {
    const NAME: &'static str = "simple_crypto";

    fn n_extra(&self) -> usize {
        4 + 3 * WORDS
    }

    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        draw_one_hot(rng, &mut extra[..2]);
        draw_one_hot(rng, &mut extra[2..4]);
        extra[4..].fill(0.0);
    }

    fn word(&self, agent: usize) -> Range<usize> {
        4 + agent * WORDS..4 + (agent + 1) * WORDS
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let extra = &vars[world.n_vars()..];
        let goal = color_of(&extra[..2]);
        let missed = |agent: usize| {
            let (mut sum, mut said) = (R::of(0.0), R::of(0.0));
            for (word, goal) in extra[self.word(agent)].iter().zip(goal) {
                sum = sum + (*word - goal) * (*word - goal);
                said = said + word.abs();
            }
            R::select(R::of(0.0).less(said), sum, R::of(0.0))
        };
        let (eve, bob) = (missed(EVE), missed(BOB));
        reward.fill(eve - bob);
        reward[EVE] = -eve;
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let extra = &vars[world.n_vars()..];
        let mut row = Row::new(obs);
        if agent == ALICE {
            row.push(color_of(&extra[..2]));
        }
        if agent != EVE {
            row.push(color_of(&extra[2..4]));
        }
        if agent != ALICE {
            row.extend(&extra[self.word(ALICE)]);
        }
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(204, 40, 40), "eve"),
            (Color(52, 101, 164), "bob"),
            (Color(78, 154, 6), "alice"),
            (Color(193, 125, 17), "goal"),
            (Color(196, 160, 0), "key"),
            (Color(117, 80, 123), "goal and key"),
            (Color(170, 170, 170), "neither"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        [Color(204, 40, 40), Color(52, 101, 164), Color(78, 154, 6)][agent % 3]
    }

    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        match (extra[landmark] > 0.5, extra[2 + landmark] > 0.5) {
            (true, true) => Color(117, 80, 123),
            (true, false) => Color(193, 125, 17),
            (false, true) => Color(196, 160, 0),
            (false, false) => Color(170, 170, 170),
        }
    }
}
