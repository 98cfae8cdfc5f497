//! Games in normal form: players, strategies, and a payoff for each player in each profile.
//!
//! Tables are row-major: the last player's strategy changes fastest. (Gambit's files count the other way round;
//! [`crate::nfg`] turns them.)

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// One mixed strategy a player: probabilities over that player's strategies.
pub type Mixed<S> = Vec<Vec<S>>;

/// Payoffs of one player that a game may hold.
const MAX_PROFILES: usize = 20_000_000;

/// A player's name and the names of the strategies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// Name of the player.
    pub name: String,
    /// One name a strategy.
    pub strategies: Vec<String>,
}

/// A game in normal form for one or more players.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalForm<S> {
    title: String,
    players: Vec<Player>,
    /// Strategies of each player.
    shape: Vec<usize>,
    /// For each player, payoffs `[n_1, n_2, ...]`.
    payoffs: Vec<Vec<S>>,
}

impl<S: Scalar> NormalForm<S> {
    /// A game whose player `i` has `shape[i]` strategies and payoffs `payoffs[i]` (`[n_1, n_2, ...]`).
    ///
    /// # Errors
    /// If there is no player, a player has no strategy, a table has another size, or a float is not finite.
    pub fn new(shape: &[usize], payoffs: Vec<Vec<S>>) -> Result<Self> {
        let n_profiles = n_profiles(shape)?;
        if payoffs.len() != shape.len() {
            return Err(Error::Shape {
                what: "the list of payoff tables",
                found: payoffs.len(),
                expected: shape.len(),
            });
        }
        if let Some(table) = payoffs.iter().find(|table| table.len() != n_profiles) {
            return Err(Error::Shape { what: "a payoff table", found: table.len(), expected: n_profiles });
        }
        if !S::EXACT && !payoffs.iter().flatten().all(|x| x.to_float().is_finite()) {
            return Err(Error::invalid("a payoff is not finite; give numbers only"));
        }
        let player = |(i, &n): (usize, &usize)| Player {
            name: format!("Player {}", i + 1),
            strategies: (1..=n).map(|k| k.to_string()).collect(),
        };
        let players = shape.iter().enumerate().map(player).collect();
        Ok(Self { title: String::new(), players, shape: shape.to_vec(), payoffs })
    }

    /// A game whose payoffs are computed: `payoff(profile, player)`.
    ///
    /// # Errors
    /// See [`NormalForm::new`].
    pub fn from_fn(shape: &[usize], mut payoff: impl FnMut(&[usize], usize) -> S) -> Result<Self> {
        let n_profiles = n_profiles(shape)?;
        let mut payoffs = vec![Vec::with_capacity(n_profiles); shape.len()];
        let mut profile = vec![0; shape.len()];
        for _ in 0..n_profiles {
            for (player, table) in payoffs.iter_mut().enumerate() {
                table.push(payoff(&profile, player));
            }
            advance(&mut profile, shape);
        }
        Self::new(shape, payoffs)
    }

    /// A game of two players with payoffs `[n_rows, n_columns]` for each.
    ///
    /// # Errors
    /// See [`NormalForm::new`].
    pub fn bimatrix(n_rows: usize, n_columns: usize, a: Vec<S>, b: Vec<S>) -> Result<Self> {
        Self::new(&[n_rows, n_columns], vec![a, b])
    }

    /// A game of two players in which the column player gets what the row player loses.
    ///
    /// # Errors
    /// See [`NormalForm::new`].
    pub fn zero_sum(n_rows: usize, n_columns: usize, a: Vec<S>) -> Result<Self> {
        let b = a.iter().map(|x| -x.clone()).collect();
        Self::bimatrix(n_rows, n_columns, a, b)
    }

    /// Gives the game a title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Gives players and strategies names.
    ///
    /// # Errors
    /// If the names do not fit the game.
    pub fn with_players(mut self, players: Vec<Player>) -> Result<Self> {
        if !players.iter().map(|p| p.strategies.len()).eq(self.shape.iter().copied()) {
            return Err(Error::invalid("the names of strategies do not fit the game; give one for each"));
        }
        self.players = players;
        Ok(self)
    }

    /// The title; may be empty.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Names of players and strategies.
    pub fn players(&self) -> &[Player] {
        &self.players
    }

    /// Number of strategies of each player.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.shape.len()
    }

    /// Number of profiles of pure strategies.
    pub fn n_profiles(&self) -> usize {
        self.payoffs[0].len()
    }

    /// A player's payoffs, `[n_1, n_2, ...]`.
    pub fn table(&self, player: usize) -> &[S] {
        &self.payoffs[player]
    }

    /// Place of a profile in the tables.
    pub fn index(&self, profile: &[usize]) -> usize {
        profile.iter().zip(&self.shape).fold(0, |index, (&s, &n)| index * n + s)
    }

    /// Payoff of a player in a profile.
    pub fn payoff(&self, profile: &[usize], player: usize) -> &S {
        &self.payoffs[player][self.index(profile)]
    }

    /// Distance in the tables between neighboring strategies of a player.
    pub fn stride(&self, player: usize) -> usize {
        self.shape[player + 1..].iter().product()
    }

    /// All profiles, in the order of the tables.
    pub fn profiles(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        let mut next = Some(vec![0; self.n_players()]);
        std::iter::from_fn(move || {
            let profile = next.take()?;
            let mut following = profile.clone();
            next = advance(&mut following, &self.shape).then_some(following);
            Some(profile)
        })
    }

    /// The same game in other numbers.
    pub fn convert<T: Scalar>(&self) -> NormalForm<T> {
        let one = |x: &S| x.to_rational().map_or_else(T::zero, |x| T::from_rational(&x));
        NormalForm {
            title: self.title.clone(),
            players: self.players.clone(),
            shape: self.shape.clone(),
            payoffs: self.payoffs.iter().map(|table| table.iter().map(one).collect()).collect(),
        }
    }

    /// What each strategy of a player earns against the others' mixed strategies.
    ///
    /// # Panics
    /// If the profile does not fit the game.
    pub fn deviation_payoffs(&self, player: usize, mixed: &Mixed<S>) -> Vec<S> {
        self.check_fit(mixed);
        // Contracts one player after the other, from the last to the first, all but this one.
        let mut table = self.payoffs[player].clone();
        for other in (0..self.n_players()).rev().filter(|&other| other != player) {
            let inner = if other < player { self.shape[player] } else { 1 };
            let n = self.shape[other];
            let outer = table.len() / (n * inner);
            let mut smaller = vec![S::zero(); outer * inner];
            for o in 0..outer {
                for (s, p) in mixed[other].iter().enumerate().filter(|(_, p)| !p.is_zero()) {
                    for i in 0..inner {
                        let term = p.clone() * &table[(o * n + s) * inner + i];
                        let sum = std::mem::replace(&mut smaller[o * inner + i], S::zero());
                        smaller[o * inner + i] = sum + &term;
                    }
                }
            }
            table = smaller;
        }
        table
    }

    /// Expected payoff of a player.
    ///
    /// # Panics
    /// If the profile does not fit the game.
    pub fn expected(&self, player: usize, mixed: &Mixed<S>) -> S {
        let payoffs = self.deviation_payoffs(player, mixed);
        payoffs.iter().zip(&mixed[player]).fold(S::zero(), |sum, (u, p)| sum + &(u.clone() * p))
    }

    /// Expected payoff of each player.
    ///
    /// # Panics
    /// If the profile does not fit the game.
    pub fn values(&self, mixed: &Mixed<S>) -> Vec<S> {
        (0..self.n_players()).map(|player| self.expected(player, mixed)).collect()
    }

    /// Sum over players of what the best deviation gains; zero at an equilibrium.
    ///
    /// # Panics
    /// If the profile does not fit the game.
    pub fn nash_conv(&self, mixed: &Mixed<S>) -> S {
        (0..self.n_players()).fold(S::zero(), |sum, player| {
            let payoffs = self.deviation_payoffs(player, mixed);
            let own = payoffs.iter().zip(&mixed[player]);
            let value = own.fold(S::zero(), |sum, (u, p)| sum + &(u.clone() * p));
            let best = maximum(&payoffs);
            sum + &(best.clone() - &value)
        })
    }

    /// Whether payoffs add up to the same sum in every profile; floats may differ in their last digits.
    pub fn is_constant_sum(&self) -> bool {
        let sum = |k: usize| self.payoffs.iter().fold(S::zero(), |sum, table| sum + &table[k]);
        let size = self.payoffs.iter().flatten().map(|x| x.to_float().abs()).fold(0.0, f64::max);
        let first = sum(0);
        (1..self.n_profiles()).all(|k| (sum(k) - &first).is_near_zero(size * 1e-13))
    }

    /// The part of the game in which each player has only the listed strategies.
    ///
    /// # Panics
    /// If a list is empty or names a strategy that is not there.
    pub fn restrict(&self, keep: &[Vec<usize>]) -> Self {
        assert!(keep.len() == self.n_players() && keep.iter().all(|k| !k.is_empty()), "strategies to keep");
        let shape: Vec<usize> = keep.iter().map(Vec::len).collect();
        let mut small = vec![0; shape.len()];
        let mut payoffs = vec![Vec::new(); shape.len()];
        loop {
            let profile: Vec<usize> = small.iter().zip(keep).map(|(&s, k)| k[s]).collect();
            let index = self.index(&profile);
            payoffs.iter_mut().zip(&self.payoffs).for_each(|(to, from)| to.push(from[index].clone()));
            if !advance(&mut small, &shape) {
                break;
            }
        }
        let players = self.players.iter().zip(keep).map(|(player, k)| Player {
            name: player.name.clone(),
            strategies: k.iter().map(|&s| player.strategies[s].clone()).collect(),
        });
        Self { title: self.title.clone(), players: players.collect(), shape, payoffs }
    }

    fn check_fit(&self, mixed: &Mixed<S>) {
        let fits = mixed.iter().map(Vec::len).eq(self.shape.iter().copied());
        assert!(fits, "a mixed profile for a game of shape {:?}", self.shape);
    }
}

/// The mixed profile that plays `profile` for sure.
pub fn pure<S: Scalar>(shape: &[usize], profile: &[usize]) -> Mixed<S> {
    let one =
        |(&n, &s): (&usize, &usize)| (0..n).map(|k| if k == s { S::one() } else { S::zero() }).collect();
    shape.iter().zip(profile).map(one).collect()
}

/// The largest of some numbers.
///
/// # Panics
/// If there are none.
pub(crate) fn maximum<S: Scalar>(numbers: &[S]) -> &S {
    numbers.iter().skip(1).fold(&numbers[0], |a, b| if b > a { b } else { a })
}

/// The smallest of some numbers.
///
/// # Panics
/// If there are none.
pub(crate) fn minimum<S: Scalar>(numbers: &[S]) -> &S {
    numbers.iter().skip(1).fold(&numbers[0], |a, b| if b < a { b } else { a })
}

/// The next profile, last player fastest; false after the last one.
pub(crate) fn advance(profile: &mut [usize], shape: &[usize]) -> bool {
    for (s, &n) in profile.iter_mut().zip(shape).rev() {
        *s += 1;
        if *s < n {
            return true;
        }
        *s = 0;
    }
    false
}

fn n_profiles(shape: &[usize]) -> Result<usize> {
    if shape.is_empty() || shape.contains(&0) {
        return Err(Error::invalid("a game needs at least one player, and each player a strategy"));
    }
    let n = shape.iter().try_fold(1usize, |n, &k| n.checked_mul(k).filter(|&n| n <= MAX_PROFILES));
    n.ok_or_else(|| Error::TooLarge {
        what: "the payoff table".into(),
        estimate: shape.iter().map(|&k| k as f64).product(),
        unit: "profiles",
        limit: MAX_PROFILES as f64,
        remedy: "use fewer players or strategies".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Rational, ratio};

    fn game() -> NormalForm<Rational> {
        let digit = |s: &[usize], i: usize| ratio((100 * s[0] + 10 * s[1] + s[2]) as i64 * (i as i64 + 1), 1);
        NormalForm::from_fn(&[2, 3, 2], digit).unwrap()
    }

    #[test]
    fn expectations_are_sums_over_profiles() {
        let game = game();
        let mixed = vec![
            vec![ratio(1, 3), ratio(2, 3)],
            vec![ratio(1, 2), ratio(0, 1), ratio(1, 2)],
            vec![ratio(1, 5), ratio(4, 5)],
        ];
        for player in 0..3 {
            let mut sums = vec![ratio(0, 1); game.shape()[player]];
            for profile in game.profiles() {
                let others = (0..3).filter(|&i| i != player).map(|i| &mixed[i][profile[i]]);
                sums[profile[player]] += others.fold(game.payoff(&profile, player).clone(), |x, p| x * p);
            }
            assert_eq!(game.deviation_payoffs(player, &mixed), sums, "player {player}");
        }
        assert_eq!(game.profiles().count(), 12);
        assert_eq!(game.expected(0, &mixed), ratio(200, 3) + ratio(10, 1) + ratio(4, 5));
    }

    #[test]
    fn parts_keep_their_payoffs_and_names() {
        let part = game().restrict(&[vec![1], vec![2, 0], vec![0, 1]]);
        assert_eq!(part.payoff(&[0, 0, 1], 2), &ratio(363, 1));
        assert_eq!(part.players()[1].strategies, ["3", "1"]);
    }

    #[test]
    fn tables_that_do_not_fit_are_refused() {
        assert!(NormalForm::<f64>::new(&[], vec![]).is_err());
        assert!(NormalForm::<f64>::new(&[2, 0], vec![vec![], vec![]]).is_err());
        assert!(NormalForm::bimatrix(1, 2, vec![1.0], vec![1.0, 2.0]).is_err());
        assert!(NormalForm::bimatrix(1, 1, vec![f64::NAN], vec![1.0]).is_err());
        let huge = NormalForm::<f64>::new(&[100_000; 4], vec![vec![]; 4]);
        assert!(matches!(huge, Err(Error::TooLarge { .. })));
    }
}
