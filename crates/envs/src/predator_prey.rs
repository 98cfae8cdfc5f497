//! `predator_prey`: predators that see little search for a prey that stays where it is.
//!
//! # Rules
//! Predators and one prey start in different cells of a square grid. Actions: 0 up (row - 1), 1 right, 2 down, 3 left, 4
//! stay; walls stop, predators do not. A predator that reached the prey stays there.
//!
//! # Parameters
//! `difficulty` (`easy`: 3 predators, 5 x 5 cells, vision 0, 20 steps; `medium`: 5, 10 x 10, 1, 40; `hard`: 10, 20 x 20, 1,
//! 80); `n_predators`, `dim`, `vision`, `max_steps` override it (0, or -1 for the vision, for none); `mode` (`mixed`).
//!
//! # Observation (`(2 vision + 1)^2 (dim^2 + 4)`)
//! For each cell in sight, row by row: its number as a one-hot (`dim^2` places, one unused), outside, the prey, the number
//! of predators. State: row and column of every predator and of the prey, as shares of the grid.
//!
//! # Rewards and ends
//! -0.05 a step until the predator is on the prey, then by mode: 0 (`mixed`), 0.05 times (`cooperative`) or divided by
//! (`competitive`) the number of predators there. In mode `mixed` terminated when all are there. Truncated after
//! `max_steps`.
//!
//! # Returns
//! Summed over the predators, with default options: see [`ENTRY`]; the best known walks straight to the prey.
//!
//! # Origin
//! Singh et al. 2019, "IC3Net", predator-prey.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// Sizes of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Difficulty {
    Easy,
    Medium,
    Hard,
}

/// What a predator on the prey is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The more there are the more.
    Cooperative,
    /// The more there are the less.
    Competitive,
    /// Nothing.
    Mixed,
}

/// Options of `predator_prey`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredatorPreyOptions {
    /// Sizes of the original.
    pub difficulty: Difficulty,
    /// Number of predators; 0 for that of the difficulty.
    pub n_predators: usize,
    /// Cells along a side; 0 for that of the difficulty.
    pub dim: usize,
    /// Cells that a predator sees in each direction; -1 for that of the difficulty.
    pub vision: i32,
    /// Steps after which an episode is truncated; 0 for that of the difficulty.
    pub max_steps: u32,
    /// What a predator on the prey is paid.
    pub mode: Mode,
}

impl Default for PredatorPreyOptions {
    fn default() -> Self {
        Self {
            difficulty: Difficulty::Easy,
            n_predators: 0,
            dim: 0,
            vision: -1,
            max_steps: 0,
            mode: Mode::Mixed,
        }
    }
}

/// `predator_prey` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "predator_prey",
    summary: "predators that see little search for a prey that stays where it is",
    origin: "Singh et al. 2019 (IC3Net)",
    options: &[
        OptionInfo { name: "difficulty", default: "\"easy\"", explain: "easy, medium or hard" },
        OptionInfo { name: "n_predators", default: "0", explain: "number of predators; 0: by difficulty" },
        OptionInfo { name: "dim", default: "0", explain: "cells along a side; 0: by difficulty" },
        OptionInfo {
            name: "vision",
            default: "-1",
            explain: "cells seen in each direction; -1: by difficulty",
        },
        OptionInfo { name: "max_steps", default: "0", explain: "steps before truncation; 0: by difficulty" },
        OptionInfo { name: "mode", default: "\"mixed\"", explain: "mixed, cooperative or competitive" },
    ],
    random_return: -2.47,
    best_known: Some(-0.36),
    batch: |options, n| {
        let options = parse("predator_prey", options)?;
        Ok(Box::new(Vectorized::new(n, || PredatorPrey::new(&options))?))
    },
    single: |options| Ok(Box::new(PredatorPrey::new(&parse("predator_prey", options)?)?)),
};

/// The game. Cells are `row * dim + column`.
#[derive(Debug, Clone)]
pub struct PredatorPrey {
    spec: EnvSpec,
    dim: usize,
    vision: usize,
    mode: Mode,
    predators: Vec<u32>,
    prey: u32,
    elapsed: u32,
    over: bool,
}

impl PredatorPrey {
    /// Checks the options.
    ///
    /// # Errors
    /// A grid that is too small or too large, too many predators.
    pub fn new(options: &PredatorPreyOptions) -> Result<Self> {
        let (n, dim, vision, steps) = match options.difficulty {
            Difficulty::Easy => (3, 5, 0, 20),
            Difficulty::Medium => (5, 10, 1, 40),
            Difficulty::Hard => (10, 20, 1, 80),
        };
        let n = if options.n_predators > 0 { options.n_predators } else { n };
        let dim = if options.dim > 0 { options.dim } else { dim };
        let vision = usize::try_from(options.vision).unwrap_or(vision);
        let max_steps = if options.max_steps > 0 { options.max_steps } else { steps };
        if !(2..=40).contains(&dim) || n >= dim * dim || n > 100 || vision > 5 {
            return Err(Error::invalid(format!(
                "predator_prey: {n} predators with vision {vision} on {dim} x {dim} cells; use dim 2 to 40, fewer predators \
                 than cells and at most 100, vision 0 to 5"
            )));
        }
        let (cells, side) = (dim * dim, 2 * vision + 1);
        let mut obs = Vec::new();
        for cell in 0..side * side {
            obs.push(ObsField::new(format!("cell_{cell}_place"), cells + 2, 0.0, 1.0));
            obs.push(ObsField::new(format!("cell_{cell}_prey"), 1, 0.0, 1.0));
            obs.push(ObsField::new(format!("cell_{cell}_predators"), 1, 0.0, n as f32));
        }
        let action = ActionSpace::Discrete { n: 5 };
        let spec = EnvSpec {
            name: "predator_prey".into(),
            version: 1,
            groups: vec![GroupSpec { name: "predator".into(), n_agents: n, obs, action, masked: false }],
            state_width: 2 * n + 2,
            episode_limit: Some(max_steps),
            reward: RewardKind::PerAgent,
        };
        let predators = vec![0; n];
        Ok(Self { spec, dim, vision, mode: options.mode, predators, prey: 0, elapsed: 0, over: false })
    }
}

impl MultiAgentEnv for PredatorPrey {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        let cells = (self.dim * self.dim) as u32;
        self.prey = rng.below(cells);
        for i in 0..self.predators.len() {
            self.predators[i] = loop {
                let cell = rng.below(cells);
                if cell != self.prey && !self.predators[..i].contains(&cell) {
                    break cell;
                }
            };
        }
        (self.elapsed, self.over) = (0, false);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let dim = self.dim as u32;
        for (at, action) in self.predators.iter_mut().zip(actions.discrete) {
            let (row, col) = (*at / dim, *at % dim);
            if *at == self.prey {
                continue;
            }
            let (row, col) = match action {
                0 => (row.saturating_sub(1), col),
                1 => (row, (col + 1).min(dim - 1)),
                2 => ((row + 1).min(dim - 1), col),
                3 => (row, col.saturating_sub(1)),
                _ => (row, col),
            };
            *at = row * dim + col;
        }
        let there = self.predators.iter().filter(|p| **p == self.prey).count();
        for (paid, at) in reward.iter_mut().zip(&self.predators) {
            *paid = match (*at == self.prey, self.mode) {
                (false, _) => -0.05,
                (true, Mode::Mixed) => 0.0,
                (true, Mode::Cooperative) => 0.05 * there as f32,
                (true, Mode::Competitive) => 0.05 / there as f32,
            };
        }
        self.over = self.mode == Mode::Mixed && there == self.predators.len();
        terminated.fill(self.over);
        self.elapsed += 1;
        Ok(!self.over && self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let (dim, vision) = (self.dim as i32, self.vision as i32);
        let (row, col) = (self.predators[agent] as i32 / dim, self.predators[agent] as i32 % dim);
        let cells = self.dim * self.dim;
        let window = (-vision..=vision).flat_map(|dr| (-vision..=vision).map(move |dc| (row + dr, col + dc)));
        for (seen, (r, c)) in obs.chunks_exact_mut(cells + 4).zip(window) {
            if !(0..dim).contains(&r) || !(0..dim).contains(&c) {
                seen[cells + 1] = 1.0;
                continue;
            }
            let cell = (r * dim + c) as u32;
            seen[cell as usize] = 1.0;
            seen[cells + 2] = f32::from(u8::from(cell == self.prey));
            seen[cells + 3] = self.predators.iter().filter(|p| **p == cell).count() as f32;
        }
    }

    fn state(&self, state: &mut [f32]) {
        let share = 1.0 / self.dim as f32;
        let cells = self.predators.iter().chain(std::iter::once(&self.prey));
        for (row, cell) in state.chunks_exact_mut(2).zip(cells) {
            let (r, c) = (*cell as usize / self.dim, *cell as usize % self.dim);
            row.copy_from_slice(&[r as f32 * share, c as f32 * share]);
        }
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.over
    }

    fn scene(&self) -> Scene {
        let side = self.dim as f32;
        let place = |cell: u32| {
            let (row, col) = (cell as usize / self.dim, cell as usize % self.dim);
            (col as f32 + 0.5, side - 0.5 - row as f32)
        };
        let mut shapes = Vec::new();
        for cell in 0..(self.dim * self.dim) as u32 {
            let (x, y) = place(cell);
            let color = Color(238, 241, 235);
            shapes.push(Shape::Rect { x: x - 0.47, y: y - 0.47, width: 0.94, height: 0.94, color });
        }
        for predator in &self.predators {
            let (x, y) = place(*predator);
            let half = self.vision as f32 + 0.5;
            let color = Color(250, 226, 200);
            let side = 2.0 * half - 0.06;
            shapes.push(Shape::Rect {
                x: x - half + 0.03,
                y: y - half + 0.03,
                width: side,
                height: side,
                color,
            });
        }
        let (x, y) = place(self.prey);
        shapes.push(Shape::Disc { x, y, radius: 0.38, color: Color(78, 154, 6) });
        for (i, predator) in self.predators.iter().enumerate() {
            let (x, y) = place(*predator);
            // Several in one cell stand in a ring.
            let turn = i as f32 / self.predators.len() as f32 * std::f32::consts::TAU;
            let (x, y) = (x + 0.18 * turn.cos(), y + 0.18 * turn.sin());
            shapes.push(Shape::Disc { x, y, radius: 0.2, color: Color(204, 60, 40) });
        }
        Scene {
            bounds: (-0.1, side + 0.1, -0.1, side + 0.1),
            background: Color(255, 255, 255),
            shapes,
            caption: format!(
                "predator_prey, step {}{}",
                self.elapsed,
                if self.over { ", all are there" } else { "" }
            ),
        }
        .with_legend(&[
            (Color(204, 60, 40), "predator"),
            (Color(250, 226, 200), "what it sees"),
            (Color(78, 154, 6), "prey"),
        ])
    }

    fn save(&self, out: &mut Writer) {
        out.u32s(&self.predators);
        out.u32(self.prey);
        out.u32(self.elapsed);
        out.bool(self.over);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.u32s(&mut self.predators)?;
        self.prey = from.u32()?;
        self.elapsed = from.u32()?.min(u32::MAX - 1);
        self.over = from.bool()?;
        let cells = (self.dim * self.dim) as u32;
        let sound = self.prey < cells && self.predators.iter().all(|p| *p < cells);
        if sound { Ok(()) } else { Err(from.error("somebody is off the grid")) }
    }
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    /// Mean steps of an episode under a policy from row, column to an action.
    fn mean_steps(difficulty: Difficulty, policy: impl Fn(&PredatorPrey, usize, &mut Stream) -> u32) -> f64 {
        let options = PredatorPreyOptions { difficulty, ..Default::default() };
        let mut env = PredatorPrey::new(&options).unwrap();
        let n = env.predators.len();
        let episodes = 2000;
        let mut steps = 0;
        for episode in 0..episodes {
            let mut rng = Stream::new(1, Purpose::Reset, 0, episode);
            env.reset(&mut rng);
            loop {
                let actions: Vec<u32> = (0..n).map(|i| policy(&env, i, &mut rng)).collect();
                let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
                let given = Actions { discrete: &actions, continuous: &[] };
                let truncated = env.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
                steps += 1;
                if truncated || terminated[0] {
                    break;
                }
            }
        }
        f64::from(steps) / episodes as f64
    }

    #[test]
    fn floors_and_ceilings_are_the_originals() {
        let straight = |env: &PredatorPrey, i: usize, _: &mut Stream| {
            let dim = env.dim as u32;
            let (at, to) = (env.predators[i], env.prey);
            match (at / dim, to / dim, at % dim, to % dim) {
                (r, p, _, _) if r > p => 0,
                (r, p, _, _) if r < p => 2,
                (_, _, c, q) if c < q => 1,
                (_, _, c, q) if c > q => 3,
                _ => 4,
            }
        };
        for (difficulty, best) in
            [(Difficulty::Easy, 4.74), (Difficulty::Medium, 10.32), (Difficulty::Hard, 23.24)]
        {
            let mean = mean_steps(difficulty, straight);
            assert!((mean / best - 1.0).abs() < 0.03, "{difficulty:?}: {mean}, original {best}");
        }
        let mean = mean_steps(Difficulty::Easy, |_, _, rng| rng.below(5));
        assert!((mean - 19.7).abs() < 0.15, "random: {mean}, original 19.7");
    }

    #[test]
    fn modes_pay_on_the_prey() {
        for (mode, paid) in [
            (Mode::Mixed, [0.0, 0.0, -0.05]),
            (Mode::Cooperative, [0.1, 0.1, -0.05]),
            (Mode::Competitive, [0.025, 0.025, -0.05]),
        ] {
            let mut env = PredatorPrey::new(&PredatorPreyOptions { mode, ..Default::default() }).unwrap();
            (env.predators, env.prey) = (vec![7, 11, 0], 12);
            let mut reward = [0.0; 3];
            let mut rng = Stream::new(1, Purpose::Step, 0, 0);
            let given = Actions { discrete: &[2, 1, 3], continuous: &[] };
            env.step(given, &mut rng, &mut reward, &mut [false; 3]).unwrap();
            assert_eq!(env.predators, [12, 12, 0]);
            assert!(
                reward.iter().zip(paid).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-7),
                "{mode:?}: {reward:?}"
            );
            let given = Actions { discrete: &[0, 0, 4], continuous: &[] };
            env.step(given, &mut rng, &mut reward, &mut [false; 3]).unwrap();
            assert_eq!(env.predators, [12, 12, 0], "whoever is there stays");
        }
    }

    #[test]
    fn sight_is_a_window_of_cells() {
        let options = PredatorPreyOptions { vision: 1, ..Default::default() };
        let mut env = PredatorPrey::new(&options).unwrap();
        (env.predators, env.prey) = (vec![0, 0, 1], 6);
        let mut obs = vec![9.0; 9 * 29];
        env.observe(0, &mut obs);
        let lit = |cell: usize| {
            let seen = &obs[29 * cell..29 * (cell + 1)];
            seen.iter().enumerate().filter(|(_, x)| **x > 0.0).map(|(i, x)| (i, *x)).collect::<Vec<_>>()
        };
        assert_eq!(lit(0), [(26, 1.0)], "outside");
        assert_eq!(lit(4), [(0, 1.0), (28, 2.0)], "its own cell");
        assert_eq!(lit(5), [(1, 1.0), (28, 1.0)]);
        assert_eq!(lit(8), [(6, 1.0), (27, 1.0)], "the prey");
    }
}
