//! What is counted during a run.

/// Counts of messages. Every message sent is in the end delivered, lost on its way or found nobody home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages lost on their way.
    pub lost: u64,
    /// Messages that arrived at an agent that was down.
    pub missed: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Values sent (see [`Message::n_values`](crate::Message::n_values)).
    pub values: u64,
}

impl Counts {
    /// Messages that are still on their way.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.delivered - self.lost - self.missed
    }
}
