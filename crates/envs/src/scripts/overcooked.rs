//! Two cooks for `overcooked` who share the work and plan their ways together.
//!
//! Everything is in a cook's observation, so both cooks form the same plan and each does its part of it: what each should do
//! next follows from what pots still lack and from what is carried and lies about; ways are those of [`super::pair`]. A cook
//! that cannot reach pots or goals hands things over at a counter that both reach. The width of the kitchen is not
//! observed; it is the one for which all edges are closed.

use coact_core::{EnvSpec, Error, GroupSpec, Result};

use super::pair::{Errand, Floor, MOST_CELLS, NEVER, Pair, STAY};
use super::{Choice, Draws, Script, ScriptEntry, Seen};
use crate::overcooked::Item;

pub const COOK: ScriptEntry = ScriptEntry {
    envs: &["overcooked", "overcooked/"],
    group: "cook",
    name: "cook",
    summary: "brings what pots lack and hands over at counters; both cooks form one plan from what each sees",
    build,
};

const INTERACT: u32 = 5;
const FULL: u32 = 3;

// Layers of the observation.
const POSITION: usize = 0;
const ORIENTATION: usize = 2;
const POTS: usize = 10;
const COUNTERS: usize = 11;
const ONION_PILES: usize = 12;
const PLATE_PILES: usize = 14;
const GOALS: usize = 15;
const ONIONS_IN_POT: usize = 16;
const ONIONS_IN_SOUP: usize = 18;
const TIME_LEFT: usize = 20;
const SOUPS: usize = 21;
const PLATES: usize = 22;
const ONIONS: usize = 23;

fn build(env: &EnvSpec, group: &GroupSpec) -> Result<Box<dyn Script>> {
    let first = group.obs.first().filter(|f| f.name == "own_position" && group.n_agents == 2);
    let Some(layer) = first else {
        return Err(Error::invalid(format!("{}: script `cook` plays two cooks who see layers", env.name)));
    };
    Ok(Box::new(Planner { places: layer.width, ..Planner::default() }))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cook {
    cell: usize,
    facing: usize,
    holds: Item,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pot {
    place: usize,
    onions: u32,
    left: u32,
}

/// What changes from step to step.
#[derive(Debug, Clone, Default, PartialEq)]
struct Moment {
    cooks: [Cook; 2],
    pots: Vec<Pot>,
    /// What lies at each place.
    lying: Vec<Item>,
}

/// What never changes.
#[derive(Debug)]
struct Kitchen {
    floor: Floor,
    onions: Vec<usize>,
    plates: Vec<usize>,
    goals: Vec<usize>,
    counters: Vec<usize>,
}

/// Plans for both. It remembers the kitchen and its last plan, which the same moment would give again.
#[derive(Debug, Default)]
struct Planner {
    places: usize,
    kitchen: Option<Kitchen>,
    now: Moment,
    planned: Moment,
    pair: Pair,
    errands: [Errand; 2],
    actions: [u32; 2],
}

impl Script for Planner {
    fn act(&mut self, agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        *action = STAY as u32;
        if self.kitchen.is_none() {
            self.kitchen = Kitchen::of(obs, self.places);
            self.errands.iter_mut().for_each(|errand| errand.targets.reserve(2 * self.places));
            for moment in [&mut self.now, &mut self.planned] {
                moment.lying.reserve(self.places);
                moment.pots.reserve(self.places);
            }
        }
        let Some(kitchen) = &self.kitchen else { return };
        if kitchen.read(agent, obs, self.places, &mut self.now).is_none() {
            return;
        }
        if self.now != self.planned {
            std::mem::swap(&mut self.now, &mut self.planned);
            let Moment { cooks, .. } = self.planned;
            kitchen.share_out(&self.planned, &mut self.errands);
            let yields = usize::from(urgency(cooks[0].holds) >= urgency(cooks[1].holds));
            let at = cooks.map(|cook| cook.cell);
            let ways = self.pair.steps(&kitchen.floor, at, &mut self.errands, yields);
            for (i, action) in self.actions.iter_mut().enumerate() {
                *action = kitchen.action(cooks[i], &self.errands[i], ways[i]);
            }
        }
        *action = self.actions[agent];
    }
}

/// Who goes first where only one can.
fn urgency(holds: Item) -> usize {
    [Item::None, Item::Onion, Item::Plate, Item::Soup].iter().position(|item| *item == holds).unwrap_or(0)
}

fn layer(obs: &[f32], places: usize, layer: usize) -> &[f32] {
    &obs[layer * places..(layer + 1) * places]
}

/// What is at a place, lying or carried.
fn item_at(obs: &[f32], places: usize, place: usize) -> Item {
    let lit = |l: usize| layer(obs, places, l)[place] > 0.5;
    match () {
        () if lit(SOUPS) => Item::Soup,
        () if lit(PLATES) => Item::Plate,
        () if lit(ONIONS) => Item::Onion,
        () => Item::None,
    }
}

impl Kitchen {
    /// Reads the first observation; nothing if no width fits, or the floor is too large.
    fn of(obs: &[f32], places: usize) -> Option<Self> {
        let lit = |l: usize, p: usize| layer(obs, places, l)[p] > 0.5;
        let has_cook = |p: usize| lit(POSITION, p) || lit(POSITION + 1, p);
        let bears = |p: usize| !has_cook(p) && !lit(POTS, p) && item_at(obs, places, p) != Item::None;
        let counter = |p: usize| lit(COUNTERS, p) || bears(p);
        let stands = |p: usize| [POTS, ONION_PILES, PLATE_PILES, GOALS].iter().any(|l| lit(*l, p));
        let is_floor: Vec<bool> = (0..places).map(|p| !stands(p) && !counter(p)).collect();
        let closed = |width: &usize| {
            let last = (places / width - 1, width - 1);
            let edge = |p: usize| [0, last.0].contains(&(p / width)) || [0, last.1].contains(&(p % width));
            places.is_multiple_of(*width) && !(0..places).any(|p| edge(p) && is_floor[p])
        };
        // Of several, the one nearest to a square.
        let width = (3..=places / 3).filter(closed).min_by_key(|w| w.abs_diff(places / w))?;
        let floor = Floor::new(&is_floor, width);
        let all = |l: usize| (0..places).filter(|p| lit(l, *p)).collect();
        (floor.len() <= MOST_CELLS).then(|| Self {
            floor,
            onions: all(ONION_PILES),
            plates: all(PLATE_PILES),
            goals: all(GOALS),
            counters: (0..places).filter(|p| counter(*p)).collect(),
        })
    }

    /// Reads an observation of cook `agent`; the two are numbered as in the environment.
    fn read(&self, agent: usize, obs: &[f32], places: usize, now: &mut Moment) -> Option<()> {
        for own in 0..2 {
            let place = layer(obs, places, POSITION + own).iter().position(|x| *x > 0.5)?;
            let orientation = |d: &usize| layer(obs, places, ORIENTATION + 4 * own + d)[place] > 0.5;
            let facing = (0..4).find(orientation)?;
            let cook = Cook { cell: self.floor.cell[place]?, facing, holds: item_at(obs, places, place) };
            now.cooks[if own == 0 { agent } else { 1 - agent }] = cook;
        }
        now.lying.clear();
        now.lying.resize(places, Item::None);
        self.counters.iter().for_each(|p| now.lying[*p] = item_at(obs, places, *p));
        now.pots.clear();
        let number = |l: usize, p: usize| layer(obs, places, l)[p] as u32;
        let pots = (0..places).filter(|p| number(POTS, *p) > 0);
        now.pots.extend(pots.map(|place| match number(ONIONS_IN_SOUP, place) {
            0 => Pot { place, onions: number(ONIONS_IN_POT, place), left: 0 },
            onions => Pot { place, onions, left: number(TIME_LEFT, place) },
        }));
        Some(())
    }

    /// What a cook does: interacts with what it is beside and wants, turns to it, or goes its way.
    fn action(&self, cook: Cook, errand: &Errand, way: usize) -> u32 {
        let wants = |way: &usize| {
            self.floor.ahead(cook.cell, *way).is_some_and(|place| errand.targets.contains(&place))
        };
        let turn = [cook.facing, 0, 1, 2, 3].into_iter().find(wants);
        match turn {
            Some(turn) if !errand.waits => {
                if turn == cook.facing {
                    INTERACT
                } else {
                    turn as u32
                }
            }
            Some(turn) if way == STAY && turn != cook.facing => turn as u32,
            _ => way as u32,
        }
    }

    /// Whether cook number `i` can stand beside one of `places`.
    fn reaches(&self, cook: Cook, places: &[usize]) -> bool {
        places.iter().any(|p| self.floor.steps_beside(cook.cell, *p) < NEVER)
    }

    /// Says what each cook does next.
    fn share_out(&self, now: &Moment, errands: &mut [Errand; 2]) {
        for (i, errand) in errands.iter_mut().enumerate() {
            errand.targets.clear();
            errand.waits = false;
            if now.cooks[i].holds != Item::None {
                self.bring(now, i, errand);
            }
        }
        let needs = Needs::of(now);
        let empty = |i: &usize| now.cooks[*i].holds == Item::None;
        // The cook for whom plates are the smaller detour chooses first, and gets them.
        let mut order = [0, 1];
        order.sort_by_key(|i| self.detour(now, *i));
        let mut left = needs;
        for i in order.into_iter().filter(empty) {
            let other_is_busy = now.cooks[1 - i].holds == Item::Plate || now.cooks[1 - i].holds == Item::Soup;
            self.fetch(now, i, &mut left, other_is_busy, &mut errands[i]);
        }
    }

    /// How much longer the way with a plate to a pot and on to a goal is than the way with an onion to a pot.
    fn detour(&self, now: &Moment, i: usize) -> i64 {
        let cell = now.cooks[i].cell;
        let pots = || now.pots.iter().map(|p| p.place);
        let all = |places: &[usize]| -> u32 {
            let ways = places.iter().map(|p| self.floor.steps_beside(cell, *p));
            ways.min().unwrap_or(NEVER)
        };
        let on = |from: &[usize], to: usize| {
            from.iter().map(|p| self.floor.steps_between(cell, *p, to)).min().unwrap_or(NEVER)
        };
        let to_pot = |pile: &[usize]| pots().map(|pot| on(pile, pot)).min().unwrap_or(NEVER);
        let to_goal = pots().map(|pot| on(&self.goals, pot)).min().unwrap_or(NEVER);
        i64::from(all(&self.plates) + to_pot(&self.plates)) + i64::from(to_goal)
            - i64::from(all(&self.onions) + to_pot(&self.onions))
    }

    /// Where a cook takes what it carries.
    fn bring(&self, now: &Moment, i: usize, errand: &mut Errand) {
        let cook = now.cooks[i];
        let reached = |place: &usize| self.floor.steps_beside(cook.cell, *place) < NEVER;
        let pots = || now.pots.iter().filter(|pot| reached(&pot.place));
        match cook.holds {
            Item::Soup => errand.targets.extend(self.goals.iter().copied().filter(reached)),
            Item::Onion => {
                let most = pots().filter(|p| p.onions < FULL).map(|p| p.onions).max();
                let open = pots().filter(|p| Some(p.onions) == most);
                errand.targets.extend(open.map(|p| p.place));
                if errand.targets.is_empty() {
                    errand.waits = true;
                    errand.targets.extend(pots().min_by_key(|p| p.left).map(|p| p.place));
                }
            }
            Item::Plate => {
                let cooked = |p: &&Pot| p.onions == FULL && p.left == 0;
                errand.targets.extend(pots().filter(cooked).map(|p| p.place));
                if errand.targets.is_empty() {
                    errand.waits = true;
                    let next = pots().min_by_key(|p| (FULL - p.onions, p.left));
                    errand.targets.extend(next.map(|p| p.place));
                }
            }
            Item::None => {}
        }
        if errand.targets.is_empty() {
            // Somebody else can go on from a counter that both reach.
            errand.waits = false;
            let shared =
                self.counters.iter().filter(|p| now.lying[**p] == Item::None && self.is_shared(now, **p));
            errand.targets.extend(shared);
        }
    }

    fn is_shared(&self, now: &Moment, place: usize) -> bool {
        now.cooks.iter().all(|cook| self.floor.steps_beside(cook.cell, place) < NEVER)
    }

    /// What a cook with empty hands goes for; takes it off what is needed.
    fn fetch(&self, now: &Moment, i: usize, needs: &mut Needs, other_is_busy: bool, errand: &mut Errand) {
        let cook = now.cooks[i];
        let reached = |place: &usize| self.floor.steps_beside(cook.cell, *place) < NEVER;
        let lying =
            |item: Item| self.counters.iter().copied().filter(move |p| now.lying[*p] == item && reached(p));
        let cooks = now.pots.iter().any(|p| reached(&p.place));
        if self.reaches(cook, &self.goals) {
            errand.targets.extend(lying(Item::Soup));
            if !errand.targets.is_empty() {
                return;
            }
        }
        // A plate is in time if the way to it takes as long as the soup.
        let soon = now.pots.iter().filter(|p| p.onions == FULL).map(|p| p.left).min().unwrap_or(0);
        let walk = self.plates.iter().map(|p| self.floor.steps_beside(cook.cell, *p)).min().unwrap_or(0);
        let early = cooks && needs.onions + needs.lying_onions > 0 && soon > walk + HASTE;
        let mut take = |item: Item, pile: &[usize], from_pile: bool, from_counters: bool| {
            if from_counters && cooks {
                errand.targets.extend(lying(item));
            }
            if from_pile {
                errand.targets.extend(pile.iter().copied().filter(reached));
            }
            !errand.targets.is_empty()
        };
        if !early && take(Item::Plate, &self.plates, needs.plates > 0, needs.plates + needs.lying_plates > 0)
        {
            needs.plates -= 1;
            return;
        }
        if take(Item::Onion, &self.onions, needs.onions > 0, needs.onions + needs.lying_onions > 0) {
            needs.onions -= 1;
            return;
        }
        // Ahead of time: a plate for a pot that others fill, an onion for one that is about to be emptied.
        let spare_plate =
            cooks && needs.onions <= 0 && needs.plates_about < now.pots.len() as i32 && !other_is_busy;
        if take(Item::Plate, &self.plates, spare_plate, spare_plate) {
            needs.plates_about += 1;
            return;
        }
        let spare_onion = cooks && other_is_busy && needs.onions == 0 && needs.lying_onions == 0;
        if take(Item::Onion, &self.onions, spare_onion, false) {
            return;
        }
        errand.waits = true;
    }
}

/// Steps that a cook who fetches a plate needs beside the way to the pile.
const HASTE: u32 = 6;

/// What pots lack.
#[derive(Debug, Clone, Copy)]
struct Needs {
    /// Onions beyond those that are carried and lie about.
    onions: i32,
    lying_onions: i32,
    /// Plates for full pots beyond those that are carried and lie about.
    plates: i32,
    lying_plates: i32,
    plates_about: i32,
}

impl Needs {
    fn of(now: &Moment) -> Self {
        let count = |item: Item| {
            let lying = now.lying.iter().filter(|i| **i == item).count() as i32;
            (now.cooks.iter().filter(|c| c.holds == item).count() as i32, lying)
        };
        let room: u32 = now.pots.iter().map(|p| FULL - p.onions.min(FULL)).sum();
        let full = now.pots.iter().filter(|p| p.onions == FULL).count() as i32;
        let ((onions, lying_onions), (plates, lying_plates)) = (count(Item::Onion), count(Item::Plate));
        Self {
            onions: room as i32 - onions - lying_onions,
            lying_onions,
            plates: full - plates - lying_plates,
            lying_plates,
            plates_about: plates + lying_plates,
        }
    }
}
