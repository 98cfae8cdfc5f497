//! A run on disk: configuration, metrics, event file, checkpoints, agents, result, pictures, report.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use coact_core::{BatchEnv, EnvSpec};
use coact_kernels::{Backend, CpuOptions, Device, Isa};
use coact_runner::checkpoint::CheckpointStore;
use coact_runner::{Training, write_atomic};

use crate::config::{Config, Layers};
use crate::{Error, Result, environments, frozen};

/// Copies of the environment in an evaluation.
const EVAL_ENVS: usize = 32;

/// Paths within a run folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The folder.
    pub dir: PathBuf,
}

impl RunFolder {
    /// The folder at `dir`, whether it exists or not.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// A new folder with its configuration. An explicit `out` must not hold anything; the default one gets a
    /// number where it is taken.
    ///
    /// # Errors
    /// A folder that is taken or cannot be made.
    pub fn create(out: Option<&Path>, name: &str, config: &Config) -> Result<Self> {
        let dir = match out {
            Some(out) => {
                // What a writer that was killed left behind is nobody's.
                let own = |e: std::io::Result<std::fs::DirEntry>| {
                    e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with(".tmp-"))
                };
                let taken = std::fs::read_dir(out).is_ok_and(|mut entries| entries.any(own));
                if taken || out.is_file() {
                    let text = format!(
                        "{} is not empty; choose another --out, or go on with `coact train --resume {}`",
                        out.display(),
                        out.display()
                    );
                    return Err(Error::usage(text));
                }
                out.to_path_buf()
            }
            None => free_default(name, config.team.seed),
        };
        let folder = Self { dir };
        let make = |dir: &Path| {
            std::fs::create_dir_all(dir).map_err(|e| {
                Error::failed(format!("cannot make {}: {e}; choose another --out", dir.display()))
            })
        };
        // The configuration first: killed here, the folder is empty or can be resumed.
        make(&folder.dir)?;
        write_atomic(&folder.config_file(), config.to_toml().as_bytes())?;
        make(&folder.checkpoints())?;
        Ok(folder)
    }

    /// The configuration in the folder, checked against its hash.
    ///
    /// # Errors
    /// Not a run folder, or a configuration that was edited.
    pub fn config(&self) -> Result<Config> {
        let path = self.config_file();
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Error::failed(format!(
                "{} is not a run folder: cannot read {}: {e}",
                self.dir.display(),
                path.display()
            ))
        })?;
        let mut layers = Layers::default();
        layers.toml(&text, &path.display().to_string())?;
        let config = layers.resolve()?;
        let stored = text.lines().next().and_then(|l| l.split('"').nth(1)).unwrap_or_default();
        if stored != config.hash() {
            return Err(Error::failed(format!(
                "{} was changed since the run began (hash {}, was {stored}); restore it, or start a new run with --config",
                path.display(),
                config.hash()
            )));
        }
        Ok(config)
    }

    /// `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// `metrics.jsonl`.
    pub fn metrics_file(&self) -> PathBuf {
        self.dir.join("metrics.jsonl")
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// `result.json`.
    pub fn result_file(&self) -> PathBuf {
        self.dir.join("result.json")
    }

    /// Holds the folder for one writer until the file is dropped, by whatever end of the process.
    ///
    /// # Errors
    /// Another process trains in this folder.
    pub fn lock(&self) -> Result<File> {
        let path = self.dir.join(".lock");
        let fault = |e: std::io::Error| Error::failed(format!("cannot lock {}: {e}", path.display()));
        let file = File::create(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::failed(format!(
                "another process trains in {}; wait for it, or choose another --out",
                self.dir.display()
            ))),
            Err(TryLockError::Error(e)) => Err(fault(e)),
        }
    }

    /// Store of checkpoints.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn store(&self) -> Result<CheckpointStore> {
        Ok(CheckpointStore::open(self.checkpoints())?)
    }
}

fn free_default(name: &str, seed: u64) -> PathBuf {
    let base = format!("{name}-seed{seed}");
    let path = |n: usize| match n {
        1 => Path::new("runs").join(&base),
        _ => Path::new("runs").join(format!("{base}-{n}")),
    };
    (1..).map(path).find(|p| !p.exists()).unwrap_or_default()
}

/// The wrapped environment of a configuration.
///
/// # Errors
/// An unknown environment or option, counts that make no sense, a frozen run that cannot be loaded.
pub fn build_env(config: &Config, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    let entry = environments::find(&config.team.env).map_err(Error::usage)?;
    let options = serde_json::Value::Object(config.team.env_options.clone());
    let env = entry.build(&options, n_envs).map_err(Error::usage)?;
    let actors = frozen::actors(config, env.spec(), n_envs)?;
    coact_envs::wrappers::wrap_with(env, &config.wrappers(), actors).map_err(Error::usage)
}

/// The wrapped environment for evaluations of `episodes` episodes.
///
/// # Errors
/// As [`build_env`].
pub fn build_eval_env(config: &Config, episodes: usize) -> Result<Box<dyn BatchEnv>> {
    build_env(config, episodes.clamp(1, EVAL_ENVS))
}

/// Where to compute.
///
/// # Errors
/// A device or instruction set that is unknown or not there, a precision that the device does not have.
pub fn build_backend(config: &Config) -> Result<Backend> {
    choose_backend(config).map(|(backend, _)| backend)
}

/// [`build_backend`], and why it is this one.
///
/// # Errors
/// As there.
pub fn choose_backend(config: &Config) -> Result<(Backend, String)> {
    let device: Device = config.team.device.parse().map_err(Error::usage)?;
    let isa = match config.team.isa.as_str() {
        "auto" => None,
        name => Some(name.parse::<Isa>().map_err(Error::usage)?),
    };
    let options = CpuOptions { threads: config.threads(), isa };
    let (backend, why) = device.backend(options).map_err(Error::usage)?;
    let mut backend = backend.with_precision(config.precision()?).map_err(Error::usage)?;
    if !config.team.specialize {
        return Ok((backend, why));
    }
    // Either way the same results: nothing to stop for.
    let how = backend.specialize().unwrap_or_else(|why| why.to_string());
    Ok((backend, format!("{why}; {how}")))
}

/// The learner of a configuration for an environment with `spec`.
///
/// # Errors
/// An environment that the algorithm cannot learn in, settings out of range, a precision that it has no kernels for.
pub fn build_learner(config: &Config, spec: &EnvSpec) -> Result<coact_algorithms::AnyLearner> {
    let entry = coact_algorithms::find(&config.team.algorithm)?;
    (entry.check)(spec)?;
    entry.check_precision(config.precision()?)?;
    let context = coact_algorithms::BuildContext {
        spec,
        n_envs: config.team.n_envs,
        seed: config.team.seed,
        total_env_steps: config.run.env_steps,
        total_grad_steps: config.run.total_grad_steps(config.team.n_envs),
        rollout_steps: config.run.rollout_steps,
        gamma: config.run.gamma,
        backend: build_backend(config)?,
        settings: &config.algorithm,
    };
    Ok((entry.build)(context)?)
}

/// Everything of a training run, at its start.
///
/// # Errors
/// As the parts.
pub fn build_run(config: &Config) -> Result<Training> {
    let env = build_env(config, config.team.n_envs)?;
    let eval_env = build_eval_env(config, config.run.eval_episodes.max(config.run.final_eval_episodes))?;
    let learner = build_learner(config, env.spec())?;
    Ok(Training::new(config.run.clone(), config.team.seed, env, eval_env, learner)?)
}

/// A trained team, ready to act: the learner with the parameters that the run hands over, and an environment
/// with the statistics that belong to them.
pub struct Team {
    /// Configuration of the run.
    pub config: Config,
    /// Acts.
    pub learner: Box<dyn coact_algorithms::Learner>,
    /// Where it acts.
    pub env: Box<dyn BatchEnv>,
    /// Environment steps after which the parameters were taken.
    pub env_steps: u64,
    /// Damaged checkpoints that were passed over.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Loads the team of a run from its newest whole checkpoint.
///
/// # Errors
/// Not a run folder, or no whole checkpoint.
pub fn load_team(folder: &RunFolder, n_envs: usize, threads: usize) -> Result<Team> {
    let mut config = folder.config()?;
    config.team.threads = threads;
    let mut env = build_env(&config, n_envs)?;
    let mut learner = build_learner(&config, env.spec())?.into_learner();
    let store = CheckpointStore::open_read_only(folder.checkpoints());
    let loaded = store.load_newest()?.ok_or_else(|| {
        Error::failed(format!("{} has no checkpoint yet; train it first", folder.dir.display()))
    })?;
    let team = coact_runner::TeamState::decode(loaded.part("team.bin")?)?;
    team.apply(&mut *learner, &mut *env)?;
    Ok(Team { config, learner, env, env_steps: team.env_steps, skipped: loaded.skipped })
}
