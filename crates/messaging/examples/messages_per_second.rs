//! How many messages a second the simulator handles: a grid of agents that average numbers with
//! their neighbors, in rounds, and the same with losses and random latency.
//!
//! `cargo run --release -p coact-messaging --example messages_per_second`

#![allow(clippy::print_stdout)]

use std::time::Instant;

use coact_messaging::{Agent, Context, Latency, Message, Result, Settings, Simulator, Topology};

struct Averager {
    value: f64,
    sum: f64,
    n: f64,
}

#[derive(Clone)]
struct Value(f64);

impl Message for Value {
    fn n_bytes(&self) -> u64 {
        8
    }
}

impl Agent for Averager {
    type Message = Value;

    fn on_message(&mut self, _from: usize, message: Value, _context: &mut Context<'_, Value>) {
        self.sum += message.0;
        self.n += 1.0;
    }

    fn on_round(&mut self, context: &mut Context<'_, Value>) {
        self.value = (self.value + self.sum) / (1.0 + self.n);
        (self.sum, self.n) = (0.0, 0.0);
        context.broadcast(&Value(self.value));
    }
}

fn main() -> Result<()> {
    let runs = [
        ("in order, no loss", Settings::default()),
        ("any order, 10 % lost, 1 to 5 ticks", rough()),
        ("the same, all threads", Settings { parallel: true, ..rough() }),
    ];
    for (name, settings) in runs {
        let agents = (0..10_000).map(|i| Averager { value: f64::from(i % 100), sum: 0.0, n: 0.0 }).collect();
        let mut simulator = Simulator::new(Topology::grid(100, 100)?, settings, agents)?;
        let start = Instant::now();
        simulator.run(200)?;
        let seconds = start.elapsed().as_secs_f64();
        let sent = simulator.counts().sent;
        println!(
            "{name}: {sent} messages in {seconds:.3} s, {:.1} million a second",
            sent as f64 / seconds / 1e6
        );
    }
    Ok(())
}

fn rough() -> Settings {
    Settings { loss: 0.1, latency: Latency::Uniform(1, 5), in_order: false, seed: 1, ..Settings::default() }
}
