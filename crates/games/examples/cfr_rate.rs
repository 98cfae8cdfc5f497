//! Iterations per second of CFR and CFR+ on Kuhn and Leduc poker, one thread, and how far each got.
//!
//! `cargo run --release -p coact-games --example cfr_rate`

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use coact_games::extensive::games::by_name;
use coact_games::extensive::{Cfr, CfrOptions};

const BUDGET: Duration = Duration::from_millis(700);

fn main() -> coact_games::Result<()> {
    for (game, chunk) in [("kuhn_poker", 10_000), ("leduc_poker", 100), ("liars_dice", 1)] {
        let tree = by_name(game)?.tree(1_000_000)?;
        for (method, options) in [("CFR", CfrOptions::CFR), ("CFR+", CfrOptions::PLUS)] {
            let mut cfr = Cfr::new(&tree, options)?;
            let start = Instant::now();
            while start.elapsed() < BUDGET {
                (0..chunk).for_each(|_| cfr.step());
            }
            let rate = cfr.n_iterations() as f64 / start.elapsed().as_secs_f64();
            let (n, nash_conv) = (cfr.n_iterations(), cfr.assess().nash_conv());
            println!("{game} {method}: {rate:.0} iterations/s; NashConv {nash_conv:.3e} after {n}");
        }
    }
    Ok(())
}
