//! Kernels for one network, compiled on this machine when the network is first met: its widths are constants to the compiler,
//! which then knows every offset and the length of every loop. The same sources with the same options, hence the same bits;
//! only NVIDIA's run-time compiler, NVRTC, has to be installed. What is compiled is `act`; everything else stays as shipped.

use super::gpu::{Kernel, Network, failed, function};
use crate::{Error, QShape};
use cudarc::driver::CudaContext;
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts, sys};
use std::sync::{Arc, Mutex, PoisonError};

/// The sources of a module for one network, by their names in `#include`.
const SOURCES: &[(&str, &str)] = &[
    (ENTRY, include_str!("kernels.cu")),
    ("cuda/strict.cuh", include_str!("strict.cuh")),
    ("cuda/network.cuh", include_str!("network.cuh")),
    ("cuda/fast.cuh", include_str!("fast.cuh")),
    ("act/kernel.cu", include_str!("../act/kernel.cu")),
];

const ENTRY: &str = "cuda/kernels.cu";

/// How such a module begins, so that nobody takes it for the whole.
const HEADER: &str = "// for one network";

/// The third line of the committed PTX says how it was compiled, and so is this.
const COMMITTED: &str = include_str!("kernels.ptx");

/// NVRTC, found to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiler {
    version: (i32, i32),
}

impl Compiler {
    /// # Errors
    /// [`Error::NotSpecialized`] if it is not installed or does not answer.
    pub(crate) fn find() -> Result<Self, Error> {
        // SAFETY: loads the vendor's library by its fixed name, whose initializers are trusted. Everything else in its
        // interface panics without it.
        if !unsafe { sys::is_culib_present() } {
            let text = "NVIDIA's run-time compiler (NVRTC, libnvrtc.so.12) is not installed";
            return Err(Error::NotSpecialized(text.to_string()));
        }
        let mut version = (0, 0);
        // SAFETY: writes two integers; the symbol exists in every version.
        let status = unsafe { sys::nvrtcVersion(&mut version.0, &mut version.1) };
        if status != sys::nvrtcResult::NVRTC_SUCCESS {
            return Err(Error::NotSpecialized(format!("NVRTC does not answer (error {})", status as i32)));
        }
        Ok(Self { version })
    }

    /// For a driver that knows PTX up to this version of CUDA.
    ///
    /// # Errors
    /// [`Error::NotSpecialized`] if it writes newer PTX than that.
    pub(crate) fn for_driver(self, driver: (i32, i32)) -> Result<Self, Error> {
        if self.version <= driver {
            return Ok(self);
        }
        let ((major, minor), (newest, sub)) = (self.version, driver);
        Err(Error::NotSpecialized(format!(
            "NVRTC is of CUDA {major}.{minor}, and the driver takes what {newest}.{sub} writes; update the driver"
        )))
    }

    /// For people: the compiler, its options, and what is defined.
    pub(crate) fn describe(self) -> String {
        let (major, minor) = self.version;
        format!(
            "act compiled for each network by NVRTC {major}.{minor} {} -DNETWORK_SHAPE=..",
            options().join(" ")
        )
    }

    /// PTX of `act` for one network.
    pub(crate) fn compile(self, net: &Network) -> Result<String, Error> {
        let what = || "compile kernels for one network".to_string();
        let mut flags = options();
        flags.push(format!("-DNETWORK_SHAPE={}", net.as_initializer()));
        let settings =
            CompileOptions { options: flags.clone(), name: Some("act.cu".into()), ..Default::default() };
        let ptx = compile_ptx_with_opts(flattened(), settings).map_err(|error| Error::Gpu {
            what: what(),
            why: match error {
                CompileError::CompileError { log, .. } => {
                    log.to_string_lossy().lines().next().unwrap_or("NVRTC gave no reason").to_string()
                }
                other => format!("{other:?}"),
            },
        })?;
        Ok(format!("{HEADER}: {}\n{}", flags.join(" "), ptx.to_src()))
    }
}

/// Options of the committed PTX.
fn options() -> Vec<String> {
    let line = COMMITTED.lines().find_map(|line| line.strip_prefix("// options ")).unwrap_or_default();
    line.split(' ').filter(|word| word.starts_with("--")).map(str::to_string).collect()
}

/// All sources in one text; what is not among them stays an `#include`, which this module skips.
fn flattened() -> String {
    let mut out = String::new();
    append(ENTRY, &mut Vec::new(), &mut out);
    out
}

fn append(name: &'static str, seen: &mut Vec<&'static str>, out: &mut String) {
    seen.push(name);
    let text = SOURCES.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text);
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    for line in text.lines().filter(|line| *line != "#pragma once") {
        let included = line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"'));
        let beside = included.map(|included| format!("{folder}/{included}"));
        let known =
            SOURCES.iter().map(|(n, _)| *n).find(|n| Some(*n) == included || Some(*n) == beside.as_deref());
        match known {
            Some(source) if seen.contains(&source) => {}
            Some(source) => append(source, seen, out),
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
}

/// As [`super::specialized_ptx`].
pub(crate) fn specialized_ptx(shape: &QShape) -> Result<String, Error> {
    Compiler::find()?.compile(&Network::new(shape)?)
}

/// `act` for one network.
pub(crate) struct ForNetwork {
    net: Network,
    pub(crate) act_8: Kernel,
    pub(crate) act_32: Kernel,
    pub(crate) act_fast_16: Kernel,
    pub(crate) act_fast_32: Kernel,
}

/// Networks met so far.
pub(crate) struct Specialized {
    compiler: Compiler,
    known: Mutex<Vec<Arc<ForNetwork>>>,
}

impl Specialized {
    pub(crate) fn new(compiler: Compiler) -> Self {
        Self { compiler, known: Mutex::new(Vec::new()) }
    }

    /// How many networks were met.
    pub(crate) fn count(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The kernels for `net`, compiled and loaded if it is new.
    pub(crate) fn of(&self, context: &Arc<CudaContext>, net: &Network) -> Result<Arc<ForNetwork>, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|one| one.net == *net) {
            return Ok(Arc::clone(found));
        }
        let ptx = Ptx::from_src(self.compiler.compile(net)?);
        let module = context.load_module(ptx).map_err(|e| failed("load kernels for one network", e))?;
        known.push(Arc::new(ForNetwork {
            net: *net,
            act_8: function(&module, "act_8")?,
            act_32: function(&module, "act_32")?,
            act_fast_16: function(&module, "act_fast_16")?,
            act_fast_32: function(&module, "act_fast_32")?,
        }));
        Ok(Arc::clone(&known[known.len() - 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

    #[test]
    fn options_are_the_strict_ones_of_the_committed_ptx() {
        let options = options();
        for exact in ["--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"] {
            assert!(options.iter().any(|o| o == exact), "{options:?}");
        }
    }

    #[test]
    fn one_text_has_every_source_once() {
        let text = flattened();
        for (name, _) in SOURCES {
            assert!(!text.contains(&format!("#include \"{name}\"")), "{name}");
        }
        for once in ["INLINE float exp_(", "struct Network {", "KERNEL(act_8, ActArgs)", "#define KERNEL("] {
            assert_eq!(text.matches(once).count(), 1, "{once}");
        }
    }

    #[test]
    fn a_network_is_its_initializer() {
        let shape = QShape::new(18, vec![64, 32], 5, Activation::Tanh, true, true);
        let net = Network::new(&shape).unwrap();
        let want = format!("{{3,1,1,5,1,{},{{18,64,32,6,0,0,0,0,0}},64}}", shape.param_count());
        assert_eq!(net.as_initializer(), want);
    }

    #[test]
    fn a_compiler_that_is_newer_than_the_driver_is_left_alone() {
        let compiler = Compiler { version: (12, 4) };
        assert!(compiler.for_driver((12, 4)).is_ok() && compiler.for_driver((13, 0)).is_ok());
        let line = compiler.for_driver((12, 2)).unwrap_err().to_string();
        assert!(line.contains("12.4") && line.contains("12.2") && !line.contains('\n'), "{line}");
    }
}
