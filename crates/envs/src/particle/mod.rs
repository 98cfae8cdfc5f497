//! The particle world: discs that push, chase, hide and talk on a plane; exact to mpe2 1.1.1.
//!
//! One file a scenario. What they share is here: episodes of 25 steps that a time limit truncates
//! (nobody terminates, unless `terminate_on_success` asks for it), the five pushes (0 none, 1 left, 2 right, 3 down, 4 up; continuous: five strengths in
//! 0..=1 of which right minus left and up minus down count), starts uniform on [-1, 1]^2 at rest, and the global
//! state: `x, y, vx, vy` of every agent, `x, y` of every landmark, the goal as a one-hot where there is one, and
//! the last word where agents speak.
//!
//! Positions have no bound: nothing keeps an agent near the origin but its reward.

pub mod adversary;
pub mod crypto;
pub mod formation;
pub mod line;
pub mod matching;
mod nearest;
pub mod push;
pub mod reference;
pub mod simple;
pub mod speaker_listener;
pub mod spread;
pub mod tag;
pub mod treasure;
pub mod world;
pub mod world_comm;

use std::ops::Range;

use coact_core::scene::{Color, Scene, Shape};
use coact_core::{ActionSpace, EnvSpec, Error, GroupSpec, ObsField, Result, RewardKind, Stream};

use self::world::World;
use crate::real::Real;
use crate::registry::OptionInfo;
use crate::rules::{ActionsOf, Outcome, Rules};

pub(crate) const MAX_CYCLES: OptionInfo =
    OptionInfo { name: "max_cycles", default: "25", explain: "steps after which an episode is truncated" };
pub(crate) const CONTINUOUS: OptionInfo = OptionInfo {
    name: "continuous",
    default: "false",
    explain: "strengths in 0..=1 instead of one of some actions",
};

pub(crate) const TERMINATE_ON_SUCCESS: OptionInfo = OptionInfo {
    name: "terminate_on_success",
    default: "false",
    explain: "an episode terminates when the task is accomplished",
};
pub(crate) const CURRICULUM_STAGE: OptionInfo = OptionInfo {
    name: "curriculum_stage",
    default: "null",
    explain: "stage of the original's curriculum, from 0; null: the whole task",
};
pub(crate) const N_AGENT_NEIGHBORS: OptionInfo = OptionInfo {
    name: "n_agent_neighbors",
    default: "null",
    explain: "other agents that an agent observes, the nearest first; null: all, in order",
};
pub(crate) const N_LANDMARK_NEIGHBORS: OptionInfo = OptionInfo {
    name: "n_landmark_neighbors",
    default: "null",
    explain: "landmarks that an agent observes, the nearest first; null: all, in order",
};

/// What an agent does: one of some actions, or raw numbers.
#[derive(Debug, Clone, Copy)]
enum Given<'a, R: Real> {
    /// The number of an action.
    Symbol(R::Int),
    /// Its components.
    Raw(&'a [R]),
}

/// Most agents of a kind, or landmarks.
const MOST: usize = 128;

/// Moves of an agent that moves; its word, if it says one, counts in steps of this.
const MOVES: u32 = 5;

/// What makes one scenario out of the particle world.
///
/// Variables beyond those of the world ("extra": goals, words) lie behind them.
pub trait Scenario: Clone + Send + Sync + 'static {
    /// Name under which the environment is registered.
    const NAME: &'static str;
    /// Whether rewards or observations tell whether an agent touches a landmark.
    const TOUCHES_LANDMARKS: bool = false;

    /// Number of extra variables.
    fn n_extra(&self) -> usize {
        0
    }

    /// Draws the extra variables; called first, before any place is drawn.
    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        let _ = (rng, extra);
    }

    /// Landmarks start uniform in +- this.
    fn landmark_range(&self) -> f32 {
        1.0
    }

    /// Draws the places of landmarks, `x, y` of each; by default uniform in [`Scenario::landmark_range`].
    fn place(&self, rng: &mut Stream, landmarks: &mut [f32]) {
        let range = self.landmark_range();
        landmarks.iter_mut().for_each(|v| *v = rng.range(-range, range));
    }

    /// Where among the extra variables the last word of an agent lies, behind all goals; empty for a silent one.
    fn word(&self, agent: usize) -> Range<usize> {
        let _ = agent;
        0..0
    }

    /// Reward of every agent after a step.
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]);

    /// Observation of one agent.
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]);

    /// Whether the task is accomplished, which ends the process for all agents.
    #[inline(always)]
    fn accomplished<R: Real>(&self, world: &World, vars: &[R]) -> R::Mask {
        let _ = (world, vars);
        R::mask_of(false)
    }

    /// How far a moment is from one in which rewards, endings or the order of an observation would jump, beyond contacts
    /// of bodies; a replay in single precision stops where that is too near.
    fn margin(&self, world: &World, vars: &[f64]) -> f64 {
        let _ = (world, vars);
        f64::INFINITY
    }

    /// What colors mean in pictures.
    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[(Color(52, 101, 164), "agent"), (Color(110, 110, 110), "landmark")]
    }

    /// The landmark that an agent should get to, where each has its own; pictures show it by a line.
    fn goal_of(&self, extra: &[f32], agent: usize) -> Option<usize> {
        let _ = (extra, agent);
        None
    }

    /// Color of an agent in pictures.
    fn color(&self, agent: usize) -> Color {
        let _ = agent;
        Color(52, 101, 164)
    }

    /// Color of a landmark in pictures; `extra` as drawn.
    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        let _ = (extra, landmark);
        Color(110, 110, 110)
    }
}

/// A scenario in its world, ready to run.
#[derive(Debug, Clone)]
pub struct Particle<S: Scenario> {
    spec: EnvSpec,
    world: World,
    scenario: S,
    continuous: bool,
}

/// A group of a scenario: name, number of agents, observation layout, number of actions.
pub(crate) struct Group {
    pub name: &'static str,
    pub n_agents: usize,
    pub obs: Vec<ObsField>,
    pub n_actions: usize,
}

impl<S: Scenario> Particle<S> {
    pub(crate) fn assemble(
        scenario: S,
        world: World,
        groups: Vec<Group>,
        continuous: bool,
        max_cycles: u32,
    ) -> Result<Self> {
        if max_cycles == 0 {
            return Err(Error::invalid(format!("{}: max_cycles is 0; use at least 1", S::NAME)));
        }
        let action = |n| match continuous {
            false => ActionSpace::Discrete { n },
            true => ActionSpace::Continuous { width: n, low: 0.0, high: 1.0 },
        };
        let group = |g: Group| GroupSpec {
            name: g.name.into(),
            n_agents: g.n_agents,
            obs: g.obs,
            action: action(g.n_actions),
            masked: false,
        };
        let spec = EnvSpec {
            name: S::NAME.into(),
            version: 1,
            groups: groups.into_iter().map(group).collect(),
            state_width: world.n_vars() + scenario.n_extra(),
            episode_limit: Some(max_cycles),
            reward: RewardKind::PerAgent,
        };
        Ok(Self { spec, world, scenario, continuous })
    }

    /// The agents and landmarks.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The scenario.
    pub fn scenario(&self) -> &S {
        &self.scenario
    }
}

impl<S: Scenario> Rules for Particle<S> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn set_limit(&mut self, limit: u32) {
        self.spec.episode_limit = Some(limit);
    }

    fn n_vars(&self) -> usize {
        self.spec.state_width
    }

    fn n_scratch(&self) -> usize {
        2 * self.world.agents.len()
    }

    fn begin(&self, rng: &mut Stream, vars: &mut [f32]) {
        let (world, extra) = vars.split_at_mut(self.world.n_vars());
        let (agents, landmarks) = world.split_at_mut(4 * self.world.agents.len());
        self.scenario.draw(rng, extra);
        for agent in agents.chunks_exact_mut(4) {
            agent.copy_from_slice(&[rng.range(-1.0, 1.0), rng.range(-1.0, 1.0), 0.0, 0.0]);
        }
        self.scenario.place(rng, landmarks);
    }

    #[inline(always)]
    fn advance<R: Real>(
        &self,
        vars: &mut [R],
        _alive: &[R::Mask],
        actions: ActionsOf<'_, R>,
        outcome: Outcome<'_, R>,
        scratch: &mut [R],
    ) {
        let (world, extra) = vars.split_at_mut(self.world.n_vars());
        let mut raw = actions.continuous;
        for (agent, body) in self.world.agents.iter().enumerate() {
            let given = if self.continuous {
                let (mine, rest) = raw.split_at(self.width_of(agent));
                raw = rest;
                Given::Raw(mine)
            } else {
                Given::Symbol(actions.discrete[agent])
            };
            let words = self.scenario.word(agent);
            let n_words = words.len() as u32;
            if n_words > 0 {
                say(&mut extra[words], given, body.movable);
            }
            if !body.movable {
                continue;
            }
            let push = push(given, n_words, R::of(body.accel));
            scratch[2 * agent..2 * agent + 2].copy_from_slice(&push);
        }
        self.world.step(world, scratch);
        self.scenario.reward(&self.world, vars, outcome.reward);
        outcome.terminated.fill(self.scenario.accomplished(&self.world, vars));
    }

    #[inline(always)]
    fn observe<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        self.scenario.observe(&self.world, vars, agent, obs);
    }

    fn owner(&self, var: usize) -> usize {
        if var < 4 * self.world.agents.len() { var / 4 } else { 0 }
    }

    fn scene(&self, vars: &[f32], _alive: &[bool], elapsed: u32) -> Scene {
        let (world, extra) = vars.split_at(self.world.n_vars());
        let mut shapes = Vec::new();
        let mut reach = 1.2_f32;
        let mut disc = |[x, y]: [f32; 2], size: f64, color| {
            reach = reach.max(x.abs() + 0.2).max(y.abs() + 0.2);
            shapes.push(Shape::Disc { x, y, radius: size as f32, color });
        };
        for (i, body) in self.world.landmarks.iter().enumerate() {
            disc(self.world.landmark(world, i), body.size, self.scenario.landmark_color(extra, i));
        }
        for (i, body) in self.world.agents.iter().enumerate() {
            disc(self.world.agent(world, i), body.size, self.scenario.color(i));
        }
        for (i, body) in self.world.agents.iter().enumerate() {
            let ([x, y], size) = (self.world.agent(world, i), body.size as f32);
            let word = &extra[self.scenario.word(i)];
            let loudest = (0..word.len()).fold(0, |best, k| if word[k] > word[best] { k } else { best });
            if word.get(loudest).is_some_and(|said| *said > 0.0) {
                let (text, color) = (format!("\"{loudest}\""), Color(40, 44, 50));
                let (x, y) = (x + size + 0.02, y + 0.6 * size);
                shapes.push(Shape::Text { x, y, size: 0.09, color, text });
            }
            if let Some(goal) = self.scenario.goal_of(extra, i) {
                let to = self.world.landmark(world, goal);
                let line = Shape::Line {
                    from: (x, y),
                    to: (to[0], to[1]),
                    width: 0.012,
                    color: self.scenario.color(i),
                };
                shapes.insert(0, line);
            }
        }
        // Whole steps of half a unit keep the picture from breathing with every move.
        let reach = (reach * 2.0).ceil() / 2.0;
        Scene {
            bounds: (-reach, reach, -reach, reach),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("{}, step {elapsed}", S::NAME),
        }
        .with_legend(self.scenario.legend())
    }
}

impl<S: Scenario> Particle<S> {
    /// Components of the continuous action of `agent`.
    #[inline(always)]
    fn width_of(&self, agent: usize) -> usize {
        let mut first = 0;
        for group in &self.spec.groups {
            first += group.n_agents;
            if agent < first {
                return group.action.n_continuous();
            }
        }
        0
    }
}

/// Keeps the word that an agent said.
#[inline(always)]
fn say<R: Real>(kept: &mut [R], given: Given<'_, R>, moves: bool) {
    match given {
        Given::Raw(raw) => kept.copy_from_slice(&raw[if moves { MOVES as usize } else { 0 }..]),
        Given::Symbol(said) => {
            let stride = if moves { MOVES } else { 1 };
            for (word, c) in kept.iter_mut().enumerate() {
                let mut this = R::mask_of(false);
                for action in word as u32 * stride..(word as u32 + 1) * stride {
                    this = R::or(this, R::is(said, action));
                }
                *c = R::select(this, R::of(1.0), R::of(0.0));
            }
        }
    }
}

/// Force of an agent that moves and says one of `n_words` words.
#[inline(always)]
fn push<R: Real>(given: Given<'_, R>, n_words: u32, strength: R) -> [R; 2] {
    match given {
        Given::Raw(a) => [(a[2] - a[1]) * strength, (a[4] - a[3]) * strength],
        Given::Symbol(a) => [(2, 1), (4, 3)].map(|(plus, minus)| {
            // One action a word for each move.
            let mut push = signed::<R>(a, plus, minus, strength);
            for word in 1..n_words {
                push = push + signed::<R>(a, plus + MOVES * word, minus + MOVES * word, strength);
            }
            push
        }),
    }
}

/// `strength` for action `plus`, its negative for action `minus`, else 0.
#[inline(always)]
fn signed<R: Real>(action: R::Int, plus: u32, minus: u32, strength: R) -> R {
    let zero = R::of(0.0);
    let down = R::select(R::is(action, minus), -strength, zero);
    R::select(R::is(action, plus), strength, down)
}

/// Draws one of `goal.len()` and writes it as a one-hot.
pub(crate) fn draw_one_hot(rng: &mut Stream, goal: &mut [f32]) {
    let chosen = rng.below(goal.len() as u32) as usize;
    goal.iter_mut().enumerate().for_each(|(i, g)| *g = if i == chosen { 1.0 } else { 0.0 });
}

/// Place of the landmark that the one-hot `goal` marks.
#[inline(always)]
pub(crate) fn goal_place<R: Real>(world: &World, vars: &[R], goal: &[R]) -> [R; 2] {
    let mut place = [R::of(0.0), R::of(0.0)];
    for (landmark, chosen) in goal.iter().enumerate() {
        let at = world.landmark(vars, landmark);
        place = [place[0] + *chosen * at[0], place[1] + *chosen * at[1]];
    }
    place
}

/// Appends numbers to a row.
#[derive(Debug)]
pub(crate) struct Row<'a, R: Real> {
    out: &'a mut [R],
    at: usize,
}

impl<'a, R: Real> Row<'a, R> {
    #[inline(always)]
    pub fn new(out: &'a mut [R]) -> Self {
        Self { out, at: 0 }
    }

    #[inline(always)]
    pub fn push<const K: usize>(&mut self, values: [R; K]) {
        self.out[self.at..self.at + K].copy_from_slice(&values);
        self.at += K;
    }

    /// The next `count` numbers, to be written.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> &mut [R] {
        self.at += count;
        &mut self.out[self.at - count..self.at]
    }

    #[inline(always)]
    pub fn extend(&mut self, values: &[R]) {
        self.out[self.at..self.at + values.len()].copy_from_slice(values);
        self.at += values.len();
    }
}

/// Two components named `name` for each of `count`.
pub(crate) fn points(name: &str, count: usize) -> ObsField {
    ObsField::unbounded(name, 2 * count)
}

/// [`points`] of all, or of the nearest ones only, which have a name of their own: they are in another order.
pub(crate) fn some_points(name: &str, count: usize, nearest: Option<usize>) -> ObsField {
    nearest.map_or_else(|| points(name, count), |shown| points(&format!("nearest_{name}"), shown))
}

/// Refuses a number of neighbors that cannot be shown.
pub(crate) fn check_neighbors(env: &str, agents: Option<usize>, landmarks: Option<usize>) -> Result<()> {
    agents.map_or(Ok(()), |n| check_count(env, "n_agent_neighbors", n, 1))?;
    landmarks.map_or(Ok(()), |n| check_count(env, "n_landmark_neighbors", n, 1))
}

/// Refuses a stage that a curriculum does not have.
pub(crate) fn check_stage(env: &str, stage: Option<usize>, n_stages: usize) -> Result<()> {
    match stage {
        Some(stage) if stage >= n_stages => {
            let last = n_stages - 1;
            Err(Error::invalid(format!("{env}: curriculum_stage is {stage}; use 0 to {last}, or null")))
        }
        _ => Ok(()),
    }
}

/// Refuses a number of bodies that makes no world.
pub(crate) fn check_count(env: &str, option: &str, value: usize, least: usize) -> Result<()> {
    if (least..=MOST).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{env}: {option} is {value}; use {least} to {MOST}")))
}
