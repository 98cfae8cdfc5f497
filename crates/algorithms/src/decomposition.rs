//! Value decomposition for teams: from independent Q-learning over VDN, QMIX and QPLEX to QTRAN and weighted QMIX, with
//! feed-forward or recurrent networks, from single transitions, from sequences, or on policy without replay (PQN).
//!
//! In the names of the code, for agents `a` with values `Q_a(history, action)`, state `s`, joint action `u`:
//!
//! ```text
//! total   = sum_a Q_a                                         vdn
//!         = mixer(s, Q_1 .. Q_A), rising in every Q_a         qmix, cw-qmix, ow-qmix
//!         = sum_a w_a Q_a + V_a + sum_a advantage_a (importance_a - 1)            qplex
//! v'      = total of the target networks at the best next actions; cw-qmix, ow-qmix, qtran: Q_joint(s', u') there
//! y       = team_reward + team_discount ((1 - td_lambda) v' + td_lambda y')
//! loss    = mean loss(total - y)                              iql: for each agent, with its own reward and discount
//!         = mean weight loss(total - y) + mean loss(Q_joint(s, u) - y)            cw-qmix, ow-qmix
//!           weight = 1 where u is best or y > Q_joint(s, best u) (cw), or where total < y (ow); else wqmix_weight
//!         = mean loss(Q_joint(s, u) - y) + opt (sum_a best Q_a - Q_joint(s, best u) + V(s))^2
//!           + nopt min(sum_a Q_a - Q_joint(s, u) + V(s), 0)^2                      qtran
//! ```
//!
//! `team_discount` is gamma, or 0 where the process ended, never where a time limit struck: then the last observation
//! is valued, recurrent networks going on from the history before it. PQN learns from each rollout in `epochs` passes of
//! `minibatches` parts towards targets computed once, by the same networks.
//!
//! Sources: VDN, Sunehag et al. 2018; QMIX, Rashid et al. 2018; QPLEX, Wang et al. 2021; QTRAN, Son et al. 2019;
//! weighted QMIX, Rashid et al. 2020; PQN, Gallici et al. 2025, and its VDN form in JaxMARL (Rutherford et al. 2024);
//! recurrent replay, Hausknecht and Stone 2015, Kapturowski et al. 2019. Defaults: EPyMARL (learning rate 5e-4, hard
//! targets every 200 gradient steps, mixing embed 32, hypernetworks of two layers of 64, double Q, clipping at norm 10); for
//! PQN JaxMARL's for particle environments.
//!
//! Deviations:
//! - targets are TD(lambda) over what was really done, as in PyMARL; no correction for exploration;
//! - the unrestricted value of weighted QMIX and the joint value of QTRAN read the state and the actions (one-hot), not the
//!   agents' hidden layers; without a state all observations stand for it;
//! - QPLEX's importance heads are outputs of one network each for keys, agents and actions; as in the authors' code no
//!   gradient passes through its advantages;
//! - PQN optimizes by Adam (JaxMARL: rectified Adam) and `loss` is td^2 without 1/2, so that clipping at a norm acts at half
//!   of JaxMARL's;
//! - rewards are not standardized (EPyMARL does; the wrapper `normalize_reward` scales them);
//! - agents whose process ended, and steps that do not count, enter mixers as 0.
//!
//! Requires discrete actions, and a common reward for all but the independent learners. Tested by recorded vectors of
//! PyMARL, finite differences, matrix games with known optima, the two-step game, and the probe environments.

use std::ops::Range;

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, EnvSpec, RewardKind, StepBatch};
use coact_kernels::{Backend, NextGroup, Precision};
use coact_nets::{Init, Optimizer, Schedule};
use coact_replay::{Batch, Rollout};

use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, Named,
    SequenceLearner, TransitionLearner, UpdateStats,
};
use crate::settings::TargetRule;
use crate::{Error, Result};

mod agents;
mod on_policy;
mod rows;
mod settings;
mod team;
#[cfg(test)]
mod tests;

use agents::{Agents, Explore};
use on_policy::OnPolicy;
pub use rows::GroupValues;
pub use settings::{CellSetting, DecompositionSettings};
pub use team::{Rule, TeamStats, TeamValue};

/// How agents' values make what is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Each agent alone.
    Iql,
    /// Their sum.
    Vdn,
    /// A monotonic network.
    Qmix,
    /// A duplex dueling network.
    Qplex,
    /// A joint value that is transformed into a sum.
    Qtran,
    /// A monotonic network, centrally weighted.
    CwQmix,
    /// A monotonic network, optimistically weighted.
    OwQmix,
}

/// One entry of the family.
#[derive(Debug)]
struct Variant {
    name: &'static str,
    method: Method,
    feed: Feed,
}

impl Variant {
    fn defaults(&self) -> DecompositionSettings {
        let base = DecompositionSettings::default();
        match self.feed {
            Feed::Transitions => DecompositionSettings { hidden: vec![64, 64], ..base },
            Feed::Sequences => DecompositionSettings { cell: CellSetting::Gru, ..base },
            Feed::OnPolicy => DecompositionSettings {
                hidden: vec![256, 256],
                layer_norm: true,
                init: Init::Orthogonal,
                td_lambda: 0.3,
                epochs: 4,
                minibatches: 16,
                gradient_clipping_global_norm: Some(1.0),
                exploration_final_eps: 0.1,
                ..base
            },
        }
    }
}

/// Entries of the list of algorithms.
macro_rules! entries {
    ($($(#[$doc:meta])+ $entry:ident = $name:literal $method:ident $feed:ident, $summary:literal, $source:literal;)+) => {
        $(
            $(#[$doc])+
            pub const $entry: AlgorithmEntry = {
                const OWN: Variant = Variant { name: $name, method: Method::$method, feed: Feed::$feed };
                AlgorithmEntry {
                    name: $name,
                    summary: $summary,
                    source: $source,
                    requires: match OWN.method {
                        Method::Iql => "discrete actions",
                        _ => "discrete actions, a common reward (`common_reward = \"sum\"` makes one)",
                    },
                    feed: OWN.feed,
                    // Of networks with a memory nothing runs on matrix units.
                    fast: !matches!(OWN.feed, Feed::Sequences),
                    keys: DecompositionSettings::KEYS,
                    resolve: |settings| resolve(&OWN, settings),
                    check: |spec| check(&OWN, spec),
                    build: |context| build(&OWN, context),
                }
            };
        )+
    };
}

entries! {
    /// Monotonic mixing.
    QMIX = "qmix" Qmix Transitions,
        "monotonic mixing of the agents' values, weights from the state", "Rashid et al. 2018";
    /// Duplex dueling mixing.
    QPLEX = "qplex" Qplex Transitions,
        "duplex dueling mixing: every team value whose best actions are the agents' own", "Wang et al. 2021";
    /// Transformed joint value.
    QTRAN = "qtran" Qtran Transitions,
        "a joint value, transformed into a sum with the same best actions", "Son et al. 2019";
    /// Centrally weighted monotonic mixing.
    CW_QMIX = "cw-qmix" CwQmix Transitions,
        "monotonic mixing that weighs down joint actions worth less than the best", "Rashid et al. 2020";
    /// Optimistically weighted monotonic mixing.
    OW_QMIX = "ow-qmix" OwQmix Transitions,
        "monotonic mixing that weighs down joint actions worth less than they seem", "Rashid et al. 2020";
    /// Recurrent independent learners.
    IQL_RNN = "iql-rnn" Iql Sequences,
        "independent double Q-learning with recurrent networks, from sequences",
        "Tan 1993; Hausknecht and Stone 2015";
    /// Recurrent VDN.
    VDN_RNN = "vdn-rnn" Vdn Sequences,
        "value decomposition with recurrent networks, from sequences", "Sunehag et al. 2018";
    /// Recurrent QMIX.
    QMIX_RNN = "qmix-rnn" Qmix Sequences,
        "monotonic mixing with recurrent networks, from sequences", "Rashid et al. 2018";
    /// Recurrent QPLEX.
    QPLEX_RNN = "qplex-rnn" Qplex Sequences,
        "duplex dueling mixing with recurrent networks, from sequences", "Wang et al. 2021";
    /// Recurrent QTRAN.
    QTRAN_RNN = "qtran-rnn" Qtran Sequences,
        "a transformed joint value with recurrent networks, from sequences", "Son et al. 2019";
    /// Recurrent centrally weighted QMIX.
    CW_QMIX_RNN = "cw-qmix-rnn" CwQmix Sequences,
        "centrally weighted QMIX with recurrent networks, from sequences", "Rashid et al. 2020";
    /// Recurrent optimistically weighted QMIX.
    OW_QMIX_RNN = "ow-qmix-rnn" OwQmix Sequences,
        "optimistically weighted QMIX with recurrent networks, from sequences", "Rashid et al. 2020";
    /// Independent learners without replay.
    PQN_IQL = "pqn-iql" Iql OnPolicy,
        "independent Q(lambda) on policy, without replay or target networks", "Gallici et al. 2025";
    /// Value decomposition without replay.
    PQN_VDN = "pqn-vdn" Vdn OnPolicy,
        "value decomposition by Q(lambda) on policy, without replay or target networks",
        "Gallici et al. 2025; Rutherford et al. 2024";
}

/// Gradient steps between hard target copies where neither that nor `tau` is given (EPyMARL's 200).
const DEFAULT_TARGET_EVERY: u64 = 200;

/// Groups of agents whose next values one call takes; more are valued group by group.
const MAX_AT_ONCE: usize = 4;

fn check(variant: &Variant, spec: &EnvSpec) -> Result<()> {
    let fault =
        |reason: String| Err(Error::Unsupported { algorithm: variant.name, env: spec.name.clone(), reason });
    if let Some(group) = spec.groups.iter().find(|g| g.action.n_discrete() == 0) {
        return fault(format!("the actions of `{}` are not discrete; set `continuous` to false", group.name));
    }
    if variant.method != Method::Iql && spec.reward != RewardKind::Common {
        return fault("it needs one reward for the team; set `common_reward` to \"sum\" or \"mean\"".into());
    }
    Ok(())
}

fn resolve(variant: &Variant, settings: &serde_json::Value) -> Result<serde_json::Value> {
    crate::settings::to_map(variant.name, &DecompositionSettings::parse(variant, settings)?)
}

fn build(variant: &'static Variant, context: BuildContext<'_>) -> Result<AnyLearner> {
    check(variant, context.spec)?;
    let settings = DecompositionSettings::parse(variant, context.settings)?;
    Ok(match variant.feed {
        Feed::Transitions => {
            AnyLearner::Transitions(Box::new(DecompositionLearner::new(variant, settings, context)?))
        }
        Feed::Sequences => {
            AnyLearner::Sequences(Box::new(DecompositionLearner::new(variant, settings, context)?))
        }
        Feed::OnPolicy => AnyLearner::OnPolicy(Box::new(OnPolicy::new(variant, settings, context)?)),
    })
}

/// Networks of all agents and of the team, targets, one optimizer, exploration.
struct DecompositionLearner {
    agent_names: Vec<String>,
    agents: Agents,
    team: TeamValue,
    values: Vec<GroupValues>,
    /// The agents' parameters, then the team's.
    params: Vec<f32>,
    /// Alike; empty without target networks.
    target_params: Vec<f32>,
    grads: Vec<f32>,
    optimizer: Optimizer,
    learning_rate: Schedule,
    epsilon: Schedule,
    /// None where there are no target networks.
    target_rule: Option<TargetRule>,
    explore_seed: u64,
    backend: Backend,
    /// Transitions as a rollout of one step.
    window: Rollout,
    /// Whether the kernel `td_target` values what comes next of transitions.
    at_once: bool,
}

impl DecompositionLearner {
    fn new(variant: &Variant, settings: DecompositionSettings, context: BuildContext<'_>) -> Result<Self> {
        let BuildContext { spec, n_envs, seed, total_env_steps, total_grad_steps, backend, .. } = context;
        let agents = Agents::new(spec, n_envs, &settings)?;
        if backend.precision() == Precision::Fast && !agents.are_plain() {
            return Err(Error::NotFast { algorithm: variant.name });
        }
        let team = TeamValue::new(spec, Rule::new(variant.method, &settings), &settings)?;
        let (own, n_params) = (agents.param_count(), agents.param_count() + team.param_count());
        let mut params = vec![0.0; n_params];
        let mut index = 0;
        for group in &agents.groups {
            for set in 0..group.n_sets() {
                let params = &mut params[group.set(set)];
                group.net().init(settings.init, seed, index, params, settings.output_gain);
                index += 1;
            }
        }
        team.initialize(settings.init, seed, index, settings.mixer_gain, &mut params[own..]);
        let shifted = team.tensor_ranges().into_iter().map(|r| r.start + own..r.end + own);
        let tensors = agents.tensor_ranges().into_iter().chain(shifted).collect();
        // Independent learners are optimizers of their own, so each network has its own global norm.
        let partitions: Vec<Range<usize>> = match variant.method {
            Method::Iql => agents.networks().collect(),
            _ => std::iter::once(0..n_params).collect(),
        };
        let optimizer = Optimizer::new(settings.optimizer(), n_params, partitions, tensors)?;
        let target_rule = match (variant.feed, settings.tau, settings.target_network_update_freq) {
            (Feed::OnPolicy, _, _) => None,
            (_, Some(tau), _) => Some(TargetRule::Soft(tau)),
            (_, None, every) => Some(TargetRule::HardEvery(every.unwrap_or(DEFAULT_TARGET_EVERY))),
        };
        Ok(Self {
            agent_names: spec.agent_names(),
            values: agents.values(),
            target_params: if target_rule.is_none() { Vec::new() } else { params.clone() },
            grads: vec![0.0; n_params],
            params,
            optimizer,
            learning_rate: settings.learning_rate(total_grad_steps)?,
            epsilon: settings.epsilon(total_env_steps),
            target_rule,
            explore_seed: derive_seed(seed, Purpose::Explore, 0),
            at_once: variant.method == Method::Qmix
                && agents.groups.len() <= MAX_AT_ONCE
                && agents.groups.iter().all(agents::GroupNets::is_plain),
            agents,
            team,
            backend,
            window: Rollout::default(),
        })
    }

    /// Values of the steps of `rollout` by the learned networks; with `next` also of what follows the last step and of
    /// the last observations of truncated episodes.
    fn forward(&mut self, rollout: &Rollout, next: bool) -> Result<()> {
        for (g, (group, values)) in self.agents.groups.iter_mut().zip(&mut self.values).enumerate() {
            let params = &self.params[group.range()];
            group.forward(&mut self.backend, params, rollout, g, (true, next), &mut values.learned)?;
        }
        Ok(())
    }

    /// The same by the target networks.
    fn forward_target(&mut self, rollout: &Rollout) -> Result<()> {
        for (g, (group, values)) in self.agents.groups.iter_mut().zip(&mut self.values).enumerate() {
            let params = &self.target_params[group.range()];
            group.forward(&mut self.backend, params, rollout, g, (false, true), &mut values.target)?;
        }
        Ok(())
    }

    /// One gradient step on `rollout`.
    fn fit(&mut self, rollout: &Rollout, weight: &[f32]) -> Result<UpdateStats> {
        self.forward(rollout, true)?;
        self.forward_target(rollout)?;
        let own = self.agents.param_count();
        let Self { backend, team, values, params, target_params, grads, .. } = self;
        team.targets(backend, &target_params[own..], rollout, values)?;
        let stats = team.learn(backend, &params[own..], rollout, values, weight, &mut grads[own..])?;
        self.descend(rollout, stats)
    }

    /// [`DecompositionLearner::fit`] on transitions, where the kernel `td_target` can value what comes next. The same bits, with
    /// fewer rows through the networks.
    fn fit_transitions(&mut self, rollout: &Rollout, weight: &[f32]) -> Result<UpdateStats> {
        self.forward(rollout, false)?;
        let own = self.agents.param_count();
        let Self { backend, agents, team, values, params, target_params, grads, .. } = self;
        let n = agents.groups.len();
        let next: [Option<NextGroup<'_>>; MAX_AT_ONCE] = std::array::from_fn(|g| {
            // Places behind the last group are not read.
            let g = g.min(n - 1);
            agents.groups[g].next(params, target_params, &rollout.groups[g])
        });
        let [Some(a), Some(b), Some(c), Some(d)] = next else {
            unreachable!("all networks are feed-forward")
        };
        team.targets_of_transitions(backend, &target_params[own..], rollout, values, &[a, b, c, d][..n])?;
        let stats = team.learn(backend, &params[own..], rollout, values, weight, &mut grads[own..])?;
        self.descend(rollout, stats)
    }

    /// From the gradient with respect to the agents' values to new parameters.
    fn descend(&mut self, rollout: &Rollout, stats: TeamStats) -> Result<UpdateStats> {
        let grad_steps = self.optimizer.grad_steps;
        if !stats.loss.is_finite() {
            return Err(Error::NonFinite { what: "loss", value: stats.loss, grad_steps });
        }
        for (g, (group, values)) in self.agents.groups.iter_mut().zip(&self.values).enumerate() {
            let (params, grads) = (&self.params[group.range()], &mut self.grads[group.range()]);
            group.backward(&mut self.backend, params, rollout, g, &values.grad, grads)?;
        }
        let learning_rate = self.learning_rate.value(grad_steps);
        let (params, grads) = (&mut self.params, &mut self.grads);
        let grad_norm = self.optimizer.step(&mut self.backend, learning_rate, params, grads)?;
        Ok(UpdateStats {
            loss: stats.loss,
            grad_norm,
            learning_rate,
            target_synced: self.sync_target(),
            named: Named::new([("q_mean", stats.q_mean), ("td_abs", stats.td_abs)]),
        })
    }

    fn sync_target(&mut self) -> bool {
        let grad_steps = self.optimizer.grad_steps;
        self.target_rule.is_some_and(|rule| {
            rule.follow(grad_steps, &mut self.backend, &mut self.target_params, &self.params)
        })
    }
}

impl Learner for DecompositionLearner {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        let explore = match mode {
            ActMode::Greedy => None,
            ActMode::Explore(clock) => Some(Explore {
                epsilon: self.epsilon.value(clock.env_steps) as f32,
                seed: self.explore_seed,
                position: clock.vector_steps,
            }),
        };
        self.agents.act(&mut self.backend, &self.params, step, explore, actions)
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
    }

    fn grad_steps(&self) -> u64 {
        self.optimizer.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        self.agents.action_values(&mut self.backend, &self.params, step, group)
    }

    fn memory(&self) -> &[f32] {
        &self.agents.explore_memory
    }

    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)> {
        vec![("epsilon", self.epsilon.value(clock.env_steps))]
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        let agents = self.agents.groups.iter().flat_map(|g| (0..g.n_agents()).map(move |a| (g, a)));
        let policy = |((group, a), name): ((&agents::GroupNets, usize), &String)| {
            let shape = group.net().shape();
            let cell = shape.cell.map_or("none".into(), |c| format!("{:?} {}", c.kind, c.width));
            AgentPolicy {
                agent: name.clone(),
                tensors: group.net().to_torch(&self.params[group.set_of(a)]),
                architecture: vec![
                    ("input", shape.input.to_string()),
                    ("grid", shape.grid.as_ref().map_or("none".into(), |g| serde_json::json!(g).to_string())),
                    ("hidden", format!("{:?}", shape.encoder)),
                    ("cell", cell.to_lowercase()),
                    ("head", format!("{:?}", shape.head)),
                    ("n_actions", shape.output.to_string()),
                    ("activation", format!("{:?}", shape.activation).to_lowercase()),
                    ("layer_norm", shape.layer_norm.to_string()),
                ],
            }
        };
        agents.zip(&self.agent_names).map(policy).collect()
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.optimizer.grad_steps);
        out.f32s(&self.params);
        out.f32s(&self.target_params);
        self.optimizer.moments().iter().for_each(|m| out.f32s(m));
        out.f32s(&self.agents.explore_memory);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.optimizer.grad_steps = from.u64()?;
        from.f32s(&mut self.params)?;
        from.f32s(&mut self.target_params)?;
        for moments in self.optimizer.moments_mut() {
            from.f32s(moments)?;
        }
        from.f32s(&mut self.agents.explore_memory)?;
        Ok(())
    }
}

impl SequenceLearner for DecompositionLearner {
    fn learn(&mut self, rollout: &Rollout) -> Result<UpdateStats> {
        self.fit(rollout, &[])
    }
}

impl TransitionLearner for DecompositionLearner {
    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        let mut window = std::mem::take(&mut self.window);
        as_rollout(batch, &mut window);
        let stats = match self.at_once {
            true => self.fit_transitions(&window, &batch.weight),
            false => self.fit(&window, &batch.weight),
        };
        self.window = window;
        priority.copy_from_slice(self.team.priority());
        stats
    }
}

/// Transitions as a rollout of one step of as many environments.
fn as_rollout(batch: &Batch, out: &mut Rollout) {
    fn pair<T: Copy>(first: &[T], second: &[T], out: &mut Vec<T>) {
        out.clear();
        out.extend_from_slice(first);
        out.extend_from_slice(second);
    }
    (out.n_steps, out.n_envs) = (1, batch.size);
    out.groups.resize_with(batch.groups.len(), Default::default);
    for (to, from) in out.groups.iter_mut().zip(&batch.groups) {
        pair(&from.obs, &from.next_obs, &mut to.obs);
        pair(&from.mask, &from.next_mask, &mut to.mask);
        to.action.clone_from(&from.action);
        to.reward.clone_from(&from.reward);
        to.discount.clone_from(&from.discount);
        to.valid.clone_from(&from.valid);
    }
    pair(&batch.state, &batch.next_state, &mut out.state);
    out.is_first.clear();
    out.is_first.resize(2 * batch.size, false);
    out.team_reward.clone_from(&batch.team_reward);
    out.team_discount.clone_from(&batch.team_discount);
}
