//! A deterministic simulator of agents that exchange messages: topology, latency, loss, crash and return.
//!
//! Time is counted in ticks. In each tick every agent takes what has arrived and answers; what it sends
//! arrives at least one tick later. Agents of one tick therefore cannot influence each other, may be called
//! by any number of threads, and the run, its counts and its log stay the same to the byte. Everything random
//! comes from one seed, through streams named by link and message or by agent and tick.
//!
//! One trait serves methods in synchronous rounds ([`Pacing::Rounds`]: consensus, local search, belief
//! propagation) and methods driven by messages and timers ([`Pacing::Events`]: tree search, auctions with
//! deadlines).
//!
//! ```
//! use coact_messaging::{Agent, Context, Message, Settings, Simulator, Topology};
//!
//! /// Everybody learns the greatest number by telling neighbors whenever it hears of a greater one.
//! struct Greatest(u64);
//!
//! #[derive(Clone)]
//! struct Number(u64);
//!
//! impl Message for Number {
//!     fn n_bytes(&self) -> u64 {
//!         8
//!     }
//! }
//!
//! impl Agent for Greatest {
//!     type Message = Number;
//!
//!     fn on_start(&mut self, context: &mut Context<'_, Number>) {
//!         context.broadcast(&Number(self.0));
//!     }
//!
//!     fn on_message(&mut self, _from: usize, message: Number, context: &mut Context<'_, Number>) {
//!         if message.0 > self.0 {
//!             self.0 = message.0;
//!             context.broadcast(&message);
//!         }
//!     }
//!
//!     fn is_idle(&self) -> bool {
//!         true
//!     }
//! }
//!
//! let agents = [3, 9, 4, 1].map(Greatest).into();
//! let mut simulator = Simulator::new(Topology::line(4)?, Settings::default(), agents)?;
//! simulator.run(100)?;
//! assert!(simulator.agents().all(|agent| agent.0 == 9));
//! assert_eq!(simulator.counts().in_flight(), 0);
//! # Ok::<(), coact_messaging::Error>(())
//! ```
//!
//! Not here: real networks, threads of agents, clocks.

mod agent;
mod counts;
mod error;
mod settings;
mod simulator;
mod topology;

pub use agent::{Agent, Context, Message};
pub use counts::Counts;
pub use error::{Error, Result};
pub use settings::{Latency, LinkOutage, Outage, Pacing, Settings};
pub use simulator::{Ended, Simulator};
pub use topology::Topology;
