//! Where kernels run: the CPU, or a GPU with the CPU at its side. Every kernel is a method of [`Backend`], in the file
//! of the kernel.

use crate::cuda::Cuda;
use crate::team::Team;
use crate::{Error, Isa, LaunchTime, Precision};

/// How to use the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads to compute with, the caller's included; at least 1. No result depends on it.
    pub threads: usize,
    /// Instruction set; `None` takes the best. No result depends on it.
    pub isa: Option<Isa>,
}

impl Default for CpuOptions {
    /// One thread, best instruction set.
    fn default() -> Self {
        Self { threads: 1, isa: None }
    }
}

/// The CPU: an instruction set and a team of threads.
#[derive(Debug)]
pub struct Cpu {
    pub(crate) isa: Isa,
    pub(crate) team: Team,
    /// Multiply-adds from which on a second thread pays.
    pub(crate) worth_a_thread: usize,
}

/// Multiply-adds from which on a second thread pays: some 17 us of one core, against 1 us to begin and end a job with
/// awake workers and 5 to 10 us to wake one.
const WORTH_A_THREAD: usize = 1_000_000;

impl Cpu {
    fn new(options: CpuOptions) -> Result<Self, Error> {
        if options.threads == 0 {
            return Err(Error::Threads(0));
        }
        let isa = options.isa.unwrap_or_else(Isa::detect);
        if !isa.is_available() {
            let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
            return Err(Error::IsaMissing { asked: isa.name(), available: names.join(", ") });
        }
        let team = Team::new(options.threads).map_err(|e| Error::Spawn(e.to_string()))?;
        Ok(Cpu { isa, team, worth_a_thread: WORTH_A_THREAD })
    }

    /// Does `parts` parts, `work(part, thread)`, on the calling thread alone if `threads` is 1.
    pub(crate) fn run(&mut self, threads: usize, parts: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        if threads > 1 {
            self.team.run(parts, work);
        } else {
            (0..parts).for_each(|part| work(part, 0));
        }
    }

    /// Into how many parts to split work of so many multiply-adds.
    pub(crate) fn parts(&self, multiply_adds: usize) -> usize {
        self.team.threads().min((2 * multiply_adds / self.worth_a_thread).max(1))
    }
}

/// A device that kernels run on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Backend {
    /// The processor.
    Cpu(Cpu),
    /// An NVIDIA GPU. `act`, `update`, `td_target`, `mix_forward`, `mix_backward`, recurrent cells and networks of up to 512
    /// units, layers over many rows and the whole of a [`crate::Resident`] learner run there; what has no kernel yet runs on
    /// the processor at its side, to the same bits.
    Cuda(Box<Cuda>),
}

impl Backend {
    /// Kernels on the CPU.
    ///
    /// # Errors
    /// [`Error::Threads`] for zero threads, [`Error::IsaMissing`] for an instruction set that is not there,
    /// [`Error::Spawn`] if the system refuses a thread.
    pub fn cpu(options: CpuOptions) -> Result<Backend, Error> {
        Cpu::new(options).map(Backend::Cpu)
    }

    /// Kernels on GPU `ordinal`, counted from 0, and on the processor where there is no kernel for a GPU yet. Results are
    /// the bits of [`Backend::cpu`], unless [`Backend::with_precision`] says otherwise.
    ///
    /// # Errors
    /// [`Error::NoGpu`] if the crate was built without its feature `cuda`, or there is no driver, no such device, or a driver
    /// that is too old; [`Error::Gpu`] if the device cannot be used; those of [`Backend::cpu`].
    pub fn cuda(ordinal: usize, options: CpuOptions) -> Result<Backend, Error> {
        Ok(Backend::Cuda(Box::new(Cuda::new(ordinal, Cpu::new(options)?)?)))
    }

    /// How exact kernels are to be; [`Precision::Strict`] where nothing is said. To be said before anything is kept on the
    /// device: a resident learner goes on as it began.
    ///
    /// # Errors
    /// [`Error::FastOnCpu`] for [`Precision::Fast`] on the processor, which has none but strict kernels.
    pub fn with_precision(mut self, precision: Precision) -> Result<Backend, Error> {
        match (&mut self, precision) {
            (Backend::Cuda(cuda), _) => cuda.set_precision(precision),
            (Backend::Cpu(_), Precision::Strict) => {}
            (Backend::Cpu(_), Precision::Fast) => return Err(Error::FastOnCpu),
        }
        Ok(self)
    }

    /// How exact kernels are.
    pub fn precision(&self) -> Precision {
        match self {
            Backend::Cpu(_) => Precision::Strict,
            Backend::Cuda(cuda) => cuda.precision(),
        }
    }

    /// The processor: that of [`Backend::Cpu`], or the one at a GPU's side.
    pub(crate) fn host(&self) -> &Cpu {
        match self {
            Backend::Cpu(cpu) => cpu,
            Backend::Cuda(cuda) => cuda.host(),
        }
    }

    /// [`Backend::host`], to compute with.
    pub(crate) fn host_mut(&mut self) -> &mut Cpu {
        match self {
            Backend::Cpu(cpu) => cpu,
            Backend::Cuda(cuda) => cuda.host_mut(),
        }
    }

    /// Threads of the processor that it computes with.
    pub fn threads(&self) -> usize {
        self.host().team.threads()
    }

    /// Instruction set of the processor that it computes with.
    pub fn isa(&self) -> Isa {
        self.host().isa
    }

    /// Begins to time each launch on a GPU. It takes an event before and one behind each, so the whole is a little slower.
    /// Nothing on the CPU.
    pub fn time_launches(&mut self) {
        if let Backend::Cuda(cuda) = self {
            cuda.time_launches();
        }
    }

    /// The launches since [`Backend::time_launches`], in their order, and no longer times them. None on the CPU.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the driver does not say how long one took.
    pub fn take_launches(&mut self) -> Result<Vec<LaunchTime>, Error> {
        match self {
            Backend::Cpu(_) => Ok(Vec::new()),
            Backend::Cuda(cuda) => cuda.take_launches(),
        }
    }

    /// From now on compiles kernels of a GPU for each network that it meets, with its widths as constants, and
    /// says with what. Results are the same bits. Needs NVIDIA's run-time compiler (NVRTC), which is looked for here.
    ///
    /// # Errors
    /// [`Error::NotSpecialized`] says why kernels stay as they come along: on the CPU, or without NVRTC, or with one that is
    /// newer than the driver. Everything works all the same.
    pub fn specialize(&mut self) -> Result<String, Error> {
        match self {
            Backend::Cpu(_) => Err(Error::NotSpecialized("only those of a GPU can be".to_string())),
            Backend::Cuda(cuda) => cuda.specialize(),
        }
    }

    /// Splits work among threads however small it is.
    #[cfg(test)]
    pub(crate) fn always_split(&mut self) {
        match self {
            Backend::Cpu(cpu) => cpu.worth_a_thread = 1,
            Backend::Cuda(_) => {}
        }
    }

    /// One line for people: "cpu, avx512, 2 threads".
    pub fn describe(&self) -> String {
        if let Backend::Cuda(cuda) = self {
            return cuda.describe();
        }
        let plural = if self.threads() == 1 { "" } else { "s" };
        format!("cpu, {}, {} thread{plural}", self.isa().name(), self.threads())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_and_described() {
        assert_eq!(Backend::cpu(CpuOptions { threads: 0, isa: None }).unwrap_err(), Error::Threads(0));
        let missing = Isa::ALL.into_iter().find(|isa| !isa.is_available()).unwrap();
        let error = Backend::cpu(CpuOptions { threads: 1, isa: Some(missing) }).unwrap_err();
        assert!(error.to_string().contains("it has") && error.to_string().contains("portable"));
        let backend = Backend::cpu(CpuOptions { threads: 2, isa: Some(Isa::Portable) }).unwrap();
        assert_eq!(backend.describe(), "cpu, portable, 2 threads");
        assert_eq!(Backend::cpu(CpuOptions::default()).unwrap().isa(), Isa::detect());
        let line = Backend::cpu(CpuOptions::default()).unwrap().specialize().unwrap_err().to_string();
        assert_eq!(line, "kernels are not specialized: only those of a GPU can be");
    }
}
