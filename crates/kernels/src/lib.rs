//! Every hot numeric routine of coact: layers (dense, recurrent, convolutional), `act` (observations to legal
//! actions), `update` (forward, TD targets, loss, backward), `td_target` (TD targets alone), `mix` (QMIX's mixer) and
//! optimizer steps, on flat `f32` buffers that the caller owns.
//!
//! Results are the same bits at any number of threads and on any instruction set (AVX-512, AVX2, NEON or
//! none), because the order of every sum is fixed:
//! - an output of a layer is a chain of fused multiply-adds over its inputs, ascending, from the bias;
//! - a gradient of a weight is such a chain over the rows of a chunk (at most 256 rows), and chunks are summed by
//!   a fixed pairwise tree;
//! - exp, tanh and ln are this crate's own polynomials; ties of an argmax go to the lowest index.
//!
//! On a GPU (feature `cuda`, [`Backend::cuda`]) the same, for the kernels that have a `.cu` file beside their CPU code, unless
//! [`Precision::Fast`] is asked for.
//!
//! Not here: where batches come from, initialization, schedules, algorithms. A kernel is a folder with its CPU
//! code (`cpu.rs`) beside a plain reference in `f64` (`reference.rs`).
//!
//! Parameters of a network are one flat buffer, see [`MlpShape::tensors`].

mod act;
mod backend;
mod blocks;
mod buffer;
mod chunks;
mod conv;
mod cuda;
mod dense;
mod device;
mod error;
mod isa;
pub mod math;
mod mix;
mod mlp;
mod optim;
mod policy;
mod precision;
mod recurrent;
mod resident;
mod rollout;
mod roofline;
mod rows;
mod shape;
pub mod td;
mod td_target;
mod team;
mod update;

pub use act::reference as act_reference;
pub use act::{Act, ActScratch, Exploration};
pub use backend::{Backend, Cpu, CpuOptions};
pub use conv::{ConvBackward, ConvCache, ConvForward, ConvShape, reference as conv_reference};
pub use cuda::{Cuda, specialized_ptx, specializer};
pub use dense::{DenseForward, reference as dense_reference};
pub use device::{Device, GpuInfo, LaunchTime, gpus};
pub use error::Error;
pub use isa::Isa;
pub use mix::{MixBackward, MixCache, MixForward, MixShape, reference as mix_reference};
pub use mlp::{LayersBackward, LayersForward, MlpCache, reference as mlp_reference};
pub use optim::{Clip, OptimStats, OptimStep, Rule, reference as optim_reference};
pub use policy::{DrawRows, NO_ACTION, PolicyRows, PolicyTerms, reference as policy_reference};
pub use precision::Precision;
pub use recurrent::{
    CellBackward, CellCache, CellForward, CellKind, CellShape, RecurrentBackward, RecurrentCache,
    RecurrentForward, RecurrentShape, reference as recurrent_reference,
};
pub use resident::{
    Draws, GradStep, Learned, Resident, ResidentConfig, ResidentGroup, ResidentState, RingGroup,
    RingPriorities, RingView, StepForm,
};
pub use rollout::{DeviceEnv, Policy, Rollout, RolloutColumns, RolloutOut, Rollouts, SpreadScale};
pub use roofline::Roofline;
pub use shape::{Activation, LAYER_NORM_EPS, MlpShape, QShape, TensorKind, TensorRange};
pub use td::{Loss, Mixer};
pub use td_target::{Join, NextGroup, TdTarget, TdTargetScratch, reference as td_target_reference};
pub use update::{GroupBatch, Update, UpdateScratch, UpdateStats, reference as update_reference};

/// What each kernel for GPUs may take, registers and static shared memory by architecture: the texts of the `budget.toml` files
/// beside them, which `cargo xtask cuda check` holds them to.
pub const GPU_BUDGETS: &[&str] = &[
    include_str!("act/budget.toml"),
    include_str!("mix/budget.toml"),
    include_str!("mlp/budget.toml"),
    include_str!("optim/budget.toml"),
    include_str!("recurrent/budget.toml"),
    include_str!("resident/budget.toml"),
    include_str!("rollout/budget.toml"),
    include_str!("roofline/budget.toml"),
    include_str!("td_target/budget.toml"),
    include_str!("update/budget.toml"),
];

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
