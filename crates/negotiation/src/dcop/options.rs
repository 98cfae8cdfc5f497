//! Options of all methods, in one list with names, so that a command line can set them.

use coact_core::nearest::hint;

use crate::{Error, Result};

/// When an agent of DSA that cannot improve changes its value nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DsaVariant {
    /// Never.
    A,
    /// To a value as good, while a constraint of its costs more than it might.
    B,
    /// To a value as good, always.
    C,
}

/// What an agent of MGM-2 prefers among equal gains of its own and of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Favor {
    /// Its own.
    Unilateral,
    /// Either, by chance.
    No,
    /// That of the pair.
    Coordinated,
}

/// Options of all methods; each reads those that concern it. Defaults are those of pyDCOP, except where said.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Cycles after which a local method stops.
    pub max_cycles: u64,
    /// Messages after which any method stops.
    pub max_messages: u64,
    /// Bytes that the tables of DPOP may take.
    pub memory_limit_bytes: u64,
    /// The cost that stands for a violation, as in pyDCOP. Infinite costs always do.
    pub infinity: f64,
    /// Whether costs of variables get the noise that the file asks for (while solving; never in results).
    pub noise: bool,
    /// Whether a log of messages is kept.
    pub log: bool,
    /// Whether agents are called by all threads of the current pool.
    pub parallel: bool,
    /// DSA: which one.
    pub variant: DsaVariant,
    /// DSA: probability of changing.
    pub probability: f64,
    /// DSA: probability `1.2 / (number of neighbors over all constraints)` instead.
    pub by_arity: bool,
    /// MGM: whether equal gains are decided by chance rather than by the order of variables.
    pub random_ties: bool,
    /// MGM-2: probability of making an offer.
    pub threshold: f64,
    /// MGM-2: preference among equal gains.
    pub favor: Favor,
    /// Max-sum: share of the old message in the new one.
    pub damping: f64,
    /// Max-sum: random additions to costs that separate equal solutions, as a share of the range of all costs.
    /// pyDCOP adds up to 0.01 whatever the range, which may decide between unequal solutions.
    pub tie_noise: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            max_cycles: 1_000,
            max_messages: 100_000_000,
            memory_limit_bytes: 1 << 30,
            infinity: f64::INFINITY,
            noise: false,
            log: false,
            parallel: false,
            variant: DsaVariant::B,
            probability: 0.7,
            by_arity: false,
            random_ties: false,
            threshold: 0.5,
            favor: Favor::Unilateral,
            damping: 0.5,
            tie_noise: 1e-7,
        }
    }
}

/// Names of the options that [`Options::set`] knows, with their values.
pub const PARAMETERS: [(&str, &str); 9] = [
    ("variant", "dsa: A, B or C (B)"),
    ("probability", "dsa: probability of changing, 0 to 1 (0.7)"),
    ("p_mode", "dsa: fixed or arity (fixed)"),
    ("break_mode", "mgm: lexic or random (lexic)"),
    ("threshold", "mgm2: probability of an offer, 0 to 1 (0.5)"),
    ("favor", "mgm2: unilateral, no or coordinated (unilateral)"),
    ("damping", "maxsum: 0 up to 1 (0.5)"),
    ("noise", "maxsum: share of the range of costs (1e-7)"),
    ("stop_cycle", "local methods: cycles to run (1000)"),
];

impl Options {
    /// Sets one of [`PARAMETERS`] by name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is not there, or a value that it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |expected: &str| Err(Error::invalid(format!("`{name}` is {value}: expected {expected}")));
        let share = |low: f64, high: f64| value.parse().ok().filter(|v| (low..=high).contains(v));
        match (name, value) {
            ("variant", "A") => self.variant = DsaVariant::A,
            ("variant", "B") => self.variant = DsaVariant::B,
            ("variant", "C") => self.variant = DsaVariant::C,
            ("variant", _) => return wrong("A, B or C"),
            ("p_mode", "fixed") => self.by_arity = false,
            ("p_mode", "arity") => self.by_arity = true,
            ("p_mode", _) => return wrong("fixed or arity"),
            ("break_mode", "lexic") => self.random_ties = false,
            ("break_mode", "random") => self.random_ties = true,
            ("break_mode", _) => return wrong("lexic or random"),
            ("favor", "unilateral") => self.favor = Favor::Unilateral,
            ("favor", "no") => self.favor = Favor::No,
            ("favor", "coordinated") => self.favor = Favor::Coordinated,
            ("favor", _) => return wrong("unilateral, no or coordinated"),
            ("stop_cycle", _) => match value.parse() {
                Ok(cycles) => self.max_cycles = cycles,
                Err(_) => return wrong("a number of cycles"),
            },
            ("probability" | "threshold", _) => match share(0.0, 1.0) {
                Some(value) if name == "threshold" => self.threshold = value,
                Some(value) => self.probability = value,
                None => return wrong("a probability from 0 to 1"),
            },
            ("damping", _) => match share(0.0, 0.999) {
                Some(value) => self.damping = value,
                None => return wrong("a number from 0 to 0.999"),
            },
            ("noise", _) => match share(0.0, 1.0) {
                Some(value) => self.tie_noise = value,
                None => return wrong("a number from 0 to 1"),
            },
            _ => {
                let names = PARAMETERS.map(|parameter| parameter.0);
                let message = format!(
                    "expected a parameter ({}), found `{name}`{}",
                    names.join(", "),
                    hint(name, names)
                );
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    /// Checks what was set directly.
    pub(super) fn check(&self) -> Result<()> {
        let shares = [
            ("probability", self.probability, 1.0),
            ("threshold", self.threshold, 1.0),
            ("damping", self.damping, 0.999),
            ("tie_noise", self.tie_noise, 1.0),
        ];
        match shares.into_iter().find(|(_, value, high)| !(0.0..=*high).contains(value)) {
            Some((name, value, high)) => {
                Err(Error::invalid(format!("`{name}` is {value}: expected a number from 0 to {high}")))
            }
            None => Ok(()),
        }
    }
}
