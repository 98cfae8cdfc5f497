//! Policy gradients on policy: REINFORCE, advantage actor-critic, PPO, COMA and HAPPO for teams, one family.
//!
//! An actor gives each agent a distribution over actions; a critic values what it sees; both are trained on what the team
//! did since the last update, a rollout of T steps of B environments. In the names of the code:
//!
//! ```text
//! advantage = gae(reward, discount, value, next_value, gae_lambda)            return_steps: n-step return - value
//! target    = advantage + value                                               value_norm: normalized by running moments
//! policy    = mean of -advantage * log_prob                                   reinforce, ia2c, maa2c, coma
//!           | mean of max(-advantage * ratio, -advantage * clamp(ratio, 1 - clip_eps, 1 + clip_eps))     ippo, mappo
//! loss      = policy - ent_coef * entropy + vf_coef * max((value - target)^2, (clipped - target)^2) / 2
//! ```
//!
//! | algorithm | critic | policy loss |
//! |---|---|---|
//! | `reinforce` | none; whole episodes only, advantages are returns | log-probability |
//! | `ia2c` | each agent's own observation | log-probability |
//! | `maa2c` | state or all observations | log-probability |
//! | `ippo` | each agent's own observation | clipped surrogate |
//! | `mappo` | state or all observations, learns normalized returns | clipped surrogate |
//! | `coma` | state and the others' actions, a value for each own action | log-probability, advantage against the mean over own actions |
//! | `happo` | as mappo | clipped surrogate, agent after agent; the advantage of each is times the ratios of those before |
//!
//! A time limit does not end the process: the step before it is worth the value of the last observation ([`crate::returns`]).
//! A step in which an agent did not act counts for nothing. Old log-probabilities and values are computed again from the
//! rollout before the first gradient step, with the parameters that acted. Illegal actions are left out by selection.
//!
//! Sources: Williams 1992 (REINFORCE); Mnih et al. 2016 (A2C); Schulman et al. 2016, 2017 (GAE, PPO); de Witt et al. 2020
//! (IPPO); Yu et al. 2022 (MAPPO); Foerster et al. 2018 (COMA); Kuba et al. 2022 (HAPPO). Defaults of ippo, mappo and happo
//! are those of JaxMARL's feed-forward PPO on particle environments, of the others EPyMARL's.
//!
//! Deviations. From JaxMARL: a centralized critic sees the state once and has one output an agent, where JaxMARL repeats the
//! state for each agent and appends the agent's number (less to compute; heads share no output weights); minibatches take
//! whole steps of the team, not single agents'; advantages are normalized with Bessel's correction; orthogonal gains before
//! tanh are 5/3, not sqrt(2); mappo clips actors and critic apart, and the learning rate is 2.5e-4 for both. From EPyMARL:
//! no target critic but coma's, no standardized rewards (a wrapper does that), networks of 2 x 64 feed-forward units. From
//! Yu et al.: one update of the value moments a rollout, with all its returns. From Foerster et al.: coma's critic
//! bootstraps after the last step, where nobody has acted yet, from actions drawn for that. From Kuba et al.: environments of
//! several rewards give each agent the advantage of its own. Gaussian actions cut off at their bounds are given the density of
//! the cut value; the entropy of squashed ones is that of the Gaussian before squashing.
//!
//! Requires nothing of an environment but, for coma, discrete actions. Tested by recorded losses, returns and
//! distributions, finite differences of every gradient, the probe environments and matrix games.

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, EnvSpec, StepBatch, Stream};
use coact_kernels::{Backend, NO_ACTION};
use coact_nets::{NamedTensor, Optimizer, Schedule};
use coact_replay::Rollout;
use serde_json::Value;

use crate::decomposition::CellSetting;
use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, SequenceLearner,
    UpdateStats,
};
use crate::{Error, Result};

mod build;
mod categorical;
mod coma;
mod group;
mod head;
pub mod loss;
mod network;
mod settings;
mod train;
mod unroll;

#[cfg(test)]
mod tests;

pub use settings::{ContinuousKind, CriticInput, PolicySettings};

use build::{Block, Central};
use coma::Counterfactual;
use group::Group;
use head::Head;
use network::{Memories, Window};
use train::Shuffle;

/// Which algorithm of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Returns as advantages.
    Reinforce,
    /// Independent advantage actor-critic.
    Ia2c,
    /// Advantage actor-critic with a centralized critic.
    Maa2c,
    /// Independent PPO.
    Ippo,
    /// PPO with a centralized critic.
    Mappo,
    /// Counterfactual advantages.
    Coma,
    /// PPO agent after agent.
    Happo,
}

impl Rule {
    /// The algorithm's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reinforce => "reinforce",
            Self::Ia2c => "ia2c",
            Self::Maa2c => "maa2c",
            Self::Ippo => "ippo",
            Self::Mappo => "mappo",
            Self::Coma => "coma",
            Self::Happo => "happo",
        }
    }

    /// Whether the critic sees more than one agent does.
    fn is_centralized(self) -> bool {
        matches!(self, Self::Maa2c | Self::Mappo | Self::Coma | Self::Happo)
    }

    /// Whether the policy loss is the clipped surrogate.
    fn is_clipped(self) -> bool {
        matches!(self, Self::Ippo | Self::Mappo | Self::Happo)
    }
}

/// An entry of the list of algorithms.
macro_rules! entry {
    ($name:literal, $rule:ident, $source:literal, $requires:literal, $summary:literal) => {
        AlgorithmEntry {
            name: $name,
            summary: $summary,
            source: $source,
            requires: $requires,
            feed: Feed::OnPolicy,
            fast: false,
            keys: PolicySettings::KEYS,
            resolve: |settings| resolve(Rule::$rule, settings),
            check: |spec| check(Rule::$rule, spec),
            build: |context| build(Rule::$rule, context),
        }
    };
}

/// REINFORCE.
pub const REINFORCE: AlgorithmEntry = entry!(
    "reinforce",
    Reinforce,
    "Williams 1992",
    "episodes that fit into a rollout (`rollout_steps`)",
    "policy gradient with returns and no critic"
);
/// Independent advantage actor-critic.
pub const IA2C: AlgorithmEntry = entry!(
    "ia2c",
    Ia2c,
    "Mnih et al. 2016; Papoudakis et al. 2021",
    "nothing",
    "advantage actor-critic: every agent has a critic of its own observation"
);
/// Advantage actor-critic with a centralized critic.
pub const MAA2C: AlgorithmEntry = entry!(
    "maa2c",
    Maa2c,
    "Mnih et al. 2016; Papoudakis et al. 2021",
    "nothing",
    "advantage actor-critic with a critic that sees the state, or all observations"
);
/// Independent PPO.
pub const IPPO: AlgorithmEntry = entry!(
    "ippo",
    Ippo,
    "Schulman et al. 2017; de Witt et al. 2020",
    "nothing",
    "independent PPO: clipped policy updates, every agent has a critic of its own observation"
);
/// PPO with a centralized critic.
pub const MAPPO: AlgorithmEntry = entry!(
    "mappo",
    Mappo,
    "Yu et al. 2022",
    "nothing",
    "PPO with a critic that sees the state, or all observations, and learns normalized returns"
);
/// Counterfactual multi-agent policy gradients.
pub const COMA: AlgorithmEntry = entry!(
    "coma",
    Coma,
    "Foerster et al. 2018",
    "discrete actions",
    "counterfactual advantages: what an action adds to what the agent would have done on average"
);
/// Heterogeneous-agent PPO.
pub const HAPPO: AlgorithmEntry = entry!(
    "happo",
    Happo,
    "Kuba et al. 2022",
    "nothing",
    "PPO agent after agent: each takes into account how those before it changed"
);

fn check(rule: Rule, spec: &EnvSpec) -> Result<()> {
    if rule == Rule::Coma
        && let Some(group) = spec.groups.iter().find(|g| g.action.n_discrete() == 0)
    {
        let reason = format!("the actions of `{}` are not discrete; set `continuous` to false", group.name);
        return Err(Error::Unsupported { algorithm: rule.name(), env: spec.name.clone(), reason });
    }
    Ok(())
}

fn resolve(rule: Rule, settings: &Value) -> Result<Value> {
    crate::settings::to_map(rule.name(), &PolicySettings::parse(rule, settings)?)
}

fn build(rule: Rule, context: BuildContext<'_>) -> Result<AnyLearner> {
    Ok(AnyLearner::OnPolicy(Box::new(PolicyLearner::new(rule, context)?)))
}

/// Actors and critics of a team, trained on its own rollouts.
pub struct PolicyLearner {
    rule: Rule,
    settings: PolicySettings,
    agent_names: Vec<String>,
    groups: Vec<Group>,
    central: Central,
    blocks: Vec<Block>,
    params: Vec<f32>,
    grads: Vec<f32>,
    /// Parameters of coma's target critics, at their places among all; empty otherwise.
    target_params: Vec<f32>,
    learning_rate: Schedule,
    explore_seed: u64,
    coma: Counterfactual,
    shuffle: Shuffle,
    /// The order of agents that take turns, what those before one change for it, and log-probabilities after its turn.
    order: Shuffle,
    factor: Vec<f32>,
    log_prob: Vec<f32>,
    /// Environment steps learned from, and rollouts.
    env_steps: u64,
    rollouts: u64,
    grad_steps: u64,
    /// Recurrent states `[E, M]` of exploring and of greedy play.
    memory: Vec<f32>,
    greedy_memory: Vec<f32>,
    memory_width: usize,
    backend: Backend,
}

impl PolicyLearner {
    /// Values `[E, A]` of the observations in `step` for the agents of group `group`, on the scale of returns, as at the start
    /// of an episode. Empty where there is no critic of states (reinforce, coma).
    ///
    /// # Errors
    /// A kernel that refuses.
    pub fn state_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        let Self { groups, central, params, backend, .. } = self;
        let Group { critic, n_agents, .. } = &mut groups[group];
        let Some(critic) = critic.as_mut().filter(|_| self.rule != Rule::Coma) else { return Ok(Vec::new()) };
        let inputs = if critic.centralized { central.of_step(step) } else { step.groups[group].obs.clone() };
        let network = &mut critic.network;
        let stride = network.n_agents * network.memory_width();
        let zeros = vec![0.0; step.n_envs * stride];
        let memories = Memories { values: &zeros, stride, offset: 0 };
        let window = Window::all(step.n_envs, 1);
        let mut values = vec![0.0; step.n_envs * *n_agents];
        let n = network.net.shape().output;
        for set in 0..network.sets.len() {
            let is_first = vec![true; step.n_envs];
            network.forward(backend, params, set, &inputs, window, &is_first, memories)?;
            unroll::scatter(&mut values, network, set, n);
        }
        if let Some(norm) = &critic.norm {
            norm.denormalize(&mut values);
        }
        Ok(values)
    }

    /// Actions of one group, from `memory` `[E, M]`, which moves on.
    fn act_group(
        &mut self,
        g: usize,
        step: &StepBatch,
        clock: Option<Clock>,
        memory: &mut [f32],
        actions: &mut ActionBatch,
    ) -> Result<()> {
        let Self { groups, params, backend, explore_seed, memory_width, .. } = self;
        let group = &mut groups[g];
        let seen = &step.groups[g];
        let (head, n, n_agents) = (group.head, group.head.outputs(), group.n_agents);
        let m = group.actor.memory_width();
        for set in 0..group.actor.sets.len() {
            let memories = Memories { values: memory, stride: *memory_width, offset: group.memory_offset };
            let window = Window::all(step.n_envs, 1);
            group.actor.forward(backend, params, set, &seen.obs, window, &step.is_first, memories)?;
            let agents = group.actor.agents(set);
            let k = agents.len();
            if m > 0 {
                for (i, from) in group.actor.memory_out().chunks_exact(m).enumerate() {
                    let at = i / k * *memory_width + group.memory_offset + (agents.start + i % k) * m;
                    memory[at..at + m].copy_from_slice(from);
                }
            }
            let row_of = |i: usize| i / k * n_agents + agents.start + i % k;
            let stream = |row: usize, clock: Clock| {
                Stream::new(
                    *explore_seed,
                    Purpose::Explore,
                    (g as u32) << 24 | row as u32,
                    clock.vector_steps,
                )
            };
            let rows = (0..step.n_envs * k).map(row_of);
            if let Head::Categorical { .. } = head {
                let masks = (&seen.mask[..], group.mask_words);
                let uniform = clock.map(|clock| move |row| stream(row, clock).uniform());
                let chosen = group.rows.draw(backend, &group.actor.out, masks, rows.clone(), uniform);
                for (row, &action) in rows.zip(chosen) {
                    actions.discrete[g][row] = match action {
                        NO_ACTION if seen.alive[row] => {
                            let (env, agent) = (row / n_agents, group.first_agent + row % n_agents);
                            return Err(coact_core::Error::NoLegalAction { env, agent }.into());
                        }
                        NO_ACTION => 0,
                        action => action,
                    };
                }
                continue;
            }
            let log_std = group.log_std(params, set);
            for (row, mean) in rows.zip(group.actor.out.chunks_exact(n)) {
                let mut rng = clock.map(|clock| stream(row, clock));
                let into = &mut actions.continuous[g][row * n..(row + 1) * n];
                head.choose_continuous(mean, log_std, rng.as_mut(), into);
            }
        }
        Ok(())
    }
}

impl Learner for PolicyLearner {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        let clock = match mode {
            ActMode::Explore(clock) => Some(clock),
            ActMode::Greedy => None,
        };
        let own = |learner: &mut Self| match clock {
            Some(_) => std::mem::take(&mut learner.memory),
            None => std::mem::take(&mut learner.greedy_memory),
        };
        let mut memory = own(self);
        memory.resize(step.n_envs * self.memory_width, 0.0);
        let acted =
            (0..self.groups.len()).try_for_each(|g| self.act_group(g, step, clock, &mut memory, actions));
        match clock {
            Some(_) => self.memory = memory,
            None => self.greedy_memory = memory,
        }
        acted
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
    }

    fn grad_steps(&self) -> u64 {
        self.grad_steps
    }

    fn memory(&self) -> &[f32] {
        &self.memory
    }

    /// Probabilities `[E, A, N]` of discrete actions, or means `[E, A, W]` of continuous ones before squashing, as at the start
    /// of an episode.
    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        let Self { groups, params, backend, memory_width, .. } = self;
        let group_columns = &step.groups[group];
        let group = &mut groups[group];
        let (n, rows) = (group.head.outputs(), step.n_envs * group.n_agents);
        let zeros = vec![0.0; step.n_envs * *memory_width];
        let mut values = vec![0.0; rows * n];
        for set in 0..group.actor.sets.len() {
            let memories = Memories { values: &zeros, stride: *memory_width, offset: group.memory_offset };
            let (window, is_first) = (Window::all(step.n_envs, 1), vec![true; step.n_envs]);
            group.actor.forward(backend, params, set, &group_columns.obs, window, &is_first, memories)?;
            unroll::scatter(&mut values, &group.actor, set, n);
        }
        if let Head::Categorical { .. } = group.head {
            for (row, out) in values.chunks_exact_mut(n).enumerate() {
                let mask = &group_columns.mask[row * group.mask_words..(row + 1) * group.mask_words];
                coma::probabilities(out, mask);
            }
        }
        Ok(values)
    }

    fn gauges(&self, _clock: Clock) -> Vec<(&'static str, f64)> {
        let norms = self.groups.iter().filter_map(|g| g.critic.as_ref()?.norm.as_ref());
        let mut gauges = Vec::new();
        if let Some(norm) = norms.clone().next() {
            let (mean, variance) = norm.moments();
            gauges.extend([("value_norm_mean", mean), ("value_norm_std", variance.sqrt())]);
        }
        gauges
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        let agents = self.groups.iter().flat_map(|g| (0..g.n_agents).map(move |a| (g, a)));
        let policy = |((group, a), name): ((&Group, usize), &String)| {
            let set = a.min(group.actor.sets.len() - 1);
            let mut tensors = group.actor.net.to_torch(&self.params[group.actor.sets[set].clone()]);
            if let Some(range) = group.log_std.get(set) {
                let values = self.params[range.clone()].to_vec();
                tensors.push(NamedTensor { name: "log_std".into(), shape: vec![values.len()], values });
            }
            AgentPolicy { agent: name.clone(), tensors, architecture: group.architecture() }
        };
        agents.zip(&self.agent_names).map(policy).collect()
    }

    fn save(&self, out: &mut Writer) {
        [self.env_steps, self.rollouts, self.grad_steps].into_iter().for_each(|n| out.u64(n));
        out.f32s(&self.params);
        out.f32s(&self.target_params);
        for Block { optimizer, .. } in &self.blocks {
            out.u64(optimizer.grad_steps);
            optimizer.moments().iter().for_each(|m| out.f32s(m));
        }
        out.f32s(&self.memory);
        for critic in self.groups.iter().filter_map(|g| g.critic.as_ref()) {
            out.f32s(&critic.memory);
            critic.norm.iter().for_each(|norm| norm.save(out));
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.env_steps = from.u64()?;
        self.rollouts = from.u64()?;
        self.grad_steps = from.u64()?;
        from.f32s(&mut self.params)?;
        from.f32s(&mut self.target_params)?;
        for Block { optimizer, .. } in &mut self.blocks {
            optimizer.grad_steps = from.u64()?;
            for moments in optimizer.moments_mut() {
                from.f32s(moments)?;
            }
        }
        from.f32s(&mut self.memory)?;
        for critic in self.groups.iter_mut().filter_map(|g| g.critic.as_mut()) {
            from.f32s(&mut critic.memory)?;
            if let Some(norm) = &mut critic.norm {
                norm.load(from)?;
            }
        }
        Ok(())
    }
}

impl SequenceLearner for PolicyLearner {
    fn learn(&mut self, rollout: &Rollout) -> Result<UpdateStats> {
        self.train(rollout)
    }
}
