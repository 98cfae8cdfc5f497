//! Environment steps a second, observations written, resets included, actions random. A call steps all copies once.

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use serde_json::{Value, json};

use super::{Session, on_threads};
use crate::contest::{Contest, PeerCall, Run, Unit, params};
use crate::data;

/// Batches of actions in rotation.
const POOL: usize = 16;

struct Case {
    env: &'static str,
    options: fn() -> Value,
    n_envs: usize,
    /// Steps a second on one thread.
    goal: Option<f64>,
    peer: Option<(&'static str, &'static str)>,
}

const CASES: &[Case] = &[
    Case {
        env: "cartpole",
        options: || json!({"n_agents": 1}),
        n_envs: 1024,
        goal: Some(500e6),
        peer: Some(("gymnasium", "cartpole")),
    },
    Case { env: "cartpole", options: || json!({"n_agents": 1}), n_envs: 16, goal: None, peer: None },
    Case {
        env: "simple_spread",
        options: || Value::Null,
        n_envs: 256,
        goal: Some(40e6),
        peer: Some(("mpe2", "simple_spread")),
    },
    Case { env: "simple_spread", options: || Value::Null, n_envs: 16, goal: None, peer: None },
    Case { env: "simple_tag", options: || Value::Null, n_envs: 256, goal: None, peer: None },
    Case {
        env: "lbf/Foraging-8x8-2p-2f-v3",
        options: || Value::Null,
        n_envs: 256,
        goal: Some(20e6),
        peer: None,
    },
    Case { env: "rware/tiny-2ag-v2", options: || Value::Null, n_envs: 256, goal: Some(15e6), peer: None },
    Case { env: "rware/small-4ag-v2", options: || Value::Null, n_envs: 256, goal: Some(8e6), peer: None },
    Case { env: "overcooked", options: || Value::Null, n_envs: 256, goal: None, peer: None },
];

/// Holds the contests: one for each number of threads, because the goals are for one.
///
/// # Errors
/// What an environment said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for case in CASES {
        for threads in session.threads.clone() {
            let items = case.n_envs as f64;
            let peer = case.peer.filter(|_| threads == 1).map(|(peer, measure)| {
                // mpe2 steps one copy a call, gymnasium as many as ours.
                let n = if peer == "mpe2" { 1.0 } else { items };
                let params = params(&[("envs", n), ("pool", POOL as f64)]);
                PeerCall { peer, measure, params, items: n, variant: "", goal: None }
            });
            session.hold(Contest {
                name: format!("envs/{}/e{}/t{threads}", case.env, case.n_envs),
                unit: Unit::PerSecond("steps/s"),
                items,
                goal: case.goal.filter(|_| threads == 1),
                ours: vec![(threads, stepping(case.env, &(case.options)(), case.n_envs, threads)?)],
                peers: peer.into_iter().collect(),
                bound: None,
            })?;
        }
    }
    Ok(())
}

/// Calls that step `n_envs` copies once.
///
/// # Errors
/// What the environment said.
pub fn stepping(env: &str, options: &Value, n_envs: usize, threads: usize) -> Result<Run<'static>, String> {
    let mut played = Played::new(env, options, n_envs)?;
    on_threads(threads, move |calls| {
        for _ in 0..calls {
            played.step()?;
        }
        Ok(())
    })
}

/// A batch of environments with random actions in rotation.
struct Played {
    envs: Box<dyn BatchEnv>,
    actions: Vec<ActionBatch>,
    step: StepBatch,
    turn: usize,
}

impl Played {
    fn new(env: &str, options: &Value, n_envs: usize) -> Result<Self, String> {
        let text = |e: coact_core::Error| e.to_string();
        let mut envs = coact_envs::find(env).and_then(|e| e.build(options, n_envs)).map_err(text)?;
        let mut step = StepBatch::new(envs.spec(), n_envs);
        envs.reset(1, &mut step).map_err(text)?;
        let actions = data::actions(&mut data::stream(9), envs.spec(), n_envs, POOL);
        Ok(Self { envs, actions, step, turn: 0 })
    }

    fn step(&mut self) -> Result<(), String> {
        let actions = &self.actions[self.turn % POOL];
        self.turn += 1;
        self.envs.step(actions, &mut self.step).map_err(|e| e.to_string())
    }
}
