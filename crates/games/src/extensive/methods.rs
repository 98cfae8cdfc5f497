//! The methods for extensive games by name, in a list that everybody can read.

use super::{
    Cfr, CfrBr, CfrOptions, FictitiousPlay, Profile, SampledCfr, Sampling, SamplingOptions, Tree, TreePsro,
};
use crate::{Error, Result};

/// A method that improves a profile step by step.
pub trait Iterative: Send {
    /// One iteration.
    fn step(&mut self);
    /// Iterations made.
    fn n_iterations(&self) -> u64;
    /// The answer so far.
    fn average(&self) -> Profile;
}

macro_rules! iterative {
    ($type:ty) => {
        impl Iterative for $type {
            fn step(&mut self) {
                <$type>::step(self);
            }

            fn n_iterations(&self) -> u64 {
                <$type>::n_iterations(self)
            }

            fn average(&self) -> Profile {
                <$type>::average(self)
            }
        }
    };
}

iterative!(Cfr);
iterative!(CfrBr);
iterative!(SampledCfr<'_>);
iterative!(FictitiousPlay);
iterative!(TreePsro);

/// Settings of iterative methods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Seed of methods that sample.
    pub seed: u64,
    /// Walks of an iteration of methods that sample.
    pub batch: usize,
}

/// A method that runs in iterations.
#[derive(Debug)]
pub struct MethodEntry {
    /// Name.
    pub name: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// One line on the method.
    pub summary: &'static str,
    /// Iterations that make sense if nobody says how many.
    pub iterations: u64,
    start: for<'a> fn(&'a Tree, Settings) -> Result<Box<dyn Iterative + 'a>>,
}

impl MethodEntry {
    /// Starts the method on a game.
    ///
    /// # Errors
    /// A game that the method does not take.
    pub fn start<'a>(&self, tree: &'a Tree, settings: Settings) -> Result<Box<dyn Iterative + 'a>> {
        (self.start)(tree, settings)
    }
}

fn sampled(tree: &Tree, sampling: Sampling, settings: Settings) -> Result<Box<dyn Iterative + '_>> {
    let Settings { seed, batch } = settings;
    Ok(Box::new(SampledCfr::new(tree, SamplingOptions { sampling, batch, seed })?))
}

/// All iterative methods. Besides: `sequence-form` ([`solve_program`](super::solve_program)) and `backward-induction`
/// ([`backward_induction`](super::backward_induction)).
pub const ITERATIVE: &[MethodEntry] = &[
    MethodEntry {
        name: "cfr",
        aliases: &[],
        summary: "counterfactual regret minimization, alternating updates",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(Cfr::new(tree, CfrOptions::CFR)?)),
    },
    MethodEntry {
        name: "cfr+",
        aliases: &["cfr-plus", "cfr_plus"],
        summary: "CFR with regret that never falls below zero, and linear averaging",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(Cfr::new(tree, CfrOptions::PLUS)?)),
    },
    MethodEntry {
        name: "lcfr",
        aliases: &["linear-cfr"],
        summary: "linear CFR: iterations weigh in proportion to their number",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(Cfr::new(tree, CfrOptions::LINEAR)?)),
    },
    MethodEntry {
        name: "dcfr",
        aliases: &["discounted-cfr"],
        summary: "discounted CFR with exponents 3/2, 0 and 2",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(Cfr::new(tree, CfrOptions::DISCOUNTED)?)),
    },
    MethodEntry {
        name: "cfr-simultaneous",
        aliases: &[],
        summary: "CFR with all players updating at once",
        iterations: 1_000,
        start: |tree, _| {
            let options = CfrOptions { alternating: false, ..CfrOptions::CFR };
            Ok(Box::new(Cfr::new(tree, options)?))
        },
    },
    MethodEntry {
        name: "cfr-br",
        aliases: &[],
        summary: "CFR against the others' best responses",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(CfrBr::new(tree)?)),
    },
    MethodEntry {
        name: "mccfr-external",
        aliases: &["es-mccfr", "external-sampling"],
        summary: "Monte Carlo CFR that samples chance and the others",
        iterations: 100_000,
        start: |tree, settings| sampled(tree, Sampling::External, settings),
    },
    MethodEntry {
        name: "mccfr-outcome",
        aliases: &["os-mccfr", "outcome-sampling"],
        summary: "Monte Carlo CFR that samples whole lines of play",
        iterations: 1_000_000,
        start: |tree, settings| sampled(tree, Sampling::Outcome { epsilon: 0.6 }, settings),
    },
    MethodEntry {
        name: "fictitious-play",
        aliases: &["xfp"],
        summary: "best responses to average play, in extensive form (XFP)",
        iterations: 1_000,
        start: |tree, _| Ok(Box::new(FictitiousPlay::new(tree)?)),
    },
    MethodEntry {
        name: "psro",
        aliases: &["double-oracle"],
        summary: "populations that grow by best responses to equilibria of the empirical game (PSRO)",
        iterations: 100,
        start: |tree, _| Ok(Box::new(TreePsro::new(tree)?)),
    },
];

/// The iterative method of this name.
///
/// # Errors
/// No such method.
pub fn iterative(name: &str) -> Result<&'static MethodEntry> {
    ITERATIVE.iter().find(|m| m.name == name || m.aliases.contains(&name)).ok_or_else(|| {
        let known: Vec<&str> = ITERATIVE.iter().map(|m| m.name).collect();
        Error::invalid(format!("unknown method `{name}`; one of {}", known.join(", ")))
    })
}
