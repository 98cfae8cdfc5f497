//! `update` on a GPU: the batch up, three kinds of launches, gradients and priorities down. The launches are those of
//! `kernel.cu`; what they are given here is what the CPU's plan gives its threads.

use super::cpu::{count_valid, samples_of_chunk, stats};
use super::layout::{Layout, Shares};
use super::{GroupBatch, Update, UpdateScratch, UpdateStats};
use crate::cuda::{Column, Cuda, Grid, Mirror, Network, bytes, kernel_arguments};
use crate::resident::StepIo;
use crate::{Error, Loss, Mixer, QShape};

/// Threads of a block that goes over gradients: 16 by 16 of a tile.
pub(crate) const GRAD_THREADS: u32 = 256;
/// Threads of a block that goes over samples or parameters.
const FLAT_THREADS: u32 = 128;
/// Blocks from which on a device is full.
pub(crate) const FULL: usize = 132;

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
pub(crate) struct RowsGroup {
    net: Network,
    params: u64,
    target_params: u64,
    tape: Tape,
    d_out: u64,
    dz: u64,
    d_norm: u64,
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
    masked: u32,
    mask_at: u32,
    action_at: u32,
    reward_at: u32,
    discount_at: u32,
    sets: u32,
    passes: u32,
    first_agent: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowsArgs {
    pub(crate) groups: u64,
    pub(crate) weight: u64,
    pub(crate) team_reward: u64,
    pub(crate) team_discount: u64,
    pub(crate) leaf: u64,
    pub(crate) io: u64,
    pub(crate) priority: u64,
    pub(crate) sums: u64,
    pub(crate) n_groups: u32,
    pub(crate) batch: u32,
    pub(crate) double_q: u32,
    pub(crate) sum_mixer: u32,
    pub(crate) huber: f32,
    pub(crate) samples: u32,
    pub(crate) q_at: u32,
    pub(crate) row_at: u32,
    pub(crate) team_reward_at: u32,
    pub(crate) team_discount_at: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct GradArgs {
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

kernel_arguments!(Samples: 56, RowsGroup: 272, RowsArgs: 104, GradArgs: 192, TreeArgs: 24);

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
    io: Column<StepIo>,
    rows_groups: Column<RowsGroup>,
    plans: Vec<Plan>,
    host_rows: Vec<RowsGroup>,
    host_sums: Vec<f32>,
    host_valid: Vec<u32>,
}

/// What is launched for one group, and on what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rows: RowsGroup,
    pub(crate) grads: GradArgs,
    /// Where the gradients go.
    home: u64,
    pub(crate) nets: u32,
    pub(crate) chunks: u32,
    /// Blocks that sum the gradients of a chunk, where a thread has one of a tile, and four by four.
    pub(crate) tiles: [u32; 2],
    /// Blocks that do so on matrix units.
    fast_tiles: u32,
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
        for (group, on_device) in call.groups.iter().zip(&mut memory.groups) {
            memory.host_valid.clear();
            count_valid(group, &mut memory.host_valid);
            memory.plans.push(on_device.plan(self, group, batch, &memory.host_valid)?);
        }
        let forms = call.groups.iter().map(form_of);
        let layout = Layout::of(forms, batch, call.double_q, self.precision())?;
        shared_out(&memory.plans, &layout, &mut memory.host_rows);
        let args = memory.rows_args(self, call, &layout)?;
        // SAFETY: the groups hold addresses of columns that live in `memory`, as long as the shapes need.
        unsafe { self.go_over_rows(&layout, &args) }?;
        for plan in &memory.plans {
            self.sum_chunks(&layout, plan)?;
            self.sum_tree(plan)?;
        }
        memory.priority.download(self, call.priority)?;
        let mut io = [StepIo::default()];
        memory.io.download(self, &mut io)?;
        if let Some(code) = io[0].fault() {
            return Err(named(code, call.groups));
        }
        for (group, on_device) in call.groups.iter_mut().zip(&memory.groups) {
            on_device.grads.download(self, group.grads)?;
        }
        memory.host_sums.resize(4 * batch, 0.0);
        memory.sums.download(self, &mut memory.host_sums)?;
        Ok(stats(call, &memory.host_sums))
    }

    /// Values, targets, losses and gradients of all rows of all groups.
    ///
    /// # Safety
    /// Every address in `args`, and in the groups that it leads to, is of a column as long as the shapes need.
    pub(crate) unsafe fn go_over_rows(&self, layout: &Layout, args: &RowsArgs) -> Result<(), Error> {
        let kernels = self.kernels();
        let kernel = match (layout.fast, layout.tile) {
            (false, 32) => &kernels.update_rows_32,
            (false, _) => &kernels.update_rows_8,
            (true, 32) => &kernels.update_rows_fast_32,
            (true, _) => &kernels.update_rows_fast_16,
        };
        // SAFETY: promised by the caller.
        unsafe { self.launch("go over rows", kernel, layout.grid(), args) }
    }

    /// Gradients of a group's chunks.
    pub(crate) fn sum_chunks(&self, layout: &Layout, plan: &Plan) -> Result<(), Error> {
        let Plan { nets, chunks, tiles: [fine, coarse], fast_tiles, .. } = *plan;
        let kernels = self.kernels();
        let few = ((coarse * chunks * nets) as usize) < FULL;
        let (kernel, tiles) = match (layout.fast, few) {
            (true, _) => (&kernels.update_grads_fast, fast_tiles),
            (false, true) => (&kernels.update_grads_1, fine),
            (false, false) => (&kernels.update_grads_4, coarse),
        };
        let grid = Grid { blocks: (tiles, chunks, nets), threads: GRAD_THREADS, shared_bytes: 0 };
        // SAFETY: `Plan::new` made every column as long as the shapes need, and those of the caller were checked.
        unsafe { self.launch("sum gradients of chunks", kernel, grid, &plan.grads) }
    }

    /// The sum over a group's chunks.
    fn sum_tree(&self, plan: &Plan) -> Result<(), Error> {
        if plan.chunks == 1 {
            return Ok(());
        }
        // SAFETY: as in `sum_chunks`.
        unsafe { self.add_chunks(plan.grads.partials, plan.home, plan.len, plan.chunks) }
    }

    /// Gradients of chunks `[chunks, len]` to their sum.
    ///
    /// # Safety
    /// Both addresses are of columns of that length.
    pub(crate) unsafe fn add_chunks(
        &self,
        partials: u64,
        grads: u64,
        len: u32,
        chunks: u32,
    ) -> Result<(), Error> {
        let args = TreeArgs { partials, grads, len, chunks };
        // SAFETY: promised by the caller.
        unsafe { self.launch("sum gradients", &self.kernels().update_tree, flat_grid(len as usize), &args) }
    }
}

/// What rows of all groups are told, with how blocks share them out.
pub(crate) fn shared_out(plans: &[Plan], layout: &Layout, out: &mut Vec<RowsGroup>) {
    out.clear();
    let mut first_agent = 0;
    for (plan, &Shares { sets, passes }) in plans.iter().zip(&layout.groups) {
        out.push(RowsGroup { sets, passes, first_agent, ..plan.rows });
        first_agent += plan.rows.n_agents;
    }
}

impl UpdateMemory {
    /// Uploads what all groups have in common.
    fn rows_args(&mut self, gpu: &Cuda, call: &Update<'_, '_>, layout: &Layout) -> Result<RowsArgs, Error> {
        let batch = call.batch;
        Ok(RowsArgs {
            groups: self.rows_groups.upload(gpu, &self.host_rows)?,
            weight: self.weight.upload(gpu, call.weight)?,
            team_reward: self.team_reward.upload(gpu, call.team_reward)?,
            team_discount: self.team_discount.upload(gpu, call.team_discount)?,
            priority: self.priority.fit(gpu, batch)?,
            sums: self.sums.fit(gpu, 4 * batch)?,
            io: self.io.upload(gpu, &[StepIo::default()])?,
            n_groups: self.host_rows.len() as u32,
            batch: batch as u32,
            double_q: u32::from(call.double_q),
            sum_mixer: u32::from(call.mixer == Mixer::Sum),
            huber: huber_of(call.loss),
            samples: layout.samples,
            q_at: layout.q_at,
            row_at: layout.row_at,
            ..RowsArgs::default()
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
        let rows_group = RowsGroup {
            net,
            params: home.params,
            target_params: home.target_params,
            tape,
            d_out: between.d_out.fit(gpu, nets * rows * out)?,
            dz: between.dz.fit(gpu, kept)?,
            d_norm: between.d_norm.fit(gpu, normed)?,
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
            masked: u32::from(data.masked),
            mask_at: data.mask_at,
            action_at: data.action_at,
            reward_at: data.reward_at,
            discount_at: data.discount_at,
            sets: 1,
            passes: 1,
            first_agent: 0,
        };
        let grads = GradArgs {
            net,
            samples: data.samples,
            tape,
            d_out: rows_group.d_out,
            dz: rows_group.dz,
            d_norm: rows_group.d_norm,
            // A single chunk is the sum.
            partials: if chunks == 1 { home.grads } else { between.partials.fit(gpu, chunks * len)? },
            nets: nets as u32,
            n_sets: rows_group.n_sets,
            rows: rows_group.rows,
            chunk_rows: (chunk * per_set) as u32,
        };
        let tiles =
            |each| mlp.layers().map(|l| tiles(l.k, l.n, l.norm.is_some(), each)).sum::<usize>() as u32;
        Ok(Self {
            rows: rows_group,
            grads,
            home: home.grads,
            nets: nets as u32,
            chunks: chunks as u32,
            tiles: [tiles(1), tiles(4)],
            fast_tiles: mlp.layers().map(|l| fast_tiles(l.k, l.n, l.norm.is_some())).sum::<usize>() as u32,
            len: len as u32,
        })
    }

    /// Its gradients by chunk.
    pub(crate) fn partials(&self) -> u64 {
        self.grads.partials
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

/// Blocks that sum the gradients of a layer, a thread `each` by `each`: tiles of its weights with the biases as one more row,
/// and one for a norm.
pub(crate) fn tiles(k: usize, n: usize, norm: bool, each: usize) -> usize {
    (k + 1).div_ceil(16 * each) * n.div_ceil(16 * each) + usize::from(norm)
}

/// Blocks that do so on matrix units, 64 by 64 each; biases cost none.
fn fast_tiles(k: usize, n: usize, norm: bool) -> usize {
    k.div_ceil(64) * n.div_ceil(64) + usize::from(norm)
}
