//! Pure equilibria of a game for any number of players, by looking at every profile once a player.

use crate::normal_form::NormalForm;
use crate::scalar::Scalar;

/// All profiles from which no player gains by deviating alone, in the order of the tables.
pub fn pure_equilibria<S: Scalar>(game: &NormalForm<S>) -> Vec<Vec<usize>> {
    let mut stable = vec![true; game.n_profiles()];
    for player in 0..game.n_players() {
        let (table, stride, n) = (game.table(player), game.stride(player), game.shape()[player]);
        for block in 0..game.n_profiles() / (n * stride) {
            for inner in 0..stride {
                let place = |s: usize| (block * n + s) * stride + inner;
                let best = (1..n).map(place).fold(place(0), |a, b| if table[b] > table[a] { b } else { a });
                for k in (0..n).map(place) {
                    stable[k] &= table[k] >= table[best];
                }
            }
        }
    }
    game.profiles().zip(stable).filter(|(_, stable)| *stable).map(|(profile, _)| profile).collect()
}
