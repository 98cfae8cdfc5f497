//! Divided teams: each part of an environment's groups learns by an algorithm of its own, or stays as it was when it
//! stopped learning. For adversarial tasks: chasers learn by one algorithm, prey by another.
//!
//! A part's learner sees an environment that consists of its groups alone, with the whole global state. Every gradient
//! step of the run is one of every part that learns at the time. Parts learn from transitions: the algorithms of all
//! parts must be fed with those. Columns of the parts' groups are copied out of steps and batches into columns that
//! each part keeps, so nothing is allocated after warm-up.
//!
//! Not here: learning rules; groups that follow a script or a policy of another run (the environment's wrappers).
//!
//! Source: independent learning between parts, Tan 1993; within a part, its algorithm's. Requires every group in one
//! part exactly. Tested by comparing parts with runs of their own algorithms.

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, EnvSpec, GroupStep, RewardKind, StepBatch};
use coact_kernels::{Backend, CpuOptions};
use coact_replay::{Batch, GroupColumns};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, TransitionLearner,
    UpdateStats,
};
use crate::{Error, Result};

/// Who plays a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Names of its groups.
    pub groups: Vec<String>,
    /// An algorithm that learns from transitions.
    pub algorithm: String,
    /// The algorithm's own settings.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Whether its agents are all paid the mean of what they earn.
    #[serde(default)]
    pub common_reward: bool,
    /// Gradient steps of the run before the part begins to learn.
    #[serde(default)]
    pub learn_from: u64,
    /// Gradient steps of the run after which it stays as it is; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_until: Option<u64>,
}

coact_core::settings! {
    /// Settings of a divided team.
    pub struct DividedSettings {
        /// The parts: tables of `groups`, `algorithm` and, if wanted, `settings` of the algorithm, `common_reward`
        /// (true pays the part's agents the mean of what they earn), `learn_from` and `learn_until` (gradient steps of
        /// the run).
        parts: Vec<Part> = Vec::new(),
    }
}

/// A learner for every part.
pub const DIVIDED: AlgorithmEntry = AlgorithmEntry {
    name: "divided",
    summary: "parts of the team (`parts`) learn by different algorithms, or only for a while",
    source: "independent learning between parts, Tan 1993",
    requires: "every group in one part",
    feed: Feed::Transitions,
    fast: false,
    keys: DividedSettings::KEYS,
    resolve,
    check: |_| Ok(()),
    build: |context| Ok(AnyLearner::Transitions(Box::new(Divided::new(context)?))),
};

const NAME: &str = "divided";

fn fault(reason: String) -> Error {
    Error::Settings { algorithm: NAME, reason }
}

fn resolve(settings: &Value) -> Result<Value> {
    let mut settings: DividedSettings = crate::settings::parse(NAME, settings)?;
    for part in &mut settings.parts {
        let entry = entry_of(part)?;
        // Files and shells write an absent value as a word, which for other keys is a choice.
        for key in entry.keys.iter().filter(|key| key.kind.starts_with("Option")) {
            for name in std::iter::once(&key.name).chain(key.aliases) {
                part.settings
                    .get_mut(*name)
                    .filter(|v| **v == "none")
                    .into_iter()
                    .for_each(|v| *v = Value::Null);
            }
        }
        if let Value::Object(all) = (entry.resolve)(&Value::Object(part.settings.clone()))? {
            part.settings = all;
        }
    }
    crate::settings::to_map(NAME, &settings)
}

fn entry_of(part: &Part) -> Result<&'static AlgorithmEntry> {
    let entry = crate::find(&part.algorithm)?;
    if entry.feed != Feed::Transitions || entry.name == NAME {
        let name = entry.name;
        return Err(fault(format!(
            "parts: `{name}` does not learn from single transitions; choose one that does"
        )));
    }
    Ok(entry)
}

/// A part with columns of its own.
struct Player {
    learner: Box<dyn TransitionLearner>,
    /// Its groups' places in the environment, ascending.
    groups: Vec<usize>,
    common_reward: bool,
    learn_from: u64,
    learn_until: Option<u64>,
    step: StepBatch,
    actions: ActionBatch,
    batch: Batch,
    priority: Vec<f32>,
}

/// Learners that divide an environment's groups among them.
pub struct Divided {
    spec: EnvSpec,
    players: Vec<Player>,
    /// Parameters of all learners, in the order of the parts.
    params: Vec<f32>,
    grad_steps: u64,
}

/// The environment as a part sees it.
fn spec_of(spec: &EnvSpec, groups: &[usize]) -> EnvSpec {
    EnvSpec { groups: groups.iter().map(|&g| spec.groups[g].clone()).collect(), ..spec.clone() }
}

/// The places of a part's groups.
fn places(spec: &EnvSpec, part: &Part) -> Result<Vec<usize>> {
    let place = |name: &String| {
        spec.groups.iter().position(|g| g.name == *name).ok_or_else(|| {
            let known = spec.groups.iter().map(|g| g.name.as_str());
            let hint = coact_core::nearest::hint(name, known.clone());
            let known = known.collect::<Vec<_>>().join(", ");
            fault(format!("parts: there is no group `{name}`{hint}; the groups are: {known}"))
        })
    };
    if part.groups.is_empty() {
        return Err(fault(format!(
            "parts: one by `{}` has no groups; name some or leave it out",
            part.algorithm
        )));
    }
    let mut places = part.groups.iter().map(place).collect::<Result<Vec<_>>>()?;
    places.sort_unstable();
    Ok(places)
}

impl Divided {
    fn new(context: BuildContext<'_>) -> Result<Self> {
        let BuildContext { spec, n_envs, seed, backend, settings, .. } = context;
        let BuildContext { total_env_steps, total_grad_steps, rollout_steps, gamma, .. } = context;
        let settings: DividedSettings = crate::settings::parse(NAME, settings)?;
        let all = settings.parts.iter().map(|p| places(spec, p)).collect::<Result<Vec<_>>>()?;
        for (g, group) in spec.groups.iter().enumerate() {
            let n = all.iter().flatten().filter(|&&place| place == g).count();
            if n != 1 {
                let name = &group.name;
                return Err(fault(format!("parts: group `{name}` is in {n} parts; put each into one")));
            }
        }
        // Each learner computes with a team of threads of its own; those that wait sleep.
        let cpu = CpuOptions { threads: backend.threads(), isa: Some(backend.isa()) };
        let mut first = Some(backend);
        let mut players = Vec::new();
        for (index, (part, groups)) in settings.parts.into_iter().zip(all).enumerate() {
            let mut own = spec_of(spec, &groups);
            if part.common_reward {
                own.reward = RewardKind::Common;
            }
            let entry = entry_of(&part)?;
            (entry.check)(&own)?;
            let backend = first.take().map_or_else(|| Backend::cpu(cpu), Ok)?;
            let settings = Value::Object(part.settings);
            let seed = derive_seed(seed, Purpose::Agent, index as u32);
            let learner = (entry.build)(BuildContext {
                spec: &own,
                n_envs,
                seed,
                total_env_steps,
                total_grad_steps,
                rollout_steps,
                gamma,
                backend,
                settings: &settings,
            })?;
            let AnyLearner::Transitions(learner) = learner else {
                return Err(fault(format!("parts: `{}` is fed otherwise than it says", entry.name)));
            };
            players.push(Player {
                learner,
                common_reward: part.common_reward,
                learn_from: part.learn_from,
                learn_until: part.learn_until,
                step: StepBatch::new(&own, n_envs),
                actions: ActionBatch::new(&own, n_envs),
                batch: Batch::new(&own, 0),
                priority: Vec::new(),
                groups,
            });
        }
        let mut divided = Self { spec: spec.clone(), players, params: Vec::new(), grad_steps: 0 };
        divided.gather_params()?;
        Ok(divided)
    }

    fn gather_params(&mut self) -> Result<()> {
        self.params.clear();
        for player in &mut self.players {
            player.learner.settle()?;
            self.params.extend_from_slice(player.learner.params());
        }
        Ok(())
    }
}

fn copy_step(from: &GroupStep, to: &mut GroupStep) {
    to.obs.clone_from(&from.obs);
    to.mask.clone_from(&from.mask);
    to.alive.clone_from(&from.alive);
}

fn copy_columns(from: &GroupColumns, to: &mut GroupColumns) {
    to.obs.clone_from(&from.obs);
    to.next_obs.clone_from(&from.next_obs);
    to.mask.clone_from(&from.mask);
    to.next_mask.clone_from(&from.next_mask);
    to.action.clone_from(&from.action);
    to.action_continuous.clone_from(&from.action_continuous);
    to.reward.clone_from(&from.reward);
    to.discount.clone_from(&from.discount);
    to.valid.clone_from(&from.valid);
}

/// Pays everybody the mean of what all earn.
fn share_reward(batch: &mut Batch) {
    let n_agents: usize = batch.groups.iter().map(|g| g.reward.len() / batch.size.max(1)).sum();
    for row in 0..batch.size {
        let rows = |reward: &[f32]| {
            let n = reward.len() / batch.size;
            row * n..(row + 1) * n
        };
        let sum: f32 = batch.groups.iter().flat_map(|g| &g.reward[rows(&g.reward)]).sum();
        for group in &mut batch.groups {
            let rows = rows(&group.reward);
            group.reward[rows].fill(sum / n_agents as f32);
        }
    }
}

impl Player {
    /// Takes what the part sees of a step.
    fn see(&mut self, spec: &EnvSpec, step: &StepBatch) {
        if self.step.n_envs != step.n_envs {
            let own = spec_of(spec, &self.groups);
            self.step = StepBatch::new(&own, step.n_envs);
            self.actions = ActionBatch::new(&own, step.n_envs);
        }
        for (to, &g) in self.step.groups.iter_mut().zip(&self.groups) {
            copy_step(&step.groups[g], to);
        }
        self.step.state.clone_from(&step.state);
        self.step.is_first.clone_from(&step.is_first);
    }

    /// Takes what the part sees of a batch. The team's reward is that of its own first agent, or of all of them.
    fn take(&mut self, batch: &Batch) {
        let own = &mut self.batch;
        own.size = batch.size;
        for (to, &g) in own.groups.iter_mut().zip(&self.groups) {
            copy_columns(&batch.groups[g], to);
        }
        own.state.clone_from(&batch.state);
        own.next_state.clone_from(&batch.next_state);
        own.weight.clone_from(&batch.weight);
        own.ids.clone_from(&batch.ids);
        own.team_discount.clone_from(&batch.team_discount);
        if self.common_reward {
            share_reward(own);
        }
        let n = own.groups[0].reward.len() / batch.size.max(1);
        own.team_reward.clear();
        own.team_reward.extend(own.groups[0].reward.iter().step_by(n.max(1)));
        self.priority.resize(batch.size, 0.0);
    }

    fn learns(&self, grad_steps: u64) -> bool {
        grad_steps >= self.learn_from && self.learn_until.is_none_or(|until| grad_steps < until)
    }
}

impl Learner for Divided {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        for player in &mut self.players {
            player.see(&self.spec, step);
            player.learner.act(&player.step, mode, &mut player.actions)?;
            for (own, &g) in player.groups.iter().enumerate() {
                actions.discrete[g].clone_from(&player.actions.discrete[own]);
                actions.continuous[g].clone_from(&player.actions.continuous[own]);
            }
        }
        Ok(())
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn set_params(&mut self, params: &[f32]) {
        self.params.copy_from_slice(params);
        let mut rest = params;
        for player in &mut self.players {
            let (own, others) = rest.split_at(player.learner.params().len());
            player.learner.set_params(own);
            rest = others;
        }
    }

    fn grad_steps(&self) -> u64 {
        self.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        let part = |p: &Player| p.groups.iter().position(|&g| g == group);
        let found = self.players.iter_mut().find_map(|p| part(p).map(|own| (p, own)));
        let Some((player, own)) = found else { return Ok(Vec::new()) };
        player.see(&self.spec, step);
        player.learner.action_values(&player.step, own)
    }

    /// Those of every learner; of equal names the first learner's.
    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)> {
        let mut all: Vec<(&'static str, f64)> = Vec::new();
        for gauge in self.players.iter().flat_map(|p| p.learner.gauges(clock)) {
            if all.iter().all(|(name, _)| *name != gauge.0) {
                all.push(gauge);
            }
        }
        all
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        let mut of_groups = vec![Vec::new(); self.spec.groups.len()];
        for player in &self.players {
            let mut policies = player.learner.policies().into_iter();
            for &g in &player.groups {
                of_groups[g] = policies.by_ref().take(self.spec.groups[g].n_agents).collect();
            }
        }
        of_groups.concat()
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.grad_steps);
        self.players.iter().for_each(|p| p.learner.save(out));
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.grad_steps = from.u64()?;
        self.players.iter_mut().try_for_each(|p| p.learner.load(from))?;
        self.gather_params()
    }
}

impl TransitionLearner for Divided {
    /// One gradient step of every part that learns now. Losses and priorities are means over those parts; other numbers
    /// are the first one's.
    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        let mut total: Option<UpdateStats> = None;
        let mut n = 0.0;
        priority.fill(0.0);
        for player in self.players.iter_mut().filter(|p| p.learns(self.grad_steps)) {
            player.take(batch);
            let stats = player.learner.update(&player.batch, &mut player.priority)?;
            priority.iter_mut().zip(&player.priority).for_each(|(p, own)| *p += own);
            n += 1.0;
            total = Some(match total {
                None => stats,
                Some(before) => UpdateStats {
                    loss: before.loss + stats.loss,
                    grad_norm: before.grad_norm.max(stats.grad_norm),
                    target_synced: before.target_synced || stats.target_synced,
                    ..before
                },
            });
        }
        priority.iter_mut().for_each(|p| *p /= f32::max(n, 1.0));
        self.grad_steps += 1;
        self.gather_params()?;
        let total = total.unwrap_or_default();
        Ok(UpdateStats { loss: total.loss / f32::max(n, 1.0), ..total })
    }
}
