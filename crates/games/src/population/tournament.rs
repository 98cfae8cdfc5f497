//! Round-robin tournaments of the repeated prisoner's dilemma (Axelrod 1980): everyone against everyone and itself.

use coact_core::{Purpose, Stream};

use crate::error::{Error, Result};
use crate::population::repeated::{Match, Move, RepeatedStrategy};

/// Payoffs of the dilemma and the length of matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tournament {
    /// Both cooperate.
    pub reward: f64,
    /// Own cooperation met by defection.
    pub sucker: f64,
    /// Own defection met by cooperation.
    pub temptation: f64,
    /// Both defect.
    pub punishment: f64,
    /// Turns of a match.
    pub turns: usize,
    /// Matches of a pair in which somebody draws random numbers; other pairs play once.
    pub repetitions: usize,
    /// Probability that a move comes out as its opposite.
    pub noise: f64,
    /// Seed of random strategies and noise.
    pub seed: u64,
}

impl Default for Tournament {
    /// Axelrod's payoffs and 200 turns.
    fn default() -> Self {
        let (reward, sucker, temptation, punishment) = (3.0, 0.0, 5.0, 1.0);
        Self { reward, sucker, temptation, punishment, turns: 200, repetitions: 5, noise: 0.0, seed: 0 }
    }
}

/// Mean total score of the row in a match against the column, `[n, n]`.
///
/// # Errors
/// If there is no strategy, no turn, no repetition, or noise is not a probability.
pub fn round_robin(strategies: &[RepeatedStrategy], rules: &Tournament) -> Result<Vec<f64>> {
    let n = strategies.len();
    if n == 0 || rules.turns == 0 || rules.repetitions == 0 || !(0.0..=1.0).contains(&rules.noise) {
        return Err(Error::invalid(
            "a tournament needs strategies, turns, repetitions, and noise between 0 and 1",
        ));
    }
    let mut scores = vec![0.0; n * n];
    for i in 0..n {
        for j in i..n {
            let random = strategies[i].random || strategies[j].random || rules.noise > 0.0;
            let repetitions = if random { rules.repetitions } else { 1 };
            let (mut of_i, mut of_j) = (0.0, 0.0);
            for repetition in 0..repetitions {
                let mut stream =
                    Stream::new(rules.seed, Purpose::Step, (i * n + j) as u32, repetition as u64);
                let (a, b) = play(&strategies[i], &strategies[j], rules, &mut stream);
                of_i += a;
                of_j += b;
            }
            scores[j * n + i] = of_j / repetitions as f64;
            // A match with itself counts once, by the mean of both sides.
            let own = if i == j { (of_i + of_j) / 2.0 } else { of_i };
            scores[i * n + j] = own / repetitions as f64;
        }
    }
    Ok(scores)
}

fn play(a: &RepeatedStrategy, b: &RepeatedStrategy, rules: &Tournament, stream: &mut Stream) -> (f64, f64) {
    let (mut a, mut b) = (Match::new(a, rules.turns), Match::new(b, rules.turns));
    let (mut of_a, mut of_b) = (0.0, 0.0);
    let payoff = |own: Move, other: Move| match (own, other) {
        (Move::Cooperate, Move::Cooperate) => rules.reward,
        (Move::Cooperate, Move::Defect) => rules.sucker,
        (Move::Defect, Move::Cooperate) => rules.temptation,
        (Move::Defect, Move::Defect) => rules.punishment,
    };
    let slip = |chosen: Move, stream: &mut Stream| {
        let slips = rules.noise > 0.0 && stream.uniform_f64() < rules.noise;
        match (chosen, slips) {
            (Move::Cooperate, true) => Move::Defect,
            (Move::Defect, true) => Move::Cooperate,
            (chosen, false) => chosen,
        }
    };
    for _ in 0..rules.turns {
        let (x, y) = (a.choose(stream), b.choose(stream));
        let (x, y) = (slip(x, stream), slip(y, stream));
        of_a += payoff(x, y);
        of_b += payoff(y, x);
        a.own.push(x);
        a.other.push(y);
        b.own.push(y);
        b.other.push(x);
    }
    (of_a, of_b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::STRATEGIES;

    /// Total scores over 200 turns of the deterministic strategies, row against column.
    #[rustfmt::skip]
    const SCORES: [[u32; 15]; 15] = [
        [600, 0, 600, 600, 600, 600, 300, 597, 402, 198, 6, 600, 600, 600, 0],
        [1000, 200, 204, 204, 208, 600, 600, 200, 736, 464, 208, 204, 204, 340, 996],
        [600, 199, 600, 600, 600, 600, 498, 500, 534, 397, 599, 600, 600, 600, 450],
        [600, 199, 600, 600, 600, 600, 597, 203, 731, 463, 207, 600, 600, 600, 991],
        [600, 198, 600, 600, 600, 600, 300, 597, 402, 330, 201, 600, 600, 600, 360],
        [600, 100, 600, 600, 600, 600, 450, 401, 567, 265, 401, 600, 600, 600, 265],
        [800, 100, 503, 107, 800, 450, 400, 500, 569, 331, 503, 107, 800, 262, 397],
        [602, 200, 500, 203, 602, 401, 500, 200, 536, 398, 600, 203, 500, 601, 450],
        [732, 66, 534, 76, 732, 402, 399, 531, 468, 330, 531, 76, 732, 238, 264],
        [868, 134, 402, 138, 670, 600, 501, 398, 670, 332, 405, 138, 138, 263, 600],
        [996, 198, 599, 202, 216, 401, 498, 595, 536, 395, 204, 202, 599, 599, 446],
        [600, 199, 600, 600, 600, 600, 597, 203, 731, 463, 207, 600, 600, 600, 628],
        [600, 199, 600, 600, 600, 600, 300, 500, 402, 463, 599, 600, 600, 600, 463],
        [600, 165, 600, 600, 600, 600, 537, 596, 658, 418, 599, 600, 600, 600, 804],
        [1000, 1, 450, 6, 560, 600, 402, 450, 604, 265, 451, 303, 468, 159, 400],
    ];

    #[test]
    fn deterministic_matches_score_as_published() {
        let strategies: Vec<_> = STRATEGIES.iter().filter(|s| !s.random).copied().collect();
        let scores = round_robin(&strategies, &Tournament::default()).unwrap();
        for (i, row) in SCORES.iter().enumerate() {
            for (j, &expected) in row.iter().enumerate() {
                let (a, b) = (strategies[i].name, strategies[j].name);
                assert_eq!(scores[i * 15 + j], f64::from(expected), "{a} against {b}");
            }
        }
    }

    /// The matches of Beaufils, Delahaye and Mathieu's gradual strategy over 1000 turns.
    #[test]
    fn gradual_scores_as_in_its_paper() {
        let strategies: Vec<_> = STRATEGIES.iter().filter(|s| !s.random).copied().collect();
        let at = |name: &str| strategies.iter().position(|s| s.name == name).unwrap();
        let scores = round_robin(&strategies, &Tournament { turns: 1000, ..Tournament::default() }).unwrap();
        for (other, expected) in [
            ("cooperator", 3000.0),
            ("defector", 915.0),
            ("tit-for-tat", 3000.0),
            ("grudger", 3000.0),
            ("cycler-ddc", 2219.0),
            ("cycler-ccd", 3472.0),
            ("soft-majority", 3000.0),
            ("suspicious-tit-for-tat", 2996.0),
            ("prober", 2999.0),
            ("gradual", 3000.0),
            ("win-stay-lose-shift", 3000.0),
        ] {
            assert_eq!(scores[at("gradual") * strategies.len() + at(other)], expected, "{other}");
        }
    }

    #[test]
    fn chance_depends_on_the_seed_alone() {
        let rules = Tournament { repetitions: 3, noise: 0.05, ..Tournament::default() };
        let first = round_robin(STRATEGIES, &rules).unwrap();
        assert_eq!(first, round_robin(STRATEGIES, &rules).unwrap());
        assert_ne!(first, round_robin(STRATEGIES, &Tournament { seed: 1, ..rules }).unwrap());
        assert!(round_robin(&[], &rules).is_err());
        assert!(round_robin(STRATEGIES, &Tournament { noise: 1.5, ..rules }).is_err());
    }
}
