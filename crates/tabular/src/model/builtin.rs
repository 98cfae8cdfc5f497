//! Textbook models by name.
//!
//! Sources: Sutton and Barto, "Reinforcement Learning: An Introduction", 2nd edition (2018); the grid worlds and the
//! taxi of the Gymnasium toy-text collection.

use super::{Model, ModelBuilder, read_grid};
use crate::exponential::exp;
use crate::{Error, Result};

/// A model that comes with the crate.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinModel {
    /// Name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    build: fn() -> Result<Model>,
}

impl BuiltinModel {
    /// Builds it.
    ///
    /// # Errors
    /// None in practice; building checks like for any other model.
    pub fn build(&self) -> Result<Model> {
        (self.build)()
    }
}

/// All of them.
pub const ALL: &[BuiltinModel] = &[
    entry("grid5", "5x5 grid with two jumps, gamma 0.9 (book, figure 3.5)", || read_grid(GRID5)),
    entry("grid4", "4x4 grid to two corners, -1 a step, gamma 1 (book, figure 4.1)", || read_grid(GRID4)),
    entry("gambler", "gambler's problem, heads with probability 0.4 (book, example 4.3)", || gambler(0.4)),
    entry("gambler-p25", "gambler's problem, heads with probability 0.25", || gambler(0.25)),
    entry("gambler-p55", "gambler's problem, heads with probability 0.55", || gambler(0.55)),
    entry("jack", "Jack's car rental, exact Poisson, gamma 0.9 (book, example 4.2)", || jack(false)),
    entry("jack-modified", "Jack's car rental with a free car and parking cost (book, exercise 4.7)", || {
        jack(true)
    }),
    entry("frozenlake", "FrozenLake 4x4, slippery, gamma 0.99", || frozen_lake(LAKE4, true)),
    entry("frozenlake-dry", "FrozenLake 4x4, not slippery, gamma 0.99", || frozen_lake(LAKE4, false)),
    entry("frozenlake8x8", "FrozenLake 8x8, slippery, gamma 0.99", || frozen_lake(LAKE8, true)),
    entry("cliff", "cliff walking, gamma 1 (book, example 6.6)", || cliff(0.0)),
    entry("cliff-slippery", "cliff walking, each move one of three directions, gamma 1", || cliff(2.0 / 3.0)),
    entry("taxi", "taxi of 500 states, gamma 1", taxi),
    entry("windy", "windy grid, four moves, gamma 1 (book, example 6.5)", || windy(4)),
    entry("windy-king", "windy grid, eight moves, gamma 1 (book, exercise 6.9)", || windy(8)),
    entry("maze", "Dyna maze, gamma 0.95 (book, example 8.1)", || read_grid(MAZE)),
    entry("corridor", "short corridor, its second state switched, gamma 1 (book, example 13.1)", corridor),
    entry("walk5", "random walk of 5 states, reward 1 at the right end, gamma 1 (book, example 6.2)", || {
        walk(5, 0.0)
    }),
    entry("walk19", "random walk of 19 states, -1 and +1 at the ends, gamma 1 (book, example 7.1)", || {
        walk(19, -1.0)
    }),
];

const fn entry(name: &'static str, summary: &'static str, build: fn() -> Result<Model>) -> BuiltinModel {
    BuiltinModel { name, summary, build }
}

/// The model of that name.
///
/// # Errors
/// A name that is not in [`ALL`].
pub fn builtin(name: &str) -> Result<Model> {
    match ALL.iter().find(|m| m.name == name) {
        Some(model) => model.build(),
        None => {
            let hint = coact_core::nearest::hint(name, ALL.iter().map(|m| m.name));
            Err(Error::invalid(format!("there is no built-in model `{name}`{hint}")))
        }
    }
}

const GRID5: &str = "\
gamma 0.9
bump -1
letter A reward 10 leads a
letter B reward 5 leads b
map
.A.B.
.....
...b.
.....
.a...
";

const GRID4: &str = "\
gamma 1
step -1
letter T end
map
T...
....
....
...T
";

const LAKE4: &str = "\
SFFF
FHFH
FFFH
HFFG
";

const LAKE8: &str = "\
SFFFFFFF
FFFFFFFF
FFFHFFFF
FFFFFHFF
FFFHFFFF
FHHFFFHF
FHFFHFHF
FFFHFFFG
";

const MAZE: &str = "\
gamma 0.95
letter G reward 1 end
map
.......#G
..#....#.
S.#....#.
..#......
.....#...
.........
";

fn frozen_lake(map: &str, slippery: bool) -> Result<Model> {
    let slip = if slippery { 2.0 / 3.0 } else { 0.0 };
    read_grid(&format!("gamma 0.99\nslip {slip}\nletter H end\nletter G reward 1 end\nmap\n{map}"))
}

fn cliff(slip: f64) -> Result<Model> {
    let field = "............\n".repeat(3);
    read_grid(&format!(
        "gamma 1\nstep -1\nslip {slip}\nletter C reward -100 sends S\nletter G end\nmap\n{field}SCCCCCCCCCCG\n"
    ))
}

fn windy(moves: usize) -> Result<Model> {
    let row = "..........\n".repeat(3);
    read_grid(&format!(
        "gamma 1\nstep -1\nmoves {moves}\nwind 0 0 0 1 1 1 2 2 1 0\nletter G end\nmap\n{row}S......G..\n{row}"
    ))
}

/// Capital 0 to 100, stakes 1 to 50, reward 1 for reaching 100.
fn gambler(heads: f64) -> Result<Model> {
    let mut b = ModelBuilder::new(101, 50, 1.0);
    b.terminal(0).terminal(100).start(50, 1.0);
    for capital in 1..100_usize {
        for stake in 1..=capital.min(100 - capital) {
            let won = capital + stake;
            b.transition(capital, stake - 1, won, heads, if won == 100 { 1.0 } else { 0.0 });
            b.transition(capital, stake - 1, capital - stake, 1.0 - heads, 0.0);
        }
    }
    b.action_names((1..=50).map(|stake| stake.to_string()).collect());
    b.build()
}

/// Three states in a row before the end; left and right, in the second state the other way round. -1 a step.
fn corridor() -> Result<Model> {
    let mut b = ModelBuilder::new(4, 2, 1.0);
    b.terminal(3).action_names(vec!["left".into(), "right".into()]);
    for (state, left, right) in [(0, 0, 1), (1, 2, 0), (2, 1, 3)] {
        b.transition(state, 0, left, 1.0, -1.0).transition(state, 1, right, 1.0, -1.0);
    }
    b.build()
}

/// A walk between two ends; the single action goes either way with probability one half.
fn walk(n: usize, left: f64) -> Result<Model> {
    let mut b = ModelBuilder::new(n + 2, 1, 1.0);
    b.terminal(0).terminal(n + 1).start(n.div_ceil(2), 1.0);
    for s in 1..=n {
        b.transition(s, 0, s - 1, 0.5, if s == 1 { left } else { 0.0 });
        b.transition(s, 0, s + 1, 0.5, if s == n { 1.0 } else { 0.0 });
    }
    b.build()
}

/// Cars at each place after a night, and the mean number rented out, by cars in the morning.
struct Place {
    /// `[21, 21]`.
    after: Vec<f64>,
    rented: Vec<f64>,
}

const CARS: usize = 20;

/// Probabilities of 0, 1, ... of a Poisson distribution with a whole mean; enough for a tail below 1e-16.
fn poisson(mean: i32) -> Vec<f64> {
    let mut p = vec![exp(-f64::from(mean))];
    for k in 1..64 {
        p.push(p[k - 1] * f64::from(mean) / k as f64);
    }
    p
}

impl Place {
    fn new(requests: i32, returns: i32) -> Self {
        let (request, back) = (poisson(requests), poisson(returns));
        let mut after = vec![0.0; (CARS + 1) * (CARS + 1)];
        let mut rented = vec![0.0; CARS + 1];
        for morning in 0..=CARS {
            for (asked, p) in request.iter().enumerate() {
                let out = asked.min(morning);
                rented[morning] += p * out as f64;
                for (returned, q) in back.iter().enumerate() {
                    let evening = (morning - out + returned).min(CARS);
                    after[morning * (CARS + 1) + evening] += p * q;
                }
            }
        }
        Self { after, rented }
    }
}

/// State `21 * first + second`: cars in the evening. Action `a`: move `a - 5` cars from the first place to the second.
fn jack(modified: bool) -> Result<Model> {
    let (first, second) = (Place::new(3, 3), Place::new(4, 2));
    let n = CARS + 1;
    let n_states = n * n;
    let (mut p, mut reward) = (vec![0.0; n_states * 11 * n_states], vec![0.0; n_states * 11]);
    let mut legal = vec![false; n_states * 11];
    for state in 0..n_states {
        for action in 0..11 {
            let moved = action as i64 - 5;
            let (a, b) = ((state / n) as i64 - moved, (state % n) as i64 + moved);
            if a < 0 || b < 0 {
                continue;
            }
            let (a, b) = ((a as usize).min(CARS), (b as usize).min(CARS));
            let row = state * 11 + action;
            legal[row] = true;
            let free = i64::from(modified && moved > 0);
            let parking = if modified { 4.0 * f64::from(u8::from(a > 10) + u8::from(b > 10)) } else { 0.0 };
            let moving = 2.0 * (moved.abs() - free) as f64;
            reward[row] = 10.0 * (first.rented[a] + second.rented[b]) - moving - parking;
            for x in 0..n {
                for y in 0..n {
                    p[row * n_states + x * n + y] = first.after[a * n + x] * second.after[b * n + y];
                }
            }
        }
    }
    let mut start = vec![0.0; n_states];
    start[10 * n + 10] = 1.0;
    let model = Model {
        n_states,
        n_actions: 11,
        gamma: 0.9,
        kernel: super::Kernel::Dense(p),
        reward,
        outcome_reward: Vec::new(),
        legal,
        terminal: vec![false; n_states],
        start,
        state_names: (0..n_states).map(|s| format!("{},{}", s / n, s % n)).collect(),
        action_names: (-5..=5).map(|moved: i32| moved.to_string()).collect(),
    };
    model.check()?;
    Ok(model)
}

/// Cells of the four stands R, G, Y, B.
const STANDS: [(usize, usize); 4] = [(0, 0), (0, 4), (4, 0), (4, 3)];

/// Row, column, passenger (a stand, or 4 for aboard) and destination, in this order of significance, and one terminal
/// state. Actions: down, up, right, left, pick up, put down.
fn taxi() -> Result<Model> {
    let number = |row: usize, column: usize, who: usize, to: usize| ((row * 5 + column) * 5 + who) * 4 + to;
    let wall_right = |row: usize, column: usize| match row {
        0 | 1 => column == 1,
        3 | 4 => column == 0 || column == 2,
        _ => false,
    };
    let mut b = ModelBuilder::new(501, 6, 1.0);
    b.terminal(500);
    let all = (0..500).map(|s| (s / 100, s / 20 % 5, s / 4 % 5, s % 4));
    for (state, (row, column, who, to)) in all.enumerate() {
        let stand = STANDS.iter().position(|&cell| cell == (row, column));
        let (right, left) = (
            if column == 4 || wall_right(row, column) { column } else { column + 1 },
            if column == 0 || wall_right(row, column - 1) { column } else { column - 1 },
        );
        b.transition(state, 0, number((row + 1).min(4), column, who, to), 1.0, -1.0);
        b.transition(state, 1, number(row.saturating_sub(1), column, who, to), 1.0, -1.0);
        b.transition(state, 2, number(row, right, who, to), 1.0, -1.0);
        b.transition(state, 3, number(row, left, who, to), 1.0, -1.0);
        match who < 4 && stand == Some(who) {
            true => b.transition(state, 4, number(row, column, 4, to), 1.0, -1.0),
            false => b.transition(state, 4, state, 1.0, -10.0),
        };
        match (who, stand) {
            (4, Some(here)) if here == to => b.transition(state, 5, 500, 1.0, 20.0),
            (4, Some(here)) => b.transition(state, 5, number(row, column, here, to), 1.0, -1.0),
            _ => b.transition(state, 5, state, 1.0, -10.0),
        };
        if who < 4 && who != to {
            b.start(state, 1.0 / 300.0);
        }
    }
    let names = ["down", "up", "right", "left", "pick-up", "put-down"];
    b.action_names(names.iter().map(ToString::to_string).collect());
    b.build()
}
