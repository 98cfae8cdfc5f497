//! How a learner of the family is put together: networks and their places among the parameters, optimizers, and what a
//! centralized critic sees.

use std::ops::Range;

use coact_core::StepBatch;
use coact_nets::Sharing;
use coact_replay::Rollout;

use super::group::Critic;
use super::network::SetNetwork;
use super::unroll::Unrolled;
use super::*;
use crate::value_norm::ValueNorm;

/// What one optimizer trains.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) range: Range<usize>,
    pub(super) optimizer: Optimizer,
}

/// What a centralized critic sees of an environment: `[.., S]`.
#[derive(Debug)]
pub(super) struct Central {
    source: Source,
    width: usize,
    /// All observations side by side, where there are several groups.
    columns: Vec<f32>,
    finals: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    State,
    /// The observations of the only group: they already lie side by side.
    Observations,
    /// Those of several groups.
    Groups,
}

impl Central {
    fn new(spec: &EnvSpec, settings: &PolicySettings, rule: Rule) -> Result<Self> {
        let wants_state = match settings.critic_input {
            CriticInput::Auto => spec.state_width > 0,
            CriticInput::State => true,
            CriticInput::Observations => false,
        };
        if wants_state && spec.state_width == 0 && rule.is_centralized() {
            let reason = "it has no state; set `critic_input` to \"observations\"".into();
            return Err(Error::Unsupported { algorithm: rule.name(), env: spec.name.clone(), reason });
        }
        let observations = spec.groups.iter().map(|g| g.n_agents * g.obs_width()).sum();
        let (source, width) = match (wants_state, spec.groups.len()) {
            (true, _) => (Source::State, spec.state_width),
            (false, 1) => (Source::Observations, observations),
            (false, _) => (Source::Groups, observations),
        };
        Ok(Self { source, width, columns: Vec::new(), finals: Vec::new() })
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Reads a rollout, if that takes more than pointing at it.
    pub(super) fn read(&mut self, rollout: &Rollout) {
        if self.source == Source::Groups {
            let seen = (rollout.n_steps + 1) * rollout.n_envs;
            side_by_side(&mut self.columns, rollout.groups.iter().map(|g| &g.obs[..]), seen);
            let ends = rollout.ends.len();
            side_by_side(&mut self.finals, rollout.groups.iter().map(|g| &g.final_obs[..]), ends);
        }
    }

    /// Inputs `[T + 1, B, S]` of a rollout that was read, and `[F, S]` of the last observations of cut episodes.
    pub(super) fn of<'a>(&'a self, rollout: &'a Rollout) -> (&'a [f32], &'a [f32]) {
        match self.source {
            Source::State => (&rollout.state, &rollout.final_state),
            Source::Observations => (&rollout.groups[0].obs, &rollout.groups[0].final_obs),
            Source::Groups => (&self.columns, &self.finals),
        }
    }

    /// Inputs `[E, S]` of a step.
    pub(super) fn of_step(&self, step: &StepBatch) -> Vec<f32> {
        let mut out = Vec::new();
        match self.source {
            Source::State => out.extend_from_slice(&step.state),
            _ => side_by_side(&mut out, step.groups.iter().map(|g| &g.obs[..]), step.n_envs),
        }
        out
    }
}

/// Rows of several columns `[count, ..]` one behind the other.
fn side_by_side<'a>(out: &mut Vec<f32>, columns: impl Iterator<Item = &'a [f32]> + Clone, count: usize) {
    out.clear();
    for row in 0..count {
        for column in columns.clone() {
            let width = column.len() / count;
            out.extend_from_slice(&column[row * width..(row + 1) * width]);
        }
    }
}

/// Deals out parameters.
struct Plan {
    end: usize,
    blocks: Vec<Block>,
    block_start: usize,
    tensors: Vec<Range<usize>>,
}

impl Plan {
    fn take(&mut self, len: usize) -> Range<usize> {
        let range = self.end..self.end + len;
        self.end = range.end;
        range
    }

    /// A parameter set of `network`.
    fn network(&mut self, network: &mut SetNetwork) {
        let range = self.take(network.net.param_count());
        let within = range.start - self.block_start;
        let shifted = |t: coact_nets::NetTensor| t.range.start + within..t.range.end + within;
        self.tensors.extend(network.net.tensors().into_iter().map(shifted));
        network.sets.push(range);
    }

    /// Everything since the last block is one optimizer's.
    fn close(&mut self, settings: &PolicySettings) -> Result<()> {
        let range = self.block_start..self.end;
        let tensors = std::mem::take(&mut self.tensors);
        let whole = std::iter::once(0..range.len()).collect();
        let optimizer = Optimizer::new(settings.optimizer(), range.len(), whole, tensors)?;
        self.blocks.push(Block { range, optimizer });
        self.block_start = self.end;
        Ok(())
    }
}

fn groups(rule: Rule, spec: &EnvSpec, settings: &PolicySettings, central: &Central) -> Result<Vec<Group>> {
    let n_actions: usize = spec.groups.iter().map(|g| g.n_agents * g.action.n_discrete()).sum();
    let mut groups = Vec::with_capacity(spec.groups.len());
    let (mut first_agent, mut memory_offset) = (0, 0);
    for group in &spec.groups {
        let head = Head::new(&group.action, settings.continuous_distribution);
        if let Head::Squashed { low, high, .. } = head
            && !(low.is_finite() && high.is_finite())
        {
            let reason = format!(
                "the actions of `{}` have no bounds to squash into; set `continuous_distribution` to \"gaussian\"",
                group.name
            );
            return Err(Error::Unsupported { algorithm: rule.name(), env: spec.name.clone(), reason });
        }
        let (n_agents, d) = (group.n_agents, group.obs_width());
        let actor = SetNetwork::new(settings.observer(d, head.outputs()), n_agents)?;
        let mut built = Group::new(group, head, actor);
        (built.first_agent, built.memory_offset) = (first_agent, memory_offset);
        first_agent += n_agents;
        memory_offset += n_agents * built.actor.memory_width();
        let network = match rule {
            Rule::Reinforce => None,
            Rule::Ia2c | Rule::Ippo => Some(SetNetwork::new(settings.observer(d, 1), n_agents)?),
            Rule::Maa2c | Rule::Mappo | Rule::Happo => {
                Some(SetNetwork::new(settings.network(central.width(), n_agents), 1)?)
            }
            Rule::Coma => {
                let mut shape = settings.network(central.width() + n_actions + n_agents, head.outputs());
                shape.cell = None;
                shape.head = Vec::new();
                Some(SetNetwork::new(shape, n_agents)?)
            }
        };
        built.critic = network.map(|network| Critic {
            network,
            centralized: rule.is_centralized(),
            block: 0,
            memory: Vec::new(),
            norm: settings.value_norm.then(|| ValueNorm::new(settings.value_norm_beta)),
            unrolled: Unrolled::default(),
        });
        groups.push(built);
    }
    Ok(groups)
}

impl PolicyLearner {
    /// A learner with fresh networks.
    ///
    /// # Errors
    /// Settings outside their range or in contradiction; an environment that the algorithm cannot serve.
    pub fn new(rule: Rule, context: BuildContext<'_>) -> Result<Self> {
        check(rule, context.spec)?;
        let settings = PolicySettings::parse(rule, context.settings)?;
        let BuildContext { spec, n_envs, seed, total_env_steps, rollout_steps, backend, .. } = context;
        let units = if settings.cell == CellSetting::None { n_envs * rollout_steps } else { n_envs };
        if settings.minibatches > units {
            let value = settings.minibatches.to_string();
            let rule =
                "it may be at most `n_envs` with recurrent networks, else `n_envs` times `rollout_steps`";
            return Err(Error::Setting { key: "minibatches", value, rule });
        }
        let central = Central::new(spec, &settings, rule)?;
        let mut groups = groups(rule, spec, &settings, &central)?;
        let mut plan = Plan { end: 0, blocks: Vec::new(), block_start: 0, tensors: Vec::new() };
        for group in &mut groups {
            let n_sets = if settings.sharing == Sharing::Shared { 1 } else { group.n_agents };
            group.first_block = plan.blocks.len();
            for _ in 0..n_sets {
                plan.network(&mut group.actor);
                if group.head.n_log_std() > 0 {
                    let range = plan.take(group.head.n_log_std());
                    plan.tensors.push(range.start - plan.block_start..range.end - plan.block_start);
                    group.log_std.push(range);
                }
                if let Some(critic) = group.critic.as_mut().filter(|critic| !critic.centralized) {
                    plan.network(&mut critic.network);
                }
                plan.close(&settings)?;
            }
        }
        for critic in groups.iter_mut().filter_map(|g| g.critic.as_mut()).filter(|c| c.centralized) {
            critic.block = plan.blocks.len();
            plan.network(&mut critic.network);
            plan.close(&settings)?;
        }
        for critic in groups.iter_mut().filter_map(|g| g.critic.as_mut()) {
            critic.memory = vec![0.0; n_envs * critic.network.n_agents * critic.network.memory_width()];
        }
        let params = initial(&groups, &settings, seed, plan.end);
        let memory_width = groups.iter().map(|g| g.n_agents * g.actor.memory_width()).sum();
        let shapes = groups.iter().map(|g| (g.n_agents, g.head.outputs())).collect();
        Ok(Self {
            rule,
            agent_names: spec.agent_names(),
            groups,
            central,
            blocks: plan.blocks,
            grads: vec![0.0; params.len()],
            target_params: if rule == Rule::Coma { params.clone() } else { Vec::new() },
            params,
            learning_rate: settings.learning_rate(total_env_steps)?,
            settings,
            explore_seed: derive_seed(seed, Purpose::Explore, 0),
            shuffle: Shuffle::new(derive_seed(seed, Purpose::Replay, 1)),
            order: Shuffle::new(derive_seed(seed, Purpose::Replay, 2)),
            coma: Counterfactual::new(derive_seed(seed, Purpose::Replay, 3), shapes),
            factor: Vec::new(),
            log_prob: Vec::new(),
            env_steps: 0,
            rollouts: 0,
            grad_steps: 0,
            memory: vec![0.0; n_envs * memory_width],
            greedy_memory: Vec::new(),
            memory_width,
            backend,
        })
    }
}

/// First parameters: every network has a stream of its own.
fn initial(groups: &[Group], settings: &PolicySettings, seed: u64, n_params: usize) -> Vec<f32> {
    let mut params = vec![0.0; n_params];
    let mut index = 0;
    let mut start = |network: &SetNetwork, gain: f32, params: &mut [f32]| {
        for range in &network.sets {
            network.net.init(settings.init, seed, index, &mut params[range.clone()], gain);
            index += 1;
        }
    };
    for group in groups {
        start(&group.actor, settings.actor_output_gain, &mut params);
        if let Some(critic) = &group.critic {
            start(&critic.network, 1.0, &mut params);
        }
        for range in &group.log_std {
            params[range.clone()].fill(settings.log_std_init);
        }
    }
    params
}

impl Group {
    /// How to rebuild an actor, as name and value.
    pub(super) fn architecture(&self) -> Vec<(&'static str, String)> {
        let shape = self.actor.net.shape();
        let mut pairs = vec![
            ("input", shape.input.to_string()),
            ("hidden", format!("{:?}", shape.encoder)),
            ("activation", format!("{:?}", shape.activation).to_lowercase()),
            ("layer_norm", shape.layer_norm.to_string()),
        ];
        if let Some(grid) = &shape.grid {
            pairs.push(("grid", serde_json::json!(grid).to_string()));
        }
        if let Some(cell) = shape.cell {
            pairs.push(("cell", format!("{:?}", cell.kind).to_lowercase()));
            pairs.push(("cell_width", cell.width.to_string()));
            pairs.push(("head", format!("{:?}", shape.head)));
        }
        match self.head {
            Head::Categorical { n } => {
                pairs.extend([("output", "logits".into()), ("n_actions", n.to_string())]);
            }
            Head::Gaussian { width, low, high } | Head::Squashed { width, low, high } => {
                let squashed = matches!(self.head, Head::Squashed { .. });
                let output = if squashed { "mean before tanh" } else { "mean" };
                pairs.extend([("output", output.into()), ("width", width.to_string())]);
                pairs.extend([("low", low.to_string()), ("high", high.to_string())]);
            }
        }
        pairs
    }
}
