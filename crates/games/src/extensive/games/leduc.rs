//! Leduc poker for 2 to 6 players (Southey et al. 2005): two betting rounds, one private and one public card.
//!
//! A deck of two suits and one rank more than players; an ante of 1. A raise adds 2 in the first round and 4 in the
//! second; at most two raises a round. Before the second round a public card is shown. A pair with it wins, else
//! the higher rank; equals share. Folding is possible only when facing a raise. Suits are kept apart, so two players
//! have 936 information sets; value -0.085606424078 for the first.
//!
//! Actions: 0 fold, 1 call (or check), 2 raise. Cards are numbered `2 * rank + suit`.

use std::fmt::Write as _;

use coact_core::ObsField;

use crate::extensive::{Game, Turn};
use crate::{Error, Result};

const MOST_PLAYERS: usize = 6;
/// Longest betting of one round: everybody calls, raise, calls, raise, calls.
const MOST_MOVES: usize = 3 * MOST_PLAYERS;
const FOLD: u8 = 0;
const CALL: u8 = 1;
const RAISE: u8 = 2;
const START_MONEY: u32 = 100;
const NO_CARD: u8 = u8::MAX;

/// The rules.
#[derive(Debug, Clone)]
pub struct Leduc {
    n: usize,
}

/// Cards, chips and moves.
#[derive(Debug, Clone, Copy)]
pub struct State {
    cards: [u8; MOST_PLAYERS],
    public: u8,
    n_dealt: u8,
    /// 0 or 1.
    round: u8,
    turn: Next,
    folded: [bool; MOST_PLAYERS],
    paid: [u8; MOST_PLAYERS],
    stake: u8,
    n_calls: u8,
    n_raises: u8,
    moves: [[u8; MOST_MOVES]; 2],
    n_moves: [u8; 2],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    Deal,
    Player(u8),
    Over,
}

impl Leduc {
    /// For `players` players.
    ///
    /// # Errors
    /// Fewer than 2 or more than 6 players.
    pub fn new(players: usize) -> Result<Self> {
        match players {
            2..=MOST_PLAYERS => Ok(Self { n: players }),
            _ => Err(Error::Invalid(format!("leduc_poker takes 2 to {MOST_PLAYERS} players, not {players}"))),
        }
    }

    fn n_cards(&self) -> u8 {
        2 * (self.n as u8 + 1)
    }

    /// Longest betting of a round with this number of players.
    fn most_moves(&self) -> usize {
        3 * self.n - 2
    }

    fn n_left(&self, s: &State) -> u8 {
        s.folded[..self.n].iter().filter(|f| !**f).count() as u8
    }

    fn player_after(&self, s: &State, player: Option<u8>) -> Next {
        let n = self.n as u8;
        let first = player.map_or(0, |p| p + 1);
        let next = (0..n).map(|k| (first + k) % n).find(|&p| !s.folded[p as usize]);
        next.map_or(Next::Over, Next::Player)
    }

    fn bet(&self, s: &mut State, player: u8, action: u8) {
        let (p, round) = (player as usize, s.round as usize);
        s.moves[round][s.n_moves[round] as usize] = action;
        s.n_moves[round] += 1;
        match action {
            FOLD => s.folded[p] = true,
            CALL => {
                s.paid[p] = s.stake;
                s.n_calls += 1;
            }
            _ => {
                s.stake += if s.round == 0 { 2 } else { 4 };
                s.paid[p] = s.stake;
                s.n_raises += 1;
                s.n_calls = 0;
            }
        }
        let left = self.n_left(s);
        let callers = if s.n_raises == 0 { left } else { left - 1 };
        s.turn = if left == 1 || (s.n_calls >= callers && s.round == 1) {
            Next::Over
        } else if s.n_calls >= callers {
            (s.round, s.n_calls, s.n_raises) = (1, 0, 0);
            Next::Deal
        } else {
            self.player_after(s, Some(player))
        };
    }

    /// Strength of a hand; larger is better.
    fn strength(&self, s: &State, player: usize) -> u32 {
        let (own, public) = (u32::from(s.cards[player] / 2), u32::from(s.public / 2));
        if own == public { 1000 + own } else { 10 * own.max(public) + own.min(public) }
    }

    fn is_dealt(&self, s: &State, player: usize) -> bool {
        player < s.n_dealt as usize
    }
}

impl Game for Leduc {
    type State = State;

    fn name(&self) -> String {
        if self.n == 2 { "leduc_poker".into() } else { format!("leduc_poker(players={})", self.n) }
    }

    fn n_players(&self) -> usize {
        self.n
    }

    fn n_actions(&self) -> usize {
        3
    }

    fn start(&self) -> State {
        State {
            cards: [NO_CARD; MOST_PLAYERS],
            public: NO_CARD,
            n_dealt: 0,
            round: 0,
            turn: Next::Deal,
            folded: [false; MOST_PLAYERS],
            paid: [1; MOST_PLAYERS],
            stake: 1,
            n_calls: 0,
            n_raises: 0,
            moves: [[0; MOST_MOVES]; 2],
            n_moves: [0; 2],
        }
    }

    fn turn(&self, s: &State) -> Turn {
        match s.turn {
            Next::Deal => Turn::Chance,
            Next::Player(p) => Turn::Player(p as usize),
            Next::Over => Turn::Terminal,
        }
    }

    fn legal(&self, s: &State, actions: &mut Vec<u32>) {
        let Next::Player(p) = s.turn else { return };
        if s.stake > s.paid[p as usize] {
            actions.push(u32::from(FOLD));
        }
        actions.push(u32::from(CALL));
        if s.n_raises < 2 {
            actions.push(u32::from(RAISE));
        }
    }

    fn chance(&self, s: &State, outcomes: &mut Vec<(u32, u64)>) {
        let gone = &s.cards[..s.n_dealt as usize];
        outcomes.extend((0..self.n_cards()).filter(|c| !gone.contains(c)).map(|c| (u32::from(c), 1)));
    }

    fn apply(&self, s: &mut State, action: u32) {
        match s.turn {
            Next::Deal if (s.n_dealt as usize) < self.n => {
                s.cards[s.n_dealt as usize] = action as u8;
                s.n_dealt += 1;
                if s.n_dealt as usize == self.n {
                    s.turn = Next::Player(0);
                }
            }
            Next::Deal => {
                s.public = action as u8;
                s.turn = self.player_after(s, None);
            }
            Next::Player(p) => self.bet(s, p, action as u8),
            Next::Over => {}
        }
    }

    fn returns(&self, s: &State, returns: &mut [f64]) {
        let in_play = |p: &usize| !s.folded[*p];
        let alone = self.n_left(s) == 1;
        let strength = |p: usize| if alone { 0 } else { self.strength(s, p) };
        let best = (0..self.n).filter(in_play).map(strength).max().unwrap_or(0);
        let wins = |p: usize| !s.folded[p] && strength(p) == best;
        let n_winners = (0..self.n).filter(|&p| wins(p)).count() as f64;
        let pot: f64 = s.paid[..self.n].iter().map(|&c| f64::from(c)).sum();
        for (p, r) in returns.iter_mut().enumerate() {
            *r = if wins(p) { pot / n_winners } else { 0.0 } - f64::from(s.paid[p]);
        }
    }

    fn information(&self, s: &State, player: usize, key: &mut String) {
        let card = if self.is_dealt(s, player) { i32::from(s.cards[player]) } else { -10000 };
        let mover = if let Next::Player(p) = s.turn { i32::from(p) } else { -1 };
        let paid = &s.paid[..self.n];
        let pot: u32 = paid.iter().map(|&c| u32::from(c)).sum();
        // Writing to a string cannot fail.
        let _ = write!(key, "[Observer: {player}][Private: {card}][Round {}]", s.round + 1);
        let _ = write!(key, "[Player: {mover}][Pot: {pot}][Money:");
        for &c in paid {
            let _ = write!(key, " {}", START_MONEY - u32::from(c));
        }
        key.push(']');
        if s.public != NO_CARD {
            let _ = write!(key, "[Public: {}]", s.public);
        }
        for round in 0..2 {
            let _ = write!(key, "[Round{}: ", round + 1);
            for (i, &m) in s.moves[round][..s.n_moves[round] as usize].iter().enumerate() {
                let _ = write!(key, "{}{m}", if i == 0 { "" } else { " " });
            }
            key.push(']');
        }
    }

    fn action_name(&self, s: &State, action: u32, name: &mut String) {
        match s.turn {
            Next::Player(_) => name.push_str(["Fold", "Call", "Raise"][action as usize % 3]),
            _ => name.push_str(&format!("{}{}", action / 2, ["a", "b"][action as usize % 2])),
        }
    }

    fn layout(&self) -> Vec<ObsField> {
        let cards = self.n_cards() as usize;
        vec![
            ObsField::new("player", self.n, 0.0, 1.0),
            ObsField::new("private_card", cards, 0.0, 1.0),
            ObsField::new("public_card", cards, 0.0, 1.0),
            ObsField::new("moves", 2 * 3 * self.most_moves(), 0.0, 1.0),
        ]
    }

    fn observe(&self, s: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let cards = self.n_cards() as usize;
        obs[player] = 1.0;
        if self.is_dealt(s, player) {
            obs[self.n + s.cards[player] as usize] = 1.0;
        }
        if s.public != NO_CARD {
            obs[self.n + cards + s.public as usize] = 1.0;
        }
        for round in 0..2 {
            let base = self.n + 2 * cards + 3 * round * self.most_moves();
            for (i, &m) in s.moves[round][..s.n_moves[round] as usize].iter().enumerate() {
                obs[base + 3 * i + m as usize] = 1.0;
            }
        }
    }
}
