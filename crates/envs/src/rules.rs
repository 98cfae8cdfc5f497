//! Rules written once over a [`Real`], and what makes one copy of them: [`OneCopy`].
//!
//! The variables of a copy are one flat list of numbers; a batch keeps the same list with a [`crate::real::Lanes`]
//! in each place. Environments that are not numeric inside implement [`MultiAgentEnv`] directly instead.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionSpace, Actions, BatchEnv, EnvSpec, Error, GroupSpec, MultiAgentEnv, Result, RewardKind, Stream,
};

use crate::real::Real;
use crate::{LaneBatch, Vectorized};

/// Actions of all agents over a number type.
#[derive(Debug, Clone, Copy)]
pub struct ActionsOf<'a, R: Real> {
    /// One an agent, counted over all groups; unused for agents with a continuous space.
    pub discrete: &'a [R::Int],
    /// Components of all agents with a continuous space, one after the other.
    pub continuous: &'a [R],
}

/// The part of a step that [`Rules::advance`] writes.
#[derive(Debug)]
pub struct Outcome<'a, R: Real> {
    /// Reward of every agent.
    pub reward: &'a mut [R],
    /// Whether the agent's process ended in this step. Ignored for agents that were not alive.
    pub terminated: &'a mut [R::Mask],
}

/// What an environment does, free of batches, counters, streams and files.
///
/// `vars` are the variables that the next step depends on, [`Rules::n_vars`] of them; they are also the global
/// state. `advance`, `observe` must be branch-free in the values of variables.
pub trait Rules: Clone + Send + Sync + 'static {
    /// Whether the observations of all agents, one after the other, are the variables. A batch then copies rows
    /// instead of writing them twice.
    const OBSERVES_VARS: bool = false;

    /// Whether batches are compiled for AVX-512 too. It pays where many lanes are selected by masks (foraging: half as
    /// fast again); elsewhere it is about as fast as AVX2 and takes long to compile.
    const AVX512: bool = false;

    /// What the environment promises; `state_width` equals [`Rules::n_vars`].
    fn spec(&self) -> &EnvSpec;

    /// Lowers the step limit.
    fn set_limit(&mut self, limit: u32);

    /// Number of variables of one copy.
    fn n_vars(&self) -> usize;

    /// Numbers of working memory that `advance` asks for.
    fn n_scratch(&self) -> usize {
        0
    }

    /// Draws the variables of a first moment.
    fn begin(&self, rng: &mut Stream, vars: &mut [f32]);

    /// One step. Agents that are not `alive` must keep their variables.
    fn advance<R: Real>(
        &self,
        vars: &mut [R],
        alive: &[R::Mask],
        actions: ActionsOf<'_, R>,
        outcome: Outcome<'_, R>,
        scratch: &mut [R],
    );

    /// Observation of one agent.
    fn observe<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]);

    /// The agent to name when variable `var` is not finite.
    fn owner(&self, var: usize) -> usize;

    /// The moment as shapes.
    fn scene(&self, vars: &[f32], alive: &[bool], elapsed: u32) -> Scene;
}

/// One copy of an environment given by [`Rules`].
#[derive(Debug, Clone)]
pub struct OneCopy<T: Rules> {
    rules: T,
    vars: Vec<f32>,
    alive: Vec<bool>,
    elapsed: u32,
    scratch: Vec<f32>,
}

impl<T: Rules> OneCopy<T> {
    /// A copy before its first reset.
    pub fn new(rules: T) -> Self {
        let n_agents = rules.spec().n_agents();
        Self {
            vars: vec![0.0; rules.n_vars()],
            alive: vec![true; n_agents],
            elapsed: 0,
            scratch: vec![0.0; rules.n_scratch()],
            rules,
        }
    }

    /// The variables, for checks.
    pub fn vars(&self) -> &[f32] {
        &self.vars
    }
}

impl<T: Rules> MultiAgentEnv for OneCopy<T> {
    fn spec(&self) -> &EnvSpec {
        self.rules.spec()
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.rules.begin(rng, &mut self.vars);
        self.alive.fill(true);
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(self.rules.spec(), actions)?;
        let given = ActionsOf { discrete: actions.discrete, continuous: actions.continuous };
        let outcome = Outcome { reward: &mut *reward, terminated: &mut *terminated };
        self.rules.advance::<f32>(&mut self.vars, &self.alive, given, outcome, &mut self.scratch);
        let common = self.rules.spec().reward == RewardKind::Common;
        for (agent, alive) in self.alive.iter_mut().enumerate() {
            if !*alive {
                terminated[agent] = false;
                if !common {
                    reward[agent] = 0.0;
                }
            }
            *alive &= !terminated[agent];
        }
        self.elapsed += 1;
        if let Some(var) = self.vars.iter().position(|v| !v.is_finite()) {
            let (agent, value) = (self.rules.owner(var), self.vars[var]);
            return Err(Error::NonFinite { what: "state", env: 0, agent, value });
        }
        let at_limit = self.rules.spec().episode_limit.is_some_and(|limit| self.elapsed >= limit);
        Ok(at_limit && self.alive.contains(&true))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        self.rules.observe::<f32>(&self.vars, agent, obs);
    }

    fn state(&self, state: &mut [f32]) {
        state.copy_from_slice(&self.vars);
    }

    fn alive(&self, agent: usize) -> bool {
        self.alive[agent]
    }

    fn scene(&self) -> Scene {
        self.rules.scene(&self.vars, &self.alive, self.elapsed)
    }

    fn save(&self, out: &mut Writer) {
        out.f32s(&self.vars);
        out.bools(&self.alive);
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.f32s(&mut self.vars)?;
        from.bools(&mut self.alive)?;
        self.elapsed = from.u32()?;
        Ok(())
    }
}

/// `n_envs` copies of `rules`, stepped together.
///
/// # Errors
/// No copies, or too many.
pub fn batch<T: Rules>(rules: T, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    Ok(Box::new(LaneBatch::new(rules, n_envs)?))
}

/// `n_envs` single copies of `rules`, on threads: for rules that are long, and therefore slow to compile for vectors.
///
/// # Errors
/// No copies, or too many.
pub fn copies<T: Rules>(rules: T, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    Ok(Box::new(Vectorized::new(n_envs, || Ok(OneCopy::new(rules.clone())))?))
}

/// Refuses an action outside its space. The environment index of the error is 0.
///
/// # Errors
/// The first agent with such an action.
pub fn check_actions(spec: &EnvSpec, actions: Actions<'_>) -> Result<()> {
    let mut at = 0;
    for (agent, (group, _)) in spec.agents().enumerate() {
        match spec.groups[group].action {
            ActionSpace::Discrete { n } => {
                let action = actions.discrete[agent];
                if action as usize >= n {
                    return Err(Error::BadAction { env: 0, agent, action, n_actions: n });
                }
            }
            ActionSpace::Continuous { width, low, high } => {
                let given = &actions.continuous[at..at + width];
                if let Some(&value) = given.iter().find(|v| !(low..=high).contains(*v)) {
                    return Err(bad_component(0, agent, value, low, high));
                }
                at += width;
            }
        }
    }
    Ok(())
}

/// Refuses components of a group's continuous actions `[E, A, W]` that are outside their bounds; discrete groups pass.
/// `first_agent` is the number of its first agent, counted over all groups.
///
/// # Errors
/// Names environment and agent of the first one.
pub(crate) fn check_components(group: &GroupSpec, first_agent: usize, components: &[f32]) -> Result<()> {
    let ActionSpace::Continuous { width, low, high } = group.action else { return Ok(()) };
    let Some(at) = components.iter().position(|v| !(low..=high).contains(v)) else { return Ok(()) };
    let (env, agent) = (at / (group.n_agents * width), first_agent + at / width % group.n_agents);
    Err(bad_component(env, agent, components[at], low, high))
}

/// The error for a continuous action outside its bounds.
pub fn bad_component(env: usize, agent: usize, value: f32, low: f32, high: f32) -> Error {
    Error::invalid(format!(
        "action component {value} of environment {env}, agent {agent} is outside {low}..={high}; clip it"
    ))
}
