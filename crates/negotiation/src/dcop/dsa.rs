//! DSA, the distributed stochastic algorithm (Zhang, Wang, Xing and Wittenburg 2005): in each cycle agents tell
//! their neighbors their values, and those that can improve do so with some probability. Variants A, B and C differ in
//! what an agent does that cannot improve, see [`DsaVariant`].
//!
//! A cycle is one tick. The cost may rise, because neighbors may move together. The last assignment is the answer,
//! as in pyDCOP, not the best one on the way.

use std::fmt;

use coact_messaging::{Agent, Context, Message};

use super::local::{Local, best};
use super::options::DsaVariant;
use super::solve::{Found, HasValue, Run};
use crate::Result;

#[derive(Clone, Copy)]
struct Value(usize);

impl Message for Value {
    fn n_bytes(&self) -> u64 {
        4
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        write!(line, "value {}", self.0)
    }
}

struct Searcher {
    local: Local,
    value: usize,
    variant: DsaVariant,
    probability: f64,
    settled: bool,
    costs: Vec<f64>,
    choices: Vec<usize>,
}

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let (model, options) = (run.model, run.options);
    let agents = Local::all(model).into_iter().zip(&model.initial).map(|(local, &value)| {
        let n_others: usize = local.links.iter().map(|link| link.others.len()).sum();
        let by_arity = (1.2 / n_others.max(1) as f64).min(1.0);
        Searcher {
            probability: if options.by_arity { by_arity } else { options.probability },
            variant: options.variant,
            settled: false,
            costs: Vec::new(),
            choices: Vec::new(),
            local,
            value,
        }
    });
    let agents = agents.collect();
    let topology = model.topology.clone();
    run.cycles(topology, agents, 1)
}

impl Agent for Searcher {
    type Message = Value;

    fn on_start(&mut self, context: &mut Context<'_, Value>) {
        context.broadcast(&Value(self.value));
    }

    fn on_message(&mut self, from: usize, message: Value, context: &mut Context<'_, Value>) {
        let slot = context.neighbors().partition_point(|&other| other < from);
        self.local.known[slot] = message.0;
    }

    fn on_round(&mut self, context: &mut Context<'_, Value>) {
        self.local.costs(&mut self.costs);
        let least = best(&self.costs, self.local.tolerance, &mut self.choices);
        let can_improve = self.costs[self.value] - least > self.local.tolerance;
        let may_move = can_improve
            || match self.variant {
                DsaVariant::A => false,
                DsaVariant::B => self.local.has_conflict(self.value),
                DsaVariant::C => true,
            };
        if !can_improve && self.choices.len() > 1 {
            let value = self.value;
            self.choices.retain(|&choice| choice != value);
        }
        self.settled = !may_move || (!can_improve && self.choices == [self.value]);
        let draw = context.random().uniform_f64();
        if may_move && draw < self.probability {
            let choice = context.random().below(self.choices.len() as u32) as usize;
            self.value = self.choices[choice];
        }
        context.broadcast(&Value(self.value));
    }
}

impl HasValue for Searcher {
    fn value(&self) -> Option<usize> {
        Some(self.value)
    }

    fn is_settled(&self) -> bool {
        self.settled
    }
}
