//! Settings of a run: how long, how often, how replay feeds the learner.

use serde::{Deserialize, Serialize};

use coact_replay::SequenceStart;

use crate::{Error, Result};

/// Which parameters a finished run hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those of the best evaluation.
    Best,
    /// Those of the last gradient step.
    Last,
}

/// Most transitions that replay can number.
const MAX_BUFFER: usize = 1 << 30;

coact_core::settings! {
    /// Settings of a run: how long, how often, how the learner is fed.
    pub struct RunSettings {
        /// Environment steps to train, summed over all copies.
        env_steps: u64 = 200_000,
        /// Episodes after which training ends; "none" for no limit.
        max_episodes: Option<u64> = None,
        /// Seconds of training after which it ends; "none" for no limit. A run stopped by the clock is not reproducible.
        max_seconds: Option<f64> = None,
        /// Ends training when an evaluation's return, summed over agents, reaches this; "none" turns it off.
        stop_return: Option<f64> = None,
        /// Ends training when in an evaluation every agent's own return reaches this; "none" turns it off.
        stop_agent_return: Option<f64> = None,
        /// Discount factor per environment step.
        gamma: f32 = 0.99,
        /// Steps of a multi-step return, which never crosses the end of an episode.
        n_step: usize = 1,
        /// Whether multi-step returns are used at all: true sets `n_step` to 3 unless it is given; false wants `n_step` = 1.
        nstep_episodes: Option<bool> = None,
        /// Transitions that replay holds, summed over all copies.
        #[alias("replay_buffer_size", "replay_capacity")]
        buffer_size: usize = 100_000,
        /// Transitions in a batch; sequences, for algorithms that learn from sequences.
        batch_size: usize = 64,
        /// Steps of each copy between updates, for algorithms that learn on policy.
        #[alias("num_steps")]
        rollout_steps: usize = 128,
        /// Steps of a sequence that are learned from, for algorithms that learn from sequences.
        sequence_length: usize = 32,
        /// Steps before each sequence that only warm recurrent state up.
        burn_in: usize = 0,
        /// Where sequences begin: at "any" step, or at the first of an "episode" (later episodes then do not count).
        sequence_start: SequenceStart = SequenceStart::Any,
        /// Store recurrent state and begin sequences with it; otherwise they begin with zeros.
        store_memory: bool = false,
        /// Environment steps before the first gradient step.
        learning_starts: u64 = 1_000,
        /// Transitions that must be stored before the first gradient step.
        min_replay_size: usize = 0,
        /// Vector steps (each steps every copy once) between updates.
        #[alias("train_freq")]
        update_every: u64 = 1,
        /// Gradient steps an update; -1 for as many as environment steps since the last one.
        gradient_steps: i64 = 1,
        /// Update after each action (true), or only when an episode has ended (false).
        update_after_action: bool = true,
        /// Prioritized instead of uniform replay.
        prioritized_replay: bool = false,
        /// Exponent of priorities: 0 is uniform, 1 proportional.
        #[alias("alpha")]
        prioritized_replay_alpha: f32 = 0.6,
        /// Exponent of importance weights at the start of the run.
        #[alias("beta_init", "beta0")]
        prioritized_replay_beta0: f64 = 0.4,
        /// Exponent of importance weights at the end of the run.
        prioritized_replay_beta1: f64 = 1.0,
        /// Added to absolute temporal-difference errors, so that no transition is lost.
        prioritized_replay_eps: f32 = 1e-6,
        /// Environment steps between evaluations; 0 for none.
        #[alias("eval_freq")]
        eval_every: u64 = 10_000,
        /// Episodes of an evaluation during training.
        eval_episodes: usize = 32,
        /// Episodes of the final evaluation.
        final_eval_episodes: usize = 100,
        /// Which parameters the run hands over: "best" (of the evaluations) or "last".
        keep: Keep = Keep::Best,
        /// Environment steps between records of metrics.
        #[alias("log_freq")]
        log_every: u64 = 2_000,
        /// Seconds between checkpoints; 0 for none but the last.
        checkpoint_every_s: f64 = 60.0,
        /// Environment steps between checkpoints, besides those by the clock; "none" for none.
        #[alias("save_freq")]
        checkpoint_every: Option<u64> = None,
    }
}

impl RunSettings {
    /// Checks ranges and contradictions and settles `n_step`.
    ///
    /// # Errors
    /// A number outside its range; two settings that contradict each other.
    pub fn checked(mut self) -> Result<Self> {
        let fault =
            |key: &'static str, value: String, rule: &'static str| Err(Error::Setting { key, value, rule });
        for (key, value) in [
            ("env_steps", self.env_steps),
            ("batch_size", self.batch_size as u64),
            ("buffer_size", self.buffer_size as u64),
            ("n_step", self.n_step as u64),
            ("rollout_steps", self.rollout_steps as u64),
            ("sequence_length", self.sequence_length as u64),
            ("update_every", self.update_every),
            ("log_every", self.log_every),
            ("eval_episodes", self.eval_episodes as u64),
            ("final_eval_episodes", self.final_eval_episodes as u64),
            ("max_episodes", self.max_episodes.unwrap_or(1)),
            ("checkpoint_every", self.checkpoint_every.unwrap_or(1)),
        ] {
            if value == 0 {
                return fault(key, "0".into(), "it must be 1 or more");
            }
        }
        if !(0.0..=1.0).contains(&self.gamma) {
            return fault("gamma", self.gamma.to_string(), "it must be in [0, 1]");
        }
        for (key, value) in [
            ("prioritized_replay_alpha", f64::from(self.prioritized_replay_alpha)),
            ("prioritized_replay_beta0", self.prioritized_replay_beta0),
            ("prioritized_replay_beta1", self.prioritized_replay_beta1),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return fault(key, value.to_string(), "it must be in [0, 1]");
            }
        }
        let eps = self.prioritized_replay_eps;
        if !(eps.is_finite() && eps > 0.0) {
            return fault("prioritized_replay_eps", eps.to_string(), "it must be positive");
        }
        if self.gradient_steps == 0 || self.gradient_steps < -1 {
            return fault("gradient_steps", self.gradient_steps.to_string(), "it must be 1 or more, or -1");
        }
        if let Some(seconds) = self.max_seconds
            && !(seconds.is_finite() && seconds > 0.0)
        {
            return fault("max_seconds", seconds.to_string(), "it must be positive, or `none`");
        }
        if !(self.checkpoint_every_s.is_finite() && self.checkpoint_every_s >= 0.0) {
            return fault("checkpoint_every_s", self.checkpoint_every_s.to_string(), "it must be 0 or more");
        }
        if self.batch_size > self.buffer_size {
            let value = format!("{} with `buffer_size` {}", self.batch_size, self.buffer_size);
            return fault("batch_size", value, "a batch cannot be larger than the buffer");
        }
        if self.buffer_size > MAX_BUFFER {
            return fault("buffer_size", self.buffer_size.to_string(), "it must be at most 2^30");
        }
        if self.min_replay_size > self.buffer_size {
            let value = format!("{} with `buffer_size` {}", self.min_replay_size, self.buffer_size);
            return fault("min_replay_size", value, "the buffer can never hold that many");
        }
        match (self.nstep_episodes, self.n_step) {
            (Some(true), 1) => self.n_step = 3,
            (Some(false), n) if n > 1 => {
                return fault("nstep_episodes", "false".into(), "`n_step` above 1 asks for the opposite");
            }
            _ => {}
        }
        Ok(self)
    }

    /// Gradient steps of one update after `env_steps_since` environment steps.
    pub fn gradient_steps_after(&self, env_steps_since: u64) -> u64 {
        u64::try_from(self.gradient_steps).unwrap_or(env_steps_since)
    }

    /// Gradient steps that the whole run takes at most, for learning-rate schedules.
    pub fn total_grad_steps(&self, n_envs: usize) -> u64 {
        let n_envs = n_envs.max(1) as u64;
        // Steps of all copies, the last one whole.
        let env_steps = self.env_steps.div_ceil(n_envs).saturating_mul(n_envs);
        let starts = self.learning_starts.max(self.min_replay_size as u64).max(self.batch_size as u64);
        let learning = env_steps.saturating_sub(starts).saturating_add(n_envs);
        let taken = match u64::try_from(self.gradient_steps) {
            Ok(steps) => {
                let every = if self.update_after_action { self.update_every } else { 1 };
                learning.div_ceil(every.saturating_mul(n_envs).max(1)).saturating_mul(steps)
            }
            Err(_) => learning.saturating_add(n_envs.saturating_mul(self.update_every)),
        };
        taken.max(1)
    }
}
