//! `simple_spread`: N agents cover N landmarks without bumping into each other.
//!
//! # Rules
//! Agents (radius 0.15) collide with each other, not with landmarks; see [`super::world`].
//!
//! # Parameters
//! `n_agents` (3), as many landmarks; `local_ratio` (0.5); `scale` (`mpe2`, see [`Scale`]); `curriculum_stage` (null; 0:
//! bumps cost nothing; 1: the whole task); `terminate_on_success` (false); `n_agent_neighbors` and
//! `n_landmark_neighbors` (null: all); `max_cycles` (25); `continuous` (false).
//!
//! # Observation (6 N an agent, unbounded)
//! Own velocity (2), own position (2), landmarks relative to itself (2 N), other agents relative to itself
//! (2 (N - 1)), and the words of others (2 (N - 1), always 0: agents are silent; kept for equality with mpe2). With numbers
//! of neighbors only the nearest ones, nearest first, and zeros where there are fewer.
//!
//! # Rewards and ends
//! `(1 - local_ratio) global + local_ratio local` with global = - sum over landmarks of the distance of the
//! nearest agent, and local = -1 for each other agent nearer than 0.3. Truncated after 25 steps; with
//! `terminate_on_success` an episode terminates when every landmark has an agent nearer than 0.1.
//!
//! # Returns
//! Summed over three agents: random policy -79.5; a hand-made controller -25.0; a beam search -18.3 (estimate of
//! the best).
//!
//! # Origin
//! mpe2 1.1.1 `simple_spread_v3` (Lowe et al. 2017, "cooperative navigation"). Other ports of this task pay on
//! other scales, see `scale`; with `local_ratio` 0 agents are paid for distances only.

use coact_core::Result;
use serde::{Deserialize, Serialize};

use super::nearest::{nearest_offsets, order_margin};
use super::world::{Body, World, distance, offset, square};
use super::{Group, Particle, Row, Scenario, check_count, check_neighbors, check_stage, points, some_points};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// On which scale agents are paid; papers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// That of mpe2, JaxMARL and PettingZoo since March 2023.
    Mpe2,
    /// That of PettingZoo before: every agent also touches itself.
    PettingZoo,
    /// That of the environment of 2017 and EPyMARL: all receive the sum over agents, without `local_ratio`.
    OpenAi,
    /// The same with landmarks that start within 0.8, as in the MAPPO paper.
    Mappo,
}

/// Options of `simple_spread`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpreadOptions {
    /// Number of agents, and of landmarks.
    pub n_agents: usize,
    /// Weight of the local reward.
    pub local_ratio: f64,
    /// On which scale agents are paid.
    pub scale: Scale,
    /// 0: bumps cost nothing; 1 or none: the whole task.
    pub curriculum_stage: Option<usize>,
    /// Whether an episode terminates when all landmarks are covered.
    pub terminate_on_success: bool,
    /// Other agents that an agent observes; all if none.
    pub n_agent_neighbors: Option<usize>,
    /// Landmarks that an agent observes; all if none.
    pub n_landmark_neighbors: Option<usize>,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for SpreadOptions {
    /// The values of `simple_spread_v3`.
    fn default() -> Self {
        Self {
            n_agents: 3,
            local_ratio: 0.5,
            scale: Scale::Mpe2,
            curriculum_stage: None,
            terminate_on_success: false,
            n_agent_neighbors: None,
            n_landmark_neighbors: None,
            max_cycles: 25,
            continuous: false,
        }
    }
}

/// `simple_spread` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_spread",
    summary: "agents cover landmarks without bumping into each other",
    origin: "mpe2 1.1.1 simple_spread_v3",
    options: &[
        OptionInfo { name: "n_agents", default: "3", explain: "number of agents, and of landmarks" },
        OptionInfo {
            name: "local_ratio",
            default: "0.5",
            explain: "weight of the local reward (bumps) against the global one (distances)",
        },
        OptionInfo {
            name: "scale",
            default: "\"mpe2\"",
            explain: "scale of the reward: mpe2, pettingzoo (before 2023), openai (2017, EPyMARL) or mappo",
        },
        super::CURRICULUM_STAGE,
        super::TERMINATE_ON_SUCCESS,
        super::N_AGENT_NEIGHBORS,
        super::N_LANDMARK_NEIGHBORS,
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -79.5,
    best_known: Some(-18.3),
    batch: |options, n| rules::batch(Spread::new(&parse("simple_spread", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Spread::new(&parse("simple_spread", options)?)?))),
};

/// The scenario.
#[derive(Debug, Clone)]
pub struct Spread {
    local_ratio: f64,
    scale: Scale,
    bumps_cost: bool,
    terminate_on_success: bool,
    n_agent_neighbors: Option<usize>,
    n_landmark_neighbors: Option<usize>,
}

/// Distance within which an agent covers a landmark.
const COVERED: f64 = 0.1;

impl Spread {
    /// Checks the options.
    ///
    /// # Errors
    /// No agents or neighbors, too many, no steps, a ratio outside 0..=1, or no such stage.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &SpreadOptions) -> Result<Particle<Self>> {
        let SpreadOptions { n_agents: n, local_ratio, scale, curriculum_stage, terminate_on_success, .. } =
            *options;
        let SpreadOptions { n_agent_neighbors, n_landmark_neighbors, max_cycles, continuous, .. } = *options;
        check_count(Self::NAME, "n_agents", n, 1)?;
        check_neighbors(Self::NAME, n_agent_neighbors, n_landmark_neighbors)?;
        check_stage(Self::NAME, curriculum_stage, 2)?;
        if !(0.0..=1.0).contains(&local_ratio) {
            let text = format!("{}: local_ratio is {local_ratio}; use 0 to 1", Self::NAME);
            return Err(coact_core::Error::invalid(text));
        }
        let world = World::new(vec![Body::agent(0.15, true); n], vec![Body::landmark(0.05, false); n]);
        let obs = vec![
            points("velocity", 1),
            points("position", 1),
            some_points("landmarks", n, n_landmark_neighbors),
            some_points("others", n - 1, n_agent_neighbors),
            coact_core::ObsField::new("words", 2 * n_agent_neighbors.unwrap_or(n - 1), 0.0, 0.0),
        ];
        let group = Group { name: "agent", n_agents: n, obs, n_actions: 5 };
        let scenario = Self {
            local_ratio,
            scale,
            bumps_cost: curriculum_stage != Some(0),
            terminate_on_success,
            n_agent_neighbors,
            n_landmark_neighbors,
        };
        Particle::assemble(scenario, world, vec![group], continuous, max_cycles)
    }

    /// Whether every landmark has an agent on it.
    #[inline(never)]
    fn all_covered<R: Real>(world: &World, vars: &[R]) -> R::Mask {
        let mut all = R::mask_of(true);
        for landmark in 0..world.landmarks.len() {
            let mut covered = R::mask_of(false);
            for agent in 0..world.agents.len() {
                let apart = distance(world.agent(vars, agent), world.landmark(vars, landmark));
                covered = R::or(covered, apart.less(R::of(COVERED)));
            }
            all = R::and(all, covered);
        }
        all
    }
}

impl Scenario for Spread {
    const NAME: &'static str = "simple_spread";

    fn landmark_range(&self) -> f32 {
        if self.scale == Scale::Mappo { 0.8 } else { 1.0 }
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let n = world.agents.len();
        let mut global = R::of(0.0);
        for landmark in 0..n {
            let at = world.landmark(vars, landmark);
            // The root of the smallest square is the smallest root, to the last bit, and costs one root.
            let mut nearest = square(offset(world.agent(vars, 0), at));
            for agent in 1..n {
                nearest = square(offset(world.agent(vars, agent), at)).min(nearest);
            }
            global = global - nearest.sqrt();
        }
        let shared = global * R::of(1.0 - self.local_ratio);
        reward.fill(R::of(0.0));
        for a in 0..if self.bumps_cost { n } else { 0 } {
            for b in a + 1..n {
                let reach = world.agents[a].size + world.agents[b].size;
                let apart = distance(world.agent(vars, a), world.agent(vars, b));
                let bump = R::select(apart.less(R::of(reach)), R::of(1.0), R::of(0.0));
                reward[a] = reward[a] - bump;
                reward[b] = reward[b] - bump;
            }
        }
        match self.scale {
            Scale::Mpe2 => reward.iter_mut().for_each(|r| *r = shared + *r * R::of(self.local_ratio)),
            Scale::PettingZoo => {
                let own = R::of(if self.bumps_cost { 1.0 } else { 0.0 });
                let paid = |r: R| shared + (r - own) * R::of(self.local_ratio);
                reward.iter_mut().for_each(|r| *r = paid(*r));
            }
            Scale::OpenAi | Scale::Mappo => {
                let own = if self.bumps_cost { -(n as f64) } else { 0.0 };
                let bumps = reward.iter().fold(R::of(own), |sum, r| sum + *r);
                reward.fill(global * R::of(n as f64) + bumps);
            }
        }
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let n = world.agents.len();
        let me = world.agent(vars, agent);
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(me);
        // Loops, because what is a closure may be compiled without the vector instructions of its caller.
        if let Some(count) = self.n_landmark_neighbors {
            nearest_offsets(row.take(2 * count), me, n, |l| world.landmark(vars, l));
        } else {
            for landmark in 0..n {
                row.push(offset(world.landmark(vars, landmark), me));
            }
        }
        if let Some(count) = self.n_agent_neighbors {
            let other = |i| world.agent(vars, if i < agent { i } else { i + 1 });
            nearest_offsets(row.take(2 * count), me, n - 1, other);
        } else {
            for other in (0..n).filter(|o| *o != agent) {
                row.push(offset(world.agent(vars, other), me));
            }
        }
        for _ in 0..self.n_agent_neighbors.unwrap_or(n - 1) {
            row.push([R::of(0.0); 2]);
        }
    }

    #[inline(always)]
    fn accomplished<R: Real>(&self, world: &World, vars: &[R]) -> R::Mask {
        if self.terminate_on_success { Self::all_covered(world, vars) } else { R::mask_of(false) }
    }

    fn margin(&self, world: &World, vars: &[f64]) -> f64 {
        let mut margin = f64::INFINITY;
        if self.n_agent_neighbors.or(self.n_landmark_neighbors).is_some() {
            margin = order_margin(world, vars);
        }
        if self.terminate_on_success {
            let n = world.agents.len();
            for (landmark, agent) in (0..n).flat_map(|l| (0..n).map(move |a| (l, a))) {
                let apart = distance(world.agent(vars, agent), world.landmark(vars, landmark));
                margin = margin.min((apart - COVERED).abs());
            }
        }
        margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_those_of_the_papers() {
        // Agents 0 and 1 touch; distances of landmarks to the nearest agent are 0, 1 and 2.
        let vars: Vec<f64> = [[0.0, 0.0], [0.2, 0.0], [3.0, 0.0]]
            .iter()
            .flat_map(|p| [p[0], p[1], 0.0, 0.0])
            .chain([0.0, 0.0, 3.0, 1.0, 3.0, 2.0])
            .collect();
        for (scale, paid) in [
            (Scale::Mpe2, [-2.0, -2.0, -1.5]),
            (Scale::PettingZoo, [-2.5, -2.5, -2.0]),
            (Scale::OpenAi, [-14.0; 3]),
            (Scale::Mappo, [-14.0; 3]),
        ] {
            let spread = Spread::new(&SpreadOptions { scale, ..Default::default() }).unwrap();
            let mut reward = [0.0; 3];
            spread.scenario().reward::<f64>(spread.world(), &vars, &mut reward);
            assert!(reward.iter().zip(paid).all(|(a, b)| (a - b).abs() < 1e-12), "{scale:?}: {reward:?}");
        }
        let mappo = Spread::new(&SpreadOptions { scale: Scale::Mappo, ..Default::default() }).unwrap();
        assert_eq!(mappo.scenario().landmark_range(), 0.8);
    }
}
