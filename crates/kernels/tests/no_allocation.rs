//! After a first call that grows the scratch, `act`, `update`, `td_target`, mixers, `optim_step`, layers, recurrent cells and
//! convolutions take no memory, on any thread.

#![allow(clippy::unwrap_used)]

use coact_kernels::{
    Act, ActScratch, Activation, Backend, CellBackward, CellCache, CellForward, CellKind, CellShape, Clip,
    ConvBackward, ConvCache, ConvForward, ConvShape, CpuOptions, Exploration, GroupBatch, Join, Loss,
    MixBackward, MixCache, MixForward, MixShape, Mixer, MlpCache, MlpShape, NextGroup, OptimStep, QShape,
    RecurrentBackward, RecurrentCache, RecurrentForward, RecurrentShape, Rule, TdTarget, TdTargetScratch,
    Update, UpdateScratch,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static TAKEN: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: forwards to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of all threads during `f`.
fn taken(mut f: impl FnMut()) -> usize {
    let before = TAKEN.load(Ordering::Relaxed);
    f();
    TAKEN.load(Ordering::Relaxed) - before
}

struct Buffers {
    shape: QShape,
    batch: usize,
    n_agents: usize,
    n_sets: usize,
    params: Vec<f32>,
    grads: Vec<f32>,
    moments: [Vec<f32>; 3],
    obs: Vec<f32>,
    mask: Vec<u32>,
    action: Vec<u32>,
    reward: Vec<f32>,
    discount: Vec<f32>,
    valid: Vec<bool>,
    weight: Vec<f32>,
    priority: Vec<f32>,
}

impl Buffers {
    fn new(batch: usize, own: bool) -> Self {
        let n_agents = 3;
        let n_sets = if own { n_agents } else { 1 };
        let shape = QShape::new(18, vec![64, 32], 5, Activation::Relu, own, own);
        let rows = batch * n_agents;
        let p = n_sets * shape.param_count();
        Self {
            batch,
            n_agents,
            n_sets,
            params: (0..p).map(|i| (i % 13) as f32 * 0.03 - 0.2).collect(),
            grads: vec![0.0; p],
            moments: [vec![0.0; p], vec![0.0; p], vec![0.0; p]],
            obs: (0..rows * 18).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect(),
            mask: vec![0b11011; rows],
            action: vec![1; rows],
            reward: vec![0.5; rows],
            discount: vec![0.9; rows],
            valid: (0..rows).map(|r| !own || r % 5 > 0).collect(),
            weight: vec![1.0; batch],
            priority: vec![0.0; batch],
            shape,
        }
    }

    fn act(&mut self, backend: &mut Backend, scratch: &mut ActScratch, exploration: Exploration<'_>) {
        let call = Act {
            shape: &self.shape,
            params: &self.params,
            n_sets: self.n_sets,
            n_agents: self.n_agents,
            obs: &self.obs,
            mask: &self.mask,
            alive: &self.valid,
            exploration,
            seed: 1,
            step: 2,
            first_row: 0,
            actions: &mut self.action,
            q: None,
        };
        backend.act(scratch, call).unwrap();
    }

    fn update(&mut self, backend: &mut Backend, scratch: &mut UpdateScratch, mixer: Mixer) {
        // An array of fixed length, as a caller has it whose number of groups is known only at run time.
        let mut groups: [GroupBatch<'_>; 4] = std::array::from_fn(|_| GroupBatch::default());
        groups[0] = GroupBatch {
            shape: &self.shape,
            n_agents: self.n_agents,
            n_sets: self.n_sets,
            n_critics: 1,
            params: &self.params,
            target_params: &self.params,
            grads: &mut self.grads,
            obs: &self.obs,
            next_obs: &self.obs,
            next_mask: &self.mask,
            action: &self.action,
            reward: &self.reward,
            discount: &self.discount,
            valid: &self.valid,
        };
        let call = Update {
            groups: &mut groups[..1],
            batch: self.batch,
            weight: &self.weight,
            team_reward: &self.weight,
            team_discount: &self.weight,
            double_q: true,
            mixer,
            loss: Loss::Huber { delta: 1.0 },
            priority: &mut self.priority,
        };
        backend.update(scratch, call).unwrap();
    }

    /// Targets by a mixer, and the mixer itself forward and backward.
    fn mix(&mut self, backend: &mut Backend, scratch: &mut TdTargetScratch, cache: &mut MixCache) {
        let Self { shape, batch, n_agents, n_sets, params, obs, mask, discount, weight, priority, .. } = self;
        let mixer = MixShape { n_agents: *n_agents, state: 9, embed: 8, hypernet: Some(5) };
        let mixer_params = &params[..mixer.param_count()];
        let (q, state) = (&discount[..], &obs[..*batch * 9]);
        let group = NextGroup {
            shape,
            n_agents: *n_agents,
            n_sets: *n_sets,
            n_critics: 1,
            params,
            target_params: params,
            next_obs: obs,
            next_mask: mask,
            reward: &[],
            discount,
        };
        let (reward, discount, next_state) = (&weight[..], &weight[..], state);
        let join = Join::Qmix { reward, discount, shape: mixer, params: mixer_params, next_state };
        let call = TdTarget { groups: &[group], batch: *batch, double_q: true, join, target: priority };
        backend.td_target(scratch, call).unwrap();
        let call = MixForward { shape: mixer, params: mixer_params, q, state, total: priority };
        backend.mix_forward(cache, call).unwrap();
        let (shape, d_total, params) = (mixer, &weight[..], mixer_params);
        let (grads, d_q) = (&mut self.grads[..mixer.param_count()], &mut self.reward[..]);
        backend.mix_backward(cache, MixBackward { shape, params, q, state, d_total, grads, d_q }).unwrap();
    }

    fn optim_step(&mut self, backend: &mut Backend, rule: Rule) {
        let [a, b, c] = &mut self.moments;
        let whole = [0..self.params.len(), 0..1];
        let call = OptimStep {
            rule,
            clip: Clip { value: Some(1.0), tensor_norm: Some(0.5), global_norm: Some(0.1), eps: 1e-6 },
            lr: 1e-3,
            step: 1,
            params: &mut self.params,
            grads: &mut self.grads,
            moments: [a, b, c],
            partitions: &whole[..1],
            tensors: &whole,
        };
        backend.optim_step(call).unwrap();
    }
}

/// Steps of a recurrent cell, forward and backward.
struct Steps {
    shape: CellShape,
    steps: usize,
    rows: usize,
    params: Vec<f32>,
    grads: Vec<f32>,
    gates: Vec<f32>,
    hidden: Vec<f32>,
    memory: Vec<f32>,
    is_first: Vec<bool>,
}

impl Steps {
    fn new(kind: CellKind, steps: usize, rows: usize) -> Self {
        let shape = CellShape { kind, width: 32 };
        let (n, p) = (steps * rows, shape.param_count());
        Self {
            shape,
            steps,
            rows,
            params: vec![0.01; p],
            grads: vec![0.0; p],
            gates: vec![0.1; n * shape.gate_width()],
            hidden: vec![0.0; n * shape.width],
            memory: vec![0.0; rows * shape.memory_width()],
            is_first: (0..n).map(|i| i % 7 == 0).collect(),
        }
    }

    fn round(&mut self, backend: &mut Backend, cache: &mut CellCache) {
        let Self { shape, steps, rows, params, grads, gates, hidden, memory, is_first } = self;
        let (shape, steps, rows) = (*shape, *steps, *rows);
        let call = CellForward { shape, params, steps, rows, input_side: gates, is_first, memory, hidden };
        backend.cell_forward(cache, call).unwrap();
        let (d_hidden, d_memory) = (&*hidden, Some(&mut memory[..]));
        let call = CellBackward { shape, params, d_hidden, grads, d_input_side: gates, d_memory };
        backend.cell_backward(cache, call).unwrap();
    }
}

/// Rows through a convolution, forward and backward.
struct Grids {
    shape: ConvShape,
    rows: usize,
    params: Vec<f32>,
    grads: Vec<f32>,
    input: Vec<f32>,
    d_input: Vec<f32>,
    output: Vec<f32>,
    d_output: Vec<f32>,
}

impl Grids {
    fn new(rows: usize) -> Self {
        let shape =
            ConvShape { channels: 4, height: 5, width: 5, filters: 8, kernel: [3, 3], stride: 1, padding: 1 };
        let (p, input, output) = (shape.param_count(), rows * shape.input(), rows * shape.output());
        let zeros = |n| vec![0.0; n];
        let (input, d_input) = (vec![0.3; input], zeros(input));
        let (output, d_output) = (zeros(output), vec![0.1; output]);
        Self { shape, rows, params: vec![0.01; p], grads: zeros(p), input, d_input, output, d_output }
    }

    fn round(&mut self, backend: &mut Backend, cache: &mut ConvCache) {
        let Self { shape, rows, params, grads, input, d_input, output, d_output } = self;
        let (shape, rows, activation) = (*shape, *rows, Some(Activation::Relu));
        backend.conv_forward(cache, ConvForward { shape, params, rows, input, activation, output }).unwrap();
        let d_input = Some(&mut d_input[..]);
        let call = ConvBackward { shape, params, rows, input, activation, output, d_output, grads, d_input };
        backend.conv_backward(cache, call).unwrap();
    }
}

/// Sequences through whole recurrent networks, forward and backward.
struct Nets {
    encoder: MlpShape,
    head: MlpShape,
    steps: Steps,
    params: Vec<f32>,
    grads: Vec<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    d_output: Vec<f32>,
}

impl Nets {
    fn new(kind: CellKind, steps: usize, rows: usize) -> Self {
        let layers = |input, hidden, output| MlpShape {
            input,
            hidden,
            output,
            activation: Activation::Relu,
            layer_norm: true,
        };
        let (n, steps) = (steps * rows, Steps::new(kind, steps, rows));
        let (encoder, head) = (layers(6, vec![16], steps.shape.gate_width()), layers(32, vec![8], 4));
        let p = RecurrentShape { encoder: &encoder, cell: steps.shape, head: &head }.param_count();
        let (params, grads) = (vec![0.01; p], vec![0.0; p]);
        let (input, output, d_output) = (vec![0.3; n * 6], vec![0.0; n * 4], vec![0.1; n * 4]);
        Self { encoder, head, steps, params, grads, input, output, d_output }
    }

    fn round(&mut self, backend: &mut Backend, cache: &mut RecurrentCache) {
        let Self { encoder, head, steps, params, grads, input, output, d_output } = self;
        let Steps { shape: cell, steps, rows, memory, is_first, .. } = steps;
        let (shape, steps, rows) = (RecurrentShape { encoder, cell: *cell, head }, *steps, *rows);
        let call = RecurrentForward { shape, params, steps, rows, input, is_first, memory, output };
        backend.recurrent_forward(cache, call).unwrap();
        let call = RecurrentBackward { shape, params, input, d_output, grads, d_input: None };
        backend.recurrent_backward(cache, call).unwrap();
    }
}

fn cells_and_convolutions(backend: &mut Backend) {
    for (steps, rows) in [(20, 100), (2, 300), (1, 5)] {
        let [mut gru, mut lstm] = [CellKind::Gru, CellKind::Lstm].map(|kind| Steps::new(kind, steps, rows));
        let mut grids = Grids::new(steps * rows);
        let mut nets = [CellKind::Gru, CellKind::Lstm].map(|kind| Nets::new(kind, steps, rows));
        let (mut cell_cache, mut conv_cache) = (CellCache::new(), ConvCache::new());
        let mut net_cache = RecurrentCache::new();
        let mut round = || {
            gru.round(backend, &mut cell_cache);
            lstm.round(backend, &mut cell_cache);
            grids.round(backend, &mut conv_cache);
            nets.iter_mut().for_each(|net| net.round(backend, &mut net_cache));
        };
        assert!(taken(&mut round) > 0, "the counter does not count");
        let later = taken(|| (0..5).for_each(|_| round()));
        assert_eq!(later, 0, "{steps} steps of {rows} rows");
    }
}

/// One test, so that nothing else allocates beside it.
#[test]
fn nothing_is_taken_after_the_first_call() {
    for threads in [1, 2] {
        let mut backend = Backend::cpu(CpuOptions { threads, isa: None }).unwrap();
        cells_and_convolutions(&mut backend);
        // 2000 samples: stretches of blocks apart; 100: a shared block, cut by the end of the batch.
        for (batch, own) in [(2000, false), (2000, true), (100, false), (100, true)] {
            let mut b = Buffers::new(batch, own);
            let noise = vec![0.1; batch * 3 * 5];
            let (mut act, mut update) = (ActScratch::default(), UpdateScratch::new());
            let mut cache = MlpCache::new();
            let (mut targets, mut mixed) = (TdTargetScratch::new(), MixCache::new());
            let mut output = vec![0.0; batch * 3 * b.shape.mlp.output];
            let mut round = || {
                for exploration in [
                    Exploration::Greedy,
                    Exploration::EpsilonGreedy { epsilon: 0.5 },
                    Exploration::Boltzmann { temperature: 1.0 },
                    Exploration::Noise { noise: &noise, epsilon: 0.1 },
                ] {
                    b.act(&mut backend, &mut act, exploration);
                }
                b.update(&mut backend, &mut update, Mixer::Independent);
                b.update(&mut backend, &mut update, Mixer::Sum);
                b.mix(&mut backend, &mut targets, &mut mixed);
                b.optim_step(
                    &mut backend,
                    Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false },
                );
                let (mlp, rows) = (&b.shape.mlp, batch * 3);
                let params = &b.params[..mlp.param_count()];
                backend.mlp_forward(mlp, params, rows, &b.obs, &mut cache, &mut output);
                let grads = &mut b.grads[..mlp.param_count()];
                backend.mlp_backward(mlp, params, rows, &b.obs, &mut cache, &output, grads, None);
            };
            assert!(taken(&mut round) > 0, "the counter does not count");
            let later = taken(|| (0..5).for_each(|_| round()));
            assert_eq!(later, 0, "{threads} threads, batch {batch}, own sets: {own}");
        }
    }
}
