//! How exact kernels are: to the bits of the processor, or faster on the matrix units of a GPU.

use crate::Error;

/// How exact kernels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The bits of the processor, on every device.
    #[default]
    Strict,
    /// On a GPU, larger shapes on its matrix units: layers take inputs and weights in tf32 (rounded by a share of 2^-11 at
    /// most) and add in `f32`. The same bits in every run on one kind of device, not those of the processor. What is too
    /// small to gain, or has no such kernel, is computed as in strict mode.
    Fast,
}

impl Precision {
    /// "strict" or "fast".
    pub fn name(self) -> &'static str {
        match self {
            Precision::Strict => "strict",
            Precision::Fast => "fast",
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "strict" => Ok(Precision::Strict),
            "fast" => Ok(Precision::Fast),
            _ => Err(Error::PrecisionUnknown(text.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, CpuOptions};

    #[test]
    fn names_are_parsed_and_others_refused() {
        for precision in [Precision::Strict, Precision::Fast] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        for bad in ["", "Fast", "tf32"] {
            let error = bad.parse::<Precision>().unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.contains("strict or fast"), "{error}");
        }
    }

    #[test]
    fn the_processor_is_strict_and_says_so() {
        let cpu = || Backend::cpu(CpuOptions::default()).unwrap();
        assert_eq!(cpu().with_precision(Precision::Strict).unwrap().precision(), Precision::Strict);
        let error = cpu().with_precision(Precision::Fast).unwrap_err();
        assert_eq!(error, Error::FastOnCpu);
        assert!(!error.to_string().contains('\n'));
    }
}
