//! Wrappers around any batch of environments: what a learner sees and is paid, without touching the rules.
//!
//! [`wrap`] applies them in one order, innermost first: time limit, played groups, common reward, reward normalization, reward
//! scaling, observation normalization, last action, agent index. Whoever changes the reward keeps the reward of
//! the environment itself in `raw_reward`. Action indices and masks are never changed.

pub mod agent_index;
pub mod common_reward;
pub mod last_action;
pub mod normalize_obs;
pub mod normalize_returns;
pub mod played;
pub mod reward_scaling;
pub mod statistics;
pub mod time_limit;

use std::collections::BTreeMap;

use coact_core::{ActionBatch, BatchEnv, Error, GroupStep, Result, StepBatch};
use serde::{Deserialize, Serialize};

pub use self::common_reward::CommonReward;
pub use self::statistics::{ReturnNormalizer, RunningStats};
use crate::scripts::{Actor, ScriptedGroup};

/// Which wrappers to apply. The default applies none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrapperConfig {
    /// Standardize observations by running statistics.
    pub normalize_obs: bool,
    /// Divide rewards by the running standard deviation of discounted returns.
    pub normalize_returns: bool,
    /// Discount of those returns.
    pub gamma: f32,
    /// Normalized observations are clipped to +- this.
    pub clip_obs: f32,
    /// Normalized rewards are clipped to +- this.
    pub clip_reward: f32,
    /// Rewards are multiplied by this, after normalization.
    pub reward_scaling: f32,
    /// Append the index of the agent in its group as a one-hot.
    pub agent_index: bool,
    /// Append the agent's last action, as a one-hot where it is discrete.
    pub last_action: bool,
    /// Pay everybody the sum or the mean of all rewards.
    pub common_reward: Option<CommonReward>,
    /// Truncate episodes after so many steps at the latest.
    pub time_limit: Option<u32>,
    /// Groups that play by a script, each with the script's name; learners do not see them.
    pub scripted: BTreeMap<String, String>,
}

impl Default for WrapperConfig {
    /// Nothing; clips at 10 and gamma 0.99 as in stable-baselines3 `VecNormalize`.
    fn default() -> Self {
        Self {
            normalize_obs: false,
            normalize_returns: false,
            gamma: 0.99,
            clip_obs: 10.0,
            clip_reward: 10.0,
            reward_scaling: 1.0,
            agent_index: false,
            last_action: false,
            common_reward: None,
            time_limit: None,
            scripted: BTreeMap::new(),
        }
    }
}

impl WrapperConfig {
    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// The first such value.
    pub fn check(&self) -> Result<()> {
        let refuse = |text: String| Err(Error::invalid(text));
        if !(0.0..=1.0).contains(&self.gamma) {
            return refuse(format!("gamma is {}; use 0 to 1", self.gamma));
        }
        for (name, clip) in [("clip_obs", self.clip_obs), ("clip_reward", self.clip_reward)] {
            if clip.is_nan() || clip <= 0.0 {
                return refuse(format!("{name} is {clip}; use a positive number"));
            }
        }
        if !self.reward_scaling.is_finite() || self.reward_scaling == 0.0 {
            return refuse(format!("reward_scaling is {}; use a finite number but 0", self.reward_scaling));
        }
        Ok(())
    }
}

/// `env` inside the wrappers that `config` asks for.
///
/// # Errors
/// A value that makes no sense, a group or script that does not exist, or a time limit that the environment does not
/// take.
pub fn wrap(env: Box<dyn BatchEnv>, config: &WrapperConfig) -> Result<Box<dyn BatchEnv>> {
    wrap_with(env, config, Vec::new())
}

/// [`wrap`], with each of `actors` playing the group named beside it; those groups vanish as scripted ones do.
///
/// # Errors
/// As there; a group that is played twice, or none left.
pub fn wrap_with(
    env: Box<dyn BatchEnv>,
    config: &WrapperConfig,
    mut actors: Vec<(String, Box<dyn Actor>)>,
) -> Result<Box<dyn BatchEnv>> {
    config.check()?;
    let mut env = match config.time_limit {
        Some(max_steps) => time_limit::limited(env, max_steps)?,
        None => env,
    };
    for (group, name) in &config.scripted {
        let scripted = ScriptedGroup::new(env.spec(), group, name)?;
        actors.push((group.clone(), Box::new(scripted)));
    }
    if !actors.is_empty() {
        env = Box::new(played::PlayedGroups::new(env, actors)?);
    }
    if let Some(kind) = config.common_reward {
        env = Box::new(common_reward::WithCommonReward::new(env, kind));
    }
    if config.normalize_returns {
        let (gamma, clip) = (f64::from(config.gamma), config.clip_reward);
        env = Box::new(normalize_returns::NormalizedReturns::new(env, gamma, clip));
    }
    if config.reward_scaling != 1.0 {
        env = Box::new(reward_scaling::ScaledReward::new(env, config.reward_scaling));
    }
    if config.normalize_obs {
        env = Box::new(normalize_obs::NormalizedObs::new(env, config.clip_obs));
    }
    if config.last_action {
        env = Box::new(last_action::WithLastAction::new(env));
    }
    if config.agent_index {
        env = Box::new(agent_index::WithAgentIndex::new(env));
    }
    Ok(env)
}

/// Keeps the rewards of the environment before a wrapper changes `reward` for the first time.
fn keep_raw(out: &mut StepBatch) {
    for group in &mut out.groups {
        if group.raw_reward.is_empty() {
            group.raw_reward.extend_from_slice(&group.reward);
        }
    }
}

/// Prepares `raw_reward` for an inner step: the inner environment writes `reward`, and the columns that an outer
/// wrapper left from the last step must not be taken for this one's.
fn forget_raw(out: &mut StepBatch) {
    out.groups.iter_mut().for_each(|g| g.raw_reward.clear());
}

/// Resets the environment inside a wrapper that changes rewards.
fn reset_keeping_raw(inner: &mut dyn BatchEnv, seed: u64, out: &mut StepBatch) -> Result<()> {
    forget_raw(out);
    inner.reset(seed, out)?;
    keep_raw(out);
    Ok(())
}

/// Steps the environment inside a wrapper that changes rewards.
fn step_keeping_raw(inner: &mut dyn BatchEnv, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
    forget_raw(out);
    inner.step(actions, out)?;
    keep_raw(out);
    Ok(())
}

/// Copies every column but observations from the inner batch. Columns of last moments are copied where an episode
/// ended; other rows stay as they were.
fn copy_all_but_obs(inner: &StepBatch, out: &mut StepBatch) {
    copy_moment(inner, out);
    for (to, from) in out.groups.iter_mut().zip(&inner.groups) {
        copy_group_but_obs(&inner.is_first, from, to);
    }
}

/// Copies what belongs to no group.
fn copy_moment(inner: &StepBatch, out: &mut StepBatch) {
    out.state.copy_from_slice(&inner.state);
    out.truncated.copy_from_slice(&inner.truncated);
    out.is_first.copy_from_slice(&inner.is_first);
    copy_ended(&inner.is_first, &inner.final_state, &mut out.final_state);
}

/// Copies the columns of a group but observations.
fn copy_group_but_obs(ended: &[bool], from: &GroupStep, to: &mut GroupStep) {
    to.mask.copy_from_slice(&from.mask);
    copy_ended(ended, &from.final_mask, &mut to.final_mask);
    to.reward.copy_from_slice(&from.reward);
    to.raw_reward.clear();
    to.raw_reward.extend_from_slice(&from.raw_reward);
    to.terminated.copy_from_slice(&from.terminated);
    to.alive.copy_from_slice(&from.alive);
}

/// Copies the share of each environment whose episode ended.
fn copy_ended<V: Copy>(ended: &[bool], from: &[V], to: &mut [V]) {
    let share = from.len() / ended.len();
    for env in (0..ended.len()).filter(|env| ended[*env]) {
        let rows = env * share..(env + 1) * share;
        to[rows.clone()].copy_from_slice(&from[rows]);
    }
}

/// Copies rows of `width` numbers into the front of wider rows, where `keep` says so.
fn widen(from: &[f32], width: usize, to: &mut [f32], wide: usize, keep: impl Fn(usize) -> bool) {
    let rows = from.chunks_exact(width).zip(to.chunks_exact_mut(wide)).enumerate();
    for (_, (narrow, row)) in rows.filter(|(i, _)| keep(*i)) {
        row[..width].copy_from_slice(narrow);
    }
}

/// Implements the methods of `BatchEnv` that a wrapper passes on. The wrapper has a field `inner`.
macro_rules! pass_on {
    () => {
        fn n_envs(&self) -> usize {
            self.inner.n_envs()
        }

        fn scene(&self, env: usize) -> coact_core::scene::Scene {
            self.inner.scene(env)
        }
    };
}

/// Implements the limit of episodes for a wrapper with a field `spec` of its own.
macro_rules! pass_on_limit {
    () => {
        fn limit_episodes(&mut self, max_steps: u32) -> coact_core::Result<()> {
            self.inner.limit_episodes(max_steps)?;
            self.spec.episode_limit = self.inner.spec().episode_limit;
            Ok(())
        }
    };
}

/// Implements saving for a wrapper without state of its own.
macro_rules! pass_on_state {
    () => {
        fn save(&self, out: &mut coact_core::codec::Writer) {
            self.inner.save(out);
        }

        fn load(&mut self, from: &mut coact_core::codec::Reader<'_>) -> coact_core::Result<()> {
            self.inner.load(from)
        }
    };
}

/// Implements statistics for a wrapper without statistics of its own.
macro_rules! pass_on_statistics {
    () => {
        fn save_statistics(&self, out: &mut coact_core::codec::Writer) {
            self.inner.save_statistics(out);
        }

        fn load_statistics(&mut self, from: &mut coact_core::codec::Reader<'_>) -> coact_core::Result<()> {
            self.inner.load_statistics(from)
        }
    };
}

use {pass_on, pass_on_limit, pass_on_state, pass_on_statistics};
