//! `cargo xtask bench`: prepares the peers that were asked for, builds the `measure` binary of `coact-benches` (and
//! `coact`, for the suite that trains), and runs it. What is measured and how is in `benches/`.

use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::{Failure, Result, peers, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask bench [SUITE]... [--quick] [--json FILE] [--peers LIST] [--threads N] [--only PART]
                         [--plots DIR] [--device D] [--profile NAME]

Measures and prints a table. SUITE is one or more of these, all if none is named:
  kernels   every kernel by itself: time, operations, bytes, share of what bounds it, measured in the same run; and
            the kernels for GPUs: registers, shared memory, and the time that a model of an H100 predicts
  act       observations to actions, 96 to 3,072 rows
  update    a VDN double-DQN update with clipping and Adam; dense tiles against the measured multiply-add peak
  recurrent GRU and LSTM cells over sequences, forward and backward, against the measured multiply-add peak
  envs      environment steps, observations written; without --quick also from 1 to 65,536 copies and from 2 to 100 agents
  replay    priority updates, samples, pushes and gathers at a million entries
  rollout   simple_spread: policy, step and store
  training  a short `coact train spread-vdn`, end to end; JaxMARL's settings beside JaxMARL with --peers jaxmarl
  games     counterfactual regret minimization, equilibria of games in normal form, plans of finite models
  allocation  assignment, distributed constraint optimization, messages of the simulator

  --quick         shorter repetitions: a look, not a claim
  --json FILE     writes an array of objects with name, value, unit, threads and, beside a peer, peer, peer_value and
                  ratio (above 1: ours is faster)
  --plots DIR     writes how the speed of environments grows with copies and agents, as SVG
  --peers [LIST]  measures peers in the same run, alternating; without a list all of the suites that are named: for envs
                  mpe2, jaxmarlenvs, vmas, lbforaging, rware, gymnasium; jax, torch, cpprb, jaxmarl; for games openspiel, quantecon, nashpy, gambit, mdptoolbox, scipy; for allocation scipy, lapx; with
                  commas between. Their packages are installed in .peers/ first (torch, also for vmas, takes several GB)
  --threads N     number of threads of ours, and of peers that have a thread pool; without it the faster of 1 and 2 is
                  reported, for each
  --only PART     measure only what has PART in its name, for example vdn-rnn
  --device D      cpu (the default), cuda or cuda:N: where act, update and their kernels run. A call on a GPU is timed with its copies
                  there and back; without a GPU this is an error
  --profile NAME  cargo's profile to build in (release); with dev, what the tests have built is used again, and the
                  figures only show that everything measured runs

Example: cargo xtask bench update --peers jax --json update.json";

/// Peers of a suite, for `--peers` without a list.
fn peers_of(suite: &str) -> &'static [&'static str] {
    match suite {
        "envs" => &["mpe2", "jaxmarlenvs", "vmas", "lbforaging", "rware", "gymnasium"],
        "act" | "update" => &["jax", "torch"],
        "replay" => &["cpprb"],
        "training" => &["jaxmarl"],
        "games" => &["openspiel", "quantecon", "nashpy", "gambit", "mdptoolbox", "scipy"],
        "allocation" => &["scipy", "lapx"],
        _ => &[],
    }
}

/// The arguments with a list after `--peers`.
fn with_list(args: &[String]) -> Vec<String> {
    let mut all = args.to_vec();
    if let Some(at) = all.iter().position(|a| a == "--peers")
        && all.get(at + 1).is_none_or(|next| next.starts_with("--"))
    {
        let named: Vec<&str> = SUITES.iter().copied().filter(|s| args.iter().any(|a| a == s)).collect();
        let suites = if named.is_empty() { SUITES.to_vec() } else { named };
        let mut list: Vec<&str> = suites.into_iter().flat_map(peers_of).copied().collect();
        list.sort_unstable();
        list.dedup();
        all.insert(at + 1, list.join(","));
    }
    all
}

const SUITES: &[&str] = &[
    "kernels",
    "act",
    "update",
    "recurrent",
    "envs",
    "replay",
    "rollout",
    "training",
    "games",
    "allocation",
];

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(
        &with_list(args),
        &["--quick"],
        &["--json", "--plots", "--peers", "--threads", "--only", "--device", "--profile"],
    )?;
    if let Some(word) = args.words.iter().find(|w| !SUITES.contains(&w.as_str())) {
        return Err(Failure::Usage(format!("unknown suite `{word}`; one of: {}", SUITES.join(", "))));
    }
    let threads = args.count("--threads")?;
    let here = std::env::current_dir().map_err(|e| format!("no current directory: {e}"))?;
    let profile = args.option("--profile").unwrap_or("release");
    let trains = args.words.is_empty() || args.words.iter().any(|w| w == "training");
    let coact = if trains { Some(process::binary(root, profile, "coact")?) } else { None };

    let mut command = Command::new(process::binary(root, profile, "measure")?);
    command.current_dir(root).args(&args.words);
    if args.flag("--quick") {
        command.arg("--quick");
    }
    if let Some(file) = args.option("--json") {
        command.arg("--json").arg(here.join(file));
    }
    if let Some(folder) = args.option("--plots") {
        command.arg("--plots").arg(here.join(folder));
    }
    if let Some(n) = threads {
        command.args(["--threads", &n.to_string()]);
    }
    if let Some(part) = args.option("--only") {
        command.args(["--only", part]);
    }
    if let Some(device) = args.option("--device") {
        command.args(["--device", device]);
    }
    if let Some(path) = coact {
        command.arg("--coact").arg(path);
    }
    if let Some(list) = args.option("--peers") {
        let (python, ready) = peers::prepare(root, list)?;
        if !ready.is_empty() {
            command.arg("--python").arg(python).args(["--peers", &ready.join(",")]);
        }
    }
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_without_a_list_are_those_of_the_suites() {
        let list = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
            with_list(&args).join(" ")
        };
        assert_eq!(list(&["replay", "--peers"]), "replay --peers cpprb");
        assert_eq!(list(&["act", "--peers", "--quick"]), "act --peers jax,torch --quick");
        assert_eq!(list(&["act", "--peers", "jax"]), "act --peers jax");
        assert!(list(&["--peers"]).contains("gymnasium,") && list(&["--peers"]).contains(",vmas"));
        assert_eq!(list(&["envs"]), "envs");
    }
}
