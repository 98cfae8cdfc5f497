//! A finite game tree as struct of arrays: nodes in preorder, information sets, outcomes.
//!
//! Every game that a solver here works on is a [`Tree`]: built by hand or read from a file with [`TreeBuilder`], or
//! unfolded from a [`Game`](super::Game) by [`unfold`](super::unfold). Chance probabilities and payoffs are kept as
//! exact rationals. A tree says nothing about strategies; see [`Profile`](super::Profile).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use num_traits::{One, Signed, Zero};

use super::Turn;
use crate::{Error, Rational, Result, Scalar};

/// No node, no information set.
pub(crate) const NONE: u32 = u32::MAX;

/// Nodes that share what is known about them: a player's information set, or a chance event.
#[derive(Debug, Clone, PartialEq)]
pub struct Infoset {
    /// The player who moves, or `None` for chance.
    pub player: Option<usize>,
    /// A name for people; need not be unique.
    pub label: String,
    /// Names of the actions, `[N]`.
    pub actions: Arc<[String]>,
    /// Probabilities of the actions, `[N]`, for chance; empty for a player.
    pub probabilities: Vec<Rational>,
}

/// Payoffs that are received on reaching a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// A name for people.
    pub label: String,
    /// One payoff a player.
    pub payoffs: Vec<Rational>,
}

/// A finite extensive-form game. Node 0 is the root; children come after their parents.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    title: String,
    comment: String,
    players: Vec<String>,
    infosets: Vec<Infoset>,
    /// Start of the actions of each information set in a [`Profile`](super::Profile), and their number at the end.
    first_slot: Vec<u32>,
    /// Index 0 is "no outcome".
    outcomes: Vec<Outcome>,
    /// `[outcomes, players]` in f64.
    payoffs: Vec<f64>,
    node_infoset: Vec<u32>,
    node_outcome: Vec<u32>,
    node_parent: Vec<u32>,
    node_label: Vec<Box<str>>,
    first_child: Vec<u32>,
    children: Vec<u32>,
}

impl Tree {
    /// Title of the game.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A comment on the game, often empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Names of the players.
    pub fn players(&self) -> &[String] {
        &self.players
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.players.len()
    }

    /// Number of nodes.
    pub fn n_nodes(&self) -> usize {
        self.node_infoset.len()
    }

    /// Number of information sets and chance events.
    pub fn n_infosets(&self) -> usize {
        self.infosets.len()
    }

    /// Information set (or chance event) number `infoset`.
    pub fn infoset(&self, infoset: usize) -> &Infoset {
        &self.infosets[infoset]
    }

    /// All information sets and chance events.
    pub fn infosets(&self) -> &[Infoset] {
        &self.infosets
    }

    /// Information sets of players, chance left out.
    pub fn n_decisions(&self) -> usize {
        self.infosets.iter().filter(|i| i.player.is_some()).count()
    }

    /// Outcomes; number 0 is "none" and pays nothing.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Payoffs of an outcome in f64, one a player.
    pub fn payoffs(&self, outcome: usize) -> &[f64] {
        let n = self.n_players();
        &self.payoffs[outcome * n..][..n]
    }

    /// Who moves at a node.
    pub fn turn(&self, node: usize) -> Turn {
        match self.node_infoset[node] {
            NONE => Turn::Terminal,
            i => self.infosets[i as usize].player.map_or(Turn::Chance, Turn::Player),
        }
    }

    /// Information set or chance event of a node; `None` at the end of the game.
    pub fn infoset_of(&self, node: usize) -> Option<usize> {
        Some(self.node_infoset[node]).filter(|&i| i != NONE).map(|i| i as usize)
    }

    /// Outcome number of a node, 0 for none.
    pub fn outcome_of(&self, node: usize) -> usize {
        self.node_outcome[node] as usize
    }

    /// Parent of a node; `None` for the root.
    pub fn parent(&self, node: usize) -> Option<usize> {
        Some(self.node_parent[node]).filter(|&p| p != NONE).map(|p| p as usize)
    }

    /// Name of a node, often empty.
    pub fn label(&self, node: usize) -> &str {
        &self.node_label[node]
    }

    /// Children of a node, in the order of the actions.
    pub fn children(&self, node: usize) -> &[u32] {
        &self.children[self.first_child[node] as usize..self.first_child[node + 1] as usize]
    }

    /// Where the actions of an information set stand in a [`Profile`](super::Profile).
    pub fn slots(&self, infoset: usize) -> Range<usize> {
        self.first_slot[infoset] as usize..self.first_slot[infoset + 1] as usize
    }

    /// Actions over all information sets and chance events.
    pub fn n_slots(&self) -> usize {
        self.first_slot[self.infosets.len()] as usize
    }

    /// Whether payoffs add up to the same constant at every end of the game (so that two players are opposed), and
    /// that constant.
    pub fn constant_sum(&self) -> Option<Rational> {
        let sums: Vec<Rational> =
            self.outcomes.iter().map(|o| o.payoffs.iter().fold(Rational::zero(), |a, b| a + b)).collect();
        let mut along = vec![Rational::zero(); self.n_nodes()];
        let mut constant: Option<Rational> = None;
        for node in 0..self.n_nodes() {
            let own = &sums[self.outcome_of(node)];
            along[node] = self.parent(node).map_or_else(Rational::zero, |p| along[p].clone()) + own;
            if self.node_infoset[node] == NONE {
                match &constant {
                    Some(c) if *c != along[node] => return None,
                    Some(_) => {}
                    None => constant = Some(along[node].clone()),
                }
            }
        }
        constant
    }

    /// Whether every player always knows the whole past: each information set has one node.
    pub fn has_perfect_information(&self) -> bool {
        let mut seen = vec![false; self.n_infosets()];
        self.node_infoset.iter().filter(|&&i| i != NONE).all(|&i| {
            self.infosets[i as usize].player.is_none() || !std::mem::replace(&mut seen[i as usize], true)
        })
    }

    /// For each node and each player, the player's last own action before it, as a slot; [`NONE`] where there is none.
    /// `[nodes, players]`.
    pub(crate) fn last_actions(&self) -> Vec<u32> {
        let n = self.n_players();
        let mut last = vec![NONE; self.n_nodes() * n];
        for node in 0..self.n_nodes() {
            let Some(infoset) = self.infoset_of(node) else { continue };
            let first = self.first_slot[infoset];
            for (a, &child) in self.children(node).iter().enumerate() {
                let child = child as usize * n;
                last.copy_within(node * n..node * n + n, child);
                if let Some(p) = self.infosets[infoset].player {
                    last[child + p] = first + a as u32;
                }
            }
        }
        last
    }

    /// Checks that no player forgets what was known or done before.
    ///
    /// # Errors
    /// [`Error::ImperfectRecall`] names the first information set that fails.
    pub fn require_perfect_recall(&self, method: &'static str) -> Result<()> {
        let (n, last) = (self.n_players(), self.last_actions());
        let mut before = vec![None; self.n_infosets()];
        for node in 0..self.n_nodes() {
            let Some(infoset) = self.infoset_of(node) else { continue };
            let Some(player) = self.infosets[infoset].player else { continue };
            let own = last[node * n + player];
            if *before[infoset].get_or_insert(own) != own {
                return Err(Error::ImperfectRecall {
                    method,
                    player: self.players[player].clone(),
                    infoset: self.infosets[infoset].label.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Builds a [`Tree`] node by node in preorder: a node, then all of its first child's subtree, and so on.
#[derive(Debug)]
pub struct TreeBuilder {
    tree: Tree,
    /// Branching nodes that still wait for children.
    open: Vec<u32>,
    /// Children so far, by node.
    n_children: Vec<u32>,
    /// Edges in order of creation: parent, child.
    edges: Vec<(u32, u32)>,
    lists: HashMap<Vec<String>, Arc<[String]>>,
}

impl TreeBuilder {
    /// An empty tree for these players.
    ///
    /// # Errors
    /// No players.
    pub fn new(title: impl Into<String>, comment: impl Into<String>, players: Vec<String>) -> Result<Self> {
        if players.is_empty() {
            return Err(Error::Invalid("a game needs at least one player; name them".into()));
        }
        let nothing = Outcome { label: String::new(), payoffs: vec![Rational::zero(); players.len()] };
        let tree = Tree {
            title: title.into(),
            comment: comment.into(),
            payoffs: vec![0.0; players.len()],
            players,
            infosets: Vec::new(),
            first_slot: vec![0],
            outcomes: vec![nothing],
            node_infoset: Vec::new(),
            node_outcome: Vec::new(),
            node_parent: Vec::new(),
            node_label: Vec::new(),
            first_child: Vec::new(),
            children: Vec::new(),
        };
        Ok(Self { tree, open: Vec::new(), n_children: Vec::new(), edges: Vec::new(), lists: HashMap::new() })
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.tree.players.len()
    }

    /// The information sets so far.
    pub fn infosets(&self) -> &[Infoset] {
        &self.tree.infosets
    }

    /// The outcomes so far; number 0 is "none".
    pub fn outcomes(&self) -> &[Outcome] {
        &self.tree.outcomes
    }

    /// Adds an outcome and returns its number.
    ///
    /// # Errors
    /// Not one payoff a player, or one beyond the range of f64.
    pub fn outcome(&mut self, label: impl Into<String>, payoffs: Vec<Rational>) -> Result<u32> {
        let (label, n) = (label.into(), self.n_players());
        if payoffs.len() != n {
            let found = payoffs.len();
            return Err(Error::Invalid(format!(
                "outcome `{label}` has {found} payoffs; {n} players need {n}"
            )));
        }
        for payoff in &payoffs {
            let value = Some(payoff.to_float()).filter(|v| v.is_finite()).ok_or_else(|| {
                Error::Invalid(format!("a payoff of outcome `{label}` is too large; scale the payoffs down"))
            })?;
            self.tree.payoffs.push(value);
        }
        self.tree.outcomes.push(Outcome { label, payoffs });
        index(self.tree.outcomes.len() - 1)
    }

    /// Adds an information set of `player` and returns its number.
    ///
    /// # Errors
    /// No such player, or no actions.
    pub fn infoset(&mut self, player: usize, label: impl Into<String>, actions: Vec<String>) -> Result<u32> {
        if player >= self.n_players() {
            let n = self.n_players();
            return Err(Error::Invalid(format!("player {} of {n} does not exist", player + 1)));
        }
        self.push_infoset(Some(player), label.into(), actions, Vec::new())
    }

    /// Adds a chance event and returns its number.
    ///
    /// # Errors
    /// No outcomes, or probabilities that are negative or do not add up to exactly 1.
    pub fn event(
        &mut self,
        label: impl Into<String>,
        actions: Vec<String>,
        probabilities: Vec<Rational>,
    ) -> Result<u32> {
        let label = label.into();
        if actions.len() != probabilities.len() {
            let (a, p) = (actions.len(), probabilities.len());
            return Err(Error::Invalid(format!(
                "chance event `{label}` has {a} actions and {p} probabilities"
            )));
        }
        if let Some((p, a)) = probabilities.iter().zip(&actions).find(|(p, _)| p.is_negative()) {
            return Err(Error::Invalid(format!(
                "probability {p} of `{a}` at chance event `{label}` is negative"
            )));
        }
        let sum = probabilities.iter().fold(Rational::zero(), |a, b| a + b);
        if !actions.is_empty() && !sum.is_one() {
            let sum = sum.to_float();
            return Err(Error::Invalid(format!(
                "probabilities of chance event `{label}` add up to {sum}; make them add up to 1"
            )));
        }
        self.push_infoset(None, label, actions, probabilities)
    }

    fn push_infoset(
        &mut self,
        player: Option<usize>,
        label: String,
        actions: Vec<String>,
        probabilities: Vec<Rational>,
    ) -> Result<u32> {
        if actions.is_empty() {
            return Err(Error::Invalid(format!(
                "information set `{label}` has no actions; give it at least one"
            )));
        }
        let number = index(self.tree.infosets.len())?;
        let slots = self.tree.first_slot[number as usize] as usize + actions.len();
        self.tree.first_slot.push(index(slots)?);
        let actions = match self.lists.get(&actions) {
            Some(list) => list.clone(),
            None => {
                let list: Arc<[String]> = actions.clone().into();
                self.lists.insert(actions, list.clone());
                list
            }
        };
        self.tree.infosets.push(Infoset { player, label, actions, probabilities });
        Ok(number)
    }

    /// Adds the next node in preorder: one where somebody, or chance, moves.
    ///
    /// # Errors
    /// The tree is complete already, or there is no such information set or outcome.
    pub fn branch(&mut self, label: &str, infoset: u32, outcome: u32) -> Result<u32> {
        if infoset as usize >= self.tree.infosets.len() {
            return Err(Error::Invalid(format!("information set {infoset} does not exist")));
        }
        let node = self.node(label, infoset, outcome)?;
        self.open.push(node);
        Ok(node)
    }

    /// Adds the next node in preorder: one where the game ends.
    ///
    /// # Errors
    /// The tree is complete already, or there is no such outcome.
    pub fn leaf(&mut self, label: &str, outcome: u32) -> Result<u32> {
        self.node(label, NONE, outcome)
    }

    fn node(&mut self, label: &str, infoset: u32, outcome: u32) -> Result<u32> {
        let node = index(self.tree.node_infoset.len())?;
        if outcome as usize >= self.tree.outcomes.len() {
            return Err(Error::Invalid(format!("outcome {outcome} does not exist")));
        }
        let parent = match self.open.last() {
            Some(&parent) => parent,
            None if node == 0 => NONE,
            None => {
                return Err(Error::Invalid("there are nodes after the tree is complete; remove them".into()));
            }
        };
        if parent != NONE {
            self.edges.push((parent, node));
            self.n_children[parent as usize] += 1;
            let set = self.tree.node_infoset[parent as usize];
            if self.n_children[parent as usize] as usize == self.tree.slots(set as usize).len() {
                self.open.pop();
            }
        }
        self.tree.node_infoset.push(infoset);
        self.tree.node_outcome.push(outcome);
        self.tree.node_parent.push(parent);
        self.tree.node_label.push(label.into());
        self.n_children.push(0);
        Ok(node)
    }

    /// Whether every branching node has all of its children.
    pub fn is_complete(&self) -> bool {
        self.open.is_empty() && !self.tree.node_infoset.is_empty()
    }

    /// The tree. Information sets and outcomes are numbered anew in the order in which nodes first use them; those
    /// without nodes are dropped.
    ///
    /// # Errors
    /// Nodes are missing.
    pub fn finish(self) -> Result<Tree> {
        let Self { mut tree, open, n_children, edges, .. } = self;
        if let Some(&node) = open.last() {
            let set = &tree.infosets[tree.node_infoset[node as usize] as usize];
            let (found, wanted) = (n_children[node as usize], set.actions.len());
            let label = &set.label;
            return Err(Error::Invalid(format!(
                "the tree ends early: node {node} at `{label}` has {found} of {wanted} children"
            )));
        }
        if tree.node_infoset.is_empty() {
            return Err(Error::Invalid("the tree has no nodes; add at least one end of the game".into()));
        }
        let mut next = 0;
        for n in &n_children {
            tree.first_child.push(next);
            next += n;
        }
        tree.first_child.push(next);
        tree.children = vec![NONE; edges.len()];
        let mut at = tree.first_child.clone();
        for (parent, child) in edges {
            tree.children[at[parent as usize] as usize] = child;
            at[parent as usize] += 1;
        }
        tree.renumber();
        Ok(tree)
    }
}

impl Tree {
    /// Numbers information sets and outcomes by first use, so that equal games are equal trees.
    fn renumber(&mut self) {
        let n = self.n_players();
        let (infosets, kept) = first_use(&self.node_infoset, self.infosets.len());
        self.infosets = kept.iter().map(|&i| self.infosets[i as usize].clone()).collect();
        self.first_slot.truncate(1);
        for infoset in &self.infosets {
            let last = self.first_slot[self.first_slot.len() - 1];
            self.first_slot.push(last + infoset.actions.len() as u32);
        }
        // Outcome 0 stays where it is.
        let used: Vec<u32> = std::iter::once(0).chain(self.node_outcome.iter().copied()).collect();
        let (outcomes, kept) = first_use(&used, self.outcomes.len());
        self.payoffs = kept.iter().flat_map(|&o| self.payoffs[o as usize * n..][..n].to_vec()).collect();
        self.outcomes = kept.iter().map(|&o| self.outcomes[o as usize].clone()).collect();
        for node in 0..self.n_nodes() {
            self.node_outcome[node] = outcomes[self.node_outcome[node] as usize];
            if self.node_infoset[node] != NONE {
                self.node_infoset[node] = infosets[self.node_infoset[node] as usize];
            }
        }
    }
}

/// New numbers by first use (old ones lead to new ones), and the old numbers in that order.
fn first_use(used: &[u32], n: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut new, mut kept) = (vec![NONE; n], Vec::new());
    for &old in used.iter().filter(|&&old| old != NONE) {
        if new[old as usize] == NONE {
            new[old as usize] = kept.len() as u32;
            kept.push(old);
        }
    }
    (new, kept)
}

/// A number of something that is stored in 32 bits.
fn index(n: usize) -> Result<u32> {
    u32::try_from(n)
        .ok()
        .filter(|&n| n < NONE)
        .ok_or_else(|| Error::Invalid("the tree has more than 4 billion parts; make the game smaller".into()))
}
