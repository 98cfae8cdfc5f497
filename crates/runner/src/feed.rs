//! Between the environments and the learner: what keeps steps until they are learned from.

use coact_algorithms::{
    AnyLearner, Clock, Drawn, Draws, Feed, Learner, SequenceLearner, TransitionLearner, UpdateStats,
};
use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream};
use coact_core::{ActionBatch, EnvSpec, StepBatch};
use coact_nets::Schedule;
use coact_replay::{
    Prioritized, Replay, ReplayConfig, Rollout, RolloutRecorder, SequenceConfig, SequenceReplay, WeightNorm,
};

use crate::settings::RunSettings;
use crate::{Error, Result};

/// A learner and what it learns from.
pub(crate) enum Source {
    /// Transitions out of replay.
    Transitions { learner: Box<dyn TransitionLearner>, replay: Box<Replay>, drawn: Drawn, beta: Schedule },
    /// Sequences out of replay.
    Sequences { learner: Box<dyn SequenceLearner>, replay: Box<SequenceReplay>, batch: Rollout },
    /// Every step once.
    OnPolicy { learner: Box<dyn SequenceLearner>, recorder: RolloutRecorder },
}

fn replay_config(settings: &RunSettings, n_envs: usize) -> ReplayConfig {
    let prioritized =
        Prioritized { alpha: settings.prioritized_replay_alpha, eps: settings.prioritized_replay_eps };
    ReplayConfig {
        capacity: settings.buffer_size,
        n_envs,
        n_step: settings.n_step,
        gamma: settings.gamma,
        prioritized: settings.prioritized_replay.then_some(prioritized),
        normalize_weights_by: WeightNorm::Batch,
    }
}

fn sequence_config(settings: &RunSettings, n_envs: usize, memory_width: usize) -> SequenceConfig {
    SequenceConfig {
        capacity: settings.buffer_size,
        n_envs,
        length: settings.sequence_length + settings.burn_in,
        burn_in: settings.burn_in,
        start: settings.sequence_start,
        gamma: settings.gamma,
        memory_width: if settings.store_memory { memory_width } else { 0 },
    }
}

/// Bytes that a learner fed in the way of `feed` will have stored beside it, to be told before they are taken.
///
/// # Errors
/// Settings that make no sense.
pub fn memory_bytes(settings: &RunSettings, spec: &EnvSpec, n_envs: usize, feed: Feed) -> Result<u64> {
    Ok(match feed {
        Feed::Transitions => Replay::memory_bytes(spec, &replay_config(settings, n_envs))?,
        Feed::Sequences => SequenceReplay::memory_bytes(spec, &sequence_config(settings, n_envs, 0))?,
        Feed::OnPolicy => {
            let length = settings.rollout_steps;
            let config = SequenceConfig {
                capacity: n_envs * (length + 1),
                length,
                burn_in: 0,
                ..sequence_config(settings, n_envs, 0)
            };
            SequenceReplay::memory_bytes(spec, &config)?
        }
    })
}

/// Replay holds a multiple of the number of copies, which may be less than what must be stored before learning.
fn check_stored(key: &'static str, needed: usize, capacity: usize) -> Result<()> {
    if needed <= capacity {
        return Ok(());
    }
    let rule = "replay cannot hold that many; raise `buffer_size`";
    let value = format!("{needed}, replay keeps {capacity} (`buffer_size` in multiples of `n_envs`)");
    Err(Error::Setting { key, value, rule })
}

/// Refuses settings of replay that this way of feeding has no use for.
fn check_unused(settings: &RunSettings, feed: Feed) -> Result<()> {
    let fault = |key, value: String, rule| Err(Error::Setting { key, value, rule });
    if feed == Feed::Transitions {
        return Ok(());
    }
    if settings.prioritized_replay {
        let rule = "this algorithm learns from consecutive steps, which have no priorities; turn it off";
        return fault("prioritized_replay", "true".into(), rule);
    }
    if settings.n_step > 1 {
        let rule = "this algorithm learns from consecutive steps and has a setting of its own for long returns; leave it at 1";
        return fault("n_step", settings.n_step.to_string(), rule);
    }
    Ok(())
}

impl Source {
    pub fn new(settings: &RunSettings, spec: &EnvSpec, n_envs: usize, learner: AnyLearner) -> Result<Self> {
        match learner {
            AnyLearner::Transitions(learner) => {
                let replay = Replay::new(spec, replay_config(settings, n_envs))?;
                check_stored("batch_size", settings.batch_size, replay.capacity())?;
                check_stored("min_replay_size", settings.min_replay_size, replay.capacity())?;
                let (from, to) = (settings.prioritized_replay_beta0, settings.prioritized_replay_beta1);
                Ok(Self::Transitions {
                    learner,
                    replay: Box::new(replay),
                    drawn: Drawn::default(),
                    beta: Schedule::Linear { from, to, over: settings.env_steps },
                })
            }
            AnyLearner::Sequences(learner) => {
                check_unused(settings, Feed::Sequences)?;
                let memory_width = learner.memory().len() / n_envs;
                let config = sequence_config(settings, n_envs, memory_width);
                let replay = SequenceReplay::new(spec, config)?;
                check_stored("min_replay_size", settings.min_replay_size, replay.capacity())?;
                let batch = Rollout::new(spec, config.length, settings.batch_size);
                Ok(Self::Sequences { learner, replay: Box::new(replay), batch })
            }
            AnyLearner::OnPolicy(learner) => {
                check_unused(settings, Feed::OnPolicy)?;
                let recorder = RolloutRecorder::new(spec, settings.rollout_steps, n_envs, settings.gamma)?;
                Ok(Self::OnPolicy { learner, recorder })
            }
        }
    }

    /// Takes the first observations.
    pub fn begin(&mut self, first: &StepBatch) -> Result<()> {
        match self {
            Self::Transitions { replay, .. } => replay.begin(first)?,
            Self::Sequences { learner, replay, .. } => replay.begin(first, learner.memory())?,
            Self::OnPolicy { learner, recorder } => recorder.begin(first, learner.memory())?,
        }
        Ok(())
    }

    pub fn learner(&self) -> &dyn Learner {
        match self {
            Self::Transitions { learner, .. } => &**learner,
            Self::Sequences { learner, .. } | Self::OnPolicy { learner, .. } => &**learner,
        }
    }

    pub fn learner_mut(&mut self) -> &mut dyn Learner {
        match self {
            Self::Transitions { learner, .. } => &mut **learner,
            Self::Sequences { learner, .. } | Self::OnPolicy { learner, .. } => &mut **learner,
        }
    }

    /// Stores one step of every environment.
    pub fn push(&mut self, actions: &ActionBatch, step: &StepBatch) -> Result<()> {
        match self {
            Self::Transitions { replay, .. } => replay.push(actions, step)?,
            Self::Sequences { learner, replay, .. } => replay.push(actions, step, learner.memory())?,
            Self::OnPolicy { recorder, .. } => recorder.push(actions, step)?,
        }
        Ok(())
    }

    /// Steps that can be learned from.
    pub fn stored(&self) -> usize {
        match self {
            Self::Transitions { replay, .. } => replay.len(),
            Self::Sequences { replay, .. } => replay.len(),
            Self::OnPolicy { recorder, .. } => recorder.rollout().n_envs * recorder.filled(),
        }
    }

    /// On policy: whether the rollout is full. `None` for learners with replay.
    pub fn full_rollout(&self) -> Option<bool> {
        match self {
            Self::OnPolicy { recorder, .. } => Some(recorder.is_full()),
            _ => None,
        }
    }

    /// Whether enough is stored for a batch and for what `settings` ask to be stored before learning.
    pub fn can_sample(&self, settings: &RunSettings) -> bool {
        let stored = self.stored();
        stored >= settings.min_replay_size
            && match self {
                Self::Transitions { .. } => stored >= settings.batch_size,
                Self::Sequences { replay, .. } => replay.can_sample(),
                Self::OnPolicy { recorder, .. } => recorder.is_full(),
            }
    }

    /// Takes `n` gradient steps, each on a batch drawn for it, or learns once from the rollout. Tells `see` what each did.
    pub fn update(
        &mut self,
        n: u64,
        settings: &RunSettings,
        seed: u64,
        clock: Clock,
        mut see: impl FnMut(&UpdateStats),
    ) -> Result<()> {
        match self {
            Self::Transitions { learner, replay, drawn, beta } => {
                let beta = beta.value(clock.env_steps) as f32;
                let draws = Draws { n, batch_size: settings.batch_size, seed, beta };
                let outcome = learner.update_from(replay, draws, drawn);
                drawn.stats.iter().for_each(see);
                outcome?;
            }
            Self::Sequences { learner, replay, batch } => {
                for _ in 0..n {
                    let mut rng = Stream::new(seed, Purpose::Replay, 0, learner.grad_steps());
                    replay.sample(&mut rng, settings.batch_size, batch)?;
                    see(&learner.learn(batch)?);
                }
            }
            Self::OnPolicy { learner, recorder } => {
                let stats = learner.learn(recorder.rollout())?;
                recorder.restart(learner.memory());
                see(&stats);
            }
        }
        Ok(())
    }

    /// Brings to the host what is kept on another device, so that it can be saved.
    pub fn settle(&mut self) -> Result<()> {
        self.learner_mut().settle()?;
        if let Self::Transitions { learner, replay, .. } = self {
            learner.settle_replay(replay)?;
        }
        Ok(())
    }

    /// Numbers to log at the time of `clock`.
    pub fn gauges(&self, clock: Clock) -> Vec<(String, f64)> {
        let size = ("replay/size".to_owned(), self.stored() as f64);
        match self {
            Self::Transitions { replay, beta, .. } if replay.config().prioritized.is_some() => {
                vec![("replay/beta".to_owned(), beta.value(clock.env_steps)), size]
            }
            Self::Transitions { .. } | Self::Sequences { .. } => vec![size],
            Self::OnPolicy { .. } => Vec::new(),
        }
    }

    /// Appends what is stored; the learner saves itself.
    pub fn save(&self, out: &mut Writer) {
        match self {
            Self::Transitions { replay, .. } => replay.save(out),
            Self::Sequences { replay, .. } => replay.save(out),
            Self::OnPolicy { recorder, .. } => recorder.save(out),
        }
    }

    /// Restores what [`Source::save`] wrote.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        match self {
            Self::Transitions { replay, .. } => replay.load(from)?,
            Self::Sequences { replay, .. } => replay.load(from)?,
            Self::OnPolicy { recorder, .. } => recorder.load(from)?,
        }
        Ok(())
    }
}
