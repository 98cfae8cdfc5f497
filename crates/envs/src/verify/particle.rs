//! Traces of mpe2 against the particle world.

use std::collections::BTreeMap;

use coact_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Replayed, Tally, has_stray, read, torn, widened};
use crate::particle::adversary::{Adversary, AdversaryOptions};
use crate::particle::crypto::{Crypto, CryptoOptions};
use crate::particle::formation::Formation;
use crate::particle::line::Line;
use crate::particle::matching::FigureOptions;
use crate::particle::push::{Push, PushOptions};
use crate::particle::reference::{Reference, ReferenceOptions};
use crate::particle::simple::{Simple, SimpleOptions};
use crate::particle::speaker_listener::{SpeakerListener, SpeakerListenerOptions};
use crate::particle::spread::{Spread, SpreadOptions};
use crate::particle::tag::{Tag, TagOptions};
use crate::particle::world::distance;
use crate::particle::world_comm::{WorldComm, WorldCommOptions};
use crate::particle::{Particle, Scenario};
use crate::registry::parse;
use crate::rules::{ActionsOf, Outcome, Rules};

#[derive(Debug, Deserialize)]
struct File {
    agent_order: Vec<String>,
    local_ratio: Option<f64>,
    /// Options of the scenario, by our names.
    #[serde(default)]
    options: Value,
    #[serde(default)]
    entities: Vec<Entity>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    kind: String,
    continuous: bool,
    init: Init,
    actions: Vec<Vec<Action>>,
    /// Empty where nobody moves.
    #[serde(default)]
    pos_vel: Vec<Vec<[f64; 4]>>,
    rewards: Vec<Vec<f64>>,
    obs: BTreeMap<String, Vec<Vec<f64>>>,
    comm: Option<Vec<Vec<Vec<f64>>>>,
    done_at: Option<u32>,
    /// Step in which the process ended, if it did.
    terminated_at: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Init {
    agents_pos_vel: Vec<[f64; 4]>,
    landmarks_pos: Vec<[f64; 2]>,
    #[serde(default)]
    agents_comm: Vec<Vec<f64>>,
    #[serde(alias = "goal_b_landmark")]
    goal_landmark: Option<usize>,
    key_landmark: Option<usize>,
    #[serde(default)]
    goal_b_landmark_of_agent: Vec<usize>,
}

impl Init {
    /// Landmarks that matter, in the order in which scenarios keep them.
    fn goals(&self) -> Vec<usize> {
        let named = self.goal_landmark.into_iter().chain(self.key_landmark);
        named.chain(self.goal_b_landmark_of_agent.iter().copied()).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Action {
    Discrete(u32),
    Continuous(Vec<f64>),
}

/// Replays the file of the scenario that `name` tells.
pub(super) fn verify(value: &Value, name: &str) -> Result<Certificate> {
    let file: File = read(value, name)?;
    let n = file.agent_order.len();
    let hunters = file.agent_order.iter().filter(|a| a.starts_with("adversary")).count();
    let n_landmarks = file.cases.first().map_or(0, |c| c.init.landmarks_pos.len());
    let options = &file.options;
    let ratio = |given: f64| file.local_ratio.unwrap_or(given);
    match name {
        "mpe_simple" => replay_all(value, name, &file, |continuous| {
            Simple::new(&SimpleOptions { continuous, ..parse(name, options)? })
        }),
        "mpe_simple_spread" => replay_all(value, name, &file, |continuous| {
            let given: SpreadOptions = parse(name, options)?;
            let local_ratio = ratio(given.local_ratio);
            Spread::new(&SpreadOptions { n_agents: n, local_ratio, continuous, ..given })
        }),
        "mpe_simple_formation" => replay_all(value, name, &file, |continuous| {
            Formation::new(&FigureOptions { n_agents: n, continuous, ..parse(name, options)? })
        }),
        "mpe_simple_line" => replay_all(value, name, &file, |continuous| {
            Line::new(&FigureOptions { n_agents: n, continuous, ..parse(name, options)? })
        }),
        "mpe_simple_speaker_listener" => replay_all(value, name, &file, |continuous| {
            SpeakerListener::new(&SpeakerListenerOptions { continuous, ..parse(name, options)? })
        }),
        "mpe_simple_adversary" => replay_all(value, name, &file, |continuous| {
            let n_agents = n - hunters.min(n);
            Adversary::new(&AdversaryOptions { n_agents, continuous, ..parse(name, options)? })
        }),
        "mpe_simple_crypto" => replay_all(value, name, &file, |continuous| {
            Crypto::new(&CryptoOptions { continuous, ..parse(name, options)? })
        }),
        "mpe_simple_push" => replay_all(value, name, &file, |continuous| {
            Push::new(&PushOptions { continuous, ..parse(name, options)? })
        }),
        "mpe_simple_reference" => replay_all(value, name, &file, |continuous| {
            let given: ReferenceOptions = parse(name, options)?;
            let local_ratio = ratio(given.local_ratio);
            Reference::new(&ReferenceOptions { local_ratio, continuous, ..given })
        }),
        "mpe_simple_world_comm" => replay_all(value, name, &file, |continuous| {
            let hunters = file.agent_order.iter().filter(|a| a.contains("adversary")).count();
            let count = |kind: &str| file.entities.iter().filter(|e| e.name.starts_with(kind)).count();
            let given: WorldCommOptions = parse(name, options)?;
            let counted =
                WorldCommOptions { n_adversaries: hunters, n_agents: n - hunters, continuous, ..given };
            if file.entities.is_empty() {
                return WorldComm::new(&counted);
            }
            let (n_obstacles, n_food, n_forests) = (count("landmark"), count("food"), count("forest"));
            WorldComm::new(&WorldCommOptions { n_obstacles, n_food, n_forests, ..counted })
        }),
        _ => replay_all(value, name, &file, |continuous| {
            let (n_adversaries, n_agents) = (hunters, n - hunters.min(n));
            let given: TagOptions = parse(name, options)?;
            Tag::new(&TagOptions { n_adversaries, n_agents, n_obstacles: n_landmarks, continuous, ..given })
        }),
    }
}

fn replay_all<S: Scenario>(
    value: &Value,
    name: &str,
    file: &File,
    make: impl Fn(bool) -> Result<Particle<S>>,
) -> Result<Certificate> {
    let (discrete, continuous) = (make(false)?, make(true)?);
    let mut tally = Tally::new(value, name);
    for (index, case) in file.cases.iter().enumerate() {
        let rules = if case.continuous { &continuous } else { &discrete };
        check(rules, case).map_err(|what| torn(name, index, what))?;
        let (mut contacts, mut compare) = (Vec::new(), case.actions.len());
        let wide = replay::<f64, S>(rules, case, |_| (1e-12, 1e-9), compare, &mut contacts);
        // Touching is a step function: f32 need not fall on the same side of it.
        if let Some(t) = contacts.iter().position(|contact| contact.margin < 1e-4) {
            compare = t;
        }
        // A contact multiplies errors of place by 100; a case is as crowded from its first contact on.
        let first_contact = contacts.iter().position(|contact| contact.felt).unwrap_or(usize::MAX);
        let crowded = |step: usize| case.kind == "crowded" || step > first_contact;
        let tolerance = |step: usize| match (crowded(step), step) {
            (true, ..=10) => (1e-4, 0.0),
            (true, _) => (1e-3, 0.0),
            (false, _) => (1e-6, 1e-5),
        };
        let single = replay::<f32, S>(rules, case, tolerance, compare, &mut Vec::new());
        tally.add(wide, single);
    }
    Ok(tally.certificate)
}

/// Refuses a case that does not fit the scenario, so that the replay can index freely.
fn check<S: Scenario>(rules: &Particle<S>, case: &Case) -> Result<(), &'static str> {
    let world = rules.world();
    let (n, n_steps) = (world.agents.len(), case.actions.len());
    let extra = rules.n_vars() - world.n_vars();
    let init = &case.init;
    if init.agents_pos_vel.len() != n || init.landmarks_pos.len() != world.landmarks.len() {
        return Err("the number of agents or landmarks is not the scenario's");
    }
    let spoken: usize = (0..n).map(|agent| rules.scenario().word(agent).len()).sum();
    let goals = init.goals();
    if goals.len() * world.landmarks.len() + spoken != extra
        || goals.iter().any(|g| *g >= world.landmarks.len())
    {
        return Err("the goals are missing or no landmarks");
    }
    let said = |words: &[Vec<f64>]| {
        words.len() == n && (0..n).all(|a| [0, words[a].len()].contains(&rules.scenario().word(a).len()))
    };
    if spoken > 0 && !said(&init.agents_comm) {
        return Err("the first word is missing");
    }
    if case.terminated_at.is_some_and(|step| step != n_steps) {
        return Err("there are steps after the end, or the end is missing");
    }
    if case.rewards.len() != n_steps {
        return Err("actions and rewards differ in number");
    }
    let moves = world.agents.iter().any(|body| body.movable);
    if case.pos_vel.len() != n_steps && (moves || !case.pos_vel.is_empty()) {
        return Err("actions and places differ in number");
    }
    let spec = rules.spec();
    for moves in &case.actions {
        if moves.len() != n {
            return Err("an action is missing");
        }
        for ((group, _), action) in spec.agents().zip(moves) {
            let space = &spec.groups[group].action;
            let fits = match action {
                Action::Discrete(a) => (*a as usize) < space.n_discrete(),
                Action::Continuous(a) => !a.is_empty() && a.len() == space.n_continuous(),
            };
            if !fits {
                return Err("an action does not fit its space");
            }
        }
    }
    let sound = |rows: &[[f64; 4]]| rows.len() == n;
    if !case.pos_vel.iter().all(|rows| sound(rows)) || !case.rewards.iter().all(|r| r.len() == n) {
        return Err("a step lacks places or rewards");
    }
    if has_stray(&case.obs, n_steps) {
        return Err("an observation is of a step that there is not");
    }
    if case.obs.values().any(|rows| rows.len() != n) {
        return Err("an observation is missing");
    }
    if case.comm.as_ref().is_some_and(|c| c.len() != n_steps || spoken > 0 && !c.iter().all(|c| said(c))) {
        return Err("a word is missing");
    }
    Ok(())
}

/// How the agents stand to each other after a step.
struct Contact {
    /// How near the nearest pair of colliding agents is to just touching.
    margin: f64,
    /// Whether any contact force will be felt.
    felt: bool,
}

/// Replays `compare` steps of a case; `contacts` receives how agents stood after each step.
fn replay<R: Replayed, S: Scenario>(
    rules: &Particle<S>,
    case: &Case,
    tolerance: impl Fn(usize) -> (f64, f64),
    compare: usize,
    contacts: &mut Vec<Contact>,
) -> Comparison {
    let world = rules.world();
    let n = world.agents.len();
    let mut comparison = Comparison::default();
    let limit = rules.spec().episode_limit;
    if case.done_at.is_some() {
        comparison.same(|| "step of truncation".into(), limit, case.done_at);
    }
    let mut vars = first_moment::<R, S>(rules, &case.init);
    let mut scratch = vec![R::of(0.0); rules.n_scratch()];
    compare_obs(&mut comparison, rules, case, &vars, 0, tolerance(0));
    for (t, moves) in case.actions.iter().take(compare).enumerate() {
        let (mut discrete, mut continuous) = (vec![0; n], Vec::new());
        for (agent, action) in moves.iter().enumerate() {
            match action {
                Action::Discrete(a) => discrete[agent] = *a,
                Action::Continuous(a) => continuous.extend(a.iter().map(|x| R::of(*x))),
            }
        }
        let (mut reward, mut terminated) = (vec![R::of(0.0); n], vec![false; n]);
        let actions = ActionsOf { discrete: &discrete, continuous: &continuous };
        let outcome = Outcome { reward: &mut reward, terminated: &mut terminated };
        rules.advance::<R>(&mut vars, &vec![true; n], actions, outcome, &mut scratch);
        let step = t + 1;
        let tol = tolerance(step);
        if let Some(theirs) = case.pos_vel.get(t) {
            let places = || format!("position and velocity after step {step}");
            comparison.close(places, &widened(&vars[..4 * n]), theirs.as_flattened(), tol);
        }
        comparison.close(|| format!("rewards of step {step}"), &widened(&reward), &case.rewards[t], tol);
        let ended = case.terminated_at == Some(step);
        // The original truncates an episode that is accomplished in its last step.
        if ended || limit != Some(step as u32) {
            comparison.same(|| format!("termination in step {step}"), terminated.contains(&true), ended);
        }
        if let Some(comm) = &case.comm {
            let extra = &vars[world.n_vars()..];
            for agent in 0..n {
                let said = &extra[rules.scenario().word(agent)];
                let theirs = comm[t].get(agent).map_or(&[][..], |words| words);
                let place = || format!("word of agent {agent} in step {step}");
                match said.is_empty() {
                    true => comparison.close(place, &vec![0.0; theirs.len()], theirs, (0.0, 0.0)),
                    false => comparison.close(place, &widened(said), theirs, tol),
                }
            }
        }
        compare_obs(&mut comparison, rules, case, &vars, step, tol);
        contacts.push(contact(rules, &widened(&vars)));
        comparison.steps += 1;
    }
    comparison
}

fn first_moment<R: Replayed, S: Scenario>(rules: &Particle<S>, init: &Init) -> Vec<R> {
    let mut vars: Vec<R> = init.agents_pos_vel.iter().flatten().map(|v| R::of(*v)).collect();
    vars.extend(init.landmarks_pos.iter().flatten().map(|v| R::of(*v)));
    for goal in init.goals() {
        vars.extend((0..init.landmarks_pos.len()).map(|i| R::of(if i == goal { 1.0 } else { 0.0 })));
    }
    for (agent, said) in init.agents_comm.iter().enumerate() {
        if !rules.scenario().word(agent).is_empty() {
            vars.extend(said.iter().map(|c| R::of(*c)));
        }
    }
    vars
}

fn compare_obs<R: Replayed, S: Scenario>(
    comparison: &mut Comparison,
    rules: &Particle<S>,
    case: &Case,
    vars: &[R],
    step: usize,
    tolerance: (f64, f64),
) {
    let Some(rows) = case.obs.get(&step.to_string()) else { return };
    for (agent, (group, _)) in rules.spec().agents().enumerate() {
        let mut obs = vec![R::of(0.0); rules.spec().groups[group].obs_width()];
        rules.observe::<R>(vars, agent, &mut obs);
        let place = || format!("observation of agent {agent} after step {step}");
        comparison.close(place, &widened(&obs), &rows[agent], tolerance);
    }
}

/// How the agents stand to each other and to the landmarks.
fn contact<S: Scenario>(rules: &Particle<S>, vars: &[f64]) -> Contact {
    let world = rules.world();
    let n = world.agents.len();
    let bodies: Vec<_> = world.agents.iter().chain(&world.landmarks).collect();
    let place = |i: usize| if i < n { world.agent(vars, i) } else { world.landmark(vars, i - n) };
    let mut found = Contact { margin: rules.scenario().margin(world, vars), felt: false };
    for a in 0..n {
        for b in a + 1..bodies.len() {
            let gap = distance(place(a), place(b)) - bodies[a].size - bodies[b].size;
            let collide = bodies[a].collide && bodies[b].collide;
            // Ten margins of softness away the force is 5e-6.
            found.felt |= collide && gap < 0.01;
            if b < n && collide || b >= n && S::TOUCHES_LANDMARKS {
                found.margin = found.margin.min(gap.abs());
            }
        }
    }
    found
}
