//! `coact record`: a trace of an environment of ours, in the format that `coact verify` reads.

use serde_json::{Map, Value, json};

use crate::args::RecordArgs;
use crate::config::parse_value;
use crate::console::say;
use crate::{Error, Result};

/// Plays seeded episodes with random actions and writes them down.
///
/// # Errors
/// An environment whose traces nobody reads, bad options, a file that cannot be written.
pub fn record(args: &RecordArgs) -> Result<()> {
    if args.episodes == 0 {
        return Err(Error::usage("--episodes is 0; it must be 1 or more"));
    }
    let mut options = Map::new();
    for pair in &args.set {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Error::usage(format!("`--set {pair}` has no value")))?;
        options.insert(key.trim().into(), parse_value(value.trim()));
    }
    let trace =
        coact_envs::verify::record_trace(&args.env, &Value::Object(options), args.seed, args.episodes)
            .map_err(Error::usage)?;
    let path = args.out.clone().unwrap_or_else(|| format!("{}.json", args.env.replace('/', "-")).into());
    let text = serde_json::to_string(&trace).map_err(Error::failed)?;
    coact_runner::write_atomic(&path, text.as_bytes())?;
    if args.json {
        say(json!({"file": path, "name": trace["name"], "episodes": args.episodes, "seed": args.seed}));
    } else {
        say(format!("{} episodes of {} in {}", args.episodes, args.env, path.display()));
    }
    Ok(())
}
