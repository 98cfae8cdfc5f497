//! `simple_speaker_listener`: one agent knows the goal and cannot move, the other moves and must understand.
//!
//! # Rules
//! Three landmarks, one of them the goal. The speaker says one of three words each step; the listener hears it
//! one step later. No contacts; see [`super::world`].
//!
//! # Parameters
//! `max_cycles` (25), `continuous` (false; then a word is three raw numbers in 0..=1).
//!
//! # Observation
//! `speaker` (3): color of the goal, 0.65 in the channel of the goal and 0.15 in the others.
//! `listener` (11): velocity (2), landmarks relative to itself (6), last word heard (3, one-hot; 0 at first).
//!
//! # Rewards and ends
//! Both receive minus the squared distance of the listener to the goal. Truncated after 25 steps.
//!
//! # Returns
//! Summed over both: random policy -79.6; near-optimal estimate with a known goal -11.9.
//!
//! # Origin
//! mpe2 1.1.1 `simple_speaker_listener_v4`.

use std::ops::Range;

use coact_core::scene::Color;
use coact_core::{ObsField, Result, Stream};
use serde::{Deserialize, Serialize};

use super::world::{Body, World, offset};
use super::{Group, Particle, Row, Scenario, draw_one_hot, goal_place, points};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_speaker_listener`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerListenerOptions {
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are strengths and raw words instead of one of some.
    pub continuous: bool,
}

impl Default for SpeakerListenerOptions {
    /// The values of `simple_speaker_listener_v4`.
    fn default() -> Self {
        Self { max_cycles: 25, continuous: false }
    }
}

/// `simple_speaker_listener` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_speaker_listener",
    summary: "one agent knows the goal and speaks, the other moves and must understand",
    origin: "mpe2 1.1.1 simple_speaker_listener_v4",
    options: &[super::MAX_CYCLES, super::CONTINUOUS],
    random_return: -79.6,
    best_known: Some(-11.9),
    batch: |options, n| rules::batch(SpeakerListener::new(&parse("simple_speaker_listener", options)?)?, n),
    single: |options| {
        Ok(Box::new(OneCopy::new(SpeakerListener::new(&parse("simple_speaker_listener", options)?)?)))
    },
};

/// The scenario. Extra variables: the goal as a one-hot of 3, the last word (3).
#[derive(Debug, Clone)]
pub struct SpeakerListener;

const WORDS: usize = 3;
const LISTENER: usize = 1;

impl SpeakerListener {
    /// Checks the options.
    ///
    /// # Errors
    /// No steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &SpeakerListenerOptions) -> Result<Particle<Self>> {
        let listener = Body::agent(0.075, false);
        let speaker = Body { movable: false, ..listener };
        let world = World::new(vec![speaker, listener], vec![Body::landmark(0.04, false); 3]);
        let color = ObsField::new("goal_color", 3, 0.15, 0.65);
        let heard =
            vec![points("velocity", 1), points("landmarks", 3), ObsField::new("word", WORDS, 0.0, 1.0)];
        let groups = vec![
            Group { name: "speaker", n_agents: 1, obs: vec![color], n_actions: WORDS },
            Group { name: "listener", n_agents: 1, obs: heard, n_actions: 5 },
        ];
        Particle::assemble(Self, world, groups, options.continuous, options.max_cycles)
    }
}

impl Scenario for SpeakerListener {
    const NAME: &'static str = "simple_speaker_listener";

    fn n_extra(&self) -> usize {
        3 + WORDS
    }

    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        draw_one_hot(rng, &mut extra[..3]);
        extra[3..].fill(0.0);
    }

    fn word(&self, agent: usize) -> Range<usize> {
        if agent == LISTENER { 0..0 } else { 3..3 + WORDS }
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let goal = goal_place(world, vars, &vars[world.n_vars()..world.n_vars() + 3]);
        let [dx, dy] = offset(world.agent(vars, LISTENER), goal);
        reward.fill(-(dx * dx + dy * dy));
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let extra = &vars[world.n_vars()..];
        let mut row = Row::new(obs);
        if agent != LISTENER {
            for chosen in &extra[..3] {
                let lit = R::of(0.5).less(*chosen);
                row.push([R::select(lit, R::of(0.65), R::of(0.15))]);
            }
            return;
        }
        row.push(world.velocity(vars, agent));
        for landmark in 0..3 {
            row.push(offset(world.landmark(vars, landmark), world.agent(vars, agent)));
        }
        row.push([extra[3], extra[4], extra[5]]);
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(196, 160, 0), "speaker"),
            (Color(52, 101, 164), "listener"),
            (Color(60, 150, 30), "full color: goal"),
            (Color(170, 220, 170), "pale: others"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        if agent == LISTENER { Color(52, 101, 164) } else { Color(196, 160, 0) }
    }

    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        let soft = [Color(230, 170, 170), Color(170, 220, 170), Color(170, 180, 235)];
        let full = [Color(204, 0, 0), Color(60, 150, 30), Color(50, 70, 200)];
        if extra[landmark] > 0.5 { full[landmark % 3] } else { soft[landmark % 3] }
    }
}
