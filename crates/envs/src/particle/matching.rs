//! The assignment of agents to places of smallest total distance, by shortest augmenting paths, a lane at a time.
//! `coact-allocation` has the general solvers; this one allocates nothing and fits into a step.

use serde::{Deserialize, Serialize};

use super::MOST;
use crate::real::Real;
use crate::registry::OptionInfo;

/// Options of `simple_formation` and `simple_line`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FigureOptions {
    /// Number of agents.
    pub n_agents: usize,
    /// Whether an episode terminates when all agents are at their places.
    pub terminate_on_success: bool,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for FigureOptions {
    /// The values of `simple_formation_v1` and `simple_line_v1`.
    fn default() -> Self {
        Self { n_agents: 4, terminate_on_success: false, max_cycles: 25, continuous: false }
    }
}

/// The same in lists.
pub(super) const FIGURE_OPTIONS: &[OptionInfo] = &[
    OptionInfo { name: "n_agents", default: "4", explain: "number of agents" },
    super::TERMINATE_ON_SUCCESS,
    super::MAX_CYCLES,
    super::CONTINUOUS,
];

/// Distance within which an agent is at its place.
const IN_PLACE: f64 = 0.05;

/// Writes the distance of every agent to its place in an assignment of smallest total distance; `distance` of agent and
/// place, as many of both as `out` has numbers, at most [`MOST`].
///
/// Distances that are no numbers leave the assignment open.
pub(super) fn assigned<R: Real>(distance: impl Fn(usize, usize) -> R, out: &mut [R]) {
    let n = out.len();
    debug_assert!(n <= MOST, "{n} agents");
    for lane in 0..R::LANES {
        let place_of = assign::<R::One>(n, |agent, place| distance(agent, place).lane(lane));
        for agent in 0..n {
            out[agent].set_lane(lane, distance(agent, place_of[agent]).lane(lane));
        }
    }
}

/// Pays every agent the negative mean distance of agents to their places, of which 2 counts at most.
#[inline(always)]
pub(super) fn pay<R: Real>(distance: impl Fn(usize, usize) -> R, reward: &mut [R]) {
    assigned(distance, reward);
    let clipped = |d: R| d.max(R::of(0.0)).min(R::of(2.0));
    let total = reward.iter().fold(R::of(0.0), |sum, d| sum + clipped(*d));
    reward.fill(-(total / R::of(reward.len() as f64)));
}

/// Whether all of `n` agents are within 0.05 of their places.
#[inline(always)]
pub(super) fn in_place<R: Real>(n: usize, distance: impl Fn(usize, usize) -> R) -> R::Mask {
    let mut distances = [R::of(0.0); MOST];
    assigned(distance, &mut distances[..n]);
    let near = |all: R::Mask, d: &R| R::and(all, d.less(R::of(IN_PLACE)));
    distances[..n].iter().fold(R::mask_of(true), near)
}

/// How far a distance of an agent to its place is from the one at which it counts as there.
pub(super) fn in_place_margin(n: usize, distance: impl Fn(usize, usize) -> f64) -> f64 {
    let mut distances = [0.0; MOST];
    assigned(distance, &mut distances[..n]);
    distances[..n].iter().fold(f64::INFINITY, |margin, d| margin.min((d - IN_PLACE).abs()))
}

/// Prices and partners of one lane. Agents and places count from 1; place 0 is where paths begin.
struct Search<T: Real> {
    agent_price: [T; MOST + 1],
    place_price: [T; MOST + 1],
    agent_of: [usize; MOST + 1],
}

/// The place of every agent, in an assignment of smallest total cost; the first place for whom no cost is a number.
pub(crate) fn assign<T: Real<Mask = bool> + PartialOrd>(
    n: usize,
    cost: impl Fn(usize, usize) -> T,
) -> [usize; MOST] {
    let zero = T::of(0.0);
    let mut search =
        Search { agent_price: [zero; MOST + 1], place_price: [zero; MOST + 1], agent_of: [0; MOST + 1] };
    for agent in 1..=n {
        search.enter(n, agent, &cost);
    }
    let mut place_of = [0; MOST];
    for place in 1..=n {
        if let Some(agent) = search.agent_of[place].checked_sub(1) {
            place_of[agent] = place - 1;
        }
    }
    place_of
}

impl<T: Real<Mask = bool> + PartialOrd> Search<T> {
    /// Assigns one more agent along the cheapest path that frees a place.
    fn enter(&mut self, n: usize, agent: usize, cost: &impl Fn(usize, usize) -> T) {
        let far = T::of(f64::INFINITY);
        let mut slack = [far; MOST + 1];
        let mut reached = [false; MOST + 1];
        let mut before = [0; MOST + 1];
        self.agent_of[0] = agent;
        let mut at = 0;
        while self.agent_of[at] != 0 {
            reached[at] = true;
            let agent = self.agent_of[at];
            let (mut step, mut next) = (far, 0);
            for place in (1..=n).filter(|p| !reached[*p]) {
                let reduced = cost(agent - 1, place - 1) - self.agent_price[agent] - self.place_price[place];
                if reduced < slack[place] {
                    (slack[place], before[place]) = (reduced, at);
                }
                if slack[place] < step {
                    (step, next) = (slack[place], place);
                }
            }
            if next == 0 {
                return;
            }
            for place in 0..=n {
                if reached[place] {
                    let agent = self.agent_of[place];
                    self.agent_price[agent] = self.agent_price[agent] + step;
                    self.place_price[place] = self.place_price[place] - step;
                } else {
                    slack[place] = slack[place] - step;
                }
            }
            at = next;
        }
        while at != 0 {
            self.agent_of[at] = self.agent_of[before[at]];
            at = before[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::{Lanes, WIDTH};
    use coact_core::{Purpose, Stream};

    /// Smallest total over all orders of places.
    fn by_force(cost: &[f64], n: usize, agent: usize, taken: &mut Vec<bool>) -> f64 {
        if agent == n {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for place in 0..n {
            if !taken[place] {
                taken[place] = true;
                best = best.min(cost[agent * n + place] + by_force(cost, n, agent + 1, taken));
                taken[place] = false;
            }
        }
        best
    }

    #[test]
    fn totals_are_the_smallest() {
        let mut rng = Stream::new(3, Purpose::Reset, 0, 0);
        for n in 1..=6 {
            for _ in 0..50 {
                let cost: Vec<f64> = (0..n * n).map(|_| f64::from(rng.range(0.0, 3.0))).collect();
                let mut out = vec![0.0; n];
                assigned(|agent, place| cost[agent * n + place], &mut out);
                let best = by_force(&cost, n, 0, &mut vec![false; n]);
                assert!((out.iter().sum::<f64>() - best).abs() < 1e-12, "{out:?}, best {best}: {cost:?}");
            }
        }
    }

    #[test]
    fn lanes_match_by_themselves() {
        let mut rng = Stream::new(4, Purpose::Reset, 0, 0);
        let n = 5;
        let cost: Vec<Lanes> =
            (0..n * n).map(|_| Lanes(std::array::from_fn(|_| rng.range(0.0, 1.0)))).collect();
        let mut together = vec![Lanes([0.0; WIDTH]); n];
        assigned(|agent, place| cost[agent * n + place], &mut together);
        for lane in 0..WIDTH {
            let mut alone = vec![0.0_f32; n];
            assigned(|agent, place| cost[agent * n + place].0[lane], &mut alone);
            assert_eq!(together.iter().map(|x| x.0[lane]).collect::<Vec<_>>(), alone, "lane {lane}");
        }
    }

    #[test]
    fn no_number_ends_well() {
        let mut out = [0.0_f32; 3];
        assigned(|_, _| f32::NAN, &mut out);
        assert!(out.iter().all(|d| d.is_nan()));
    }
}
