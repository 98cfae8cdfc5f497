//! What bounds a kernel on this processor: fused multiply-adds a second, and bytes moved a second at the size that the
//! kernel touches (a copy or a sum, whichever moves more). Both are measured here, on one thread, in the same run.

use std::hint::black_box;

use crate::contest::{Care, Run, seconds_a_call};
use crate::suites::update::peak;

/// Smallest and largest number of bytes that are copied for a measurement.
const SIZES: [usize; 2] = [32 << 10, 64 << 20];

/// Measured bounds of one thread.
pub struct Limits {
    /// Floating-point operations a second.
    pub peak: f64,
    moves: Vec<(usize, f64)>,
    care: Care,
}

impl Limits {
    /// Measures the multiply-add peak.
    ///
    /// # Errors
    /// What a call said; these say nothing.
    pub fn measure(care: Care) -> Result<Self, String> {
        let mut bound = peak(None);
        let seconds = repeated(&mut bound.run, care)?;
        Ok(Self { peak: bound.items / seconds, moves: Vec::new(), care })
    }

    /// Bytes read and written a second, where so many are touched; measured once for sizes that are near each other.
    ///
    /// # Errors
    /// As [`Limits::measure`].
    pub fn moved(&mut self, bytes: f64) -> Result<f64, String> {
        let size = (bytes as usize).clamp(SIZES[0], SIZES[1]);
        let near = |s: usize| s.abs_diff(size) <= size / 8;
        if let Some((_, speed)) = self.moves.iter().find(|(s, _)| near(*s)) {
            return Ok(*speed);
        }
        let speed = copying(size, self.care)?.max(adding(size, self.care)?);
        self.moves.push((size, speed));
        Ok(speed)
    }

    /// The share of the nearer bound that `seconds` a call reach on `threads` threads, and which bound that is.
    ///
    /// # Errors
    /// As [`Limits::measure`].
    pub fn share(
        &mut self,
        ops: f64,
        bytes: f64,
        threads: usize,
        seconds: f64,
    ) -> Result<(f64, &'static str), String> {
        let by_ops = ops / self.peak;
        let by_bytes = bytes / self.moved(bytes)?;
        let bound = if by_ops >= by_bytes { "arithmetic" } else { "memory" };
        Ok((by_ops.max(by_bytes) / (threads as f64 * seconds), bound))
    }
}

/// Bytes a second of one read and one write an element.
fn copying(size: usize, care: Care) -> Result<f64, String> {
    let n = size / 8;
    let (from, mut to) = (vec![1.0_f32; n], vec![0.0_f32; n]);
    let mut run: Run<'_> = Box::new(move |calls| {
        for _ in 0..calls {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }
        Ok(())
    });
    Ok((8 * n) as f64 / repeated(&mut run, care)?)
}

/// Bytes a second of two reads and one write an element.
fn adding(size: usize, care: Care) -> Result<f64, String> {
    let n = size / 12;
    let (from, mut to) = (vec![1.0_f32; n], vec![0.0_f32; n]);
    let other = from.clone();
    let arch = pulp::Arch::new();
    let mut run: Run<'_> = Box::new(move |calls| {
        for _ in 0..calls {
            let (a, b) = (black_box(&from), black_box(&other));
            arch.dispatch(|| to.iter_mut().zip(a).zip(b).for_each(|((to, a), b)| *to = a + b));
            black_box(&mut to);
        }
        Ok(())
    });
    Ok((12 * n) as f64 / repeated(&mut run, care)?)
}

/// Seconds a call where nothing was in the way: a bound is what can be reached.
fn repeated(run: &mut Run<'_>, care: Care) -> Result<f64, String> {
    let times: Result<Vec<f64>, String> =
        (0..care.repetitions).map(|_| seconds_a_call(run, care.min_seconds)).collect();
    Ok(times?.into_iter().fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_bound_counts() {
        let mut limits = Limits { peak: 1e9, moves: vec![(32 << 10, 1e9)], care: Care::QUICK };
        let near = |(share, bound): (f64, &'static str), want: f64, name| {
            assert!((share - want).abs() < 1e-12 && bound == name, "{share} {bound}");
        };
        near(limits.share(4e6, 1e4, 1, 8e-3).unwrap(), 0.5, "arithmetic");
        near(limits.share(1e3, 2e4, 1, 8e-5).unwrap(), 0.25, "memory");
        near(limits.share(4e6, 1e4, 2, 4e-3).unwrap(), 0.5, "arithmetic");
    }
}
