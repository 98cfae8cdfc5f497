//! One copy of the warehouse, and the columns that copies are made of.

use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{Actions, EnvSpec, Error, MultiAgentEnv, Result, Stream};

use super::Warehouse;
use super::rules::{Floor, Work};
use super::view::Seen;
use crate::rules::check_actions;

/// The floors of some copies as columns.
#[derive(Debug, Clone)]
pub(super) struct Floors {
    n_agents: usize,
    n_requests: usize,
    n_shelves: usize,
    n_cells: usize,
    cell: Vec<u16>,
    facing: Vec<u8>,
    carried: Vec<u16>,
    delivered: Vec<bool>,
    word: Vec<u8>,
    shelf_cell: Vec<u16>,
    queue: Vec<u16>,
    robot_at: Vec<u8>,
    shelf_at: Vec<u16>,
    code: Vec<u8>,
    filled: Vec<f32>,
    idle: Vec<u32>,
}

/// Row `row` of a column with rows of `width`.
macro_rules! row {
    ($column:expr, $row:expr, $width:expr) => {
        &mut $column[$row * $width..($row + 1) * $width]
    };
}

macro_rules! rows {
    ($column:expr, $row:expr, $width:expr) => {
        &$column[$row * $width..($row + 1) * $width]
    };
}

impl Floors {
    /// `n_envs` floors before their first reset.
    pub fn new(house: &Warehouse, n_envs: usize) -> Self {
        let (n, q) = (house.config.n_agents, house.config.n_requests);
        let (shelves, cells) = (house.layout.shelves.len(), house.layout.inside.len());
        Self {
            n_agents: n,
            n_requests: q,
            n_shelves: shelves,
            n_cells: cells,
            cell: vec![0; n_envs * n],
            facing: vec![0; n_envs * n],
            carried: vec![0; n_envs * n],
            delivered: vec![false; n_envs * n],
            word: vec![0; n_envs * n],
            shelf_cell: vec![0; n_envs * shelves],
            queue: vec![0; n_envs * q],
            robot_at: vec![0; n_envs * cells],
            shelf_at: vec![0; n_envs * cells],
            code: vec![0; n_envs * cells],
            filled: vec![0.0; n_envs * shelves],
            idle: vec![0; n_envs],
        }
    }

    /// One floor.
    #[inline]
    pub fn get(&mut self, env: usize) -> Floor<'_> {
        let (n, cells) = (self.n_agents, self.n_cells);
        Floor {
            cell: row!(self.cell, env, n),
            facing: row!(self.facing, env, n),
            carried: row!(self.carried, env, n),
            delivered: row!(self.delivered, env, n),
            word: row!(self.word, env, n),
            shelf_cell: row!(self.shelf_cell, env, self.n_shelves),
            queue: row!(self.queue, env, self.n_requests),
            robot_at: row!(self.robot_at, env, cells),
            shelf_at: row!(self.shelf_at, env, cells),
            code: row!(self.code, env, cells),
            filled: row!(self.filled, env, self.n_shelves),
            idle: &mut self.idle[env],
        }
    }

    /// One floor to look at.
    #[inline]
    pub fn see(&self, env: usize) -> Seen<'_> {
        let (n, cells) = (self.n_agents, self.n_cells);
        Seen {
            cell: rows!(self.cell, env, n),
            facing: rows!(self.facing, env, n),
            carried: rows!(self.carried, env, n),
            delivered: rows!(self.delivered, env, n),
            word: rows!(self.word, env, n),
            shelf_cell: rows!(self.shelf_cell, env, self.n_shelves),
            queue: rows!(self.queue, env, self.n_requests),
            robot_at: rows!(self.robot_at, env, cells),
            code: rows!(self.code, env, cells),
            filled: rows!(self.filled, env, self.n_shelves),
        }
    }

    /// Steps without a delivery on one floor.
    pub fn idle(&self, env: usize) -> u32 {
        self.idle[env]
    }

    /// Appends one floor.
    pub fn save(&self, env: usize, out: &mut Writer) {
        let seen = self.see(env);
        let wide = |column: &[u16]| column.iter().map(|x| u32::from(*x)).collect::<Vec<_>>();
        out.u32s(&wide(seen.cell));
        out.u32s(&seen.facing.iter().map(|x| u32::from(*x)).collect::<Vec<_>>());
        out.u32s(&wide(seen.carried));
        out.bools(seen.delivered);
        out.u32s(&seen.word.iter().map(|x| u32::from(*x)).collect::<Vec<_>>());
        out.u32s(&wide(seen.shelf_cell));
        out.u32s(&wide(seen.queue));
        out.u32(self.idle[env]);
    }

    /// Restores one floor; it must be one that can be.
    pub fn load(&mut self, house: &Warehouse, env: usize, from: &mut Reader<'_>) -> Result<()> {
        let n = self.n_agents;
        let (cell, facing, carried) = (column(from, n)?, column(from, n)?, column(from, n)?);
        let mut delivered = vec![false; self.n_agents];
        from.bools(&mut delivered)?;
        let word = column(from, n)?;
        let (shelf_cell, queue) = (column(from, self.n_shelves)?, column(from, self.n_requests)?);
        let idle = from.u32()?;
        let inside = |cell: &u16| house.layout.inside.get(*cell as usize).is_some_and(|inside| *inside);
        let sound = cell.iter().chain(&shelf_cell).all(inside)
            && distinct(&cell)
            && distinct(&shelf_cell)
            && distinct(&queue)
            && facing.iter().all(|f| *f < 4)
            && word.iter().all(|w| u32::from(*w) < 1 << house.config.msg_bits)
            && queue.iter().all(|id| (1..=self.n_shelves).contains(&(*id as usize)))
            && carried.iter().zip(&cell).all(|(id, cell)| {
                *id == 0 || shelf_cell.get(*id as usize - 1).is_some_and(|shelf| shelf == cell)
            });
        if !sound {
            return Err(from.error("robots, shelves and requests do not fit the floor"));
        }
        self.idle[env] = idle;
        let mut floor = self.get(env);
        floor.cell.copy_from_slice(&cell);
        floor.carried.copy_from_slice(&carried);
        floor.delivered.copy_from_slice(&delivered);
        floor.shelf_cell.copy_from_slice(&shelf_cell);
        floor.queue.copy_from_slice(&queue);
        floor.facing.iter_mut().zip(&facing).for_each(|(to, from)| *to = *from as u8);
        floor.word.iter_mut().zip(&word).for_each(|(to, from)| *to = *from as u8);
        floor.index(house);
        Ok(())
    }
}

/// A saved column of small numbers.
fn column(from: &mut Reader<'_>, n: usize) -> Result<Vec<u16>> {
    let mut wide = vec![0; n];
    from.u32s(&mut wide)?;
    let narrow = wide.into_iter().map(|x| u16::try_from(x).ok()).collect::<Option<Vec<_>>>();
    narrow.ok_or_else(|| from.error("a number is above 65535"))
}

/// Whether no two are the same.
fn distinct(items: &[u16]) -> bool {
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|w| w[0] != w[1])
}

impl Warehouse {
    /// A first moment: shelves in their places, robots anywhere, random requests.
    pub(super) fn begin(&self, floor: &mut Floor<'_>, rng: &mut Stream) {
        floor.shelf_cell.copy_from_slice(&self.layout.shelves);
        floor.robot_at.fill(0);
        for robot in 0..floor.cell.len() {
            let (width, height) = (self.layout.width as u32, self.layout.height as u32);
            floor.cell[robot] = loop {
                let at = rng.below(width * height);
                let cell = self.layout.cell((at % width) as usize, (at / width) as usize);
                if floor.robot_at[cell as usize] == 0 {
                    break cell;
                }
            };
            floor.robot_at[floor.cell[robot] as usize] = 1;
            floor.facing[robot] = rng.below(4) as u8;
        }
        for slot in 0..floor.queue.len() {
            floor.queue[slot] = loop {
                let shelf = 1 + rng.below(self.layout.shelves.len() as u32) as u16;
                if !floor.queue[..slot].contains(&shelf) {
                    break shelf;
                }
            };
        }
        floor.carried.fill(0);
        floor.delivered.fill(false);
        floor.word.fill(0);
        *floor.idle = 0;
        floor.index(self);
    }

    /// A shelf that is not requested.
    pub(super) fn draw_request(floor: &Floor<'_>, rng: &mut Stream) -> u16 {
        loop {
            let at = rng.below(floor.shelf_cell.len() as u32) as usize;
            if floor.code[floor.shelf_cell[at] as usize] & super::rules::REQUESTED == 0 {
                return at as u16 + 1;
            }
        }
    }
}

/// Robots, shelves and requests in plain numbers, to force a moment and to compare one. Ids count from 1, 0 is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// x, y, direction (0 up, 1 down, 2 left, 3 right) and carried shelf of every robot.
    pub robots: Vec<[usize; 4]>,
    /// x and y of every shelf.
    pub shelves: Vec<[usize; 2]>,
    /// Requested shelves.
    pub requests: Vec<usize>,
}

/// One copy of the warehouse.
#[derive(Debug, Clone)]
pub struct WarehouseEnv {
    house: Arc<Warehouse>,
    floors: Floors,
    work: Work,
    elapsed: u32,
}

impl WarehouseEnv {
    /// A copy before its first reset.
    pub fn new(house: Arc<Warehouse>) -> Self {
        let (floors, work) = (Floors::new(&house, 1), Work::new(house.config.n_agents));
        Self { house, floors, work, elapsed: 0 }
    }

    /// Forces a moment at the start of an episode.
    ///
    /// # Errors
    /// Robots, shelves or requests that are too many, too few, off the floor or in one place.
    pub fn place(&mut self, situation: &Situation) -> Result<()> {
        let layout = &self.house.layout;
        let cell = |x: usize, y: usize| {
            let on = x < layout.width && y < layout.height;
            if on { u32::from(layout.cell(x, y)) } else { u32::MAX }
        };
        let each = |k: usize| situation.robots.iter().map(|r| r[k] as u32).collect::<Vec<_>>();
        let n = situation.robots.len();
        let mut out = Writer::new();
        out.u32s(&situation.robots.iter().map(|r| cell(r[0], r[1])).collect::<Vec<_>>());
        out.u32s(&each(2));
        out.u32s(&each(3));
        out.bools(&vec![false; n]);
        out.u32s(&vec![0; n]);
        out.u32s(&situation.shelves.iter().map(|s| cell(s[0], s[1])).collect::<Vec<_>>());
        out.u32s(&situation.requests.iter().map(|id| *id as u32).collect::<Vec<_>>());
        out.u32(0);
        let bytes = out.into_bytes();
        self.elapsed = 0;
        self.floors.load(&self.house, 0, &mut Reader::new("situation", &bytes)).map_err(|_| {
            Error::invalid(format!(
                "{}: robots, shelves and requests do not fit the floor",
                self.house.config.name
            ))
        })
    }

    /// The moment in plain numbers.
    pub fn situation(&self) -> Situation {
        let (floor, layout) = (self.floors.see(0), &self.house.layout);
        let robot = |i: usize| {
            let (x, y) = layout.place(floor.cell[i]);
            [x, y, floor.facing[i] as usize, floor.carried[i] as usize]
        };
        let shelf = |cell: &u16| {
            let (x, y) = layout.place(*cell);
            [x, y]
        };
        Situation {
            robots: (0..floor.cell.len()).map(robot).collect(),
            shelves: floor.shelf_cell.iter().map(shelf).collect(),
            requests: floor.queue.iter().map(|id| *id as usize).collect(),
        }
    }

    /// What all copies share.
    pub fn house(&self) -> &Warehouse {
        &self.house
    }

    /// One step in which `draw` gives the shelf that replaces a delivered one, if it has one that fits; else the first
    /// that fits is taken. Returns whether the episode was truncated.
    ///
    /// # Errors
    /// An action outside its space.
    pub fn step_with(
        &mut self,
        actions: Actions<'_>,
        mut draw: impl FnMut(&dyn Fn(u16) -> bool) -> Option<u16>,
        reward: &mut [f32],
    ) -> Result<bool> {
        check_actions(self.house.spec(), actions)?;
        let mut choose = |floor: &Floor<'_>| {
            let free = |id: u16| {
                let cell = (id as usize).checked_sub(1).and_then(|at| floor.shelf_cell.get(at));
                cell.is_some_and(|cell| floor.code[*cell as usize] & super::rules::REQUESTED == 0)
            };
            let first = || (1..=floor.shelf_cell.len() as u16).find(|id| free(*id)).unwrap_or(1);
            draw(&free).filter(|id| free(*id)).unwrap_or_else(first)
        };
        self.advance(actions.discrete, &mut choose, reward);
        Ok(self.house.is_late(self.elapsed, self.floors.idle(0)))
    }

    fn advance(&mut self, actions: &[u32], draw: &mut impl FnMut(&Floor<'_>) -> u16, reward: &mut [f32]) {
        self.floors.get(0).step(&self.house, actions, &mut self.work, draw, reward);
        self.elapsed += 1;
    }
}

impl MultiAgentEnv for WarehouseEnv {
    fn spec(&self) -> &EnvSpec {
        self.house.spec()
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.house.begin(&mut self.floors.get(0), rng);
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(self.house.spec(), actions)?;
        terminated.fill(false);
        self.advance(actions.discrete, &mut |floor| Warehouse::draw_request(floor, rng), reward);
        Ok(self.house.is_late(self.elapsed, self.floors.idle(0)))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        self.house.observe(self.floors.see(0), agent, obs);
    }

    fn state(&self, state: &mut [f32]) {
        self.house.state(self.floors.see(0), state);
    }

    fn scene(&self) -> Scene {
        self.house.draw(self.floors.see(0), self.elapsed)
    }

    fn save(&self, out: &mut Writer) {
        self.floors.save(0, out);
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.floors.load(&self.house, 0, from)?;
        self.elapsed = from.u32()?;
        Ok(())
    }
}
