//! `training`: `coact train` for a while, from the start of the process to its end, evaluations included: our own
//! `spread-vdn`, and JaxMARL's settings of `simple_spread` beside JaxMARL's environment under jit (which is not charged for
//! compiling, starting or evaluating).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Session;
use crate::contest::{Contest, PeerCall, Run, Unit, params};

/// A published setting: ours as arguments of `coact train`, theirs as a measurement of the peer.
struct Setting {
    /// Name of the measurement, here and in the peer's script.
    name: &'static str,
    algorithm: &'static str,
    set: &'static [&'static str],
    /// Environment steps of a run of ours and of a call of theirs: some seconds each.
    ours: u64,
    theirs: u64,
    goal: f64,
}

/// Settings of every one of them: the reward is shared, evaluations are left to the end.
const SHARED: &[&str] =
    &["common_reward=sum", "eval_every=0", "final_eval_episodes=1", "checkpoint_every_s=0"];

/// JaxMARL's settings (feed-forward VDN, recurrent VDN and QMIX, PQN-VDN, IPPO, recurrent MAPPO), and the ratio meant for each.
const SETTINGS: &[Setting] = &[
    Setting {
        name: "vdn",
        algorithm: "vdn",
        set: &[
            "n_envs=32",
            "update_every=16",
            "gradient_steps=1",
            "batch_size=32",
            "buffer_size=100000",
            "learning_starts=10000",
            "hidden=[64, 64]",
            "gamma=0.9",
            "learning_rate=5e-3",
            "loss=squared",
            "target_network_update_freq=200",
            "gradient_clipping_global_norm=25",
        ],
        ours: 2_048_000,
        theirs: 204_800,
        goal: 10.0,
    },
    Setting {
        name: "vdn-rnn",
        algorithm: "vdn-rnn",
        set: &[
            "n_envs=8",
            "sequence_length=26",
            "update_every=26",
            "batch_size=32",
            "buffer_size=130000",
            "learning_starts=10000",
            "gamma=0.9",
            "learning_rate=5e-3",
            "gradient_clipping_global_norm=25",
        ],
        ours: 400_400,
        theirs: 41_600,
        goal: 10.0,
    },
    Setting {
        name: "qmix-rnn",
        algorithm: "qmix-rnn",
        set: &[
            "n_envs=8",
            "sequence_length=26",
            "update_every=26",
            "batch_size=32",
            "buffer_size=130000",
            "learning_starts=10000",
            "mixing_embed=32",
            "hypernet_embed=128",
            "mixer_gain=1e-3",
            "gamma=0.9",
            "learning_rate=5e-3",
            "gradient_clipping_global_norm=25",
        ],
        ours: 200_200,
        theirs: 20_800,
        goal: 10.0,
    },
    Setting {
        name: "pqn-vdn",
        algorithm: "pqn-vdn",
        set: &["n_envs=256", "rollout_steps=16", "gamma=0.9"],
        ours: 163_840,
        theirs: 16_384,
        goal: 10.0,
    },
    Setting {
        name: "ippo",
        algorithm: "ippo",
        set: &["n_envs=16", "rollout_steps=128"],
        ours: 819_200,
        theirs: 81_920,
        goal: 10.0,
    },
    Setting {
        name: "mappo-rnn",
        algorithm: "mappo",
        set: &[
            "n_envs=16",
            "rollout_steps=128",
            "hidden=[128]",
            "cell=gru",
            "cell_width=128",
            "head=[128]",
            "critic_input=observations",
            "learning_rate=2e-3",
        ],
        ours: 40_960,
        theirs: 4_096,
        goal: 10.0,
    },
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
        let named = ["--env", "simple_spread", "--algorithm", setting.algorithm].map(str::to_owned);
        let args: Vec<String> = named.into_iter().chain(set).collect();
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
                goal: Some(setting.goal),
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
