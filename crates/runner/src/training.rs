//! Training as one visible loop: act, step, store, learn where it is due, count, tell, evaluate, save.

use std::time::Instant;

use coact_algorithms::{ActMode, AnyLearner, Clock, Learner, UpdateStats};
use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, BatchEnv, StepBatch};

use crate::checkpoint::{CheckpointStore, Loaded};
use crate::episodes::EpisodeTracker;
use crate::evaluate::{Evaluation, Policy, evaluate};
use crate::feed::Source;
use crate::metrics::Record;
use crate::observer::{Observer, Progress};
use crate::settings::{Keep, RunSettings};
use crate::state::{TeamState, load_step, save_step};
use crate::{Error, Result};

/// Index of the evaluation stream used during training; the final evaluation uses another.
const EVAL_DURING: u32 = 0;
/// Index of the evaluation stream of the final evaluation.
pub const EVAL_FINAL: u32 = 1;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// All environment steps were taken.
    EnvSteps,
    /// All episodes were played.
    Episodes,
    /// An evaluation reached the return asked for.
    Return,
    /// The time was up.
    Seconds,
    /// Someone asked it to stop.
    Interrupt,
}

impl StopReason {
    const ALL: [Self; 5] = [Self::EnvSteps, Self::Episodes, Self::Return, Self::Seconds, Self::Interrupt];

    /// In words, for reports.
    pub fn describe(self) -> &'static str {
        match self {
            Self::EnvSteps => "env_steps reached",
            Self::Episodes => "max_episodes reached",
            Self::Return => "return threshold reached",
            Self::Seconds => "time budget used up",
            Self::Interrupt => "interrupted",
        }
    }
}

/// The best policy so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Mean summed return of its evaluation.
    pub return_mean: f64,
    /// When.
    pub env_steps: u64,
    /// All online parameters.
    pub params: Vec<f32>,
    /// Normalizer statistics that belong to it.
    pub statistics: Vec<u8>,
}

/// Sums between two records of metrics.
#[derive(Debug, Clone, PartialEq, Default)]
struct Sums {
    updates: u64,
    /// Names stay when the sums begin again, so that nothing is allocated in the middle of a run.
    sums: Vec<(String, f64)>,
}

impl Sums {
    fn add(&mut self, stats: &UpdateStats) {
        self.updates += 1;
        let common = [("loss", stats.loss), ("grad_norm", stats.grad_norm)];
        for (name, value) in common.into_iter().chain(stats.named.iter()) {
            match self.sums.iter_mut().find(|(own, _)| own == name) {
                Some((_, sum)) => *sum += f64::from(value),
                None => self.sums.push((name.to_owned(), f64::from(value))),
            }
        }
    }

    /// The means under their names in the metrics; begins again.
    fn take(&mut self, values: &mut Vec<(String, f64)>) {
        if self.updates > 0 {
            let n = self.updates as f64;
            values.extend(self.sums.iter().map(|(name, sum)| (format!("learn/{name}"), sum / n)));
        }
        self.updates = 0;
        self.sums.iter_mut().for_each(|(_, sum)| *sum = 0.0);
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.updates);
        out.u64(self.sums.len() as u64);
        for (name, sum) in &self.sums {
            out.bytes(name.as_bytes());
            out.f64(*sum);
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.updates = from.u64()?;
        let n = from.u64()?;
        if n > 64 {
            return Err(from.error(format!("{n} sums cannot be")).into());
        }
        self.sums.clear();
        for _ in 0..n {
            let name = from.bytes()?.to_vec();
            let name = String::from_utf8(name).map_err(|_| from.error("a name that is no text"))?;
            self.sums.push((name, from.f64()?));
        }
        Ok(())
    }
}

/// A training run: everything that its next step depends on.
pub struct Training {
    settings: RunSettings,
    seed: u64,
    env: Box<dyn BatchEnv>,
    eval_env: Box<dyn BatchEnv>,
    source: Source,
    clock: Clock,
    env_steps_at_update: u64,
    step: StepBatch,
    actions: ActionBatch,
    tracker: EpisodeTracker,
    sums: Sums,
    best: Option<Best>,
    last_eval: Option<Evaluation>,
    wall_s: f64,
    /// Why the run ended, if it did; a run that was interrupted has not.
    ended: Option<StopReason>,
}

impl Training {
    /// A run at its start: resets the environment.
    ///
    /// # Errors
    /// Settings that contradict each other, memory that cannot be had, an environment that cannot start.
    pub fn new(
        settings: RunSettings,
        seed: u64,
        mut env: Box<dyn BatchEnv>,
        eval_env: Box<dyn BatchEnv>,
        learner: AnyLearner,
    ) -> Result<Self> {
        let settings = settings.checked()?;
        let spec = env.spec().clone();
        let n_envs = env.n_envs();
        let mut source = Source::new(&settings, &spec, n_envs, learner)?;
        let mut step = StepBatch::new(&spec, n_envs);
        env.reset(derive_seed(seed, Purpose::Reset, 0), &mut step)?;
        source.begin(&step)?;
        Ok(Self {
            clock: Clock::default(),
            env_steps_at_update: 0,
            step,
            actions: ActionBatch::new(&spec, n_envs),
            tracker: EpisodeTracker::new(&spec, n_envs),
            sums: Sums::default(),
            best: None,
            last_eval: None,
            wall_s: 0.0,
            ended: None,
            settings,
            seed,
            env,
            eval_env,
            source,
        })
    }

    /// The learner.
    pub fn learner(&self) -> &dyn Learner {
        self.source.learner()
    }

    /// Counters.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Seconds of training so far, over all resumptions, evaluations included.
    pub fn wall_s(&self) -> f64 {
        self.wall_s
    }

    /// The best policy of the evaluations so far.
    pub fn best(&self) -> Option<&Best> {
        self.best.as_ref()
    }

    /// Steps that can be learned from.
    pub fn stored(&self) -> usize {
        self.source.stored()
    }

    /// Acts, steps and stores once in every copy.
    ///
    /// # Errors
    /// What the environment, the learner or the replay refuses.
    pub fn collect(&mut self) -> Result<()> {
        let mode = ActMode::Explore(self.clock);
        self.source.learner_mut().act(&self.step, mode, &mut self.actions)?;
        self.env.step(&self.actions, &mut self.step)?;
        self.source.push(&self.actions, &self.step)?;
        self.tracker.push(&self.step, |_, _, _| {});
        self.clock.vector_steps += 1;
        self.clock.env_steps += self.step.n_envs as u64;
        self.clock.episodes = self.tracker.finished;
        Ok(())
    }

    /// Updates that are due now. Environment steps before learning may start count for none.
    fn updates_due(&mut self) -> u64 {
        if let Some(full) = self.source.full_rollout() {
            return u64::from(full);
        }
        let settings = &self.settings;
        if self.clock.env_steps < settings.learning_starts || !self.source.can_sample(settings) {
            self.env_steps_at_update = self.clock.env_steps;
            return 0;
        }
        let due = if settings.update_after_action {
            self.clock.vector_steps.is_multiple_of(settings.update_every)
        } else {
            self.step.is_first.iter().any(|&first| first)
        };
        if due { settings.gradient_steps_after(self.clock.env_steps - self.env_steps_at_update) } else { 0 }
    }

    /// Learns `n` times from what is learned from: a batch each, or the rollout that is full.
    ///
    /// # Errors
    /// A number that is not finite.
    pub fn update(&mut self, n: u64) -> Result<()> {
        let sums = &mut self.sums;
        self.source.update(n, &self.settings, self.seed, self.clock, |stats| sums.add(stats))
    }

    /// Plays evaluation episodes with the greedy policy and remembers the best.
    fn evaluate(&mut self) -> Result<Evaluation> {
        let statistics = self.statistics();
        self.eval_env.load_statistics(&mut Reader::new("normalizer", &statistics))?;
        let seed = derive_seed(self.seed, Purpose::Eval, EVAL_DURING);
        let policy = Policy::Greedy(self.source.learner_mut());
        let evaluation = evaluate(&mut *self.eval_env, policy, self.settings.eval_episodes, seed, |_, _| {})?;
        if self.best.as_ref().is_none_or(|b| evaluation.return_mean > b.return_mean) {
            self.source.learner_mut().settle()?;
            self.best = Some(Best {
                return_mean: evaluation.return_mean,
                env_steps: self.clock.env_steps,
                params: self.source.learner().params().to_vec(),
                statistics,
            });
        }
        self.last_eval = Some(evaluation.clone());
        Ok(evaluation)
    }

    fn statistics(&self) -> Vec<u8> {
        let mut statistics = Writer::new();
        self.env.save_statistics(&mut statistics);
        statistics.into_bytes()
    }

    fn reached_return(&self, evaluation: &Evaluation) -> bool {
        let team = self.settings.stop_return.is_some_and(|r| evaluation.return_mean >= r);
        let each = |r: f64| evaluation.return_per_agent.iter().all(|&own| own >= r);
        team || self.settings.stop_agent_return.is_some_and(each)
    }

    fn training_record(&mut self, env_steps_per_s: f64) -> Record {
        let mut values = Vec::new();
        if let Some(returns) = self.tracker.recent_return_per_agent() {
            values.push(("train/return".into(), returns.iter().sum()));
            let names = self.env.spec().agent_names();
            values.extend(names.iter().zip(returns).map(|(name, r)| (format!("train/return/{name}"), r)));
        }
        if let Some(length) = self.tracker.recent_length() {
            values.push(("train/episode_length".into(), length));
        }
        self.sums.take(&mut values);
        values.extend(
            self.source.learner().gauges(self.clock).into_iter().map(|(k, v)| (format!("explore/{k}"), v)),
        );
        values.extend(self.source.gauges(self.clock));
        values.push(("count/grad_steps".into(), self.source.learner().grad_steps() as f64));
        values.push(("count/episodes".into(), self.clock.episodes as f64));
        values.push(("speed/env_steps_per_s".into(), env_steps_per_s));
        Record { env_steps: self.clock.env_steps, wall_s: self.wall_s, values }
    }

    fn evaluation_record(&self, evaluation: &Evaluation) -> Record {
        let names = self.env.spec().agent_names();
        let returns = names.iter().zip(&evaluation.return_per_agent);
        let mut values = vec![("eval/return".to_string(), evaluation.return_mean)];
        values.extend(returns.map(|(name, &r)| (format!("eval/return/{name}"), r)));
        values.push(("eval/return_std".into(), evaluation.return_std));
        values.push(("eval/episode_length".into(), evaluation.length_mean));
        Record { env_steps: self.clock.env_steps, wall_s: self.wall_s, values }
    }

    fn progress(&self, env_steps_per_s: f64) -> Progress {
        Progress {
            env_steps: self.clock.env_steps,
            total_env_steps: self.settings.env_steps,
            grad_steps: self.source.learner().grad_steps(),
            episodes: self.clock.episodes,
            recent_return: self.tracker.recent_return_per_agent().map(|r| r.iter().sum()),
            eval_return: self.last_eval.as_ref().map(|e| e.return_mean),
            env_steps_per_s,
        }
    }

    /// What the run would hand over now.
    fn team(&self) -> TeamState {
        match (self.settings.keep, &self.best) {
            (Keep::Best, Some(best)) => TeamState {
                env_steps: best.env_steps,
                params: best.params.clone(),
                statistics: best.statistics.clone(),
            },
            _ => TeamState {
                env_steps: self.clock.env_steps,
                params: self.source.learner().params().to_vec(),
                statistics: self.statistics(),
            },
        }
    }

    /// Makes the learner and the evaluation environment those that the run hands over: the best or the last.
    ///
    /// # Errors
    /// Statistics that do not load.
    pub fn hand_over(&mut self) -> Result<(&mut dyn Learner, &mut dyn BatchEnv)> {
        self.source.learner_mut().settle()?;
        self.team().apply(self.source.learner_mut(), &mut *self.eval_env)?;
        Ok((self.source.learner_mut(), &mut *self.eval_env))
    }

    /// The parts of a checkpoint, by file name.
    ///
    /// # Errors
    /// Tensors that cannot be written.
    ///
    /// # Panics
    /// If the learner is not settled.
    pub fn parts(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let bytes = |write: &dyn Fn(&mut Writer)| {
            let mut out = Writer::new();
            write(&mut out);
            out.into_bytes()
        };
        Ok(vec![
            ("run.bin", bytes(&|out| self.save_counters(out))),
            ("learner.bin", bytes(&|out| self.source.learner().save(out))),
            ("environment.bin", bytes(&|out| self.env.save(out))),
            ("replay.bin", bytes(&|out| self.source.save(out))),
            ("policy.safetensors", crate::policy::encode_team(&self.source.learner().policies())?),
            ("team.bin", self.team().encode()),
        ])
    }

    fn save_counters(&self, out: &mut Writer) {
        let Clock { env_steps, vector_steps, episodes } = self.clock;
        let ended = self.ended.map_or(0, |reason| reason as u64 + 1);
        out.u64s(&[self.seed, env_steps, vector_steps, episodes, self.env_steps_at_update, ended]);
        out.f64(self.wall_s);
        save_step(&self.step, out);
        self.tracker.save(out);
        self.sums.save(out);
        out.bool(self.best.is_some());
        if let Some(best) = &self.best {
            out.f64(best.return_mean);
            out.u64(best.env_steps);
            out.f32s(&best.params);
            out.bytes(&best.statistics);
        }
    }

    /// Restores a checkpoint.
    ///
    /// # Errors
    /// A part that is missing, damaged, or of another configuration.
    pub fn restore(&mut self, loaded: &Loaded) -> Result<()> {
        let mut counters = Reader::new("run", loaded.part("run.bin")?);
        self.load_counters(&mut counters)?;
        counters.finish()?;
        let mut learner = Reader::new("learner", loaded.part("learner.bin")?);
        self.source.learner_mut().load(&mut learner)?;
        learner.finish()?;
        let mut env = Reader::new("environment", loaded.part("environment.bin")?);
        self.env.load(&mut env)?;
        env.finish()?;
        let mut replay = Reader::new("replay", loaded.part("replay.bin")?);
        self.source.load(&mut replay)?;
        replay.finish()?;
        Ok(())
    }

    fn load_counters(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let mut counters = [0; 6];
        from.u64s(&mut counters)?;
        let [seed, env_steps, vector_steps, episodes, at_update, ended] = counters;
        if seed != self.seed {
            return Err(Error::invalid(format!(
                "the checkpoint belongs to seed {seed}, the configuration says seed {}; restore the configuration",
                self.seed
            )));
        }
        self.ended = match usize::try_from(ended) {
            Ok(0) => None,
            code => Some(
                code.ok()
                    .and_then(|c| StopReason::ALL.get(c - 1).copied())
                    .ok_or_else(|| from.error(format!("{ended} is no reason to stop")))?,
            ),
        };
        self.clock = Clock { env_steps, vector_steps, episodes };
        self.env_steps_at_update = at_update;
        self.wall_s = from.f64()?;
        load_step(&mut self.step, from)?;
        self.tracker.load(from)?;
        self.sums.load(from)?;
        self.best = None;
        if from.bool()? {
            let mut params = vec![0.0; self.source.learner().params().len()];
            let (return_mean, env_steps) = (from.f64()?, from.u64()?);
            from.f32s(&mut params)?;
            let statistics = from.bytes()?.to_vec();
            self.best = Some(Best { return_mean, env_steps, params, statistics });
        }
        Ok(())
    }
}

/// Clock of one call of [`train`]; the only place where time is read.
struct Stopwatch {
    start: Instant,
    wall_s_before: f64,
    env_steps_before: u64,
    last_tick: Instant,
    last_checkpoint: Instant,
}

impl Stopwatch {
    fn new(run: &Training) -> Self {
        let now = Instant::now();
        let (wall_s_before, env_steps_before) = (run.wall_s, run.clock.env_steps);
        Self { start: now, wall_s_before, env_steps_before, last_tick: now, last_checkpoint: now }
    }

    fn wall_s(&self) -> f64 {
        self.wall_s_before + self.start.elapsed().as_secs_f64()
    }

    fn env_steps_per_s(&self, clock: Clock) -> f64 {
        (clock.env_steps - self.env_steps_before) as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Trains until a limit is reached. Saves checkpoints to `store`, if any, in time and at the end; a fault in
/// learning saves one more before it is returned. A run that was restored at its end does nothing.
///
/// # Errors
/// What environment, learner, replay, store or observer refuse.
pub fn train(
    run: &mut Training,
    store: Option<&CheckpointStore>,
    observer: &mut dyn Observer,
) -> Result<StopReason> {
    if let Some(reason) = run.ended {
        return Ok(reason);
    }
    let mut watch = Stopwatch::new(run);
    let reason = loop {
        let before = run.clock.env_steps;
        if before >= run.settings.env_steps {
            break StopReason::EnvSteps;
        }
        run.collect()?;
        let due = run.updates_due();
        if due > 0 {
            if let Err(fault) = run.update(due) {
                run.wall_s = watch.wall_s();
                save(run, store, observer)?;
                return Err(fault);
            }
            run.env_steps_at_update = run.clock.env_steps;
        }
        if let Some(reason) = after_step(run, before, &mut watch, store, observer)? {
            break reason;
        }
    };
    run.source.learner_mut().settle()?;
    run.wall_s = watch.wall_s();
    finish(run, reason, observer)?;
    run.wall_s = watch.wall_s();
    run.ended = (reason != StopReason::Interrupt).then_some(reason);
    save(run, store, observer)?;
    observer.on_progress(&run.progress(watch.env_steps_per_s(run.clock)));
    Ok(reason)
}

/// Whether a multiple of `every` lies in `before + 1 ..= now`.
fn crossed(before: u64, now: u64, every: u64) -> bool {
    every > 0 && now / every > before / every
}

/// Records, evaluations, checkpoints and limits after one vector step.
fn after_step(
    run: &mut Training,
    before: u64,
    watch: &mut Stopwatch,
    store: Option<&CheckpointStore>,
    observer: &mut dyn Observer,
) -> Result<Option<StopReason>> {
    let now = run.clock.env_steps;
    if crossed(before, now, run.settings.log_every) {
        run.wall_s = watch.wall_s();
        let record = run.training_record(watch.env_steps_per_s(run.clock));
        observer.on_record(&record)?;
    }
    if crossed(before, now, run.settings.eval_every) && run.source.learner().grad_steps() > 0 {
        let evaluation = run.evaluate()?;
        run.wall_s = watch.wall_s();
        observer.on_record(&run.evaluation_record(&evaluation))?;
        if run.reached_return(&evaluation) {
            return Ok(Some(StopReason::Return));
        }
    }
    if run.settings.max_episodes.is_some_and(|limit| run.clock.episodes >= limit) {
        return Ok(Some(StopReason::Episodes));
    }
    let by_steps = run.settings.checkpoint_every.is_some_and(|every| crossed(before, now, every));
    let every_s = run.settings.checkpoint_every_s;
    if by_steps || every_s > 0.0 && watch.last_checkpoint.elapsed().as_secs_f64() >= every_s {
        run.wall_s = watch.wall_s();
        save(run, store, observer)?;
        watch.last_checkpoint = Instant::now();
    }
    if watch.last_tick.elapsed().as_millis() >= 100 {
        watch.last_tick = Instant::now();
        observer.on_progress(&run.progress(watch.env_steps_per_s(run.clock)));
        if observer.stop_requested() {
            return Ok(Some(StopReason::Interrupt));
        }
        if run.settings.max_seconds.is_some_and(|limit| watch.wall_s() >= limit) {
            return Ok(Some(StopReason::Seconds));
        }
    }
    Ok(None)
}

/// A last evaluation, where the run does not stop on one or resumes later, so that the best is known.
fn finish(run: &mut Training, reason: StopReason, observer: &mut dyn Observer) -> Result<()> {
    let evaluates = run.settings.eval_every > 0 && run.source.learner().grad_steps() > 0;
    if evaluates && !matches!(reason, StopReason::Return | StopReason::Interrupt) {
        let due_at_the_end = run.clock.env_steps.is_multiple_of(run.settings.eval_every);
        if !(reason == StopReason::EnvSteps && due_at_the_end) {
            let evaluation = run.evaluate()?;
            observer.on_record(&run.evaluation_record(&evaluation))?;
        }
    }
    Ok(())
}

fn save(run: &mut Training, store: Option<&CheckpointStore>, observer: &mut dyn Observer) -> Result<()> {
    let Some(store) = store else { return Ok(()) };
    observer.before_checkpoint()?;
    run.source.settle()?;
    let parts = run.parts()?;
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let path = store.save(run.clock.env_steps, &parts)?;
    observer.on_checkpoint(run.clock.env_steps, &path);
    Ok(())
}
