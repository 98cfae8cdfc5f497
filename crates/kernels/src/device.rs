//! Devices by name, and what GPUs there are. Not how kernels run on them.

use crate::cuda::Cuda;
use crate::{Backend, CpuOptions, Error};

/// A device that a user names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Whichever is faster, as far as that was measured.
    Auto,
    /// The processor.
    Cpu,
    /// GPU number `N`, from 0.
    Cuda(usize),
}

impl std::str::FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::DeviceUnknown(text.to_string());
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => {
                let digits = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                // `parse` would take a sign.
                let plain = digits.bytes().all(|b| b.is_ascii_digit());
                digits.parse().ok().filter(|_| plain).map(Device::Cuda).ok_or_else(unknown)
            }
        }
    }
}

impl Device {
    /// The backend, and why it was chosen, in a line for people.
    ///
    /// `Auto` takes the processor: on which batches a GPU is faster has not been measured yet.
    ///
    /// # Errors
    /// As [`Backend::cpu`] and [`Backend::cuda`]. A GPU that was asked for and is not there is an error, never another
    /// device.
    pub fn backend(self, options: CpuOptions) -> Result<(Backend, String), Error> {
        match self {
            Device::Cpu => Ok((Backend::cpu(options)?, "as asked for".to_string())),
            Device::Cuda(ordinal) => Ok((Backend::cuda(ordinal, options)?, "as asked for".to_string())),
            Device::Auto => {
                let why = match gpus() {
                    Ok(gpus) if !gpus.is_empty() => format!(
                        "there is a GPU ({}), but no measurement yet from which batch size on it is faster; ask for cuda to use it",
                        gpus[0].name
                    ),
                    Ok(_) => "the driver lists no GPU".to_string(),
                    Err(Error::NoGpu(why)) => why,
                    Err(other) => other.to_string(),
                };
                Ok((Backend::cpu(options)?, why))
            }
        }
    }
}

/// A GPU, as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuInfo {
    /// Its number, from 0.
    pub ordinal: usize,
    /// The vendor's name of it.
    pub name: String,
    /// Bytes of its memory.
    pub memory: usize,
    /// Compute capability, major and minor.
    pub capability: (i32, i32),
    /// Newest CUDA version that the driver knows, major and minor.
    pub driver: (i32, i32),
}

impl std::fmt::Display for GpuInfo {
    /// "cuda:0, NVIDIA H100, 80 GiB, compute 9.0, driver for CUDA 12.4".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gib = self.memory as f64 / (1_u64 << 30) as f64;
        let ((major, minor), (driver, sub)) = (self.capability, self.driver);
        write!(
            f,
            "cuda:{}, {}, {gib:.0} GiB, compute {major}.{minor}, driver for CUDA {driver}.{sub}",
            self.ordinal, self.name
        )
    }
}

/// A launch of a kernel on a GPU, as [`Backend::take_launches`] gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaunchTime {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Blocks, in three directions.
    pub blocks: (u32, u32, u32),
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory of a block that the launch asked for.
    pub shared_bytes: u32,
    /// Seconds on the device between the events before and behind it, the gap to its neighbors included.
    pub seconds: f64,
}

/// The GPUs of this machine.
///
/// # Errors
/// [`Error::NoGpu`] if the crate was built without its feature `cuda`, or there is no driver, no device, or a driver that is
/// too old.
pub fn gpus() -> Result<Vec<GpuInfo>, Error> {
    Cuda::list()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_others_refused() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:0", Device::Cuda(0)),
            ("cuda:12", Device::Cuda(12)),
        ] {
            assert_eq!(text.parse::<Device>(), Ok(device));
        }
        for bad in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "CPU", "cuda:99999999999999999999"] {
            let error = bad.parse::<Device>().unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.contains("cuda:N"), "{error}");
        }
    }

    #[test]
    fn a_choice_says_why_and_a_gpu_that_is_not_there_is_an_error() {
        let options = CpuOptions::default();
        let (backend, why) = Device::Auto.backend(options).unwrap();
        assert!(matches!(backend, Backend::Cpu(_)) && !why.is_empty());
        let error = Device::Cuda(1000).backend(options).unwrap_err();
        assert!(matches!(error, Error::NoGpu(_)), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}
