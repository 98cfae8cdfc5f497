//! `two_step`: the two-step game. The first action of one agent decides which payoff table both play.
//!
//! # Rules
//! Two agents, two actions each. In state 1 the first agent chooses: 0 leads to state 2A, 1 to state 2B. In 2A every pair of
//! actions pays 7; in 2B it pays 0, 1, 1 or 8, the more agents choose 1. A team that does not represent how actions
//! interact takes the safe 7.
//!
//! # Observation (3 an agent, also the state)
//! `state`: one-hot of 1, 2A, 2B.
//!
//! # Rewards and ends
//! Common, in the second step only. Terminated after it.
//!
//! # Returns
//! Summed over both agents: random 9.5, best 16, safe 14.
//!
//! # Origin
//! Rashid et al. 2018, "QMIX", section 6.1.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use crate::Vectorized;
use crate::registry::{EnvEntry, parse};
use crate::rules::check_actions;

/// `two_step` takes no options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwoStepOptions {}

/// `two_step` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "two_step",
    summary: "one agent's first action decides which payoff table both play: 7 for sure, or up to 8",
    origin: "Rashid et al. 2018 (QMIX)",
    options: &[],
    random_return: 9.5,
    best_known: Some(16.0),
    batch: |options, n| {
        let _: TwoStepOptions = parse("two_step", options)?;
        Ok(Box::new(Vectorized::new(n, || Ok(TwoStep::new()))?))
    },
    single: |options| {
        let _: TwoStepOptions = parse("two_step", options)?;
        Ok(Box::new(TwoStep::new()))
    },
};

/// What pairs of actions pay in 2B.
const RISKY: [[f32; 2]; 2] = [[0.0, 1.0], [1.0, 8.0]];
const SAFE: f32 = 7.0;

/// The game. State 0 is state 1, 1 is 2A, 2 is 2B.
#[derive(Debug, Clone)]
pub struct TwoStep {
    spec: EnvSpec,
    state: u32,
    over: bool,
}

impl TwoStep {
    /// A game before its first step.
    pub fn new() -> Self {
        let agent = GroupSpec {
            name: "agent".into(),
            n_agents: 2,
            obs: vec![ObsField::new("state", 3, 0.0, 1.0)],
            action: ActionSpace::Discrete { n: 2 },
            masked: false,
        };
        let spec = EnvSpec {
            name: "two_step".into(),
            version: 1,
            groups: vec![agent],
            state_width: 3,
            episode_limit: None,
            reward: RewardKind::Common,
        };
        Self { spec, state: 0, over: false }
    }
}

impl Default for TwoStep {
    fn default() -> Self {
        Self::new()
    }
}

impl MultiAgentEnv for TwoStep {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        (self.state, self.over) = (0, false);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let [first, second] = [actions.discrete[0], actions.discrete[1]];
        reward.fill(match self.state {
            0 => 0.0,
            1 => SAFE,
            _ => RISKY[first as usize][second as usize],
        });
        self.over = self.state > 0;
        if !self.over {
            self.state = 1 + first;
        }
        terminated.fill(self.over);
        Ok(false)
    }

    fn observe(&self, _agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[self.state as usize] = 1.0;
    }

    fn state(&self, state: &mut [f32]) {
        self.observe(0, state);
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.over
    }

    fn scene(&self) -> Scene {
        let boxes = [
            (1.0, 2.2, ["1: agent 0 chooses", "0: 2A, 1: 2B"]),
            (0.0, 0.6, ["2A: always", "7"]),
            (2.0, 0.6, ["2B: by both actions", "0 1 / 1 8"]),
        ];
        let ink = Color(30, 30, 30);
        let mut shapes = vec![
            Shape::Line { from: (1.75, 2.2), to: (0.75, 1.4), width: 0.04, color: ink },
            Shape::Line { from: (1.75, 2.2), to: (2.75, 1.4), width: 0.04, color: ink },
        ];
        for (i, (x, y, text)) in boxes.into_iter().enumerate() {
            let color = if i as u32 == self.state { Color(255, 214, 102) } else { Color(228, 233, 238) };
            shapes.push(Shape::Rect { x, y, width: 1.5, height: 0.8, color });
            for (line, text) in text.into_iter().enumerate() {
                let y = y + 0.45 - 0.2 * line as f32;
                shapes.push(Shape::Text { x: x + 0.06, y, size: 0.08, color: ink, text: text.into() });
            }
        }
        let caption =
            format!("two_step, state {}{}", ["1", "2A", "2B"][self.state as usize % 3], over(self.over));
        Scene { bounds: (-0.2, 3.7, 0.3, 3.2), background: Color(255, 255, 255), shapes, caption }
    }

    fn save(&self, out: &mut Writer) {
        out.u32(self.state);
        out.bool(self.over);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.state = from.u32()?;
        self.over = from.bool()?;
        if self.state > 2 { Err(from.error("a state is none of the three")) } else { Ok(()) }
    }
}

fn over(over: bool) -> &'static str {
    if over { ", over" } else { "" }
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    #[test]
    fn every_path_pays_what_it_should() {
        let mut rng = Stream::new(0, Purpose::Reset, 0, 0);
        for (first, second, paid) in [
            ([0, 1], [1, 1], 7.0),
            ([0, 0], [0, 1], 7.0),
            ([1, 0], [0, 0], 0.0),
            ([1, 1], [0, 1], 1.0),
            ([1, 0], [1, 0], 1.0),
            ([1, 0], [1, 1], 8.0),
        ] {
            let mut game = TwoStep::new();
            let (mut reward, mut terminated) = ([9.0; 2], [true; 2]);
            let mut play = |actions: [u32; 2]| {
                let given = Actions { discrete: &actions, continuous: &[] };
                game.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
                (reward, terminated)
            };
            assert_eq!(play(first), ([0.0; 2], [false; 2]));
            assert_eq!(play(second), ([paid; 2], [true; 2]));
        }
    }
}
