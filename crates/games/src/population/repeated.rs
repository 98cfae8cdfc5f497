//! Strategies for the repeated prisoner's dilemma, as small machines that see both histories.

use coact_core::Stream;

/// A move of the prisoner's dilemma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Cooperate.
    Cooperate,
    /// Defect.
    Defect,
}

use Move::{Cooperate as C, Defect as D};

impl Move {
    fn flipped(self) -> Self {
        if self == C { D } else { C }
    }
}

/// What a strategy may remember beyond the histories.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// Gradual: turns of calm left.
    calm: bool,
    /// Gradual: in the middle of punishing.
    punishing: bool,
    punished: u32,
    limit: u32,
}

/// A player in the middle of a match.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    choose: fn(&mut Match, &mut Stream) -> Move,
    memory: Memory,
    pub(crate) own: Vec<Move>,
    pub(crate) other: Vec<Move>,
}

impl Match {
    pub(crate) fn new(strategy: &RepeatedStrategy, turns: usize) -> Self {
        let history = || Vec::with_capacity(turns);
        Self { choose: strategy.choose, memory: Memory::default(), own: history(), other: history() }
    }

    pub(crate) fn choose(&mut self, stream: &mut Stream) -> Move {
        (self.choose)(self, stream)
    }

    fn turn(&self) -> usize {
        self.own.len()
    }

    fn last(&self) -> Option<Move> {
        self.other.last().copied()
    }

    fn defected_lately(&self, turns: usize) -> bool {
        self.other.iter().rev().take(turns).any(|&m| m == D)
    }
}

/// A named strategy.
#[derive(Debug, Clone, Copy)]
pub struct RepeatedStrategy {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Whether it draws random numbers.
    pub random: bool,
    choose: fn(&mut Match, &mut Stream) -> Move,
}

fn if_defects(defects: bool) -> Move {
    if defects { D } else { C }
}

fn tit_for_tat(m: &mut Match, _: &mut Stream) -> Move {
    m.last().unwrap_or(C)
}

fn win_stay(m: &mut Match, _: &mut Stream) -> Move {
    match (m.own.last(), m.last()) {
        (Some(&own), Some(other)) => if_defects((own == D) == (other == C)),
        _ => C,
    }
}

fn prober(m: &mut Match, _: &mut Stream) -> Move {
    match m.turn() {
        0 => D,
        1 | 2 => C,
        _ if m.other[1] == C && m.other[2] == C => D,
        _ => m.last().unwrap_or(C),
    }
}

/// Punishes its nth provocation with n defections, then cooperates twice whatever happens (Beaufils et al. 1997).
fn gradual(m: &mut Match, _: &mut Stream) -> Move {
    if m.memory.calm {
        m.memory.calm = false;
        return C;
    }
    if m.memory.punishing {
        if m.memory.punished < m.memory.limit {
            m.memory.punished += 1;
            return D;
        }
        m.memory = Memory { calm: true, punishing: false, punished: 0, limit: m.memory.limit };
        return C;
    }
    if m.last() == Some(D) {
        m.memory.punishing = true;
        m.memory.punished += 1;
        m.memory.limit += 1;
        return D;
    }
    C
}

fn joss(m: &mut Match, stream: &mut Stream) -> Move {
    match m.last() {
        None => C,
        Some(D) => D,
        Some(C) => if_defects(stream.uniform_f64() >= 0.9),
    }
}

fn majority(m: &mut Match, _: &mut Stream) -> Move {
    if_defects(2 * m.other.iter().filter(|&&x| x == D).count() > m.other.len())
}

fn generous(m: &mut Match, stream: &mut Stream) -> Move {
    if_defects(m.last() == Some(D) && stream.uniform_f64() >= 1.0 / 3.0)
}

/// All strategies, the deterministic ones first.
pub const STRATEGIES: &[RepeatedStrategy] = &[
    fixed("cooperator", "always cooperates", |_, _| C),
    fixed("defector", "always defects", |_, _| D),
    fixed("tit-for-tat", "cooperates, then repeats the other's last move", tit_for_tat),
    fixed("grudger", "cooperates until the other once defects", |m, _| if_defects(m.other.contains(&D))),
    fixed("tit-for-2-tats", "defects after two defections in a row", |m, _| {
        if_defects(m.turn() >= 2 && m.other[m.turn() - 2..] == [D, D])
    }),
    fixed(
        "win-stay-lose-shift",
        "keeps a move that the other met with cooperation, else changes it",
        win_stay,
    ),
    fixed("alternator", "cooperates and defects in turn", |m, _| if_defects(m.turn() % 2 == 1)),
    fixed("suspicious-tit-for-tat", "defects, then repeats the other's last move", |m, _| {
        m.last().unwrap_or(D)
    }),
    fixed("cycler-ccd", "cooperates twice, defects once, and so on", |m, _| if_defects(m.turn() % 3 == 2)),
    fixed("cycler-ddc", "defects twice, cooperates once, and so on", |m, _| if_defects(m.turn() % 3 != 2)),
    fixed("prober", "defects, cooperates twice, then exploits who did not answer, else repeats", prober),
    fixed("hard-tit-for-tat", "defects if the other did in the last three turns", |m, _| {
        if_defects(m.defected_lately(3))
    }),
    fixed("soft-majority", "cooperates unless the other defected more often than not", majority),
    fixed("gradual", "punishes the nth provocation with n defections, then calms for two turns", gradual),
    fixed("bully", "defects, then plays the opposite of the other's last move", |m, _| {
        m.last().map_or(D, Move::flipped)
    }),
    RepeatedStrategy {
        name: "random",
        summary: "cooperates half of the time",
        random: true,
        choose: |_, stream| if_defects(stream.uniform_f64() >= 0.5),
    },
    RepeatedStrategy {
        name: "joss",
        summary: "tit for tat that defects one time in ten",
        random: true,
        choose: joss,
    },
    RepeatedStrategy {
        name: "generous-tit-for-tat",
        summary: "tit for tat that forgives one defection in three",
        random: true,
        choose: generous,
    },
];

const fn fixed(
    name: &'static str,
    summary: &'static str,
    choose: fn(&mut Match, &mut Stream) -> Move,
) -> RepeatedStrategy {
    RepeatedStrategy { name, summary, random: false, choose }
}
