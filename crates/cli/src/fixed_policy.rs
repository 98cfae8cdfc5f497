//! Environments whose agents all play at random or by scripts: what `coact play` and `coact evaluate` show where nothing
//! was trained.

use coact_core::rng::{Purpose, derive_seed};
use coact_core::{ActionBatch, BatchEnv, MultiAgentEnv, StepBatch};
use coact_envs::scripts::{Actor, Cast, Moment};
use coact_runner::{Evaluation, Policy, evaluate};
use serde_json::{Map, Value, json};

use crate::args::EvaluateArgs;
use crate::config::parse_value;
use crate::console::say;
use crate::environments::{self, yardsticks};
use crate::train::{evaluation_json, say_returns};
use crate::{Error, Result};

/// Copies of the environment in an evaluation.
const EVAL_ENVS: usize = 32;

/// A policy that nobody trained.
pub enum FixedPolicy {
    /// Any legal action.
    Random,
    /// Scripts for all groups.
    Scripts(Cast),
}

impl FixedPolicy {
    /// Who plays, in the words that ask for it.
    pub fn describe(&self) -> String {
        match self {
            Self::Random => "random".into(),
            Self::Scripts(cast) => cast.describe(),
        }
    }

    /// Plays `episodes` episodes in `env`; `watch` as in [`evaluate()`].
    ///
    /// # Errors
    /// What the environment or a script refuses.
    pub fn evaluate(
        &mut self,
        env: &mut dyn BatchEnv,
        episodes: usize,
        seed: u64,
        watch: impl FnMut(&dyn BatchEnv, usize),
    ) -> Result<Evaluation> {
        let evaluation = match self {
            Self::Random => evaluate(env, Policy::Random { seed }, episodes, seed, watch),
            Self::Scripts(cast) => {
                let mut act = |step: &StepBatch, n: u64, actions: &mut ActionBatch| {
                    cast.act(step, Moment { seed, step: n }, actions)
                };
                evaluate(env, Policy::Other(&mut act), episodes, seed, watch)
            }
        };
        Ok(evaluation?)
    }
}

/// `n_envs` copies of the environment called `name` with options `set` (`OPTION=VALUE` each), and who plays there.
///
/// # Errors
/// An option, policy or script that does not exist; no policy.
pub fn build(
    name: &str,
    set: &[String],
    policy: Option<&str>,
    n_envs: usize,
) -> Result<(Box<dyn BatchEnv>, FixedPolicy)> {
    let entry = environments::find(name).map_err(Error::usage)?;
    let Some(policy) = policy.filter(|p| *p != "greedy") else {
        let text = format!(
            "{name} is an environment and has no trained policy; add --policy random, or --policy scripted"
        );
        return Err(Error::usage(text));
    };
    let env = entry.build(&env_options(set)?, n_envs).map_err(Error::usage)?;
    let policy = match policy {
        "random" => FixedPolicy::Random,
        scripts => FixedPolicy::Scripts(Cast::new(env.spec(), scripts).map_err(Error::usage)?),
    };
    Ok((env, policy))
}

/// One copy of the environment called `name` with options `set`.
///
/// # Errors
/// An environment or an option that does not exist.
pub fn build_one(name: &str, set: &[String]) -> Result<Box<dyn MultiAgentEnv>> {
    let entry = environments::find(name).map_err(Error::usage)?;
    entry.build_one(&env_options(set)?).map_err(Error::usage)
}

/// `OPTION=VALUE` each, as one object.
fn env_options(set: &[String]) -> Result<Value> {
    let mut options = Map::new();
    for pair in set {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Error::usage(format!("`--set {pair}` has no value")))?;
        options.insert(key.trim().into(), parse_value(value.trim()));
    }
    Ok(Value::Object(options))
}

/// `coact evaluate ENV --policy P`.
///
/// # Errors
/// As [`build`], and what the environment refuses.
pub fn evaluate_env(args: &EvaluateArgs, name: &str) -> Result<()> {
    let (mut env, mut policy) =
        build(name, &args.set, args.policy.as_deref(), args.episodes.clamp(1, EVAL_ENVS))?;
    let seed = derive_seed(args.seed, Purpose::Eval, 2);
    let played = policy.evaluate(&mut *env, args.episodes, seed, |_, _| {})?;
    let random = FixedPolicy::Random.evaluate(&mut *env, args.episodes, seed, |_, _| {})?;
    let names = env.spec().agent_names();
    let yardsticks = yardsticks(name, &env_options(&args.set)?).map_err(Error::usage)?;
    if !args.json || !args.quiet {
        say(format!("policy: {}", policy.describe()));
        say_returns(&names, "policy", &played, &random, &yardsticks);
    }
    if args.json {
        say(json!({
            "env": env.spec().name, "policy": policy.describe(), "seed": args.seed, "agents": names,
            "evaluation": evaluation_json(&played, &random), "yardsticks": yardsticks,
        }));
    }
    Ok(())
}
