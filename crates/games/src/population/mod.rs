//! Populations of strategies judged against each other: alpha-rank, Elo, Nash averaging, tournaments of repeated games,
//! and populations that grow by best responses.

mod alpha_rank;
mod elo;
mod nash_averaging;
mod psro;
mod repeated;
mod scaled;
mod tournament;

pub use alpha_rank::{AlphaRank, RecurrentClass, alpha_rank, alpha_rank_symmetric};
pub use elo::{elo_expected, elo_fit, elo_update};
pub use nash_averaging::{NashAveraging, nash_averaging};
pub use psro::{MatrixOracle, MetaSolver, Oracle, Psro, PsroRound, double_oracle};
pub use repeated::{Move, RepeatedStrategy, STRATEGIES};
pub use tournament::{Tournament, round_robin};
