//! A replay against a plain oracle that keeps whole episodes in vectors and computes each transition from its
//! definition. A tape of bytes decides everything: shapes, settings, episode ends, deaths, restarts, updates.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use coact_core::codec::{Reader, Writer};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Error, Prioritized, Replay, ReplayConfig, WeightNorm, leaf_of};

/// Bytes that decide; the run is over when they are used up.
pub struct Tape<'a> {
    bytes: &'a [u8],
}

impl<'a> Tape<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `n`.
    fn below(&mut self, n: u8) -> Option<usize> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(usize::from(first % n))
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u8) -> Option<bool> {
        Some(self.below(n)? == n as usize - 1)
    }
}

/// What was visible at one time: per group observations `[A, D]` and masks `[A, W]`, and the state.
#[derive(Debug, Clone, PartialEq, Default)]
struct Moment {
    obs: Vec<Vec<f32>>,
    mask: Vec<Vec<u32>>,
    state: Vec<f32>,
    alive: Vec<Vec<bool>>,
}

/// What was done and what came of it.
#[derive(Debug, Clone)]
struct Deed {
    discrete: Vec<Vec<u32>>,
    continuous: Vec<Vec<f32>>,
    reward: Vec<Vec<f32>>,
    terminated: Vec<Vec<bool>>,
}

#[derive(Debug, Clone)]
struct Episode {
    /// Time of the first moment.
    start: u64,
    /// One more than deeds.
    moments: Vec<Moment>,
    deeds: Vec<Deed>,
    ended_by_itself: bool,
    over: bool,
}

/// A world and the memory of everything that happened in it.
struct World {
    spec: EnvSpec,
    config: ReplayConfig,
    /// Episodes of each environment.
    episodes: Vec<Vec<Episode>>,
    time: u64,
    /// Rises with every number made, so that no two are equal.
    counter: u32,
    step: StepBatch,
    actions: ActionBatch,
    leaves: BTreeMap<u64, u32>,
    largest: u32,
}

/// Plays the tape. Panics where replay and oracle differ.
pub fn play(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let Some(mut world) = World::new(&mut tape) else { return };
    let mut replay = Replay::new(&world.spec, world.config.clone()).unwrap();
    assert_eq!(
        replay.push(&world.actions, &world.step),
        Err(Error::NotBegun),
        "a push before the first observations"
    );
    world.begin();
    replay.begin(&world.step).unwrap();
    let mut batch = Batch::new(&world.spec, 1);
    while world.one_push(&mut tape, &mut replay, &mut batch).is_some() {}
    world.compare(&replay, &mut batch, 17);
}

impl World {
    fn new(tape: &mut Tape<'_>) -> Option<Self> {
        let n_groups = 1 + tape.below(3)?;
        let mut groups = Vec::new();
        for g in 0..n_groups {
            let discrete = tape.below(3)? != 2;
            let n = [3, 31, 32, 33, 70][tape.below(5)?];
            groups.push(GroupSpec {
                name: format!("group{g}"),
                n_agents: 1 + tape.below(3)?,
                obs: vec![ObsField::unbounded("x", tape.below(4)?)],
                action: match discrete {
                    true => ActionSpace::Discrete { n },
                    false => ActionSpace::Continuous { width: 2, low: -1.0, high: 1.0 },
                },
                masked: discrete && tape.one_in(2)?,
            });
        }
        let spec = EnvSpec {
            name: "oracle".into(),
            version: 1,
            groups,
            state_width: tape.below(3)?,
            episode_limit: [None, Some(3), Some(50)][tape.below(3)?],
            reward: RewardKind::PerAgent,
        };
        let (n_envs, n_step) = (1 + tape.below(3)?, 1 + tape.below(5)?);
        let capacity = n_envs * (n_step + 1) + tape.below(60)?;
        let alpha = [0.0, 0.6, 1.0][tape.below(3)?];
        let eps = [1e-6, 0.0, 0.1][tape.below(3)?];
        let config = ReplayConfig {
            capacity,
            n_envs,
            n_step,
            gamma: [0.9, 0.99, 1.0, 0.0][tape.below(4)?],
            prioritized: tape.one_in(2)?.then_some(Prioritized { alpha, eps }),
            normalize_weights_by: [WeightNorm::Batch, WeightNorm::Buffer][tape.below(2)?],
        };
        Some(Self {
            step: StepBatch::new(&spec, n_envs),
            actions: ActionBatch::new(&spec, n_envs),
            episodes: vec![Vec::new(); n_envs],
            time: 0,
            counter: 0,
            leaves: BTreeMap::new(),
            largest: leaf_of(1.0, 0.0, alpha),
            spec,
            config,
        })
    }

    fn number(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    /// A moment that was never seen before.
    fn moment(&mut self, alive: Vec<Vec<bool>>) -> Moment {
        let mut moment = Moment { alive, ..Moment::default() };
        for g in self.spec.groups.clone() {
            moment.obs.push((0..g.n_agents * g.obs_width()).map(|_| self.number() as f32).collect());
            moment.mask.push((0..g.n_agents * g.mask_words()).map(|_| self.number()).collect());
        }
        moment.state = (0..self.spec.state_width).map(|_| self.number() as f32).collect();
        moment
    }

    fn everybody(&self) -> Vec<Vec<bool>> {
        self.spec.groups.iter().map(|g| vec![true; g.n_agents]).collect()
    }

    /// Begins an episode in every environment, whatever was running.
    fn begin(&mut self) {
        for env in 0..self.config.n_envs {
            if let Some(last) = self.episodes[env].last_mut() {
                last.over = true;
                if last.deeds.is_empty() {
                    self.episodes[env].pop();
                }
            }
            self.begin_one(env);
        }
    }

    fn begin_one(&mut self, env: usize) {
        let moment = self.moment(self.everybody());
        write(&mut self.step, env, &moment, false);
        let start = self.time;
        let (moments, deeds) = (vec![moment], Vec::new());
        self.episodes[env].push(Episode { start, moments, deeds, ended_by_itself: false, over: false });
    }

    /// One push of everything, and now and then a look at what is stored.
    fn one_push(&mut self, tape: &mut Tape<'_>, replay: &mut Replay, batch: &mut Batch) -> Option<()> {
        match tape.below(24)? {
            0 => {
                self.begin();
                replay.begin(&self.step).unwrap();
            }
            1 => self.reload(replay),
            2 => self.refuse(tape, replay)?,
            3..7 => self.compare(replay, batch, tape.below(200)? as u64),
            7..10 => self.update(tape, replay)?,
            _ => {}
        }
        // Environments step together, so their times agree.
        let mut deeds = Vec::new();
        for env in 0..self.config.n_envs {
            deeds.push(self.act(tape, env)?);
        }
        self.time += 1;
        for (env, (truncated, over)) in deeds.into_iter().enumerate() {
            self.step.is_first[env] = over;
            self.step.truncated[env] = truncated;
            if over {
                self.begin_one(env);
            }
        }
        replay.push(&self.actions, &self.step).unwrap();
        self.forget_and_admit();
        Some(())
    }

    /// Steps one environment; returns whether it was truncated and whether the episode is over.
    fn act(&mut self, tape: &mut Tape<'_>, env: usize) -> Option<(bool, bool)> {
        let before = self.episodes[env].last().unwrap().moments.last().unwrap().alive.clone();
        let mut alive = before.clone();
        let mut deed = Deed { discrete: vec![], continuous: vec![], reward: vec![], terminated: vec![] };
        for (g, group) in self.spec.groups.clone().iter().enumerate() {
            let a = group.n_agents;
            let n = group.action.n_discrete() as u32;
            let n_discrete = if n > 0 { a } else { 0 };
            deed.discrete.push((0..n_discrete).map(|_| self.number() % n).collect());
            deed.continuous
                .push((0..a * group.action.n_continuous()).map(|_| self.number() as f32).collect());
            deed.reward.push((0..a).map(|_| (self.number() % 97) as f32 - 48.0).collect());
            let mut terminated = vec![false; a];
            for (agent, t) in terminated.iter_mut().enumerate() {
                *t = before[g][agent] && tape.one_in(9)?;
                alive[g][agent] &= !*t;
            }
            deed.terminated.push(terminated);
        }
        if tape.one_in(12)? {
            deed.terminated.clone_from(&before);
            alive.iter_mut().flatten().for_each(|a| *a = false);
        }
        let nobody_left = alive.iter().flatten().all(|a| !a);
        // A limit may fall on the very step in which the last process ends: termination wins.
        let truncated = tape.one_in(10)?;
        let over = nobody_left || truncated;
        for g in 0..self.spec.groups.len() {
            put(&mut self.actions.discrete[g], env, &deed.discrete[g]);
            put(&mut self.actions.continuous[g], env, &deed.continuous[g]);
            put(&mut self.step.groups[g].reward, env, &deed.reward[g]);
            put(&mut self.step.groups[g].terminated, env, &deed.terminated[g]);
        }
        let moment = self.moment(alive);
        write(&mut self.step, env, &moment, over);
        let episode = self.episodes[env].last_mut().unwrap();
        episode.moments.push(moment);
        episode.deeds.push(deed);
        episode.over = over;
        episode.ended_by_itself = nobody_left;
        Some((truncated, over))
    }

    /// Ids that can be sampled, by the promise of the documentation.
    fn stored(&self) -> std::ops::Range<u64> {
        let (n_envs, n) = (self.config.n_envs as u64, self.config.n_step as u64);
        let newest = (self.time + 1).saturating_sub(n);
        let kept = (self.config.capacity / self.config.n_envs) as u64;
        let oldest = (self.time + 1).saturating_sub(n + kept);
        oldest * n_envs..newest * n_envs
    }

    fn forget_and_admit(&mut self) {
        let stored = self.stored();
        self.leaves.retain(|id, _| stored.contains(id));
        for id in stored {
            self.leaves.entry(id).or_insert(self.largest);
        }
    }

    fn update(&mut self, tape: &mut Tape<'_>, replay: &mut Replay) -> Option<()> {
        let stored = self.stored();
        let Some(p) = self.config.prioritized else {
            assert_eq!(replay.update_priorities(&[0], &[1.0]), Err(Error::NotPrioritized));
            return Some(());
        };
        let (mut ids, mut td_abs) = (Vec::new(), Vec::new());
        for _ in 0..tape.below(20)? {
            if stored.end > 0 {
                ids.push(stored.end - 1 - (tape.below(100)? as u64).min(stored.end - 1));
                td_abs.push([0.0, 1e-5, 0.3, 1.0, 7.5, 900.0, 1e9][tape.below(7)?]);
            }
        }
        let mut stale = 0;
        for (&id, &td) in ids.iter().zip(&td_abs) {
            if stored.contains(&id) {
                let leaf = leaf_of(td, p.eps, p.alpha);
                self.leaves.insert(id, leaf);
                self.largest = self.largest.max(leaf);
            } else {
                stale += 1;
            }
        }
        assert_eq!(replay.update_priorities(&ids, &td_abs), Ok(stale));
        Some(())
    }

    /// Bad input must be refused and leave no trace.
    fn refuse(&mut self, tape: &mut Tape<'_>, replay: &mut Replay) -> Option<()> {
        let before = bytes_of(replay);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][tape.below(3)?];
        let mut step = self.step.clone();
        step.groups[0].reward[0] = bad;
        assert!(replay.push(&self.actions, &step).is_err(), "reward {bad}");
        if let Some(x) = self.step.clone().groups[0].obs.first_mut() {
            let mut step = self.step.clone();
            *x = bad;
            step.groups[0].obs[0] = bad;
            assert!(replay.push(&self.actions, &step).is_err(), "observation {bad}");
        }
        let mut step = self.step.clone();
        step.groups.pop();
        assert!(replay.push(&self.actions, &step).is_err(), "a group is missing");
        let end = self.stored().end;
        if self.config.prioritized.is_some() {
            assert!(replay.update_priorities(&[end], &[1.0]).is_err(), "an id of the future");
            if end > 0 {
                assert!(replay.update_priorities(&[end - 1, end - 1], &[1.0, bad]).is_err(), "td {bad}");
                assert!(replay.update_priorities(&[end - 1], &[-1.0]).is_err(), "negative td");
            }
        }
        assert_eq!(before, bytes_of(replay), "refused input left a trace");
        Some(())
    }

    /// Saves, loads into a fresh replay, and goes on with that.
    fn reload(&self, replay: &mut Replay) {
        let bytes = bytes_of(replay);
        let mut fresh = Replay::new(&self.spec, self.config.clone()).unwrap();
        let mut reader = Reader::new("replay", &bytes);
        fresh.load(&mut reader).unwrap();
        reader.finish().unwrap();
        assert_eq!(bytes, bytes_of(&fresh), "saving what was loaded gives other bytes");
        *replay = fresh;
    }

    /// Draws from the replay and compares every column with the definition.
    fn compare(&self, replay: &Replay, batch: &mut Batch, seed: u64) {
        let stored = self.stored();
        let len = (stored.end - stored.start) as usize;
        assert_eq!(replay.len(), len);
        let mut rng = Stream::new(seed, Purpose::Replay, 0, self.time);
        let size = len.min(1 + seed as usize % 64);
        if size == 0 {
            assert_eq!(
                replay.sample(&mut rng, 1, 0.5, batch),
                Err(Error::TooFew { batch_size: 1, stored: 0 })
            );
            return;
        }
        assert!(replay.sample(&mut rng, len + 1, 0.5, batch).is_err());
        replay.sample(&mut rng, size, 0.5, batch).unwrap();
        assert_eq!(batch.size, size);
        for b in 0..size {
            assert!(stored.contains(&batch.ids[b]), "id {} of {stored:?}", batch.ids[b]);
            self.compare_row(batch, b);
        }
        self.compare_weights(batch, 0.5);
    }

    fn compare_weights(&self, batch: &Batch, beta: f64) {
        if self.config.prioritized.is_none() {
            assert!(batch.weight.iter().all(|&w| w == 1.0));
            return;
        }
        let leaf = |id: &u64| f64::from(self.leaves[id]);
        let least = match self.config.normalize_weights_by {
            WeightNorm::Batch => batch.ids.iter().map(leaf).fold(f64::INFINITY, f64::min),
            WeightNorm::Buffer => self.leaves.values().map(|&l| f64::from(l)).fold(f64::INFINITY, f64::min),
        };
        for (id, &w) in batch.ids.iter().zip(&batch.weight) {
            let expected = (least / leaf(id)).powf(beta);
            assert!((f64::from(w) - expected).abs() < 1e-6, "weight {w}, expected {expected}");
        }
        // One draw from each of B equal parts of the total, in the order of the ring.
        let n_slots = (self.config.capacity / self.config.n_envs + self.config.n_step) as u64;
        let n_envs = self.config.n_envs as u64;
        let mut cells: Vec<(u64, u64)> =
            self.leaves.keys().map(|&id| (id / n_envs % n_slots * n_envs + id % n_envs, id)).collect();
        cells.sort_unstable();
        let total: f64 = self.leaves.values().map(|&l| f64::from(l)).sum();
        let part = total / batch.size as f64;
        for (i, id) in batch.ids.iter().enumerate() {
            let before: f64 = cells.iter().take_while(|c| c.1 != *id).map(|c| leaf(&c.1)).sum();
            let (low, high) = (i as f64 * part, (i + 1) as f64 * part);
            assert!(before < high + 1.0 && before + leaf(id) > low - 1.0, "draw {i} is outside its part");
        }
    }

    /// Row `b` against the definition.
    fn compare_row(&self, batch: &Batch, b: usize) {
        let n_envs = self.config.n_envs as u64;
        let (time, env) = (batch.ids[b] / n_envs, (batch.ids[b] % n_envs) as usize);
        let episode = self.episodes[env].iter().rev().find(|e| e.start <= time).unwrap();
        let t = (time - episode.start) as usize;
        let h = self.config.n_step.min(episode.deeds.len() - t);
        assert!(h == self.config.n_step || episode.over, "a sampled transition is not complete");
        let gamma = f64::from(self.config.gamma);
        let ended = episode.over && episode.ended_by_itself && t + h == episode.deeds.len();
        let (now, then) = (&episode.moments[t], &episode.moments[t + h]);
        let near = |x: f32, y: f64, what: &str| {
            assert!((f64::from(x) - y).abs() < 1e-4, "{what} of id {}: {x}, expected {y}", batch.ids[b]);
        };
        let deeds = &episode.deeds[t..t + h];
        let first: f64 =
            deeds.iter().enumerate().map(|(i, d)| gamma.powi(i as i32) * f64::from(d.reward[0][0])).sum();
        near(batch.team_reward[b], first, "team reward");
        near(batch.team_discount[b], if ended { 0.0 } else { gamma.powi(h as i32) }, "team discount");
        same(&batch.state, b, batch.size, &now.state, "state");
        let nothing = vec![0.0; then.state.len()];
        same(&batch.next_state, b, batch.size, if ended { &nothing } else { &then.state }, "next state");
        for (g, columns) in batch.groups.iter().enumerate() {
            same(&columns.obs, b, batch.size, &now.obs[g], "obs");
            same(&columns.mask, b, batch.size, &now.mask[g], "mask");
            same(&columns.action, b, batch.size, &deeds[0].discrete[g], "action");
            same(&columns.action_continuous, b, batch.size, &deeds[0].continuous[g], "continuous action");
            same(&columns.valid, b, batch.size, &now.alive[g], "valid");
            let (no_obs, no_mask) = (vec![0.0; then.obs[g].len()], vec![u32::MAX; then.mask[g].len()]);
            same(&columns.next_obs, b, batch.size, if ended { &no_obs } else { &then.obs[g] }, "next obs");
            same(
                &columns.next_mask,
                b,
                batch.size,
                if ended { &no_mask } else { &then.mask[g] },
                "next mask",
            );
            let n_agents = now.alive[g].len();
            for a in 0..n_agents {
                let (mut sum, mut discount) = (0.0, if now.alive[g][a] { gamma.powi(h as i32) } else { 0.0 });
                for (i, deed) in deeds.iter().enumerate().take_while(|_| now.alive[g][a]) {
                    sum += gamma.powi(i as i32) * f64::from(deed.reward[g][a]);
                    if deed.terminated[g][a] {
                        discount = 0.0;
                        break;
                    }
                }
                near(columns.reward[b * n_agents + a], sum, "reward");
                near(columns.discount[b * n_agents + a], discount, "discount");
            }
        }
    }
}

fn bytes_of(replay: &Replay) -> Vec<u8> {
    let mut writer = Writer::new();
    replay.save(&mut writer);
    writer.into_bytes()
}

/// Writes a moment as the result of a step: as the last of an episode, or as what to act on next.
fn write(step: &mut StepBatch, env: usize, moment: &Moment, is_last: bool) {
    for (g, group) in step.groups.iter_mut().enumerate() {
        put(if is_last { &mut group.final_obs } else { &mut group.obs }, env, &moment.obs[g]);
        put(if is_last { &mut group.final_mask } else { &mut group.mask }, env, &moment.mask[g]);
        if !is_last {
            put(&mut group.alive, env, &moment.alive[g]);
        }
    }
    put(if is_last { &mut step.final_state } else { &mut step.state }, env, &moment.state);
}

fn put<T: Copy>(to: &mut [T], row: usize, from: &[T]) {
    to[row * from.len()..(row + 1) * from.len()].copy_from_slice(from);
}

fn same<T: PartialEq + std::fmt::Debug>(column: &[T], b: usize, size: usize, expected: &[T], what: &str) {
    assert_eq!(column.len(), size * expected.len(), "length of {what}");
    assert_eq!(&column[b * expected.len()..(b + 1) * expected.len()], expected, "{what}");
}
