//! `update` on a GPU: the batch up, five launches, gradients and priorities down. The launches are those of `kernel.cu`;
//! what they are given here is what the CPU's plan gives its threads.

use super::cpu::{count_valid, samples_of_chunk, stats};
use super::{GroupBatch, Update, UpdateScratch, UpdateStats};
use crate::cuda::{Column, Cuda, Grid, Mirror, Network, bytes, kernel_arguments};
use crate::{Error, Loss, Mixer, QShape};

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

/// Where the samples of a group lie: in columns, or in rows of a ring, where `now` is not null.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples {
    pub(crate) obs: u64,
    pub(crate) next_obs: u64,
    pub(crate) valid: u64,
    pub(crate) now: u64,
    pub(crate) later: u64,
    pub(crate) obs_at: u32,
    pub(crate) valid_at: u32,
    pub(crate) n_agents: u32,
    pub(crate) unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct ForwardArgs {
    net: Network,
    params: u64,
    target_params: u64,
    samples: Samples,
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
pub(crate) struct TdGroup {
    q: u64,
    next_target: u64,
    next_online: u64,
    d_out: u64,
    next_mask: u64,
    action: u64,
    reward: u64,
    discount: u64,
    n_valid: u64,
    samples: Samples,
    n_agents: u32,
    n_sets: u32,
    n_critics: u32,
    rows: u32,
    n_actions: u32,
    out: u32,
    dueling: u32,
    masked: u32,
    mask_at: u32,
    action_at: u32,
    reward_at: u32,
    discount_at: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TdArgs {
    pub(crate) groups: u64,
    pub(crate) weight: u64,
    pub(crate) team_reward: u64,
    pub(crate) team_discount: u64,
    pub(crate) leaf: u64,
    pub(crate) io: u64,
    pub(crate) priority: u64,
    pub(crate) sums: u64,
    pub(crate) error: u64,
    pub(crate) n_groups: u32,
    pub(crate) batch: u32,
    pub(crate) double_q: u32,
    pub(crate) sum_mixer: u32,
    pub(crate) huber: f32,
    pub(crate) team_reward_at: u32,
    pub(crate) team_discount_at: u32,
    pub(crate) unused: u32,
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
    samples: Samples,
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
    Samples: 56, ForwardArgs: 200, TdGroup: 176, TdArgs: 104, BackwardArgs: 128, GradArgs: 192, TreeArgs: 24
);

/// Networks of a group, and agents that have them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    pub(crate) shape: &'a QShape,
    pub(crate) n_agents: usize,
    pub(crate) n_sets: usize,
    pub(crate) n_critics: usize,
}

impl Form<'_> {
    pub(crate) fn param_count(&self) -> usize {
        self.n_critics * self.n_sets * self.shape.param_count()
    }
}

/// Addresses of a group's parameters and gradients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    pub(crate) params: u64,
    pub(crate) target_params: u64,
    pub(crate) grads: u64,
}

/// What a group learns from: addresses of columns, or words of rows of a ring.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Data {
    pub(crate) samples: Samples,
    pub(crate) next_mask: u64,
    pub(crate) action: u64,
    pub(crate) reward: u64,
    pub(crate) discount: u64,
    /// Rows that count, `[S]`.
    pub(crate) n_valid: u64,
    pub(crate) masked: bool,
    pub(crate) mask_at: u32,
    pub(crate) action_at: u32,
    pub(crate) reward_at: u32,
    pub(crate) discount_at: u32,
}

/// Columns of a batch on a device.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    obs: Column<f32>,
    next_obs: Column<f32>,
    next_mask: Column<u32>,
    action: Column<u32>,
    reward: Column<f32>,
    discount: Column<f32>,
    valid: Column<u8>,
}

impl Columns {
    /// Uploads a group; the number of rows that count is at `n_valid`.
    pub(crate) fn upload(&mut self, gpu: &Cuda, group: &GroupBatch<'_>, n_valid: u64) -> Result<Data, Error> {
        Ok(Data {
            samples: Samples {
                obs: self.obs.upload(gpu, group.obs)?,
                next_obs: self.next_obs.upload(gpu, group.next_obs)?,
                valid: self.valid.upload(gpu, bytes(group.valid))?,
                n_agents: group.n_agents as u32,
                ..Samples::default()
            },
            next_mask: self.next_mask.upload(gpu, group.next_mask)?,
            action: self.action.upload(gpu, group.action)?,
            reward: self.reward.upload(gpu, group.reward)?,
            discount: self.discount.upload(gpu, group.discount)?,
            n_valid,
            masked: !group.next_mask.is_empty(),
            ..Data::default()
        })
    }
}

/// What lies between the launches of one group.
#[derive(Debug, Default)]
pub(crate) struct Between {
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
}

/// Memory of a GPU for one group whose parameters are on the host.
#[derive(Debug, Default)]
struct GroupMemory {
    params: Mirror,
    target_params: Mirror,
    grads: Column<f32>,
    n_valid: Column<u32>,
    columns: Columns,
    between: Between,
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
    host_valid: Vec<u32>,
}

/// What is launched for one group, and on what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    forward: ForwardArgs,
    pub(crate) td: TdGroup,
    dz: u64,
    d_norm: u64,
    partials: u64,
    grads: u64,
    nets: u32,
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
            memory.host_valid.clear();
            count_valid(group, &mut memory.host_valid);
            let plan = on_device.plan(self, group, batch, &memory.host_valid)?;
            self.go_forward(&plan, call.double_q)?;
            memory.host_td.push(plan.td);
            memory.plans.push(plan);
        }
        let args = memory.targets(self, call)?;
        // SAFETY: the groups hold addresses of columns that live in `memory`, as long as the shapes need.
        unsafe { self.form_targets(&args) }?;
        for plan in &memory.plans {
            self.go_backward(plan)?;
        }
        memory.priority.download(self, call.priority)?;
        let mut code = [0];
        memory.error.download(self, &mut code)?;
        if code[0] != u64::MAX {
            return Err(named(code[0], call.groups));
        }
        for (group, on_device) in call.groups.iter_mut().zip(&memory.groups) {
            on_device.grads.download(self, group.grads)?;
        }
        memory.host_sums.resize(4 * batch, 0.0);
        memory.sums.download(self, &mut memory.host_sums)?;
        Ok(stats(call, &memory.host_sums))
    }

    /// Forward passes of a group.
    pub(crate) fn go_forward(&self, plan: &Plan, double_q: bool) -> Result<(), Error> {
        let tile = plan.tile();
        let grid = plan.row_grid(tile, if double_q { 3 } else { 2 });
        let kernels = self.kernels();
        let kernel = if tile == 32 { &kernels.update_forward_32 } else { &kernels.update_forward_8 };
        // SAFETY: `Plan::new` made every column as long as the shapes need, and those of the caller were checked.
        unsafe { self.launch("go forward", kernel, grid, &plan.forward) }
    }

    /// Targets, losses and gradients of the outputs of all groups.
    ///
    /// # Safety
    /// Every address in `args`, and in the groups that it leads to, is of a column as long as the shapes need.
    pub(crate) unsafe fn form_targets(&self, args: &TdArgs) -> Result<(), Error> {
        let grid = flat_grid(args.batch as usize);
        // SAFETY: promised by the caller.
        unsafe { self.launch("form targets", &self.kernels().update_td, grid, args) }
    }

    /// Gradients of the rows, of chunks, and their sum.
    pub(crate) fn go_backward(&self, plan: &Plan) -> Result<(), Error> {
        let kernels = self.kernels();
        let Plan { forward, td, dz, d_norm, partials, grads, nets, .. } = *plan;
        let ForwardArgs { net, params, tape, rows, .. } = forward;
        let tile = plan.tile();
        let kernel = if tile == 32 { &kernels.update_backward_32 } else { &kernels.update_backward_8 };
        let args = BackwardArgs { net, params, tape, d_out: td.d_out, dz, d_norm, nets, rows };
        // SAFETY: as in `go_forward`.
        unsafe { self.launch("go backward", kernel, plan.row_grid(tile, 1), &args) }?;
        let args = GradArgs {
            net,
            samples: td.samples,
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
        if plan.chunks == 1 {
            return Ok(());
        }
        let args = TreeArgs { partials, grads, len: plan.len, chunks: plan.chunks };
        // SAFETY: as above.
        unsafe { self.launch("sum gradients", &kernels.update_tree, flat_grid(plan.len as usize), &args) }
    }
}

impl UpdateMemory {
    /// Uploads what all groups have in common.
    fn targets(&mut self, gpu: &Cuda, call: &Update<'_, '_>) -> Result<TdArgs, Error> {
        let batch = call.batch;
        Ok(TdArgs {
            groups: self.td_groups.upload(gpu, &self.host_td)?,
            weight: self.weight.upload(gpu, call.weight)?,
            team_reward: self.team_reward.upload(gpu, call.team_reward)?,
            team_discount: self.team_discount.upload(gpu, call.team_discount)?,
            priority: self.priority.fit(gpu, batch)?,
            sums: self.sums.fit(gpu, 4 * batch)?,
            error: self.error.upload(gpu, &[u64::MAX])?,
            n_groups: self.host_td.len() as u32,
            batch: batch as u32,
            double_q: u32::from(call.double_q),
            sum_mixer: u32::from(call.mixer == Mixer::Sum),
            huber: huber_of(call.loss),
            ..TdArgs::default()
        })
    }
}

/// The corner of a loss as kernels take it; 0 for the squared loss.
pub(crate) fn huber_of(loss: Loss) -> f32 {
    match loss {
        Loss::Squared => 0.0,
        Loss::Huber { delta } => delta,
    }
}

impl Plan {
    /// Makes room for what lies between launches.
    pub(crate) fn new(
        gpu: &Cuda,
        form: Form<'_>,
        batch: usize,
        home: Home,
        data: Data,
        between: &mut Between,
    ) -> Result<Self, Error> {
        let net = Network::new(form.shape)?;
        let mlp = &form.shape.mlp;
        let per_set = form.n_agents / form.n_sets;
        let nets = form.n_critics * form.n_sets;
        let rows = batch * per_set;
        let chunk = samples_of_chunk(form.n_agents);
        let chunks = batch.div_ceil(chunk);
        let kept = nets * rows * mlp.hidden.iter().sum::<usize>();
        let normed = if mlp.layer_norm { kept } else { 0 };
        let stds = if mlp.layer_norm { nets * rows * mlp.hidden.len() } else { 0 };
        let tape = Tape {
            h: between.h.fit(gpu, kept)?,
            xhat: between.xhat.fit(gpu, normed)?,
            inv_std: between.inv_std.fit(gpu, stds)?,
        };
        let (out, len) = (mlp.output, form.param_count());
        let td = TdGroup {
            q: between.q.fit(gpu, nets * rows * out)?,
            next_target: between.next_target.fit(gpu, nets * rows * out)?,
            next_online: between.next_online.fit(gpu, form.n_sets * rows * out)?,
            d_out: between.d_out.fit(gpu, nets * rows * out)?,
            next_mask: data.next_mask,
            action: data.action,
            reward: data.reward,
            discount: data.discount,
            n_valid: data.n_valid,
            samples: data.samples,
            n_agents: form.n_agents as u32,
            n_sets: form.n_sets as u32,
            n_critics: form.n_critics as u32,
            rows: rows as u32,
            n_actions: form.shape.n_actions as u32,
            out: out as u32,
            dueling: u32::from(form.shape.dueling),
            masked: u32::from(data.masked),
            mask_at: data.mask_at,
            action_at: data.action_at,
            reward_at: data.reward_at,
            discount_at: data.discount_at,
        };
        let forward = ForwardArgs {
            net,
            params: home.params,
            target_params: home.target_params,
            samples: data.samples,
            tape,
            q: td.q,
            next_target: td.next_target,
            next_online: td.next_online,
            n_sets: td.n_sets,
            n_critics: td.n_critics,
            rows: td.rows,
            unused: 0,
        };
        Ok(Self {
            forward,
            td,
            dz: between.dz.fit(gpu, kept)?,
            d_norm: between.d_norm.fit(gpu, normed)?,
            // A single chunk is the sum.
            partials: if chunks == 1 { home.grads } else { between.partials.fit(gpu, chunks * len)? },
            grads: home.grads,
            nets: nets as u32,
            chunk_rows: (chunk * per_set) as u32,
            chunks: chunks as u32,
            tiles: mlp.layers().map(|l| tiles(l.k, l.n, l.norm.is_some())).sum::<usize>() as u32,
            len: len as u32,
        })
    }

    fn tile(&self) -> u32 {
        self.forward.net.tile(self.forward.rows as usize)
    }

    fn row_grid(&self, tile: u32, passes: u32) -> Grid {
        Grid {
            blocks: (self.forward.rows.div_ceil(tile), self.nets, passes),
            threads: ROW_THREADS,
            shared_bytes: self.forward.net.shared_bytes(tile),
        }
    }
}

pub(crate) fn flat_grid(n: usize) -> Grid {
    Grid { blocks: ((n as u32).div_ceil(FLAT_THREADS), 1, 1), threads: FLAT_THREADS, shared_bytes: 0 }
}

/// What a row left: sample, group, kind and agent in one number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) sample: usize,
    pub(crate) group: usize,
    pub(crate) agent: usize,
    is_action: bool,
}

impl Fault {
    pub(crate) fn of(code: u64) -> Self {
        Self {
            sample: (code >> 32) as usize,
            group: (code >> 24) as usize & 0xff,
            agent: (code & 0x7f_ffff) as usize,
            is_action: code >> 23 & 1 == 1,
        }
    }

    /// The error; `action` finds what the row has.
    pub(crate) fn error(self, n_actions: usize, action: impl FnOnce(Self) -> u32) -> Error {
        let Self { sample, agent, .. } = self;
        match self.is_action {
            false => Error::NoLegalAction { env: sample, agent },
            true => Error::BadAction { sample, agent, action: action(self), n_actions },
        }
    }
}

/// The error that a row of a batch of the host left.
pub(crate) fn named(code: u64, groups: &[GroupBatch<'_>]) -> Error {
    let fault = Fault::of(code);
    let group = &groups[fault.group];
    fault.error(group.shape.n_actions, |f| group.action[f.sample * group.n_agents + f.agent])
}

impl GroupMemory {
    fn plan(
        &mut self,
        gpu: &Cuda,
        group: &GroupBatch<'_>,
        batch: usize,
        n_valid: &[u32],
    ) -> Result<Plan, Error> {
        let home = Home {
            params: self.params.upload(gpu, group.params)?,
            target_params: self.target_params.upload(gpu, group.target_params)?,
            grads: self.grads.fit(gpu, group.grads.len())?,
        };
        let n_valid = self.n_valid.upload(gpu, n_valid)?;
        let data = self.columns.upload(gpu, group, n_valid)?;
        Plan::new(gpu, form_of(group), batch, home, data, &mut self.between)
    }
}

pub(crate) fn form_of<'a>(group: &GroupBatch<'a>) -> Form<'a> {
    Form { shape: group.shape, n_agents: group.n_agents, n_sets: group.n_sets, n_critics: group.n_critics }
}

/// Blocks that sum the gradients of a layer: tiles of its weights with the biases as one more row, and one for a norm.
fn tiles(k: usize, n: usize, norm: bool) -> usize {
    (k + 1).div_ceil(SIDE) * n.div_ceil(SIDE) + usize::from(norm)
}
