//! `simple_line`: agents spread evenly on the line between two landmarks.
//!
//! # Rules
//! Agents (radius 0.03) collide with each other. One landmark lies within +-0.25, the other one 1.25 from it in a random
//! direction (turned by steps of 5 degrees until it lies within +-1). Places are N points at equal distances from one
//! to the other, ends included. Agents and places are assigned to each other so that the total distance is smallest.
//! See [`super::world`].
//!
//! # Parameters
//! `n_agents` (4), `terminate_on_success` (false), `max_cycles` (25), `continuous` (false).
//!
//! # Observation (8 an agent, unbounded)
//! Own velocity (2), own position (2), the landmarks relative to itself (4). Other agents are not seen.
//!
//! # Rewards and ends
//! All: the negative mean distance of agents to their places, of which 2 counts at most. Truncated after 25 steps; with
//! `terminate_on_success` an episode terminates when all are within 0.05 of their places.
//!
//! # Returns
//! Random policy -89.6 summed over agents, a script -21.3.
//!
//! # Origin
//! mpe2 1.1.1 `simple_line_v1` (Agarwal et al. 2020, "Learning Transferable Cooperative Behavior in Multi-Agent Teams").

use coact_core::scene::Color;
use coact_core::{Result, Stream, math};

use super::matching::{FIGURE_OPTIONS, FigureOptions};
use super::world::{Body, World, distance, offset};
use super::{Group, Particle, Row, Scenario, check_count, matching, points};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Distance of the landmarks.
const APART: f32 = 1.25;
/// Cosine and sine of 5 degrees.
const TURN: [f32; 2] = [0.996_194_7, 0.087_155_74];

/// `simple_line` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_line",
    summary: "agents spread evenly on the line between two landmarks",
    origin: "mpe2 1.1.1 simple_line_v1",
    options: FIGURE_OPTIONS,
    random_return: -89.6,
    best_known: None,
    batch: |options, n| rules::copies(Line::new(&parse("simple_line", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Line::new(&parse("simple_line", options)?)?))),
};

/// The scenario.
#[derive(Debug, Clone)]
pub struct Line {
    terminate_on_success: bool,
}

impl Line {
    /// Checks the options.
    ///
    /// # Errors
    /// No agents, too many, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &FigureOptions) -> Result<Particle<Self>> {
        let FigureOptions { n_agents: n, terminate_on_success, max_cycles, continuous } = *options;
        check_count(Self::NAME, "n_agents", n, 1)?;
        let world = World::new(vec![Body::agent(0.03, true); n], vec![Body::landmark(0.02, false); 2]);
        let obs = vec![points("velocity", 1), points("position", 1), points("landmarks", 2)];
        let group = Group { name: "agent", n_agents: n, obs, n_actions: 5 };
        Particle::assemble(Self { terminate_on_success }, world, vec![group], continuous, max_cycles)
    }

    /// Distance of any agent to any place.
    #[inline(always)]
    fn distances<'a, R: Real>(&'a self, world: &'a World, vars: &'a [R]) -> impl Fn(usize, usize) -> R + 'a {
        let (from, to) = (world.landmark(vars, 0), world.landmark(vars, 1));
        let way = offset(to, from);
        let gaps = world.agents.len().max(2) - 1;
        move |agent, place| {
            let share = R::of(place as f64 / gaps as f64);
            let target = [from[0] + share * way[0], from[1] + share * way[1]];
            distance(world.agent(vars, agent), target)
        }
    }
}

impl Scenario for Line {
    const NAME: &'static str = "simple_line";

    fn place(&self, rng: &mut Stream, landmarks: &mut [f32]) {
        let from = [rng.range(-0.25, 0.25), rng.range(-0.25, 0.25)];
        let (sin, cos) = math::sin_cos_f32(rng.range(0.0, std::f32::consts::TAU));
        let mut direction = [cos, sin];
        let at = |d: [f32; 2]| [from[0] + APART * d[0], from[1] + APART * d[1]];
        // Some direction fits: towards the opposite corner both coordinates end within 0.89.
        while !at(direction).iter().all(|v| v.abs() < 1.0) {
            let [cos, sin] = TURN;
            let [x, y] = direction;
            direction = [x * cos - y * sin, x * sin + y * cos];
        }
        landmarks[..2].copy_from_slice(&from);
        landmarks[2..].copy_from_slice(&at(direction));
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        matching::pay(self.distances(world, vars), reward);
    }

    #[inline(always)]
    fn accomplished<R: Real>(&self, world: &World, vars: &[R]) -> R::Mask {
        if !self.terminate_on_success {
            return R::mask_of(false);
        }
        matching::in_place(world.agents.len(), self.distances(world, vars))
    }

    fn margin(&self, world: &World, vars: &[f64]) -> f64 {
        if !self.terminate_on_success {
            return f64::INFINITY;
        }
        matching::in_place_margin(world.agents.len(), self.distances(world, vars))
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let me = world.agent(vars, agent);
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(me);
        row.push(offset(world.landmark(vars, 0), me));
        row.push(offset(world.landmark(vars, 1), me));
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[(Color(52, 101, 164), "agent"), (Color(60, 60, 60), "end of the line")]
    }

    fn landmark_color(&self, _extra: &[f32], _landmark: usize) -> Color {
        Color(60, 60, 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_core::Purpose;

    #[test]
    fn the_second_landmark_is_at_its_distance_and_on_the_field() {
        let line = Line::new(&FigureOptions::default()).unwrap();
        let mut landmarks = [0.0; 4];
        let mut quadrants = [false; 4];
        for episode in 0..2000 {
            let mut rng = Stream::new(1, Purpose::Reset, 0, episode);
            line.scenario().place(&mut rng, &mut landmarks);
            let [x, y, to_x, to_y] = landmarks.map(f64::from);
            assert!(
                x.abs() <= 0.25 && y.abs() <= 0.25 && to_x.abs() < 1.0 && to_y.abs() < 1.0,
                "{landmarks:?}"
            );
            assert!(((to_x - x).hypot(to_y - y) - 1.25).abs() < 1e-5, "{landmarks:?}");
            quadrants[usize::from(to_x > x) + 2 * usize::from(to_y > y)] = true;
        }
        assert_eq!(quadrants, [true; 4]);
    }

    #[test]
    fn agents_on_the_line_in_any_order_are_in_place() {
        let options = FigureOptions { n_agents: 3, terminate_on_success: true, ..Default::default() };
        let line = Line::new(&options).unwrap();
        let paid = |places: [[f64; 2]; 3]| {
            let agents = places.iter().flat_map(|p| [p[0], p[1], 0.0, 0.0]);
            let vars: Vec<f64> = agents.chain([0.0, 0.0, 0.75, 1.0]).collect();
            let mut reward = [0.0; 3];
            line.scenario().reward::<f64>(line.world(), &vars, &mut reward);
            (reward, line.scenario().accomplished::<f64>(line.world(), &vars))
        };
        let (reward, ended) = paid([[0.75, 1.0], [0.0, 0.0], [0.375, 0.5]]);
        assert!(reward.iter().all(|r| r.abs() < 1e-12) && ended, "{reward:?}");
        // 5 units off, of which 2 count.
        let (reward, ended) = paid([[0.75, 6.0], [0.0, 0.0], [0.375, 0.5]]);
        assert!((reward[2] + 2.0 / 3.0).abs() < 1e-12 && !ended, "{reward:?}");
        assert!(paid([[0.75, 1.049], [0.0, 0.0], [0.375, 0.5]]).1);
        assert!(!paid([[0.75, 1.051], [0.0, 0.0], [0.375, 0.5]]).1);
    }
}
