//! `levers`: agents drawn from a pool each pull a lever; they are paid for different levers.
//!
//! # Rules
//! Each episode `n_levers` agents are drawn from a pool of `n_pool`. Each sees only its own number and pulls one of
//! `n_levers` levers, all at once. Without a channel the best that all can do is to split the pool evenly over the levers.
//!
//! # Parameters
//! `n_levers` (5), `n_pool` (500).
//!
//! # Observation (`n_pool` an agent)
//! `id`: one-hot of its number in the pool. State: the numbers of all agents, as shares of the pool.
//!
//! # Rewards and ends
//! Common: different levers that were pulled / `n_levers`. Terminated after one step.
//!
//! # Returns
//! Summed over five agents: random 3.3616 (5 times 1 - 0.8^5), best 5 (the agents' rank by number is their lever).
//!
//! # Origin
//! Sukhbaatar et al. 2016, "Learning multiagent communication with backpropagation" (CommNet), section 4.1.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// Options of `levers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeversOptions {
    /// Number of levers, and of agents that act.
    pub n_levers: usize,
    /// Number of agents that they are drawn from.
    pub n_pool: usize,
}

impl Default for LeversOptions {
    /// The values of the CommNet paper.
    fn default() -> Self {
        Self { n_levers: 5, n_pool: 500 }
    }
}

/// `levers` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "levers",
    summary: "agents drawn from a pool each pull a lever and are paid for different ones",
    origin: "Sukhbaatar et al. 2016 (CommNet)",
    options: &[
        OptionInfo { name: "n_levers", default: "5", explain: "number of levers, and of agents that act" },
        OptionInfo { name: "n_pool", default: "500", explain: "number of agents that they are drawn from" },
    ],
    random_return: 3.3616,
    best_known: Some(5.0),
    batch: |options, n| {
        let options = parse("levers", options)?;
        Ok(Box::new(Vectorized::new(n, || Levers::new(&options))?))
    },
    single: |options| Ok(Box::new(Levers::new(&parse("levers", options)?)?)),
};

/// The game.
#[derive(Debug, Clone)]
pub struct Levers {
    spec: EnvSpec,
    n_pool: usize,
    ids: Vec<u32>,
    pulled: Vec<u32>,
    over: bool,
}

impl Levers {
    /// Checks the options.
    ///
    /// # Errors
    /// No levers, too many, or a pool that is too small or too large.
    pub fn new(options: &LeversOptions) -> Result<Self> {
        let LeversOptions { n_levers, n_pool } = *options;
        if !(1..=64).contains(&n_levers) || !(n_levers..=10_000).contains(&n_pool) {
            return Err(Error::invalid(format!(
                "levers: n_levers is {n_levers} and n_pool {n_pool}; use 1 to 64 levers and a pool of n_levers to 10000"
            )));
        }
        let agent = GroupSpec {
            name: "agent".into(),
            n_agents: n_levers,
            obs: vec![ObsField::new("id", n_pool, 0.0, 1.0)],
            action: ActionSpace::Discrete { n: n_levers },
            masked: false,
        };
        let spec = EnvSpec {
            name: "levers".into(),
            version: 1,
            groups: vec![agent],
            state_width: n_levers,
            episode_limit: None,
            reward: RewardKind::Common,
        };
        Ok(Self { spec, n_pool, ids: vec![0; n_levers], pulled: vec![0; n_levers], over: false })
    }
}

impl Levers {
    /// Different levers that were pulled.
    fn n_pulled(&self) -> usize {
        (0..self.pulled.len() as u32).filter(|lever| self.pulled.contains(lever)).count()
    }
}

impl MultiAgentEnv for Levers {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        for i in 0..self.ids.len() {
            self.ids[i] = loop {
                let id = rng.below(self.n_pool as u32);
                if !self.ids[..i].contains(&id) {
                    break id;
                }
            };
        }
        self.over = false;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        self.pulled.copy_from_slice(actions.discrete);
        reward.fill(self.n_pulled() as f32 / self.pulled.len() as f32);
        terminated.fill(true);
        self.over = true;
        Ok(false)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[self.ids[agent] as usize] = 1.0;
    }

    fn state(&self, state: &mut [f32]) {
        state.iter_mut().zip(&self.ids).for_each(|(s, id)| *s = *id as f32 / self.n_pool as f32);
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.over
    }

    fn scene(&self) -> Scene {
        let n = self.ids.len() as f32;
        let mut shapes = Vec::new();
        for (i, id) in self.ids.iter().enumerate() {
            let x = i as f32 + 0.5;
            let (ink, lever) = (Color(30, 30, 30), Color(150, 156, 162));
            shapes.push(Shape::Line { from: (x, 0.2), to: (x, 1.0), width: 0.08, color: lever });
            shapes.push(Shape::Disc { x, y: 1.0, radius: 0.12, color: lever });
            shapes.push(Shape::Disc { x, y: 2.4, radius: 0.3, color: Color(52, 101, 164) });
            let text = format!("{id}");
            let left = x - 0.07 * text.len() as f32;
            shapes.push(Shape::Text { x: left, y: 2.33, size: 0.16, color: Color(255, 255, 255), text });
            if self.over {
                let to = (self.pulled[i] as f32 + 0.5, 1.1);
                shapes.push(Shape::Line { from: (x, 2.1), to, width: 0.05, color: ink });
            }
        }
        Scene {
            bounds: (-0.1, n + 0.1, 0.0, 3.0),
            background: Color(255, 255, 255),
            shapes,
            caption: match self.over {
                true => format!("levers, {} of {} pulled", self.n_pulled(), self.ids.len()),
                false => "levers, before the pull".into(),
            },
        }
        .with_legend(&[(Color(52, 101, 164), "agent and its number"), (Color(150, 156, 162), "lever")])
    }

    fn save(&self, out: &mut Writer) {
        out.u32s(&self.ids);
        out.u32s(&self.pulled);
        out.bool(self.over);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.u32s(&mut self.ids)?;
        from.u32s(&mut self.pulled)?;
        self.over = from.bool()?;
        let sound = self.ids.iter().all(|id| (*id as usize) < self.n_pool)
            && self.pulled.iter().all(|lever| (*lever as usize) < self.ids.len());
        if sound { Ok(()) } else { Err(from.error("an agent or a lever does not exist")) }
    }
}
