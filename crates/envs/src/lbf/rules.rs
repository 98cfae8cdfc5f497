//! The rules of foraging over any [`Real`], with the field as lists of players and food.
//!
//! Variables: `row, col, level` of every player, `row, col, level` of every piece of food in row-major order (-1, -1, 0
//! once loaded), and the sum of food levels at the start. Whole numbers all of them, so that f32 is exact.

use coact_core::scene::{Color, Scene, Shape};
use coact_core::{ActionSpace, EnvSpec, Error, GroupSpec, ObsField, Result, RewardKind, Stream};

use crate::real::Real;
use crate::rules::{ActionsOf, Outcome, Rules};

/// Tries to place a player or all food before giving up, as in the original.
const ATTEMPTS: usize = 1000;

/// A task in full; see [`super::Task::configure`] and [`super::ForagingOptions`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Config {
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    pub n_players: usize,
    pub n_foods: usize,
    pub sight: usize,
    pub coop: bool,
    pub grid: bool,
    pub penalty: f64,
    pub max_steps: u32,
    pub normalize_reward: bool,
    pub observe_agent_levels: bool,
    pub min_player_level: Vec<u32>,
    pub max_player_level: Vec<u32>,
    pub min_food_level: Vec<u32>,
    pub max_food_level: Option<Vec<u32>>,
}

impl Config {
    fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::invalid(format!("{}: {what}", self.name)));
        let within = |what: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(format!("{}: {what} is {value}; use {least} to {most}", self.name)))
        };
        within("the number of rows", self.rows, 3, 128)?;
        within("the number of columns", self.cols, 3, 128)?;
        within("the number of players", self.n_players, 1, 64.min(self.rows * self.cols / 2))?;
        within("the number of pieces of food", self.n_foods, 1, 64)?;
        within("the sight", self.sight, 1, if self.grid { 32 } else { 128 })?;
        within("max_steps", self.max_steps as usize, 1, u32::MAX as usize)?;
        if !(0.0..=1e6).contains(&self.penalty) {
            return refuse(format!("penalty is {}; use 0 to 1e6 (it is subtracted)", self.penalty));
        }
        let mut players = self.min_player_level.iter().zip(&self.max_player_level);
        if let Some((low, high)) = players.find(|(low, high)| low > high) {
            return refuse(format!("min_player_level {low} is above max_player_level {high}; swap them"));
        }
        let highest = self.max_food_level.iter().flatten();
        if let Some((low, high)) = self.min_food_level.iter().zip(highest).find(|(low, high)| low > high) {
            return refuse(format!("min_food_level {low} is above max_food_level {high}; swap them"));
        }
        let sum = sum_of_three_lowest(self.min_player_level.iter().copied());
        let named = self.min_food_level.iter().max().filter(|_| self.max_food_level.is_none() && !self.coop);
        if let Some(low) = named.filter(|low| **low > sum) {
            return refuse(format!(
                "min_food_level {low} can be above the players' sum {sum}; give max_food_level"
            ));
        }
        Ok(())
    }

    fn spec(&self) -> EnvSpec {
        let top = self.max_player_level.iter().max().copied().unwrap_or(1) as f32;
        let food = match &self.max_food_level {
            Some(levels) => levels.iter().max().copied().unwrap_or(1),
            None => sum_of_three_lowest(self.max_player_level.iter().copied()),
        } as f32;
        let shown = if self.observe_agent_levels { top } else { 1.0 };
        let mut obs = Vec::new();
        if self.grid {
            let cells = self.window() * self.window();
            obs.push(ObsField::new("player_levels", cells, 0.0, shown));
            obs.push(ObsField::new("food_levels", cells, 0.0, food));
            obs.push(ObsField::new("accessible", cells, 0.0, 1.0));
        } else {
            let farthest = (self.rows.max(self.cols) - 1) as f32;
            for i in 0..self.n_foods {
                obs.push(ObsField::new(format!("food_{i}_position"), 2, -1.0, farthest));
                obs.push(ObsField::new(format!("food_{i}_level"), 1, 0.0, food));
            }
            for i in 0..self.n_players {
                let who = if i == 0 { "own".into() } else { format!("other_{}", i - 1) };
                obs.push(ObsField::new(format!("{who}_position"), 2, -1.0, farthest));
                if self.observe_agent_levels {
                    obs.push(ObsField::new(format!("{who}_level"), 1, 0.0, top));
                }
            }
        }
        let player = GroupSpec {
            name: "player".into(),
            n_agents: self.n_players,
            obs,
            action: ActionSpace::Discrete { n: 6 },
            masked: false,
        };
        EnvSpec {
            name: self.name.clone(),
            version: 1,
            groups: vec![player],
            state_width: 3 * (self.n_players + self.n_foods) + 1,
            episode_limit: Some(self.max_steps),
            reward: RewardKind::PerAgent,
        }
    }

    /// Cells along one side of what a player sees.
    fn window(&self) -> usize {
        2 * self.sight + 1
    }
}

/// The food level that needs everybody, or three where there are more.
fn sum_of_three_lowest(levels: impl Iterator<Item = u32>) -> u32 {
    let mut lowest = [u32::MAX; 3];
    for mut level in levels {
        for slot in &mut lowest {
            if level < *slot {
                std::mem::swap(slot, &mut level);
            }
        }
    }
    lowest.iter().filter(|l| **l < u32::MAX).sum()
}

/// Foraging, ready to run. Observations are lists; see [`GridForaging`] for grids.
#[derive(Debug, Clone)]
pub struct Foraging {
    spec: EnvSpec,
    config: Config,
}

impl Foraging {
    /// Checks the task.
    ///
    /// # Errors
    /// Sizes, levels or a penalty that make no game.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        Ok(Self { spec: config.spec(), config })
    }

    /// The task.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Variables of all players, of all food, and the rest.
    #[inline(always)]
    fn parts<'a, R>(&self, vars: &'a [R]) -> (&'a [R], &'a [R], &'a [R]) {
        let (players, rest) = vars.split_at(3 * self.config.n_players);
        let (foods, total) = rest.split_at(3 * self.config.n_foods);
        (players, foods, total)
    }

    /// Where `action` would take a player: its own cell unless the action is a move onto the field and not onto food.
    #[inline(always)]
    fn target<R: Real>(&self, own: [R; 2], foods: &[R], action: R::Int) -> [R; 2] {
        let (zero, one) = (R::of(0.0), R::of(1.0));
        let signed = |plus, minus| {
            let back = R::select(R::is(action, minus), -one, zero);
            R::select(R::is(action, plus), one, back)
        };
        let last = [R::of((self.config.rows - 1) as f64), R::of((self.config.cols - 1) as f64)];
        let row = (own[0] + signed(2, 1)).max(zero).min(last[0]);
        let col = (own[1] + signed(4, 3)).max(zero).min(last[1]);
        let mut onto_food = R::mask_of(false);
        for food in foods.chunks_exact(3) {
            onto_food = R::or(onto_food, same([row, col], [food[0], food[1]]));
        }
        [R::select(onto_food, own[0], row), R::select(onto_food, own[1], col)]
    }

    /// Whether `action` is more than nothing for a player now.
    pub fn does_something(&self, vars: &[f32], player: usize, action: u32) -> bool {
        let (players, foods, _) = self.parts(vars);
        let own = [players[3 * player], players[3 * player + 1]];
        match action {
            0 => true,
            5 => foods.chunks_exact(3).any(|food| beside(own, [food[0], food[1]])),
            _ => self.target::<f32>(own, foods, action) != own,
        }
    }

    /// Moves every player that nobody is in the way of; `targets` holds a cell a player.
    #[inline(always)]
    fn walk<R: Real>(players: &mut [R], targets: &[R]) {
        let n = players.len() / 3;
        for i in 0..n {
            let to = [targets[2 * i], targets[2 * i + 1]];
            let mut wanted = R::mask_of(false);
            for j in (0..n).filter(|j| *j != i) {
                wanted = R::or(wanted, same(to, [targets[2 * j], targets[2 * j + 1]]));
            }
            for axis in 0..2 {
                players[3 * i + axis] = R::select(wanted, players[3 * i + axis], to[axis]);
            }
        }
    }

    /// Pays for one piece of food, and removes it if it was loaded.
    #[inline(always)]
    fn load<R: Real>(&self, food: &mut [R], players: &[R], total: R, actions: &[R::Int], reward: &mut [R]) {
        let (zero, half) = (R::of(0.0), R::of(0.5));
        let place = [food[0], food[1]];
        let loads = |i: usize| {
            let here = beside([players[3 * i], players[3 * i + 1]], place);
            R::and(R::is(actions[i], 5), here)
        };
        let mut sum = zero;
        for i in 0..reward.len() {
            sum = sum + R::select(loads(i), players[3 * i + 2], zero);
        }
        let enough = R::and(half.less(sum), (food[2] - half).less(sum));
        let share = if self.config.normalize_reward { sum.max(R::of(1.0)) * total } else { R::of(1.0) };
        for (i, paid) in reward.iter_mut().enumerate() {
            let won = players[3 * i + 2] * food[2] / share;
            let earned = R::select(enough, won, R::of(0.0 - self.config.penalty));
            *paid = R::select(loads(i), earned, *paid);
        }
        for (axis, gone) in [-1.0, -1.0, 0.0].into_iter().enumerate() {
            food[axis] = R::select(enough, R::of(gone), food[axis]);
        }
    }

    /// Visible food, then visible players, itself first.
    #[inline(always)]
    fn list<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        let (players, foods, _) = self.parts(vars);
        let (seen_foods, seen_players) = obs.split_at_mut(foods.len());
        let whole = self.config.sight >= self.config.rows.max(self.config.cols);
        let (zero, half, sight) = (R::of(0.0), R::of(0.5), R::of(self.config.sight as f64));
        let me = [players[3 * agent], players[3 * agent + 1]];
        let origin = if whole { [zero; 2] } else { me.map(|x| (x - sight).max(zero)) };
        seen_foods
            .chunks_exact_mut(3)
            .for_each(|slot| slot.copy_from_slice(&[-R::of(1.0), -R::of(1.0), zero]));
        for (i, food) in foods.chunks_exact(3).enumerate().rev() {
            let mut seen = half.less(food[2]);
            if !whole {
                let far = (food[0] - me[0]).abs().max((food[1] - me[1]).abs());
                seen = R::and(seen, far.less(sight + half));
            }
            let local = [food[0] - origin[0], food[1] - origin[1], food[2]];
            push_front(seen_foods, &local, self.config.n_foods - i, seen);
        }
        let width = if self.config.observe_agent_levels { 3 } else { 2 };
        let (own, others) = seen_players.split_at_mut(width);
        own.copy_from_slice(&[me[0] - origin[0], me[1] - origin[1], players[3 * agent + 2]][..width]);
        for slot in others.chunks_exact_mut(width) {
            slot.copy_from_slice(&[-R::of(1.0), -R::of(1.0), zero][..width]);
        }
        let mut n_seen = 0;
        for (i, other) in players.chunks_exact(3).enumerate().rev().filter(|(i, _)| *i != agent) {
            let local = [other[0] - origin[0], other[1] - origin[1], other[2]];
            n_seen += 1;
            if whole {
                let slot = i - usize::from(i > agent);
                others[width * slot..width * (slot + 1)].copy_from_slice(&local[..width]);
                continue;
            }
            let (low, high) = (local[0].min(local[1]), local[0].max(local[1]));
            let seen = R::and((-half).less(low), high.less(sight + sight + half));
            push_front(others, &local[..width], n_seen, seen);
        }
    }

    /// Three layers of cells around the player.
    #[inline(always)]
    fn layers<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        let (players, foods, _) = self.parts(vars);
        let (zero, one, half) = (R::of(0.0), R::of(1.0), R::of(0.5));
        let side = self.config.window();
        let (levels, rest) = obs.split_at_mut(side * side);
        let (food_levels, accessible) = rest.split_at_mut(side * side);
        let sight = R::of(self.config.sight as f64);
        let corner = [players[3 * agent] - sight, players[3 * agent + 1] - sight];
        let ends = [R::of(self.config.rows as f64 - 0.5), R::of(self.config.cols as f64 - 0.5)];
        for at in 0..side * side {
            let cell = [corner[0] + R::of((at / side) as f64), corner[1] + R::of((at % side) as f64)];
            let mut outside = R::or(cell[0].less(-half), cell[1].less(-half));
            outside = R::or(outside, R::or(ends[0].less(cell[0]), ends[1].less(cell[1])));
            (levels[at], food_levels[at]) = (zero, zero);
            for player in players.chunks_exact(3) {
                let here = same([player[0], player[1]], cell);
                let shown = if self.config.observe_agent_levels { player[2] } else { one };
                levels[at] = R::select(here, shown, levels[at]);
                outside = R::or(outside, here);
            }
            for food in foods.chunks_exact(3) {
                // Food that is gone lies at (-1, -1), which a window can show.
                let here = R::and(same([food[0], food[1]], cell), half.less(food[2]));
                food_levels[at] = R::select(here, food[2], food_levels[at]);
                outside = R::or(outside, here);
            }
            accessible[at] = R::select(outside, zero, one);
        }
    }
}

/// Whether two cells are one.
#[inline(always)]
fn same<R: Real>(a: [R; 2], b: [R; 2]) -> R::Mask {
    ((a[0] - b[0]).abs() + (a[1] - b[1]).abs()).less(R::of(0.5))
}

/// Whether two different cells share a side. Food that is gone is beside nothing.
#[inline(always)]
fn beside<R: Real>(a: [R; 2], b: [R; 2]) -> R::Mask {
    ((a[0] - b[0]).abs() + (a[1] - b[1]).abs()).less(R::of(1.5))
}

/// Where `seen` holds, moves the first entries of `list` back by one and writes `entry` in front; `n` entries can be
/// in use afterwards.
#[inline(always)]
fn push_front<R: Real>(list: &mut [R], entry: &[R], n: usize, seen: R::Mask) {
    let width = entry.len();
    for at in (width..n * width).rev() {
        list[at] = R::select(seen, list[at - width], list[at]);
    }
    for (slot, value) in list.iter_mut().zip(entry) {
        *slot = R::select(seen, *value, *slot);
    }
}

impl Rules for Foraging {
    const AVX512: bool = true;

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn set_limit(&mut self, limit: u32) {
        self.spec.episode_limit = Some(limit);
    }

    fn n_vars(&self) -> usize {
        self.spec.state_width
    }

    fn n_scratch(&self) -> usize {
        2 * self.config.n_players
    }

    fn begin(&self, rng: &mut Stream, vars: &mut [f32]) {
        let (players, rest) = vars.split_at_mut(3 * self.config.n_players);
        let (foods, total) = rest.split_at_mut(3 * self.config.n_foods);
        spawn_players(&self.config, rng, players);
        spawn_foods(&self.config, rng, players, foods);
        total[0] = foods.chunks_exact(3).map(|food| food[2]).sum();
    }

    #[inline(always)]
    fn advance<R: Real>(
        &self,
        vars: &mut [R],
        _alive: &[R::Mask],
        actions: ActionsOf<'_, R>,
        outcome: Outcome<'_, R>,
        scratch: &mut [R],
    ) {
        let (players, rest) = vars.split_at_mut(3 * self.config.n_players);
        let (foods, total) = rest.split_at_mut(3 * self.config.n_foods);
        for (i, player) in players.chunks_exact(3).enumerate() {
            let to = self.target([player[0], player[1]], foods, actions.discrete[i]);
            scratch[2 * i..2 * i + 2].copy_from_slice(&to);
        }
        Self::walk(players, scratch);
        outcome.reward.fill(R::of(0.0));
        let mut left = R::of(0.0);
        for food in foods.chunks_exact_mut(3) {
            self.load(food, players, total[0], actions.discrete, outcome.reward);
            left = left + food[2];
        }
        outcome.terminated.fill(left.less(R::of(0.5)));
    }

    #[inline(always)]
    fn observe<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        self.list(vars, agent, obs);
    }

    fn owner(&self, var: usize) -> usize {
        if var < 3 * self.config.n_players { var / 3 } else { 0 }
    }

    fn scene(&self, vars: &[f32], _alive: &[bool], elapsed: u32) -> Scene {
        draw(self, vars, elapsed)
    }
}

/// Foraging whose observations are grids.
#[derive(Debug, Clone)]
pub struct GridForaging(pub Foraging);

impl Rules for GridForaging {
    const AVX512: bool = true;

    fn spec(&self) -> &EnvSpec {
        self.0.spec()
    }

    fn set_limit(&mut self, limit: u32) {
        self.0.set_limit(limit);
    }

    fn n_vars(&self) -> usize {
        self.0.n_vars()
    }

    fn n_scratch(&self) -> usize {
        self.0.n_scratch()
    }

    fn begin(&self, rng: &mut Stream, vars: &mut [f32]) {
        self.0.begin(rng, vars);
    }

    #[inline(always)]
    fn advance<R: Real>(
        &self,
        vars: &mut [R],
        alive: &[R::Mask],
        actions: ActionsOf<'_, R>,
        outcome: Outcome<'_, R>,
        scratch: &mut [R],
    ) {
        self.0.advance(vars, alive, actions, outcome, scratch);
    }

    #[inline(always)]
    fn observe<R: Real>(&self, vars: &[R], agent: usize, obs: &mut [R]) {
        self.0.layers(vars, agent, obs);
    }

    fn owner(&self, var: usize) -> usize {
        self.0.owner(var)
    }

    fn scene(&self, vars: &[f32], alive: &[bool], elapsed: u32) -> Scene {
        self.0.scene(vars, alive, elapsed)
    }
}

/// Writes 0, 1, 2, ... into the level of each entry, in random order.
fn shuffle(rng: &mut Stream, entries: &mut [f32]) {
    let n = entries.len() / 3;
    for i in 0..n {
        entries[3 * i + 2] = i as f32;
    }
    for i in (1..n).rev() {
        entries.swap(3 * i + 2, 3 * rng.below(i as u32 + 1) as usize + 2);
    }
}

/// A level within bounds.
fn draw_level(rng: &mut Stream, low: u32, high: u32) -> f32 {
    (low + if low < high { rng.below(high - low + 1) } else { 0 }) as f32
}

/// Players on free cells, with bounds of levels handed out in random order.
fn spawn_players(config: &Config, rng: &mut Stream, players: &mut [f32]) {
    shuffle(rng, players);
    for i in 0..config.n_players {
        let taken = |cell: [f32; 2]| players[..3 * i].chunks_exact(3).any(|p| p[..2] == cell);
        let mut cell = [0.0; 2];
        for attempt in 0..ATTEMPTS + config.rows * config.cols {
            let at = match attempt.checked_sub(ATTEMPTS) {
                None => [rng.below(config.rows as u32) as f32, rng.below(config.cols as u32) as f32],
                Some(k) => [(k / config.cols) as f32, (k % config.cols) as f32],
            };
            cell = at;
            if !taken(at) {
                break;
            }
        }
        let bounds = players[3 * i + 2] as usize;
        let level = draw_level(rng, config.min_player_level[bounds], config.max_player_level[bounds]);
        players[3 * i..3 * i + 3].copy_from_slice(&[cell[0], cell[1], level]);
    }
}

/// Food off the border, apart from other food and not on a player, in row-major order; as much as finds room.
fn spawn_foods(config: &Config, rng: &mut Stream, players: &[f32], foods: &mut [f32]) {
    let sum = sum_of_three_lowest(players.chunks_exact(3).map(|p| p[2] as u32));
    shuffle(rng, foods);
    let mut placed = 0;
    for _ in 0..ATTEMPTS {
        if placed == config.n_foods {
            break;
        }
        let row = 1.0 + rng.below(config.rows as u32 - 2) as f32;
        let col = 1.0 + rng.below(config.cols as u32 - 2) as f32;
        let crowded = foods[..3 * placed].chunks_exact(3).any(|food| {
            let (dr, dc) = ((food[0] - row).abs(), (food[1] - col).abs());
            dr.max(dc) < 1.5 || dr + dc < 2.5 && dr.min(dc) < 0.5
        });
        if crowded || players.chunks_exact(3).any(|p| p[..2] == [row, col]) {
            continue;
        }
        let bounds = foods[3 * placed + 2] as usize;
        let high = config.max_food_level.as_ref().map_or(sum, |levels| levels[bounds]);
        let low = if config.coop { high } else { config.min_food_level[bounds] };
        let mut at = placed;
        // Insert in row-major order.
        while at > 0 && (foods[3 * at - 3], foods[3 * at - 2]) > (row, col) {
            foods.copy_within(3 * at - 3..3 * at, 3 * at);
            at -= 1;
        }
        foods[3 * at..3 * at + 3].copy_from_slice(&[row, col, draw_level(rng, low, high)]);
        placed += 1;
    }
    for food in foods[3 * placed..].chunks_exact_mut(3) {
        food.copy_from_slice(&[-1.0, -1.0, 0.0]);
    }
}

/// The field from above, levels as numbers.
fn draw(rules: &Foraging, vars: &[f32], elapsed: u32) -> Scene {
    let (rows, cols) = (rules.config.rows as f32, rules.config.cols as f32);
    let (players, foods, total) = rules.parts(vars);
    let (line, ink, leaf) = (Color(214, 220, 226), Color(255, 255, 255), Color(86, 152, 42));
    let mut shapes = Vec::new();
    for i in 0..=rules.config.rows {
        let y = i as f32;
        shapes.push(Shape::Line { from: (0.0, y), to: (cols, y), width: 0.03, color: line });
    }
    for i in 0..=rules.config.cols {
        let x = i as f32;
        shapes.push(Shape::Line { from: (x, 0.0), to: (x, rows), width: 0.03, color: line });
    }
    let mut number = |entry: &[f32], radius: f32, color: Color| {
        let (x, y) = (entry[1] + 0.5, rows - entry[0] - 0.5);
        shapes.push(Shape::Disc { x, y, radius, color });
        let text = format!("{}", entry[2]);
        let x = x - 0.13 * text.len() as f32;
        shapes.push(Shape::Text { x, y: y - 0.18, size: 0.36, color: ink, text });
    };
    foods.chunks_exact(3).filter(|f| f[2] > 0.0).for_each(|food| number(food, 0.36, leaf));
    for (i, player) in players.chunks_exact(3).enumerate() {
        number(player, 0.44, PLAYERS[i % PLAYERS.len()]);
    }
    let left: f32 = foods.chunks_exact(3).map(|f| f[2]).sum();
    Scene {
        bounds: (-0.2, cols + 0.2, -0.2, rows + 0.2),
        background: Color(255, 255, 255),
        shapes,
        caption: format!("{}, step {elapsed}, food {left} of {}", rules.config.name, total[0]),
    }
    .with_legend(&[(leaf, "food and its level"), (PLAYERS[0], "players and theirs")])
}

/// Colors of players.
const PLAYERS: [Color; 6] = [
    Color(52, 101, 164),
    Color(204, 60, 40),
    Color(117, 80, 123),
    Color(193, 125, 17),
    Color(6, 130, 140),
    Color(85, 87, 83),
];
