//! Well-known small problems, built from their published definitions.
//!
//! * `dectiger` (Nair et al. 2003) and `dectiger-skewed`, which starts with 0.8 on the left.
//! * `recycling` robots (Amato, Bernstein and Zilberstein 2007).
//! * `broadcast` channel (Hansen, Bernstein and Zilberstein 2004).
//! * `gridsmall`: meeting in a 2x2 grid (Bernstein, Hansen and Zilberstein 2005), two observations an agent.
//! * `relay4`: two agents on either side of a wall exchange something through a door.
//! * `2generals` and `prisoners`: one shot made to last.

use super::{DecPomdp, RewardRow, Row, parse};
use crate::{Error, Result};

/// A problem that comes with the crate.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    /// Name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    build: fn() -> Result<DecPomdp>,
}

/// All of them.
pub const ALL: &[Problem] = &[
    entry("dectiger", "two agents, two doors, a tiger", || parse(DECTIGER)),
    entry("dectiger-skewed", "the tiger is on the left with probability 0.8", || {
        parse(&DECTIGER.replace("start:\nuniform", "start:\n0.8 0.2"))
    }),
    entry("recycling", "two robots collect cans until their batteries are low", || Ok(recycling())),
    entry("broadcast", "two stations share a channel", || Ok(broadcast())),
    entry("gridsmall", "two robots meet in a 2x2 grid", || Ok(grid_small())),
    entry("relay4", "two agents meet at a door", || Ok(relay())),
    entry("2generals", "attack together, but only a small army", || parse(GENERALS)),
    entry("prisoners", "the prisoner's dilemma with one reward", || parse(PRISONERS)),
];

const fn entry(name: &'static str, summary: &'static str, build: fn() -> Result<DecPomdp>) -> Problem {
    Problem { name, summary, build }
}

/// The problem of that name.
///
/// # Errors
/// A name that is not in [`ALL`].
pub fn problem(name: &str) -> Result<DecPomdp> {
    match ALL.iter().find(|p| p.name == name) {
        Some(problem) => (problem.build)(),
        None => {
            let hint = coact_core::nearest::hint(name, ALL.iter().map(|p| p.name));
            Err(Error::invalid(format!("there is no built-in team problem `{name}`{hint}")))
        }
    }
}

const DECTIGER: &str = "\
agents: 2
discount: 1
values: reward
states: tiger-left tiger-right
start:
uniform
actions:
listen open-left open-right
listen open-left open-right
observations:
hear-left hear-right
hear-left hear-right
# Any opened door puts the tiger behind a random one; who opens hears nothing.
T: * :
uniform
T: listen listen :
identity
O: * :
uniform
# Each agent hears right with probability 0.85.
O: listen listen :
0.7225 0.1275 0.1275 0.0225
0.0225 0.1275 0.1275 0.7225
R: listen listen : * : * : * : -2
R: open-left open-left : tiger-left : * : * : -50
R: open-left open-left : tiger-right : * : * : 20
R: open-right open-right : tiger-left : * : * : 20
R: open-right open-right : tiger-right : * : * : -50
R: open-left open-right : * : * : * : -100
R: open-right open-left : * : * : * : -100
R: open-left listen : tiger-left : * : * : -101
R: open-left listen : tiger-right : * : * : 9
R: listen open-left : tiger-left : * : * : -101
R: listen open-left : tiger-right : * : * : 9
R: open-right listen : tiger-left : * : * : 9
R: open-right listen : tiger-right : * : * : -101
R: listen open-right : tiger-left : * : * : 9
R: listen open-right : tiger-right : * : * : -101
";

const GENERALS: &str = "\
agents: 2
discount: 1
values: reward
states: small large
start:
uniform
actions:
observe attack
observe attack
observations:
see-small see-large
see-small see-large
T: * :
uniform
T: observe observe :
identity
O: * :
uniform
O: observe observe :
0.7225 0.1275 0.1275 0.0225
0.0225 0.1275 0.1275 0.7225
R: observe observe : * : * : * : -1
R: attack attack : small : * : * : 5
R: attack attack : large : * : * : -20
R: attack observe : * : * : * : -10
R: observe attack : * : * : * : -10
";

const PRISONERS: &str = "\
agents: 2
discount: 1
values: reward
states: 1
start: 0
actions:
silent betray
silent betray
observations:
was-silent betrayed
was-silent betrayed
T: * :
identity
O: silent silent : * : was-silent was-silent : 1
O: silent betray : * : was-silent betrayed : 1
O: betray silent : * : betrayed was-silent : 1
O: betray betray : * : betrayed betrayed : 1
R: silent silent : * : * : * : -1
R: silent betray : * : * : * : -10
R: betray silent : * : * : * : 0
R: betray betray : * : * : * : -5
";

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Two equal agents whose own states, moves and observations are put together; rewards by joint action and state.
struct Pair<'a> {
    discount: f64,
    /// Names of each agent's own states; the joint state counts with the second agent's fastest.
    own_states: [&'a [&'a str]; 2],
    start: [usize; 2],
    actions: &'a [&'a str],
    observations: &'a [&'a str],
}

impl Pair<'_> {
    /// `moves(agent, joint action, own states)` and `sees(agent, joint action, own states after)` are distributions over own
    /// states and observations; `reward(joint action, own states)`.
    fn build(
        &self,
        moves: &dyn Fn(usize, [usize; 2], [usize; 2]) -> Vec<f64>,
        sees: &dyn Fn(usize, [usize; 2], [usize; 2]) -> Vec<f64>,
        reward: &dyn Fn([usize; 2], [usize; 2]) -> f64,
    ) -> DecPomdp {
        let [first, second] = self.own_states;
        let (n_second, n_actions) = (second.len(), self.actions.len());
        let n = first.len() * n_second;
        let both = |a: &[f64], b: &[f64]| -> Row {
            let products = a.iter().flat_map(|x| b.iter().map(move |y| x * y));
            products.enumerate().filter(|(_, p)| *p > 0.0).map(|(i, p)| (i as u32, p)).collect()
        };
        let (mut transition, mut observation, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
        for joint in 0..n_actions * n_actions {
            let actions = [joint / n_actions, joint % n_actions];
            for state in 0..n {
                let own = [state / n_second, state % n_second];
                transition.push(both(&moves(0, actions, own), &moves(1, actions, own)));
                observation.push(both(&sees(0, actions, own), &sees(1, actions, own)));
                rewards.push(RewardRow::Constant(reward(actions, own)));
            }
        }
        let mut start = vec![0.0; n];
        start[self.start[0] * n_second + self.start[1]] = 1.0;
        let states = first.iter().flat_map(|a| second.iter().map(move |b| format!("{a}-{b}"))).collect();
        DecPomdp {
            discount: self.discount,
            cost: false,
            states,
            actions: vec![names(self.actions); 2],
            observations: vec![names(self.observations); 2],
            start,
            transition,
            observation,
            reward: rewards,
        }
    }
}

/// Each robot recharges (back to high for sure), collects a small can alone, or helps with the big one. A search with high
/// battery leaves it low with probability 0.3 (small) or 0.5 (big); with low battery it runs flat with probability
/// 0.2 or 0.3, which costs 10 and puts a charged robot in its place. Cans count if no robot runs flat: 2 for each small
/// one, 5 for the big one if both help.
fn recycling() -> DecPomdp {
    let pair = Pair {
        discount: 0.9,
        own_states: [&["high", "low"]; 2],
        start: [0, 0],
        actions: &["recharge", "small", "big"],
        observations: &["high", "low"],
    };
    let high = |action: usize, battery: usize| [[1.0, 1.0], [0.7, 0.2], [0.5, 0.3]][action][battery];
    let flat = |action: usize, battery: usize| [[0.0, 0.0], [0.0, 0.2], [0.0, 0.3]][action][battery];
    pair.build(
        &|i, a, own| vec![high(a[i], own[i]), 1.0 - high(a[i], own[i])],
        &|i, _, own| vec![1.0 - own[i] as f64, own[i] as f64],
        &|a, own| {
            let cans = match a {
                [2, 2] => 5.0,
                _ => 2.0 * a.iter().filter(|&&x| x == 1).count() as f64,
            };
            let risks = [flat(a[0], own[0]), flat(a[1], own[1])];
            (1.0 - risks[0]) * (1.0 - risks[1]) * cans - 10.0 * (risks[0] + risks[1])
        },
    )
}

/// Each station has a message or not, and sends or waits. A message that is sent is gone; an empty buffer gets one with
/// probability 0.9 (first station) or 0.1 (second). One message alone on the channel pays 1. Each station hears whether
/// both sent, wrongly with probability 0.1.
fn broadcast() -> DecPomdp {
    let pair = Pair {
        discount: 1.0,
        own_states: [&["empty", "message"]; 2],
        start: [1, 1],
        actions: &["send", "wait"],
        observations: &["collision", "no-collision"],
    };
    pair.build(
        &|i, a, own| {
            let arrival = [0.9, 0.1][i];
            let kept = own[i] == 1 && a[i] == 1;
            if kept { vec![0.0, 1.0] } else { vec![1.0 - arrival, arrival] }
        },
        &|_, a, _| if a == [0, 0] { vec![0.9, 0.1] } else { vec![0.1, 0.9] },
        &|a, own| match a {
            [0, 1] => own[0] as f64,
            [1, 0] => own[1] as f64,
            _ => 0.0,
        },
    )
}

/// Robots on the cells of a 2x2 grid. A move goes as meant with probability 0.6 and each other way, or nowhere, with 0.1; into a
/// wall it stays. Each robot sees on which side it has a neighbor cell, left or right. A decision that leads both to the
/// same cell pays 1. They start in opposite corners.
fn grid_small() -> DecPomdp {
    let cells: &[&str] = &["a", "b", "c", "d"];
    let pair = Pair {
        discount: 0.9,
        own_states: [cells, cells],
        start: [1, 2],
        actions: &["up", "down", "left", "right", "stay"],
        observations: &["right-is-free", "left-is-free"],
    };
    let to = |cell: usize, way: usize| match (way, cell / 2, cell % 2) {
        (0, 1, _) => cell - 2,
        (1, 0, _) => cell + 2,
        (2, _, 1) => cell - 1,
        (3, _, 0) => cell + 1,
        _ => cell,
    };
    let moves = move |i: usize, a: [usize; 2], own: [usize; 2]| -> Vec<f64> {
        let mut p = vec![0.0; 4];
        if a[i] == 4 {
            p[own[i]] = 1.0;
        } else {
            (0..5).for_each(|way| p[to(own[i], way)] += if way == a[i] { 0.6 } else { 0.1 });
        }
        p
    };
    let sees = |i: usize, _: [usize; 2], own: [usize; 2]| {
        if own[i].is_multiple_of(2) { vec![1.0, 0.0] } else { vec![0.0, 1.0] }
    };
    // The reward of the next state, in expectation; moves are independent.
    let reward = move |a: [usize; 2], own: [usize; 2]| {
        let (p, q) = (moves(0, a, own), moves(1, a, own));
        p.iter().zip(&q).map(|(p, q)| p * q).sum()
    };
    pair.build(&moves, &sees, &reward)
}

/// Each agent is near the door or away from it. Shuffling puts it in one of both places at random, sensing tells with
/// probability 0.9 where it is, and an exchange by both at the door pays 50 and puts both in random places; any other exchange
/// costs 50, everything else 1. Both start away.
fn relay() -> DecPomdp {
    let pair = Pair {
        discount: 0.95,
        own_states: [&["near", "away"]; 2],
        start: [1, 1],
        actions: &["shuffle", "exchange", "sense"],
        observations: &["door", "no-door", "idle"],
    };
    pair.build(
        &|i, a, own| {
            let random = a[i] == 0 || (a == [1, 1] && own == [0, 0]);
            if random { vec![0.5, 0.5] } else { vec![1.0 - own[i] as f64, own[i] as f64] }
        },
        &|i, a, own| match (a[i], own[i]) {
            (2, 0) => vec![0.9, 0.1, 0.0],
            (2, _) => vec![0.1, 0.9, 0.0],
            _ => vec![0.0, 0.0, 1.0],
        },
        &|a, own| match (a, own) {
            ([1, 1], [0, 0]) => 50.0,
            _ if a.contains(&1) => -50.0,
            _ => -1.0,
        },
    )
}
