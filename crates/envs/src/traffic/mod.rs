//! `traffic_junction`: cars that see little pass junctions by gas or brake and must not be in one cell.
//!
//! # Rules
//! Each step every car drives one cell on along its route (0, gas) or stays (1, brake); a car that reaches the end of its
//! route leaves. Then at each point of arrival a car enters with probability `add_rate`, as long as not all are on the
//! road, on a route drawn uniformly. A collision ends nothing. An agent is a car that may be on the road or not; off the
//! road it can do 0 only, which does nothing.
//!
//! # Parameters
//! `difficulty` (`easy`: 5 cars, 6 cells along a side and one more, 2 routes, 20 steps, rate 0.3; `medium`: 10, 14, 12
//! routes, 40, 0.2; `hard`: 20, 18, 56 routes, 80, 0.05); `n_agents`, `dim`, `max_steps`, `add_rate` override it (0 for
//! none); `vision` (0). Rates are those at the end of the original's curriculum, which raises them from 0.1, 0.05, 0.02.
//!
//! # Observation (`2 + (2 vision + 1)^2 vocabulary`; vocabulary 15, 59 and 147)
//! `last_action`, `route` (its number as a share), then for each cell in sight, row by row: its place on the road as a
//! one-hot, off the road, unused, the number of cars. All zeros off the road. Cars off the road count in the upper left
//! corner, as in the original. State: for each car whether it is on the road, its row and column, its route, its waiting time / 100.
//!
//! # Rewards and ends
//! On the road, minus 0.01 for each step since the car entered, and -10 in a cell with another car. Truncated after
//! `max_steps`. An episode without a collision is a success.
//!
//! # Returns
//! Summed over all cars: see [`ENTRY`]; always gas -24.3 with 29 % of episodes successful.
//!
//! # Origin
//! Singh et al. 2019, "IC3Net", traffic junction; Sukhbaatar et al. 2016.

mod routes;

use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

pub use self::routes::{Cell, Plan};
use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// Junctions of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Difficulty {
    Easy,
    Medium,
    Hard,
}

/// Options of `traffic_junction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrafficOptions {
    /// Junctions of the original.
    pub difficulty: Difficulty,
    /// Most cars on the road; 0 for those of the difficulty.
    pub n_agents: usize,
    /// Cells along a side; 0 for those of the difficulty.
    pub dim: usize,
    /// Cells that a car sees in each direction.
    pub vision: usize,
    /// Steps after which an episode is truncated; 0 for those of the difficulty.
    pub max_steps: u32,
    /// Probability that a car enters at a point of arrival in a step; 0 for that of the difficulty.
    pub add_rate: f64,
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self { difficulty: Difficulty::Easy, n_agents: 0, dim: 0, vision: 0, max_steps: 0, add_rate: 0.0 }
    }
}

/// `traffic_junction` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "traffic_junction",
    summary: "cars that see little pass junctions by gas or brake and must not be in one cell",
    origin: "Singh et al. 2019 (IC3Net)",
    options: &[
        OptionInfo { name: "difficulty", default: "\"easy\"", explain: "easy, medium or hard" },
        OptionInfo { name: "n_agents", default: "0", explain: "most cars on the road; 0: by difficulty" },
        OptionInfo { name: "dim", default: "0", explain: "cells along a side; 0: by difficulty" },
        OptionInfo { name: "vision", default: "0", explain: "cells that a car sees in each direction" },
        OptionInfo { name: "max_steps", default: "0", explain: "steps before truncation; 0: by difficulty" },
        OptionInfo {
            name: "add_rate",
            default: "0.0",
            explain: "probability that a car enters at a point of arrival; 0: by difficulty",
        },
    ],
    random_return: -202.9,
    best_known: Some(-24.3),
    batch: |options, n| {
        let options = parse("traffic_junction", options)?;
        Ok(Box::new(Vectorized::new(n, || Traffic::new(&options))?))
    },
    single: |options| Ok(Box::new(Traffic::new(&parse("traffic_junction", options)?)?)),
};

const BRAKE: u32 = 1;
const CRASH: f32 = -10.0;

/// One car, on the road or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Car {
    on_road: bool,
    /// Number of its route over all points of arrival.
    route: u32,
    /// Cells along its route.
    along: u32,
    /// Steps since it entered.
    wait: u32,
    last_action: u32,
}

/// The junction.
#[derive(Debug, Clone)]
pub struct Traffic {
    spec: EnvSpec,
    plan: Arc<Plan>,
    /// First route of each point of arrival, and one beyond the last.
    first_route: Vec<u32>,
    vision: usize,
    add_rate: f64,
    cars: Vec<Car>,
    elapsed: u32,
}

impl Traffic {
    /// Checks the options.
    ///
    /// # Errors
    /// Sizes that make no junction.
    pub fn new(options: &TrafficOptions) -> Result<Self> {
        let (n, dim, steps, rate, n_roads) = match options.difficulty {
            Difficulty::Easy => (5, 6, 20, 0.3, 1),
            Difficulty::Medium => (10, 14, 40, 0.2, 2),
            Difficulty::Hard => (20, 18, 80, 0.05, 4),
        };
        let n = if options.n_agents > 0 { options.n_agents } else { n };
        let dim = if options.dim > 0 { options.dim } else { dim };
        let max_steps = if options.max_steps > 0 { options.max_steps } else { steps };
        let add_rate = if options.add_rate != 0.0 { options.add_rate } else { rate };
        let fits = match options.difficulty {
            Difficulty::Hard => dim % 3 == 0 && dim >= 9,
            _ => dim % 2 == 0 && dim >= 4 + options.vision,
        };
        if !fits || dim > 60 || options.vision > 5 || n > 200 {
            return Err(Error::invalid(format!(
                "traffic_junction: {n} cars with vision {} on {dim} cells; use up to 200 cars, vision 0 to 5, and an even dim \
                 of 4 + vision to 60, or a multiple of 3 from 9 to 60 if it is hard",
                options.vision
            )));
        }
        if !(0.0..=1.0).contains(&add_rate) {
            return Err(Error::invalid(format!("traffic_junction: add_rate is {add_rate}; use 0 to 1")));
        }
        let plan = Plan::new(options.difficulty, dim);
        let mut first_route = vec![0];
        for routes in &plan.routes {
            let last = first_route[first_route.len() - 1];
            first_route.push(last + routes.len() as u32);
        }
        // Places on roads, off the road, unused, cars.
        let places = n_roads * 2 * dim;
        let side = 2 * options.vision + 1;
        let one = |name: &str| ObsField::new(name, 1, 0.0, 1.0);
        let mut obs = vec![one("last_action"), one("route")];
        for cell in 0..side * side {
            obs.push(ObsField::new(format!("cell_{cell}_place"), places + 2, 0.0, 1.0));
            obs.push(ObsField::new(format!("cell_{cell}_cars"), 1, 0.0, n as f32));
        }
        let action = ActionSpace::Discrete { n: 2 };
        let spec = EnvSpec {
            name: "traffic_junction".into(),
            version: 1,
            groups: vec![GroupSpec { name: "car".into(), n_agents: n, obs, action, masked: true }],
            state_width: 5 * n,
            episode_limit: Some(max_steps),
            reward: RewardKind::PerAgent,
        };
        let cars = vec![Car::default(); n];
        Ok(Self {
            spec,
            plan: Arc::new(plan),
            first_route,
            vision: options.vision,
            add_rate,
            cars,
            elapsed: 0,
        })
    }

    /// The cells of a route.
    fn route(&self, number: u32) -> &[Cell] {
        let arrival = self.first_route.partition_point(|first| *first <= number) - 1;
        &self.plan.routes[arrival][(number - self.first_route[arrival]) as usize]
    }

    /// Where a car is; the upper left corner off the road.
    fn cell(&self, car: &Car) -> Cell {
        if car.on_road { self.route(car.route)[car.along as usize] } else { [0, 0] }
    }

    fn drive(&mut self, actions: &[u32]) {
        for (i, action) in actions.iter().enumerate() {
            let mut car = self.cars[i];
            if !car.on_road {
                continue;
            }
            car.wait += 1;
            if *action == BRAKE {
                car.last_action = BRAKE;
            } else if car.along as usize + 1 == self.route(car.route).len() {
                // A car that leaves keeps its last action for the time when it comes back, as in the original.
                (car.on_road, car.wait, car.along) = (false, 0, 0);
            } else {
                car.along += 1;
                car.last_action = *action;
            }
            self.cars[i] = car;
        }
    }

    fn add(&mut self, rng: &mut Stream) {
        for arrival in 0..self.plan.routes.len() {
            let idle = self.cars.iter().filter(|car| !car.on_road).count() as u32;
            if idle == 0 {
                return;
            }
            if rng.uniform_f64() >= self.add_rate {
                continue;
            }
            let chosen = rng.below(idle) as usize;
            let route = self.first_route[arrival] + rng.below(self.plan.routes[arrival].len() as u32);
            if let Some(car) = self.cars.iter_mut().filter(|car| !car.on_road).nth(chosen) {
                (car.on_road, car.route, car.along) = (true, route, 0);
            }
        }
    }
}

impl MultiAgentEnv for Traffic {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        self.cars.fill(Car::default());
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        self.drive(actions.discrete);
        self.add(rng);
        for (i, paid) in reward.iter_mut().enumerate() {
            let car = self.cars[i];
            *paid = 0.0;
            if car.on_road {
                let here = self.cell(&car);
                let crashed = |(j, other): (usize, &Car)| j != i && other.on_road && self.cell(other) == here;
                *paid = -0.01 * car.wait as f32;
                if self.cars.iter().enumerate().any(crashed) {
                    *paid += CRASH;
                }
            }
        }
        terminated.fill(false);
        self.elapsed += 1;
        Ok(self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let car = &self.cars[agent];
        if !car.on_road {
            return;
        }
        let last_route = self.first_route[self.first_route.len() - 1] - 1;
        obs[0] = car.last_action as f32;
        obs[1] = car.route as f32 / last_route as f32;
        let (vision, side) = (self.vision, 2 * self.vision + 1);
        let vocabulary = (obs.len() - 2) / (side * side);
        let here = self.cell(car);
        for (i, seen) in obs[2..].chunks_exact_mut(vocabulary).enumerate() {
            // Beyond the edge counts as off the road.
            let row = (here[0] + i / side).checked_sub(vision).filter(|r| *r < self.plan.dim);
            let col = (here[1] + i % side).checked_sub(vision).filter(|c| *c < self.plan.dim);
            let (place, n_cars) = match (row, col) {
                (Some(r), Some(c)) => {
                    let cars = self.cars.iter().filter(|car| self.cell(car) == [r, c]).count();
                    (self.plan.place[r * self.plan.dim + c], cars)
                }
                _ => (None, 0),
            };
            seen[place.unwrap_or(vocabulary - 3)] = 1.0;
            seen[vocabulary - 1] += n_cars as f32;
        }
    }

    fn state(&self, state: &mut [f32]) {
        let last_route = self.first_route[self.first_route.len() - 1] - 1;
        for (row, car) in state.chunks_exact_mut(5).zip(&self.cars) {
            row.fill(0.0);
            if car.on_road {
                let [r, c] = self.cell(car).map(|x| x as f32 / self.plan.dim as f32);
                let route = car.route as f32 / last_route as f32;
                row.copy_from_slice(&[1.0, r, c, route, car.wait as f32 / 100.0]);
            }
        }
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask[0] = if self.cars[agent].on_road { 0b11 } else { 0b01 };
    }

    fn scene(&self) -> Scene {
        let dim = self.plan.dim;
        let side = dim as f32;
        let place = |[r, c]: Cell| (c as f32 + 0.5, side - 0.5 - r as f32);
        let mut shapes = Vec::new();
        for (at, _) in self.plan.place.iter().enumerate().filter(|(_, p)| p.is_some()) {
            let (x, y) = place([at / dim, at % dim]);
            let color = Color(222, 226, 230);
            shapes.push(Shape::Rect { x: x - 0.48, y: y - 0.48, width: 0.96, height: 0.96, color });
        }
        for (i, car) in self.cars.iter().enumerate().filter(|(_, car)| car.on_road) {
            let here = self.cell(car);
            let crash =
                self.cars.iter().enumerate().any(|(j, o)| j != i && o.on_road && self.cell(o) == here);
            let (x, y) = place(here);
            let color = match (crash, car.last_action) {
                (true, _) => Color(214, 30, 30),
                (false, BRAKE) => Color(193, 125, 17),
                _ => Color(52, 101, 164),
            };
            shapes.push(Shape::Disc { x, y, radius: 0.36, color });
            if let Some(next) = self.route(car.route).get(car.along as usize + 1) {
                let (nx, ny) = place(*next);
                let to = (x + 0.4 * (nx - x), y + 0.4 * (ny - y));
                shapes.push(Shape::Line { from: (x, y), to, width: 0.1, color: Color(255, 255, 255) });
            }
        }
        let n = self.cars.iter().filter(|car| car.on_road).count();
        Scene {
            bounds: (0.0, side, 0.0, side),
            background: Color(250, 250, 250),
            shapes,
            caption: format!("traffic_junction, step {}, {n} cars", self.elapsed),
        }
        .with_legend(&[
            (Color(52, 101, 164), "gas"),
            (Color(193, 125, 17), "brake"),
            (Color(214, 30, 30), "collision"),
        ])
    }

    fn save(&self, out: &mut Writer) {
        for car in &self.cars {
            out.bool(car.on_road);
            out.u32s(&[car.route, car.along, car.wait, car.last_action]);
        }
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let n_routes = self.first_route[self.first_route.len() - 1];
        for i in 0..self.cars.len() {
            let on_road = from.bool()?;
            let mut rest = [0; 4];
            from.u32s(&mut rest)?;
            let [route, along, wait, last_action] = rest;
            let sound = route < n_routes
                && (along as usize) < self.route(route).len()
                && wait < 1 << 24
                && last_action < 2;
            if !sound {
                return Err(from.error("a car is off its route"));
            }
            self.cars[i] = Car { on_road, route, along, wait, last_action };
        }
        self.elapsed = from.u32()?.min(u32::MAX - 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    /// Share of episodes without a collision and mean return of the team, always on the gas.
    fn always_gas(difficulty: Difficulty, episodes: u64) -> (f64, f64) {
        let mut env = Traffic::new(&TrafficOptions { difficulty, ..Default::default() }).unwrap();
        let n = env.cars.len();
        let (mut successes, mut sum) = (0, 0.0);
        for episode in 0..episodes {
            let mut rng = Stream::new(3, Purpose::Reset, 0, episode);
            env.reset(&mut rng);
            let mut crashed = false;
            loop {
                let mut reward = vec![0.0; n];
                let given = Actions { discrete: &vec![0; n], continuous: &[] };
                let truncated = env.step(given, &mut rng, &mut reward, &mut vec![false; n]).unwrap();
                crashed |= reward.iter().any(|r| *r < CRASH / 2.0);
                sum += reward.iter().map(|r| f64::from(*r)).sum::<f64>();
                if truncated {
                    break;
                }
            }
            successes += u32::from(!crashed);
        }
        (f64::from(successes) / episodes as f64, sum / episodes as f64)
    }

    #[test]
    fn always_gas_fares_as_in_the_original() {
        // The original's figures are of 300 episodes: successes within three of their standard errors, returns within
        // a tenth.
        for (difficulty, success, team) in [
            (Difficulty::Easy, 0.287, -24.3),
            (Difficulty::Medium, 0.023, -219.0),
            (Difficulty::Hard, 0.067, -239.0),
        ] {
            let (share, mean) = always_gas(difficulty, 2000);
            let error = (success * (1.0 - success) / 300.0_f64).sqrt();
            assert!(
                (share - success).abs() < 3.0 * error,
                "{difficulty:?}: success {share}, original {success}"
            );
            assert!((mean / team - 1.0).abs() < 0.1, "{difficulty:?}: return {mean}, original {team}");
        }
    }

    #[test]
    fn cars_wait_crash_and_leave() {
        let mut env = Traffic::new(&TrafficOptions { add_rate: 1e-12, ..Default::default() }).unwrap();
        let car = |route, along| Car { on_road: true, route, along, ..Car::default() };
        env.cars[1] = car(0, 2);
        env.cars[3] = car(1, 3);
        let mut rng = Stream::new(1, Purpose::Step, 0, 0);
        let mut play = |env: &mut Traffic, actions: [u32; 5]| {
            let mut reward = [0.0; 5];
            let given = Actions { discrete: &actions, continuous: &[] };
            env.step(given, &mut rng, &mut reward, &mut [false; 5]).unwrap();
            reward
        };
        assert_eq!(play(&mut env, [0, 0, 0, 1, 0]), [0.0, -10.01, 0.0, -10.01, 0.0], "both in the crossing");
        assert_eq!(play(&mut env, [0, 1, 0, 0, 0]), [0.0, -0.02, 0.0, -0.02, 0.0]);
        assert_eq!((env.cell(&env.cars[1]), env.cell(&env.cars[3])), ([3, 3], [3, 4]));
        let mut obs = vec![0.0; 17];
        env.observe(1, &mut obs);
        assert_eq!(obs[..2], [1.0, 0.0]);
        let lit: Vec<usize> = (0..15).filter(|i| obs[2 + i] > 0.0).collect();
        assert_eq!(lit, [10, 14], "fourth place of the second road, one car");
        play(&mut env, [0, 1, 0, 0, 0]);
        play(&mut env, [0, 1, 0, 0, 0]);
        let reward = play(&mut env, [0, 1, 0, 0, 0]);
        assert!(!env.cars[3].on_road && reward[3] == 0.0, "left");
        let mut mask = [0];
        env.legal(3, &mut mask);
        assert_eq!(mask, [1]);
    }
}
