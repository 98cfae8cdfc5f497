//! All methods for games in normal form by name, with one kind of answer.
//!
//! [`METHODS`] is the list; [`solve`] runs one. What an answer claims is in [`Claim`], and [`crate::check`] judges an
//! answer that was written down, without any of this.

use crate::certificate;
use crate::dynamics::{FictitiousPlay, Logit, RegretPlay, Rule, multi_replicator_step};
use crate::equilibrium::{
    Concept, Dominance, Selection, correlated, iterated_dominance, lemke_howson, lemke_howson_all,
    polynomial_supports, pure_equilibria, rationalize, stackelberg, support_enumeration, vertex_enumeration,
    zero_sum,
};
use crate::error::{Error, Result};
use crate::normal_form::{Mixed, NormalForm, pure};
use crate::population::{MatrixOracle, double_oracle};
use crate::scalar::{Rational, Scalar};

/// What an answer says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Each profile is a Nash equilibrium.
    Nash,
    /// Each profile comes as near to one as its gains say.
    Approximate,
    /// The joint distribution is a correlated equilibrium.
    Correlated,
    /// The joint distribution is a coarse correlated equilibrium.
    CoarseCorrelated,
    /// The first player commits to the profile's strategy and the second replies best.
    Commitment,
    /// The survivors of elimination; no profile is claimed.
    Survivors,
}

impl Claim {
    /// All claims with their names in files.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::Nash, "nash"),
        (Self::Approximate, "approximate"),
        (Self::Correlated, "correlated"),
        (Self::CoarseCorrelated, "coarse-correlated"),
        (Self::Commitment, "commitment"),
        (Self::Survivors, "survivors"),
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(claim, _)| *claim == self).map_or("", |(_, name)| name)
    }
}

/// A method of [`METHODS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// See [`pure_equilibria`].
    Pure,
    /// See [`vertex_enumeration`].
    Vertices,
    /// See [`support_enumeration`].
    Supports,
    /// See [`polynomial_supports`].
    Polynomial,
    /// See [`lemke_howson`].
    LemkeHowson,
    /// See [`zero_sum`].
    ZeroSum,
    /// See [`correlated`].
    Correlated(Concept, Selection),
    /// See [`stackelberg`].
    Stackelberg,
    /// See [`iterated_dominance`].
    Dominance(Dominance),
    /// See [`double_oracle`].
    DoubleOracle,
    /// See [`FictitiousPlay`].
    FictitiousPlay,
    /// See [`RegretPlay`].
    RegretMatching,
    /// See [`RegretPlay`].
    RegretMatchingPlus,
    /// See [`RegretPlay`].
    Hedge,
    /// See [`multi_replicator_step`].
    Replicator,
    /// See [`Logit`].
    Logit,
}

/// A method by name.
#[derive(Debug, Clone, Copy)]
pub struct MethodEntry {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it finds.
    pub summary: &'static str,
    /// The method.
    pub method: Method,
    /// Whether it can run in exact arithmetic.
    pub exact: bool,
    /// Whether it needs exactly two players.
    pub two_players: bool,
}

const fn entry(
    name: &'static str,
    method: Method,
    exact: bool,
    two: bool,
    summary: &'static str,
) -> MethodEntry {
    MethodEntry { name, summary, method, exact, two_players: two }
}

const CE: Concept = Concept::Correlated;
const CCE: Concept = Concept::CoarseCorrelated;

/// All methods.
pub const METHODS: &[MethodEntry] = &[
    entry("vertices", Method::Vertices, true, true, "all extreme equilibria of two players"),
    entry(
        "lemke-howson",
        Method::LemkeHowson,
        true,
        true,
        "one equilibrium of two players, fast; --all: of all labels",
    ),
    entry("supports", Method::Supports, true, true, "equilibria of two players with supports of equal size"),
    entry("pure", Method::Pure, true, false, "all pure equilibria"),
    entry("zero-sum", Method::ZeroSum, true, true, "value and optimal strategies of a zero-sum game"),
    entry(
        "polynomial",
        Method::Polynomial,
        true,
        false,
        "all isolated equilibria of small games, any number of players",
    ),
    entry(
        "correlated",
        Method::Correlated(CE, Selection::Welfare),
        true,
        false,
        "correlated equilibrium of greatest welfare",
    ),
    entry(
        "correlated-egalitarian",
        Method::Correlated(CE, Selection::Egalitarian),
        true,
        false,
        "correlated equilibrium best for who gets least",
    ),
    entry(
        "coarse-correlated",
        Method::Correlated(CCE, Selection::Welfare),
        true,
        false,
        "coarse correlated equilibrium of greatest welfare",
    ),
    entry(
        "coarse-correlated-egalitarian",
        Method::Correlated(CCE, Selection::Egalitarian),
        true,
        false,
        "coarse correlated equilibrium best for who gets least",
    ),
    entry("stackelberg", Method::Stackelberg, true, true, "best commitment of player 1"),
    entry("dominance", Method::Dominance(Dominance::Strict), true, false, "survivors of strict dominance"),
    entry(
        "dominance-weak",
        Method::Dominance(Dominance::Weak),
        true,
        false,
        "survivors of weak dominance, all players at once",
    ),
    entry(
        "dominance-mixed",
        Method::Dominance(Dominance::StrictMixed),
        true,
        false,
        "survivors of strict dominance by mixtures",
    ),
    entry(
        "double-oracle",
        Method::DoubleOracle,
        false,
        true,
        "one equilibrium through growing populations of strategies",
    ),
    entry("fictitious-play", Method::FictitiousPlay, false, false, "shares of play of best replies"),
    entry("regret-matching", Method::RegretMatching, false, false, "average play in proportion to regrets"),
    entry(
        "regret-matching-plus",
        Method::RegretMatchingPlus,
        false,
        false,
        "the same with regrets kept above zero",
    ),
    entry("hedge", Method::Hedge, false, false, "average play by exponential weights"),
    entry("replicator", Method::Replicator, false, false, "where evolution leads from uniform shares"),
    entry("logit", Method::Logit, false, false, "logit quantal response equilibrium at a temperature"),
];

/// Settings that some methods heed.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// All equilibria that the method can reach, not one.
    pub all: bool,
    /// Label that Lemke-Howson drops.
    pub label: usize,
    /// Rounds of play.
    pub iterations: u64,
    /// Temperature of logit dynamics, in units of payoff.
    pub temperature: f64,
    /// Step of evolution in time.
    pub dt: f64,
}

impl Default for Options {
    /// 10,000 rounds; temperature 1/10; steps of 1/100.
    fn default() -> Self {
        Self { all: false, label: 0, iterations: 10_000, temperature: 0.1, dt: 0.01 }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<S> {
    /// What it claims.
    pub claim: Claim,
    /// Profiles of mixed strategies.
    pub equilibria: Vec<Mixed<S>>,
    /// For each profile, each player's expected payoff; for a joint distribution, one list.
    pub values: Vec<Vec<S>>,
    /// For each profile, each player's gain from the best deviation; for a joint distribution, one number.
    pub gains: Vec<Vec<S>>,
    /// Joint distribution over profiles, in the order of the tables.
    pub joint: Option<Vec<S>>,
    /// For each player, strategies that survive elimination.
    pub survivors: Option<Vec<Vec<usize>>>,
    /// Whether the method vouches that it listed all (extreme or isolated) equilibria.
    pub complete: bool,
    /// Rounds, and the sum of gains after them.
    pub trace: Vec<(u64, f64)>,
}

/// The method that suits a game: a program for zero-sum games, Lemke-Howson for other games of two players (or all
/// vertices), polynomials for small games of more, else regret matching.
pub fn suitable<S: Scalar>(game: &NormalForm<S>, all: bool) -> &'static str {
    match game.shape() {
        [_] => "pure",
        [_, _] if all => "vertices",
        [_, _] if game.is_constant_sum() => "zero-sum",
        [_, _] => "lemke-howson",
        shape if shape.iter().sum::<usize>() <= 8 => "polynomial",
        _ => "regret-matching",
    }
}

/// Solves a game. `observe` hears of progress in the method's own steps and may stop a search by saying false.
///
/// # Errors
/// If the method does not apply to the game or these numbers, or was stopped.
pub fn solve<S: Scalar>(
    game: &NormalForm<S>,
    method: Method,
    options: &Options,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<Solution<S>> {
    let mut solution = Solution {
        claim: Claim::Nash,
        equilibria: Vec::new(),
        values: Vec::new(),
        gains: Vec::new(),
        joint: None,
        survivors: None,
        complete: false,
        trace: Vec::new(),
    };
    match method {
        Method::Pure => {
            solution.equilibria = pure_equilibria(game).iter().map(|p| pure(game.shape(), p)).collect();
            solution.complete = true;
        }
        Method::Vertices => {
            solution.equilibria = vertex_enumeration(game, observe)?;
            solution.complete = true;
        }
        Method::Supports => solution.equilibria = support_enumeration(game, observe)?,
        Method::Polynomial => by_polynomials(game, observe, &mut solution)?,
        Method::LemkeHowson if options.all => solution.equilibria = lemke_howson_all(game, observe)?,
        Method::LemkeHowson => solution.equilibria = vec![lemke_howson(game, options.label, observe)?.mixed],
        Method::ZeroSum => solution.equilibria = vec![by_program(game)?],
        Method::Correlated(concept, selection) => {
            return jointly(game, concept, selection, solution);
        }
        Method::Stackelberg => {
            let commitment = stackelberg(game)?;
            let n = game.shape()[1];
            let reply = (0..n).map(|k| if k == commitment.reply { S::one() } else { S::zero() });
            solution.equilibria = vec![vec![commitment.leader, reply.collect()]];
            solution.claim = Claim::Commitment;
        }
        Method::Dominance(dominance) => {
            solution.claim = Claim::Survivors;
            solution.survivors = Some(iterated_dominance(game, dominance)?);
        }
        _ if S::EXACT => {
            let reason = "it works in floating point; leave --exact out".to_string();
            return Err(Error::DoesNotApply { method: name_of(method), reason });
        }
        _ => by_play(game, method, options, observe, &mut solution)?,
    }
    solution.values = solution.equilibria.iter().map(|mixed| certificate::values(game, mixed)).collect();
    solution.gains = solution.equilibria.iter().map(|mixed| certificate::gains(game, mixed)).collect();
    Ok(solution)
}

fn name_of(method: Method) -> &'static str {
    METHODS.iter().find(|entry| entry.method == method).map_or("", |entry| entry.name)
}

fn by_program<S: Scalar>(game: &NormalForm<S>) -> Result<Mixed<S>> {
    let &[m, n] = game.shape() else {
        let reason = format!("it needs two players and the game has {}", game.n_players());
        return Err(Error::DoesNotApply { method: "zero-sum", reason });
    };
    if !game.is_constant_sum() {
        let reason = "the game is not zero-sum; use `lemke-howson`".to_string();
        return Err(Error::DoesNotApply { method: "zero-sum", reason });
    }
    let solution = zero_sum(m, n, game.table(0))?;
    Ok(vec![solution.row, solution.column])
}

fn by_polynomials<S: Scalar>(
    game: &NormalForm<S>,
    observe: &mut dyn FnMut(usize) -> bool,
    solution: &mut Solution<S>,
) -> Result<()> {
    let found = polynomial_supports(game, observe)?;
    solution.complete = found.complete;
    let exact: NormalForm<Rational> = game.convert();
    for mixed in &found.equilibria {
        let convert = |m: &Mixed<Rational>| -> Mixed<S> {
            m.iter().map(|x| x.iter().map(S::from_rational).collect()).collect()
        };
        match rationalize(&exact, mixed) {
            Some(fractions) => solution.equilibria.push(convert(&fractions)),
            None if S::EXACT => {
                let reason = "an equilibrium has irrational probabilities; leave --exact out".to_string();
                return Err(Error::DoesNotApply { method: "polynomial", reason });
            }
            None => solution.equilibria.push(from_floats(mixed)),
        }
    }
    Ok(())
}

fn from_floats<S: Scalar>(mixed: &Mixed<f64>) -> Mixed<S> {
    mixed.iter().map(|x| x.iter().map(|&p| S::from_float(p).unwrap_or_else(S::zero)).collect()).collect()
}

fn jointly<S: Scalar>(
    game: &NormalForm<S>,
    concept: Concept,
    selection: Selection,
    mut solution: Solution<S>,
) -> Result<Solution<S>> {
    let found = correlated(game, concept, selection)?;
    let (claim, gain) = match concept {
        Concept::Correlated => (Claim::Correlated, certificate::correlated_gain(game, &found.joint)),
        Concept::CoarseCorrelated => {
            (Claim::CoarseCorrelated, certificate::coarse_correlated_gain(game, &found.joint))
        }
    };
    solution.claim = claim;
    solution.values = vec![found.payoffs];
    solution.gains = vec![vec![gain]];
    solution.joint = Some(found.joint);
    Ok(solution)
}

/// Methods that play rounds in floats.
fn by_play<S: Scalar>(
    game: &NormalForm<S>,
    method: Method,
    options: &Options,
    observe: &mut dyn FnMut(usize) -> bool,
    solution: &mut Solution<S>,
) -> Result<()> {
    let floats: NormalForm<f64> = game.convert();
    solution.claim = Claim::Approximate;
    let mut trace = Vec::new();
    let mixed = match method {
        Method::DoubleOracle => {
            let (populations, last) = double_oracle(&mut MatrixOracle { game: &floats }, 10_000, 1e-9)?;
            let mut mixed: Mixed<f64> = floats.shape().iter().map(|&n| vec![0.0; n]).collect();
            for ((x, population), p) in mixed.iter_mut().zip(&populations).zip(&last.mixtures) {
                population.iter().zip(p).for_each(|(&s, p)| x[s] = *p);
            }
            mixed
        }
        Method::FictitiousPlay => {
            let mut play = FictitiousPlay::new(&floats, &vec![0; floats.n_players()])?;
            follow(&floats, options, observe, &mut trace, &mut play, FictitiousPlay::step, |p| p.average())?
        }
        Method::RegretMatching | Method::RegretMatchingPlus | Method::Hedge => {
            let rule = match method {
                Method::RegretMatching => Rule::RegretMatching,
                Method::RegretMatchingPlus => Rule::RegretMatchingPlus,
                _ => Rule::Hedge(None),
            };
            let mut play = RegretPlay::new(&floats, rule)?;
            follow(&floats, options, observe, &mut trace, &mut play, RegretPlay::step, |p| p.average())?
        }
        Method::Logit => {
            let mut logit = Logit::new(&floats, options.temperature)?;
            let step = |logit: &mut Logit<'_>| {
                logit.step(options.dt);
            };
            follow(&floats, options, observe, &mut trace, &mut logit, step, |l| l.shares().clone())?
        }
        _ => {
            let mut shares: Mixed<f64> = floats.shape().iter().map(|&n| vec![1.0 / n as f64; n]).collect();
            let step = |shares: &mut Mixed<f64>| multi_replicator_step(&floats, shares, options.dt);
            follow(&floats, options, observe, &mut trace, &mut shares, step, Clone::clone)?
        }
    };
    if mixed.iter().flatten().any(|p| !p.is_finite()) {
        return Err(Error::invalid("shares grew without bound; take a smaller --dt"));
    }
    solution.trace = trace;
    solution.equilibria = vec![from_floats(&mixed)];
    Ok(())
}

/// Plays the rounds, and notes the sum of gains about a hundred times, more often at first.
fn follow<P>(
    game: &NormalForm<f64>,
    options: &Options,
    observe: &mut dyn FnMut(usize) -> bool,
    trace: &mut Vec<(u64, f64)>,
    play: &mut P,
    mut step: impl FnMut(&mut P),
    now: impl Fn(&P) -> Mixed<f64>,
) -> Result<Mixed<f64>> {
    let mut next = 1;
    for round in 1..=options.iterations {
        step(play);
        if round == next || round == options.iterations {
            trace.push((round, game.nash_conv(&now(play))));
            next = (round + 1).max(round + round / 10);
        }
        if round % 256 == 0 && !observe(round as usize) {
            return Err(Error::Stopped { what: "the play of rounds", after: round as usize });
        }
    }
    Ok(now(play))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn every_method_answers_or_says_why_not() {
        let options = Options { iterations: 300, ..Options::default() };
        for game in ["rock-paper-scissors", "chicken", "mckelvey-mclennan", "public-goods"] {
            let game = catalog::build(game).unwrap();
            for entry in METHODS {
                let exact = solve(&game, entry.method, &options, &mut |_| true);
                let float = solve(&game.convert::<f64>(), entry.method, &options, &mut |_| true);
                if entry.two_players && game.n_players() != 2 {
                    assert!(matches!(exact, Err(Error::DoesNotApply { .. })), "{}", entry.name);
                    assert!(matches!(float, Err(Error::DoesNotApply { .. })), "{}", entry.name);
                    continue;
                }
                assert_eq!(exact.is_ok() || entry.method == Method::ZeroSum, entry.exact, "{}", entry.name);
                if let Ok(solution) = exact
                    && solution.claim == Claim::Nash
                {
                    assert!(solution.gains.iter().flatten().all(|g| *g == Rational::from_int(0)));
                }
                if let Ok(solution) = float {
                    let bound = if solution.claim == Claim::Nash { 1e-9 } else { 4.0 };
                    let fine = solution.claim == Claim::Commitment
                        || solution.gains.iter().flatten().all(|g| *g <= bound);
                    assert!(fine, "{}: {:?}", entry.name, solution.gains);
                }
            }
        }
    }

    #[test]
    fn a_search_that_is_stopped_says_so() {
        let mut stream = coact_core::Stream::new(1, coact_core::Purpose::Init, 0, 0);
        let game = NormalForm::from_fn(&[14, 14], |_, _| stream.uniform_f64()).unwrap();
        let stopped = solve(&game, Method::Vertices, &Options::default(), &mut |_| false);
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    }
}
