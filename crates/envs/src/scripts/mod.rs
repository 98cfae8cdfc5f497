//! Fixed policies of environments: what an agent does by rule, from its own observation.
//!
//! A [`Script`] reads one agent's row and gives its action; [`ALL`] lists the scripts by environment and group, the
//! best one of a group first, and [`Cast`] plays groups of a batch by them. Scripts are opponents and partners of
//! learners ([`crate::wrappers::played`]) and marks to measure learners by ([`scripted_return`]). They keep no
//! memory, so there is nothing to save, and draw only from streams named by environment, agent and step.
//!
//! A script sees what its agent does; one that reads the global state as well says so in its summary. Not here: learned
//! policies.

mod assign;
mod carts;
mod coin;
mod crypto;
mod deception;
mod foraging;
mod games;
mod knowing;
mod motion;
mod overcooked;
mod pair;
mod particle;
mod places;
mod search;
mod tag;
mod treasure;
mod world_comm;

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream, derive_seed};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, Error, GroupSpec, GroupStep, Result, StepBatch, nearest,
};

/// A fixed policy of one agent.
pub trait Script: Send {
    /// Writes the action of agent `agent` of its group. An illegal choice is replaced by the lowest legal action.
    fn act(&mut self, agent: usize, seen: Seen<'_>, draws: Draws, action: Choice<'_>);
}

/// What a script may look at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The agent's observation `[D]`.
    pub obs: &'a [f32],
    /// The global state `[S]` of its environment. A script that reads it says so in its summary.
    pub state: &'a [f32],
}

/// Where an action is written.
#[derive(Debug)]
pub enum Choice<'a> {
    /// The number of a discrete action.
    Discrete(&'a mut u32),
    /// The components of a continuous action; zeros at first.
    Continuous(&'a mut [f32]),
}

/// The random numbers of one agent in one step.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u64,
    env: u32,
    agent: u64,
    step: u64,
}

impl Draws {
    /// The stream of this step.
    pub fn now(&self) -> Stream {
        Stream::new(self.seed, Purpose::Agent, self.env, self.step << 8 | self.agent)
    }

    /// A stream that stays the same for `n_steps` steps, for intentions that last.
    pub fn held(&self, n_steps: u64) -> Stream {
        let position = (self.step / n_steps.max(1)) << 8 | self.agent;
        Stream::new(self.seed, Purpose::Agent, self.env, position | 1 << 55)
    }
}

/// When an actor acts: names its random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seed of the environment's reset.
    pub seed: u64,
    /// Steps since that reset.
    pub step: u64,
}

/// Plays some groups of a batch of environments, whoever plays the others.
pub trait Actor: Send {
    /// Writes the actions of its groups; `step` and `actions` are those of the whole environment.
    ///
    /// # Errors
    /// What the policy refuses, in one line.
    fn act(&mut self, step: &StepBatch, moment: Moment, actions: &mut ActionBatch) -> Result<()>;

    /// Appends everything that the next action depends on beyond the arguments of [`Actor::act`].
    fn save(&self, out: &mut Writer) {
        let _ = out;
    }

    /// Restores what [`Actor::save`] wrote.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let _ = from;
        Ok(())
    }
}

/// A script in the list.
#[derive(Debug, Clone, Copy)]
pub struct ScriptEntry {
    /// Environments that it is for: names, or beginnings of names where they end in `/`; empty for all.
    pub envs: &'static [&'static str],
    /// Group that it plays; empty for any.
    pub group: &'static str,
    /// Name users type.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    build: fn(&EnvSpec, &GroupSpec) -> Result<Box<dyn Script>>,
}

impl ScriptEntry {
    /// Whether it was written for the environment called `env`.
    pub fn is_for(&self, env: &str) -> bool {
        self.envs.iter().any(|e| *e == env || e.ends_with('/') && env.starts_with(*e))
    }

    /// Whether it plays group `group` of an environment called `env`.
    pub fn fits(&self, env: &str, group: &str) -> bool {
        (self.envs.is_empty() || self.is_for(env)) && (self.group.is_empty() || self.group == group)
    }
}

/// Every script; for each group the best one first.
pub static ALL: &[ScriptEntry] = &[
    carts::BALANCE,
    particle::SIMPLE,
    particle::SPREAD,
    particle::SPEAKER,
    particle::LISTENER,
    particle::REFERENCE,
    tag::CHASE,
    tag::FLEE,
    deception::SPLIT,
    deception::GUESS,
    deception::REACH,
    deception::BLOCK,
    crypto::ALICE,
    crypto::BOB,
    crypto::EVE,
    world_comm::LEAD,
    world_comm::HUNT,
    world_comm::GATHER,
    places::FORM,
    places::LINE_UP,
    treasure::CARRY,
    treasure::MEET,
    foraging::COLLECT,
    coin::OWN,
    knowing::TELL,
    knowing::RANK,
    search::SEARCH,
    games::RISK,
    games::TIT_FOR_TAT,
    overcooked::COOK,
    NOOP,
    UNIFORM,
];

/// Mean returns of the best scripts with default options, summed over agents and over one episode, in the order of
/// [`crate::ALL`].
pub static RETURNS: &[(&str, f64)] = &[
    ("cartpole", 1000.0),
    ("simple", -7.1),
    ("simple_spread", -21.0),
    ("simple_speaker_listener", -14.7),
    ("simple_adversary", 0.6),
    ("simple_tag", 43.0),
    ("simple_crypto", 23.0),
    ("simple_push", -11.1),
    ("simple_reference", -15.0),
    ("simple_world_comm", 74.0),
    ("simple_formation", -17.1),
    ("simple_line", -21.3),
    ("collect_treasure", 253.0),
    ("lbf/Foraging-8x8-2p-2f-coop-v3", 1.0),
    ("lbf/Foraging-2s-8x8-2p-2f-coop-v3", 0.48),
    ("lbf/Foraging-10x10-3p-3f-v3", 0.955),
    ("overcooked", 480.0),
    ("switch_riddle", 2.2222),
    ("levers", 5.0),
    ("predator_prey", -2.23),
    ("coin_game", 121.7),
    ("two_step", 16.0),
    ("iterated_prisoners_dilemma", -200.0),
    ("iterated_stag_hunt", 800.0),
    ("iterated_chicken", 0.0),
];

/// What the best scripts earn in `env` with default options, if there are any for it.
pub fn scripted_return(env: &str) -> Option<f64> {
    RETURNS.iter().find(|(name, _)| *name == env).map(|(_, value)| *value)
}

/// Scripts for group `group` of an environment called `env`, the best one first.
pub fn for_group<'a>(env: &'a str, group: &'a str) -> impl Iterator<Item = &'static ScriptEntry> + 'a {
    ALL.iter().filter(move |entry| entry.fits(env, group))
}

const NOOP: ScriptEntry = ScriptEntry {
    envs: &[],
    group: "",
    name: "noop",
    summary: "the lowest legal action, nothing in most environments; zeros where actions are continuous",
    build: |_, group| Ok(Box::new(Noop { zero: zero_of(&group.action) })),
};

const UNIFORM: ScriptEntry = ScriptEntry {
    envs: &[],
    group: "",
    name: "uniform",
    summary: "any legal action, all equally often; uniform within the bounds where actions are continuous",
    build: |_, group| Ok(Box::new(Uniform { space: group.action.clone() })),
};

struct Noop {
    zero: f32,
}

impl Script for Noop {
    fn act(&mut self, _agent: usize, _seen: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        match action {
            // The lowest legal one takes its place where it is illegal.
            Choice::Discrete(a) => *a = 0,
            Choice::Continuous(components) => components.fill(self.zero),
        }
    }
}

struct Uniform {
    space: ActionSpace,
}

impl Script for Uniform {
    fn act(&mut self, _agent: usize, _seen: Seen<'_>, draws: Draws, action: Choice<'_>) {
        let mut rng = draws.now();
        match (action, &self.space) {
            (Choice::Continuous(components), ActionSpace::Continuous { low, high, .. }) => {
                components.iter_mut().for_each(|c| *c = rng.range(*low, *high).clamp(*low, *high));
            }
            (Choice::Discrete(a), space) => *a = rng.below(space.n_discrete() as u32),
            (Choice::Continuous(_), ActionSpace::Discrete { .. }) => {}
        }
    }
}

/// Zero, or the bound nearest to it.
fn zero_of(space: &ActionSpace) -> f32 {
    match space {
        ActionSpace::Discrete { .. } => 0.0,
        ActionSpace::Continuous { low, high, .. } => 0.0_f32.clamp(*low, *high),
    }
}

/// One group of a batch of environments, played by a script.
pub struct ScriptedGroup {
    group: usize,
    spec: GroupSpec,
    entry: &'static ScriptEntry,
    script: Box<dyn Script>,
}

impl ScriptedGroup {
    /// Group `group` of an environment with `spec`, played by the script called `name`.
    ///
    /// # Errors
    /// No such group, no such script for it (each names the nearest one), or observations that the script cannot
    /// read.
    pub fn new(spec: &EnvSpec, group: &str, name: &str) -> Result<Self> {
        let place = place_of(spec, group)?;
        let known = || for_group(&spec.name, group).map(|entry| entry.name);
        let entry = for_group(&spec.name, group).find(|entry| entry.name == name).ok_or_else(|| {
            let hint = nearest::hint(name, known());
            let known = known().collect::<Vec<_>>().join(", ");
            let env = &spec.name;
            Error::invalid(format!("{env}: group `{group}` has no script `{name}`{hint}; it has: {known}"))
        })?;
        let own = spec.groups[place].clone();
        Ok(Self { group: place, script: (entry.build)(spec, &own)?, spec: own, entry })
    }

    /// Its place among the groups.
    pub fn group(&self) -> usize {
        self.group
    }

    /// Who plays it.
    pub fn entry(&self) -> &'static ScriptEntry {
        self.entry
    }
}

/// Where the group called `name` stands.
///
/// # Errors
/// No such group; names the nearest one.
pub fn place_of(spec: &EnvSpec, name: &str) -> Result<usize> {
    spec.groups.iter().position(|g| g.name == name).ok_or_else(|| {
        let names = || spec.groups.iter().map(|g| g.name.as_str());
        let (hint, known) = (nearest::hint(name, names()), names().collect::<Vec<_>>().join(", "));
        Error::invalid(format!("{} has no group `{name}`{hint}; its groups are: {known}", spec.name))
    })
}

impl Actor for ScriptedGroup {
    fn act(&mut self, step: &StepBatch, moment: Moment, actions: &mut ActionBatch) -> Result<()> {
        let seed = derive_seed(moment.seed, Purpose::Agent, self.group as u32);
        let GroupStep { obs, mask, alive, .. } = &step.groups[self.group];
        let (n, d, words) = (self.spec.n_agents, self.spec.obs_width(), self.spec.mask_words());
        let width = self.spec.action.n_continuous();
        let state_width = step.state.len() / step.n_envs.max(1);
        for (row, obs) in obs.chunks_exact(d).enumerate() {
            let state = &step.state[row / n * state_width..(row / n + 1) * state_width];
            let seen = Seen { obs, state };
            let draws = Draws { seed, env: (row / n) as u32, agent: (row % n) as u64, step: moment.step };
            if width > 0 {
                let components = &mut actions.continuous[self.group][row * width..(row + 1) * width];
                components.fill(zero_of(&self.spec.action));
                if alive[row] {
                    self.script.act(row % n, seen, draws, Choice::Continuous(components));
                }
                continue;
            }
            let action = &mut actions.discrete[self.group][row];
            *action = 0;
            if alive[row] {
                self.script.act(row % n, seen, draws, Choice::Discrete(action));
            }
            if words > 0 {
                let mask = &mask[row * words..(row + 1) * words];
                *action = self.legal(mask, *action, draws);
            }
        }
        Ok(())
    }
}

impl ScriptedGroup {
    /// `action` where it is legal, else the lowest legal one; `uniform` draws among the legal ones.
    fn legal(&self, mask: &[u32], action: u32, draws: Draws) -> u32 {
        let n = self.spec.action.n_discrete() as u32;
        let is_legal = |a: &u32| mask[*a as usize / 32] >> (a % 32) & 1 == 1;
        let mut legal = (0..n).filter(is_legal);
        if self.entry.name == UNIFORM.name {
            let count = legal.clone().count() as u32;
            return legal.nth(draws.now().below(count.max(1)) as usize).unwrap_or(0);
        }
        if is_legal(&action) { action } else { legal.next().unwrap_or(0) }
    }
}

/// All groups of a batch of environments, each played by a script.
pub struct Cast {
    groups: Vec<ScriptedGroup>,
}

impl Cast {
    /// The scripts that `text` says: a name, which is played by the groups that have such a script, while the others
    /// play their best one; `scripted` for the best one of every group; or `group=name` pairs between commas.
    ///
    /// # Errors
    /// A group or script that does not exist; names the nearest one.
    pub fn new(spec: &EnvSpec, text: &str) -> Result<Self> {
        let best = |group: &str| for_group(&spec.name, group).next().map_or(NOOP.name, |e| e.name);
        let mut names: Vec<&str> = spec.groups.iter().map(|g| best(&g.name)).collect();
        if text.contains('=') {
            for pair in text.split(',') {
                let (group, name) = pair.split_once('=').ok_or_else(|| {
                    Error::invalid(format!("`{pair}` has no script; write group=script between commas"))
                })?;
                names[place_of(spec, group.trim())?] = name.trim();
            }
        } else if text != "scripted" {
            let knows = |group: &str| for_group(&spec.name, group).any(|e| e.name == text);
            if !spec.groups.iter().any(|g| knows(&g.name)) {
                let scripts = || spec.groups.iter().flat_map(|g| for_group(&spec.name, &g.name));
                let mut known: Vec<&str> = scripts().map(|e| e.name).collect();
                known.sort_unstable();
                known.dedup();
                let hint = nearest::hint(text, known.iter().copied());
                let known = known.join(", ");
                let env = &spec.name;
                return Err(Error::invalid(format!("{env} has no script `{text}`{hint}; it has: {known}")));
            }
            for (name, _) in names.iter_mut().zip(&spec.groups).filter(|(_, g)| knows(&g.name)) {
                *name = text;
            }
        }
        let groups = spec.groups.iter().zip(names).map(|(g, name)| ScriptedGroup::new(spec, &g.name, name));
        Ok(Self { groups: groups.collect::<Result<_>>()? })
    }

    /// Who plays what, as `group=script` between commas.
    pub fn describe(&self) -> String {
        let one = |g: &ScriptedGroup| format!("{}={}", g.spec.name, g.entry.name);
        self.groups.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

impl Actor for Cast {
    fn act(&mut self, step: &StepBatch, moment: Moment, actions: &mut ActionBatch) -> Result<()> {
        self.groups.iter_mut().try_for_each(|group| group.act(step, moment, actions))
    }
}

/// Where the observation field called `field` stands in the rows of `group`.
///
/// # Errors
/// No such field: the environment shows something else than the script reads.
fn field(env: &EnvSpec, group: &GroupSpec, field: &str) -> Result<std::ops::Range<usize>> {
    let mut at = 0;
    for own in &group.obs {
        if own.name == field {
            return Ok(at..at + own.width);
        }
        at += own.width;
    }
    let text = format!(
        "{}: observations have no `{field}`, which this script reads; use `uniform` or `noop`",
        env.name
    );
    Err(Error::invalid(text))
}
