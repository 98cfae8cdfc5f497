//! What kernels can refuse to compute. Each message is one line that says what to do.

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number of threads that makes no sense.
    #[error("{0} threads asked for; give at least 1")]
    Threads(usize),
    /// The operating system refused a worker thread.
    #[error("cannot start a worker thread ({0}); ask for fewer threads")]
    Spawn(String),
    /// An instruction set that this machine lacks.
    #[error("this machine has no {asked}; it has {available}")]
    IsaMissing {
        /// The one asked for.
        asked: &'static str,
        /// Those that work here.
        available: String,
    },
    /// A name of an instruction set that does not exist.
    #[error("unknown instruction set {0:?}; use avx512, avx2, neon or portable")]
    IsaUnknown(String),
    /// A network shape that cannot be.
    #[error("{0}")]
    Shape(String),
    /// A setting out of its range.
    #[error("{what} is {value}; it must be {must}")]
    Setting {
        /// Name of the setting.
        what: &'static str,
        /// Its value.
        value: f32,
        /// What is allowed.
        must: &'static str,
    },
    /// A buffer whose length does not fit the others.
    #[error("{what} holds {found} elements; its shape {shape} needs {expected}")]
    Length {
        /// Name of the buffer.
        what: &'static str,
        /// Its shape in letters.
        shape: &'static str,
        /// Elements needed.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// A row whose legality mask excludes every action.
    #[error(
        "no legal action for environment {env}, agent {agent}; its mask must leave at least one action (a no-op)"
    )]
    NoLegalAction {
        /// Environment index (in an update: sample of the batch).
        env: usize,
        /// Agent index in its group.
        agent: usize,
    },
    /// An action outside its space.
    #[error(
        "action {action} of sample {sample}, agent {agent} is not one of {n_actions}; actions count from 0"
    )]
    BadAction {
        /// Sample of the batch.
        sample: usize,
        /// Agent index in its group.
        agent: usize,
        /// The action given.
        action: u32,
        /// Number of actions.
        n_actions: usize,
    },
    /// No GPU to compute on.
    #[error("no GPU to compute on: {0}; use the cpu")]
    NoGpu(String),
    /// A GPU that refused something.
    #[error("the GPU failed to {what}: {why}")]
    Gpu {
        /// What it was asked to do.
        what: String,
        /// What its driver said.
        why: String,
    },
    /// Kernels that stay as they come along, where others were asked for.
    #[error("kernels are not specialized: {0}")]
    NotSpecialized(String),
    /// A name of a device that does not exist.
    #[error("unknown device {0:?}; use auto, cpu, cuda or cuda:N (N counts GPUs from 0)")]
    DeviceUnknown(String),
    /// A name of a precision that does not exist.
    #[error("unknown precision {0:?}; use strict or fast")]
    PrecisionUnknown(String),
    /// Fast mode without a GPU.
    #[error("precision fast is for the matrix units of a GPU; use device cuda, or precision strict")]
    FastOnCpu,
    /// A state of an environment that is not finite.
    #[error("the state of environment {env} is not finite after step {step} of the rollout; reset it")]
    NonFiniteState {
        /// Environment index.
        env: usize,
        /// Step of the call, from 0.
        step: usize,
    },
    /// A gradient that is not finite.
    #[error(
        "gradient of tensor {tensor} has a non-finite value ({value}); lower the learning rate or clip rewards"
    )]
    NonFiniteGradient {
        /// Index into the tensors of the call.
        tensor: usize,
        /// The first such value.
        value: f32,
    },
}

/// `Ok` if `found == expected`.
pub(crate) fn check_len(
    what: &'static str,
    shape: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, shape, expected, found }) }
}
