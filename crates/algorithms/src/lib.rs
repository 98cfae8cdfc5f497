//! Multi-agent learning algorithms: one file a family, an option for what differs.
//!
//! A [`Learner`] maps batched steps to actions, and batches of transitions ([`TransitionLearner`]) or consecutive steps
//! ([`SequenceLearner`]) to better parameters. It returns numbers and never prints; it has no clock, no files, no
//! replay and knows no environment.

pub mod actor_critic;
pub mod decomposition;
pub mod error;
pub mod hysteretic;
pub mod learner;
pub mod noise;
pub mod policy;
pub mod returns;
mod settings;
pub mod value;
pub mod value_norm;

pub use error::{Error, Result};
pub use learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, Named,
    SequenceLearner, TransitionLearner, UpdateStats,
};

/// Every algorithm, in the order in which it is listed to users.
pub static ALL: &[AlgorithmEntry] = &[
    value::IQL,
    value::VDN,
    decomposition::QMIX,
    decomposition::QPLEX,
    decomposition::QTRAN,
    decomposition::CW_QMIX,
    decomposition::OW_QMIX,
    decomposition::IQL_RNN,
    decomposition::VDN_RNN,
    decomposition::QMIX_RNN,
    decomposition::QPLEX_RNN,
    decomposition::QTRAN_RNN,
    decomposition::CW_QMIX_RNN,
    decomposition::OW_QMIX_RNN,
    decomposition::PQN_IQL,
    decomposition::PQN_VDN,
    hysteretic::HYSTERETIC,
    policy::REINFORCE,
    policy::IA2C,
    policy::MAA2C,
    policy::IPPO,
    policy::MAPPO,
    policy::COMA,
    policy::HAPPO,
    actor_critic::MADDPG,
    actor_critic::MATD3,
    actor_critic::MASAC,
    actor_critic::ISAC,
];

/// The algorithm called `name`.
///
/// # Errors
/// No such algorithm; the error names the nearest one.
pub fn find(name: &str) -> Result<&'static AlgorithmEntry> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| Error::UnknownAlgorithm {
        name: name.into(),
        hint: coact_core::nearest::hint(name, ALL.iter().map(|entry| entry.name)),
    })
}
