//! Named games: the classics of the literature, and small games of traffic and trade.

use crate::congestion::Routing;
use crate::error::Result;
use crate::normal_form::NormalForm;
use crate::oligopoly::{Bertrand, Cournot};
use crate::scalar::{Rational, Scalar, ratio};

/// A game by name.
#[derive(Debug, Clone, Copy)]
pub struct GameEntry {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// Makes the game.
    pub build: fn() -> Result<NormalForm<Rational>>,
}

/// All named games in normal form.
pub const ALL: &[GameEntry] = &[
    entry("prisoners-dilemma", "cooperate or defect; defecting dominates", || square(2, &[5, 0, 10, 1])),
    entry("matching-pennies", "zero-sum; one wins if the coins match", || zero_sum(2, &[1, -1, -1, 1])),
    entry("rock-paper-scissors", "zero-sum; each beats one and loses to one", || {
        zero_sum(3, &[0, -1, 1, 1, 0, -1, -1, 1, 0])
    }),
    entry("biased-rps", "rock-paper-scissors with unequal stakes: 1/16, 10/16, 5/16", || {
        let table = [0, -25, 50, 25, 0, -5, -50, 5, 0].map(|x| ratio(x, 100));
        NormalForm::zero_sum(3, 3, table.to_vec())
    }),
    entry("stag-hunt", "hunt the stag together or a hare alone; 3 equilibria", || square(2, &[2, 0, 1, 1])),
    entry("chicken", "dare or swerve; 3 equilibria", || square(2, &[0, 4, 1, 3])),
    entry("battle-of-the-sexes", "together, but where; 3 equilibria", || {
        pair(2, 2, &[3, 0, 0, 2], &[2, 0, 0, 3])
    }),
    entry("coordination", "meet at one of two places; 3 equilibria", || square(2, &[1, 0, 0, 1])),
    entry("coordination-3", "meet at one of three places; 7 equilibria", || {
        square(3, &[1, 0, 0, 0, 1, 0, 0, 0, 1])
    }),
    entry("hawk-dove", "fight over 2 at a cost of 4, or share", || square(2, &[-1, 2, 0, 1])),
    entry("deadlock", "both prefer to defect, and like it", || square(2, &[1, 0, 3, 2])),
    entry("shapley", "fictitious play cycles; 1 equilibrium", || {
        pair(3, 3, &[0, 0, 1, 1, 0, 0, 0, 1, 0], &[0, 1, 0, 0, 0, 1, 1, 0, 0])
    }),
    entry("climbing", "common reward 11 behind penalties of -30", || {
        let table = [11, -30, 0, -30, 7, 0, 0, 6, 5];
        pair(3, 3, &table, &table)
    }),
    entry("penalty", "common reward 10 in two corners, -100 in the others", || {
        let table = [-100, 0, 10, 0, 2, 0, 10, 0, -100];
        pair(3, 3, &table, &table)
    }),
    entry(
        "one-shot-trust",
        "invest or not, share or keep; one pure equilibrium and a segment of others",
        || pair(2, 2, &[0, 0, -1, 1], &[0, 0, 2, 1]),
    ),
    entry(
        "travelers-dilemma",
        "claims of 2 to 12; the lower is paid, with a bonus of 2 from the higher",
        travelers_dilemma,
    ),
    entry("blotto", "5 soldiers on 3 fields, most fields won wins", blotto),
    entry("von-stengel-6x6", "75 equilibria, more than the coordination game's 63", von_stengel),
    entry("mckelvey-mclennan", "three players, 9 equilibria, 2 of them totally mixed", mckelvey_mclennan),
    entry("public-goods", "three players; what one gives pays everyone half", || {
        NormalForm::from_fn(&[2, 2, 2], |profile, player| {
            let given: usize = profile.iter().sum();
            ratio(given as i64, 2) - ratio(profile[player] as i64, 1)
        })
    }),
    entry("pigou", "four drivers; a road that takes 1, or one that takes the share on it", pigou),
    entry("braess", "four groups of 1000 drivers with a short cut: 80 minutes each", || braess(true)),
    entry("braess-closed", "four groups of 1000 drivers without it: 65 minutes each", || braess(false)),
    entry("cournot", "two firms choose quantities in steps of 7.5; equilibrium at 30 each", || {
        let quantities: Vec<f64> = (0..8).map(|k| 7.5 * f64::from(k)).collect();
        Cournot::default().game(2, &quantities)
    }),
    entry("cournot-3", "three firms choose quantities in steps of 7.5; equilibrium at 22.5 each", || {
        let quantities: Vec<f64> = (2..7).map(|k| 7.5 * f64::from(k)).collect();
        Cournot::default().game(3, &quantities)
    }),
    entry("bertrand", "two firms choose among 15 prices of differentiated goods", || {
        Ok(Bertrand::default().game(15, 0.1)?.0.convert())
    }),
];

const fn entry(
    name: &'static str,
    summary: &'static str,
    build: fn() -> Result<NormalForm<Rational>>,
) -> GameEntry {
    GameEntry { name, summary, build }
}

/// The game of this name, with the name as title.
///
/// # Errors
/// If there is none; the error names the nearest.
pub fn build(name: &str) -> Result<NormalForm<Rational>> {
    match ALL.iter().find(|entry| entry.name == name) {
        Some(entry) => Ok((entry.build)()?.with_title(name)),
        None => {
            let nearest = coact_core::nearest::nearest(name, ALL.iter().map(|entry| entry.name));
            let hint = nearest.map_or(String::new(), |n| format!("; the nearest name is `{n}`"));
            Err(crate::Error::invalid(format!("no game is called `{name}`{hint}")))
        }
    }
}

fn list(table: &[i64]) -> Vec<Rational> {
    table.iter().map(|&x| ratio(x, 1)).collect()
}

fn pair(m: usize, n: usize, a: &[i64], b: &[i64]) -> Result<NormalForm<Rational>> {
    NormalForm::bimatrix(m, n, list(a), list(b))
}

fn zero_sum(n: usize, a: &[i64]) -> Result<NormalForm<Rational>> {
    NormalForm::zero_sum(n, n, list(a))
}

/// A symmetric game: the column player gets what the row player would get in the other's place.
fn square(n: usize, a: &[i64]) -> Result<NormalForm<Rational>> {
    let turned: Vec<i64> = (0..n * n).map(|k| a[k % n * n + k / n]).collect();
    pair(n, n, a, &turned)
}

fn travelers_dilemma() -> Result<NormalForm<Rational>> {
    NormalForm::from_fn(&[11, 11], |profile, player| {
        let (own, other) = (profile[player] as i64 + 2, profile[1 - player] as i64 + 2);
        ratio(own.min(other) + 2 * (other - own).signum(), 1)
    })
}

fn blotto() -> Result<NormalForm<Rational>> {
    let mut divisions = Vec::new();
    for a in 0..=5i64 {
        for b in 0..=5 - a {
            divisions.push([a, b, 5 - a - b]);
        }
    }
    let n = divisions.len();
    let won =
        |x: &[i64; 3], y: &[i64; 3]| x.iter().zip(y).map(|(a, b)| (a - b).signum()).sum::<i64>().signum();
    let table = (0..n * n).map(|k| ratio(won(&divisions[k / n], &divisions[k % n]), 1)).collect();
    NormalForm::zero_sum(n, n, table)
}

/// Von Stengel 1999, "New maximal numbers of equilibria in bimatrix games".
fn von_stengel() -> Result<NormalForm<Rational>> {
    #[rustfmt::skip]
    let a = [
        9504, -660, 19976, -20526, 1776, -8976,
        -111771, 31680, -130944, 168124, -8514, 52764,
        397584, -113850, 451176, -586476, 29216, -178761,
        171204, -45936, 208626, -263076, 14124, -84436,
        1303104, -453420, 1227336, -1718376, 72336, -461736,
        737154, -227040, 774576, -1039236, 48081, -300036,
    ];
    #[rustfmt::skip]
    let b = [
        72336, 48081, 29216, 14124, 1776, -8514,
        -461736, -300036, -178761, -84436, -8976, 52764,
        1227336, 774576, 451176, 208626, 19976, -130944,
        -1718376, -1039236, -586476, -263076, -20526, 168124,
        1303104, 737154, 397584, 171204, 9504, -111771,
        -453420, -227040, -113850, -45936, -660, 31680,
    ];
    pair(6, 6, &a, &b)
}

fn mckelvey_mclennan() -> Result<NormalForm<Rational>> {
    const PAID: [[i64; 3]; 8] =
        [[9, 8, 12], [0, 0, 0], [0, 0, 0], [9, 8, 2], [0, 0, 0], [3, 4, 6], [3, 4, 6], [0, 0, 0]];
    NormalForm::from_fn(&[2, 2, 2], |s, player| ratio(PAID[s[0] + 2 * s[1] + 4 * s[2]][player], 1))
}

fn pigou() -> Result<NormalForm<Rational>> {
    NormalForm::from_fn(&[2; 4], |profile, player| match profile[player] {
        0 => ratio(-1, 1),
        _ => ratio(-(profile.iter().sum::<usize>() as i64), 4),
    })
}

/// Travel times of the nonatomic network with each player a group of a quarter of the demand.
fn braess(open: bool) -> Result<NormalForm<Rational>> {
    let network = Routing::braess(open);
    let n_routes = network.routes().len();
    NormalForm::from_fn(&[n_routes; 4], |profile, player| {
        let mut loads = vec![0.0; n_routes];
        profile.iter().for_each(|&route| loads[route] += 1000.0);
        let time = network.route_time(&loads, profile[player]);
        -<Rational as Scalar>::from_float(time.round()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate;
    use crate::equilibrium::{lemke_howson, pure_equilibria, vertex_enumeration};
    use crate::population::{alpha_rank, alpha_rank_symmetric};

    #[test]
    fn names_are_unique_and_games_as_described() {
        let count = |name: &str| vertex_enumeration(&build(name).unwrap(), &mut |_| true).unwrap().len();
        for (i, entry) in ALL.iter().enumerate() {
            assert!(ALL[i + 1..].iter().all(|other| other.name != entry.name));
            assert_eq!(build(entry.name).unwrap().title(), entry.name);
        }
        for name in ["battle-of-the-sexes", "chicken", "stag-hunt", "coordination"] {
            assert_eq!(count(name), 3, "{name}");
        }
        for name in ["prisoners-dilemma", "matching-pennies", "rock-paper-scissors", "shapley", "biased-rps"]
        {
            assert_eq!(count(name), 1, "{name}");
        }
        assert_eq!((count("coordination-3"), count("von-stengel-6x6")), (7, 75));
        let error = build("chiken").unwrap_err().to_string();
        assert!(error.contains("`chicken`"), "{error}");
    }

    #[test]
    fn games_of_traffic_and_trade_have_their_equilibria() {
        let open = build("braess").unwrap();
        let stable = pure_equilibria(&open);
        assert_eq!(stable, [[2, 2, 2, 2]]);
        assert_eq!(open.payoff(&stable[0], 0), &ratio(-80, 1));
        let closed = build("braess-closed").unwrap();
        for profile in pure_equilibria(&closed) {
            assert_eq!(closed.payoff(&profile, 0), &ratio(-65, 1));
        }
        assert!(pure_equilibria(&build("cournot").unwrap()).contains(&vec![4, 4]));
        assert!(pure_equilibria(&build("cournot-3").unwrap()).contains(&vec![1, 1, 1]));
        assert_eq!(pure_equilibria(&build("travelers-dilemma").unwrap()), [[0, 0]]);
        let value = |game: &NormalForm<Rational>, p: &[usize]| game.payoff(p, 0).clone();
        let bertrand = build("bertrand").unwrap();
        let found = lemke_howson(&bertrand.convert::<f64>(), 0, &mut |_| true).unwrap();
        let gains = certificate::gains(&bertrand.convert::<f64>(), &found.mixed);
        assert!(gains.iter().all(|g| *g < 1e-9));
        assert!(value(&bertrand, &[14, 14]) > value(&bertrand, &[0, 0]));
    }

    #[test]
    fn alpha_rank_is_finite_on_every_game() {
        for entry in ALL {
            let game = build(entry.name).unwrap().convert::<f64>();
            for alpha in [1e-3, 1e2, 1e6] {
                let ranks = alpha_rank(&game, alpha, 50).unwrap();
                let sum: f64 = ranks.distribution.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{} at {alpha}: {sum}", entry.name);
                assert!(!ranks.recurrent_classes.is_empty());
                if game.n_players() == 2 && game.shape()[0] == game.shape()[1] {
                    let ranks = alpha_rank_symmetric(game.shape()[0], game.table(0), alpha, 30).unwrap();
                    assert!((ranks.distribution.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{}", entry.name);
                }
            }
        }
    }
}
