//! Writing `.dpomdp` files that [`super::parse`] reads back as the same problem.

use std::fmt::Write;

use super::{DecPomdp, RewardRow};

/// The problem as text.
pub fn write(problem: &DecPomdp) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = put(problem, &mut out);
    out
}

fn put(p: &DecPomdp, out: &mut String) -> std::fmt::Result {
    let numbered = |names: &[String]| names.iter().enumerate().all(|(i, n)| *n == i.to_string());
    let list = |names: &[String]| if numbered(names) { names.len().to_string() } else { names.join(" ") };
    writeln!(out, "agents: {}", p.n_agents())?;
    writeln!(out, "discount: {}", p.discount)?;
    writeln!(out, "values: {}", if p.cost { "cost" } else { "reward" })?;
    writeln!(out, "states: {}", list(&p.states))?;
    let start: Vec<String> = p.start.iter().map(f64::to_string).collect();
    writeln!(out, "start:\n{}", start.join(" "))?;
    for (key, lists) in [("actions", &p.actions), ("observations", &p.observations)] {
        writeln!(out, "{key}:")?;
        lists.iter().try_for_each(|names| writeln!(out, "{}", list(names)))?;
    }
    let n = p.n_states();
    let sign = if p.cost { -1.0 } else { 1.0 };
    for joint in 0..p.n_joint_actions() {
        let of: Vec<&str> = (0..p.n_agents()).map(|i| p.action_name(i, p.action_of(joint, i))).collect();
        let of = of.join(" ");
        for (s, state) in p.states.iter().enumerate() {
            for &(next, prob) in &p.transition[joint * n + s] {
                writeln!(out, "T: {of} : {state} : {} : {prob}", p.states[next as usize])?;
            }
            for &(seen, prob) in &p.observation[joint * n + s] {
                writeln!(out, "O: {of} : {state} : {} : {prob}", seen_name(p, seen as usize))?;
            }
            match &p.reward[joint * n + s] {
                RewardRow::Constant(0.0) => {}
                RewardRow::Constant(r) => writeln!(out, "R: {of} : {state} : * : * : {}", sign * r)?,
                RewardRow::Full(table) => {
                    writeln!(out, "R: {of} : {state} :")?;
                    for row in table.chunks_exact(p.n_joint_observations()) {
                        let row: Vec<String> = row.iter().map(|r| (sign * r + 0.0).to_string()).collect();
                        writeln!(out, "{}", row.join(" "))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn seen_name(p: &DecPomdp, joint: usize) -> String {
    let names = (0..p.n_agents()).map(|i| p.observation_name(i, p.observation_of(joint, i)));
    names.collect::<Vec<_>>().join(" ")
}
