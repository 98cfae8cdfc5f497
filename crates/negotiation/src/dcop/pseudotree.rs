//! Pseudo-trees: trees of variables in which every constraint lies on one way to the root, found by depth-first
//! search. Not here: what methods do on them.

use std::collections::BTreeSet;

use coact_messaging::Topology;

/// A forest over variables, one tree for each connected part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PseudoTree {
    pub parent: Vec<Option<usize>>,
    pub children: Vec<Vec<usize>>,
    /// Parents before children.
    pub order: Vec<usize>,
    /// For each variable the variables above it that it or somebody below it shares a constraint with, ascending.
    pub separators: Vec<Vec<usize>>,
    pub depth: Vec<usize>,
}

impl PseudoTree {
    /// Depth-first search from the roots that `roots` lists first. Among neighbors it visits the one with most visited
    /// neighbors of its own first, then the one with most neighbors, then the lowest.
    pub fn new(topology: &Topology, roots: &[usize]) -> Self {
        let n = topology.n_agents();
        let mut tree = Self {
            parent: vec![None; n],
            children: vec![Vec::new(); n],
            order: Vec::with_capacity(n),
            separators: vec![Vec::new(); n],
            depth: vec![0; n],
        };
        let mut visited = vec![false; n];
        let mut n_visited = vec![0_usize; n];
        for &root in roots {
            if visited[root] {
                continue;
            }
            let mut path = vec![root];
            tree.visit(root, topology, &mut visited, &mut n_visited);
            while let Some(&at) = path.last() {
                let open = topology.neighbors(at).iter().copied().filter(|&next| !visited[next]);
                let key = |next: &usize| (n_visited[*next], topology.neighbors(*next).len(), n - next);
                match open.max_by_key(key) {
                    Some(next) => {
                        tree.parent[next] = Some(at);
                        tree.children[at].push(next);
                        tree.depth[next] = tree.depth[at] + 1;
                        tree.visit(next, topology, &mut visited, &mut n_visited);
                        path.push(next);
                    }
                    None => {
                        path.pop();
                    }
                }
            }
        }
        tree.find_separators(topology);
        tree
    }

    fn visit(&mut self, variable: usize, topology: &Topology, visited: &mut [bool], n_visited: &mut [usize]) {
        visited[variable] = true;
        self.order.push(variable);
        topology.neighbors(variable).iter().for_each(|&next| n_visited[next] += 1);
    }

    fn find_separators(&mut self, topology: &Topology) {
        let mut sets: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.order.len()];
        for &variable in self.order.iter().rev() {
            let depth = self.depth[variable];
            // In a tree of depth-first search every neighbor is above or below.
            let above =
                topology.neighbors(variable).iter().copied().filter(|&other| self.depth[other] < depth);
            let mut set: BTreeSet<usize> = above.collect();
            for &child in &self.children[variable] {
                set.extend(sets[child].iter().copied().filter(|&other| other != variable));
            }
            sets[variable] = set;
        }
        self.separators = sets.into_iter().map(|set| set.into_iter().collect()).collect();
    }

    /// The greatest number of variables in a separator.
    pub fn induced_width(&self) -> usize {
        self.separators.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Entries of all tables that dynamic programming over this tree sends, and of the largest; saturating.
    pub fn table_entries(&self, sizes: &[usize]) -> (u64, u64) {
        let tables = self.separators.iter().zip(&self.parent).filter(|(_, parent)| parent.is_some());
        let sizes = tables.map(|(set, _)| set.iter().fold(1_u64, |n, &v| n.saturating_mul(sizes[v] as u64)));
        sizes.fold((0, 0), |(sum, most), n| (n.saturating_add(sum), n.max(most)))
    }
}

/// Orders of roots worth trying: most neighbors first, then each of some variables in front.
pub(super) fn root_orders(topology: &Topology, n_tries: usize) -> Vec<Vec<usize>> {
    let n = topology.n_agents();
    let mut by_degree: Vec<usize> = (0..n).collect();
    by_degree.sort_by_key(|&v| (usize::MAX - topology.neighbors(v).len(), v));
    let first = by_degree.clone();
    let with_front = |&front: &usize| {
        let rest = first.iter().copied().filter(|&v| v != front);
        std::iter::once(front).chain(rest).collect()
    };
    let fronts: Vec<usize> = by_degree.iter().copied().chain([]).take(n_tries.max(1)).collect();
    if n == 0 { vec![Vec::new()] } else { fronts.iter().map(with_front).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_lies_on_a_way_to_the_root() {
        for seed in 0..50 {
            let topology = Topology::random_connected(12, 20, seed).unwrap();
            for roots in root_orders(&topology, 4) {
                let tree = PseudoTree::new(&topology, &roots);
                assert_eq!(tree.order.len(), 12);
                let ancestors = |mut v: usize| {
                    let mut list = Vec::new();
                    while let Some(parent) = tree.parent[v] {
                        list.push(parent);
                        v = parent;
                    }
                    list
                };
                for v in 0..12 {
                    let above = ancestors(v);
                    for &other in topology.neighbors(v) {
                        assert!(above.contains(&other) || ancestors(other).contains(&v));
                    }
                    assert!(tree.separators[v].iter().all(|other| above.contains(other)));
                    assert!(tree.parent[v].is_none_or(|parent| tree.separators[v].contains(&parent)));
                }
            }
        }
    }

    #[test]
    fn widths_are_those_of_known_graphs() {
        let width = |topology: Topology| {
            let n = topology.n_agents();
            PseudoTree::new(&topology, &(0..n).collect::<Vec<_>>()).induced_width()
        };
        assert_eq!(width(Topology::line(6).unwrap()), 1);
        assert_eq!(width(Topology::ring(6).unwrap()), 2);
        assert_eq!(width(Topology::complete(5).unwrap()), 4);
        assert_eq!(width(Topology::from_edges(3, &[]).unwrap()), 0);
    }
}
