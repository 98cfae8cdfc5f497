//! What an agent is to the simulator: callbacks, and what it may do in them. Not here: who calls them when
//! (see [`Simulator`](crate::Simulator)).

use std::fmt;
use std::sync::Arc;

use coact_core::Stream;

/// What agents send to each other.
pub trait Message: Clone + Send {
    /// Its size on a wire, for the count of bytes.
    fn n_bytes(&self) -> u64;

    /// How many values it carries, for methods whose results count those (constraint optimization does).
    fn n_values(&self) -> u64 {
        1
    }

    /// Writes what the log shows of it: one line, no line break. Nothing unless you write this.
    ///
    /// # Errors
    /// Those of the writer.
    fn describe(&self, _line: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }
}

/// A large message that many receive can be shared instead of copied.
impl<T: Message + Sync> Message for Arc<T> {
    fn n_bytes(&self) -> u64 {
        (**self).n_bytes()
    }

    fn n_values(&self) -> u64 {
        (**self).n_values()
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        (**self).describe(line)
    }
}

/// An agent: its own state, and what it does when something happens. It knows itself, its neighbors, and
/// what it was told; it acts only through [`Context`].
///
/// Within one tick the calls come in this order: `on_start` or `on_return`, then messages, timers and news of
/// neighbors in the order of their arrival, then `on_round`. An agent may therefore collect its messages in
/// `on_message` and decide in `on_round`.
pub trait Agent: Send {
    /// What it sends and receives.
    type Message: Message;

    /// Once, at time 0, unless the agent is down then.
    fn on_start(&mut self, _context: &mut Context<'_, Self::Message>) {}

    /// A message of a neighbor has arrived.
    fn on_message(&mut self, from: usize, message: Self::Message, context: &mut Context<'_, Self::Message>);

    /// Once in every tick from time 1 on, after all that arrived in it. Only under [`Pacing::Rounds`](crate::Pacing).
    fn on_round(&mut self, _context: &mut Context<'_, Self::Message>) {}

    /// A timer that this agent set has run out.
    fn on_timer(&mut self, _tag: u64, _context: &mut Context<'_, Self::Message>) {}

    /// The agent goes down: its timers are gone and messages to it are lost until it returns. Forget here
    /// what would not survive; what is kept stands for memory on disk.
    fn on_crash(&mut self) {}

    /// The agent is back, or comes for the first time where it was down at time 0.
    fn on_return(&mut self, _context: &mut Context<'_, Self::Message>) {}

    /// News of the failure detector, where the settings have one: a neighbor went down or came back.
    fn on_neighbor(&mut self, _neighbor: usize, _is_up: bool, _context: &mut Context<'_, Self::Message>) {}

    /// Whether the agent has nothing to do of its own accord. Under [`Pacing::Rounds`](crate::Pacing) a run ends when all
    /// agents are idle and nothing is on its way.
    fn is_idle(&self) -> bool {
        false
    }
}

/// What an agent asks for during a call.
#[derive(Debug)]
pub(crate) enum Action<M> {
    Send { link: usize, message: M },
    Timer { delay: u64, tag: u64 },
    CancelTimers,
    Note(String),
    WrongReceiver(usize),
}

/// What an agent can see and do during a call.
#[derive(Debug)]
pub struct Context<'a, M> {
    pub(crate) id: usize,
    pub(crate) time: u64,
    pub(crate) neighbors: &'a [usize],
    pub(crate) actions: &'a mut Vec<Action<M>>,
    pub(crate) stream: Stream,
    pub(crate) logging: bool,
}

impl<M: Message> Context<'_, M> {
    /// The agent's own number.
    pub fn id(&self) -> usize {
        self.id
    }

    /// The current tick.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whom the agent may write to, ascending.
    pub fn neighbors(&self) -> &[usize] {
        self.neighbors
    }

    /// Sends a message to one neighbor. Sending to anybody else ends the run with an error.
    pub fn send(&mut self, to: usize, message: M) {
        self.actions.push(match self.neighbors.binary_search(&to) {
            Ok(link) => Action::Send { link, message },
            Err(_) => Action::WrongReceiver(to),
        });
    }

    /// Sends a message to every neighbor.
    pub fn broadcast(&mut self, message: &M) {
        for link in 0..self.neighbors.len() {
            self.actions.push(Action::Send { link, message: message.clone() });
        }
    }

    /// Asks to be called by `on_timer` with `tag` after `delay` ticks (at least 1).
    pub fn set_timer(&mut self, delay: u64, tag: u64) {
        self.actions.push(Action::Timer { delay: delay.max(1), tag });
    }

    /// Forgets all timers that this agent has set so far.
    pub fn cancel_timers(&mut self) {
        self.actions.push(Action::CancelTimers);
    }

    /// Random numbers of this agent at this tick: a stream of its own, the same in whatever order agents are
    /// called.
    pub fn random(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Writes a line to the log, if one is kept: `context.note(format_args!("won task {task}"))`.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        if self.logging {
            self.actions.push(Action::Note(text.to_string()));
        }
    }
}
