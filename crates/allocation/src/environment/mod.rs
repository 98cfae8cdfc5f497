//! An allocation problem as an environment for learners, and the value of a method's answer on the same scale.
//!
//! # Rules
//! In each step every agent waits (action 0) or takes an open task (action `1 + task`), which goes to the end of its
//! path. Of agents that want the same task one gets it, the others wait: the one that would start it first, in tables the
//! one for which it is worth most, of equals the first. A task is legal if nobody has it, the agent is able to do it in
//! time and has capacity left, and all tasks that it waits for are taken. Every plan that a method can find can be
//! built in this way.
//!
//! # Parameters
//! A [`Problem`]: a team, a table of scores, or a matrix of costs, whose rows are agents and whose columns are tasks.
//!
//! # Observation
//! `capacity_left` (share of all tasks); for a team `position` (2, in diagonals of the box around everything, from its
//! lower left corner) and `free_at` (share of the horizon: the longest way through all tasks); then for each task `legal`,
//! `appeal` (how good it is for this agent now, from 0 to 1), `rival` (the greatest appeal for anyone else), and for a team
//! `offset` (2 a task: the way there in diagonals, 0 for tasks that are taken). State: `taken` a task, then what all agents
//! see of their own: `capacity_left`, for a team `position` and `free_at`, and `appeal` a task, 0 where illegal.
//!
//! # Rewards and ends
//! Common, and they sum to the value of the plan: for the goal `reward` the discounted rewards as a share of all; for a
//! table of scores the scores as a share of the sum over tasks of the best score; for `travel`, `makespan` and costs the number of
//! tasks done, less travel, makespan or cost above the least, as a share of a bound of it, so that one more task always counts
//! more. Terminated when everybody waits or nobody has a legal task.
//!
//! # Returns
//! Of a random policy and the best known: in the list of environments, for its default problem.

mod picture;
mod work;

use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error as CoreError, GroupSpec, MultiAgentEnv, ObsField, RewardKind, Stream,
};

use crate::Result;
use crate::input::Problem;
use crate::methods::Allocation;
use work::{Prospect, Work};

/// The value of an allocation, as the return of an episode that builds it (see the module).
///
/// # Errors
/// A problem that is no environment, an allocation of another problem or one that breaks its rules.
pub fn value(problem: &Problem, allocation: &Allocation) -> Result<f64> {
    Work::new(problem)?.value(allocation)
}

/// Agents that take tasks.
#[derive(Debug, Clone)]
pub struct AllocationEnv {
    spec: EnvSpec,
    work: Work,
    names: Arc<[String]>,
    /// Who has each task.
    owners: Vec<Option<usize>>,
    starts: Vec<Option<f64>>,
    /// Last task, number of tasks and time of leisure of each agent.
    last: Vec<Option<usize>>,
    counts: Vec<usize>,
    free_at: Vec<f64>,
    makespan: f64,
    /// Awards in their order: agent, task.
    awards: Vec<(u32, u32)>,
    ended: bool,
    /// What each agent could take now, `[agent][task]`.
    prospects: Vec<Option<Prospect>>,
    /// Who wants each task in this step.
    claims: Vec<Option<usize>>,
}

impl AllocationEnv {
    /// An environment of a problem.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for problems of other kinds, without agents or tasks, or with too many of both.
    pub fn new(problem: &Problem) -> Result<Self> {
        let work = Work::new(problem)?;
        let (n_agents, n_tasks) = (work.n_agents(), work.n_tasks());
        let names = match problem {
            Problem::Team(team) => team.tasks().iter().map(|task| task.name.clone()).collect(),
            _ => (0..n_tasks).map(|task| task.to_string()).collect(),
        };
        let mut env = Self {
            spec: spec(&work),
            names,
            owners: vec![None; n_tasks],
            starts: vec![None; n_tasks],
            last: vec![None; n_agents],
            counts: vec![0; n_agents],
            free_at: vec![0.0; n_agents],
            makespan: 0.0,
            awards: Vec::with_capacity(n_tasks),
            ended: false,
            prospects: vec![None; n_agents * n_tasks],
            claims: vec![None; n_tasks],
            work,
        };
        env.begin();
        Ok(env)
    }

    /// Tasks of each agent in the order in which it does them.
    pub fn paths(&self) -> Vec<Vec<usize>> {
        let mut paths = vec![Vec::new(); self.counts.len()];
        self.awards.iter().for_each(|&(agent, task)| paths[agent as usize].push(task as usize));
        paths
    }

    fn begin(&mut self) {
        self.owners.fill(None);
        self.starts.fill(None);
        self.last.fill(None);
        self.counts.fill(0);
        self.free_at.fill(0.0);
        self.makespan = 0.0;
        self.awards.clear();
        self.ended = false;
        self.look();
    }

    /// Looks anew at what each agent could take.
    fn look(&mut self) {
        let n_tasks = self.owners.len();
        for (at, prospect) in self.prospects.iter_mut().enumerate() {
            let (agent, task) = (at / n_tasks, at % n_tasks);
            let is_open = self.owners[task].is_none() && self.counts[agent] < self.work.capacity(agent);
            let (from, time) = (self.last[agent], self.free_at[agent]);
            let look = || self.work.prospect(agent, from, time, task, &self.starts);
            *prospect = if is_open { look() } else { None };
        }
    }

    fn prospect(&self, agent: usize, task: usize) -> Option<Prospect> {
        self.prospects[agent * self.owners.len() + task]
    }

    /// Gives a task to an agent; returns what that adds to the value.
    fn award(&mut self, agent: usize, task: usize, start: f64) -> f64 {
        let gain = self.work.gain(agent, self.last[agent], task, start, self.makespan);
        self.owners[task] = Some(agent);
        self.starts[task] = Some(start);
        self.last[agent] = Some(task);
        self.counts[agent] += 1;
        self.free_at[agent] = self.work.end(task, start);
        self.makespan = self.makespan.max(self.free_at[agent]);
        self.awards.push((agent as u32, task as u32));
        gain
    }

    /// Notes the agent's wish for a task, unless somebody goes before it.
    fn claim(&mut self, agent: usize, task: usize) -> coact_core::Result<()> {
        let Some(wish) = self.prospect(agent, task) else {
            let action = task + 1;
            let text = format!("action {action} of agent {agent} is illegal now; choose by its mask");
            return Err(CoreError::invalid(text));
        };
        let rival = self.claims[task].and_then(|other| self.prospect(other, task));
        if rival.is_none_or(|rival| wish.rank < rival.rank) {
            self.claims[task] = Some(agent);
        }
        Ok(())
    }

    fn share_left(&self, agent: usize) -> f32 {
        (self.work.capacity(agent) - self.counts[agent]) as f32 / self.owners.len() as f32
    }

    /// Where an agent is and when it is free, in diagonals and horizons.
    fn whereabouts(&self, agent: usize) -> Option<[f32; 3]> {
        let Work::Team(course) = &self.work else { return None };
        let robot = course.team.robots()[agent].position;
        let at = self.last[agent].map_or(robot, |task| course.team.tasks()[task].position);
        let [x, y] = [0, 1].map(|k| ((at[k] - course.corner[k]) / course.diagonal) as f32);
        Some([x, y, (self.free_at[agent] / course.horizon.max(1e-9)) as f32])
    }
}

fn spec(work: &Work) -> EnvSpec {
    let (n_agents, n_tasks) = (work.n_agents(), work.n_tasks());
    let share = |name: &str, width: usize| ObsField::new(name, width, 0.0, 1.0);
    let is_team = matches!(work, Work::Team(_));
    let mut obs = vec![share("capacity_left", 1)];
    if is_team {
        obs.extend([share("position", 2), share("free_at", 1)]);
    }
    obs.extend([share("legal", n_tasks), share("appeal", n_tasks), share("rival", n_tasks)]);
    if is_team {
        obs.push(ObsField::new("offset", 2 * n_tasks, -1.0, 1.0));
    }
    let own = if is_team { 4 } else { 1 };
    let group = GroupSpec {
        name: "agent".into(),
        n_agents,
        obs,
        action: ActionSpace::Discrete { n: n_tasks + 1 },
        masked: true,
    };
    EnvSpec {
        name: "allocation".into(),
        version: 1,
        groups: vec![group],
        state_width: n_tasks + n_agents * (own + n_tasks),
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

impl MultiAgentEnv for AllocationEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        self.begin();
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> coact_core::Result<bool> {
        let n_tasks = self.owners.len();
        self.claims.fill(None);
        for (agent, &action) in actions.discrete.iter().enumerate() {
            if action as usize > n_tasks {
                let n_actions = n_tasks + 1;
                return Err(CoreError::BadAction { env: 0, agent, action, n_actions });
            }
            if let Some(task) = (action as usize).checked_sub(1) {
                self.claim(agent, task)?;
            }
        }
        let mut gain = 0.0;
        let mut n_awards = 0;
        for task in 0..n_tasks {
            let Some(agent) = self.claims[task] else { continue };
            let Some(prospect) = self.prospect(agent, task) else { continue };
            gain += self.award(agent, task, prospect.start);
            n_awards += 1;
        }
        self.look();
        self.ended = n_awards == 0 || self.prospects.iter().all(Option::is_none);
        reward.fill(gain as f32);
        terminated.fill(self.ended);
        Ok(false)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        let n_tasks = self.owners.len();
        obs[0] = self.share_left(agent);
        let whereabouts = self.whereabouts(agent);
        let mut at = 1;
        if let Some(own) = whereabouts {
            obs[at..at + 3].copy_from_slice(&own);
            at += 3;
        }
        for task in 0..n_tasks {
            let own = self.prospect(agent, task);
            let others = (0..self.counts.len()).filter(|&other| other != agent);
            let rivals = others.filter_map(|other| self.prospect(other, task)).map(|p| p.appeal);
            obs[at + task] = f32::from(u8::from(own.is_some()));
            obs[at + n_tasks + task] = own.map_or(0.0, |p| p.appeal as f32);
            obs[at + 2 * n_tasks + task] = rivals.fold(0.0, f64::max) as f32;
        }
        let (Work::Team(course), Some([x, y, _])) = (&self.work, whereabouts) else { return };
        for task in 0..n_tasks {
            let position = course.team.tasks()[task].position;
            let [dx, dy] = [(0, x), (1, y)].map(|(k, own)| {
                let there = ((position[k] - course.corner[k]) / course.diagonal) as f32;
                if self.owners[task].is_none() { there - own } else { 0.0 }
            });
            obs[at + 3 * n_tasks + 2 * task] = dx;
            obs[at + 3 * n_tasks + 2 * task + 1] = dy;
        }
    }

    fn state(&self, state: &mut [f32]) {
        let n_tasks = self.owners.len();
        let (taken, mut rest) = state.split_at_mut(n_tasks);
        let is_taken = self.owners.iter().map(|owner| f32::from(u8::from(owner.is_some())));
        taken.iter_mut().zip(is_taken).for_each(|(out, taken)| *out = taken);
        for agent in 0..self.counts.len() {
            let whereabouts = self.whereabouts(agent);
            let (own, tail) = rest.split_at_mut(if whereabouts.is_some() { 4 } else { 1 });
            own[0] = self.share_left(agent);
            if let Some(whereabouts) = whereabouts {
                own[1..].copy_from_slice(&whereabouts);
            }
            let (appeals, tail) = tail.split_at_mut(n_tasks);
            for (task, appeal) in appeals.iter_mut().enumerate() {
                *appeal = self.prospect(agent, task).map_or(0.0, |p| p.appeal as f32);
            }
            rest = tail;
        }
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask.fill(0);
        mask[0] = 1;
        for task in (0..self.owners.len()).filter(|&task| self.prospect(agent, task).is_some()) {
            mask[(task + 1) / 32] |= 1 << ((task + 1) % 32);
        }
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.ended
    }

    fn scene(&self) -> Scene {
        picture::scene(self)
    }

    fn save(&self, out: &mut Writer) {
        out.bool(self.ended);
        out.u32(self.awards.len() as u32);
        for &(agent, task) in &self.awards {
            out.u32(agent);
            out.u32(task);
        }
    }

    /// Gives the tasks out again in their order, so that no state is taken over that cannot be reached.
    fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        let ended = from.bool()?;
        let n_awards = from.u32()?;
        self.begin();
        for _ in 0..n_awards {
            let (agent, task) = (from.u32()? as usize, from.u32()? as usize);
            let is_there = agent < self.counts.len() && task < self.owners.len();
            let Some(prospect) = is_there.then(|| self.prospect(agent, task)).flatten() else {
                return Err(from.error("a task is given to somebody who cannot take it"));
            };
            self.award(agent, task, prospect.start);
            self.look();
        }
        self.ended = ended;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
