//! A GPU: found without a panic where there is none, its kernels loaded once, one stream, launches.

use super::memory::Staging;
use super::special::{Compiler, ForNetwork, Specialized};
use crate::{Activation, Cpu, Error, GpuInfo, LaunchTime, MlpShape, Precision, QShape};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaModule, CudaStream, DeviceRepr, LaunchConfig, PushKernelArg,
    sys,
};
use cudarc::nvrtc::Ptx;
use std::sync::{Arc, Mutex};

/// The oldest driver interface that the PTX, and the symbols called, need: CUDA 12.0.
const OLDEST_DRIVER: i32 = 12_000;

/// The oldest devices that the PTX is for.
const OLDEST_CAPABILITY: (i32, i32) = (8, 0);

/// Layers that a `Network` in `network.cuh` has room for.
const MAX_LAYERS: usize = 8;

/// Widest layer: two buffers of eight rows of it fit [`SHARED_BYTES`].
const MAX_WIDTH: usize = 1000;

/// Shared memory of a block that kernels ask for at most. Devices of capability 8.0 have 163 KiB, and two blocks hide each
/// other's waits.
pub(crate) const SHARED_BYTES: u32 = 96 * 1024;

/// What a block may be given where there is no other way.
pub(crate) const MOST_SHARED_BYTES: u32 = 160 * 1024;

const _: () = assert!(4 * (2 * MAX_WIDTH * (8 + 4) + 17 * 8) <= SHARED_BYTES as usize);

/// A `Network` of `network.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Network {
    pub(super) n_layers: u32,
    tanh: u32,
    norm: u32,
    n_actions: u32,
    dueling: u32,
    n_params: u32,
    pub(super) width: [u32; MAX_LAYERS + 1],
    max_width: u32,
}

const _: () = assert!(size_of::<Network>() == 64);

impl Network {
    /// # Errors
    /// [`Error::Shape`] for more layers or wider ones than the kernels take.
    pub(crate) fn new(shape: &QShape) -> Result<Self, Error> {
        let MlpShape { input, ref hidden, output, activation, layer_norm } = shape.mlp;
        let widest = shape.mlp.max_width();
        if shape.mlp.n_layers() > MAX_LAYERS || widest > MAX_WIDTH {
            return Err(Error::Shape(format!(
                "a network of {} layers, the widest of {widest}; GPU kernels take {MAX_LAYERS} layers of {MAX_WIDTH} units: use the cpu",
                shape.mlp.n_layers()
            )));
        }
        let mut width = [0; MAX_LAYERS + 1];
        let widths = std::iter::once(input).chain(hidden.iter().copied()).chain([output]);
        for (place, n) in width.iter_mut().zip(widths) {
            *place = n as u32;
        }
        Ok(Self {
            n_layers: shape.mlp.n_layers() as u32,
            tanh: u32::from(activation == Activation::Tanh),
            norm: u32::from(layer_norm),
            n_actions: shape.n_actions as u32,
            dueling: u32::from(shape.dueling),
            n_params: shape.param_count() as u32,
            width,
            max_width: widest as u32,
        })
    }

    /// As C++ writes it.
    pub(super) fn as_initializer(&self) -> String {
        let Self { n_layers, tanh, norm, n_actions, dueling, n_params, width, max_width } = self;
        let widths = width.map(|w| w.to_string()).join(",");
        format!("{{{n_layers},{tanh},{norm},{n_actions},{dueling},{n_params},{{{widths}}},{max_width}}}")
    }

    /// Bytes of shared memory for a tile of `rows` rows.
    pub(crate) fn shared_bytes(&self, rows: u32) -> u32 {
        let norm = if self.norm == 1 { 17 * rows } else { 0 };
        4 * (2 * self.max_width * (rows + 4) + norm)
    }

    /// Outputs of its head.
    pub(crate) fn n_outputs(&self) -> u32 {
        self.n_actions + self.dueling
    }

    /// Rows of a tile: 32 where there is work for more than a block a multiprocessor and shared memory allows it, else 8.
    pub(crate) fn tile(&self, rows: usize) -> u32 {
        let fits = self.shared_bytes(32) <= SHARED_BYTES;
        if fits && rows >= 32 * 132 { 32 } else { 8 }
    }
}

/// Blocks, threads of each, and bytes of shared memory of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) blocks: (u32, u32, u32),
    pub(crate) threads: u32,
    pub(crate) shared_bytes: u32,
}

/// Declares that a structure is the argument of a kernel: `#[repr(C)]`, plain numbers and device addresses, of the size
/// that the `.cu` file asserts.
macro_rules! kernel_arguments {
    ($($name:ident: $bytes:literal),*) => {$(
        const _: () = assert!(size_of::<$name>() == $bytes);
        // SAFETY: plain numbers and device addresses in the layout of C.
        unsafe impl cudarc::driver::DeviceRepr for $name {}
    )*};
}
pub(crate) use kernel_arguments;

/// A GPU, and the processor at its side for what has no kernel here yet.
pub struct Cuda {
    host: Cpu,
    info: GpuInfo,
    multiprocessors: u32,
    stream: Arc<CudaStream>,
    kernels: Kernels,
    precision: Precision,
    staging: Staging,
    /// Kernels for networks met so far, if they are wanted.
    specialized: Option<Specialized>,
    /// Launches since timing was asked for; none while it is not.
    timed: Mutex<Option<Vec<Timed>>>,
}

/// A launch between two events.
struct Timed {
    kernel: &'static str,
    grid: Grid,
    begin: CudaEvent,
    end: CudaEvent,
}

/// A function of the module, and its name there.
pub(crate) struct Kernel {
    name: &'static str,
    function: CudaFunction,
}

/// Names the functions of `kernels.ptx` once.
macro_rules! kernels {
    ($($name:ident),*) => {
        /// The functions of `kernels.ptx`.
        pub(crate) struct Kernels {
            $(pub(crate) $name: Kernel,)*
        }

        impl Kernels {
            fn of(module: &Arc<CudaModule>) -> Result<Self, Error> {
                Ok(Self { $($name: function(module, stringify!($name))?,)* })
            }
        }
    };
}

kernels!(
    act_8,
    act_32,
    act_fast_16,
    act_fast_32,
    cell_transpose,
    gru_forward_8,
    gru_forward_32,
    gru_backward_8,
    gru_backward_32,
    gru_grads,
    lstm_forward_8,
    lstm_forward_32,
    lstm_backward_8,
    lstm_backward_32,
    lstm_grads,
    mlp_product,
    mlp_norm,
    mlp_norm_back,
    mlp_grads,
    mix_backward_8,
    mix_backward_32,
    mix_forward_8,
    mix_forward_32,
    mix_grads_1,
    mix_grads_4,
    td_target_8,
    td_target_32,
    roofline_copy,
    roofline_fma,
    rollout_env,
    rollout_policy_8,
    rollout_policy_32,
    rollout_policy_fast_16,
    rollout_policy_fast_32,
    update_rows_8,
    update_rows_32,
    update_rows_fast_16,
    update_rows_fast_32,
    update_grads_1,
    update_grads_4,
    update_grads_fast,
    update_tree,
    optim_sum,
    optim_clip,
    optim_step,
    replay_admit,
    replay_draw,
    replay_priorities,
    learn_8
);

impl Kernels {
    fn load(context: &Arc<CudaContext>) -> Result<Self, Error> {
        let ptx = Ptx::from_src(include_str!("kernels.ptx"));
        let module = context.load_module(ptx).map_err(|e| failed("load its kernels", e))?;
        Self::of(&module)
    }
}

pub(super) fn function(module: &Arc<CudaModule>, name: &'static str) -> Result<Kernel, Error> {
    let function = module.load_function(name).map_err(|e| failed(&format!("load kernel {name}"), e))?;
    let most = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    let raised = function.set_attribute(most, MOST_SHARED_BYTES as i32);
    raised.map_err(|e| failed(&format!("give kernel {name} shared memory"), e))?;
    Ok(Kernel { name, function })
}

/// A refusal of the driver as an error. Only to be called with the driver loaded: it is asked for the text.
pub(crate) fn failed(what: &str, error: DriverError) -> Error {
    let text = |text: Result<&std::ffi::CStr, DriverError>| text.map(|t| t.to_string_lossy().into_owned());
    let name = text(error.error_name()).unwrap_or_else(|_| format!("error {}", error.0 as i32));
    let why = match text(error.error_string()) {
        Ok(words) if words != name => format!("{words} ({name})"),
        _ => name,
    };
    Error::Gpu { what: what.to_string(), why }
}

/// Makes sure that the driver is there and new enough, and returns its version. Everything else in the driver's interface
/// panics without it.
fn driver() -> Result<i32, Error> {
    // SAFETY: loads the vendor's library by its fixed name, whose initializers are trusted.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::NoGpu("NVIDIA's driver (libcuda) is not installed".to_string()));
    }
    let mut version = 0;
    // SAFETY: writes one integer; the symbol exists in every driver.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    if status != sys::cudaError_enum::CUDA_SUCCESS {
        return Err(Error::NoGpu(format!("NVIDIA's driver does not answer (error {})", status as i32)));
    }
    if version < OLDEST_DRIVER {
        return Err(Error::NoGpu(format!(
            "NVIDIA's driver is for CUDA {}.{}; update it to one for 12.0 or newer",
            version / 1000,
            version % 1000 / 10
        )));
    }
    Ok(version)
}

impl Cuda {
    pub(crate) fn list() -> Result<Vec<GpuInfo>, Error> {
        let version = driver()?;
        let count = match result::init().and_then(|()| result::device::get_count()) {
            Ok(count) => count,
            Err(DriverError(sys::cudaError_enum::CUDA_ERROR_NO_DEVICE)) => 0,
            Err(error) => return Err(Error::NoGpu(failed("start", error).to_string())),
        };
        if count <= 0 {
            return Err(Error::NoGpu("NVIDIA's driver finds no device".to_string()));
        }
        (0..count).map(|i| describe_device(i, version).map_err(|e| failed("describe itself", e))).collect()
    }

    pub(crate) fn new(ordinal: usize, host: Cpu) -> Result<Self, Error> {
        let mut gpus = Self::list()?;
        if ordinal >= gpus.len() {
            let last = gpus.len() - 1;
            return Err(Error::NoGpu(format!("there is no cuda:{ordinal}, the last one is cuda:{last}")));
        }
        let info = gpus.swap_remove(ordinal);
        if info.capability < OLDEST_CAPABILITY {
            let (major, minor) = info.capability;
            return Err(Error::NoGpu(format!(
                "{} has compute capability {major}.{minor}, and kernels need 8.0 or newer",
                info.name
            )));
        }
        let context = CudaContext::new(ordinal).map_err(|e| failed("open", e))?;
        // SAFETY: one stream is used, so nothing needs events to wait for.
        unsafe { context.disable_event_tracking() };
        let count = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context.attribute(count).map_err(|e| failed("describe itself", e))? as u32;
        let stream = context.new_stream().map_err(|e| failed("make a stream", e))?;
        let kernels = Kernels::load(&context)?;
        let staging = Staging::new(&context, &stream)?;
        let precision = Precision::Strict;
        Ok(Self {
            host,
            info,
            multiprocessors,
            stream,
            kernels,
            precision,
            staging,
            specialized: None,
            timed: Mutex::new(None),
        })
    }

    pub(crate) fn host(&self) -> &Cpu {
        &self.host
    }

    pub(crate) fn host_mut(&mut self) -> &mut Cpu {
        &mut self.host
    }

    pub(crate) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(crate) fn staging(&self) -> &Staging {
        &self.staging
    }

    pub(crate) fn describe(&self) -> String {
        match &self.specialized {
            Some(s) if s.count() > 0 => {
                format!("{}, act compiled for networks met: {}", self.info, s.count())
            }
            _ => self.info.to_string(),
        }
    }

    /// From now on, compiles kernels for each network that is met.
    pub(crate) fn specialize(&mut self) -> Result<String, Error> {
        let compiler = Compiler::find()?.for_driver(self.info.driver)?;
        self.specialized.get_or_insert_with(|| Specialized::new(compiler));
        Ok(compiler.describe())
    }

    /// Kernels for `net`, if they are wanted.
    pub(crate) fn for_network(&self, net: &Network) -> Result<Option<Arc<ForNetwork>>, Error> {
        self.specialized.as_ref().map(|s| s.of(self.stream.context(), net)).transpose()
    }

    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Starts a kernel. Nothing is waited for.
    ///
    /// # Safety
    /// `args` is the structure that the kernel takes, and every address in it leads to as many elements as the kernel
    /// touches under `grid`, alive until the stream is synchronized.
    pub(crate) unsafe fn launch<A: DeviceRepr>(
        &self,
        what: &str,
        kernel: &Kernel,
        grid: Grid,
        args: &A,
    ) -> Result<(), Error> {
        // SAFETY: promised by the caller.
        unsafe { self.start(what, kernel, grid, args, false) }
    }

    /// Starts a kernel whose blocks wait for each other: as many as the device holds at once, `most` at most.
    ///
    /// # Safety
    /// As [`Cuda::launch`], for any number of blocks.
    pub(crate) unsafe fn launch_together<A: DeviceRepr>(
        &self,
        what: &str,
        kernel: &Kernel,
        grid: Grid,
        most: u32,
        args: &A,
    ) -> Result<(), Error> {
        let each = kernel.function.occupancy_max_active_blocks_per_multiprocessor(
            grid.threads,
            grid.shared_bytes as usize,
            None,
        );
        let each = each.map_err(|e| failed("count the blocks that it holds", e))?;
        let blocks = (each * self.multiprocessors).min(most);
        if blocks == 0 {
            let why =
                format!("a block of {} threads and {} bytes does not fit", grid.threads, grid.shared_bytes);
            return Err(Error::Gpu { what: what.to_string(), why });
        }
        // SAFETY: promised by the caller.
        unsafe { self.start(what, kernel, Grid { blocks: (blocks, 1, 1), ..grid }, args, true) }
    }

    /// # Safety
    /// As [`Cuda::launch`].
    unsafe fn start<A: DeviceRepr>(
        &self,
        what: &str,
        kernel: &Kernel,
        grid: Grid,
        args: &A,
        together: bool,
    ) -> Result<(), Error> {
        let config = LaunchConfig {
            grid_dim: grid.blocks,
            block_dim: (grid.threads, 1, 1),
            shared_mem_bytes: grid.shared_bytes,
        };
        let mut launch = self.stream.launch_builder(&kernel.function);
        launch.arg(args);
        let begin = self.mark()?;
        // SAFETY: promised by the caller.
        let started =
            unsafe { if together { launch.launch_cooperative(config) } else { launch.launch(config) } };
        started.map_err(|e| failed(what, e))?;
        if let (Some(begin), Some(end)) = (begin, self.mark()?)
            && let Ok(mut timed) = self.timed.lock()
            && let Some(timed) = timed.as_mut()
        {
            timed.push(Timed { kernel: kernel.name, grid, begin, end });
        }
        Ok(())
    }

    /// An event in the stream, if launches are timed.
    fn mark(&self) -> Result<Option<CudaEvent>, Error> {
        if !self.is_timing() {
            return Ok(None);
        }
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        self.stream.record_event(flags).map(Some).map_err(|e| failed("time a launch", e))
    }

    /// Whether launches are timed, one by one.
    pub(crate) fn is_timing(&self) -> bool {
        self.timed.lock().is_ok_and(|timed| timed.is_some())
    }

    /// Begins to time launches.
    pub(crate) fn time_launches(&mut self) {
        if let Ok(mut timed) = self.timed.lock() {
            *timed = Some(Vec::new());
        }
    }

    /// Launches since [`Cuda::time_launches`], and no longer times them.
    pub(crate) fn take_launches(&mut self) -> Result<Vec<LaunchTime>, Error> {
        let timed = self.timed.lock().ok().and_then(|mut timed| timed.take()).unwrap_or_default();
        let one = |t: Timed| {
            let ms = t.begin.elapsed_ms(&t.end).map_err(|e| failed("time a launch", e))?;
            Ok(LaunchTime {
                kernel: t.kernel,
                blocks: t.grid.blocks,
                threads: t.grid.threads,
                shared_bytes: t.grid.shared_bytes,
                seconds: f64::from(ms) * 1e-3,
            })
        };
        timed.into_iter().map(one).collect()
    }

    /// Waits until everything started so far has ended.
    pub(crate) fn finish(&self, what: &str) -> Result<(), Error> {
        self.stream.synchronize().map_err(|e| failed(what, e))?;
        self.staging.ended();
        Ok(())
    }
}

fn describe_device(ordinal: i32, driver: i32) -> Result<GpuInfo, DriverError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let device = result::device::get(ordinal)?;
    // SAFETY: `device` was just handed out by the driver.
    let attribute = |which| unsafe { result::device::get_attribute(device, which) };
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok(GpuInfo {
        ordinal: ordinal as usize,
        name: result::device::get_name(device)?,
        // SAFETY: as above.
        memory: unsafe { result::device::total_mem(device) }?,
        capability: (major, minor),
        driver: (driver / 1000, driver % 1000 / 10),
    })
}

impl std::fmt::Debug for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cuda({})", self.info)
    }
}
