//! Extensive-form games: trees with chance and information sets, and how to solve them.
//!
//! | part | what it is |
//! |---|---|
//! | [`Game`], [`AnyGame`], [`games`] | rules, their erased form, and those that come built in |
//! | [`Tree`], [`TreeBuilder`], [`unfold`] | the finite tree, exact, as struct of arrays |
//! | [`SequenceForm`] | the tree folded into flat tables over sequences, on which solvers run |
//! | [`Profile`], [`assess`] | behavior strategies; values, best responses, NashConv, exploitability |
//! | [`Cfr`] | counterfactual regret minimization in its deterministic variants |
//! | [`CfrBr`], [`SampledCfr`], [`FictitiousPlay`] | CFR against best responses; Monte Carlo variants; fictitious play |
//! | [`TreeOracle`], [`TreePsro`] | populations of policies that grow by best responses |
//! | [`solve_program`], [`backward_induction`] | exact solutions of zero-sum games, and of games of perfect information |
//! | [`certificate`] | what a profile is worth and lacks, and an independent check |
//! | [`methods`] | the iterative methods by name |
//! | [`normal_form`] | the reduced normal form of small games |
//! | [`TurnBased`], [`TreeGame`], [`EnvGame`] | any game as an environment; a tree, and a small environment, as a game |
//!
//! Not here: games given by tables of payoffs, and Markov games.

pub mod certificate;
mod cfr;
mod cfr_br;
mod environment;
mod fictitious;
mod from_env;
mod game;
pub mod games;
mod induction;
pub mod methods;
mod normal;
mod oracle;
mod profile;
mod program;
mod response;
mod sampling;
mod sequence;
mod symmetry;
mod tree;
mod tree_game;
mod unfold;
mod walk;

pub use certificate::{Certificate, certify};
pub use cfr::{Cfr, CfrOptions, RegretRule};
pub use cfr_br::CfrBr;
pub use environment::TurnBased;
pub use fictitious::FictitiousPlay;
pub use from_env::EnvGame;
pub use game::{AnyGame, Game, Position, Turn};
pub use induction::{Induction, backward_induction};
pub use normal::normal_form;
pub use oracle::{TreeOracle, TreePsro};
pub use profile::Profile;
pub use program::{Solution, solve_program};
pub use response::{Assessment, assess, assess_plans, best_response};
pub use sampling::{SampledCfr, Sampling, SamplingOptions};
pub use sequence::{Plan, SequenceForm};
pub use tree::{Infoset, Outcome, Tree, TreeBuilder};
pub use tree_game::TreeGame;
pub use unfold::unfold;
