//! Who may drive when robots get in each other's way. Not here: walls, shelves, why a robot wants a cell.
//!
//! Robots and the cells that they want form chains. A chain ends at a free cell, at a robot that stays, or in a ring.
//! Into a free cell drives the robot with the longest chain behind it, and with it that chain; where chains are equally
//! long, the lowest robot (the original breaks such ties by the internal order of its graph library). A ring of three
//! or more turns; two robots head-on, and whoever waits behind a ring or a robot that stays, do not move.

/// Where robots are and want to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Robots<'a> {
    /// Cell of every robot; no two are in one.
    pub cell: &'a [u16],
    /// The cell that it wants; its own if it stays.
    pub wanted: &'a [u16],
    /// Robot in each cell, counted from 1.
    pub robot_at: &'a [u8],
}

impl Robots<'_> {
    /// The robot in the cell that `robot` wants.
    fn next(&self, robot: usize) -> Option<usize> {
        (self.robot_at[self.wanted[robot] as usize] as usize).checked_sub(1)
    }

    fn stays(&self, robot: usize) -> bool {
        self.wanted[robot] == self.cell[robot]
    }
}

/// Writes who drives: false for robots that stay. `behind` is working memory, a number each.
pub(super) fn agree(robots: Robots<'_>, behind: &mut [u16], goes: &mut [bool]) {
    let n = robots.cell.len();
    behind.fill(1);
    let mut crowded = false;
    for (robot, goes) in goes.iter_mut().enumerate() {
        *goes = !robots.stays(robot);
        let free = robots.next(robot).is_none();
        let rival = (0..robot).any(|other| robots.wanted[other] == robots.wanted[robot]);
        crowded |= *goes && (!free || rival);
    }
    if !crowded {
        return;
    }
    // Lengths of chains: as many passes as the longest one has robots. Lengths in rings do not matter.
    for _ in 1..n {
        let mut changed = false;
        for robot in (0..n).filter(|r| !robots.stays(*r)) {
            if let Some(next) = robots.next(robot)
                && behind[next] <= behind[robot]
                && behind[robot] < n as u16
            {
                behind[next] = behind[robot] + 1;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for (robot, goes) in goes.iter_mut().enumerate() {
        *goes = !robots.stays(robot) && drives(robots, behind, robot);
    }
}

/// Whether a robot that wants to drive may, by walking down its chain.
fn drives(robots: Robots<'_>, behind: &[u16], robot: usize) -> bool {
    let n = robots.cell.len();
    let longest = |at: usize| {
        let rivals = (0..n).filter(|r| robots.wanted[*r] == robots.wanted[at]);
        // The first of the longest.
        rivals.max_by_key(|r| (behind[*r], n - r)) == Some(at)
    };
    let mut at = robot;
    let mut first = true;
    for length in 1..=n {
        first &= longest(at);
        match robots.next(at) {
            None => return first,
            Some(next) if next == robot => return length >= 3,
            Some(next) if robots.stays(next) => return false,
            Some(next) => at = next,
        }
    }
    // Into a ring that it is not part of.
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Robots on a line of cells 0, 1, 2, ..., each with the cell that it wants.
    fn who(robots: &[(u16, u16)]) -> Vec<bool> {
        let (cell, wanted): (Vec<u16>, Vec<u16>) = robots.iter().copied().unzip();
        let mut robot_at = vec![0; 64];
        cell.iter().enumerate().for_each(|(i, c)| robot_at[*c as usize] = i as u8 + 1);
        let (mut behind, mut goes) = (vec![0; cell.len()], vec![false; cell.len()]);
        agree(Robots { cell: &cell, wanted: &wanted, robot_at: &robot_at }, &mut behind, &mut goes);
        goes
    }

    #[test]
    fn robots_follow_and_wait() {
        assert_eq!(who(&[(0, 1), (1, 2)]), [true, true], "following");
        assert_eq!(who(&[(0, 1), (1, 1)]), [false, false], "behind one that stays");
        assert_eq!(who(&[(0, 1), (1, 0)]), [false, false], "head-on");
        assert_eq!(who(&[(0, 1), (1, 2), (2, 1)]), [false; 3], "behind two head-on");
        assert_eq!(who(&[(0, 2), (1, 2)]), [true, false], "equal chains: the lowest");
        assert_eq!(who(&[(0, 9), (2, 9), (3, 2)]), [false, true, true], "the longer chain first");
        assert_eq!(who(&[(2, 9), (0, 9), (3, 0), (4, 3)]), [false, true, true, true]);
        assert_eq!(who(&[(0, 1), (1, 2), (2, 3), (3, 0)]), [true; 4], "a ring turns");
        assert_eq!(who(&[(0, 1), (1, 2), (2, 3), (3, 0), (7, 2)]), [true, true, true, true, false]);
        assert_eq!(who(&[(5, 9), (6, 5), (7, 5), (8, 7)]), [true, false, true, true], "the longer branch");
    }
}
