//! `simple_formation`: agents arrange themselves on a circle around a landmark.
//!
//! # Rules
//! Agents (radius 0.05) collide with each other; the landmark lies within +-0.5. Places are N points at equal angles on the
//! circle of radius 0.5 around it, the first one in the direction of the agent whose angle from the x axis is the
//! smallest. Agents and places are assigned to each other so that the total distance is smallest. See [`super::world`].
//!
//! # Parameters
//! `n_agents` (4), `terminate_on_success` (false), `max_cycles` (25), `continuous` (false).
//!
//! # Observation (6 an agent, unbounded)
//! Own velocity (2), own position (2), the landmark relative to itself (2). Other agents are not seen.
//!
//! # Rewards and ends
//! All: the negative mean distance of agents to their places, of which 2 counts at most. Truncated after 25 steps; with
//! `terminate_on_success` an episode terminates when all are within 0.05 of their places.
//!
//! # Returns
//! Random policy -74.1 summed over agents, a script -17.1.
//!
//! # Origin
//! mpe2 1.1.1 `simple_formation_v1` (Agarwal et al. 2020, "Learning Transferable Cooperative Behavior in Multi-Agent
//! Teams").

use coact_core::scene::Color;
use coact_core::{Result, math};

use super::matching::{FIGURE_OPTIONS, FigureOptions};
use super::world::{Body, World, distance, length, offset};
use super::{Group, Particle, Row, Scenario, check_count, matching, points};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Radius of the circle.
pub(crate) const RADIUS: f64 = 0.5;

/// `simple_formation` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_formation",
    summary: "agents arrange themselves on a circle around a landmark",
    origin: "mpe2 1.1.1 simple_formation_v1",
    options: FIGURE_OPTIONS,
    random_return: -74.1,
    best_known: None,
    batch: |options, n| rules::copies(Formation::new(&parse("simple_formation", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Formation::new(&parse("simple_formation", options)?)?))),
};

/// The scenario.
#[derive(Debug, Clone)]
pub struct Formation {
    terminate_on_success: bool,
    /// Cosine and sine of the angle of each place to the first one.
    turns: Vec<[f64; 2]>,
}

impl Formation {
    /// Checks the options.
    ///
    /// # Errors
    /// No agents, too many, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &FigureOptions) -> Result<Particle<Self>> {
        let FigureOptions { n_agents: n, terminate_on_success, max_cycles, continuous } = *options;
        check_count(Self::NAME, "n_agents", n, 1)?;
        let world = World::new(vec![Body::agent(0.05, true); n], vec![Body::landmark(0.03, false)]);
        let obs = vec![points("velocity", 1), points("position", 1), points("landmark", 1)];
        let group = Group { name: "agent", n_agents: n, obs, n_actions: 5 };
        let turns = circle_turns(n);
        Particle::assemble(Self { terminate_on_success, turns }, world, vec![group], continuous, max_cycles)
    }

    /// Distance of any agent to any place.
    #[inline(always)]
    fn distances<'a, R: Real>(&'a self, world: &'a World, vars: &'a [R]) -> impl Fn(usize, usize) -> R + 'a {
        let center = world.landmark(vars, 0);
        let first = first_direction_of((0..world.agents.len()).map(|i| world.agent(vars, i)), center);
        move |agent, place| {
            let [cos, sin] = self.turns[place].map(R::of);
            let direction = [first[0] * cos - first[1] * sin, first[0] * sin + first[1] * cos];
            let radius = R::of(RADIUS);
            let target = [center[0] + radius * direction[0], center[1] + radius * direction[1]];
            distance(world.agent(vars, agent), target)
        }
    }
}

/// Cosine and sine of the angle of each of `n` places to the first one.
pub(crate) fn circle_turns(n: usize) -> Vec<[f64; 2]> {
    // The sine is the cosine a quarter of a turn earlier.
    let turn = |share: f64| [math::cos_turn_f64(share), math::cos_turn_f64((share + 0.75) % 1.0)];
    (0..n).map(|i| turn(i as f64 / n as f64)).collect()
}

/// Direction, of length 1, from `center` to the agent whose angle from the x axis is the smallest.
#[inline(always)]
pub(crate) fn first_direction_of<R: Real>(agents: impl Iterator<Item = [R; 2]>, center: [R; 2]) -> [R; 2] {
    let (zero, one) = (R::of(0.0), R::of(1.0));
    let (mut least, mut first) = (R::of(f64::INFINITY), [one, zero]);
    for agent in agents {
        let p = offset(agent, center);
        let angle = pseudo_angle(p);
        let smaller = angle.less(least);
        least = R::select(smaller, angle, least);
        first = [R::select(smaller, p[0], first[0]), R::select(smaller, p[1], first[1])];
    }
    let far = length(first);
    // An agent on the landmark has angle 0.
    let somewhere = zero.less(far);
    let scale = far.max(R::of(1e-30));
    [R::select(somewhere, first[0] / scale, one), R::select(somewhere, first[1] / scale, zero)]
}

/// Grows with the angle of `p` from the x axis, from 0 to 4 in a turn; 0 for no direction.
#[inline(always)]
fn pseudo_angle<R: Real>(p: [R; 2]) -> R {
    let reach = p[0].abs() + p[1].abs();
    let right = p[0] / reach.max(R::of(1e-30));
    let below = p[1].less(R::of(0.0));
    let angle = R::select(below, R::of(3.0) + right, R::of(1.0) - right);
    R::select(R::of(0.0).less(reach), angle, R::of(0.0))
}

impl Scenario for Formation {
    const NAME: &'static str = "simple_formation";

    fn landmark_range(&self) -> f32 {
        0.5
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
        // An agent that crosses the x axis to the right of the landmark turns all places.
        let center = world.landmark(vars, 0);
        let rise = |agent| offset(world.agent(vars, agent), center)[1].abs();
        let turned = (0..world.agents.len()).map(rise).fold(f64::INFINITY, f64::min);
        if !self.terminate_on_success {
            return turned;
        }
        turned.min(matching::in_place_margin(world.agents.len(), self.distances(world, vars)))
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let me = world.agent(vars, agent);
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(me);
        row.push(offset(world.landmark(vars, 0), me));
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[(Color(52, 101, 164), "agent"), (Color(60, 60, 60), "middle of the formation")]
    }

    fn landmark_color(&self, _extra: &[f32], _landmark: usize) -> Color {
        Color(60, 60, 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_core::{Purpose, Stream};

    /// Variables of agents at these places around a landmark at `center`.
    fn vars(center: [f64; 2], places: &[[f64; 2]]) -> Vec<f64> {
        let agents = places.iter().flat_map(|p| [center[0] + p[0], center[1] + p[1], 0.0, 0.0]);
        agents.chain(center).collect()
    }

    #[test]
    fn a_turned_square_is_in_formation() {
        let options = FigureOptions { terminate_on_success: true, ..Default::default() };
        let formation = Formation::new(&options).unwrap();
        let paid = |places: &[[f64; 2]]| {
            let vars = vars([0.2, -0.3], places);
            let mut reward = [0.0; 4];
            formation.scenario().reward::<f64>(formation.world(), &vars, &mut reward);
            (reward[0], formation.scenario().accomplished::<f64>(formation.world(), &vars))
        };
        let (sin, cos) = 0.4_f64.sin_cos();
        let (x, y) = (0.5 * cos, 0.5 * sin);
        let (reward, ended) = paid(&[[-y, x], [y, -x], [x, y], [-x, -y]]);
        assert!(reward.abs() < 1e-12 && ended, "{reward}");
        // One agent twice as far out: its place is where it was.
        let (reward, ended) = paid(&[[-2.0 * y, 2.0 * x], [y, -x], [x, y], [-x, -y]]);
        assert!((reward + 0.125).abs() < 1e-12 && !ended, "{reward}");
        // An agent on the landmark counts as one with angle 0.
        let (reward, _) = paid(&[[0.0, 0.5], [-0.5, 0.0], [0.0, -0.5], [0.0, 0.0]]);
        assert!((reward + 0.125).abs() < 1e-12, "{reward}");
    }

    #[test]
    fn angles_are_in_the_order_of_the_arc_tangent() {
        let mut rng = Stream::new(5, Purpose::Reset, 0, 0);
        let draw = |rng: &mut Stream| [f64::from(rng.range(-1.0, 1.0)), f64::from(rng.range(-1.0, 1.0))];
        let angle = |p: [f64; 2]| p[1].atan2(p[0]).rem_euclid(std::f64::consts::TAU);
        for _ in 0..1000 {
            let (a, b) = (draw(&mut rng), draw(&mut rng));
            assert_eq!(pseudo_angle(a) < pseudo_angle(b), angle(a) < angle(b), "{a:?} {b:?}");
        }
        assert_eq!(
            [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]].map(pseudo_angle),
            [0.0, 1.0, 2.0, 3.0]
        );
    }
}
