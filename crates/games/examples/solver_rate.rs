//! Prints how long solvers take on random games: `cargo run --release -p coact-games --example solver_rate`.
//! For each, the median over some games; payoffs are uniform integers from -100 to 100, and normal numbers for zero-sum
//! games.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use coact_core::{Purpose, Stream};
use coact_games::equilibrium::{expected_vertices, lemke_howson, vertex_enumeration, zero_sum};
use coact_games::{NormalForm, Rational, Result, Scalar};

fn integers(n: usize, seed: u64) -> Result<NormalForm<Rational>> {
    let mut stream = Stream::new(seed, Purpose::Init, 0, 0);
    NormalForm::from_fn(&[n, n], |_, _| Rational::from_int(i64::from(stream.below(201)) - 100))
}

/// Milliseconds of the median run.
fn median(mut run: impl FnMut(u64) -> Result<f64>, n_runs: u64) -> Result<f64> {
    let mut times: Vec<f64> = (0..n_runs).map(&mut run).collect::<Result<_>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn time<T>(run: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn main() -> Result<()> {
    let n_runs = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(11);
    for n in [6, 8, 10, 12] {
        let exact = median(
            |seed| {
                let game = integers(n, seed)?;
                time(|| vertex_enumeration(&game, &mut |_| true))
            },
            n_runs,
        )?;
        let float = median(
            |seed| {
                let game = integers(n, seed)?.convert::<f64>();
                time(|| vertex_enumeration(&game, &mut |_| true))
            },
            n_runs,
        )?;
        let mut seen = 0;
        let _ = vertex_enumeration(&integers(n, 1)?.convert::<f64>(), &mut |count| {
            seen = count;
            true
        });
        println!(
            "all equilibria {n}x{n}: exact {exact:8.3} ms, floats {float:8.3} ms (at least {seen} vertices, {:.0} expected)",
            expected_vertices(n, n)
        );
    }
    for n in [10, 50] {
        let float = median(
            |seed| {
                let game = integers(n, seed)?.convert::<f64>();
                time(|| lemke_howson(&game, 0, &mut |_| true))
            },
            n_runs,
        )?;
        let exact = median(
            |seed| {
                let game = integers(n, seed)?;
                time(|| lemke_howson(&game, 0, &mut |_| true))
            },
            n_runs,
        )?;
        println!("Lemke-Howson {n}x{n}: floats {float:8.4} ms, exact {exact:8.3} ms");
    }
    for n in [10, 100, 200] {
        let float = median(
            |seed| {
                let mut stream = Stream::new(seed, Purpose::Init, 1, 0);
                let table: Vec<f64> = (0..n * n).map(|_| stream.normal()).collect();
                time(|| zero_sum(n, n, &table))
            },
            n_runs,
        )?;
        println!("zero-sum {n}x{n}: floats {float:8.3} ms");
    }
    Ok(())
}
