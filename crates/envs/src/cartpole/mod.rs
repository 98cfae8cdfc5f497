//! `cartpole`: N carts, each balancing a pole; side by side, or coupled by springs.
//!
//! # Rules
//! The dynamics of Gymnasium 1.4.0 `CartPole-v1` (Barto, Sutton, Anderson 1983): gravity 9.8, cart 1.0 kg, pole
//! 0.1 kg and half-length 0.5 m, a push of 10 N left (action 0) or right (action 1), explicit Euler steps of
//! 0.02 s in which positions move with the old velocities. Each cart has a track of its own; positions are
//! measured from its middle. A pole has fallen when |x| > 2.4 or |angle| > 12 degrees (strict).
//!
//! * `coupling = "none"`: N independent carts. The agent of a fallen pole is no longer alive: its observation
//!   freezes and its reward is 0. The episode ends when all poles have fallen.
//! * `coupling = "spring"`: neighbors are joined by a spring and a damper whose rest length is the initial
//!   spacing of the tracks, so that the force on cart i from j is `stiffness (x_j - x_i) + damping (v_j - v_i)`.
//!   One common reward; the episode ends when any pole falls. With zero stiffness and damping the dynamics are
//!   those of independent carts, bit for bit.
//!
//! # Parameters
//! `n_agents` (2), `coupling` ("none"), `stiffness` in N/m (2), `damping` in N s/m (0.5), `max_steps` (500).
//!
//! # Observation (4 an agent)
//! `position` of the cart in m, `velocity` in m/s, `angle` of the pole in rad, `angular_velocity` in rad/s. As in
//! Gymnasium the position keeps to +-4.8 and the angle to +-0.418; velocities have no bound.
//! Global state: the observations of all agents, frozen ones included.
//!
//! # Rewards and ends
//! 1 for every step including the one in which the pole falls. The time limit truncates. Every variable starts
//! uniform in +-0.05.
//!
//! # Returns
//! Summed over two independent agents, 500 steps: random policy 44.4, best 1000.

pub mod batch;
pub mod physics;

use coact_core::scene::{Color, Scene, Shape};
use coact_core::{ActionSpace, BatchEnv, EnvSpec, Error, GroupSpec, ObsField, Result, RewardKind, Stream};
use serde::{Deserialize, Serialize};

use self::batch::CartPoleBatch;
use self::physics::{CartPolePhysics, Integrator};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, ActionsOf, OneCopy, Outcome, Rules};

/// How the carts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coupling {
    /// Not at all; every agent has its own reward and its own end.
    None,
    /// By a spring and a damper between neighbors; one reward, one end.
    Spring,
}

/// Options of `cartpole`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CartPoleOptions {
    /// Number of carts.
    pub n_agents: usize,
    /// How they are joined.
    pub coupling: Coupling,
    /// Spring constant in N/m; used by `spring`.
    pub stiffness: f64,
    /// Damping constant in N s/m; used by `spring`.
    pub damping: f64,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for CartPoleOptions {
    /// Two carts as in the usual two-agent loop; 500 steps as in CartPole-v1; a spring that a cart feels (0.1 m
    /// give 2 % of its push) without making the task impossible.
    fn default() -> Self {
        Self { n_agents: 2, coupling: Coupling::None, stiffness: 2.0, damping: 0.5, max_steps: 500 }
    }
}

/// `cartpole` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "cartpole",
    summary: "N carts balance a pole each, side by side or joined by springs",
    origin: "Gymnasium 1.4.0 CartPole-v1; Barto, Sutton and Anderson 1983",
    options: &[
        OptionInfo { name: "n_agents", default: "2", explain: "number of carts" },
        OptionInfo {
            name: "coupling",
            default: "\"none\"",
            explain: "`none`: independent carts; `spring`: neighbors joined, one reward, one end",
        },
        OptionInfo { name: "stiffness", default: "2.0", explain: "spring constant in N/m" },
        OptionInfo { name: "damping", default: "0.5", explain: "damping constant in N s/m" },
        OptionInfo {
            name: "max_steps",
            default: "500",
            explain: "steps after which an episode is truncated",
        },
    ],
    random_return: 44.4,
    best_known: Some(1000.0),
    batch: |options, n| batch(CartPole::new(&parse("cartpole", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(CartPole::new(&parse("cartpole", options)?)?))),
};

/// The fastest form for the coupling.
fn batch(rules: CartPole, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    match rules.coupling {
        Coupling::None => Ok(Box::new(CartPoleBatch::new(rules, n_envs)?)),
        Coupling::Spring => rules::batch(rules, n_envs),
    }
}

/// The rules of `cartpole`.
#[derive(Debug, Clone)]
pub struct CartPole {
    spec: EnvSpec,
    physics: CartPolePhysics,
    coupling: Coupling,
    stiffness: f64,
    damping: f64,
}

impl CartPole {
    /// Checks the options.
    ///
    /// # Errors
    /// No agents, too many, no steps, or a constant that is negative or not finite.
    pub fn new(options: &CartPoleOptions) -> Result<Self> {
        let CartPoleOptions { n_agents, coupling, stiffness, damping, max_steps } = options.clone();
        if !(1..=1024).contains(&n_agents) {
            return Err(Error::invalid(format!("cartpole: n_agents is {n_agents}; use 1 to 1024")));
        }
        if max_steps == 0 {
            return Err(Error::invalid("cartpole: max_steps is 0; use at least 1"));
        }
        for (name, value) in [("stiffness", stiffness), ("damping", damping)] {
            if !(0.0..=1e6).contains(&value) {
                return Err(Error::invalid(format!("cartpole: {name} is {value}; use 0 to 1e6")));
            }
        }
        let spring = coupling == Coupling::Spring;
        let bound = |limit: f32| if spring { f32::INFINITY } else { limit };
        let obs = vec![
            ObsField::new("position", 1, -bound(4.8), bound(4.8)),
            ObsField::unbounded("velocity", 1),
            ObsField::new("angle", 1, -bound(0.418_879_03), bound(0.418_879_03)),
            ObsField::unbounded("angular_velocity", 1),
        ];
        let action = ActionSpace::Discrete { n: 2 };
        let group = GroupSpec { name: "cart".into(), n_agents, obs, action, masked: false };
        let spec = EnvSpec {
            name: "cartpole".into(),
            version: 1,
            groups: vec![group],
            state_width: 4 * n_agents,
            episode_limit: Some(max_steps),
            reward: if spring { RewardKind::Common } else { RewardKind::PerAgent },
        };
        let physics = CartPolePhysics { integrator: Integrator::Euler };
        Ok(Self { spec, physics, coupling, stiffness, damping })
    }

    /// The same rules with another integrator, for comparison with traces.
    pub(crate) fn with_integrator(mut self, integrator: Integrator) -> Self {
        self.physics.integrator = integrator;
        self
    }

    /// Force of the springs on cart `agent`; `vars` hold the moment before the step.
    #[inline(always)]
    fn spring<R: Real>(&self, vars: &[R], agent: usize) -> R {
        let mut force = R::of(0.0);
        if agent > 0 {
            force = force + self.pull(vars, agent, agent - 1);
        }
        if 4 * (agent + 1) < vars.len() {
            force = force + self.pull(vars, agent, agent + 1);
        }
        force
    }

    /// Force towards cart `other`.
    #[inline(always)]
    fn pull<R: Real>(&self, vars: &[R], agent: usize, other: usize) -> R {
        let stretch = vars[4 * other] - vars[4 * agent];
        let stretching = vars[4 * other + 1] - vars[4 * agent + 1];
        R::of(self.stiffness) * stretch + R::of(self.damping) * stretching
    }
}

/// 10 N to the right for action 1, to the left for action 0.
#[inline(always)]
fn push<R: Real>(action: R::Int) -> R {
    R::select(R::is(action, 1), R::of(10.0), R::of(-10.0))
}

impl Rules for CartPole {
    const OBSERVES_VARS: bool = true;

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
        self.spec.groups[0].n_agents
    }

    fn begin(&self, rng: &mut Stream, vars: &mut [f32]) {
        vars.iter_mut().for_each(|v| *v = rng.range(-0.05, 0.05));
    }

    #[inline(always)]
    fn advance<R: Real>(
        &self,
        vars: &mut [R],
        alive: &[R::Mask],
        actions: ActionsOf<'_, R>,
        outcome: Outcome<'_, R>,
        scratch: &mut [R],
    ) {
        if self.coupling == Coupling::None {
            for (agent, now) in vars.chunks_exact_mut(4).enumerate() {
                let next =
                    self.physics.step([now[0], now[1], now[2], now[3]], push::<R>(actions.discrete[agent]));
                outcome.reward[agent] = R::select(alive[agent], R::of(1.0), R::of(0.0));
                outcome.terminated[agent] = R::and(alive[agent], CartPolePhysics::fallen(next));
                for (v, n) in now.iter_mut().zip(next) {
                    *v = R::select(alive[agent], n, *v);
                }
            }
            return;
        }
        for (agent, force) in scratch.iter_mut().enumerate() {
            *force = push::<R>(actions.discrete[agent]) + self.spring(vars, agent);
        }
        let mut any = R::mask_of(false);
        for (now, force) in vars.chunks_exact_mut(4).zip(scratch) {
            let next = self.physics.step([now[0], now[1], now[2], now[3]], *force);
            any = R::or(any, CartPolePhysics::fallen(next));
            now.copy_from_slice(&next);
        }
        outcome.reward.fill(R::of(1.0));
        outcome.terminated.fill(any);
    }

    #[inline(always)]
    fn observe<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        obs.copy_from_slice(&vars[4 * agent..4 * agent + 4]);
    }

    fn owner(&self, var: usize) -> usize {
        var / 4
    }

    fn scene(&self, vars: &[f32], alive: &[bool], elapsed: u32) -> Scene {
        let n = alive.len();
        let mut shapes = Vec::new();
        let (rail, cart, pole) = (Color(150, 150, 150), Color(40, 60, 90), Color(200, 120, 50));
        let colors = [Color(52, 101, 164), Color(78, 154, 6), Color(117, 80, 123), Color(193, 125, 17)];
        let base = |agent: usize| 1.9 * (n - 1 - agent) as f32;
        for (agent, now) in vars.chunks_exact(4).enumerate() {
            let (x, y) = (now[0], base(agent));
            shapes.push(Shape::Line { from: (-2.4, y), to: (2.4, y), width: 0.02, color: rail });
            let body = if alive[agent] { colors[agent % colors.len()] } else { Color(190, 190, 190) };
            shapes.push(Shape::Rect { x: x - 0.25, y: y - 0.1, width: 0.5, height: 0.2, color: body });
            let (sin, cos) = coact_core::math::sin_cos_f32(now[2]);
            let tip = (x + sin, y + 0.1 + cos);
            shapes.push(Shape::Line { from: (x, y + 0.1), to: tip, width: 0.08, color: pole });
            shapes.push(Shape::Disc { x, y: y + 0.1, radius: 0.05, color: cart });
            if self.coupling == Coupling::Spring && agent + 1 < n {
                let other = (vars[4 * agent + 4], base(agent + 1));
                shapes.push(Shape::Line { from: (x, y), to: other, width: 0.03, color: Color(204, 0, 0) });
            }
        }
        let up = alive.iter().filter(|a| **a).count();
        Scene {
            bounds: (-2.6, 2.6, -0.3, 1.9 * n as f32 - 0.4),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("cartpole, step {elapsed}, {up} of {n} poles up"),
        }
        .with_legend(&[(pole, "pole"), (Color(190, 190, 190), "cart that is out")])
    }
}
