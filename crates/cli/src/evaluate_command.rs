//! `coact evaluate`.

use coact_core::rng::{Purpose, derive_seed};
use coact_runner::policy::params_hash;
use coact_runner::{Policy, evaluate};
use serde_json::json;

use crate::args::EvaluateArgs;
use crate::console::{note, say};
use crate::environments::{self, yardsticks};
use crate::run_folder::{RunFolder, load_team};
use crate::train::{evaluation_json, say_returns};
use crate::{Error, Result, fixed_policy};

/// Plays episodes with a trained team, or by scripts in an environment, and with random actions, and shows what solvers
/// make of the same problem.
///
/// # Errors
/// Neither a run folder nor an environment, no whole checkpoint, no such script.
pub fn evaluate_run(args: &EvaluateArgs) -> Result<()> {
    if args.episodes == 0 {
        return Err(Error::usage("--episodes is 0; it must be 1 or more"));
    }
    let folder = RunFolder::at(&args.what);
    if !folder.config_file().is_file() && environments::find(&args.what).is_ok() {
        return fixed_policy::evaluate_env(args, &args.what);
    }
    if !args.set.is_empty() {
        return Err(Error::usage("--set changes options of an environment; a run keeps its own"));
    }
    if let Some(policy) = args.policy.as_deref().filter(|p| *p != "greedy") {
        let text = format!(
            "--policy {policy} is for environments, and {} is none; leave it out for a run, which shows random returns too",
            args.what
        );
        return Err(Error::usage(text));
    }
    let mut team = load_team(&folder, args.episodes.min(32), args.threads)?;
    for (path, reason) in &team.skipped {
        note(format!("{} is damaged ({reason}); using the one before", path.display()));
    }
    if !args.quiet {
        note(format!("evaluating {} episodes of the team of {} env steps", args.episodes, team.env_steps));
    }
    let seed = derive_seed(args.seed, Purpose::Eval, 2);
    let start = std::time::Instant::now();
    let greedy =
        evaluate(&mut *team.env, Policy::Greedy(&mut *team.learner), args.episodes, seed, |_, _| {})?;
    let wall_s = start.elapsed().as_secs_f64();
    let random = evaluate(&mut *team.env, Policy::Random { seed }, args.episodes, seed, |_, _| {})?;
    let names = team.env.spec().agent_names();
    let options = serde_json::Value::Object(team.config.team.env_options.clone());
    let yardsticks = yardsticks(&team.config.team.env, &options).map_err(Error::usage)?;
    if !args.json || !args.quiet {
        say_returns(&names, "greedy", &greedy, &random, &yardsticks);
    }
    if args.json {
        let steps = greedy.length_mean * greedy.episodes as f64;
        say(json!({
            "run_dir": args.what, "algorithm": team.config.team.algorithm, "env": team.config.team.env,
            "seed": args.seed, "env_steps": team.env_steps, "wall_s": wall_s,
            "env_steps_per_s": steps / wall_s.max(1e-9), "params_hash": params_hash(team.learner.params()),
            "agents": names, "evaluation": evaluation_json(&greedy, &random),
            "yardsticks": yardsticks,
        }));
    }
    Ok(())
}
