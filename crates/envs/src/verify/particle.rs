//! Traces of mpe2 against the particle world.

use std::collections::BTreeMap;

use coact_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Replayed, Tally, read, torn, widened};
use crate::particle::adversary::{Adversary, AdversaryOptions};
use crate::particle::simple::{Simple, SimpleOptions};
use crate::particle::speaker_listener::{SpeakerListener, SpeakerListenerOptions};
use crate::particle::spread::{Spread, SpreadOptions};
use crate::particle::tag::{Tag, TagOptions};
use crate::particle::world::distance;
use crate::particle::{Particle, Scenario};
use crate::rules::{ActionsOf, Outcome, Rules};

#[derive(Debug, Deserialize)]
struct File {
    agent_order: Vec<String>,
    local_ratio: Option<f64>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    kind: String,
    continuous: bool,
    init: Init,
    actions: Vec<Vec<Action>>,
    pos_vel: Vec<Vec<[f64; 4]>>,
    rewards: Vec<Vec<f64>>,
    obs: BTreeMap<String, Vec<Vec<f64>>>,
    comm: Option<Vec<Vec<Vec<f64>>>>,
    done_at: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Init {
    agents_pos_vel: Vec<[f64; 4]>,
    landmarks_pos: Vec<[f64; 2]>,
    #[serde(default)]
    agents_comm: Vec<Vec<f64>>,
    #[serde(alias = "goal_b_landmark")]
    goal_landmark: Option<usize>,
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
    let n_obstacles = file.cases.first().map_or(0, |c| c.init.landmarks_pos.len());
    match name {
        "mpe_simple" => replay_all(value, name, &file, |continuous| {
            Simple::new(&SimpleOptions { continuous, ..Default::default() })
        }),
        "mpe_simple_spread" => replay_all(value, name, &file, |continuous| {
            let local_ratio = file.local_ratio.unwrap_or(0.5);
            Spread::new(&SpreadOptions { n_agents: n, local_ratio, continuous, ..Default::default() })
        }),
        "mpe_simple_speaker_listener" => replay_all(value, name, &file, |continuous| {
            SpeakerListener::new(&SpeakerListenerOptions { continuous, ..Default::default() })
        }),
        "mpe_simple_adversary" => replay_all(value, name, &file, |continuous| {
            let n_agents = n - hunters.min(n);
            Adversary::new(&AdversaryOptions { n_agents, continuous, ..Default::default() })
        }),
        _ => replay_all(value, name, &file, |continuous| {
            let (n_adversaries, n_agents) = (hunters, n - hunters.min(n));
            Tag::new(&TagOptions { n_adversaries, n_agents, n_obstacles, continuous, ..Default::default() })
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
    if extra > 0 && init.goal_landmark.is_none_or(|goal| goal >= world.landmarks.len()) {
        return Err("the goal is missing or no landmark");
    }
    if extra > world.landmarks.len()
        && init.agents_comm.first().is_none_or(|c| c.len() != extra - world.landmarks.len())
    {
        return Err("the first word is missing");
    }
    if case.pos_vel.len() != n_steps || case.rewards.len() != n_steps {
        return Err("actions, places and rewards differ in number");
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
    if case.obs.values().any(|rows| rows.len() != n) {
        return Err("an observation is missing");
    }
    if case.comm.as_ref().is_some_and(|c| c.len() != n_steps || c.iter().any(Vec::is_empty)) {
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
        let places = || format!("position and velocity after step {step}");
        comparison.close(places, &widened(&vars[..4 * n]), case.pos_vel[t].as_flattened(), tol);
        comparison.close(|| format!("rewards of step {step}"), &widened(&reward), &case.rewards[t], tol);
        comparison.same(|| format!("termination in step {step}"), terminated.contains(&true), false);
        if let (Some(comm), words @ 1..) = (&case.comm, rules.n_vars() - world.n_vars()) {
            let said = &vars[rules.n_vars() - (words - world.landmarks.len())..];
            comparison.close(|| format!("word of step {step}"), &widened(said), &comm[t][0], tol);
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
    let n_landmarks = init.landmarks_pos.len();
    if rules.n_vars() > vars.len() {
        let hot = (0..n_landmarks).map(|i| R::of(if Some(i) == init.goal_landmark { 1.0 } else { 0.0 }));
        vars.extend(hot);
    }
    if rules.n_vars() > vars.len() {
        vars.extend(init.agents_comm[0].iter().map(|c| R::of(*c)));
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
    let mut found = Contact { margin: f64::INFINITY, felt: false };
    for a in 0..n {
        for b in (a + 1..bodies.len()).filter(|b| bodies[a].collide && bodies[*b].collide) {
            let gap = distance(place(a), place(b)) - bodies[a].size - bodies[b].size;
            // Ten margins of softness away the force is 5e-6.
            found.felt |= gap < 0.01;
            if b < n {
                found.margin = found.margin.min(gap.abs());
            }
        }
    }
    found
}
