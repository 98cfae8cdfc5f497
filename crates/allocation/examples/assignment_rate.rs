//! Times of assignment on random matrices: `cargo run --release -p coact-allocation --example assignment_rate`.
//! An argument takes the largest dense size.

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use std::time::Instant;

use coact_allocation::assignment::{AuctionOptions, auction, jonker_volgenant, sparse};
use coact_allocation::certificate::{check_assignment, check_sparse_assignment};
use coact_allocation::{CostMatrix, Objective, SparseCosts};
use coact_core::rng::{Purpose, Stream};

/// Times of one case; the median is reported.
const REPEATS: usize = 5;

fn main() -> coact_allocation::Result<()> {
    let largest = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(2000);
    for n in [100, 200, 500, 1000, 2000, 5000].into_iter().filter(|&n| n <= largest) {
        let mut stream = Stream::new(n as u64, Purpose::Init, 0, 0);
        let costs = CostMatrix::new(n, n, (0..n * n).map(|_| stream.uniform_f64()).collect())?;
        let (ms, found) = median(|| jonker_volgenant(&costs, Objective::Minimize))?;
        let optimal = check_assignment(&costs, Objective::Minimize, &found)?.is_optimal(1e-9);
        println!("jonker_volgenant {n:>5} x {n:<5} {ms:>9.2} ms  total {:.6}  proved {optimal}", found.total);
        if n <= 1000 {
            let (ms, found) = median(|| auction(&costs, Objective::Minimize, &AuctionOptions::default()))?;
            let gap = check_assignment(&costs, Objective::Minimize, &found.assignment)?.gap;
            println!("auction          {n:>5} x {n:<5} {ms:>9.2} ms  gap {:.1e}", gap.unwrap_or(f64::NAN));
        }
    }
    for (n, per_row) in [(10_000, 20), (10_000, 100)] {
        let mut stream = Stream::new(per_row as u64, Purpose::Init, 1, 0);
        let mut entries: Vec<(usize, usize, f64)> = Vec::new();
        for row in 0..n {
            // The diagonal keeps it feasible; equal columns are drawn again.
            let mut cols = vec![row];
            while cols.len() < per_row {
                let col = stream.below(n as u32) as usize;
                if !cols.contains(&col) {
                    cols.push(col);
                }
            }
            entries.extend(cols.into_iter().map(|col| (row, col, stream.uniform_f64())));
        }
        let costs = SparseCosts::from_entries(n, n, &entries)?;
        let (ms, found) = median(|| sparse(&costs, Objective::Minimize))?;
        let optimal = check_sparse_assignment(&costs, Objective::Minimize, &found)?.is_optimal(1e-9);
        println!(
            "sparse {n} x {n}, {per_row} a row {ms:>9.2} ms  total {:.6}  proved {optimal}",
            found.total
        );
    }
    Ok(())
}

fn median<T>(mut run: impl FnMut() -> coact_allocation::Result<T>) -> coact_allocation::Result<(f64, T)> {
    let mut times = Vec::new();
    let mut out = run()?;
    for _ in 0..REPEATS {
        let start = Instant::now();
        out = run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[REPEATS / 2], out))
}
