//! Recurrent cells on a device: states, gradients and cell states to the bit.

use coact_core::{Purpose, Stream};
use coact_kernels::{
    Activation, Backend, CellBackward, CellCache, CellForward, CellKind, CellShape, CpuOptions, Error,
    LayersBackward, LayersForward, MlpCache, MlpShape, RecurrentBackward, RecurrentCache, RecurrentForward,
    RecurrentShape,
};

const KINDS: [CellKind; 2] = [CellKind::Gru, CellKind::Lstm];

fn noise(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

struct Case {
    shape: CellShape,
    steps: usize,
    rows: usize,
    params: Vec<f32>,
    input_side: Vec<f32>,
    is_first: Vec<bool>,
    memory: Vec<f32>,
    d_hidden: Vec<f32>,
}

impl Case {
    /// Sequences in which episodes begin at the start, inside and at the end. What a row forgets at once is not a number.
    fn new(kind: CellKind, width: usize, steps: usize, rows: usize) -> Self {
        let shape = CellShape { kind, width };
        let (n, m) = (steps * rows, shape.memory_width());
        let mut s = Stream::new(6, Purpose::Init, width as u32, 0);
        let is_first: Vec<bool> = (0..n).map(|_| s.below(4) == 0).collect();
        let mut memory = noise(&mut s, rows * m);
        for (row, _) in is_first.iter().take(rows).enumerate().filter(|&(_, &first)| first) {
            memory[row * m..(row + 1) * m].fill(f32::NAN);
        }
        Self {
            shape,
            steps,
            rows,
            params: noise(&mut s, shape.param_count()),
            input_side: noise(&mut s, n * shape.gate_width()),
            is_first,
            memory,
            d_hidden: noise(&mut s, n * width),
        }
    }

    fn forward(&self, backend: &mut Backend, cache: &mut CellCache, hidden: &mut [f32]) -> Result<(), Error> {
        let Self { shape, steps, rows, params, input_side, is_first, memory, .. } = self;
        let (shape, steps, rows) = (*shape, *steps, *rows);
        backend.cell_forward(
            cache,
            CellForward { shape, params, steps, rows, input_side, is_first, memory, hidden },
        )
    }

    /// Everything that a pass forward and backward writes, as bits.
    fn run(&self, backend: &mut Backend, cache: &mut CellCache, with_memory: bool) -> [Vec<u32>; 5] {
        let Self { shape, params, d_hidden, .. } = self;
        let mut hidden = vec![9.0; d_hidden.len()];
        self.forward(backend, cache, &mut hidden).unwrap();
        let mut states = Vec::new();
        for step in (0..self.steps).filter(|_| shape.kind == CellKind::Lstm) {
            (0..self.rows).for_each(|row| states.extend_from_slice(cache.cell_state(*shape, step, row)));
        }
        let mut grads = vec![9.0; params.len()];
        let mut d_input_side = vec![9.0; self.input_side.len()];
        let mut d_memory = vec![9.0; self.memory.len()];
        let call = CellBackward {
            shape: *shape,
            params,
            d_hidden,
            grads: &mut grads,
            d_input_side: &mut d_input_side,
            d_memory: with_memory.then_some(&mut d_memory[..]),
        };
        backend.cell_backward(cache, call).unwrap();
        [hidden, states, grads, d_input_side, d_memory].map(|v| v.into_iter().map(f32::to_bits).collect())
    }

    fn compare(&self, gpu: &mut Backend, cache: &mut CellCache) {
        let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
        let want = self.run(&mut cpu, &mut CellCache::new(), true);
        let got = self.run(gpu, cache, true);
        let names = ["hidden", "cell state", "gradients", "d_input_side", "d_memory"];
        for (name, (want, got)) in names.into_iter().zip(want.iter().zip(&got)) {
            let place = want.iter().zip(got).position(|(a, b)| a != b);
            let Self { shape, steps, rows, .. } = self;
            assert!(place.is_none(), "{name} {place:?} of {shape:?}, {steps} steps of {rows} rows");
        }
    }
}

fn gpu() -> Backend {
    Backend::cuda(0, CpuOptions::default()).unwrap()
}

/// One cache throughout, as a learner has it: it grows and shrinks.
#[test]
#[ignore = "needs a GPU"]
fn cells_on_a_device_over_rows() {
    let (mut gpu, mut cache) = (gpu(), CellCache::new());
    for kind in KINDS {
        for (steps, rows) in
            [(3, 0), (0, 3), (1, 1), (9, 1), (5, 31), (4, 33), (2, 1023), (3, 1025), (26, 12)]
        {
            Case::new(kind, 12, steps, rows).compare(&mut gpu, &mut cache);
        }
    }
    // Tiles of 32 rows, the last one not full.
    Case::new(CellKind::Gru, 5, 2, 4231).compare(&mut gpu, &mut cache);
    Case::new(CellKind::Lstm, 3, 2, 4231).compare(&mut gpu, &mut cache);
}

#[test]
#[ignore = "needs a GPU"]
fn cells_on_a_device_over_widths() {
    let (mut gpu, mut cache) = (gpu(), CellCache::new());
    for kind in KINDS {
        for (width, steps, rows) in [
            (1, 4, 9),
            (7, 3, 5),
            (64, 3, 11),
            (65, 2, 8),
            (128, 2, 3),
            (511, 1, 2),
            (512, 2, 1),
            (513, 1, 1),
        ] {
            Case::new(kind, width, steps, rows).compare(&mut gpu, &mut cache);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cells_on_a_device_on_random_shapes() {
    let mut gpu = gpu();
    let mut s = Stream::new(8, Purpose::Init, 0, 0);
    for _ in 0..16 {
        let kind = KINDS[s.below(2) as usize];
        let (width, steps) = (1 + s.below(70) as usize, 1 + s.below(12) as usize);
        Case::new(kind, width, steps, 1 + s.below(60) as usize).compare(&mut gpu, &mut CellCache::new());
    }
}

/// Changed parameters reach the device, and the gradient of the memory is written only where it is wanted.
#[test]
#[ignore = "needs a GPU"]
fn changed_parameters_of_a_cell_are_seen_on_a_device() {
    let (mut gpu, mut cache) = (gpu(), CellCache::new());
    let mut case = Case::new(CellKind::Lstm, 6, 3, 10);
    case.compare(&mut gpu, &mut cache);
    case.params.iter_mut().for_each(|p| *p = -*p);
    case.compare(&mut gpu, &mut cache);
    let [.., d_memory] = case.run(&mut gpu, &mut cache, false);
    assert!(d_memory.iter().all(|&d| d == 9.0_f32.to_bits()));
}

/// Backward needs the tape of the same cell, where it is.
#[test]
#[ignore = "needs a GPU"]
fn a_pass_elsewhere_is_refused_on_a_device() {
    let (mut gpu, mut cpu) = (gpu(), Backend::cpu(CpuOptions::default()).unwrap());
    let (mut cache, case) = (CellCache::new(), Case::new(CellKind::Gru, 4, 2, 3));
    case.forward(&mut gpu, &mut cache, &mut [0.0; 24]).unwrap();
    let mut backward = |shape: CellShape, backend: &mut Backend| {
        let call = CellBackward {
            shape,
            params: &case.params,
            d_hidden: &case.d_hidden,
            grads: &mut vec![0.0; case.params.len()],
            d_input_side: &mut [0.0; 72],
            d_memory: None,
        };
        backend.cell_backward(&mut cache, call).map_err(|e| e.to_string())
    };
    let said = backward(case.shape, &mut cpu).unwrap_err();
    assert_eq!(said, "the forward pass was on a GPU; go backward there as well");
    let said = backward(CellShape { kind: CellKind::Lstm, width: 4 }, &mut gpu).unwrap_err();
    assert!(
        said.contains("Lstm") && said.contains("Gru") && said.ends_with("go forward with it first"),
        "{said}"
    );
    assert_eq!(backward(case.shape, &mut gpu), Ok(()));
}

/// A whole network: layers, a cell, layers.
struct Net {
    encoder: MlpShape,
    head: MlpShape,
    cell: Case,
    params: Vec<f32>,
    input: Vec<f32>,
    d_output: Vec<f32>,
}

impl Net {
    /// `[input, layers before the cell.., units, layers behind it.., outputs]`, the first `before` of them before the cell.
    fn new(widths: &[usize], before: usize, activation: Activation, layer_norm: bool, cell: Case) -> Self {
        let layers = |input, hidden: &[usize], output| MlpShape {
            input,
            hidden: hidden.to_vec(),
            output,
            activation,
            layer_norm,
        };
        let (encoder, head) = widths.split_at(before);
        let encoder = layers(encoder[0], &encoder[1..], cell.shape.gate_width());
        let head = layers(cell.shape.width, &head[..head.len() - 1], head[head.len() - 1]);
        let n = cell.steps * cell.rows;
        let mut s = Stream::new(7, Purpose::Init, widths[0] as u32, 0);
        let len = encoder.param_count() + cell.params.len() + head.param_count();
        let (params, input) = (noise(&mut s, len), noise(&mut s, n * encoder.input));
        let d_output = noise(&mut s, n * head.output);
        Self { encoder, head, cell, params, input, d_output }
    }

    /// Everything that a pass forward and backward writes, as bits.
    fn run(&self, backend: &mut Backend, cache: &mut RecurrentCache, with_input: bool) -> [Vec<u32>; 4] {
        let Self { encoder, head, cell, params, input, d_output } = self;
        let Case { steps, rows, is_first, memory, .. } = cell;
        let (steps, rows) = (*steps, *rows);
        let shape = RecurrentShape { encoder, cell: cell.shape, head };
        let mut output = vec![9.0; d_output.len()];
        let call =
            RecurrentForward { shape, params, steps, rows, input, is_first, memory, output: &mut output };
        backend.recurrent_forward(cache, call).unwrap();
        let mut memories = vec![9.0; steps * memory.len()];
        for (i, into) in memories.chunks_exact_mut(cell.shape.memory_width()).enumerate() {
            cache.memory_after(cell.shape, i / rows, i % rows, into);
        }
        let (mut grads, mut d_input) = (vec![9.0; params.len()], vec![9.0; input.len()]);
        let call = RecurrentBackward {
            shape,
            params,
            input,
            d_output,
            grads: &mut grads,
            d_input: with_input.then_some(&mut d_input[..]),
        };
        backend.recurrent_backward(cache, call).unwrap();
        [output, memories, grads, d_input].map(|v| v.into_iter().map(f32::to_bits).collect())
    }

    fn compare(&self, gpu: &mut Backend, cache: &mut RecurrentCache) {
        let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
        for with_input in [true, false] {
            let want = self.run(&mut cpu, &mut RecurrentCache::new(), with_input);
            let got = self.run(gpu, cache, with_input);
            let names = ["output", "memory", "gradients", "d_input"];
            for (name, (want, got)) in names.into_iter().zip(want.iter().zip(&got)) {
                let place = want.iter().zip(got).position(|(a, b)| a != b);
                let (Self { encoder, head, .. }, Case { steps, rows, .. }) = (self, &self.cell);
                assert!(
                    place.is_none(),
                    "{name} {place:?} of {encoder:?}, {head:?}, {steps} steps of {rows} rows"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn recurrent_networks_on_a_device_over_rows() {
    use Activation::{Relu, Tanh};
    let (mut gpu, mut cache) = (gpu(), RecurrentCache::new());
    for (i, (steps, rows)) in
        [(2, 0), (0, 2), (1, 1), (5, 31), (3, 33), (1, 1023), (2, 1025), (26, 12)].into_iter().enumerate()
    {
        let activation = if i % 2 == 0 { Relu } else { Tanh };
        let cell = Case::new(KINDS[i / 2 % 2], 9, steps, rows);
        Net::new(&[7, 12, 5], 2, activation, i % 3 == 0, cell).compare(&mut gpu, &mut cache);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn recurrent_networks_on_a_device_over_layers() {
    use Activation::{Relu, Tanh};
    let (mut gpu, mut cache) = (gpu(), RecurrentCache::new());
    for (widths, before, activation, norm, kind, width) in [
        (&[1, 1][..], 1, Relu, false, CellKind::Gru, 1),
        (&[18, 64, 5], 2, Relu, false, CellKind::Gru, 64),
        (&[18, 64, 5], 2, Tanh, true, CellKind::Lstm, 64),
        (&[33, 32, 31, 17, 3, 2], 3, Relu, true, CellKind::Lstm, 15),
        (&[65, 40, 129, 70], 2, Tanh, false, CellKind::Gru, 33),
        (&[300, 4], 1, Relu, true, CellKind::Gru, 340),
        (&[4, 600, 3], 1, Relu, true, CellKind::Lstm, 5),
        (&[3, 5, 2], 2, Relu, false, CellKind::Gru, 513),
    ] {
        let cell = Case::new(kind, width, 3, if width > 300 { 1 } else { 13 });
        Net::new(widths, before, activation, norm, cell).compare(&mut gpu, &mut cache);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn recurrent_networks_on_a_device_on_random_shapes() {
    let mut gpu = gpu();
    let mut s = Stream::new(9, Purpose::Init, 0, 0);
    for _ in 0..12 {
        let mut below = |n: u32| 1 + s.below(n) as usize;
        let (kind, width, steps, rows) = (KINDS[below(2) - 1], below(40), below(9), below(90));
        let (before, behind) = (below(3), below(3));
        let widths: Vec<usize> = (0..before + behind).map(|_| below(70)).collect();
        let activation = if below(2) == 1 { Activation::Relu } else { Activation::Tanh };
        let cell = Case::new(kind, width, steps, rows);
        Net::new(&widths, before, activation, below(2) == 1, cell)
            .compare(&mut gpu, &mut RecurrentCache::new());
    }
}

/// Everything that layers write, forward and backward, as bits.
fn through_layers(
    backend: &mut Backend,
    cache: &mut MlpCache,
    shape: &MlpShape,
    rows: usize,
    with_input: bool,
) -> [Vec<u32>; 3] {
    let mut s = Stream::new(5, Purpose::Init, rows as u32, 0);
    let params = &noise(&mut s, shape.param_count());
    let (input, d_output) = (&noise(&mut s, rows * shape.input), &noise(&mut s, rows * shape.output));
    let mut output = vec![9.0; d_output.len()];
    backend.layers_forward(cache, LayersForward { shape, params, rows, input, output: &mut output }).unwrap();
    let (mut grads, mut d_input) = (vec![9.0; params.len()], vec![9.0; input.len()]);
    let call = LayersBackward {
        shape,
        params,
        input,
        d_output,
        grads: &mut grads,
        d_input: with_input.then_some(&mut d_input[..]),
    };
    backend.layers_backward(cache, call).unwrap();
    [output, grads, d_input].map(|v| v.into_iter().map(f32::to_bits).collect())
}

/// From two million multiply-adds on, the device's; below, the host's. One cache throughout.
#[test]
#[ignore = "needs a GPU"]
fn layers_on_a_device_over_rows_and_widths() {
    use Activation::{Relu, Tanh};
    let (mut gpu, mut cpu, mut cache) =
        (gpu(), Backend::cpu(CpuOptions::default()).unwrap(), MlpCache::new());
    for (widths, rows, activation, layer_norm, on_device) in [
        (&[18, 64, 64, 5][..], 1023, Relu, false, true),
        (&[18, 64, 64, 5], 31, Relu, false, false),
        (&[1500, 1400], 1, Relu, true, true),
        (&[65, 257, 33, 130], 81, Tanh, true, true),
        (&[7, 40, 9], 4097, Relu, true, true),
        (&[33, 31, 5], 0, Relu, false, false),
    ] {
        let shape = MlpShape {
            input: widths[0],
            hidden: widths[1..widths.len() - 1].to_vec(),
            output: widths[widths.len() - 1],
            activation,
            layer_norm,
        };
        for with_input in [true, false] {
            let want = through_layers(&mut cpu, &mut MlpCache::new(), &shape, rows, with_input);
            gpu.time_launches();
            let got = through_layers(&mut gpu, &mut cache, &shape, rows, with_input);
            assert!(want == got, "{shape:?}, {rows} rows");
            assert_eq!(!gpu.take_launches().unwrap().is_empty(), on_device, "{shape:?}, {rows} rows");
        }
    }
}

/// What is kept is of one network, on one device.
#[test]
#[ignore = "needs a GPU"]
fn layers_elsewhere_are_refused_on_a_device() {
    let (mut gpu, mut cpu) = (gpu(), Backend::cpu(CpuOptions::default()).unwrap());
    let mut cache = MlpCache::new();
    let layers = |hidden| MlpShape {
        input: 70,
        hidden: vec![hidden],
        output: 3,
        activation: Activation::Relu,
        layer_norm: false,
    };
    let (shape, other, rows) = (layers(60), layers(61), 600);
    let (params, input) = (vec![0.1; shape.param_count()], vec![0.1; rows * 70]);
    let mut output = vec![0.0; rows * 3];
    let call = LayersForward { shape: &shape, params: &params, rows, input: &input, output: &mut output };
    gpu.layers_forward(&mut cache, call).unwrap();
    let mut backward = |shape: &MlpShape, backend: &mut Backend| {
        let mut grads = vec![0.0; shape.param_count()];
        let params = vec![0.1; shape.param_count()];
        let (input, d_output) = (&input, &output);
        let call =
            LayersBackward { shape, params: &params, input, d_output, grads: &mut grads, d_input: None };
        backend.layers_backward(&mut cache, call).map_err(|e| e.to_string())
    };
    let said = backward(&shape, &mut cpu).unwrap_err();
    assert_eq!(said, "the forward pass was on a GPU; go backward there as well");
    let said = backward(&other, &mut gpu).unwrap_err();
    assert!(
        said.contains("[61]") && said.contains("[60]") && said.ends_with("go forward with it first"),
        "{said}"
    );
    assert_eq!(backward(&shape, &mut gpu), Ok(()));
}

/// Acting is the host's while it is small; learning from the same cache is not.
#[test]
#[ignore = "needs a GPU"]
fn single_steps_of_few_rows_are_not_on_a_device() {
    let (mut gpu, mut cache) = (gpu(), RecurrentCache::new());
    for (steps, rows, on_device) in [(1, 24, false), (5, 24, true), (1, 24, false), (1, 1500, true)] {
        let net =
            Net::new(&[18, 16, 5], 2, Activation::Relu, false, Case::new(CellKind::Gru, 16, steps, rows));
        gpu.time_launches();
        net.compare(&mut gpu, &mut cache);
        assert_eq!(!gpu.take_launches().unwrap().is_empty(), on_device, "{steps} steps of {rows} rows");
    }
}
