//! `act`: observations to actions through a shared 18-64-64-5 Q-network, greedy and with exploration. A call is one
//! batch of rows.

use coact_kernels::{Act, ActScratch, Device, Exploration};

use super::Session;
use super::network::{AGENTS, backend, parameters, q_shape};
use crate::contest::{Contest, PeerCall, Run, Unit, params};
use crate::data;

/// Batches of observations in rotation.
const POOL: usize = 8;
const EPSILON: f32 = 0.05;

/// Holds the contests.
///
/// # Errors
/// What a kernel said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for (label, epsilon) in [("greedy", 0.0), ("epsilon_greedy", EPSILON)] {
        for &rows in session.rows() {
            let peer = |peer, goal: f64| PeerCall {
                peer,
                measure: "act",
                params: params(&[
                    ("rows", rows as f64),
                    ("pool", POOL as f64),
                    ("epsilon", f64::from(epsilon)),
                ]),
                items: 1.0,
                variant: "",
                goal: (rows == 96).then_some(goal),
            };
            let device = session.device;
            let ours =
                session.threads.iter().map(|&threads| Ok((threads, acting(rows, epsilon, device, threads)?)));
            session.hold(Contest {
                name: format!("act/{}{label}/rows{rows}", session.place()),
                unit: Unit::Microseconds,
                items: 1.0,
                goal: None,
                ours: ours.collect::<Result<_, String>>()?,
                peers: vec![peer("jax", 2.5), peer("torch", 3.5)],
                bound: None,
            })?;
        }
    }
    Ok(())
}

/// Calls that choose actions for `rows` rows.
///
/// # Errors
/// What the backend said.
pub fn acting(rows: usize, epsilon: f32, device: Device, threads: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(device, threads)?;
    let shape = q_shape();
    let params = parameters(&shape, 0);
    let mut rng = data::stream(10);
    let obs: Vec<Vec<f32>> = (0..POOL).map(|_| data::normals(&mut rng, rows * shape.mlp.input)).collect();
    let mut scratch = ActScratch::new(&shape, rows / AGENTS, AGENTS);
    let mut actions = vec![0; rows];
    let exploration =
        if epsilon == 0.0 { Exploration::Greedy } else { Exploration::EpsilonGreedy { epsilon } };
    let mut step = 0;
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let call = Act {
                shape: &shape,
                params: &params,
                n_sets: 1,
                n_agents: AGENTS,
                obs: &obs[step as usize % POOL],
                mask: &[],
                alive: &[],
                exploration,
                seed: 1,
                step,
                first_row: 0,
                actions: &mut actions,
                q: None,
            };
            backend.act(&mut scratch, call).map_err(|e| e.to_string())?;
            step += 1;
        }
        Ok(())
    }))
}
