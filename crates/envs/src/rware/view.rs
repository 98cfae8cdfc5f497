//! What robots see, the state for centralized training, and pictures. Not here: rules.

use coact_core::scene::{Color, Scene, Shape};

use super::rules::{REQUESTED, SHELF};
use super::{Config, Layout, Observation, Warehouse};

/// Codes of cells, see [`super::rules`].
const N_CODES: usize = 20;

/// Tables to look up what is seen.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// x and y as shown, of each padded cell.
    place: Vec<[f32; 2]>,
    /// From a robot's cell to each cell that it senses, row by row.
    window: Vec<i16>,
    /// What is seen of a cell, by its code: a robot, its direction (one-hot), a shelf, a request; one number unused.
    seen: [[f32; 8]; N_CODES],
}

impl View {
    pub fn new(config: &Config, layout: &Layout) -> Self {
        let (right, bottom) = match config.normalised_coordinates {
            true => ((layout.width - 1) as f64, (layout.height - 1) as f64),
            false => (1.0, 1.0),
        };
        let place = (0..layout.inside.len() as u16).map(|cell| {
            if !layout.inside[cell as usize] {
                return [0.0; 2];
            }
            let (x, y) = layout.place(cell);
            [(x as f64 / right) as f32, (y as f64 / bottom) as f32]
        });
        let (range, stride) = (config.sensor_range as i16, layout.stride() as i16);
        let window =
            (-range..=range).flat_map(|dy| (-range..=range).map(move |dx| dy * stride + dx)).collect();
        let mut seen = [[0.0; 8]; N_CODES];
        for (code, row) in seen.iter_mut().enumerate() {
            let facing = (code >> 2).checked_sub(1);
            row[0] = f32::from(u8::from(facing.is_some()));
            row[1 + facing.unwrap_or(0)] = 1.0;
            row[5] = f32::from(code as u8 & SHELF);
            row[6] = f32::from(u8::from(code as u8 & REQUESTED > 0));
        }
        Self { place: place.collect(), window, seen }
    }
}

/// One floor to look at; see [`super::rules::Floor`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub cell: &'a [u16],
    pub facing: &'a [u8],
    pub carried: &'a [u16],
    pub delivered: &'a [bool],
    pub word: &'a [u8],
    pub shelf_cell: &'a [u16],
    pub queue: &'a [u16],
    pub robot_at: &'a [u8],
    pub code: &'a [u8],
    pub filled: &'a [f32],
}

impl Warehouse {
    /// The observation of one robot.
    #[inline]
    pub(super) fn observe(&self, floor: Seen<'_>, robot: usize, obs: &mut [f32]) {
        let cell = floor.cell[robot];
        let [x, y] = self.view.place[cell as usize];
        let carries = f32::from(u8::from(floor.carried[robot] > 0));
        let highway = f32::from(u8::from(self.layout.highway[cell as usize]));
        let around = |offset: &i16| cell.wrapping_add_signed(*offset) as usize;
        let facing = floor.facing[robot] as usize;
        if self.config.observation == Observation::Flattened && self.config.msg_bits == 0 {
            let (own, cells) = obs.split_at_mut(8);
            own.copy_from_slice(&[x, y, carries, 0.0, 0.0, 0.0, 0.0, highway]);
            own[3 + facing] = 1.0;
            for (slot, offset) in cells.chunks_exact_mut(7).zip(&self.view.window) {
                let code = floor.code[around(offset)] as usize;
                slot.copy_from_slice(&self.view.seen[code % N_CODES][..7]);
            }
            return;
        }
        let mut out = obs.iter_mut();
        let mut push = |value: f32| {
            if let Some(slot) = out.next() {
                *slot = value;
            }
        };
        let hot = self.config.observation == Observation::Flattened;
        let push_facing = |facing: usize, push: &mut dyn FnMut(f32)| match hot {
            true => (0..4).for_each(|d| push(f32::from(u8::from(d == facing)))),
            false => push(facing as f32),
        };
        [x, y, carries].into_iter().for_each(&mut push);
        push_facing(facing, &mut push);
        push(highway);
        for offset in &self.view.window {
            let at = around(offset);
            let other = (floor.robot_at[at] as usize).checked_sub(1);
            push(f32::from(u8::from(other.is_some())));
            push_facing(other.map_or(0, |o| floor.facing[o] as usize), &mut push);
            let word = other.map_or(0, |o| floor.word[o]);
            (0..self.config.msg_bits).for_each(|bit| push(f32::from(word >> bit & 1)));
            push(f32::from(floor.code[at] & SHELF));
            push(f32::from(u8::from(floor.code[at] & REQUESTED > 0)));
        }
    }

    /// The global state.
    #[inline]
    pub(super) fn state(&self, floor: Seen<'_>, state: &mut [f32]) {
        let (robots, rest) = state.split_at_mut(8 * self.config.n_agents);
        let (requests, filled) = rest.split_at_mut(2 * self.config.n_requests);
        for (robot, row) in robots.chunks_exact_mut(8).enumerate() {
            let [x, y] = self.view.place[floor.cell[robot] as usize];
            let carries = f32::from(u8::from(floor.carried[robot] > 0));
            let delivered = f32::from(u8::from(floor.delivered[robot]));
            row.copy_from_slice(&[x, y, 0.0, 0.0, 0.0, 0.0, carries, delivered]);
            row[2 + (floor.facing[robot] & 3) as usize] = 1.0;
        }
        for (row, id) in requests.chunks_exact_mut(2).zip(floor.queue.iter()) {
            row.copy_from_slice(&self.view.place[floor.shelf_cell[*id as usize - 1] as usize]);
        }
        filled.copy_from_slice(floor.filled);
    }

    /// The floor from above.
    pub(super) fn draw(&self, floor: Seen<'_>, elapsed: u32) -> Scene {
        let (width, height) = (self.layout.width as f32, self.layout.height as f32);
        let corner = |cell: u16| {
            let (x, y) = self.layout.place(cell);
            (x as f32, height - 1.0 - y as f32)
        };
        let mut shapes = Vec::new();
        let mut tile = |cell: u16, gap: f32, color: Color| {
            let (x, y) = corner(cell);
            let side = 1.0 - 2.0 * gap;
            shapes.push(Shape::Rect { x: x + gap, y: y + gap, width: side, height: side, color });
        };
        for cell in (0..self.layout.inside.len() as u16).filter(|c| self.layout.inside[*c as usize]) {
            tile(cell, 0.02, Color(240, 242, 245));
        }
        self.layout.goals.iter().for_each(|goal| tile(*goal, 0.02, Color(70, 76, 84)));
        for cell in floor.shelf_cell.iter() {
            let requested = floor.code[*cell as usize] & REQUESTED > 0;
            tile(*cell, 0.1, if requested { Color(0, 140, 140) } else { Color(150, 130, 190) });
        }
        for (robot, cell) in floor.cell.iter().enumerate() {
            let (x, y) = corner(*cell);
            let (x, y) = (x + 0.5, y + 0.5);
            let loaded = floor.carried[robot] > 0;
            let color = if loaded { Color(204, 50, 40) } else { Color(240, 150, 40) };
            shapes.push(Shape::Disc { x, y, radius: 0.34, color });
            let (dx, dy) =
                [(0.0, 0.34), (0.0, -0.34), (-0.34, 0.0), (0.34, 0.0)][floor.facing[robot] as usize & 3];
            let color = Color(20, 20, 20);
            shapes.push(Shape::Line { from: (x, y), to: (x + dx, y + dy), width: 0.12, color });
        }
        let loaded = floor.carried.iter().filter(|c| **c > 0).count();
        Scene {
            bounds: (-0.1, width + 0.1, -0.1, height + 0.1),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("{}, step {elapsed}, {loaded} carried", self.config.name),
        }
        .with_legend(&[
            (Color(240, 150, 40), "robot"),
            (Color(204, 50, 40), "robot with shelf"),
            (Color(0, 140, 140), "requested shelf"),
            (Color(150, 130, 190), "shelf"),
            (Color(70, 76, 84), "goal"),
        ])
    }
}
