//! `switch_riddle`: prisoners visit a room one a day and must know when all have been there.
//!
//! # Rules
//! Each day one agent, drawn uniformly, is in the room. It reads the bit that the agent before it left, leaves a bit of
//! its own, and may tell that everybody has been there. Actions: 0 leave 0, 1 leave 1, 2 tell (leaving 0), 3 tell (leaving
//! 1); agents outside can do 0 only.
//!
//! # Parameters
//! `n_agents` (3); `max_steps` (0 for the original's `4 n - 6` days); `memory` (false): observations also hold what a
//! recurrent agent would remember.
//!
//! # Observation (2, or 4 with `memory`)
//! `in_room`, `bit` (0 outside); with `memory` `day` (share of all days) and `has_been` (in the room on an earlier day).
//! State: who is in the room, who has been there (today counts), the bit, the day.
//!
//! # Rewards and ends
//! Common: telling pays 1 if all have been there, else -1. Terminated when somebody tells, and after the last day: the days are
//! part of the riddle, so that waiting then is worth nothing. Version 1 was truncated there.
//!
//! # Returns
//! Summed over three agents: random -2.43; best 2.2222 (3 times 540/729, the chance that all come within six days), which
//! a policy of one bit reaches.
//!
//! # Origin
//! Foerster et al. 2016, "Learning to communicate with deep multi-agent reinforcement learning", section 6.1.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// Options of `switch_riddle`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchOptions {
    /// Number of prisoners.
    pub n_agents: usize,
    /// Days; 0 for `4 n_agents - 6`.
    pub max_steps: u32,
    /// Whether observations hold the day and whether the agent has been in the room.
    pub memory: bool,
}

impl Default for SwitchOptions {
    fn default() -> Self {
        Self { n_agents: 3, max_steps: 0, memory: false }
    }
}

/// `switch_riddle` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "switch_riddle",
    summary: "prisoners visit a room one a day, leave one bit, and must know when all have been there",
    origin: "Foerster et al. 2016",
    options: &[
        OptionInfo { name: "n_agents", default: "3", explain: "number of prisoners" },
        OptionInfo { name: "max_steps", default: "0", explain: "days; 0 for 4 n_agents - 6" },
        OptionInfo {
            name: "memory",
            default: "false",
            explain: "observations also hold the day and whether the agent has been in the room",
        },
    ],
    random_return: -2.43,
    best_known: Some(2.2222),
    batch: |options, n| {
        let options = parse("switch_riddle", options)?;
        Ok(Box::new(Vectorized::new(n, || Switch::new(&options))?))
    },
    single: |options| Ok(Box::new(Switch::new(&parse("switch_riddle", options)?)?)),
};

/// The riddle.
#[derive(Debug, Clone)]
pub struct Switch {
    spec: EnvSpec,
    memory: bool,
    days: u32,
    day: u32,
    inside: u32,
    bit: bool,
    /// Days on which each agent was in the room, the present one included.
    visits: Vec<u32>,
    told: bool,
}

impl Switch {
    /// Checks the options.
    ///
    /// # Errors
    /// Fewer than two agents, or too many.
    pub fn new(options: &SwitchOptions) -> Result<Self> {
        let n = options.n_agents;
        if !(2..=64).contains(&n) {
            return Err(Error::invalid(format!("switch_riddle: n_agents is {n}; use 2 to 64")));
        }
        let days = if options.max_steps > 0 { options.max_steps } else { 4 * n as u32 - 6 };
        let one = |name: &str| ObsField::new(name, 1, 0.0, 1.0);
        let mut obs = vec![one("in_room"), one("bit")];
        if options.memory {
            obs.extend([one("day"), one("has_been")]);
        }
        let action = ActionSpace::Discrete { n: 4 };
        let agent = GroupSpec { name: "agent".into(), n_agents: n, obs, action, masked: true };
        let spec = EnvSpec {
            name: "switch_riddle".into(),
            version: 2,
            groups: vec![agent],
            state_width: 2 * n + 2,
            episode_limit: Some(days),
            reward: RewardKind::Common,
        };
        let memory = options.memory;
        Ok(Self { spec, memory, days, day: 0, inside: 0, bit: false, visits: vec![0; n], told: false })
    }

    fn is_over(&self) -> bool {
        self.told || self.day >= self.days
    }

    fn enter(&mut self, rng: &mut Stream) {
        self.inside = rng.below(self.visits.len() as u32);
        self.visits[self.inside as usize] += 1;
    }
}

impl MultiAgentEnv for Switch {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        (self.day, self.bit, self.told) = (0, false, false);
        self.visits.fill(0);
        self.enter(rng);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let action = actions.discrete[self.inside as usize];
        self.told = action > 1;
        let all = !self.visits.contains(&0);
        reward.fill(match (self.told, all) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        });
        self.bit = action % 2 == 1;
        self.day += 1;
        terminated.fill(self.is_over());
        if !self.is_over() {
            self.enter(rng);
        }
        Ok(false)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        let inside = agent == self.inside as usize;
        obs[0] = f32::from(u8::from(inside));
        obs[1] = f32::from(u8::from(inside && self.bit));
        if self.memory {
            obs[2] = self.day.min(self.days) as f32 / self.days as f32;
            obs[3] = f32::from(u8::from(self.visits[agent] > u32::from(inside)));
        }
    }

    fn state(&self, state: &mut [f32]) {
        let n = self.visits.len();
        for (agent, visits) in self.visits.iter().enumerate() {
            state[agent] = f32::from(u8::from(agent == self.inside as usize));
            state[n + agent] = f32::from(u8::from(*visits > 0));
        }
        state[2 * n] = f32::from(u8::from(self.bit));
        state[2 * n + 1] = self.day.min(self.days) as f32 / self.days as f32;
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask[0] = if agent == self.inside as usize { 0b1111 } else { 0b0001 };
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.is_over()
    }

    fn scene(&self) -> Scene {
        let n = self.visits.len();
        let room = Color(240, 228, 196);
        let mut shapes = vec![Shape::Rect { x: -0.6, y: 1.0, width: 1.2, height: 1.2, color: room }];
        let bulb = if self.bit { Color(250, 200, 20) } else { Color(120, 120, 120) };
        shapes.push(Shape::Disc { x: 0.35, y: 1.95, radius: 0.14, color: bulb });
        for (agent, visits) in self.visits.iter().enumerate() {
            let inside = agent == self.inside as usize;
            let x = if inside { -0.1 } else { (agent as f32 - (n as f32 - 1.0) / 2.0) * 0.7 };
            let color = if *visits > 0 { Color(78, 154, 6) } else { Color(150, 156, 162) };
            shapes.push(Shape::Disc { x, y: if inside { 1.45 } else { 0.4 }, radius: 0.25, color });
        }
        let half = (n as f32 * 0.35 + 0.2).max(0.9);
        let told = match (self.told, self.visits.contains(&0)) {
            (false, _) => "",
            (true, false) => ", told rightly",
            (true, true) => ", told too early",
        };
        Scene {
            bounds: (-half, half, 0.0, 2.4),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("switch_riddle, day {} of {}{told}", self.day, self.days),
        }
        .with_legend(&[
            (Color(78, 154, 6), "has been in the room"),
            (Color(150, 156, 162), "not yet"),
            (Color(250, 200, 20), "bit 1"),
            (Color(120, 120, 120), "bit 0"),
        ])
    }

    fn save(&self, out: &mut Writer) {
        out.u32(self.day);
        out.u32(self.inside);
        out.bool(self.bit);
        out.u32s(&self.visits);
        out.bool(self.told);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.day = from.u32()?;
        self.inside = from.u32()?;
        self.bit = from.bool()?;
        from.u32s(&mut self.visits)?;
        self.told = from.bool()?;
        let sound = (self.inside as usize) < self.visits.len()
            && self.day < u32::MAX
            && self.visits.iter().all(|v| *v < u32::MAX);
        if sound { Ok(()) } else { Err(from.error("nobody of that number, or too many days")) }
    }
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    /// What the agent inside does, by day, whether it has been there before, and the bit: found by search, reaches the
    /// chance that all three come within six days.
    const KNOWING: [[[u32; 2]; 2]; 6] = [
        [[0, 0], [1, 0]],
        [[1, 0], [0, 0]],
        [[1, 2], [0, 1]],
        [[1, 2], [0, 1]],
        [[0, 2], [1, 0]],
        [[2, 1], [1, 0]],
    ];

    #[test]
    fn one_bit_is_enough_for_three() {
        let mut env = Switch::new(&SwitchOptions { memory: true, ..Default::default() }).unwrap();
        let n = 20_000;
        let mut sum = 0.0;
        for episode in 0..n {
            let mut rng = Stream::new(1, Purpose::Reset, 0, episode);
            env.reset(&mut rng);
            let (mut reward, mut terminated) = ([0.0; 3], [false; 3]);
            for (day, knowing) in KNOWING.iter().enumerate() {
                let mut actions = [0; 3];
                for (agent, action) in actions.iter_mut().enumerate() {
                    let mut obs = [0.0; 4];
                    env.observe(agent, &mut obs);
                    assert_eq!(obs[2], day as f32 / 6.0);
                    if obs[0] > 0.0 {
                        *action = knowing[obs[3] as usize][obs[1] as usize];
                    }
                }
                let given = Actions { discrete: &actions, continuous: &[] };
                let truncated = env.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
                assert!(!truncated, "the last day is an end of its own");
                let over = day == 5 || reward[0] != 0.0;
                assert_eq!(terminated, [over; 3]);
                if over {
                    break;
                }
            }
            sum += f64::from(reward[0]);
            assert!(reward[0] >= 0.0, "told too early");
        }
        // 540 of 729; four standard errors are 0.0124.
        assert!((sum / n as f64 - 540.0 / 729.0).abs() < 0.0124, "{}", sum / n as f64);
    }
}
