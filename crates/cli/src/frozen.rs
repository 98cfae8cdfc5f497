//! Groups that play by the policy of another run, whatever algorithm learned it, and learn no more.
//!
//! The policy acts greedily on what its own run showed it: the groups that it was trained with, and agent indices where
//! it had them. Not here: policies on normalized observations or last actions, which belong to the other run's history.

use coact_algorithms::{ActMode, Learner};
use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Error as CoreError, StepBatch};
use coact_envs::scripts::{Actor, Moment, place_of};
use coact_envs::wrappers::wrap;
use coact_kernels::Precision;
use coact_runner::TeamState;
use coact_runner::checkpoint::CheckpointStore;

use crate::config::Config;
use crate::run_folder::{RunFolder, build_learner};
use crate::{Error, Result, environments};

/// A group played by the learner of another run.
pub struct FrozenGroup {
    learner: Box<dyn Learner>,
    /// Place of each of the learner's groups in the whole environment.
    places: Vec<usize>,
    /// The group that it plays, among the learner's and in the whole environment.
    group: (usize, usize),
    /// What the learner sees.
    view: StepBatch,
    actions: ActionBatch,
}

/// The actors of all groups that `config` has frozen, for `n_envs` copies of its bare environment with `spec`.
///
/// # Errors
/// A group that does not exist, a run that cannot be loaded or was trained for another environment.
pub fn actors(config: &Config, spec: &EnvSpec, n_envs: usize) -> Result<Vec<(String, Box<dyn Actor>)>> {
    let one = |(group, run): (&String, &String)| -> Result<(String, Box<dyn Actor>)> {
        let place = place_of(spec, group).map_err(Error::usage)?;
        let frozen = FrozenGroup::load(config, spec, place, run, n_envs)?;
        Ok((group.clone(), Box::new(frozen)))
    };
    config.team.frozen.iter().map(one).collect()
}

impl FrozenGroup {
    fn load(config: &Config, whole: &EnvSpec, place: usize, run: &str, n_envs: usize) -> Result<Self> {
        let refuse = |what: String| Err(Error::usage(format!("frozen: {run} {what}")));
        let folder = RunFolder::at(run);
        let mut saved = folder.config()?;
        let (own, other) = (&config.team, &saved.team);
        if (&own.env, &own.env_options) != (&other.env, &other.env_options) {
            return refuse(format!(
                "was trained in {} with other options, or in another environment; freeze a run in {}",
                other.env, own.env
            ));
        }
        if other.normalize_obs || other.last_action {
            return refuse("saw normalized observations or last actions; train it without them".into());
        }
        (saved.team.threads, saved.team.device) = (own.threads, own.device.clone());
        (saved.team.isa, saved.team.specialize) = (own.isa.clone(), own.specialize);
        // Its policy is computed as this run is, as far as there are kernels for that.
        let fast = coact_algorithms::find(&saved.team.algorithm)?.fast;
        saved.team.precision =
            if fast { own.precision.clone() } else { Precision::Strict.name().to_string() };
        let mut env = shown_to(&saved)?;
        let spec = env.spec().clone();
        let name = &whole.groups[place].name;
        let Some(group) = spec.groups.iter().position(|g| g.name == *name) else {
            return refuse(format!("has no policy for group `{name}`, which was played there as well"));
        };
        let places =
            spec.groups.iter().map(|g| place_of(whole, &g.name)).collect::<coact_core::Result<_>>()?;
        let mut learner = build_learner(&saved, &spec)?.into_learner();
        let store = CheckpointStore::open_read_only(folder.checkpoints());
        let Some(loaded) = store.load_newest()? else {
            return Err(Error::failed(format!("{run} has no checkpoint yet; train it first")));
        };
        TeamState::decode(loaded.part("team.bin")?)?.apply(&mut *learner, &mut *env)?;
        Ok(Self {
            learner,
            places,
            group: (group, place),
            view: StepBatch::new(&spec, n_envs),
            actions: ActionBatch::new(&spec, n_envs),
        })
    }
}

/// One copy of the environment as the learner of `saved` saw it. Who played the groups that it did not see does not
/// matter here.
fn shown_to(saved: &Config) -> Result<Box<dyn BatchEnv>> {
    let mut wrappers = saved.wrappers();
    wrappers.scripted.extend(saved.team.frozen.keys().map(|group| (group.clone(), "noop".into())));
    let options = serde_json::Value::Object(saved.team.env_options.clone());
    let env = environments::find(&saved.team.env).map_err(Error::usage)?.build(&options, 1);
    wrap(env.map_err(Error::usage)?, &wrappers).map_err(Error::usage)
}

impl Actor for FrozenGroup {
    fn act(
        &mut self,
        step: &StepBatch,
        _moment: Moment,
        actions: &mut ActionBatch,
    ) -> coact_core::Result<()> {
        self.view.state.copy_from_slice(&step.state);
        self.view.is_first.copy_from_slice(&step.is_first);
        for (to, &place) in self.view.groups.iter_mut().zip(&self.places) {
            let from = &step.groups[place];
            to.mask.copy_from_slice(&from.mask);
            to.alive.copy_from_slice(&from.alive);
            let rows = from.alive.len();
            let (narrow, wide) = (from.obs.len() / rows, to.obs.len() / rows);
            // Wider by an agent index, or not at all.
            let pairs = to.obs.chunks_exact_mut(wide).zip(from.obs.chunks_exact(narrow)).enumerate();
            for (row, (to, from)) in pairs {
                to[..narrow].copy_from_slice(from);
                to[narrow..].fill(0.0);
                if wide > narrow {
                    to[narrow + row % (wide - narrow)] = 1.0;
                }
            }
        }
        self.learner
            .act(&self.view, ActMode::Greedy, &mut self.actions)
            .map_err(|e| CoreError::invalid(e.to_string()))?;
        let (own, whole) = self.group;
        actions.discrete[whole].copy_from_slice(&self.actions.discrete[own]);
        actions.continuous[whole].copy_from_slice(&self.actions.continuous[own]);
        Ok(())
    }

    /// The whole policy: a run goes on against the one that it began with, whatever became of the other run.
    fn save(&self, out: &mut Writer) {
        self.learner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        self.learner.load(from).map_err(|e| CoreError::invalid(e.to_string()))
    }
}
