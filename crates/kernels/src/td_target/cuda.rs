//! Targets on a GPU: what comes next up, one launch, targets down. The launch is `td_target_8` or `_32` of `kernel.cu`.

use super::cpu::named;
use super::{Join, NextGroup, TdTarget, TdTargetScratch};
use crate::cuda::{Column, Cuda, Grid, MAX_SHARED_BYTES, Mirror, Network, kernel_arguments};
use crate::mix::cuda::{MixNet, too_wide};
use crate::update::cuda::FULL;
use crate::{Error, QShape};

/// Threads of a block.
const THREADS: u32 = 128;

const EACH: u32 = 0;
const SUM: u32 = 1;
const QMIX: u32 = 2;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct TargetGroup {
    net: Network,
    params: u64,
    target_params: u64,
    next_obs: u64,
    next_mask: u64,
    reward: u64,
    discount: u64,
    n_agents: u32,
    n_sets: u32,
    n_critics: u32,
    before: u32,
    lanes: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Default)]
struct TargetArgs {
    groups: u64,
    mix: MixNet,
    mixer: u64,
    next_state: u64,
    reward: u64,
    discount: u64,
    target: u64,
    error: u64,
    n_groups: u32,
    batch: u32,
    n_agents: u32,
    samples: u32,
    double_q: u32,
    join: u32,
}

kernel_arguments!(TargetGroup: 136, TargetArgs: 104);

/// Memory of a GPU for one group.
#[derive(Debug, Default)]
struct GroupMemory {
    params: Mirror,
    target_params: Mirror,
    next_obs: Column<f32>,
    next_mask: Column<u32>,
    reward: Column<f32>,
    discount: Column<f32>,
}

/// Memory of a GPU for targets.
#[derive(Debug, Default)]
pub(super) struct TargetMemory {
    groups: Vec<GroupMemory>,
    host_groups: Vec<TargetGroup>,
    on_device: Column<TargetGroup>,
    mixer: Mirror,
    next_state: Column<f32>,
    reward: Column<f32>,
    discount: Column<f32>,
    target: Column<f32>,
    error: Column<u64>,
}

/// How a launch divides the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Division {
    /// Rows of a tile.
    tile: u32,
    /// Samples of a block.
    samples: u32,
    shared_bytes: u32,
}

impl Cuda {
    pub(crate) fn td_target(
        &mut self,
        scratch: &mut TdTargetScratch,
        call: &mut TdTarget<'_, '_>,
    ) -> Result<(), Error> {
        let memory = &mut scratch.gpu;
        memory.host_groups.clear();
        if memory.groups.len() < call.groups.len() {
            memory.groups.resize_with(call.groups.len(), GroupMemory::default);
        }
        let mut before = 0;
        for (group, on_device) in call.groups.iter().zip(&mut memory.groups) {
            memory.host_groups.push(on_device.upload(self, group, call, before)?);
            before += group.n_agents as u32;
        }
        let mix = match call.join {
            Join::Qmix { shape, params, .. } => Some(MixNet::new(shape, params.len())),
            _ => None,
        };
        let division = divide(&mut memory.host_groups, (call.batch, call.double_q), before, mix)?;
        if call.batch == 0 {
            return Ok(());
        }
        let args = memory.args(self, call, before, division.samples, mix.unwrap_or_default())?;
        let blocks = (call.batch as u32).div_ceil(division.samples);
        let grid = Grid { blocks: (blocks, 1, 1), threads: THREADS, shared_bytes: division.shared_bytes };
        let kernels = self.kernels();
        let kernel = if division.tile == 32 { &kernels.td_target_32 } else { &kernels.td_target_8 };
        // SAFETY: the columns hold what `TdTarget::check` found the shapes to need.
        unsafe { self.launch("form targets", kernel, grid, &args) }?;
        memory.target.download(self, call.target)?;
        let mut code = [0];
        memory.error.download(self, &mut code)?;
        named(code[0])
    }
}

/// Chooses tiles, samples of a block, and passes in lockstep: all of them where shared memory has room, else one.
///
/// # Errors
/// [`Error::Shape`] for what it has no room for in any way.
fn divide(
    groups: &mut [TargetGroup],
    (batch, double_q): (usize, bool),
    agents: u32,
    mix: Option<MixNet>,
) -> Result<Division, Error> {
    let passes = |g: &TargetGroup| g.n_critics + u32::from(double_q);
    // Of a group with `lanes` passes in lockstep, the values of the others being kept beside them.
    let lane_bytes = |g: &TargetGroup, lanes: u32, tile: u32| {
        let kept = if lanes == passes(g) { 0 } else { passes(g) * g.net.n_outputs() * 4 * (tile + 4) };
        u64::from(lanes * g.net.shared_bytes(tile) + kept)
    };
    let bytes = |groups: &[TargetGroup], tile: u32| {
        let networks = groups.iter().map(|g| lane_bytes(g, g.lanes, tile)).max().unwrap_or(0);
        4 * u64::from(agents * (tile + 4)) + networks.max(mix.map_or(0, |m| m.tile_bytes(tile)))
    };
    let limit = u64::from(MAX_SHARED_BYTES);
    let mut fits = |tile: u32| {
        let room = limit.saturating_sub(4 * u64::from(agents * (tile + 4)));
        for g in groups.iter_mut() {
            g.lanes = if lane_bytes(g, passes(g), tile) <= room { passes(g) } else { 1 };
        }
        Some(bytes(groups, tile)).filter(|&bytes| bytes <= limit)
    };
    let wide = if batch * agents as usize >= 32 * FULL { fits(32) } else { None };
    let (tile, shared_bytes) = match wide {
        Some(bytes) => (32, bytes as u32),
        None => (8, fits(8).ok_or_else(|| no_room(mix))? as u32),
    };
    // Rows of one network that a sample has, at most.
    let rows = groups.iter().map(|g| g.n_agents / g.n_sets).max().unwrap_or(1);
    // A device that is full gains by tiles without empty columns, another by more blocks.
    let many = batch.div_ceil(tile as usize) >= FULL;
    let samples = if many { tile } else { (tile / rows).max(1) };
    Ok(Division { tile, samples, shared_bytes })
}

fn no_room(mix: Option<MixNet>) -> Error {
    match mix {
        Some(mix) => too_wide(&mix),
        None => Error::Shape(
            "a network too wide, or too many agents, for a GPU's shared memory: use the cpu".to_string(),
        ),
    }
}

impl GroupMemory {
    fn upload(
        &mut self,
        gpu: &Cuda,
        group: &NextGroup<'_>,
        call: &TdTarget<'_, '_>,
        before: u32,
    ) -> Result<TargetGroup, Error> {
        let shape: &QShape = group.shape;
        let each = matches!(call.join, Join::Each);
        // Only the first critic's learned parameters choose.
        let learned = if call.double_q { group.n_sets * shape.param_count() } else { 0 };
        Ok(TargetGroup {
            net: Network::new(shape)?,
            params: self.params.upload(gpu, &group.params[..learned])?,
            target_params: self.target_params.upload(gpu, group.target_params)?,
            next_obs: self.next_obs.upload(gpu, group.next_obs)?,
            next_mask: self.next_mask.upload(gpu, group.next_mask)?,
            reward: self.reward.upload(gpu, if each { group.reward } else { &[] })?,
            discount: self.discount.upload(gpu, group.discount)?,
            n_agents: group.n_agents as u32,
            n_sets: group.n_sets as u32,
            n_critics: group.n_critics as u32,
            before,
            lanes: 1,
            unused: 0,
        })
    }
}

impl TargetMemory {
    /// Uploads what all groups have in common, and makes room for what is written.
    fn args(
        &mut self,
        gpu: &Cuda,
        call: &TdTarget<'_, '_>,
        agents: u32,
        samples: u32,
        mix: MixNet,
    ) -> Result<TargetArgs, Error> {
        let (reward, discount) = call.join.team().unwrap_or((&[], &[]));
        let (join, params, next_state): (_, &[f32], &[f32]) = match call.join {
            Join::Each => (EACH, &[], &[]),
            Join::Sum { .. } => (SUM, &[], &[]),
            Join::Qmix { params, next_state, .. } => (QMIX, params, next_state),
        };
        Ok(TargetArgs {
            groups: self.on_device.upload(gpu, &self.host_groups)?,
            mix,
            mixer: self.mixer.upload(gpu, params)?,
            next_state: self.next_state.upload(gpu, next_state)?,
            reward: self.reward.upload(gpu, reward)?,
            discount: self.discount.upload(gpu, discount)?,
            target: self.target.fit(gpu, call.target.len())?,
            error: self.error.upload(gpu, &[u64::MAX])?,
            n_groups: self.host_groups.len() as u32,
            batch: call.batch as u32,
            n_agents: agents,
            samples,
            double_q: u32::from(call.double_q),
            join,
        })
    }
}
