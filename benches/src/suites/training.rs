//! `training`: `coact train` for a while, from the start of the process to its end, evaluations included: our own
//! `spread-vdn`, and JaxMARL's settings of `simple_spread` beside JaxMARL's environment under jit (which is not charged for
//! compiling, starting or evaluating).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Session;
use crate::contest::{Contest, PeerCall, Run, Unit, params};

/// A published setting: ours as the preset `jaxmarl/simple_spread-NAME`, theirs as the peer's measurement NAME.
struct Setting {
    name: &'static str,
    /// What the peer does otherwise than the preset.
    set: &'static [&'static str],
    /// Environment steps of a run of ours and of a call of theirs: some seconds each.
    ours: u64,
    theirs: u64,
}

/// The ratio meant for every one of them.
const GOAL: f64 = 10.0;

/// What the peer does otherwise than every preset: the reward is shared, observations hold no index, evaluations are left to
/// the end.
const SHARED: &[&str] = &[
    "common_reward=sum",
    "agent_index=false",
    "eval_every=0",
    "final_eval_episodes=1",
    "checkpoint_every_s=0",
];

/// JaxMARL's settings.
const SETTINGS: &[Setting] = &[
    Setting { name: "vdn", set: &[], ours: 2_048_000, theirs: 204_800 },
    Setting { name: "vdn-rnn", set: &[], ours: 400_400, theirs: 41_600 },
    Setting { name: "qmix-rnn", set: &[], ours: 200_200, theirs: 20_800 },
    Setting { name: "pqn-vdn", set: &[], ours: 163_840, theirs: 16_384 },
    Setting { name: "ippo", set: &[], ours: 819_200, theirs: 81_920 },
    Setting { name: "mappo-rnn", set: &["critic_input=observations"], ours: 40_960, theirs: 4_096 },
];

/// Holds the contests.
///
/// # Errors
/// No binary, or what it said.
pub fn run(session: &mut Session) -> Result<(), String> {
    let coact = session.coact.clone().ok_or("no coact binary; give one with --coact")?;
    let env_steps: u64 = if session.quick { 12_000 } else { 150_000 };
    for threads in session.threads.clone() {
        let args = vec!["spread-vdn".to_owned()];
        session.hold(Contest {
            name: format!("training/spread-vdn/t{threads}"),
            unit: Unit::PerSecond("env-steps/s"),
            items: env_steps as f64,
            goal: None,
            ours: vec![(threads, training(coact.clone(), "spread-vdn", args, env_steps, threads))],
            peers: Vec::new(),
            bound: None,
        })?;
    }
    for setting in SETTINGS {
        // Without a peer and in a hurry, one look at the learning of our own preset is enough.
        if session.quick && !session.peers.has("jaxmarl") {
            break;
        }
        let set = SHARED.iter().chain(setting.set).flat_map(|pair| ["--set".to_owned(), (*pair).to_owned()]);
        let preset = format!("jaxmarl/simple_spread-{}", setting.name);
        let args: Vec<String> = std::iter::once(preset).chain(set).collect();
        let ours = session.threads.iter().map(|&threads| {
            (threads, training(coact.clone(), setting.name, args.clone(), setting.ours, threads))
        });
        session.hold(Contest {
            name: format!("training/jaxmarl/{}", setting.name),
            unit: Unit::PerSecond("env-steps/s"),
            items: setting.ours as f64,
            goal: None,
            ours: ours.collect(),
            peers: vec![PeerCall {
                peer: "jaxmarl",
                measure: setting.name,
                params: params(&[("env_steps", setting.theirs as f64)]),
                items: setting.theirs as f64,
                variant: "",
                goal: Some(GOAL),
            }],
            bound: None,
        })?;
    }
    Ok(())
}

/// Run folders, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn training(coact: PathBuf, name: &str, args: Vec<String>, env_steps: u64, threads: usize) -> Run<'static> {
    let name = format!("coact-bench-{}-{name}-t{threads}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let mut n = 0;
    Box::new(move |calls| {
        for _ in 0..calls {
            n += 1;
            train(&coact, &args, env_steps, threads, &folder.0.join(n.to_string()))?;
        }
        Ok(())
    })
}

fn train(coact: &Path, args: &[String], env_steps: u64, threads: usize, out: &Path) -> Result<(), String> {
    let mut command = Command::new(coact);
    command.arg("train").args(args).args(["--quiet", "--json", "--seed", "1"]);
    command.args(["--env-steps", &env_steps.to_string(), "--threads", &threads.to_string()]);
    let output = command.arg("--out").arg(out).output();
    let output = output.map_err(|e| format!("cannot start {}: {e}", coact.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("coact train failed ({}): {}", output.status, said.trim()));
    }
    Ok(())
}
