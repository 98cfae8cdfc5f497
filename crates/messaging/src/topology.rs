//! Who may write to whom: an undirected graph over agents numbered from 0. Not here: positions, distances,
//! links that come and go (those are faults, see [`LinkOutage`](crate::LinkOutage)).

use std::collections::{BTreeSet, VecDeque};

use coact_core::{Purpose, Stream};

use crate::{Error, Result};

/// An undirected graph without loops or doubled edges. Neighbors are listed in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// `starts[i]..starts[i + 1]` are the places of agent `i` in `ends`.
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Topology {
    /// The graph with the given edges. An edge listed twice, in either direction, counts once.
    ///
    /// # Errors
    /// [`Error::NoSuchAgent`] and [`Error::Loop`] for edges that make no sense, [`Error::TooLarge`].
    pub fn from_edges(n_agents: usize, edges: &[(usize, usize)]) -> Result<Self> {
        if n_agents > MOST {
            return Err(Error::TooLarge("the number of agents"));
        }
        if edges.len() > MOST / 2 {
            return Err(Error::TooLarge("the number of edges"));
        }
        let mut pairs = Vec::with_capacity(2 * edges.len());
        for &(a, b) in edges {
            if a >= n_agents || b >= n_agents {
                return Err(Error::NoSuchAgent { a, b, n_agents });
            }
            if a == b {
                return Err(Error::Loop(a));
            }
            pairs.push((a, b));
            pairs.push((b, a));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; n_agents + 1];
        for &(a, _) in &pairs {
            starts[a + 1] += 1;
        }
        for i in 0..n_agents {
            starts[i + 1] += starts[i];
        }
        Ok(Self { starts, ends: pairs.into_iter().map(|(_, b)| b).collect() })
    }

    /// Everybody with everybody.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more edges than can be numbered.
    pub fn complete(n_agents: usize) -> Result<Self> {
        if n_agents > 0 && n_agents - 1 > MOST / n_agents {
            return Err(Error::TooLarge("the number of edges of a complete graph"));
        }
        let starts = (0..=n_agents).map(|i| i * n_agents.saturating_sub(1)).collect();
        let ends = (0..n_agents).flat_map(|i| (0..n_agents).filter(move |&j| j != i)).collect();
        Ok(Self { starts, ends })
    }

    /// A closed chain: agent `i` with `i + 1`, the last with the first.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn ring(n_agents: usize) -> Result<Self> {
        let mut edges = chain(n_agents)?;
        if n_agents > 2 {
            edges.push((n_agents - 1, 0));
        }
        Self::from_edges(n_agents, &edges)
    }

    /// An open chain: agent `i` with `i + 1`.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn line(n_agents: usize) -> Result<Self> {
        Self::from_edges(n_agents, &chain(n_agents)?)
    }

    /// Agent 0 with everybody else.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn star(n_agents: usize) -> Result<Self> {
        if n_agents > MOST / 2 {
            return Err(Error::TooLarge("the number of agents"));
        }
        let edges: Vec<_> = (1..n_agents).map(|i| (0, i)).collect();
        Self::from_edges(n_agents, &edges)
    }

    /// `width * height` agents, row by row, each with the four beside it.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn grid(width: usize, height: usize) -> Result<Self> {
        let n_agents = width.checked_mul(height).filter(|&n| n <= MOST / 4);
        let n_agents = n_agents.ok_or(Error::TooLarge("the number of agents of a grid"))?;
        let mut edges = Vec::with_capacity(2 * n_agents);
        for i in 0..n_agents {
            if i % width + 1 < width {
                edges.push((i, i + 1));
            }
            if i + width < n_agents {
                edges.push((i, i + width));
            }
        }
        Self::from_edges(n_agents, &edges)
    }

    /// A connected random graph with exactly `n_edges` edges: a random tree (each agent joins an earlier one
    /// in a random order) and random further edges.
    ///
    /// # Errors
    /// [`Error::EdgeCount`] for fewer edges than a tree has or more than there are pairs, [`Error::TooLarge`].
    pub fn random_connected(n_agents: usize, n_edges: usize, seed: u64) -> Result<Self> {
        if n_agents > MOST || n_edges > MOST / 2 {
            return Err(Error::TooLarge("the size of a random graph"));
        }
        let least = n_agents.saturating_sub(1);
        let most = n_agents * least / 2;
        if n_edges < least || n_edges > most {
            return Err(Error::EdgeCount { wanted: n_edges, n_agents, least, most });
        }
        let mut stream = Stream::new(seed, Purpose::Init, 0, 0);
        let mut order: Vec<usize> = (0..n_agents).collect();
        for i in (1..n_agents).rev() {
            order.swap(i, stream.below(i as u32 + 1) as usize);
        }
        let mut edges = BTreeSet::new();
        let ordered = |a: usize, b: usize| (a.min(b), a.max(b));
        for i in 1..n_agents {
            edges.insert(ordered(order[i], order[stream.below(i as u32) as usize]));
        }
        if 2 * n_edges > most {
            // Dense: choose among the pairs that are left, so that this ends.
            let pairs = (0..n_agents).flat_map(|a| (a + 1..n_agents).map(move |b| (a, b)));
            let mut free: Vec<_> = pairs.filter(|pair| !edges.contains(pair)).collect();
            while edges.len() < n_edges {
                edges.insert(free.swap_remove(stream.below(free.len() as u32) as usize));
            }
        }
        while edges.len() < n_edges {
            let (a, b) = (stream.below(n_agents as u32) as usize, stream.below(n_agents as u32) as usize);
            if a != b {
                edges.insert(ordered(a, b));
            }
        }
        Self::from_edges(n_agents, &edges.into_iter().collect::<Vec<_>>())
    }

    /// How many agents there are.
    pub fn n_agents(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many undirected edges there are.
    pub fn n_edges(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whom `agent` may write to, ascending.
    ///
    /// # Panics
    /// If there is no such agent.
    pub fn neighbors(&self, agent: usize) -> &[usize] {
        &self.ends[self.starts[agent]..self.starts[agent + 1]]
    }

    /// The place of the first directed edge that leaves `agent`; those of an agent lie together.
    pub(crate) fn first_edge(&self, agent: usize) -> usize {
        self.starts[agent]
    }

    /// How many directed edges there are.
    pub(crate) fn n_directed(&self) -> usize {
        self.ends.len()
    }

    /// Steps from `start` to each agent, `None` for those that cannot be reached.
    pub fn distances(&self, start: usize) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.n_agents()];
        distances[start] = Some(0);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((agent, distance)) = queue.pop_front() {
            for &next in self.neighbors(agent) {
                if distances[next].is_none() {
                    distances[next] = Some(distance + 1);
                    queue.push_back((next, distance + 1));
                }
            }
        }
        distances
    }

    /// Whether everybody can reach everybody. True without agents.
    pub fn is_connected(&self) -> bool {
        self.n_agents() == 0 || self.distances(0).iter().all(Option::is_some)
    }

    /// The longest of the shortest ways, `None` where the graph is not connected. 0 without agents.
    pub fn diameter(&self) -> Option<usize> {
        let longest = |i| self.distances(i).into_iter().collect::<Option<Vec<_>>>()?.into_iter().max();
        (0..self.n_agents()).map(longest).try_fold(0, |most, d| Some(most.max(d?)))
    }
}

/// Agents and directed edges are named by 32-bit numbers in random streams.
const MOST: usize = 1 << 31;

fn chain(n_agents: usize) -> Result<Vec<(usize, usize)>> {
    if n_agents > MOST / 2 {
        return Err(Error::TooLarge("the number of agents"));
    }
    Ok((1..n_agents).map(|i| (i - 1, i)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_their_edges_and_diameters() {
        let cases = [
            (Topology::complete(5), 10, 1),
            (Topology::ring(6), 6, 3),
            (Topology::line(6), 5, 5),
            (Topology::star(6), 5, 2),
            (Topology::grid(4, 3), 17, 5),
            (Topology::ring(2), 1, 1),
            (Topology::complete(1), 0, 0),
        ];
        for (topology, n_edges, diameter) in cases {
            let topology = topology.unwrap();
            assert_eq!(topology.n_edges(), n_edges, "{topology:?}");
            assert_eq!(topology.diameter(), Some(diameter), "{topology:?}");
            assert!(topology.is_connected());
        }
        assert_eq!(Topology::complete(0).unwrap().diameter(), Some(0));
        assert_eq!(Topology::grid(3, 2).unwrap().neighbors(4), [1, 3, 5]);
    }

    #[test]
    fn edges_count_once_and_must_make_sense() {
        let topology = Topology::from_edges(4, &[(2, 0), (0, 2), (0, 1)]).unwrap();
        assert_eq!((topology.n_edges(), topology.neighbors(0)), (2, &[1, 2][..]));
        assert_eq!((topology.is_connected(), topology.diameter()), (false, None));
        assert_eq!(Topology::from_edges(2, &[(0, 2)]), Err(Error::NoSuchAgent { a: 0, b: 2, n_agents: 2 }));
        assert_eq!(Topology::from_edges(2, &[(1, 1)]), Err(Error::Loop(1)));
        assert!(Topology::grid(usize::MAX, 2).is_err());
        assert!(Topology::complete(usize::MAX).is_err());
    }

    #[test]
    fn random_graphs_are_connected_and_have_the_edges_asked_for() {
        for n in 1..12 {
            for n_edges in n - 1..=n * (n - 1) / 2 {
                let topology = Topology::random_connected(n, n_edges, 7).unwrap();
                assert!(topology.is_connected());
                assert_eq!(topology.n_edges(), n_edges);
            }
        }
        assert_ne!(Topology::random_connected(20, 30, 1), Topology::random_connected(20, 30, 2));
        assert!(matches!(Topology::random_connected(4, 7, 0), Err(Error::EdgeCount { most: 6, .. })));
        assert!(matches!(Topology::random_connected(4, 2, 0), Err(Error::EdgeCount { least: 3, .. })));
    }
}
