//! The two grid games of Hu and Wellman (2003, "Nash Q-learning for general-sum stochastic games").
//!
//! A 3x3 grid; the first player starts in the lower left corner, the second in the lower right one. Each goes up, down,
//! left or right, both at once; moving off the grid is no move. If both would enter the same cell that is not a goal, or one would
//! enter the cell where the other stays, both stay and pay 1. Reaching one's goal pays 100 and ends the episode for both.
//! * Game 1: each goal is the opposite upper corner. Four moves without meeting: 97.0299 for both at discount 0.99.
//! * Game 2: both share the goal in the middle of the upper row, and going up from a start succeeds half of the time.
//!   One goes around the barrier (98.01), the other tries it (49.005), or the other way round.
//!
//! States: `9 * cell of first + cell of second`, cells row by row, and one terminal state, the last.

use super::{MarkovGame, MarkovGameBuilder};
use crate::Result;

const N: usize = 3;
const STARTS: [usize; 2] = [6, 8];
const TERMINAL: usize = 81;

/// State in which both players are at their starts.
pub const START: usize = 9 * STARTS[0] + STARTS[1];

/// Grid game 1: a goal each, no barrier.
///
/// # Errors
/// A discount outside 0 to 1.
pub fn grid_game_1(gamma: f64) -> Result<MarkovGame> {
    build(gamma, [2, 0], false)
}

/// Grid game 2: one goal, barriers above both starts.
///
/// # Errors
/// A discount outside 0 to 1.
pub fn grid_game_2(gamma: f64) -> Result<MarkovGame> {
    build(gamma, [1, 1], true)
}

fn moved(cell: usize, action: usize) -> usize {
    let (row, column) = (cell / N, cell % N);
    match action {
        0 => row.saturating_sub(1) * N + column,
        1 => (row + 1).min(N - 1) * N + column,
        2 => row * N + column.saturating_sub(1),
        _ => row * N + (column + 1).min(N - 1),
    }
}

fn build(gamma: f64, goals: [usize; 2], barrier: bool) -> Result<MarkovGame> {
    let mut b = MarkovGameBuilder::new(TERMINAL + 1, &[4, 4], gamma);
    b.terminal(TERMINAL);
    for state in 0..TERMINAL {
        let cells = [state / 9, state % 9];
        for joint in 0..16 {
            let actions = [joint / 4, joint % 4];
            // Whether each player's barrier holds: one bit a player.
            for held in 0..4_usize {
                let blocked = |i: usize| barrier && cells[i] == STARTS[i] && actions[i] == 0;
                let prob: f64 = (0..2)
                    .map(|i| match (blocked(i), held >> i & 1) {
                        (true, _) => 0.5,
                        (false, 0) => 1.0,
                        (false, _) => 0.0,
                    })
                    .product();
                if prob == 0.0 {
                    continue;
                }
                let target =
                    |i: usize| if held >> i & 1 == 1 { cells[i] } else { moved(cells[i], actions[i]) };
                let (next, rewards) = settle(cells, [target(0), target(1)], goals);
                b.outcome(state, joint, next, prob, &rewards);
            }
        }
    }
    let mut start = vec![0.0; TERMINAL + 1];
    start[START] = 1.0;
    b.start(&start);
    b.build()
}

/// State and rewards after both try to enter their targets.
fn settle(cells: [usize; 2], targets: [usize; 2], goals: [usize; 2]) -> (usize, [f64; 2]) {
    let at_goal = [targets[0] == goals[0], targets[1] == goals[1]];
    let meet = targets[0] == targets[1] && !(at_goal[0] && at_goal[1]) && cells[0] != cells[1];
    if meet {
        return (9 * cells[0] + cells[1], [-1.0, -1.0]);
    }
    let rewards = at_goal.map(|goal| if goal { 100.0 } else { 0.0 });
    let next = if at_goal[0] || at_goal[1] { TERMINAL } else { 9 * targets[0] + targets[1] };
    (next, rewards)
}
