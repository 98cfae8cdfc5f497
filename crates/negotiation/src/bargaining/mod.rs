//! Bargaining: parties with utilities over the outcomes of a few issues, the points that theory says they should
//! agree on, and a protocol in which they make each other offers.
//!
//! [`Scenario`] holds issues and profiles and reads the XML of GENIUS and a JSON form; [`pareto`] and its neighbors find
//! solution points; [`negotiate`] runs the stacked alternating-offers protocol; [`rubinstein`] has the theory of
//! impatient bargainers; [`environment`] lets learners take part. Not here: learners.

pub mod environment;
mod frontier;
mod genius;
mod party;
mod protocol;
pub mod rubinstein;
mod scenario;
mod solutions;

pub use environment::{BargainingEnv, best_reply};
pub use frontier::{Frontier, LotteryPoint, hull};
pub use genius::{Profiled, read_genius};
pub use party::{Acceptance, Bidding, STRATEGIES, Strategy};
pub use protocol::{End, Negotiation, Offer, Terms, negotiate};
pub use scenario::{Issue, Profile, Scenario, Space};
pub use solutions::{Rule, is_efficient, pareto, point};
