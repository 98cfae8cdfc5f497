//! MGM, maximum gain messages (Maheswaran, Pearce and Tambe 2004): in each cycle agents tell their neighbors their
//! values, then how much they could gain; whoever could gain most among its neighbors moves. Neighbors never move
//! together, so the cost never rises; it ends where nobody can gain alone.
//!
//! A cycle is two ticks: values, gains. It ends by itself; that all gains are zero is seen from outside, the agents
//! do not know it.

use std::fmt;

use coact_messaging::{Agent, Context, Message};

use super::local::{Local, best};
use super::solve::{Found, HasValue, Run};
use crate::Result;

#[derive(Clone, Copy)]
enum Mail {
    Value(usize),
    /// The gain, and the number that decides among equal gains: the lowest wins.
    Gain(f64, u64),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Value(_) => 4,
            Self::Gain(..) => 16,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Value(value) => write!(line, "value {value}"),
            Self::Gain(gain, _) => write!(line, "gain {gain}"),
        }
    }
}

struct Mover {
    local: Local,
    value: usize,
    target: usize,
    gain: f64,
    ticket: u64,
    wins: bool,
    random_ties: bool,
    costs: Vec<f64>,
    choices: Vec<usize>,
}

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let agents = Local::all(model).into_iter().zip(&model.initial).map(|(local, &value)| Mover {
        local,
        value,
        target: value,
        gain: f64::INFINITY,
        ticket: 0,
        wins: false,
        random_ties: run.options.random_ties,
        costs: Vec::new(),
        choices: Vec::new(),
    });
    let agents = agents.collect();
    let topology = model.topology.clone();
    run.cycles(topology, agents, 2)
}

impl Agent for Mover {
    type Message = Mail;

    fn on_start(&mut self, context: &mut Context<'_, Mail>) {
        context.broadcast(&Mail::Value(self.value));
    }

    fn on_message(&mut self, from: usize, message: Mail, context: &mut Context<'_, Mail>) {
        match message {
            Mail::Value(value) => {
                let slot = context.neighbors().partition_point(|&other| other < from);
                self.local.known[slot] = value;
            }
            Mail::Gain(gain, ticket) => {
                self.wins &=
                    self.gain > gain || (self.gain == gain && (self.ticket, context.id()) < (ticket, from));
            }
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Mail>) {
        if context.time() % 2 == 1 {
            self.local.costs(&mut self.costs);
            let least = best(&self.costs, self.local.tolerance, &mut self.choices);
            self.gain = self.costs[self.value] - least;
            if self.gain <= self.local.tolerance {
                self.gain = 0.0;
            }
            self.wins = self.gain > 0.0;
            let choice = context.random().below(self.choices.len() as u32) as usize;
            self.target = self.choices[choice];
            self.ticket = if self.random_ties { context.random().next_u64() } else { 0 };
            context.broadcast(&Mail::Gain(self.gain, self.ticket));
        } else {
            if self.wins {
                self.value = self.target;
            }
            context.broadcast(&Mail::Value(self.value));
        }
    }
}

impl HasValue for Mover {
    fn value(&self) -> Option<usize> {
        Some(self.value)
    }

    fn is_settled(&self) -> bool {
        self.gain == 0.0
    }
}
