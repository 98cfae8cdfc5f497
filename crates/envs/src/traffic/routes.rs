//! Roads and routes of the junctions. Not here: cars.
//!
//! Traffic keeps to the right. A route enters at the edge and drives straight; in a junction of two roads (four cells) a
//! right turn leaves after one cell, a left turn after two, straight on after two as well. After two junctions a car
//! drives straight on until it leaves.

use super::Difficulty;

/// A cell as row and column.
pub type Cell = [usize; 2];

/// Roads, and routes by where they begin.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Cells along a side.
    pub dim: usize,
    /// Number of each cell as a place on a road, by row and column; `None` off the road. Where roads cross, the later
    /// one counts, and the number of places is that of the roads without their crossings taken off.
    pub place: Vec<Option<usize>>,
    /// For each point of arrival, its routes: straight on first, then right, then left.
    pub routes: Vec<Vec<Vec<Cell>>>,
}

/// What a car does at a junction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Straight,
    Right,
    Left,
}

const TURNS: [Turn; 3] = [Turn::Straight, Turn::Right, Turn::Left];

impl Plan {
    /// The plan of a difficulty on a grid of `dim` cells (one more on each side if it is easy).
    pub fn new(difficulty: Difficulty, dim: usize) -> Self {
        match difficulty {
            Difficulty::Easy => Self::easy(dim + 1),
            Difficulty::Medium => {
                let lanes = [dim / 2 - 1, dim / 2];
                Self::roads(dim, &[lanes], &[lanes])
            }
            Difficulty::Hard => {
                let lanes = [[dim / 3 - 2, dim / 3 - 1], [2 * dim / 3, 2 * dim / 3 + 1]];
                Self::roads(dim, &lanes, &lanes)
            }
        }
    }

    /// Two one-way roads that cross.
    fn easy(dim: usize) -> Self {
        let middle = dim / 2;
        let mut plan = Self { dim, place: vec![None; dim * dim], routes: Vec::new() };
        let row: Vec<Cell> = (0..dim).map(|i| [middle, i]).collect();
        let col: Vec<Cell> = (0..dim).map(|i| [i, middle]).collect();
        plan.number(row.iter().chain(&col));
        plan.routes = vec![vec![col], vec![row]];
        plan
    }

    /// Two-way roads of two lanes each.
    fn roads(dim: usize, rows: &[[usize; 2]], cols: &[[usize; 2]]) -> Self {
        let mut plan = Self { dim, place: vec![None; dim * dim], routes: Vec::new() };
        let across = rows.iter().flat_map(|lanes| lanes.iter().flat_map(|r| (0..dim).map(move |c| [*r, c])));
        // Along a column road cells count row by row.
        let down =
            cols.iter().flat_map(|lanes| (0..dim).flat_map(move |r| lanes.iter().map(move |c| [r, *c])));
        let cells: Vec<Cell> = across.chain(down).collect();
        plan.number(cells.iter());
        // Arrivals: from the top down the left lane, from the bottom up the right one, from the left on the lower row,
        // from the right on the upper one. The original lists them in this order, which differs with the number of roads.
        let top = cols.iter().map(|lanes| ([0, lanes[0]], [1, 0]));
        let bottom = cols.iter().map(|lanes| ([dim - 1, lanes[1]], [-1, 0]));
        let left = rows.iter().map(|lanes| ([lanes[1], 0], [0, 1]));
        let right = rows.iter().map(|lanes| ([lanes[0], dim - 1], [0, -1]));
        let arrivals: Vec<_> = if rows.len() == 1 {
            top.chain(bottom).chain(left).chain(right).collect()
        } else {
            top.chain(left).chain(bottom).chain(right).collect()
        };
        let in_rows = |r: usize| rows.iter().any(|lanes| lanes.contains(&r));
        let in_cols = |c: usize| cols.iter().any(|lanes| lanes.contains(&c));
        let junction = |cell: Cell| in_rows(cell[0]) && in_cols(cell[1]);
        for (start, heading) in arrivals {
            let mut routes = Vec::new();
            for first in TURNS {
                for second in TURNS {
                    let (route, junctions) = drive(dim, start, heading, [first, second], junction);
                    routes.push(route);
                    // The second turn only makes a difference where there is a second junction.
                    if junctions == 1 {
                        break;
                    }
                }
            }
            plan.routes.push(routes);
        }
        plan
    }

    /// Numbers cells in order; cells that come again get the later number.
    fn number<'a>(&mut self, cells: impl Iterator<Item = &'a Cell>) {
        for (number, [r, c]) in cells.enumerate() {
            self.place[r * self.dim + c] = Some(number);
        }
    }
}

/// The route of a car with its turns at the first two junctions, and the number of junctions that it passes.
fn drive(
    dim: usize,
    start: Cell,
    heading: [isize; 2],
    turns: [Turn; 2],
    junction: impl Fn(Cell) -> bool,
) -> (Vec<Cell>, usize) {
    let (mut at, mut heading) = (start, heading);
    let mut route = vec![at];
    let (mut passed, mut inside) = (0, 0);
    loop {
        let turn = turns.get(passed).copied().unwrap_or(Turn::Straight);
        inside = if junction(at) { inside + 1 } else { 0 };
        match (turn, inside) {
            (Turn::Right, 1) => heading = [heading[1], -heading[0]],
            (Turn::Left, 2) => heading = [-heading[1], heading[0]],
            _ => {}
        }
        let next = [at[0].wrapping_add_signed(heading[0]), at[1].wrapping_add_signed(heading[1])];
        let outside = next[0] >= dim || next[1] >= dim;
        if inside > 0 && (outside || !junction(next)) {
            passed += 1;
        }
        if outside {
            return (route, passed);
        }
        at = next;
        route.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(plan: &Plan) -> Vec<usize> {
        let mut all: Vec<usize> = plan.routes.iter().flatten().map(Vec::len).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn routes_are_as_many_and_as_long_as_the_originals() {
        let easy = Plan::new(Difficulty::Easy, 6);
        assert_eq!((easy.dim, lengths(&easy)), (7, vec![7, 7]));
        let medium = Plan::new(Difficulty::Medium, 14);
        assert_eq!(lengths(&medium), [[13; 4], [14; 4], [15; 4]].concat());
        let hard = Plan::new(Difficulty::Hard, 18);
        let all = lengths(&hard);
        assert_eq!((all.len(), all[0], all[55]), (56, 9, 27));
        assert!(hard.routes.iter().all(|r| r.len() == 7));
    }

    #[test]
    fn routes_stay_on_roads_and_move_cell_by_cell() {
        for (difficulty, dim) in [(Difficulty::Medium, 14), (Difficulty::Hard, 18)] {
            let plan = Plan::new(difficulty, dim);
            for route in plan.routes.iter().flatten() {
                assert!(route.iter().all(|[r, c]| plan.place[r * dim + c].is_some()));
                for pair in route.windows(2) {
                    let far = pair[0][0].abs_diff(pair[1][0]) + pair[0][1].abs_diff(pair[1][1]);
                    assert_eq!(far, 1);
                }
                let edge = |[r, c]: Cell| r == 0 || c == 0 || r == dim - 1 || c == dim - 1;
                assert!(edge(route[0]) && edge(route[route.len() - 1]));
            }
        }
        // From the top: straight on, right to the left edge, left to the right edge.
        let plan = Plan::new(Difficulty::Medium, 14);
        let ends: Vec<Cell> = plan.routes[0].iter().map(|r| r[r.len() - 1]).collect();
        assert_eq!(ends, [[13, 6], [6, 0], [7, 13]]);
    }
}
