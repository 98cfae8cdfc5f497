//! `collect_treasure`: collectors pick treasures up and carry each to the deposit of its kind, which comes to meet them.
//!
//! # Rules
//! Collectors (radius 0.05, push 1.5, mass 1) and deposits (0.075, 1.5, 2.25), all with a speed of at most 1, pass through
//! each other. A collector without a load that touches a treasure (0.025) takes it; of several, the first one. In the
//! following step the treasure appears again, of a random kind, somewhere within +-0.95. A collector that touches the
//! deposit of its load's kind gives it away. See [`super::world`].
//!
//! # Parameters
//! `n_collectors` (6), `n_deposits` (2, at most 6), one kind of treasure for each, `n_treasures` (6),
//! `max_cycles` (25), `continuous` (false).
//!
//! # Observation
//! With K kinds, `collector` (4 + K + (A - 1) (4 + 2 K) + T (2 + K), 86): position, velocity, kind of its load as a
//! one-hot, all other agents from the nearest on (position relative to itself, velocity, kind that it takes, kind of its
//! load), all treasures from the nearest on (relative position, kind; zeros at the end for those that are taken).
//! `deposit` (84): the same without a load.
//!
//! # Rewards and ends
//! All: 5 for every treasure that is taken and 5 for every one that is given away. Collectors also -5 for every other
//! collector that they touch, and minus 0.1 of the distance to the nearest treasure or, with a load, to its deposit;
//! deposits minus 0.1 of the distance to the nearest collector that carries their kind, or else to the middle of all
//! collectors. Truncated after 25 steps.
//!
//! # Returns
//! Random policy -15.8 summed over agents, scripts 253.0.
//!
//! # Origin
//! mpe2 1.1.1 `collect_treasure_v1` (Iqbal and Sha 2019, "Actor-Attention-Critic").

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use super::nearest::keep_nearest;
use super::world::{Body, World, distance, offset, square};
use super::{Given, Row, check_count, points, push};
use crate::Vectorized;
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

const NAME: &str = "collect_treasure";
/// Treasures appear within this of the middle.
const FIELD: f32 = 0.95;
/// What a treasure that is touched, and a load at its deposit, pays everybody.
const PRIZE: f64 = 5.0;
/// What touching another collector costs.
const BUMP: f64 = 5.0;
/// Weight of distances.
const SHAPING: f64 = 0.1;
/// Colors of kinds.
const KINDS: [Color; 6] = [
    Color(54, 104, 198),
    Color(241, 141, 0),
    Color(43, 160, 44),
    Color(214, 38, 40),
    Color(148, 103, 189),
    Color(140, 86, 75),
];

/// Options of `collect_treasure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TreasureOptions {
    /// Number of collectors.
    pub n_collectors: usize,
    /// Number of deposits, and of kinds of treasure.
    pub n_deposits: usize,
    /// Number of treasures.
    pub n_treasures: usize,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for TreasureOptions {
    /// The values of `collect_treasure_v1`.
    fn default() -> Self {
        Self { n_collectors: 6, n_deposits: 2, n_treasures: 6, max_cycles: 25, continuous: false }
    }
}

/// `collect_treasure` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: NAME,
    summary: "collectors carry treasures to deposits of their kinds, which come to meet them",
    origin: "mpe2 1.1.1 collect_treasure_v1",
    options: &[
        OptionInfo { name: "n_collectors", default: "6", explain: "number of collectors" },
        OptionInfo {
            name: "n_deposits",
            default: "2",
            explain: "number of deposits, and of kinds of treasure",
        },
        OptionInfo { name: "n_treasures", default: "6", explain: "number of treasures" },
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -15.8,
    best_known: None,
    batch: |options, n| {
        let options = parse(NAME, options)?;
        Ok(Box::new(Vectorized::new(n, || Treasure::new(&options))?))
    },
    single: |options| Ok(Box::new(Treasure::new(&parse(NAME, options)?)?)),
};

/// What does not change.
#[derive(Debug, Clone)]
pub(crate) struct Hunt {
    pub(crate) world: World,
    pub(crate) n_collectors: usize,
    pub(crate) n_kinds: usize,
    continuous: bool,
}

/// A moment: variables of the world, the load of every collector, the kind of every treasure that is not taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment<R> {
    pub(crate) vars: Vec<R>,
    pub(crate) load: Vec<Option<u8>>,
    pub(crate) kind: Vec<Option<u8>>,
    force: Vec<R>,
}

/// A treasure that appears: where, and of which kind.
pub(crate) type Appears<R> = ([R; 2], u8);

impl Hunt {
    fn new(options: &TreasureOptions) -> Result<Self> {
        let TreasureOptions { n_collectors, n_deposits, n_treasures, max_cycles: _, continuous } = *options;
        check_count(NAME, "n_collectors", n_collectors, 1)?;
        check_count(NAME, "n_treasures", n_treasures, 1)?;
        if !(1..=KINDS.len()).contains(&n_deposits) {
            let text = format!("{NAME}: n_deposits is {n_deposits}; use 1 to {}", KINDS.len());
            return Err(Error::invalid(text));
        }
        let agent =
            |size, mass: f64| Body { accel: 1.5 / mass, max_speed: Some(1.0), ..Body::agent(size, false) };
        let mut agents = vec![agent(0.05, 1.0); n_collectors];
        agents.extend(vec![agent(0.075, 2.25); n_deposits]);
        let world = World::new(agents, vec![Body::landmark(0.025, false); n_treasures]);
        Ok(Self { world, n_collectors, n_kinds: n_deposits, continuous })
    }

    fn n_agents(&self) -> usize {
        self.world.agents.len()
    }

    pub(crate) fn moment<R: Real>(&self) -> Moment<R> {
        Moment {
            vars: vec![R::of(0.0); self.world.n_vars()],
            load: vec![None; self.n_collectors],
            kind: vec![Some(0); self.world.landmarks.len()],
            force: vec![R::of(0.0); 2 * self.n_agents()],
        }
    }

    /// One step; `appear` draws treasures. Writes the reward of every agent.
    pub(crate) fn advance<R: Real<Mask = bool, Int = u32>>(
        &self,
        now: &mut Moment<R>,
        discrete: &[u32],
        continuous: &[R],
        mut appear: impl FnMut(usize) -> Appears<R>,
        reward: &mut [R],
    ) {
        for (agent, body) in self.world.agents.iter().enumerate() {
            let given = match self.continuous {
                true => Given::Raw(&continuous[5 * agent..5 * agent + 5]),
                false => Given::Symbol(discrete[agent]),
            };
            now.force[2 * agent..2 * agent + 2].copy_from_slice(&push(given, 0, R::of(body.accel)));
        }
        self.world.step(&mut now.vars, &mut now.force);
        let mut prizes = 0;
        for treasure in 0..now.kind.len() {
            if now.kind[treasure].is_none() {
                let (place, kind) = appear(treasure);
                self.put(now, treasure, place);
                now.kind[treasure] = Some(kind);
            } else if let Some(taker) = (0..self.n_collectors)
                .find(|c| now.load[*c].is_none() && self.touches_treasure(now, *c, treasure))
            {
                now.load[taker] = now.kind[treasure].take();
                self.put(now, treasure, [R::of(0.0); 2]);
                prizes += 1;
            }
        }
        for collector in 0..self.n_collectors {
            if self.delivers(now, collector) {
                now.load[collector] = None;
                prizes += 1;
            }
        }
        self.pay(now, prizes, reward);
    }

    fn put<R: Real>(&self, now: &mut Moment<R>, treasure: usize, place: [R; 2]) {
        let at = 4 * self.n_agents() + 2 * treasure;
        now.vars[at..at + 2].copy_from_slice(&place);
    }

    fn touch<R: Real<Mask = bool>>(&self, now: &Moment<R>, a: usize, b: usize) -> bool {
        let reach = self.world.agents[a].size + self.world.agents[b].size;
        let apart = distance(self.world.agent(&now.vars, a), self.world.agent(&now.vars, b));
        apart.less(R::of(reach))
    }

    fn touches_treasure<R: Real<Mask = bool>>(
        &self,
        now: &Moment<R>,
        collector: usize,
        treasure: usize,
    ) -> bool {
        let reach = self.world.agents[collector].size + self.world.landmarks[treasure].size;
        let apart =
            distance(self.world.agent(&now.vars, collector), self.world.landmark(&now.vars, treasure));
        apart.less(R::of(reach))
    }

    /// Whether a collector touches the deposit of its load.
    fn delivers<R: Real<Mask = bool>>(&self, now: &Moment<R>, collector: usize) -> bool {
        let load = now.load[collector];
        load.is_some_and(|kind| self.touch(now, collector, self.n_collectors + kind as usize))
    }

    fn pay<R: Real<Mask = bool>>(&self, now: &Moment<R>, prizes: u32, reward: &mut [R]) {
        let prize = R::of(PRIZE * f64::from(prizes));
        for (agent, paid) in reward.iter_mut().enumerate() {
            let me = self.world.agent(&now.vars, agent);
            let (mut cost, mut nearest) = (R::of(0.0), None);
            let mut near = |place: [R; 2]| {
                let apart = distance(place, me);
                nearest = Some(nearest.map_or(apart, |best: R| best.min(apart)));
            };
            if agent >= self.n_collectors {
                let kind = (agent - self.n_collectors) as u8;
                let carriers = (0..self.n_collectors).filter(|c| now.load[*c] == Some(kind));
                carriers.for_each(|c| near(self.world.agent(&now.vars, c)));
                if nearest.is_none() {
                    nearest = Some(distance(self.middle(now), me));
                }
            } else {
                let others = (0..self.n_collectors).filter(|o| *o != agent);
                let bumps = others.filter(|o| self.touch(now, agent, *o)).count();
                cost = R::of(BUMP * bumps as f64);
                match now.load[agent] {
                    Some(kind) => near(self.world.agent(&now.vars, self.n_collectors + kind as usize)),
                    None => (0..now.kind.len())
                        .filter(|t| now.kind[*t].is_some())
                        .for_each(|t| near(self.world.landmark(&now.vars, t))),
                }
            }
            *paid = -cost - nearest.unwrap_or(R::of(0.0)) * R::of(SHAPING) + prize;
        }
    }

    /// The middle of all collectors.
    fn middle<R: Real>(&self, now: &Moment<R>) -> [R; 2] {
        let mut sum = [R::of(0.0); 2];
        for collector in 0..self.n_collectors {
            let [x, y] = self.world.agent(&now.vars, collector);
            sum = [sum[0] + x, sum[1] + y];
        }
        sum.map(|s| s / R::of(self.n_collectors as f64))
    }

    pub(crate) fn observe<R: Real<Mask = bool>>(&self, now: &Moment<R>, agent: usize, obs: &mut [R]) {
        let (world, vars, k) = (&self.world, &now.vars, self.n_kinds);
        let me = world.agent(vars, agent);
        let head = if agent < self.n_collectors { 4 + k } else { 4 };
        let (own, rest) = obs.split_at_mut(head);
        let (others, treasures) = rest.split_at_mut((self.n_agents() - 1) * (4 + 2 * k));
        let mut row = Row::new(own);
        row.push(me);
        row.push(world.velocity(vars, agent));
        if agent < self.n_collectors {
            one_hot(&mut own[4..], now.load[agent]);
        }
        let other = |i: usize, row: &mut [R]| {
            let other = if i < agent { i } else { i + 1 };
            row[..2].copy_from_slice(&offset(world.agent(vars, other), me));
            row[2..4].copy_from_slice(&world.velocity(vars, other));
            let takes = other.checked_sub(self.n_collectors).map(|kind| kind as u8);
            one_hot(&mut row[4..4 + k], takes);
            one_hot(&mut row[4 + k..], now.load.get(other).copied().flatten());
        };
        keep_nearest(others, 4 + 2 * k, self.n_agents() - 1, other, |row| square([row[0], row[1]]));
        let treasure = |t: usize, row: &mut [R]| {
            let place = offset(world.landmark(vars, t), me);
            row[..2].copy_from_slice(&if now.kind[t].is_some() { place } else { [R::of(0.0); 2] });
            one_hot(&mut row[2..], now.kind[t]);
        };
        let far = R::of(f64::INFINITY);
        let key = |row: &[R]| {
            let there = row[2..].iter().fold(R::of(0.0), |sum, x| sum + *x);
            R::select(R::of(0.5).less(there), square([row[0], row[1]]), far)
        };
        keep_nearest(treasures, 2 + k, now.kind.len(), treasure, key);
    }

    /// How far a moment is from one in which a touch or an order would change.
    pub(crate) fn margin(&self, now: &Moment<f64>) -> f64 {
        let mut margin = super::nearest::order_margin(&self.world, &now.vars);
        let place = |agent| self.world.agent(&now.vars, agent);
        for a in 0..self.n_collectors {
            for b in a + 1..self.n_agents() {
                let reach = self.world.agents[a].size + self.world.agents[b].size;
                margin = margin.min((distance(place(a), place(b)) - reach).abs());
            }
            for t in (0..now.kind.len()).filter(|t| now.kind[*t].is_some()) {
                let reach = self.world.agents[a].size + self.world.landmarks[t].size;
                let apart = distance(place(a), self.world.landmark(&now.vars, t));
                margin = margin.min((apart - reach).abs());
            }
        }
        margin
    }
}

/// Writes `kind` as a one-hot; zeros for none.
fn one_hot<R: Real>(out: &mut [R], kind: Option<u8>) {
    out.fill(R::of(0.0));
    if let Some(kind) = kind {
        out[kind as usize] = R::of(1.0);
    }
}

/// The environment.
#[derive(Debug, Clone)]
pub struct Treasure {
    spec: EnvSpec,
    hunt: Hunt,
    now: Moment<f32>,
    elapsed: u32,
}

impl Treasure {
    /// Checks the options.
    ///
    /// # Errors
    /// No collectors, deposits or treasures, too many, or no steps.
    pub fn new(options: &TreasureOptions) -> Result<Self> {
        let hunt = Hunt::new(options)?;
        if options.max_cycles == 0 {
            return Err(Error::invalid(format!("{NAME}: max_cycles is 0; use at least 1")));
        }
        let (k, n_agents, n_treasures) = (hunt.n_kinds, hunt.n_agents(), options.n_treasures);
        let one_hot = |name: &str| ObsField::new(name, k, 0.0, 1.0);
        let mut obs = vec![points("position", 1), points("velocity", 1), one_hot("load")];
        for other in 0..n_agents - 1 {
            obs.push(points(&format!("other_{other}_offset"), 1));
            obs.push(points(&format!("other_{other}_velocity"), 1));
            obs.push(one_hot(&format!("other_{other}_takes")));
            obs.push(one_hot(&format!("other_{other}_load")));
        }
        for treasure in 0..n_treasures {
            obs.push(points(&format!("treasure_{treasure}_offset"), 1));
            obs.push(one_hot(&format!("treasure_{treasure}_kind")));
        }
        let without_load = obs.iter().filter(|f| f.name != "load").cloned().collect();
        let action = match options.continuous {
            false => ActionSpace::Discrete { n: 5 },
            true => ActionSpace::Continuous { width: 5, low: 0.0, high: 1.0 },
        };
        let group = |name: &str, n_agents, obs| GroupSpec {
            name: name.into(),
            n_agents,
            obs,
            action: action.clone(),
            masked: false,
        };
        let spec = EnvSpec {
            name: NAME.into(),
            version: 1,
            groups: vec![
                group("collector", options.n_collectors, obs),
                group("deposit", options.n_deposits, without_load),
            ],
            state_width: hunt.world.n_vars() + k * (options.n_collectors + n_treasures),
            episode_limit: Some(options.max_cycles),
            reward: RewardKind::PerAgent,
        };
        let now = hunt.moment();
        Ok(Self { spec, hunt, now, elapsed: 0 })
    }

    /// What does not change, for replays of traces.
    pub(crate) fn hunt(&self) -> &Hunt {
        &self.hunt
    }

    /// The present moment.
    pub(crate) fn now(&self) -> &Moment<f32> {
        &self.now
    }
}

/// Draws a treasure.
pub(crate) fn draw(rng: &mut Stream, n_kinds: usize) -> Appears<f32> {
    let place = [rng.range(-FIELD, FIELD), rng.range(-FIELD, FIELD)];
    (place, rng.below(n_kinds as u32) as u8)
}

impl MultiAgentEnv for Treasure {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        let (agents, _) = self.now.vars.split_at_mut(4 * self.hunt.n_agents());
        for agent in agents.chunks_exact_mut(4) {
            agent.copy_from_slice(&[rng.range(-1.0, 1.0), rng.range(-1.0, 1.0), 0.0, 0.0]);
        }
        for treasure in 0..self.now.kind.len() {
            let (place, kind) = draw(rng, self.hunt.n_kinds);
            self.hunt.put(&mut self.now, treasure, place);
            self.now.kind[treasure] = Some(kind);
        }
        self.now.load.fill(None);
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let appear = |_| draw(rng, self.hunt.n_kinds);
        self.hunt.advance(&mut self.now, actions.discrete, actions.continuous, appear, reward);
        terminated.fill(false);
        self.elapsed += 1;
        if let Some(var) = self.now.vars.iter().position(|v| !v.is_finite()) {
            let agent = (var / 4).min(self.hunt.n_agents() - 1);
            return Err(Error::NonFinite { what: "state", env: 0, agent, value: self.now.vars[var] });
        }
        Ok(self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        self.hunt.observe(&self.now, agent, obs);
    }

    fn state(&self, state: &mut [f32]) {
        let (world, kinds) = state.split_at_mut(self.now.vars.len());
        world.copy_from_slice(&self.now.vars);
        let all = self.now.load.iter().chain(&self.now.kind);
        kinds.chunks_exact_mut(self.hunt.n_kinds).zip(all).for_each(|(out, kind)| one_hot(out, *kind));
    }

    fn alive(&self, _agent: usize) -> bool {
        true
    }

    fn scene(&self) -> Scene {
        let (world, vars) = (&self.hunt.world, &self.now.vars);
        let mut shapes = Vec::new();
        let mut reach = 1.2_f32;
        let mut disc = |[x, y]: [f32; 2], radius: f64, color| {
            reach = reach.max(x.abs() + 0.2).max(y.abs() + 0.2);
            shapes.push(Shape::Disc { x, y, radius: radius as f32, color });
        };
        for (deposit, Color(r, g, b)) in (self.hunt.n_collectors..world.agents.len()).zip(KINDS) {
            let place = world.agent(vars, deposit);
            disc(place, world.agents[deposit].size, Color(r / 2, g / 2, b / 2));
            disc(place, world.agents[deposit].size * 0.6, Color(r, g, b));
        }
        for (collector, load) in self.now.load.iter().enumerate() {
            let place = world.agent(vars, collector);
            disc(place, world.agents[collector].size, Color(150, 156, 162));
            if let Some(kind) = load {
                disc(place, 0.03, KINDS[*kind as usize]);
            }
        }
        for (treasure, kind) in self.now.kind.iter().enumerate() {
            if let Some(kind) = kind {
                disc(world.landmark(vars, treasure), 0.025, KINDS[*kind as usize]);
            }
        }
        let reach = (reach * 2.0).ceil() / 2.0;
        let carried = self.now.load.iter().flatten().count();
        Scene {
            bounds: (-reach, reach, -reach, reach),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("{NAME}, step {}, {carried} carry", self.elapsed),
        }
        .with_legend(&[
            (Color(150, 156, 162), "collector and what it carries"),
            (KINDS[0], "small: treasure"),
            (KINDS[1], "large: deposit of its color"),
        ])
    }

    fn save(&self, out: &mut Writer) {
        out.f32s(&self.now.vars);
        // One more than the kind; 0 is none.
        let code = |kind: &Option<u8>| kind.map_or(0, |k| u32::from(k) + 1);
        out.u32s(&self.now.load.iter().chain(&self.now.kind).map(code).collect::<Vec<_>>());
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.f32s(&mut self.now.vars)?;
        let mut codes = vec![0; self.now.load.len() + self.now.kind.len()];
        from.u32s(&mut codes)?;
        if codes.iter().any(|c| *c as usize > self.hunt.n_kinds) {
            return Err(from.error("there is no such kind of treasure"));
        }
        let kinds = self.now.load.iter_mut().chain(&mut self.now.kind);
        kinds.zip(codes).for_each(|(kind, code)| *kind = code.checked_sub(1).map(|k| k as u8));
        self.elapsed = from.u32()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_treasure_is_taken_appears_again_and_is_given_away() {
        // One collector at the origin, one deposit at (0.3, 0), treasures at the origin and far away.
        let options =
            TreasureOptions { n_collectors: 1, n_deposits: 1, n_treasures: 2, ..Default::default() };
        let hunt = Hunt::new(&options).unwrap();
        let mut now: Moment<f64> = hunt.moment();
        now.vars = vec![0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0];
        let close = |ours: [f64; 2], theirs: [f64; 2]| {
            assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-12), "{ours:?}, not {theirs:?}");
        };
        let mut reward = [0.0; 2];
        let never = |_| -> Appears<f64> { panic!("nothing was taken before") };
        hunt.advance(&mut now, &[0, 0], &[], never, &mut reward);
        assert_eq!((now.load[0], now.kind[0], now.kind[1]), (Some(0), None, Some(0)));
        // A treasure is taken, and 0.3 are left to the deposit.
        close(reward, [4.97, 4.97]);
        let mut obs = [9.0; 15];
        hunt.observe(&now, 0, &mut obs);
        assert_eq!(obs, [0.0, 0.0, 0.0, 0.0, 1.0, 0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 0.9, 0.0, 1.0, 0.0]);
        // The deposit comes near; a treasure appears, and is as far as the root of a half.
        now.vars[4] = 0.1;
        hunt.advance(&mut now, &[0, 0], &[], |_| ([-0.5, 0.5], 0), &mut reward);
        assert_eq!((now.load[0], now.kind[0]), (None, Some(0)));
        close(reward, [5.0 - 0.1 * 0.5_f64.sqrt(), 4.99]);
    }
}
