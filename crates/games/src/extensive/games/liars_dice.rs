//! Liar's dice for two players with one die each.
//!
//! Both roll in secret. In turn, a player bids a quantity and a face, higher than the bid before (first by quantity,
//! then by face), or calls the last bidder a liar. The highest face is wild. If the dice show at least the
//! quantity, the last bidder wins 1, else the caller does. Six sides: 24,576 information sets, value
//! -0.027131782945736 for the first player.
//!
//! Information: own die and the bids, for example `2 1-2 1-5`. The last action is the call.

use std::fmt::Write as _;

use coact_core::ObsField;

use crate::extensive::{Game, Turn};
use crate::{Error, Result};

/// The rules.
#[derive(Debug, Clone)]
pub struct LiarsDice {
    sides: u32,
}

/// Dice and bids.
#[derive(Debug, Clone, Copy)]
pub struct State {
    dice: [u8; 2],
    n_rolled: u8,
    /// Bit `b` is set if bid `b` was made.
    bids: u32,
    called: bool,
}

impl LiarsDice {
    /// With dice of `sides` sides.
    ///
    /// # Errors
    /// Fewer than 2 or more than 9 sides.
    pub fn new(sides: usize) -> Result<Self> {
        match sides {
            2..=9 => Ok(Self { sides: sides as u32 }),
            _ => Err(Error::Invalid(format!("liars_dice takes dice of 2 to 9 sides, not {sides}"))),
        }
    }

    fn n_bids(&self) -> u32 {
        2 * self.sides
    }

    /// Number of the first bid that is higher than all before.
    fn next_bid(s: &State) -> u32 {
        u32::BITS - s.bids.leading_zeros()
    }
}

impl Game for LiarsDice {
    type State = State;

    fn name(&self) -> String {
        if self.sides == 6 { "liars_dice".into() } else { format!("liars_dice(sides={})", self.sides) }
    }

    fn n_players(&self) -> usize {
        2
    }

    fn n_actions(&self) -> usize {
        self.n_bids() as usize + 1
    }

    fn start(&self) -> State {
        State { dice: [0; 2], n_rolled: 0, bids: 0, called: false }
    }

    fn turn(&self, s: &State) -> Turn {
        match (s.n_rolled, s.called) {
            (0 | 1, _) => Turn::Chance,
            (_, true) => Turn::Terminal,
            _ => Turn::Player(s.bids.count_ones() as usize % 2),
        }
    }

    fn legal(&self, s: &State, actions: &mut Vec<u32>) {
        let last = self.n_bids() - u32::from(s.bids == 0);
        actions.extend(Self::next_bid(s)..=last);
    }

    fn chance(&self, _: &State, outcomes: &mut Vec<(u32, u64)>) {
        outcomes.extend((1..=self.sides).map(|face| (face, 1)));
    }

    fn apply(&self, s: &mut State, action: u32) {
        if s.n_rolled < 2 {
            s.dice[s.n_rolled as usize] = action as u8;
            s.n_rolled += 1;
        } else if action == self.n_bids() {
            s.called = true;
        } else {
            s.bids |= 1 << action;
        }
    }

    fn returns(&self, s: &State, returns: &mut [f64]) {
        let bid = Self::next_bid(s).saturating_sub(1);
        let (quantity, face) = (bid / self.sides + 1, bid % self.sides + 1);
        let matches = |&&die: &&u8| u32::from(die) == face || u32::from(die) == self.sides;
        let is_true = s.dice.iter().filter(matches).count() as u32 >= quantity;
        let bidder = (s.bids.count_ones() as usize + 1) % 2;
        returns[bidder] = if is_true { 1.0 } else { -1.0 };
        returns[1 - bidder] = -returns[bidder];
    }

    fn information(&self, s: &State, player: usize, key: &mut String) {
        match s.dice[player] {
            0 => key.push_str("-1"),
            die => key.push(char::from(b'0' + die)),
        }
        for bid in (0..self.n_bids()).filter(|b| s.bids >> b & 1 == 1) {
            key.push(' ');
            self.action_name(s, bid, key);
        }
        if s.called {
            key.push_str(" Liar");
        }
    }

    fn action_name(&self, s: &State, action: u32, name: &mut String) {
        // Writing to a string cannot fail.
        let _ = match (s.n_rolled, action == self.n_bids()) {
            (0 | 1, _) => write!(name, "{action}"),
            (_, true) => write!(name, "Liar"),
            _ => write!(name, "{}-{}", action / self.sides + 1, action % self.sides + 1),
        };
    }

    fn layout(&self) -> Vec<ObsField> {
        vec![
            ObsField::new("player", 2, 0.0, 1.0),
            ObsField::new("die", self.sides as usize, 0.0, 1.0),
            ObsField::new("bids", self.n_bids() as usize, 0.0, 1.0),
            ObsField::new("called", 1, 0.0, 1.0),
        ]
    }

    fn observe(&self, s: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[player] = 1.0;
        let sides = self.sides as usize;
        if s.dice[player] > 0 {
            obs[1 + s.dice[player] as usize] = 1.0;
        }
        for bid in 0..2 * sides {
            obs[2 + sides + bid] = (s.bids >> bid & 1) as f32;
        }
        obs[2 + 3 * sides] = f32::from(u8::from(s.called));
    }
}
