//! Multi-agent learning algorithms: one file a family, an option for what differs.
//!
//! A [`Learner`] maps batched steps to actions, and batches of transitions ([`TransitionLearner`]) or consecutive steps
//! ([`SequenceLearner`]) to better parameters. It returns numbers and never prints; it has no clock, no files, no
//! replay and knows no environment.
//!
//! | algorithms | family, source | learns from | requires |
//! |---|---|---|---|
//! | `iql`, `vdn` | [`value`]: double DQN, Tan 1993, Mnih et al. 2015; VDN, Sunehag et al. 2018 | transitions | discrete actions; `vdn` a common reward |
//! | `qmix`, `qplex`, `qtran`, `cw-qmix`, `ow-qmix` | [`decomposition`]: Rashid et al. 2018 and 2020, Wang et al. 2021, Son et al. 2019 | transitions | discrete actions, a common reward |
//! | `iql-rnn`, `vdn-rnn`, `qmix-rnn`, `qplex-rnn`, `qtran-rnn`, `cw-qmix-rnn`, `ow-qmix-rnn` | [`decomposition`], with recurrent networks | sequences | discrete actions; all but `iql-rnn` a common reward |
//! | `pqn-iql`, `pqn-vdn` | [`decomposition`]: PQN, Gallici et al. 2024 | rollouts | discrete actions; `pqn-vdn` a common reward |
//! | `reinforce`, `ia2c`, `maa2c`, `ippo`, `mappo`, `coma`, `happo` | [`policy`]: see there | rollouts | `coma` discrete actions; `reinforce` episodes that fit into a rollout |
//! | `maddpg`, `matd3`, `masac`, `isac` | [`actor_critic`]: see there | transitions | nothing |
//! | `divided` | [`divided`]: parts of the team by different algorithms, Tan 1993 | transitions | every group in one part |
//! | `hysteretic` | [`hysteretic`]: Matignon et al. 2007 | transitions | discrete actions, all legal; games of one state |
//!
//! Verified: gradients of every family against finite differences, the probe environments, equal bits at any number of threads
//! and after a resume; `iql` and `vdn` by learning over ten seeds, `ippo` by first runs (both under `record/`). QTRAN, the weighted
//! QMIX forms and QPLEX are verified on matrix games only. Each family's page names its deviations.

pub mod actor_critic;
pub mod decomposition;
pub mod divided;
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
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Drawn, Draws, Feed, Learner,
    Named, SequenceLearner, TransitionLearner, UpdateStats,
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
    divided::DIVIDED,
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
