//! From tree to text: one node a line, every description in full, so that simple readers manage too.

use std::fmt::Write as _;

use crate::extensive::{Tree, Turn};

/// Writes a game. Reading it gives the same tree.
pub fn write(tree: &Tree) -> String {
    let mut out = format!("EFG 2 R {} {{", quoted(tree.title()));
    for player in tree.players() {
        out.push(' ');
        out.push_str(&quoted(player));
    }
    out.push_str(" }\n");
    if !tree.comment().is_empty() {
        out.push_str(&quoted(tree.comment()));
        out.push('\n');
    }
    let infosets = infosets(tree);
    for node in 0..tree.n_nodes() {
        let label = quoted(tree.label(node));
        // Writing to a string cannot fail.
        let _ = match (tree.turn(node), tree.infoset_of(node)) {
            (Turn::Chance, Some(i)) => write!(out, "c {label} {} ", infosets[i]),
            (Turn::Player(p), Some(i)) => write!(out, "p {label} {} {} ", p + 1, infosets[i]),
            _ => write!(out, "t {label} "),
        };
        outcome(tree, tree.outcome_of(node), &mut out);
        out.push('\n');
    }
    out
}

/// Number, label and actions of each information set, numbered for each player and for chance.
fn infosets(tree: &Tree) -> Vec<String> {
    let mut next = vec![0; tree.n_players() + 1];
    let describe = |infoset: &crate::extensive::Infoset| {
        let number = &mut next[infoset.player.map_or(0, |p| p + 1)];
        *number += 1;
        let mut text = format!("{number} {} {{", quoted(&infoset.label));
        for (a, action) in infoset.actions.iter().enumerate() {
            text.push(' ');
            text.push_str(&quoted(action));
            if let Some(probability) = infoset.probabilities.get(a) {
                let _ = write!(text, " {probability}");
            }
        }
        text.push_str(" }");
        text
    };
    tree.infosets().iter().map(describe).collect()
}

fn outcome(tree: &Tree, outcome: usize, out: &mut String) {
    let _ = write!(out, "{outcome}");
    if outcome == 0 {
        return;
    }
    let described = &tree.outcomes()[outcome];
    let _ = write!(out, " {} {{", quoted(&described.label));
    for payoff in &described.payoffs {
        let _ = write!(out, " {payoff}");
    }
    out.push_str(" }");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
