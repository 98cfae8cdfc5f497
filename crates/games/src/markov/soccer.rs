//! Littman's soccer (1994, "Markov games as a framework for multi-agent reinforcement learning").
//!
//! Four rows, five columns; the goal mouths are the two middle rows. Each player goes up, down, right, left or stands;
//! both choose at once and move in random order. Moving into the other leaves both where they are and gives the ball
//! to the one who did not move into the other. Moving off the field through the other's goal with the ball scores: +1
//! to the first player through the right border, -1 through the left one. Any other way off the field is no move.
//! A goal ends the episode; the start with random possession has value 0, so that going on would give the same values.
//!
//! States: `(cell of first, cell of second, who has the ball)`, pairs of different cells only, 760 in all, and one
//! terminal state, the last. Start: first player at row 2, column 1, second at row 1, column 3, ball with either.

use super::{MarkovGame, MarkovGameBuilder};
use crate::Result;

/// Rows.
pub const N_ROWS: usize = 4;
/// Columns.
pub const N_COLUMNS: usize = 5;
/// Cell of the first player at the start.
pub const FIRST_START: usize = 2 * N_COLUMNS + 1;
/// Cell of the second player at the start.
pub const SECOND_START: usize = N_COLUMNS + 3;

const N_CELLS: usize = N_ROWS * N_COLUMNS;
const TERMINAL: usize = N_CELLS * (N_CELLS - 1) * 2;

/// Number of the state in which the players are on these (different) cells and `ball` (0 or 1) has the ball.
pub fn state(first: usize, second: usize, ball: usize) -> usize {
    let other = if second > first { second - 1 } else { second };
    (first * (N_CELLS - 1) + other) * 2 + ball
}

/// The moment: cells of both players and who has the ball.
#[derive(Clone, Copy)]
struct Moment {
    cells: [usize; 2],
    ball: usize,
}

/// Where `player` ends up: a moment, or the first player's reward for a goal.
fn step(now: Moment, player: usize, action: usize) -> std::result::Result<Moment, f64> {
    let (row, column) = (now.cells[player] / N_COLUMNS, now.cells[player] % N_COLUMNS);
    let (to_row, to_column) = match action {
        0 => (row.saturating_sub(1), column as isize),
        1 => ((row + 1).min(N_ROWS - 1), column as isize),
        2 => (row, column as isize + 1),
        3 => (row, column as isize - 1),
        _ => return Ok(now),
    };
    if to_column < 0 || to_column >= N_COLUMNS as isize {
        let forward = if player == 0 { 2 } else { 3 };
        let mouth = (1..N_ROWS - 1).contains(&row);
        return match mouth && action == forward && now.ball == player {
            true => Err(if player == 0 { 1.0 } else { -1.0 }),
            false => Ok(now),
        };
    }
    let target = to_row * N_COLUMNS + to_column as usize;
    if target == now.cells[1 - player] {
        return Ok(Moment { ball: 1 - player, ..now });
    }
    let mut next = now;
    next.cells[player] = target;
    Ok(next)
}

/// The game with discount `gamma` (0.9 in the paper).
///
/// # Errors
/// A discount outside 0 to 1.
pub fn soccer(gamma: f64) -> Result<MarkovGame> {
    let mut b = MarkovGameBuilder::new(TERMINAL + 1, &[5, 5], gamma);
    b.terminal(TERMINAL);
    for first in 0..N_CELLS {
        for second in (0..N_CELLS).filter(|&c| c != first) {
            for ball in 0..2 {
                for joint in 0..25 {
                    for order in [[0, 1], [1, 0]] {
                        let actions = [joint / 5, joint % 5];
                        let now = Moment { cells: [first, second], ball };
                        let after = step(now, order[0], actions[order[0]])
                            .and_then(|now| step(now, order[1], actions[order[1]]));
                        let (next, reward) = match after {
                            Ok(m) => (state(m.cells[0], m.cells[1], m.ball), 0.0),
                            Err(reward) => (TERMINAL, reward),
                        };
                        b.outcome(state(first, second, ball), joint, next, 0.5, &[reward, -reward]);
                    }
                }
            }
        }
    }
    let mut start = vec![0.0; TERMINAL + 1];
    start[state(FIRST_START, SECOND_START, 0)] = 0.5;
    start[state(FIRST_START, SECOND_START, 1)] = 0.5;
    b.start(&start);
    b.build()
}
