//! Small runs for tests: an environment, a learner and settings in one place.

use coact_algorithms::{AnyLearner, BuildContext};
use coact_core::{BatchEnv, EnvSpec, StepBatch};
use coact_envs::wrappers::{CommonReward, WrapperConfig, wrap};
use coact_kernels::{Backend, CpuOptions};
use coact_runner::metrics::Record;
use coact_runner::observer::{Observer, Silent};
use coact_runner::policy::params_hash;
use coact_runner::{RunSettings, StopReason, Training, train};
use serde_json::{Value, json};

/// A run to be: change what a test is about, then [`Setup::build`].
#[derive(Clone)]
pub struct Setup {
    pub env: &'static str,
    pub options: Value,
    pub algorithm: &'static str,
    pub learner: Value,
    pub run: RunSettings,
    pub wrappers: WrapperConfig,
    pub n_envs: usize,
    pub seed: u64,
    pub cpu: CpuOptions,
}

impl Setup {
    /// A small network and a quiet run: no evaluations, few records.
    pub fn new(env: &'static str, algorithm: &'static str) -> Self {
        let common = (algorithm == "vdn").then_some(CommonReward::Sum);
        Self {
            env,
            options: Value::Null,
            algorithm,
            learner: json!({"hidden": [16], "learning_rate": 3e-3}),
            run: RunSettings {
                env_steps: 120,
                buffer_size: 64,
                batch_size: 8,
                learning_starts: 16,
                eval_every: 0,
                eval_episodes: 2,
                final_eval_episodes: 2,
                log_every: 50,
                checkpoint_every_s: 0.0,
                ..RunSettings::default()
            },
            wrappers: WrapperConfig { common_reward: common, ..WrapperConfig::default() },
            n_envs: 1,
            seed: 0,
            cpu: CpuOptions::default(),
        }
    }

    /// Lays settings of the learner over those that are there.
    pub fn learner(mut self, settings: Value) -> Self {
        merge(&mut self.learner, settings);
        self
    }

    pub fn environment(&self, n_envs: usize) -> Box<dyn BatchEnv> {
        let env = coact_envs::find(self.env).unwrap().build(&self.options, n_envs).unwrap();
        wrap(env, &self.wrappers).unwrap()
    }

    pub fn build_learner(&self, spec: &EnvSpec) -> coact_algorithms::Result<AnyLearner> {
        let entry = coact_algorithms::find(self.algorithm)?;
        (entry.check)(spec)?;
        (entry.build)(BuildContext {
            spec,
            n_envs: self.n_envs,
            seed: self.seed,
            total_env_steps: self.run.env_steps,
            total_grad_steps: self.run.total_grad_steps(self.n_envs),
            rollout_steps: self.run.rollout_steps,
            gamma: self.run.gamma,
            backend: Backend::cpu(self.cpu).unwrap(),
            settings: &self.learner,
        })
    }

    pub fn try_build(&self) -> coact_runner::Result<Training> {
        let env = self.environment(self.n_envs);
        let eval_env = self.environment(self.run.eval_episodes.clamp(1, 4));
        let learner = self.build_learner(env.spec())?;
        Training::new(self.run.clone(), self.seed, env, eval_env, learner)
    }

    pub fn build(&self) -> Training {
        self.try_build().unwrap()
    }

    /// Trains to the end.
    pub fn train(&self) -> Training {
        let mut run = self.build();
        train(&mut run, None, &mut Silent).unwrap();
        run
    }

    /// Trains to the end and keeps what is told on the way.
    pub fn watch(&self) -> (Training, Diary, StopReason) {
        let mut run = self.build();
        let mut diary = Diary::default();
        let reason = train(&mut run, None, &mut diary).unwrap();
        (run, diary, reason)
    }

    /// Hash of all parameters after training.
    pub fn hash(&self) -> String {
        params_hash(self.train().learner().params())
    }
}

/// Lays the keys of `over` over `base`.
pub fn merge(base: &mut Value, over: Value) {
    let Value::Object(over) = over else { return };
    if base.is_null() {
        *base = json!({});
    }
    base.as_object_mut().unwrap().extend(over);
}

/// Remembers every record.
#[derive(Default)]
pub struct Diary {
    pub records: Vec<Record>,
}

impl Diary {
    /// Records without what depends on the clock.
    pub fn timeless(&self) -> Vec<(u64, Vec<(String, f64)>)> {
        let timeless = |r: &Record| {
            let values = r.values.iter().filter(|(name, _)| !name.starts_with("speed/"));
            (r.env_steps, values.cloned().collect())
        };
        self.records.iter().map(timeless).collect()
    }

    /// Environment steps of the records that hold `name`.
    pub fn steps_of(&self, name: &str) -> Vec<u64> {
        self.records.iter().filter(|r| r.get(name).is_some()).map(|r| r.env_steps).collect()
    }
}

impl Observer for Diary {
    fn on_record(&mut self, record: &Record) -> coact_runner::Result<()> {
        self.records.push(record.clone());
        Ok(())
    }
}

/// Action values `[A][N]` of the trained team where every agent of group 0 sees `obs`.
pub fn values_at(run: &mut Training, obs: &[f32]) -> Vec<Vec<f32>> {
    let (learner, env) = run.hand_over().unwrap();
    let spec = env.spec().clone();
    let mut step = StepBatch::new(&spec, 1);
    step.groups[0].obs.chunks_exact_mut(obs.len()).for_each(|row| row.copy_from_slice(obs));
    let values = learner.action_values(&step, 0).unwrap();
    values.chunks_exact(spec.groups[0].action.n_discrete()).map(<[f32]>::to_vec).collect()
}
