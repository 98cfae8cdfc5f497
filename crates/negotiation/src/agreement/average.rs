//! Average consensus: each agent moves toward its neighbors by the Metropolis weights `1 / (1 + max(degrees))`, round by
//! round. The sum never changes, so that on a connected graph all values tend to the mean, by the factor
//! [`rate`] a round.

use std::fmt;

use coact_messaging::{Agent, Context, Counts, Message, Settings, Simulator, Topology};

use crate::{Error, Result};

#[derive(Debug, Clone, Copy)]
struct Say {
    value: f64,
    degree: usize,
}

impl Message for Say {
    fn n_bytes(&self) -> u64 {
        12
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        write!(line, "value {}", self.value)
    }
}

struct Averager {
    value: f64,
    change: f64,
}

impl Agent for Averager {
    type Message = Say;

    fn on_start(&mut self, context: &mut Context<'_, Say>) {
        let say = Say { value: self.value, degree: context.neighbors().len() };
        context.broadcast(&say);
    }

    fn on_message(&mut self, _from: usize, message: Say, context: &mut Context<'_, Say>) {
        let degree = context.neighbors().len().max(message.degree);
        self.change += (message.value - self.value) / (1 + degree) as f64;
    }

    fn on_round(&mut self, context: &mut Context<'_, Say>) {
        self.value += self.change;
        self.change = 0.0;
        let say = Say { value: self.value, degree: context.neighbors().len() };
        context.broadcast(&say);
    }
}

/// The result of averaging.
#[derive(Debug, Clone, PartialEq)]
pub struct Averaged {
    /// The value of each agent.
    pub values: Vec<f64>,
    /// The distance between the greatest and the least value, at the start and after each round.
    pub spreads: Vec<f64>,
    /// Whether the spread came below the tolerance.
    pub converged: bool,
    /// Messages.
    pub counts: Counts,
}

/// Averages until all values lie within `tolerance` of each other, or for `max_rounds` rounds.
///
/// # Errors
/// [`Error::Invalid`] for values that are not finite or do not fit the topology.
pub fn average(
    topology: &Topology,
    values: &[f64],
    tolerance: f64,
    max_rounds: u64,
    settings: Settings,
) -> Result<Averaged> {
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::invalid(format!("a value of {value}: expected finite numbers")));
    }
    let agents = values.iter().map(|&value| Averager { value, change: 0.0 }).collect();
    let mut simulator = Simulator::new(topology.clone(), settings, agents)?;
    let mut spreads = vec![spread(values)];
    simulator.run(0)?;
    let mut converged = spreads[0] <= tolerance;
    for round in 1..=max_rounds {
        if converged {
            break;
        }
        simulator.run(round)?;
        let now: Vec<f64> = simulator.agents().map(|agent| agent.value).collect();
        spreads.push(spread(&now));
        converged = spread(&now) <= tolerance;
    }
    let counts = simulator.counts();
    let values = simulator.agents().map(|agent| agent.value).collect();
    Ok(Averaged { values, spreads, converged, counts })
}

fn spread(values: &[f64]) -> f64 {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (v.min(l), v.max(h)));
    if values.is_empty() { 0.0 } else { high - low }
}

/// The second greatest absolute eigenvalue of the mixing matrix: the share of the distance to the mean that is left after
/// a round, in the long run. By power iteration on what is orthogonal to the constant vector.
pub fn rate(topology: &Topology) -> f64 {
    let n = topology.n_agents();
    // Any start with a part in every direction will do.
    let mut vector: Vec<f64> = (0..n).map(|i| ((i * 7919 + 13) % 101) as f64 - 50.0).collect();
    let mut rate = 0.0;
    for _ in 0..5_000 {
        let mean = vector.iter().sum::<f64>() / n.max(1) as f64;
        vector.iter_mut().for_each(|x| *x -= mean);
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm < 1e-300 {
            return 0.0;
        }
        vector.iter_mut().for_each(|x| *x /= norm);
        // Twice, so that eigenvalues of both signs count by their size.
        let twice = mix(topology, &mix(topology, &vector));
        rate = twice.iter().map(|x| x * x).sum::<f64>().sqrt().sqrt();
        vector = twice;
    }
    rate
}

fn mix(topology: &Topology, values: &[f64]) -> Vec<f64> {
    let degree = |i: usize| topology.neighbors(i).len();
    let change = |i: usize, &j: &usize| (values[j] - values[i]) / (1 + degree(i).max(degree(j))) as f64;
    (0..values.len())
        .map(|i| values[i] + topology.neighbors(i).iter().map(|j| change(i, j)).sum::<f64>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_ends_at_the_mean_at_the_rate_of_the_graph() {
        for (topology, name) in [
            (Topology::ring(12), "ring"),
            (Topology::star(9), "star"),
            (Topology::grid(4, 3), "grid"),
            (Topology::random_connected(15, 25, 3), "random"),
        ] {
            let topology = topology.unwrap();
            let values: Vec<f64> = (0..topology.n_agents()).map(|i| ((i * i) % 17) as f64).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let result = average(&topology, &values, 1e-10, 100_000, Settings::default()).unwrap();
            assert!(result.converged, "{name}");
            assert!(result.values.iter().all(|value| (value - mean).abs() < 1e-9), "{name}");
            let n = result.spreads.len();
            let seen = (result.spreads[n - 1] / result.spreads[n - 21]).powf(1.0 / 20.0);
            assert!((seen - rate(&topology)).abs() < 0.01, "{name}: {seen} and {}", rate(&topology));
        }
    }

    #[test]
    fn parts_that_do_not_touch_keep_their_means() {
        let topology = Topology::from_edges(4, &[(0, 1), (2, 3)]).unwrap();
        let result = average(&topology, &[0.0, 2.0, 10.0, 20.0], 1e-9, 500, Settings::default()).unwrap();
        assert!(!result.converged);
        assert!((result.values[0] - 1.0).abs() < 1e-9 && (result.values[3] - 15.0).abs() < 1e-9);
        assert!((rate(&topology) - 1.0).abs() < 1e-9);
        assert!(average(&topology, &[f64::NAN; 4], 0.1, 5, Settings::default()).is_err());
        assert!(average(&topology, &[1.0], 0.1, 5, Settings::default()).is_err());
    }
}
