//! Temporal-difference learning on tables (Sutton and Barto 2018, chapters 6 to 8 and 12).
//!
//! * [`predict`]: the value of a policy by TD(0), n-step TD or TD(lambda).
//! * [`Learner`] with [`Rule`]: control by SARSA, expected SARSA, Q-learning, double Q, n-step SARSA, SARSA(lambda),
//!   Watkins's Q(lambda) and Dyna-Q.
//!
//! Every target is `reward + discount * value of what follows`, with the discount 0 where the process terminated and `gamma`
//! otherwise, a truncated step included.

mod control;
mod prediction;

pub use control::{Learner, Rule, Settings, train};
pub use prediction::{Prediction, Trace, predict};
