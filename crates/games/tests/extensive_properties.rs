//! Properties of solvers on random small trees: files, certificates, programs, conversion, convergence.

#![allow(clippy::unwrap_used)]

use coact_core::{Purpose, Stream};
use coact_games::extensive::certificate::{check, recompute};
use coact_games::extensive::games::by_name;
use coact_games::extensive::{
    Cfr, CfrOptions, Profile, SampledCfr, SamplingOptions, Tree, TreeBuilder, TreeGame, assess, certify,
    normal_form, solve_program, unfold,
};
use coact_games::scalar::ratio;
use coact_games::{Rational, efg};
use num_traits::Zero;
use proptest::prelude::*;

/// Player, own past, number of actions and number of an information set.
type Known = (usize, Vec<(u32, usize)>, usize, u32);

/// A random tree with perfect recall: information sets are joined where a player's own past is the same, number of
/// actions included. Zero-sum, with payoffs on the way, times `scale`.
struct Random {
    rng: Stream,
    tree: TreeBuilder,
    /// Player, own past, and number of actions of each information set.
    known: Vec<Known>,
    scale: Rational,
    n_players: usize,
}

impl Random {
    fn tree(seed: u64, n_players: usize, scale: Rational) -> Tree {
        let names = (0..n_players).map(|p| format!("P\"{p}\\")).collect();
        let tree = TreeBuilder::new(format!("random {seed}"), "", names).unwrap();
        let rng = Stream::new(seed, Purpose::Init, 0, 0);
        let mut random = Self { rng, tree, known: Vec::new(), scale, n_players };
        random.node(4, &vec![Vec::new(); n_players]);
        random.tree.finish().unwrap()
    }

    fn outcome(&mut self) -> u32 {
        let payoff = ratio(i64::from(self.rng.below(13)) - 6, 1 + i64::from(self.rng.below(3))) * &self.scale;
        let mut payoffs = vec![Rational::zero(); self.n_players];
        payoffs[0] = payoff.clone();
        payoffs[self.n_players - 1] -= payoff;
        self.tree.outcome("o", payoffs).unwrap()
    }

    fn node(&mut self, depth: usize, pasts: &[Vec<(u32, usize)>]) {
        let outcome = if self.rng.below(4) == 0 { self.outcome() } else { 0 };
        if depth == 0 || self.rng.below(6) == 0 {
            let outcome = self.outcome();
            self.tree.leaf("", outcome).unwrap();
            return;
        }
        let n_actions = 1 + self.rng.below(3) as usize;
        let actions: Vec<String> = (0..n_actions).map(|a| format!("a{a}")).collect();
        if self.rng.below(4) == 0 {
            let weights: Vec<i64> = (0..n_actions).map(|_| 1 + i64::from(self.rng.below(4))).collect();
            let total = weights.iter().sum();
            let probabilities = weights.iter().map(|&w| ratio(w, total)).collect();
            let event = self.tree.event("", actions, probabilities).unwrap();
            self.tree.branch("chance", event, outcome).unwrap();
            (0..n_actions).for_each(|_| self.node(depth - 1, pasts));
            return;
        }
        let player = self.rng.below(self.n_players as u32) as usize;
        let past = pasts[player].clone();
        let same = self.known.iter().find(|k| k.0 == player && k.1 == past && k.2 == n_actions).map(|k| k.3);
        let infoset = match same.filter(|_| self.rng.below(3) > 0) {
            Some(infoset) => infoset,
            None => self.tree.infoset(player, format!("i{}", self.known.len()), actions).unwrap(),
        };
        self.known.push((player, past, n_actions, infoset));
        self.tree.branch("", infoset, outcome).unwrap();
        for a in 0..n_actions {
            let mut pasts = pasts.to_vec();
            pasts[player].push((infoset, a));
            self.node(depth - 1, &pasts);
        }
    }
}

fn tree(seed: u64, n_players: usize) -> Tree {
    Random::tree(seed, n_players, ratio(1, 1))
}

/// Any strategies, some actions never taken.
fn profile(tree: &Tree, seed: u64) -> Profile<Rational> {
    let mut rng = Stream::new(seed, Purpose::Explore, 0, 0);
    let rows = (0..tree.n_infosets()).filter(|&i| tree.infoset(i).player.is_some()).map(|i| {
        let weights: Vec<i64> = tree.infoset(i).actions.iter().map(|_| i64::from(rng.below(4))).collect();
        let total: i64 = weights.iter().sum();
        let n = weights.len() as i64;
        weights.iter().map(|&w| if total == 0 { ratio(1, n) } else { ratio(w, total) }).collect()
    });
    let rows: Vec<Vec<Rational>> = rows.collect();
    Profile::from_rows(tree, &rows).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_what_was_written_gives_the_same_game(seed: u64, n in 1usize..4) {
        let tree = tree(seed, n);
        prop_assert_eq!(efg::read(&efg::write(&tree)).unwrap(), tree);
    }

    /// The tables of sequences and the walk over nodes agree exactly.
    #[test]
    fn certificates_agree_with_the_independent_check(seed: u64, n in 1usize..4) {
        let tree = tree(seed, n);
        let profile = profile(&tree, seed);
        let certificate = certify(&tree, &profile).unwrap();
        prop_assert_eq!(&recompute(&tree, &profile).unwrap(), &certificate);
        prop_assert!(certificate.gains.iter().all(|g| *g >= Rational::zero()));
        let mut wrong = certificate.clone();
        wrong.gains[0] += ratio(1, 1_000_000);
        prop_assert!(check(&tree, &profile, &certificate, 0.0).is_ok());
        prop_assert!(check(&tree, &profile, &wrong, 0.0).is_err());
    }

    /// Exactly, at any scale; and in floats.
    #[test]
    fn programs_leave_nothing_to_gain(seed: u64, exponent in -9i32..10) {
        let scale = ratio(10i64.pow(exponent.max(0) as u32), 10i64.pow((-exponent).max(0) as u32));
        let tree = Random::tree(seed, 2, scale.clone());
        let exact = solve_program::<Rational>(&tree).unwrap();
        let certificate = recompute(&tree, &exact.profile).unwrap();
        prop_assert_eq!(certificate.nash_conv(), Rational::zero());
        prop_assert_eq!(&certificate.values[0], &exact.value);
        let float = solve_program::<f64>(&tree).unwrap();
        let size = coact_games::Scalar::to_float(&scale);
        let value = coact_games::Scalar::to_float(&exact.value);
        prop_assert!((float.value - value).abs() <= 1e-9 * size);
        prop_assert!(recompute(&tree, &float.profile).unwrap().nash_conv() <= 1e-9 * size);
    }

    /// The value of the game is that of its normal form.
    #[test]
    fn the_normal_form_has_the_same_payoffs(seed: u64) {
        let tree = tree(seed, 2);
        let Ok(game) = normal_form::<Rational>(&tree) else { return Ok(()) };
        let value = solve_program::<Rational>(&tree).unwrap().value;
        // No row guarantees more than the value, no column concedes less.
        let (rows, columns) = (game.shape()[0], game.shape()[1]);
        let at = |i: usize, j: usize| game.payoff(&[i, j], 0);
        for i in 0..rows {
            prop_assert!((0..columns).any(|j| *at(i, j) <= value));
        }
        for j in 0..columns {
            prop_assert!((0..rows).any(|i| *at(i, j) >= value));
        }
    }

    #[test]
    fn exploitability_falls(seed: u64) {
        let tree = tree(seed, 2);
        let gap = |n: usize, options| {
            let mut cfr = Cfr::new(&tree, options).unwrap();
            (0..n).for_each(|_| cfr.step());
            cfr.assess().nash_conv()
        };
        let simultaneous = CfrOptions { alternating: false, ..CfrOptions::CFR };
        for options in [CfrOptions::CFR, CfrOptions::PLUS, CfrOptions::DISCOUNTED, CfrOptions::LINEAR, simultaneous] {
            let (early, late) = (gap(4, options), gap(1_000, options));
            prop_assert!(late <= 0.25f64.max(early / 4.0) && late <= early + 1e-9, "{:?}: {} {}", options, early, late);
        }
    }

    /// A tree, played as a game and unfolded again, is worth the same.
    #[test]
    fn a_tree_as_a_game_unfolds_to_itself(seed: u64) {
        let tree = tree(seed, 2);
        let again = unfold(&TreeGame::new(tree.clone()), 100_000).unwrap();
        prop_assert_eq!(again.n_nodes(), tree.n_nodes());
        let value = |t: &Tree| assess(t, &Profile::<f64>::uniform(t)).unwrap();
        let (a, b) = (value(&tree), value(&again));
        prop_assert!((a.nash_conv() - b.nash_conv()).abs() < 1e-9 && (a.values[0] - b.values[0]).abs() < 1e-9);
    }
}

/// Large enough for the parallel paths.
#[test]
fn threads_do_not_change_a_bit() {
    let tree = by_name("liars_dice(sides=5)").unwrap().tree(1_000_000).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut cfr = Cfr::new(&tree, CfrOptions::PLUS).unwrap();
            (0..3).for_each(|_| cfr.step());
            let options = SamplingOptions { batch: 8, ..SamplingOptions::external(3) };
            let mut sampled = SampledCfr::new(&tree, options).unwrap();
            (0..5).for_each(|_| sampled.step());
            (cfr.average(), cfr.assess(), sampled.average())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn seeds_and_batches_make_different_runs() {
    let tree = by_name("kuhn_poker").unwrap().tree(1_000).unwrap();
    let run = |options| {
        let mut solver = SampledCfr::new(&tree, options).unwrap();
        (0..50).for_each(|_| solver.step());
        solver.average()
    };
    assert_eq!(run(SamplingOptions::external(1)), run(SamplingOptions::external(1)));
    assert_ne!(run(SamplingOptions::external(1)), run(SamplingOptions::external(2)));
    assert_ne!(
        run(SamplingOptions::outcome(1)),
        run(SamplingOptions { batch: 2, ..SamplingOptions::outcome(1) })
    );
}
