//! `update` on a GPU: the batch up, five launches, gradients and priorities down. The launches are those of `kernel.cu`;
//! what they are given here is what the CPU's plan gives its threads.

use super::cpu::{samples_of_chunk, stats, valid_shares};
use super::{GroupBatch, Update, UpdateScratch, UpdateStats};
use crate::cuda::{Column, Cuda, Grid, Mirror, Network, bytes, kernel_arguments};
use crate::{Error, Loss, Mixer};

/// Threads of a block that goes over rows.
const ROW_THREADS: u32 = 128;
/// Threads of a block that goes over gradients: four by four of a tile each.
const GRAD_THREADS: u32 = 256;
/// Side of a tile of gradients.
const SIDE: usize = 64;
/// Threads of a block that goes over samples or parameters.
const FLAT_THREADS: u32 = 128;

/// Activations of hidden layers on the device.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Tape {
    h: u64,
    xhat: u64,
    inv_std: u64,
}

#[repr(C)]
struct ForwardArgs {
    net: Network,
    params: u64,
    target_params: u64,
    obs: u64,
    next_obs: u64,
    valid: u64,
    tape: Tape,
    q: u64,
    next_target: u64,
    next_online: u64,
    n_sets: u32,
    n_critics: u32,
    rows: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct TdGroup {
    q: u64,
    next_target: u64,
    next_online: u64,
    d_out: u64,
    next_mask: u64,
    action: u64,
    reward: u64,
    discount: u64,
    valid: u64,
    inv_valid: u64,
    n_agents: u32,
    n_sets: u32,
    n_critics: u32,
    rows: u32,
    n_actions: u32,
    out: u32,
    dueling: u32,
    unused: u32,
}

#[repr(C)]
struct TdArgs {
    groups: u64,
    weight: u64,
    team_reward: u64,
    team_discount: u64,
    priority: u64,
    sums: u64,
    error: u64,
    n_groups: u32,
    batch: u32,
    double_q: u32,
    sum_mixer: u32,
    huber: f32,
    unused: u32,
}

#[repr(C)]
struct BackwardArgs {
    net: Network,
    params: u64,
    tape: Tape,
    d_out: u64,
    dz: u64,
    d_norm: u64,
    nets: u32,
    rows: u32,
}

#[repr(C)]
struct GradArgs {
    net: Network,
    obs: u64,
    valid: u64,
    tape: Tape,
    d_out: u64,
    dz: u64,
    d_norm: u64,
    partials: u64,
    nets: u32,
    n_sets: u32,
    rows: u32,
    chunk_rows: u32,
}

#[repr(C)]
struct TreeArgs {
    partials: u64,
    grads: u64,
    len: u32,
    chunks: u32,
}

kernel_arguments!(
    ForwardArgs: 168, TdGroup: 112, TdArgs: 80, BackwardArgs: 128, GradArgs: 152, TreeArgs: 24
);

/// Memory of a GPU for one group.
#[derive(Debug, Default)]
struct GroupMemory {
    params: Mirror,
    target_params: Mirror,
    obs: Column<f32>,
    next_obs: Column<f32>,
    next_mask: Column<u32>,
    action: Column<u32>,
    reward: Column<f32>,
    discount: Column<f32>,
    valid: Column<u8>,
    inv_valid: Column<f32>,
    shares: Vec<f32>,
    h: Column<f32>,
    xhat: Column<f32>,
    inv_std: Column<f32>,
    dz: Column<f32>,
    d_norm: Column<f32>,
    q: Column<f32>,
    next_target: Column<f32>,
    next_online: Column<f32>,
    d_out: Column<f32>,
    partials: Column<f32>,
    grads: Column<f32>,
}

/// Memory of a GPU for updates.
#[derive(Debug, Default)]
pub(super) struct UpdateMemory {
    groups: Vec<GroupMemory>,
    weight: Column<f32>,
    team_reward: Column<f32>,
    team_discount: Column<f32>,
    priority: Column<f32>,
    sums: Column<f32>,
    error: Column<u64>,
    td_groups: Column<TdGroup>,
    plans: Vec<Plan>,
    host_td: Vec<TdGroup>,
    host_sums: Vec<f32>,
}

/// What is launched for one group, and on what.
#[derive(Debug, Clone, Copy)]
struct Plan {
    net: Network,
    td: TdGroup,
    tape: Tape,
    obs: u64,
    params: u64,
    dz: u64,
    d_norm: u64,
    partials: u64,
    grads: u64,
    nets: u32,
    rows: u32,
    chunk_rows: u32,
    chunks: u32,
    tiles: u32,
    len: u32,
}

impl Cuda {
    pub(crate) fn update(
        &mut self,
        scratch: &mut UpdateScratch,
        call: &mut Update<'_, '_>,
    ) -> Result<UpdateStats, Error> {
        let memory = &mut scratch.gpu;
        let batch = call.batch;
        if batch == 0 {
            call.groups.iter_mut().for_each(|g| g.grads.fill(0.0));
            return Ok(UpdateStats::default());
        }
        if memory.groups.len() < call.groups.len() {
            memory.groups.resize_with(call.groups.len(), GroupMemory::default);
        }
        memory.plans.clear();
        memory.host_td.clear();
        for (group, on_device) in call.groups.iter().zip(&mut memory.groups) {
            let plan = self.forward(on_device, group, batch, call.double_q)?;
            memory.host_td.push(plan.td);
            memory.plans.push(plan);
        }
        self.targets(memory, call)?;
        for plan in &memory.plans {
            self.backward(plan)?;
        }
        memory.priority.download(self, call.priority)?;
        let mut code = [0];
        memory.error.download(self, &mut code)?;
        if code[0] != u64::MAX {
            return Err(named(code[0], call));
        }
        for (group, on_device) in call.groups.iter_mut().zip(&memory.groups) {
            on_device.grads.download(self, group.grads)?;
        }
        memory.host_sums.resize(4 * batch, 0.0);
        memory.sums.download(self, &mut memory.host_sums)?;
        Ok(stats(call, &memory.host_sums))
    }

    /// Uploads a group and starts its forward passes.
    fn forward(
        &self,
        memory: &mut GroupMemory,
        group: &GroupBatch<'_>,
        batch: usize,
        double_q: bool,
    ) -> Result<Plan, Error> {
        let (args, plan) = memory.plan(self, group, batch)?;
        let tile = plan.net.tile(plan.rows as usize);
        let passes = if double_q { 3 } else { 2 };
        let grid = row_grid(&plan, tile, passes);
        let kernels = self.kernels();
        let kernel = if tile == 32 { &kernels.update_forward_32 } else { &kernels.update_forward_8 };
        // SAFETY: `plan` made every column as long as the shapes need, and `Update::check` those of the caller.
        unsafe { self.launch("go forward", kernel, grid, &args) }?;
        Ok(plan)
    }

    /// Targets, losses and gradients of the outputs of all groups.
    fn targets(&self, memory: &mut UpdateMemory, call: &Update<'_, '_>) -> Result<(), Error> {
        let batch = call.batch;
        let args = TdArgs {
            groups: memory.td_groups.upload(self, &memory.host_td)?,
            weight: memory.weight.upload(self, call.weight)?,
            team_reward: memory.team_reward.upload(self, call.team_reward)?,
            team_discount: memory.team_discount.upload(self, call.team_discount)?,
            priority: memory.priority.fit(self, batch)?,
            sums: memory.sums.fit(self, 4 * batch)?,
            error: memory.error.upload(self, &[u64::MAX])?,
            n_groups: memory.host_td.len() as u32,
            batch: batch as u32,
            double_q: u32::from(call.double_q),
            sum_mixer: u32::from(call.mixer == Mixer::Sum),
            huber: match call.loss {
                Loss::Squared => 0.0,
                Loss::Huber { delta } => delta,
            },
            unused: 0,
        };
        let grid = flat_grid(batch);
        // SAFETY: as in `forward`; the groups hold addresses of columns that live in `memory`.
        unsafe { self.launch("form targets", &self.kernels().update_td, grid, &args) }
    }

    /// Gradients of the rows, of chunks, and their sum.
    fn backward(&self, plan: &Plan) -> Result<(), Error> {
        let kernels = self.kernels();
        let Plan { net, tape, td, obs, params, dz, d_norm, partials, grads, nets, rows, .. } = *plan;
        let tile = net.tile(rows as usize);
        let kernel = if tile == 32 { &kernels.update_backward_32 } else { &kernels.update_backward_8 };
        let args = BackwardArgs { net, params, tape, d_out: td.d_out, dz, d_norm, nets, rows };
        // SAFETY: as in `forward`.
        unsafe { self.launch("go backward", kernel, row_grid(plan, tile, 1), &args) }?;
        let args = GradArgs {
            net,
            obs,
            valid: td.valid,
            tape,
            d_out: td.d_out,
            dz,
            d_norm,
            partials,
            nets,
            n_sets: td.n_sets,
            rows,
            chunk_rows: plan.chunk_rows,
        };
        let grid = Grid { blocks: (plan.tiles, plan.chunks, nets), threads: GRAD_THREADS, shared_bytes: 0 };
        // SAFETY: as above.
        unsafe { self.launch("sum gradients of chunks", &kernels.update_grads, grid, &args) }?;
        let args = TreeArgs { partials, grads, len: plan.len, chunks: plan.chunks };
        // SAFETY: as above.
        unsafe { self.launch("sum gradients", &kernels.update_tree, flat_grid(plan.len as usize), &args) }
    }
}

fn row_grid(plan: &Plan, tile: u32, passes: u32) -> Grid {
    Grid {
        blocks: (plan.rows.div_ceil(tile), plan.nets, passes),
        threads: ROW_THREADS,
        shared_bytes: plan.net.shared_bytes(tile),
    }
}

fn flat_grid(n: usize) -> Grid {
    Grid { blocks: ((n as u32).div_ceil(FLAT_THREADS), 1, 1), threads: FLAT_THREADS, shared_bytes: 0 }
}

/// The error that a row left: sample, group, kind and agent in one number.
fn named(code: u64, call: &Update<'_, '_>) -> Error {
    let (sample, group) = ((code >> 32) as usize, (code >> 24) as usize & 0xff);
    let agent = (code & 0x7f_ffff) as usize;
    if code >> 23 & 1 == 0 {
        return Error::NoLegalAction { env: sample, agent };
    }
    let group = &call.groups[group];
    let action = group.action[sample * group.n_agents + agent];
    Error::BadAction { sample, agent, action, n_actions: group.shape.n_actions }
}

impl GroupMemory {
    fn plan(
        &mut self,
        gpu: &Cuda,
        group: &GroupBatch<'_>,
        batch: usize,
    ) -> Result<(ForwardArgs, Plan), Error> {
        let net = Network::new(group.shape)?;
        let mlp = &group.shape.mlp;
        let per_set = group.n_agents / group.n_sets;
        let nets = group.n_critics * group.n_sets;
        let rows = batch * per_set;
        let chunk = samples_of_chunk(group.n_agents);
        let chunks = batch.div_ceil(chunk);
        let kept = nets * rows * mlp.hidden.iter().sum::<usize>();
        let normed = if mlp.layer_norm { kept } else { 0 };
        let stds = if mlp.layer_norm { nets * rows * mlp.hidden.len() } else { 0 };
        let tape = Tape {
            h: self.h.fit(gpu, kept)?,
            xhat: self.xhat.fit(gpu, normed)?,
            inv_std: self.inv_std.fit(gpu, stds)?,
        };
        valid_shares(group, &mut self.shares);
        let (out, len) = (mlp.output, group.grads.len());
        let td = TdGroup {
            q: self.q.fit(gpu, nets * rows * out)?,
            next_target: self.next_target.fit(gpu, nets * rows * out)?,
            next_online: self.next_online.fit(gpu, group.n_sets * rows * out)?,
            d_out: self.d_out.fit(gpu, nets * rows * out)?,
            next_mask: self.next_mask.upload(gpu, group.next_mask)?,
            action: self.action.upload(gpu, group.action)?,
            reward: self.reward.upload(gpu, group.reward)?,
            discount: self.discount.upload(gpu, group.discount)?,
            valid: self.valid.upload(gpu, bytes(group.valid))?,
            inv_valid: self.inv_valid.upload(gpu, &self.shares)?,
            n_agents: group.n_agents as u32,
            n_sets: group.n_sets as u32,
            n_critics: group.n_critics as u32,
            rows: rows as u32,
            n_actions: group.shape.n_actions as u32,
            out: out as u32,
            dueling: u32::from(group.shape.dueling),
            unused: 0,
        };
        let plan = Plan {
            net,
            td,
            tape,
            obs: self.obs.upload(gpu, group.obs)?,
            params: self.params.upload(gpu, group.params)?,
            dz: self.dz.fit(gpu, kept)?,
            d_norm: self.d_norm.fit(gpu, normed)?,
            partials: self.partials.fit(gpu, chunks * len)?,
            grads: self.grads.fit(gpu, len)?,
            nets: nets as u32,
            rows: rows as u32,
            chunk_rows: (chunk * per_set) as u32,
            chunks: chunks as u32,
            tiles: mlp.layers().map(|l| tiles(l.k, l.n, l.norm.is_some())).sum::<usize>() as u32,
            len: len as u32,
        };
        let forward = ForwardArgs {
            net,
            params: plan.params,
            target_params: self.target_params.upload(gpu, group.target_params)?,
            obs: plan.obs,
            next_obs: self.next_obs.upload(gpu, group.next_obs)?,
            valid: td.valid,
            tape,
            q: td.q,
            next_target: td.next_target,
            next_online: td.next_online,
            n_sets: td.n_sets,
            n_critics: td.n_critics,
            rows: td.rows,
            unused: 0,
        };
        Ok((forward, plan))
    }
}

/// Blocks that sum the gradients of a layer: tiles of its weights with the biases as one more row, and one for a norm.
fn tiles(k: usize, n: usize, norm: bool) -> usize {
    (k + 1).div_ceil(SIDE) * n.div_ceil(SIDE) + usize::from(norm)
}
