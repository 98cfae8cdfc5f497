//! The two launches, and a look at what they left.

use super::Roofline;
use crate::Error;
use crate::cuda::{Column, Cuda, Grid, kernel_arguments};

/// Threads of a block.
const THREADS: u32 = 256;
/// Chains of a thread.
const CHAINS: u32 = 8;
/// Runs of each; the fastest counts, as a bound is what can be reached.
const RUNS: usize = 5;

/// `RooflineArgs` of `kernel.cu`.
#[repr(C)]
struct RooflineArgs {
    from: u64,
    to: u64,
    chains: u64,
    factor: f32,
    term: f32,
    n: u32,
    rounds: u32,
}

kernel_arguments!(RooflineArgs: 40);

impl Cuda {
    pub(crate) fn roofline(&mut self, rounds: u32, len: usize) -> Result<Roofline, Error> {
        // Eight blocks of 256 threads fill a multiprocessor; enough for any device of today.
        let blocks = if len < 1 << 20 { 2 } else { 2048 };
        let grid = Grid { blocks: (blocks, 1, 1), threads: THREADS, shared_bytes: 0 };
        let (mut from, mut to, mut chains) = (Column::default(), Column::default(), Column::default());
        let data: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let (factor, term) = (0.999_f32, 0.001_f32);
        let args = RooflineArgs {
            from: from.upload(self, &data)?,
            to: to.fit(self, len)?,
            chains: chains.fit(self, (blocks * THREADS) as usize)?,
            factor,
            term,
            n: (len / 4) as u32,
            rounds,
        };
        self.time_launches();
        for _ in 0..=RUNS {
            // SAFETY: the columns hold as many elements as `n` and the threads of the grid touch.
            unsafe { self.launch("measure its peak", &self.kernels().roofline_fma, grid, &args) }?;
            // SAFETY: as above.
            unsafe { self.launch("measure its memory", &self.kernels().roofline_copy, grid, &args) }?;
        }
        let (mut copied, mut ends) = (vec![0.0; len], vec![0.0_f32; (blocks * THREADS) as usize]);
        to.download(self, &mut copied)?;
        chains.download(self, &mut ends)?;
        let launches = self.take_launches()?;
        let end = |c: u32| (0..rounds).fold(c as f32, |x, _| x.mul_add(factor, term));
        let sum = (0..CHAINS).fold(0.0, |sum, c| sum + end(c));
        if copied != data || ends.iter().any(|e| e.to_bits() != sum.to_bits()) {
            let why = "it computed something else than the processor".to_string();
            return Err(Error::Gpu { what: "measure its peak".to_string(), why });
        }
        // The first of each is a warm-up.
        let fastest = |kernel| {
            let times = launches.iter().filter(|l| l.kernel == kernel).skip(1).map(|l| l.seconds);
            times.fold(f64::INFINITY, f64::min)
        };
        let ops = 2.0 * f64::from(rounds) * f64::from(CHAINS) * f64::from(blocks * THREADS);
        Ok(Roofline {
            flops: ops / fastest("roofline_fma"),
            bytes: 8.0 * len as f64 / fastest("roofline_copy"),
        })
    }
}
