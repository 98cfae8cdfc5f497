//! Running mean and variance, and the reward normalizer built on it, in f64.
//!
//! The rules are those of stable-baselines3 `RunningMeanStd` and `VecNormalize`: mean 0, variance 1 and count
//! 1e-4 at first, population variance of each batch, Chan's merge, statistics updated before they are used.

use coact_core::Result;
use coact_core::codec::{Reader, Writer};

/// Added to the variance before the root.
const EPSILON: f64 = 1e-8;

/// Running mean and variance of `D` columns.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningStats {
    mean: Vec<f64>,
    variance: Vec<f64>,
    count: f64,
    /// Working memory: mean and variance of a batch.
    batch: Vec<f64>,
}

impl RunningStats {
    /// Mean 0, variance 1, count 1e-4.
    pub fn new(width: usize) -> Self {
        Self { mean: vec![0.0; width], variance: vec![1.0; width], count: 1e-4, batch: vec![0.0; 2 * width] }
    }

    /// Mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Population variance of each column.
    pub fn variance(&self) -> &[f64] {
        &self.variance
    }

    /// Number of rows seen, plus 1e-4.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Takes in rows `[rows, D]`; where `keep` is given, only the rows that it marks. No rows change nothing.
    ///
    /// # Panics
    /// Rows that are not a multiple of `D`.
    pub fn update<T: Copy + Into<f64>>(&mut self, rows: &[T], keep: Option<&[bool]>) {
        let width = self.mean.len();
        assert_eq!(rows.len() % width.max(1), 0, "rows of {width} columns");
        let kept = |i: &usize| keep.is_none_or(|k| k[*i]);
        let n_rows = rows.len() / width.max(1);
        let n = (0..n_rows).filter(kept).count() as f64;
        if n == 0.0 {
            return;
        }
        let (mean, variance) = self.batch.split_at_mut(width);
        mean.fill(0.0);
        variance.fill(0.0);
        for row in (0..n_rows).filter(kept) {
            let row = &rows[row * width..(row + 1) * width];
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += (*x).into());
        }
        mean.iter_mut().for_each(|m| *m /= n);
        for row in (0..n_rows).filter(kept) {
            let row = &rows[row * width..(row + 1) * width];
            for ((v, m), x) in variance.iter_mut().zip(&*mean).zip(row) {
                let off = (*x).into() - m;
                *v += off * off;
            }
        }
        let total = self.count + n;
        for i in 0..width {
            let (batch_variance, delta) = (variance[i] / n, mean[i] - self.mean[i]);
            let squares =
                self.variance[i] * self.count + batch_variance * n + delta * delta * self.count * n / total;
            self.mean[i] += delta * n / total;
            self.variance[i] = squares / total;
        }
        self.count = total;
    }

    /// Rows `[rows, D]` to mean 0 and variance 1, clipped to +- `clip`.
    ///
    /// # Panics
    /// Rows that are not a multiple of `D`.
    pub fn normalize(&self, rows: &mut [f32], clip: f32) {
        let width = self.mean.len();
        assert_eq!(rows.len() % width.max(1), 0, "rows of {width} columns");
        for row in rows.chunks_exact_mut(width.max(1)) {
            for ((x, mean), variance) in row.iter_mut().zip(&self.mean).zip(&self.variance) {
                *x = (((f64::from(*x) - mean) / (variance + EPSILON).sqrt()) as f32).clamp(-clip, clip);
            }
        }
    }

    /// Appends mean, variance and count.
    pub fn save(&self, out: &mut Writer) {
        out.f64s(&self.mean);
        out.f64s(&self.variance);
        out.f64(self.count);
    }

    /// Restores what [`RunningStats::save`] wrote.
    ///
    /// # Errors
    /// Damaged bytes, or another width.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.f64s(&mut self.mean)?;
        from.f64s(&mut self.variance)?;
        self.count = from.f64()?;
        let sound = self.mean.iter().all(|m| m.is_finite())
            && self.variance.iter().all(|v| *v >= 0.0 && v.is_finite())
            && self.count > 0.0;
        if sound { Ok(()) } else { Err(from.error("statistics are not finite or negative")) }
    }
}

/// Divides rewards by the running standard deviation of discounted returns, one return a row.
#[derive(Debug, Clone, PartialEq)]
pub struct ReturnNormalizer {
    stats: RunningStats,
    returns: Vec<f64>,
    gamma: f64,
    clip: f32,
}

impl ReturnNormalizer {
    /// `rows` returns of 0.
    pub fn new(rows: usize, gamma: f64, clip: f32) -> Self {
        Self { stats: RunningStats::new(1), returns: vec![0.0; rows], gamma, clip }
    }

    /// Statistics of the returns.
    pub fn stats(&self) -> &RunningStats {
        &self.stats
    }

    /// Takes in the rewards of a step, `R = gamma R + r`; where `keep` is given, only of the rows it marks.
    ///
    /// # Panics
    /// Another number of rows.
    pub fn update<T: Copy + Into<f64>>(&mut self, rewards: &[T], keep: Option<&[bool]>) {
        assert_eq!(rewards.len(), self.returns.len(), "one reward a row");
        for (i, (held, reward)) in self.returns.iter_mut().zip(rewards).enumerate() {
            if keep.is_none_or(|k| k[i]) {
                *held = self.gamma * *held + (*reward).into();
            }
        }
        self.stats.update(&self.returns, keep);
    }

    /// A reward over the standard deviation, clipped.
    pub fn normalize<T: Into<f64>>(&self, reward: T) -> f32 {
        let scaled = reward.into() / (self.stats.variance[0] + EPSILON).sqrt();
        (scaled as f32).clamp(-self.clip, self.clip)
    }

    /// Starts the return of row `row` anew; call it after the step in which its episode ended.
    pub fn restart(&mut self, row: usize) {
        self.returns[row] = 0.0;
    }

    /// Starts all returns anew.
    pub fn restart_all(&mut self) {
        self.returns.fill(0.0);
    }

    /// Appends statistics and returns.
    pub fn save(&self, out: &mut Writer) {
        self.stats.save(out);
        out.f64s(&self.returns);
    }

    /// Restores what [`ReturnNormalizer::save`] wrote.
    ///
    /// # Errors
    /// Damaged bytes, or another number of rows.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.stats.load(from)?;
        from.f64s(&mut self.returns)
    }

    /// Appends the statistics alone.
    pub fn save_statistics(&self, out: &mut Writer) {
        self.stats.save(out);
    }

    /// Restores what [`ReturnNormalizer::save_statistics`] wrote.
    ///
    /// # Errors
    /// Damaged bytes.
    pub fn load_statistics(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.stats.load(from)
    }
}
