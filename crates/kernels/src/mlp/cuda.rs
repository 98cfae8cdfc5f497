//! Layers on a GPU over rows that are there already, one launch a layer, for networks around a recurrent cell. The launches are
//! those of `kernel.cu`.

use super::{LayersBackward, LayersForward, MlpCache};
use crate::chunks::CHUNK_ROWS;
use crate::cuda::{Column, Cuda, Grid, Mirror, kernel_arguments};
use crate::shape::Layer;
use crate::update::cuda::{GRAD_THREADS, tiles};
use crate::{Activation, Error, MlpShape};

const PLAIN: u32 = 0;
const RELU: u32 = 1;
const TANH: u32 = 2;
const RELU_SLOPE: u32 = 3;
const TANH_SLOPE: u32 = 4;

/// Rows and columns of a tile of a product.
const PRODUCT_SIDE: usize = 32;
/// Floats of shared memory of a product: 32 rows, and columns, of 36 each.
const PRODUCT_FLOATS: u32 = 2 * 32 * 36;
/// Gradients of a thread in each direction of a tile.
pub(crate) const EACH: usize = 4;
/// Rows of a block of a layer norm, of sixteen threads each.
const NORM_ROWS: usize = 16;

#[repr(C)]
struct ProductArgs {
    a: u64,
    b: u64,
    bias: u64,
    h: u64,
    c: u64,
    rows: u32,
    n: u32,
    k: u32,
    b_row: u32,
    b_col: u32,
    finish: u32,
}

#[repr(C)]
struct NormArgs {
    z: u64,
    xhat: u64,
    inv_std: u64,
    d: u64,
    gain: u64,
    shift: u64,
    rows: u32,
    n: u32,
    tanh: u32,
    unused: u32,
}

#[repr(C)]
struct LayerGradArgs {
    x: u64,
    d: u64,
    d_norm: u64,
    xhat: u64,
    partials: u64,
    k: u32,
    n: u32,
    rows: u32,
    chunk_rows: u32,
    stride: u32,
    tiles: u32,
}

kernel_arguments!(ProductArgs: 64, NormArgs: 64, LayerGradArgs: 64);

/// What backward needs of one hidden layer, as [`super::HiddenTape`].
#[derive(Debug, Default)]
struct HiddenMemory {
    h: Column<f32>,
    xhat: Column<f32>,
    inv_std: Column<f32>,
    d_norm: Column<f32>,
    dz: Column<f32>,
}

/// Activations and their gradients of one network on a GPU.
#[derive(Debug, Default)]
pub(crate) struct MlpMemory {
    hidden: Vec<HiddenMemory>,
}

/// Memory of a GPU for the calls with one cache.
#[derive(Debug, Default)]
pub(crate) struct LayersMemory {
    pub(crate) tape: MlpMemory,
    params: Mirror,
    input: Column<f32>,
    d_input: Column<f32>,
    /// Outputs, and later their gradient.
    output: Column<f32>,
    partials: Column<f32>,
    grads: Column<f32>,
}

/// A network whose parameters are at an address, over so many rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers<'a> {
    pub(crate) shape: &'a MlpShape,
    pub(crate) params: u64,
    pub(crate) rows: usize,
}

/// The address of element `index` of floats.
pub(crate) fn float_at(address: u64, index: usize) -> u64 {
    address + 4 * index as u64
}

impl Layers<'_> {
    fn has_tanh(&self) -> bool {
        self.shape.activation == Activation::Tanh
    }

    /// `c = a w + bias` of a layer.
    fn product(&self, layer: &Layer, a: u64, c: u64, finish: u32) -> ProductArgs {
        ProductArgs {
            a,
            b: float_at(self.params, layer.weight),
            bias: float_at(self.params, layer.bias),
            h: 0,
            c,
            rows: self.rows as u32,
            n: layer.n as u32,
            k: layer.k as u32,
            b_row: layer.n as u32,
            b_col: 1,
            finish,
        }
    }

    /// `c = d w^T` of a layer, times the slope of the activations `h` below it, if there are any.
    fn product_back(&self, layer: &Layer, d: u64, c: u64, h: Option<u64>) -> ProductArgs {
        let slope = if self.has_tanh() { TANH_SLOPE } else { RELU_SLOPE };
        ProductArgs {
            a: d,
            b: float_at(self.params, layer.weight),
            bias: 0,
            h: h.unwrap_or(0),
            c,
            rows: self.rows as u32,
            n: layer.k as u32,
            k: layer.n as u32,
            b_row: 1,
            b_col: layer.n as u32,
            finish: if h.is_some() { slope } else { PLAIN },
        }
    }

    fn norm(&self, memory: &HiddenMemory, n: usize, norm: (usize, usize), z: u64, d: u64) -> NormArgs {
        NormArgs {
            z,
            xhat: memory.xhat.at(),
            inv_std: memory.inv_std.at(),
            d,
            gain: float_at(self.params, norm.0),
            shift: float_at(self.params, norm.1),
            rows: self.rows as u32,
            n: n as u32,
            tanh: u32::from(self.has_tanh()),
            unused: 0,
        }
    }
}

impl MlpMemory {
    fn fit(&mut self, gpu: &Cuda, layers: Layers<'_>) -> Result<(), Error> {
        let Layers { shape, rows, .. } = layers;
        if self.hidden.len() < shape.hidden.len() {
            self.hidden.resize_with(shape.hidden.len(), HiddenMemory::default);
        }
        for (memory, &n) in self.hidden.iter_mut().zip(&shape.hidden) {
            memory.h.fit(gpu, rows * n)?;
            if shape.layer_norm {
                memory.xhat.fit(gpu, rows * n)?;
                memory.inv_std.fit(gpu, rows)?;
            }
        }
        Ok(())
    }

    fn fit_backward(&mut self, gpu: &Cuda, layers: Layers<'_>) -> Result<(), Error> {
        let Layers { shape, rows, .. } = layers;
        for (memory, &n) in self.hidden.iter_mut().zip(&shape.hidden) {
            memory.dz.fit(gpu, rows * n)?;
            if shape.layer_norm {
                memory.d_norm.fit(gpu, rows * n)?;
            }
        }
        Ok(())
    }
}

impl Cuda {
    /// [`crate::Backend::layers_forward`], of a cache that has noted the call.
    pub(crate) fn layers_forward(
        &mut self,
        cache: &mut MlpCache,
        call: LayersForward<'_>,
    ) -> Result<(), Error> {
        let LayersForward { shape, params, rows, input, output } = call;
        let device = &mut cache.gpu;
        let layers = Layers { shape, params: device.params.upload(self, params)?, rows };
        let input = device.input.upload(self, input)?;
        let out = device.output.fit(self, output.len())?;
        // SAFETY: the columns hold what `LayersForward::check` found the shape to need.
        unsafe { self.launch_layers(&mut device.tape, layers, input, out) }?;
        device.output.download(self, output)
    }

    /// [`crate::Backend::layers_backward`], of a cache whose forward pass was here.
    pub(crate) fn layers_backward(
        &mut self,
        cache: &mut MlpCache,
        call: LayersBackward<'_>,
    ) -> Result<(), Error> {
        let LayersBackward { shape, params, d_output, grads, d_input, .. } = call;
        let (rows, device) = (cache.rows, &mut cache.gpu);
        let layers = Layers { shape, params: device.params.upload(self, params)?, rows };
        let d_out = device.output.upload(self, d_output)?;
        let d_in = match &d_input {
            Some(d) => Some(device.d_input.fit(self, d.len())?),
            None => None,
        };
        let sums = Sums::fit(self, rows, grads.len(), &mut device.grads, &mut device.partials)?;
        let (input, partials) = (device.input.at(), (sums.partials, sums.len));
        // SAFETY: `LayersBackward::check` found the forward pass to be of this shape, and columns are as long as it needs.
        unsafe {
            self.launch_layers_back(&mut device.tape, layers, input, d_out, d_in, partials)?;
            self.sum_up(sums)?;
        }
        device.grads.download(self, grads)?;
        match d_input {
            Some(d_input) => device.d_input.download(self, d_input),
            None => Ok(()),
        }
    }

    /// `input` `[rows, K]` to `output` `[rows, N]`, keeping activations in `memory`.
    ///
    /// # Safety
    /// The addresses lead to as many floats.
    pub(crate) unsafe fn launch_layers(
        &self,
        memory: &mut MlpMemory,
        layers: Layers<'_>,
        input: u64,
        output: u64,
    ) -> Result<(), Error> {
        memory.fit(self, layers)?;
        let activation = if layers.has_tanh() { TANH } else { RELU };
        let mut below = input;
        for layer in layers.shape.layers() {
            if !layer.hidden {
                // SAFETY: (of all here) the columns were just made long enough, the others are promised by the caller.
                return unsafe { self.product(&layers.product(&layer, below, output, PLAIN)) };
            }
            let memory = &memory.hidden[layer.index];
            let h = memory.h.at();
            let finish = if layer.norm.is_some() { PLAIN } else { activation };
            // SAFETY: as above.
            unsafe { self.product(&layers.product(&layer, below, h, finish)) }?;
            if let Some(norm) = layer.norm {
                let args = layers.norm(memory, layer.n, norm, h, 0);
                // SAFETY: as above.
                unsafe {
                    self.launch("normalize rows", &self.kernels().mlp_norm, norm_grid(layers.rows), &args)
                }?;
            }
            below = h;
        }
        Ok(())
    }

    /// Backward of [`Cuda::launch_layers`]: gradients of chunks of rows to `partials`, `stride` floats apart, and that of the
    /// input to `d_input`, if given.
    ///
    /// # Safety
    /// As there; `partials` leads to so many chunks.
    pub(crate) unsafe fn launch_layers_back(
        &self,
        memory: &mut MlpMemory,
        layers: Layers<'_>,
        input: u64,
        d_output: u64,
        d_input: Option<u64>,
        (partials, stride): (u64, usize),
    ) -> Result<(), Error> {
        memory.fit_backward(self, layers)?;
        let shape = layers.shape;
        let mut d = d_output;
        for index in (0..shape.n_layers()).rev() {
            let layer = shape.layer(index);
            let x = if index == 0 { input } else { memory.hidden[index - 1].h.at() };
            let own = memory.hidden.get(index).filter(|_| layer.norm.is_some());
            let args = LayerGradArgs {
                x,
                d,
                d_norm: own.map_or(0, |m| m.d_norm.at()),
                xhat: own.map_or(0, |m| m.xhat.at()),
                partials: float_at(partials, layer.weight),
                k: layer.k as u32,
                n: layer.n as u32,
                rows: layers.rows as u32,
                chunk_rows: CHUNK_ROWS as u32,
                stride: stride as u32,
                tiles: tiles(layer.k, layer.n, false, EACH) as u32,
            };
            let blocks = args.tiles + u32::from(own.is_some());
            let chunks = layers.rows.div_ceil(CHUNK_ROWS) as u32;
            let grid = Grid { blocks: (blocks, chunks, 1), threads: GRAD_THREADS, shared_bytes: 0 };
            // SAFETY: (of all here) the columns were just made long enough, the others are promised by the caller.
            unsafe { self.launch("sum gradients of chunks", &self.kernels().mlp_grads, grid, &args) }?;
            if index > 0 {
                // SAFETY: as above.
                d = unsafe { self.layer_backward(&memory.hidden[index - 1], layers, &layer, d) }?;
            } else if let Some(d_input) = d_input {
                // SAFETY: as above.
                unsafe { self.product(&layers.product_back(&layer, d, d_input, None)) }?;
            }
        }
        Ok(())
    }

    /// From the gradient `d` of the sums of `layer` to that of the layer below, whose address is returned.
    ///
    /// # Safety
    /// As [`Cuda::launch_layers_back`].
    unsafe fn layer_backward(
        &self,
        memory: &HiddenMemory,
        layers: Layers<'_>,
        layer: &Layer,
        d: u64,
    ) -> Result<u64, Error> {
        let below = layers.shape.layer(layer.index - 1);
        let dz = memory.dz.at();
        let target = if below.norm.is_some() { memory.d_norm.at() } else { dz };
        // SAFETY: promised by the caller.
        unsafe { self.product(&layers.product_back(layer, d, target, Some(memory.h.at()))) }?;
        if let Some(norm) = below.norm {
            let args = layers.norm(memory, below.n, norm, dz, target);
            let grid = norm_grid(layers.rows);
            // SAFETY: as above.
            unsafe { self.launch("normalize rows backward", &self.kernels().mlp_norm_back, grid, &args) }?;
        }
        Ok(dz)
    }

    /// The tree over chunks, where there are several.
    ///
    /// # Safety
    /// Its columns live.
    pub(crate) unsafe fn sum_up(&self, sums: Sums) -> Result<(), Error> {
        if sums.chunks == 1 {
            return Ok(());
        }
        // SAFETY: `Sums::fit` made the columns long enough.
        unsafe { self.add_chunks(sums.partials, sums.grads, sums.len as u32, sums.chunks as u32) }
    }

    /// # Safety
    /// The addresses in `args` lead to as many floats as it says.
    unsafe fn product(&self, args: &ProductArgs) -> Result<(), Error> {
        let across = |n: u32| n.div_ceil(PRODUCT_SIDE as u32);
        let grid = Grid {
            blocks: (across(args.rows), across(args.n), 1),
            threads: 128,
            shared_bytes: 4 * PRODUCT_FLOATS,
        };
        // SAFETY: promised by the caller.
        unsafe { self.launch("multiply matrices", &self.kernels().mlp_product, grid, args) }
    }
}

/// Where gradients of chunks of rows go, and where their sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) grads: u64,
    pub(crate) partials: u64,
    pub(crate) len: usize,
    chunks: usize,
}

impl Sums {
    /// Room for gradients of `len` parameters over `n` rows.
    pub(crate) fn fit(
        gpu: &Cuda,
        n: usize,
        len: usize,
        grads: &mut Column<f32>,
        partials: &mut Column<f32>,
    ) -> Result<Self, Error> {
        let chunks = n.div_ceil(CHUNK_ROWS);
        let grads = grads.fit(gpu, len)?;
        // A single chunk is the sum.
        let partials = if chunks == 1 { grads } else { partials.fit(gpu, chunks * len)? };
        Ok(Self { grads, partials, len, chunks })
    }
}

fn norm_grid(rows: usize) -> Grid {
    let floats = NORM_ROWS * NORM_ROWS;
    Grid { blocks: (rows.div_ceil(NORM_ROWS) as u32, 1, 1), threads: 256, shared_bytes: 4 * floats as u32 }
}
