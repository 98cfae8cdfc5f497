//! The GPU side: the device, its memory, and launches. With the feature `cuda` off there is only the error that says so.
//!
//! Kernels are `.cu` files beside the CPU code of each kernel, compiled ahead of time to `kernels.ptx` (`cargo xtask ptx`),
//! which the driver alone can load. They compute the CPU's bits: see `strict.cuh`; or, if asked to, nearly: see `fast.cuh`.

#[cfg(feature = "cuda")]
mod fast;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod memory;
#[cfg(feature = "cuda")]
mod special;

#[cfg(feature = "cuda")]
pub(crate) use fast::fills_device;
#[cfg(feature = "cuda")]
pub use gpu::Cuda;
#[cfg(feature = "cuda")]
pub(crate) use gpu::{
    Grid, Kernel, MOST_SHARED_BYTES, Network, SHARED_BYTES as MAX_SHARED_BYTES, failed, kernel_arguments,
};
#[cfg(feature = "cuda")]
pub(crate) use memory::{Column, Mirror, bytes};
#[cfg(feature = "cuda")]
pub(crate) use special::ForNetwork;

use crate::{Error, QShape};

/// What [`crate::Backend::specialize`] would compile with on this machine, or why it would not, without a GPU.
///
/// # Errors
/// [`Error::NotSpecialized`] says why.
pub fn specializer() -> Result<String, Error> {
    #[cfg(feature = "cuda")]
    return special::Compiler::find().map(special::Compiler::describe);
    #[cfg(not(feature = "cuda"))]
    Err(Error::NotSpecialized(NO_CODE.to_string()))
}

/// The PTX that [`crate::Backend::specialize`] makes for a network, for people who want to read or assemble it. Needs NVRTC,
/// but no GPU.
///
/// # Errors
/// [`Error::NotSpecialized`] without NVRTC, [`Error::Shape`] for a network that kernels do not take.
pub fn specialized_ptx(shape: &QShape) -> Result<String, Error> {
    #[cfg(feature = "cuda")]
    return special::specialized_ptx(shape);
    #[cfg(not(feature = "cuda"))]
    Err(Error::NotSpecialized(format!(
        "{NO_CODE}, whatever the network ({} parameters)",
        shape.param_count()
    )))
}

#[cfg(not(feature = "cuda"))]
const NO_CODE: &str = "this build has no code for a GPU (build with --features cuda)";

#[cfg(not(feature = "cuda"))]
pub use absent::Cuda;

#[cfg(not(feature = "cuda"))]
mod absent {
    //! What stands for a GPU in a build that has no code for one.

    use crate::act::{Act, ActScratch};
    use crate::mix::{MixBackward, MixCache, MixForward};
    use crate::mlp::{LayersBackward, LayersForward, MlpCache};
    use crate::recurrent::{
        CellBackward, CellCache, CellForward, RecurrentBackward, RecurrentCache, RecurrentForward,
    };
    use crate::resident::{Draws, GradStep, Learned, Resident, ResidentConfig, ResidentState, RingView};
    use crate::td_target::{TdTarget, TdTargetScratch};
    use crate::update::{Update, UpdateScratch, UpdateStats};
    use crate::{Cpu, Error, GpuInfo, LaunchTime, Precision, Rollout, Rollouts, Roofline};

    /// A GPU. This build has no code for one, so there is no value of this type.
    #[derive(Debug)]
    pub enum Cuda {}

    fn no_gpu<T>() -> Result<T, Error> {
        Err(Error::NoGpu("this build has no code for one (build with --features cuda)".to_string()))
    }

    impl Cuda {
        pub(crate) fn new(_ordinal: usize, _host: Cpu) -> Result<Self, Error> {
            no_gpu()
        }

        pub(crate) fn list() -> Result<Vec<GpuInfo>, Error> {
            no_gpu()
        }

        pub(crate) fn host(&self) -> &Cpu {
            match *self {}
        }

        pub(crate) fn host_mut(&mut self) -> &mut Cpu {
            match *self {}
        }

        pub(crate) fn describe(&self) -> String {
            match *self {}
        }

        pub(crate) fn specialize(&mut self) -> Result<String, Error> {
            match *self {}
        }

        pub(crate) fn set_precision(&mut self, _: Precision) {
            match *self {}
        }

        pub(crate) fn precision(&self) -> Precision {
            match *self {}
        }

        pub(crate) fn td_target(
            &mut self,
            _: &mut TdTargetScratch,
            _: &mut TdTarget<'_, '_>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn mix_forward(&mut self, _: &mut MixCache, _: MixForward<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn mix_backward(&mut self, _: &mut MixCache, _: MixBackward<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn rollout(&mut self, _: &mut Rollouts, _: Rollout<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn rollout_columns(&mut self, _: &mut Rollouts) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn roofline(&mut self, _: u32, _: usize) -> Result<Roofline, Error> {
            match *self {}
        }

        pub(crate) fn time_launches(&mut self) {
            match *self {}
        }

        pub(crate) fn take_launches(&mut self) -> Result<Vec<LaunchTime>, Error> {
            match *self {}
        }

        pub(crate) fn act(&mut self, _: &mut ActScratch, _: &mut Act<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn cell_forward(&mut self, _: &mut CellCache, _: CellForward<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn cell_backward(&mut self, _: &mut CellCache, _: CellBackward<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn layers_forward(&mut self, _: &mut MlpCache, _: LayersForward<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn layers_backward(
            &mut self,
            _: &mut MlpCache,
            _: LayersBackward<'_>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn recurrent_forward(
            &mut self,
            _: &mut RecurrentCache,
            _: RecurrentForward<'_>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn recurrent_backward(
            &mut self,
            _: &mut RecurrentCache,
            _: RecurrentBackward<'_>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn resident(&mut self, _: &ResidentConfig) -> Result<Resident, Error> {
            match *self {}
        }

        pub(crate) fn resident_set(&mut self, _: &mut Resident, _: ResidentState<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn resident_get(&mut self, _: &mut Resident, _: ResidentState<'_>) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn resident_act(
            &mut self,
            _: &Resident,
            _: usize,
            _: &mut ActScratch,
            _: &mut Act<'_>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn resident_step(
            &mut self,
            _: &mut Resident,
            _: &mut Update<'_, '_>,
            _: GradStep,
        ) -> Result<Learned, Error> {
            match *self {}
        }

        pub(crate) fn resident_learn(
            &mut self,
            _: &mut Resident,
            _: &RingView<'_>,
            _: Draws,
            _: &[GradStep],
            _: &mut Vec<Learned>,
        ) -> Result<(), Error> {
            match *self {}
        }

        pub(crate) fn resident_leaves(
            &mut self,
            _: &mut Resident,
            _: &RingView<'_>,
            _: &mut [u32],
        ) -> Result<u32, Error> {
            match *self {}
        }

        pub(crate) fn update(
            &mut self,
            _: &mut UpdateScratch,
            _: &mut Update<'_, '_>,
        ) -> Result<UpdateStats, Error> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests;
