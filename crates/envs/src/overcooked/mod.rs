//! `overcooked`: two cooks make onion soups and deliver them.
//!
//! # Rules
//! Actions: 0 up, 1 down, 2 right, 3 left, 4 stay, 5 interact. First both interact, cook 0 before cook 1, with what is in
//! front of them: take an onion or a plate from its pile, put something down on a free counter or pick it up, put an onion
//! into a pot that is not full, take a finished soup out of a pot with a plate, deliver a soup at the goal. A pot with three
//! onions cooks by itself for 20 steps. Then both turn and move; nobody moves if both want one cell or each other's.
//!
//! # Names and parameters
//! `overcooked`, or `overcooked/LAYOUT`. `layout` (`cramped_room`; also `asymmetric_advantages`, `coordination_ring`,
//! `forced_coordination`, `counter_circuit`, or a drawing), `max_steps` (400), `shaping` (0): weight of rewards for
//! single steps of the work.
//!
//! # Observation (26 layers of height x width, row by row)
//! Own position, the other's; own orientation (4 layers: up, down, right, left, 1 where the cook is), the other's; pots, free
//! counters, onion piles, (tomatoes), plate piles, goals; onions in pots that do not cook yet, (tomatoes), onions in
//! soups, (tomatoes), cooking time left, soups that are done; plates, onions, (tomatoes), each lying or carried; 1
//! everywhere in the last 40 steps. State: the observation of cook 0.
//!
//! # Rewards and ends
//! 20 to both for a soup. With `shaping` also, to the cook who does it, `shaping` times 3 for an onion put into a pot, 3
//! for a useful plate (none lies about, and there are more pots with something in them than plates carried), 5 for
//! taking a soup out. Truncated after 400 steps.
//!
//! # Returns
//! Summed over both cooks, without shaping: random 2.1, a script that plans for both 480 (12 soups).
//!
//! # Origin
//! Carroll et al. 2019, "On the utility of learning about humans for human-AI coordination"; layers as in JaxMARL.

mod kitchen;

use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, BatchEnv, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind,
    Stream,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::kitchen::{CLASSIC, Kitchen, Tile};
use crate::Vectorized;
use crate::registry::{EnvEntry, Family, OptionInfo, parse};
use crate::rules::check_actions;

/// Options of `overcooked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OvercookedOptions {
    /// A classic kitchen, or a drawing.
    pub layout: String,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
    /// Weight of rewards for single steps of the work.
    pub shaping: f64,
}

impl Default for OvercookedOptions {
    fn default() -> Self {
        Self { layout: "cramped_room".into(), max_steps: 400, shaping: 0.0 }
    }
}

const MAX_STEPS: OptionInfo =
    OptionInfo { name: "max_steps", default: "400", explain: "steps after which an episode is truncated" };
const SHAPING: OptionInfo =
    OptionInfo { name: "shaping", default: "0.0", explain: "weight of rewards for single steps of the work" };
const ORIGIN: &str = "Carroll et al. 2019; JaxMARL overcooked";

/// `overcooked` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "overcooked",
    summary: "two cooks make onion soups and deliver them",
    origin: ORIGIN,
    options: &[
        OptionInfo {
            name: "layout",
            default: "\"cramped_room\"",
            explain: "cramped_room, asymmetric_advantages, coordination_ring, forced_coordination, counter_circuit, or a \
                      drawing (W counter, O onions, B plates, P pot, X goal, 1 and 2 the cooks)",
        },
        MAX_STEPS,
        SHAPING,
    ],
    random_return: 2.1,
    best_known: None,
    batch: |options, n| batch("overcooked", options, n),
    single: |options| single("overcooked", options),
};

/// All kitchens as `overcooked/LAYOUT`.
pub const FAMILY: Family = Family {
    prefixes: &["overcooked/"],
    pattern: "overcooked/cramped_room|asymmetric_advantages|coordination_ring|forced_coordination|counter_circuit",
    summary: "two cooks make onion soups and deliver them",
    origin: ORIGIN,
    options: &[MAX_STEPS, SHAPING],
    batch,
    single,
};

fn batch(name: &str, options: &Value, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    let env = named(name, options)?;
    Ok(Box::new(Vectorized::new(n_envs, || Ok(env.clone()))?))
}

fn single(name: &str, options: &Value) -> Result<Box<dyn MultiAgentEnv>> {
    Ok(Box::new(named(name, options)?))
}

fn named(name: &str, options: &Value) -> Result<Overcooked> {
    let mut options: OvercookedOptions = parse(name, options)?;
    if let Some(layout) = name.strip_prefix("overcooked/") {
        options.layout = layout.into();
    }
    Overcooked::new(name, &options)
}

/// What lies on a counter or is carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Item {
    #[default]
    None,
    Onion,
    Plate,
    Soup,
}

impl Item {
    const ALL: [Self; 4] = [Self::None, Self::Onion, Self::Plate, Self::Soup];
}

/// A pot: onions, and steps until the soup is done once there are three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pot {
    onions: u32,
    left: u32,
}

const FULL: u32 = 3;
const COOKING_STEPS: u32 = 20;
const SOUP: f32 = 20.0;
const STAY: u32 = 4;
const INTERACT: u32 = 5;
const N_LAYERS: usize = 26;
const FREE_COUNTERS: usize = 11;
/// Steps before the end that the last layer lights up.
const URGENT: u32 = 40;

#[derive(Debug, Clone, Copy)]
struct Cook {
    cell: usize,
    facing: u32,
    holds: Item,
}

/// The game.
#[derive(Debug, Clone)]
pub struct Overcooked {
    spec: EnvSpec,
    kitchen: Kitchen,
    shaping: f32,
    /// An observation of the empty kitchen without cooks.
    empty: Arc<[f32]>,
    cooks: [Cook; 2],
    /// What lies on each cell.
    items: Vec<Item>,
    pots: Vec<Pot>,
    elapsed: u32,
}

impl Overcooked {
    /// Checks the options.
    ///
    /// # Errors
    /// A layout that is none, no steps, a weight that is not finite.
    pub fn new(name: &str, options: &OvercookedOptions) -> Result<Self> {
        let kitchen = Kitchen::find(&options.layout)?;
        if options.max_steps == 0 || !(0.0..=1e3).contains(&options.shaping) {
            let OvercookedOptions { max_steps, shaping, .. } = options;
            return Err(Error::invalid(format!(
                "{name}: max_steps is {max_steps} and shaping {shaping}; use at least 1 step and a weight of 0 to 1000"
            )));
        }
        let cells = kitchen.tiles.len();
        let action = ActionSpace::Discrete { n: 6 };
        let obs = layers(cells);
        let spec = EnvSpec {
            name: name.into(),
            version: 1,
            groups: vec![GroupSpec { name: "cook".into(), n_agents: 2, obs, action, masked: false }],
            state_width: N_LAYERS * cells,
            episode_limit: Some(options.max_steps),
            reward: if options.shaping > 0.0 { RewardKind::PerAgent } else { RewardKind::Common },
        };
        let cook = |cell| Cook { cell, facing: 0, holds: Item::None };
        Ok(Self {
            spec,
            shaping: options.shaping as f32,
            empty: empty(&kitchen),
            cooks: kitchen.starts.map(cook),
            items: vec![Item::None; cells],
            pots: vec![Pot::default(); kitchen.pots.len()],
            elapsed: 0,
            kitchen,
        })
    }

    /// Lets a cook interact. Returns the reward of all and the unweighted one of the cook.
    fn interact(&mut self, cook: usize) -> (f32, f32) {
        let Cook { cell, facing, holds } = self.cooks[cook];
        let at = self.kitchen.ahead(cell, facing);
        let (mut paid, mut shaped) = (0.0, 0.0);
        let next = match (self.kitchen.tiles[at], holds) {
            (Tile::Counter, _) if (self.items[at] == Item::None) != (holds == Item::None) => {
                std::mem::replace(&mut self.items[at], holds)
            }
            (Tile::Onions, Item::None) => Item::Onion,
            (Tile::Plates, Item::None) => {
                shaped = if self.plate_is_useful() { 3.0 } else { 0.0 };
                Item::Plate
            }
            (Tile::Goal, Item::Soup) => {
                paid = SOUP;
                Item::None
            }
            (Tile::Pot, _) => {
                let Some(index) = self.kitchen.pots.iter().position(|p| *p == at) else { return (0.0, 0.0) };
                let pot = &mut self.pots[index];
                match holds {
                    Item::Onion if pot.onions < FULL => {
                        shaped = 3.0;
                        pot.onions += 1;
                        pot.left = if pot.onions == FULL { COOKING_STEPS } else { 0 };
                        Item::None
                    }
                    Item::Plate if pot.onions == FULL && pot.left == 0 => {
                        shaped = 5.0;
                        *pot = Pot::default();
                        Item::Soup
                    }
                    other => other,
                }
            }
            (_, unchanged) => unchanged,
        };
        self.cooks[cook].holds = next;
        (paid, shaped)
    }

    /// Whether another plate can be used: none lies about, and there are fewer in hands than pots with something in them.
    fn plate_is_useful(&self) -> bool {
        let carried = self.cooks.iter().filter(|c| c.holds == Item::Plate).count();
        let waiting = self.pots.iter().filter(|p| p.onions > 0).count();
        carried < waiting && !self.items.contains(&Item::Plate)
    }

    /// Turns and moves both.
    fn walk(&mut self, actions: &[u32]) {
        let mut to = self.cooks.map(|c| c.cell);
        for ((cook, to), action) in self.cooks.iter_mut().zip(&mut to).zip(actions) {
            if *action < STAY {
                cook.facing = *action;
                let ahead = self.kitchen.ahead(cook.cell, *action);
                if self.kitchen.tiles[ahead] == Tile::Floor {
                    *to = ahead;
                }
            }
        }
        let swap = to[0] == self.cooks[1].cell && to[1] == self.cooks[0].cell;
        if to[0] != to[1] && !swap {
            self.cooks.iter_mut().zip(to).for_each(|(cook, to)| cook.cell = to);
        }
    }
}

/// The layers of a kitchen without cooks, with nothing on counters or in pots.
fn empty(kitchen: &Kitchen) -> Arc<[f32]> {
    let cells = kitchen.tiles.len();
    let mut obs = vec![0.0; N_LAYERS * cells];
    for (cell, tile) in kitchen.tiles.iter().enumerate() {
        let layer = match tile {
            Tile::Floor => continue,
            Tile::Pot => 10,
            Tile::Counter => FREE_COUNTERS,
            Tile::Onions => 12,
            Tile::Plates => 14,
            Tile::Goal => 15,
        };
        obs[layer * cells + cell] = 1.0;
    }
    obs.into()
}

/// The named layers of an observation.
fn layers(cells: usize) -> Vec<ObsField> {
    let names = [
        ("own_position", 1, 1.0),
        ("other_position", 1, 1.0),
        ("own_orientation", 4, 1.0),
        ("other_orientation", 4, 1.0),
        ("pots", 1, 1.0),
        ("free_counters", 1, 1.0),
        ("onion_piles", 1, 1.0),
        ("tomato_piles", 1, 0.0),
        ("plate_piles", 1, 1.0),
        ("goals", 1, 1.0),
        ("onions_in_pot", 1, 3.0),
        ("tomatoes_in_pot", 1, 0.0),
        ("onions_in_soup", 1, 3.0),
        ("tomatoes_in_soup", 1, 0.0),
        ("cooking_time_left", 1, 20.0),
        ("soup_done", 1, 1.0),
        ("plates", 1, 1.0),
        ("onions", 1, 1.0),
        ("tomatoes", 1, 0.0),
        ("urgency", 1, 1.0),
    ];
    names.iter().map(|(name, n, high)| ObsField::new(*name, n * cells, 0.0, *high)).collect()
}

impl MultiAgentEnv for Overcooked {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        for (cook, start) in self.cooks.iter_mut().zip(self.kitchen.starts) {
            *cook = Cook { cell: start, facing: 0, holds: Item::None };
        }
        self.items.fill(Item::None);
        self.pots.fill(Pot::default());
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        reward.fill(0.0);
        for cook in (0..2).filter(|c| actions.discrete[*c] == INTERACT) {
            let (paid, shaped) = self.interact(cook);
            reward.iter_mut().for_each(|r| *r += paid);
            reward[cook] += self.shaping * shaped;
        }
        self.walk(actions.discrete);
        for pot in &mut self.pots {
            pot.left = pot.left.saturating_sub(1);
        }
        terminated.fill(false);
        self.elapsed += 1;
        Ok(self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        let cells = self.kitchen.tiles.len();
        obs.copy_from_slice(&self.empty);
        let mut set = |layer: usize, cell: usize, value: f32| obs[layer * cells + cell] = value;
        let show = |set: &mut dyn FnMut(usize, usize, f32), item: Item, cell: usize| match item {
            Item::None => {}
            Item::Onion => set(23, cell, 1.0),
            Item::Plate => set(22, cell, 1.0),
            Item::Soup => {
                set(18, cell, 3.0);
                set(21, cell, 1.0);
            }
        };
        for (k, cook) in [self.cooks[agent], self.cooks[1 - agent]].iter().enumerate() {
            set(k, cook.cell, 1.0);
            set(2 + 4 * k + cook.facing as usize % 4, cook.cell, 1.0);
            show(&mut set, cook.holds, cook.cell);
        }
        for (cell, item) in self.items.iter().enumerate() {
            if *item != Item::None {
                set(FREE_COUNTERS, cell, 0.0);
                show(&mut set, *item, cell);
            }
        }
        for (pot, cell) in self.pots.iter().zip(&self.kitchen.pots) {
            if pot.onions < FULL {
                set(16, *cell, pot.onions as f32);
            } else {
                set(18, *cell, 3.0);
                set(20, *cell, pot.left as f32);
                set(21, *cell, f32::from(u8::from(pot.left == 0)));
            }
        }
        let limit = self.spec.episode_limit.unwrap_or(u32::MAX);
        if limit.saturating_sub(self.elapsed) < URGENT {
            obs[25 * cells..].fill(1.0);
        }
    }

    fn state(&self, state: &mut [f32]) {
        self.observe(0, state);
    }

    fn scene(&self) -> Scene {
        draw(self)
    }

    fn save(&self, out: &mut Writer) {
        for cook in &self.cooks {
            out.u32s(&[cook.cell as u32, cook.facing, cook.holds as u32]);
        }
        out.u32s(&self.items.iter().map(|item| *item as u32).collect::<Vec<_>>());
        self.pots.iter().for_each(|pot| out.u32s(&[pot.onions, pot.left]));
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        for i in 0..2 {
            let mut cook = [0; 3];
            from.u32s(&mut cook)?;
            let cell = cook[0] as usize;
            let holds = Item::ALL.get(cook[2] as usize);
            let (Some(Tile::Floor), Some(holds), 0..4) = (self.kitchen.tiles.get(cell), holds, cook[1])
            else {
                return Err(from.error("a cook is not on the floor, or holds what is not"));
            };
            self.cooks[i] = Cook { cell, facing: cook[1], holds: *holds };
        }
        let mut items = vec![0; self.items.len()];
        from.u32s(&mut items)?;
        for (cell, item) in items.into_iter().enumerate() {
            let (Some(item), tile) = (Item::ALL.get(item as usize), self.kitchen.tiles[cell]) else {
                return Err(from.error("an item is none of four"));
            };
            if *item != Item::None && tile != Tile::Counter {
                return Err(from.error("an item lies elsewhere than on a counter"));
            }
            self.items[cell] = *item;
        }
        for i in 0..self.pots.len() {
            let mut pot = [0; 2];
            from.u32s(&mut pot)?;
            if pot[0] > FULL || pot[1] > COOKING_STEPS || pot[0] < FULL && pot[1] > 0 {
                return Err(from.error("a pot holds what cannot be"));
            }
            self.pots[i] = Pot { onions: pot[0], left: pot[1] };
        }
        self.elapsed = from.u32()?.min(u32::MAX - 1);
        if self.cooks[0].cell == self.cooks[1].cell {
            return Err(from.error("both cooks are in one cell"));
        }
        Ok(())
    }
}

/// The kitchen from above.
fn draw(game: &Overcooked) -> Scene {
    let (width, height) = (game.kitchen.width, game.kitchen.height);
    let place = |cell: usize| ((cell % width) as f32, (height - 1 - cell / width) as f32);
    let (onion, plate, soup) = (Color(240, 200, 60), Color(250, 250, 250), Color(190, 90, 20));
    let mut shapes = Vec::new();
    let food = |shapes: &mut Vec<Shape>, item: Item, x: f32, y: f32| {
        let color = match item {
            Item::None => return,
            Item::Onion => onion,
            Item::Plate => plate,
            Item::Soup => soup,
        };
        if item == Item::Soup {
            shapes.push(Shape::Disc { x, y, radius: 0.21, color: plate });
        }
        shapes.push(Shape::Disc { x, y, radius: 0.16, color });
    };
    for (cell, tile) in game.kitchen.tiles.iter().enumerate() {
        let (x, y) = place(cell);
        let color = match tile {
            Tile::Floor => Color(236, 240, 244),
            Tile::Goal => Color(130, 180, 110),
            _ => Color(168, 140, 110),
        };
        shapes.push(Shape::Rect { x: x + 0.02, y: y + 0.02, width: 0.96, height: 0.96, color });
        let (x, y) = (x + 0.5, y + 0.5);
        match tile {
            Tile::Onions | Tile::Plates => {
                let color = if *tile == Tile::Onions { onion } else { plate };
                for (dx, dy) in [(-0.18, -0.12), (0.18, -0.12), (0.0, 0.16)] {
                    shapes.push(Shape::Disc { x: x + dx, y: y + dy, radius: 0.16, color });
                }
            }
            Tile::Pot => shapes.push(Shape::Disc { x, y, radius: 0.4, color: Color(50, 54, 60) }),
            _ => food(&mut shapes, game.items[cell], x, y),
        }
    }
    for (pot, cell) in game.pots.iter().zip(&game.kitchen.pots) {
        let (x, y) = place(*cell);
        for k in 0..pot.onions {
            let done = pot.onions == FULL && pot.left == 0;
            let color = if done { soup } else { onion };
            shapes.push(Shape::Disc { x: x + 0.3 + 0.2 * k as f32, y: y + 0.5, radius: 0.11, color });
        }
        if pot.left > 0 {
            let text = pot.left.to_string();
            shapes.push(Shape::Text { x: x + 0.35, y: y + 0.12, size: 0.2, color: plate, text });
        }
    }
    for (cook, color) in game.cooks.iter().zip([Color(52, 101, 164), Color(204, 60, 40)]) {
        let (x, y) = place(cook.cell);
        let (x, y) = (x + 0.5, y + 0.5);
        shapes.push(Shape::Disc { x, y, radius: 0.38, color });
        let (dx, dy) = [(0.0, 0.3), (0.0, -0.3), (0.3, 0.0), (-0.3, 0.0)][cook.facing as usize % 4];
        food(&mut shapes, cook.holds, x + dx, y + dy);
        shapes.push(Shape::Line {
            from: (x, y),
            to: (x + dx, y + dy),
            width: 0.06,
            color: Color(20, 20, 20),
        });
    }
    Scene {
        bounds: (0.0, width as f32, 0.0, height as f32),
        background: Color(255, 255, 255),
        shapes,
        caption: format!("overcooked, {}, step {}", game.kitchen.name, game.elapsed),
    }
    .with_legend(&[
        (Color(50, 54, 60), "pot"),
        (onion, "onion"),
        (plate, "plate"),
        (soup, "soup"),
        (Color(130, 180, 110), "goal"),
    ])
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    fn game(layout: &str, shaping: f64) -> Overcooked {
        Overcooked::new(
            "overcooked",
            &OvercookedOptions { layout: layout.into(), shaping, ..Default::default() },
        )
        .unwrap()
    }

    /// Plays a tape of a cook's actions, the other stays; returns the rewards added up.
    fn play(game: &mut Overcooked, cook: usize, tape: &str) -> [f32; 2] {
        let mut rng = Stream::new(0, Purpose::Step, 0, 0);
        let mut sum = [0.0; 2];
        for mark in tape.chars() {
            let mut actions = [STAY; 2];
            actions[cook] = "udrl.i".find(mark).unwrap() as u32;
            let mut reward = [0.0; 2];
            let given = Actions { discrete: &actions, continuous: &[] };
            game.step(given, &mut rng, &mut reward, &mut [false; 2]).unwrap();
            sum.iter_mut().zip(reward).for_each(|(s, r)| *s += r);
        }
        sum
    }

    #[test]
    fn a_soup_is_made_and_delivered() {
        let mut kitchen = game("cramped_room", 0.0);
        // Three times: an onion from the left pile into the pot above the middle.
        for onions in 1..=3 {
            assert_eq!(play(&mut kitchen, 0, "lirui"), [0.0; 2]);
            assert_eq!(kitchen.pots[0].onions, onions);
            play(&mut kitchen, 0, "l");
        }
        assert_eq!(kitchen.pots[0].left, 18, "the step of the third onion and the next count");
        // A plate from below, back to the pot.
        play(&mut kitchen, 0, "ddiur");
        assert_eq!(kitchen.cooks[0].holds, Item::Plate);
        play(&mut kitchen, 0, "u.......");
        assert_eq!(play(&mut kitchen, 0, "i"), [0.0; 2]);
        assert_eq!(kitchen.cooks[0].holds, Item::Plate, "not done yet");
        play(&mut kitchen, 0, "......");
        play(&mut kitchen, 0, "i");
        assert_eq!((kitchen.cooks[0].holds, kitchen.pots[0]), (Item::Soup, Pot::default()));
        assert_eq!(play(&mut kitchen, 0, "drdi"), [SOUP; 2]);
        assert_eq!(kitchen.cooks[0].holds, Item::None);
    }

    #[test]
    fn shaping_pays_the_cook_who_works() {
        let mut kitchen = game("cramped_room", 2.0);
        assert_eq!(play(&mut kitchen, 0, "lirui"), [6.0, 0.0]);
        assert_eq!(play(&mut kitchen, 0, "ldd"), [0.0; 2]);
        assert_eq!(play(&mut kitchen, 0, "i"), [6.0, 0.0], "a plate for the pot with an onion");
        assert_eq!(
            play(&mut kitchen, 0, "lilddi"),
            [0.0; 2],
            "put down on the left, and another one: useless"
        );
    }

    #[test]
    fn cooks_block_each_other() {
        let mut kitchen = game("cramped_room", 0.0);
        let mut rng = Stream::new(0, Purpose::Step, 0, 0);
        let mut both = |kitchen: &mut Overcooked, actions: [u32; 2]| {
            let given = Actions { discrete: &actions, continuous: &[] };
            kitchen.step(given, &mut rng, &mut [0.0; 2], &mut [false; 2]).unwrap();
            kitchen.cooks.map(|c| c.cell)
        };
        assert_eq!(both(&mut kitchen, [2, 3]), [6, 8], "one cell");
        assert_eq!(both(&mut kitchen, [2, 4]), [7, 8]);
        assert_eq!(both(&mut kitchen, [2, 3]), [7, 8], "each other's");
        assert_eq!(both(&mut kitchen, [2, 4]), [7, 8], "into one that stays");
        assert_eq!(both(&mut kitchen, [2, 1]), [8, 13], "following");
        assert_eq!(kitchen.cooks.map(|c| c.facing), [2, 1]);
    }

    #[test]
    fn layers_show_pots_items_and_urgency() {
        let mut kitchen = game("cramped_room", 0.0);
        play(&mut kitchen, 0, "li");
        let mut obs = vec![0.0; 26 * 20];
        kitchen.observe(1, &mut obs);
        let lit = |layer: usize| {
            let cells = &obs[20 * layer..20 * (layer + 1)];
            (0..20).filter(|c| cells[*c] > 0.0).collect::<Vec<_>>()
        };
        assert_eq!((lit(0), lit(1)), (vec![8], vec![6]));
        assert_eq!((lit(2), lit(9)), (vec![8], vec![6]), "up, and left");
        assert_eq!((lit(10), lit(12), lit(14), lit(15)), (vec![2], vec![5, 9], vec![16], vec![18]));
        assert_eq!(lit(23), [6], "the onion that the other carries");
        assert!(lit(25).is_empty());
        kitchen.elapsed = 361;
        kitchen.observe(1, &mut obs);
        assert_eq!(obs[20 * 25..], [1.0; 20]);
    }
}
