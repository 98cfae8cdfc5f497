//! Replay at one million entries: priority updates, samples by priority, pushes and gathers.
//!
//! Updates and samples are measured twice: the integer sums alone (`sums`), and the whole call that a learner makes
//! (`replay`: powers, checks, importance weights, and for samples a gather of one number). The peers are compared
//! with the whole call.

use coact_core::{ActionBatch, StepBatch};
use coact_replay::{Batch, Prioritized, PrioritySums, Replay, ReplayConfig, leaf_of};

use super::Session;
use crate::contest::{Contest, PeerCall, Run, Unit, params};
use crate::data;

const CAPACITY: usize = 1_000_000;
const BATCH: usize = 1024;
/// Batches of ids in rotation: 65,536 ids, more than the caches keep.
const POOL: usize = 64;
const UPDATE_GOAL_NS: f64 = 3.0;
const SAMPLE_GOAL_NS: f64 = 20.0;
const RATIO_GOAL: f64 = 20.0;

/// Holds the contests.
///
/// # Errors
/// What replay said.
pub fn run(session: &mut Session) -> Result<(), String> {
    let one = |name: &str, items: f64, goal: Option<f64>, run: Run<'static>, peers: Vec<PeerCall>| Contest {
        name: name.to_owned(),
        unit: Unit::Nanoseconds,
        items,
        goal,
        ours: vec![(1, run)],
        peers,
        bound: None,
    };
    let batch = BATCH as f64;
    let cpprb = |measure| {
        let params = params(&[("capacity", CAPACITY as f64), ("batch", batch), ("pool", POOL as f64)]);
        vec![PeerCall { peer: "cpprb", measure, params, items: batch, variant: "", goal: Some(RATIO_GOAL) }]
    };
    session.hold(one("replay/priority_update/sums", batch, Some(UPDATE_GOAL_NS), sums_update(), vec![]))?;
    let peers = cpprb("priority_update");
    session.hold(one(
        "replay/priority_update/replay",
        batch,
        Some(UPDATE_GOAL_NS),
        whole_update()?,
        peers,
    ))?;
    session.hold(one("replay/sample/sums", batch, Some(SAMPLE_GOAL_NS), sums_sample(), vec![]))?;
    let peers = cpprb("sample");
    session.hold(one("replay/sample/replay", batch, Some(SAMPLE_GOAL_NS), whole_sample()?, peers))?;
    session.hold(one("replay/gather/spread", 256.0, None, gather()?, vec![]))?;
    session.hold(one("replay/push/spread", 256.0, None, push()?, vec![]))
}

fn sums_filled() -> PrioritySums {
    let mut sums = PrioritySums::new(CAPACITY);
    let mut rng = data::stream(1);
    (0..CAPACITY).for_each(|i| sums.set(i, leaf_of(rng.range(0.01, 2.0), 1e-6, 0.6)));
    sums
}

/// Calls that set a batch of leaves.
pub fn sums_update() -> Run<'static> {
    let mut sums = sums_filled();
    let mut rng = data::stream(2);
    let ids = data::indices(&mut rng, POOL * BATCH, CAPACITY as u32);
    let leaves: Vec<u32> = (0..ids.len() + BATCH).map(|_| leaf_of(rng.range(0.01, 2.0), 1e-6, 0.6)).collect();
    let mut turn = 0;
    Box::new(move |calls| {
        for _ in 0..calls {
            let start = turn % POOL * BATCH;
            // Other leaves in every round, so that each update changes something.
            let shift = turn / POOL % BATCH;
            let batch = ids[start..start + BATCH].iter().zip(&leaves[start + shift..]);
            sums.set_each(batch.map(|(&id, &leaf)| (id as usize, leaf)));
            turn += 1;
        }
        std::hint::black_box(sums.total());
        Ok(())
    })
}

/// Calls that draw a batch of leaves, stratified.
pub fn sums_sample() -> Run<'static> {
    let sums = sums_filled();
    let mut rng = data::stream(3);
    let mut out = vec![0_u64; BATCH];
    Box::new(move |calls| {
        for _ in 0..calls {
            sums.stratified(|drawn| drawn.fill_with(|| rng.uniform_f64()), &mut out);
            std::hint::black_box(&mut out);
        }
        Ok(())
    })
}

/// A full prioritized replay of one agent that observes one number, fed by 1,000 environments.
fn filled() -> Result<Replay, String> {
    let n_envs = 1000;
    let spec = data::spec(1, 1);
    let config = ReplayConfig {
        prioritized: Some(Prioritized { alpha: 0.6, eps: 1e-6 }),
        ..ReplayConfig::uniform(CAPACITY, n_envs)
    };
    let mut replay = Replay::new(&spec, config).map_err(|e| e.to_string())?;
    let mut rng = data::stream(4);
    let mut step = StepBatch::new(&spec, n_envs);
    replay.begin(&step).map_err(|e| e.to_string())?;
    step.is_first.fill(false);
    while replay.len() < replay.capacity() {
        step.groups[0].obs = data::uniforms(&mut rng, n_envs, 0.5, 1.0);
        step.groups[0].reward = data::uniforms(&mut rng, n_envs, -1.0, 1.0);
        replay.push(&ActionBatch::new(&spec, n_envs), &step).map_err(|e| e.to_string())?;
    }
    let first = replay.inserted() - replay.len() as u64;
    let ids: Vec<u64> = (first..replay.inserted()).collect();
    let td_abs = data::uniforms(&mut rng, ids.len(), 0.01, 2.0);
    replay.update_priorities(&ids, &td_abs).map_err(|e| e.to_string())?;
    Ok(replay)
}

/// Calls that update a batch of priorities.
///
/// # Errors
/// What replay said.
pub fn whole_update() -> Result<Run<'static>, String> {
    let mut replay = filled()?;
    let mut rng = data::stream(5);
    let first = replay.inserted() - replay.len() as u64;
    let ids: Vec<u64> = data::indices(&mut rng, POOL * BATCH, CAPACITY as u32)
        .iter()
        .map(|&i| first + u64::from(i))
        .collect();
    let td_abs = data::uniforms(&mut rng, (POOL + 1) * BATCH, 0.01, 2.0);
    let mut turn = 0;
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let start = turn % POOL * BATCH;
            let shift = turn / POOL % BATCH;
            let values = &td_abs[start + shift..start + shift + BATCH];
            replay.update_priorities(&ids[start..start + BATCH], values).map_err(|e| e.to_string())?;
            turn += 1;
        }
        Ok(())
    }))
}

/// Calls that sample a batch by priority.
///
/// # Errors
/// What replay said.
pub fn whole_sample() -> Result<Run<'static>, String> {
    let replay = filled()?;
    let mut batch = Batch::new(&data::spec(1, 1), BATCH);
    let mut rng = data::stream(6);
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            replay.sample(&mut rng, BATCH, 0.4, &mut batch).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}

/// A uniform replay of `simple_spread`'s shape with random columns, `steps` pushes in.
fn spread(capacity: usize, n_envs: usize, steps: usize) -> Result<(Replay, ActionBatch, StepBatch), String> {
    let spec = data::spec(3, 18);
    let mut rng = data::stream(7);
    let mut replay =
        Replay::new(&spec, ReplayConfig::uniform(capacity, n_envs)).map_err(|e| e.to_string())?;
    let mut step = StepBatch::new(&spec, n_envs);
    step.groups[0].obs = data::normals(&mut rng, n_envs * 3 * 18);
    step.groups[0].reward = data::normals(&mut rng, n_envs * 3);
    replay.begin(&step).map_err(|e| e.to_string())?;
    step.is_first.fill(false);
    let actions = data::actions(&mut rng, &spec, n_envs, 1).swap_remove(0);
    for _ in 0..steps {
        replay.push(&actions, &step).map_err(|e| e.to_string())?;
    }
    Ok((replay, actions, step))
}

fn gather() -> Result<Run<'static>, String> {
    let n_envs = 256;
    let (replay, _, _) = spread(CAPACITY, n_envs, CAPACITY / n_envs)?;
    let mut batch = Batch::new(&data::spec(3, 18), 256);
    let mut rng = data::stream(8);
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            replay.sample(&mut rng, 256, 0.0, &mut batch).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}

fn push() -> Result<Run<'static>, String> {
    let (mut replay, actions, step) = spread(CAPACITY, 256, 1)?;
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            replay.push(&actions, &step).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}
