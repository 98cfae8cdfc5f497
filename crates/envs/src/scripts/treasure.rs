//! Both sides of `collect_treasure`, by what each sees.

use coact_core::{EnvSpec, GroupSpec, Result};

use super::motion::{Body, act, distance};
use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

pub const CARRY: ScriptEntry = ScriptEntry {
    envs: &["collect_treasure"],
    group: "collector",
    name: "carry",
    summary: "goes to the nearest treasure to which no other free collector is nearer, and with a load to its deposit",
    build: |env, group| Ok(Box::new(Sight::of(env, group)?)),
};

pub const MEET: ScriptEntry = ScriptEntry {
    envs: &["collect_treasure"],
    group: "deposit",
    name: "meet",
    summary: "goes to the nearest collector that carries its kind, to the middle of all collectors while none does",
    build: |env, group| Ok(Box::new(Sight::of(env, group)?)),
};

/// Steps of a thought.
const HORIZON: usize = 4;
/// Distance of two collectors below which they are in each other's way: they touch at 0.1.
const ROOM: f32 = 0.14;

/// Where things stand in a row, and who acts.
struct Sight {
    n_kinds: usize,
    n_others: usize,
    collects: bool,
    /// Where the row of the first other agent begins.
    others: usize,
    /// Where the row of the first treasure begins.
    treasures: usize,
}

/// Another agent, seen from here.
struct Other<'a> {
    at: [f32; 2],
    takes: &'a [f32],
    load: &'a [f32],
}

fn lit(kinds: &[f32]) -> Option<usize> {
    kinds.iter().position(|k| *k > 0.5)
}

impl Sight {
    fn of(env: &EnvSpec, group: &GroupSpec) -> Result<Self> {
        let n_others = env.n_agents() - 1;
        let others = field(env, group, "other_0_offset")?.start;
        let n_kinds = field(env, group, "other_0_takes")?.len();
        let treasures = field(env, group, "treasure_0_offset")?.start;
        let collects = group.name == "collector";
        Ok(Self { n_kinds, n_others, collects, others, treasures })
    }

    fn all_others<'a>(&'a self, obs: &'a [f32]) -> impl Iterator<Item = Other<'a>> {
        let k = self.n_kinds;
        let rows = obs[self.others..self.treasures].chunks_exact(4 + 2 * k).take(self.n_others);
        rows.map(move |row| Other { at: [row[0], row[1]], takes: &row[4..4 + k], load: &row[4 + k..] })
    }

    fn collectors<'a>(&'a self, obs: &'a [f32]) -> impl Iterator<Item = Other<'a>> {
        self.all_others(obs).filter(|o| lit(o.takes).is_none())
    }

    /// Where a collector goes.
    fn errand(&self, obs: &[f32]) -> [f32; 2] {
        if let Some(kind) = lit(&obs[4..4 + self.n_kinds]) {
            let deposit = self.all_others(obs).find(|o| o.takes[kind] > 0.5);
            return deposit.map_or([0.0; 2], |o| o.at);
        }
        let rows = obs[self.treasures..].chunks_exact(2 + self.n_kinds);
        let there = rows.filter(|row| lit(&row[2..]).is_some()).map(|row| [row[0], row[1]]);
        let mine = |place: &[f32; 2]| {
            let own = distance([0.0; 2], *place);
            self.collectors(obs).all(|o| lit(o.load).is_some() || distance(o.at, *place) >= own)
        };
        there.clone().find(mine).or_else(|| there.clone().next()).unwrap_or([0.0; 2])
    }

    /// Where a deposit goes: its place among deposits says its kind, so it must be told.
    fn meeting(&self, obs: &[f32], kind: usize) -> [f32; 2] {
        let carrier = self.collectors(obs).find(|o| o.load[kind] > 0.5);
        if let Some(carrier) = carrier {
            return carrier.at;
        }
        let n = self.collectors(obs).count().max(1) as f32;
        self.collectors(obs).fold([0.0; 2], |sum, o| [sum[0] + o.at[0] / n, sum[1] + o.at[1] / n])
    }
}

impl Script for Sight {
    fn act(&mut self, agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let goal = if self.collects { self.errand(obs) } else { self.meeting(obs, agent) };
        let accel = if self.collects { 1.5 } else { 1.5 / 2.25 };
        let velocity = [obs[2], obs[3]];
        act(action, 0, |push| {
            let mut own = Body { at: [0.0; 2], velocity, accel, top: 1.0 };
            own.step(push);
            let mut cost = distance(own.at, goal);
            for _ in 1..HORIZON {
                own.step([0.0; 2]);
                cost += distance(own.at, goal);
                if self.collects {
                    let crowd = |o: Other<'_>| 4.0 * (ROOM - distance(own.at, o.at)).max(0.0);
                    cost += self.collectors(obs).map(crowd).sum::<f32>();
                }
            }
            cost
        });
    }
}
