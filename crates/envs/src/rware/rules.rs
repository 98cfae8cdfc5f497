//! The rules of the warehouse: one step of one floor, in place, without allocation.
//!
//! A floor is a set of columns ([`Floor`]), owned by one copy or borrowed from the columns of a batch, so that both
//! run the same code. Not here: drawing first moments, observations.

use super::Warehouse;
use super::moves::{Robots, agree};

/// Actions of a robot, before messages.
pub(super) const N_MOVES: u32 = 5;
const FORWARD: u32 = 1;
const LEFT: u32 = 2;
const RIGHT: u32 = 3;
const TOGGLE: u32 = 4;

/// Bits of a cell's code: a shelf stands or is carried here; it is requested; a robot is here and faces `code >> 2` - 1.
pub(super) const SHELF: u8 = 1;
pub(super) const REQUESTED: u8 = 2;
const FACING: u32 = 2;

/// Directions after a turn left and right, from up, down, left, right.
const TURNED_LEFT: [u8; 4] = [2, 3, 1, 0];
const TURNED_RIGHT: [u8; 4] = [3, 2, 0, 1];

/// The state of one floor. Cells are padded ones, see [`super::Layout`]; shelf ids count from 1, 0 is none.
#[derive(Debug)]
pub(super) struct Floor<'a> {
    /// Cell of every robot.
    pub cell: &'a mut [u16],
    /// Direction of every robot: 0 up, 1 down, 2 left, 3 right.
    pub facing: &'a mut [u8],
    /// Shelf that every robot carries.
    pub carried: &'a mut [u16],
    /// Whether the robot has delivered the shelf that it carries.
    pub delivered: &'a mut [bool],
    /// Last message of every robot, a bit each.
    pub word: &'a mut [u8],
    /// Cell of every shelf, by id - 1.
    pub shelf_cell: &'a mut [u16],
    /// Requested shelves.
    pub queue: &'a mut [u16],
    /// Robot in each cell, counted from 1.
    pub robot_at: &'a mut [u8],
    /// Shelf in each cell.
    pub shelf_at: &'a mut [u16],
    /// What sensors see of each cell.
    pub code: &'a mut [u8],
    /// 1 for each storage place where a shelf is.
    pub filled: &'a mut [f32],
    /// Steps without a delivery.
    pub idle: &'a mut u32,
}

/// Memory that a step uses and forgets, a number a robot.
#[derive(Debug, Clone)]
pub(super) struct Work {
    wanted: Vec<u16>,
    behind: Vec<u16>,
    goes: Vec<bool>,
}

impl Work {
    pub fn new(n_agents: usize) -> Self {
        Self { wanted: vec![0; n_agents], behind: vec![0; n_agents], goes: vec![false; n_agents] }
    }
}

impl Floor<'_> {
    /// Makes grids and codes from robots, shelves and requests.
    pub fn index(&mut self, house: &Warehouse) {
        self.robot_at.fill(0);
        self.shelf_at.fill(0);
        self.code.fill(0);
        self.filled.fill(0.0);
        for (id, cell) in self.shelf_cell.iter().enumerate() {
            self.shelf_at[*cell as usize] = id as u16 + 1;
            self.code[*cell as usize] |= SHELF;
        }
        for id in self.queue.iter() {
            self.code[self.shelf_cell[*id as usize - 1] as usize] |= REQUESTED;
        }
        for (robot, (cell, facing)) in self.cell.iter().zip(self.facing.iter()).enumerate() {
            self.robot_at[*cell as usize] = robot as u8 + 1;
            self.code[*cell as usize] |= (facing + 1) << FACING;
        }
        for (place, cell) in self.filled.iter_mut().zip(&house.layout.shelves) {
            *place = f32::from(self.code[*cell as usize] & SHELF);
        }
    }

    /// Lights or clears the request of a shelf where it is.
    pub fn mark(&mut self, shelf: u16, requested: bool) {
        let code = &mut self.code[self.shelf_cell[shelf as usize - 1] as usize];
        *code = if requested { *code | REQUESTED } else { *code & !REQUESTED };
    }

    /// One step. `draw` gives a shelf that is not requested. Writes the rewards.
    pub fn step(
        &mut self,
        house: &Warehouse,
        actions: &[u32],
        work: &mut Work,
        draw: &mut impl FnMut(&Floor<'_>) -> u16,
        reward: &mut [f32],
    ) {
        reward.fill(0.0);
        let mut anyone = false;
        for (robot, action) in actions.iter().enumerate() {
            self.word[robot] = (action / N_MOVES) as u8;
            work.wanted[robot] = self.target(house, robot, action % N_MOVES);
            anyone |= work.wanted[robot] != self.cell[robot];
        }
        if anyone {
            let robots = Robots { cell: self.cell, wanted: &work.wanted, robot_at: self.robot_at };
            agree(robots, &mut work.behind, &mut work.goes);
            self.drive(house, work);
        }
        for (robot, action) in actions.iter().enumerate() {
            match action % N_MOVES {
                LEFT => self.turn(robot, TURNED_LEFT),
                RIGHT => self.turn(robot, TURNED_RIGHT),
                TOGGLE => reward[robot] += self.toggle(house, robot),
                _ => {}
            }
        }
        let served = self.serve(house, draw, reward);
        *self.idle = if served { 0 } else { self.idle.saturating_add(1) };
    }

    /// The cell that a robot wants to be in: its own, unless it drives forward and nothing forbids it outright.
    fn target(&self, house: &Warehouse, robot: usize, action: u32) -> u16 {
        let own = self.cell[robot];
        if action != FORWARD {
            return own;
        }
        let ahead = own.wrapping_add_signed(house.ahead[self.facing[robot] as usize]);
        if !house.layout.inside[ahead as usize] {
            return own;
        }
        // A carrier cannot enter the cell of a shelf, unless another carrier may be about to take it away.
        if self.carried[robot] > 0 && self.shelf_at[ahead as usize] > 0 {
            let other = self.robot_at[ahead as usize];
            if other == 0 || self.carried[other as usize - 1] == 0 {
                return own;
            }
        }
        ahead
    }

    /// Moves all robots that go, with their shelves.
    fn drive(&mut self, house: &Warehouse, work: &Work) {
        // First leave all old cells, then enter all new ones: robots follow each other.
        for robot in 0..self.cell.len() {
            if work.goes[robot] {
                let from = self.cell[robot] as usize;
                self.robot_at[from] = 0;
                self.code[from] &= SHELF | REQUESTED;
                if self.carried[robot] > 0 {
                    self.shelf_at[from] = 0;
                    // The request travels in bit 7 of the direction until the shelf arrives.
                    self.facing[robot] |= (self.code[from] & REQUESTED) << 6;
                    self.code[from] = 0;
                    self.fill(house, from, 0.0);
                }
            }
        }
        for robot in 0..self.cell.len() {
            if work.goes[robot] {
                let to = work.wanted[robot] as usize;
                let requested = self.facing[robot] >> 6 & REQUESTED;
                self.facing[robot] &= 3;
                self.cell[robot] = to as u16;
                self.robot_at[to] = robot as u8 + 1;
                self.code[to] |= (self.facing[robot] + 1) << FACING;
                let shelf = self.carried[robot];
                if shelf > 0 {
                    self.shelf_at[to] = shelf;
                    self.shelf_cell[shelf as usize - 1] = to as u16;
                    self.code[to] |= SHELF | requested;
                    self.fill(house, to, 1.0);
                }
            }
        }
    }

    /// Notes whether a storage place holds a shelf.
    fn fill(&mut self, house: &Warehouse, cell: usize, shelf: f32) {
        if let Some(place) = self.filled.get_mut(house.layout.storage[cell] as usize) {
            *place = shelf;
        }
    }

    fn turn(&mut self, robot: usize, turned: [u8; 4]) {
        let facing = turned[self.facing[robot] as usize];
        self.facing[robot] = facing;
        let code = &mut self.code[self.cell[robot] as usize];
        *code = *code & (SHELF | REQUESTED) | (facing + 1) << FACING;
    }

    /// Picks up the shelf underneath, or puts down the carried one off the highway. Returns the second half of a
    /// reward in two stages.
    fn toggle(&mut self, house: &Warehouse, robot: usize) -> f32 {
        let cell = self.cell[robot] as usize;
        if self.carried[robot] == 0 {
            self.carried[robot] = self.shelf_at[cell];
            return 0.0;
        }
        if house.layout.highway[cell] {
            return 0.0;
        }
        self.carried[robot] = 0;
        let paid = self.delivered[robot] && house.config.reward == super::RewardScheme::TwoStage;
        self.delivered[robot] = false;
        if paid { 0.5 } else { 0.0 }
    }

    /// Takes requested shelves at the goals, pays for them and requests others.
    fn serve(
        &mut self,
        house: &Warehouse,
        draw: &mut impl FnMut(&Floor<'_>) -> u16,
        reward: &mut [f32],
    ) -> bool {
        let mut served = false;
        for goal in &house.layout.goals {
            if self.code[*goal as usize] & REQUESTED == 0 {
                continue;
            }
            served = true;
            let shelf = self.shelf_at[*goal as usize];
            let next = draw(self);
            if let Some(slot) = self.queue.iter_mut().find(|id| **id == shelf) {
                *slot = next;
            }
            self.mark(shelf, false);
            self.mark(next, true);
            // Shelves come to goals on robots only: goals are highway.
            let Some(robot) = (self.robot_at[*goal as usize] as usize).checked_sub(1) else { continue };
            match house.config.reward {
                super::RewardScheme::Global => reward.iter_mut().for_each(|r| *r += 1.0),
                super::RewardScheme::Individual => reward[robot] += 1.0,
                super::RewardScheme::TwoStage => {
                    self.delivered[robot] = true;
                    reward[robot] += 0.5;
                }
            }
        }
        served
    }
}
