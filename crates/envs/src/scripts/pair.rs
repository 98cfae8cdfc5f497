//! Ways of two bodies through narrow rooms: each wants to be somewhere, neither may enter the other's cell or change
//! places with it. Planned for both together, so that they neither block each other nor dance in a doorway. Not here: what they
//! want, and why.

/// Most cells of a floor that ways are planned for: tables have the square of it.
pub const MOST_CELLS: usize = 64;

/// No way.
pub const NEVER: u32 = u32::MAX / 4;
/// Stay; 0 to 3 are up, down, right and left.
pub const STAY: usize = 4;

/// A floor: cells that can be walked on, numbered from 0, and how far they are from each other.
#[derive(Debug, Clone)]
pub struct Floor {
    /// Place in the room of each floor cell.
    pub place: Vec<usize>,
    /// Floor cell of each place.
    pub cell: Vec<Option<usize>>,
    width: usize,
    /// Where the four steps lead from each floor cell; itself where they do not.
    next: Vec<[usize; 5]>,
    /// Steps between floor cells `[N, N]`.
    steps: Vec<u32>,
}

impl Floor {
    /// The floor of a room of `width` columns.
    pub fn new(is_floor: &[bool], width: usize) -> Self {
        let place: Vec<usize> = (0..is_floor.len()).filter(|p| is_floor[*p]).collect();
        let mut cell = vec![None; is_floor.len()];
        place.iter().enumerate().for_each(|(c, p)| cell[*p] = Some(c));
        let n = place.len();
        let mut floor = Self { next: Vec::new(), steps: vec![NEVER; n * n], place, cell, width };
        floor.next = (0..n)
            .map(|c| std::array::from_fn(|way| floor.ahead(c, way).and_then(|p| floor.cell[p]).unwrap_or(c)))
            .collect();
        for from in 0..n {
            floor.flood(from);
        }
        floor
    }

    /// Number of floor cells.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// The place that is ahead of a floor cell.
    pub fn ahead(&self, cell: usize, way: usize) -> Option<usize> {
        let place = self.place[cell];
        let ahead = match way {
            0 => place.checked_sub(self.width)?,
            1 => place + self.width,
            2 => place + 1,
            3 => place.checked_sub(1)?,
            _ => place,
        };
        (ahead < self.cell.len()).then_some(ahead)
    }

    fn flood(&mut self, from: usize) {
        let n = self.len();
        self.steps[from * n + from] = 0;
        for far in 0..n as u32 {
            for cell in (0..n).filter(|c| self.steps[from * n + c] == far).collect::<Vec<_>>() {
                for to in self.next[cell] {
                    let known = &mut self.steps[from * n + to];
                    *known = (*known).min(far + 1);
                }
            }
        }
    }

    /// Steps from a floor cell until one stands beside a place; [`NEVER`] if there is no way.
    pub fn steps_beside(&self, from: usize, place: usize) -> u32 {
        let n = self.len();
        let beside = (0..n).filter(|c| self.is_beside(*c, place));
        beside.map(|c| self.steps[from * n + c]).min().unwrap_or(NEVER)
    }

    /// Steps from beside one place to beside another, in the part of the floor that `from` is in.
    pub fn steps_between(&self, from: usize, a: usize, b: usize) -> u32 {
        let n = self.len();
        let beside = (0..n).filter(|c| self.is_beside(*c, a) && self.steps[from * n + c] < NEVER);
        beside.map(|c| self.steps_beside(c, b)).min().unwrap_or(NEVER)
    }

    /// Whether a floor cell is beside a place.
    pub fn is_beside(&self, cell: usize, place: usize) -> bool {
        (0..STAY).any(|way| self.ahead(cell, way) == Some(place))
    }
}

/// What one of the two wants.
#[derive(Debug, Clone, Default)]
pub struct Errand {
    /// Places to stand beside; none if it does not matter.
    pub targets: Vec<usize>,
    /// Whether it only waits there, and makes way for the other.
    pub waits: bool,
    /// Steps from each floor cell to the nearest where it may stand.
    far: Vec<u32>,
}

impl Errand {
    /// Works out how far each floor cell is.
    fn prepare(&mut self, floor: &Floor) {
        self.far.clear();
        let idle = self.targets.is_empty();
        let to_any = |c: usize| self.targets.iter().map(|t| floor.steps_beside(c, *t)).min().unwrap_or(NEVER);
        self.far.extend((0..floor.len()).map(|c| if idle { 0 } else { to_any(c) }));
    }

    /// What a step costs while it stands in `cell`.
    fn toll(&self, cell: usize) -> u32 {
        match (self.far[cell], self.waits) {
            (0, _) => 0,
            (_, true) => 1,
            (_, false) => 8,
        }
    }
}

/// Plans for two; keeps its memory.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// Cost of the rest of the way `[N, N]`, by the cells of both.
    rest: Vec<u32>,
}

impl Pair {
    /// The next steps of two who stand in `at` and are on `errands`. Where both cannot be served at once, number
    /// `yields` waits.
    pub fn steps(
        &mut self,
        floor: &Floor,
        at: [usize; 2],
        errands: &mut [Errand; 2],
        yields: usize,
    ) -> [usize; 2] {
        errands.iter_mut().for_each(|errand| errand.prepare(floor));
        self.solve(floor, errands);
        if self.rest[at[0] * floor.len() + at[1]] >= NEVER {
            errands[yields].waits = true;
            self.solve(floor, errands);
        }
        let n = floor.len();
        let serves = |i: usize| !errands[i].waits && errands[i].far[at[i]] == 0;
        let (mut best, mut least) = ([STAY; 2], self.rest[at[0] * n + at[1]].saturating_add(1));
        for ways in joint_ways() {
            let stays = (0..2).any(|i| serves(i) && ways[i] != STAY && !errands[i].targets.is_empty());
            let Some(to) = lead(floor, at, ways).filter(|_| !stays) else { continue };
            let cost = self.rest[to[0] * n + to[1]];
            if cost < least {
                (best, least) = (ways, cost);
            }
        }
        best
    }

    /// Shortest ways from everywhere, by sweeps until nothing changes.
    fn solve(&mut self, floor: &Floor, errands: &[Errand; 2]) {
        let n = floor.len();
        let served = |i: usize, cell: usize| errands[i].waits || errands[i].far[cell] == 0;
        self.rest.clear();
        for (a, b) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))) {
            let arrived = a != b && served(0, a) && served(1, b);
            let left = errands[0].far[a].min(NEVER / 2) + errands[1].far[b].min(NEVER / 2);
            self.rest.push(if arrived { left } else { NEVER });
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (a, b) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))) {
                if a == b || served(0, a) && served(1, b) {
                    continue;
                }
                let toll = errands[0].toll(a) + errands[1].toll(b);
                for to in joint_ways().filter_map(|ways| lead(floor, [a, b], ways)) {
                    let cost = self.rest[to[0] * n + to[1]] + toll;
                    if cost < self.rest[a * n + b] {
                        self.rest[a * n + b] = cost;
                        changed = true;
                    }
                }
            }
        }
    }
}

/// Pairs of steps; staying comes first, so that nobody moves for nothing.
fn joint_ways() -> impl Iterator<Item = [usize; 2]> {
    const WAYS: [usize; 5] = [STAY, 0, 1, 2, 3];
    WAYS.into_iter().flat_map(|first| WAYS.into_iter().map(move |second| [first, second]))
}

/// Where two steps lead, unless they get in each other's way.
fn lead(floor: &Floor, at: [usize; 2], ways: [usize; 2]) -> Option<[usize; 2]> {
    let to = [floor.next[at[0]][ways[0]], floor.next[at[1]][ways[1]]];
    let swap = to[0] == at[1] && to[1] == at[0];
    (to[0] != to[1] && !swap).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(target: usize) -> Errand {
        Errand { targets: vec![target], ..Default::default() }
    }

    /// Walks until both are served; the number of steps.
    fn walk(room: &[&str], mut at: [usize; 2], targets: [usize; 2]) -> Option<usize> {
        let is_floor: Vec<bool> = room.iter().flat_map(|row| row.chars().map(|c| c == ' ')).collect();
        let floor = Floor::new(&is_floor, room[0].len());
        at = at.map(|p| floor.cell[p].unwrap());
        let mut pair = Pair::default();
        let mut errands = targets.map(errand);
        (0..20).find(|_| {
            let ways = pair.steps(&floor, at, &mut errands, 1);
            if ways != [STAY; 2] {
                at = lead(&floor, at, ways).unwrap();
            }
            (0..2).all(|i| floor.is_beside(at[i], targets[i]))
        })
    }

    #[test]
    fn two_pass_each_other_in_a_corridor_with_a_niche() {
        // Places are row * 7 + column. Each wants to the other's end; the niche is in the middle.
        let niche = ["#######", "### ###", "#     #", "#######"];
        let steps = walk(&niche, [15, 19], [20, 14]);
        assert!(steps.is_some_and(|n| n <= 8), "{steps:?}");
        // Without it there is no way, and nobody moves.
        let corridor = ["#######", "#     #", "#######"];
        assert_eq!(walk(&corridor, [8, 12], [13, 7]), None);
        // In a ring they go round the same way.
        let ring = ["#####", "#   #", "# # #", "#   #", "#####"];
        let steps = walk(&ring, [6, 8], [9, 5]);
        assert!(steps.is_some_and(|n| n <= 8), "{steps:?}");
    }

    #[test]
    fn one_place_is_served_in_turn() {
        // Both want to stand in the same cell: number 1 waits, out of the way.
        let room = ["#####", "## ##", "#   #", "#####"];
        let is_floor: Vec<bool> = room.iter().flat_map(|row| row.chars().map(|c| c == ' ')).collect();
        let floor = Floor::new(&is_floor, 5);
        let mut errands = [errand(2), errand(2)];
        let ways = Pair::default().steps(&floor, [1, 2], &mut errands, 1);
        assert_eq!(ways[0], 2, "to the middle");
        assert!(errands[1].waits && ways[1] != 0, "{ways:?}");
    }
}
