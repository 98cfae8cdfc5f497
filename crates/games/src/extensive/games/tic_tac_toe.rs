//! Tic-tac-toe: three in a row on a board of nine. Perfect information, value 0.
//!
//! Information is the order of moves, for example `40`, so that nobody forgets and every position of the tree is
//! its own information set (294,778 of them). Actions are the cells, row by row.

use coact_core::ObsField;

use crate::extensive::{Game, Turn};

const LINES: [u16; 8] = [0o007, 0o070, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124];

/// The rules.
#[derive(Debug, Clone)]
pub struct TicTacToe;

/// Moves so far.
#[derive(Debug, Clone, Copy)]
pub struct State {
    moves: [u8; 9],
    n_moves: u8,
    /// Cells of each player as bits.
    cells: [u16; 2],
}

impl State {
    fn winner(&self) -> Option<usize> {
        (0..2).find(|&p| LINES.iter().any(|&line| self.cells[p] & line == line))
    }

    fn is_free(&self, cell: u32) -> bool {
        (self.cells[0] | self.cells[1]) >> cell & 1 == 0
    }
}

impl Game for TicTacToe {
    type State = State;

    fn name(&self) -> String {
        "tic_tac_toe".into()
    }

    fn n_players(&self) -> usize {
        2
    }

    fn n_actions(&self) -> usize {
        9
    }

    fn start(&self) -> State {
        State { moves: [0; 9], n_moves: 0, cells: [0; 2] }
    }

    fn turn(&self, s: &State) -> Turn {
        if s.n_moves == 9 || s.winner().is_some() {
            Turn::Terminal
        } else {
            Turn::Player(s.n_moves as usize % 2)
        }
    }

    fn legal(&self, s: &State, actions: &mut Vec<u32>) {
        actions.extend((0..9).filter(|&c| s.is_free(c)));
    }

    fn chance(&self, _: &State, _: &mut Vec<(u32, u64)>) {}

    fn apply(&self, s: &mut State, action: u32) {
        s.cells[s.n_moves as usize % 2] |= 1 << action;
        s.moves[s.n_moves as usize] = action as u8;
        s.n_moves += 1;
    }

    fn returns(&self, s: &State, returns: &mut [f64]) {
        returns.fill(0.0);
        if let Some(winner) = s.winner() {
            returns[winner] = 1.0;
            returns[1 - winner] = -1.0;
        }
    }

    fn information(&self, s: &State, _: usize, key: &mut String) {
        key.extend(s.moves[..s.n_moves as usize].iter().map(|&m| char::from(b'0' + m)));
    }

    fn action_name(&self, _: &State, action: u32, name: &mut String) {
        name.push(char::from(b'0' + action as u8));
    }

    fn layout(&self) -> Vec<ObsField> {
        vec![ObsField::new("own", 9, 0.0, 1.0), ObsField::new("other", 9, 0.0, 1.0)]
    }

    fn observe(&self, s: &State, player: usize, obs: &mut [f32]) {
        for cell in 0..9 {
            obs[cell] = f32::from(s.cells[player] >> cell & 1);
            obs[9 + cell] = f32::from(s.cells[1 - player] >> cell & 1);
        }
    }
}
