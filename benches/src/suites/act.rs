//! `act`: observations to actions through a shared 18-64-64-5 Q-network, greedy and with exploration. A call is one
//! batch of rows.

use coact_kernels::{Act, ActScratch, Backend, Device, Exploration, Precision, QShape};

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
    let mut acting = Acting::new(q_shape(), AGENTS, rows, epsilon, backend(device, threads)?);
    Ok(Box::new(move |calls| acting.calls(calls)))
}

/// [`acting`] in fast mode, which a GPU has.
///
/// # Errors
/// What the backend said.
pub fn acting_fast(
    rows: usize,
    epsilon: f32,
    device: Device,
    threads: usize,
) -> Result<Run<'static>, String> {
    let backend = backend(device, threads)?.with_precision(Precision::Fast).map_err(|e| e.to_string())?;
    let mut acting = Acting::new(q_shape(), AGENTS, rows, epsilon, backend);
    Ok(Box::new(move |calls| acting.calls(calls)))
}

/// A network, observations in rotation, and who chooses.
pub struct Acting {
    /// Where it runs.
    pub backend: Backend,
    shape: QShape,
    n_agents: usize,
    params: Vec<f32>,
    obs: Vec<Vec<f32>>,
    scratch: ActScratch,
    actions: Vec<u32>,
    exploration: Exploration<'static>,
    step: u64,
}

impl Acting {
    /// `rows` is a multiple of the number of agents, who share the parameters.
    pub fn new(shape: QShape, n_agents: usize, rows: usize, epsilon: f32, backend: Backend) -> Self {
        let mut rng = data::stream(10);
        let greedy = epsilon == 0.0;
        Self {
            backend,
            n_agents,
            params: parameters(&shape, 0),
            obs: (0..POOL).map(|_| data::normals(&mut rng, rows * shape.mlp.input)).collect(),
            scratch: ActScratch::new(&shape, rows / n_agents, n_agents),
            actions: vec![0; rows],
            exploration: if greedy { Exploration::Greedy } else { Exploration::EpsilonGreedy { epsilon } },
            step: 0,
            shape,
        }
    }

    /// Makes so many calls.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn calls(&mut self, calls: u64) -> Result<(), String> {
        for _ in 0..calls {
            let call = Act {
                shape: &self.shape,
                params: &self.params,
                n_sets: 1,
                n_agents: self.n_agents,
                obs: &self.obs[self.step as usize % POOL],
                mask: &[],
                alive: &[],
                exploration: self.exploration,
                seed: 1,
                step: self.step,
                first_row: 0,
                actions: &mut self.actions,
                q: None,
            };
            self.backend.act(&mut self.scratch, call).map_err(|e| e.to_string())?;
            self.step += 1;
        }
        Ok(())
    }
}
