//! Prints how many vertices a second [`vertex_enumeration`] finds in random games (the best of three runs of each), and how
//! many it hears of beside the number that `coact solve --all` expects: `cargo run --release -p coact-games --example vertex_rate [LARGEST [PAYOFF]]`.
//! Payoffs are whole numbers from -PAYOFF to PAYOFF, 1000 if not given.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use coact_core::{Purpose, Stream};
use coact_games::equilibrium::{expected_vertices, vertex_enumeration};
use coact_games::{NormalForm, Rational, Result, Scalar};

/// Games of each size.
const GAMES: u64 = 5;

fn measure<S: Scalar>(n: usize, payoff: u32) -> Result<(f64, usize, usize)> {
    let (mut seconds, mut heard, mut found) = (0.0, 0, 0);
    for seed in 1..=GAMES {
        let mut stream = Stream::new(seed, Purpose::Init, 0, 0);
        let game = NormalForm::from_fn(&[n, n], |_, _| {
            S::from_int(i64::from(stream.below(2 * payoff + 1)) - i64::from(payoff))
        })?;
        let mut best = f64::INFINITY;
        let mut n_equilibria = 0;
        for _ in 0..3 {
            let start = Instant::now();
            let mut observe = |count| {
                heard = heard.max(count);
                true
            };
            n_equilibria = vertex_enumeration(&game, &mut observe)?.len();
            best = best.min(start.elapsed().as_secs_f64());
        }
        found += n_equilibria;
        seconds += best;
    }
    Ok((seconds / GAMES as f64, heard, found))
}

fn main() -> Result<()> {
    let argument = |i| std::env::args().nth(i).and_then(|n| n.parse().ok());
    let (largest, payoff) = (argument(1).unwrap_or(14), argument(2).unwrap_or(1000));
    for n in (8..=largest as usize).step_by(2) {
        let vertices = expected_vertices(n, n);
        let (exact, _, _) = measure::<Rational>(n, payoff)?;
        let (float, heard, found) = measure::<f64>(n, payoff)?;
        println!(
            "{n}x{n}: {vertices:.0} vertices expected, over {heard} heard; exact {:.2} ms, {:.0} a second; floats {:.2} ms, {:.0} a \
             second; {found} equilibria in {GAMES} games",
            exact * 1e3,
            vertices / exact,
            float * 1e3,
            vertices / float
        );
    }
    Ok(())
}
