//! Matching without money: Gale and Shapley's deferred acceptance (1962) for two sides, and top trading cycles (Shapley and
//! Scarf 1974) for owners of houses.

use std::collections::VecDeque;

use crate::{Error, Result};

/// Preferences of everybody on one side: the acceptable ones of the other side, the best first.
pub type Preferences = Vec<Vec<usize>>;

/// A matching: the partner of each proposer, and of each reviewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// For each proposer the reviewer.
    pub of_proposers: Vec<Option<usize>>,
    /// For each reviewer its proposers (one at most, unless it has room for more), ascending.
    pub of_reviewers: Vec<Vec<usize>>,
    /// Proposals made.
    pub n_proposals: u64,
}

/// Deferred acceptance: proposers propose from the best down, reviewers keep the best so far. The result is stable, the
/// best stable one for every proposer, and proposers cannot gain by false preferences. `room` is how many each reviewer
/// takes.
///
/// # Errors
/// [`Error::Invalid`] for preferences that name somebody twice or somebody who is not there.
pub fn deferred_acceptance(
    proposers: &Preferences,
    reviewers: &Preferences,
    room: &[usize],
) -> Result<Matching> {
    check(proposers, reviewers.len())?;
    let ranks = ranks(reviewers, proposers.len())?;
    if room.len() != reviewers.len() {
        return Err(Error::invalid(format!(
            "room for {} of {} reviewers: give it for each",
            room.len(),
            reviewers.len()
        )));
    }
    let mut next = vec![0; proposers.len()];
    let mut held: Vec<Vec<usize>> = vec![Vec::new(); reviewers.len()];
    let mut free: VecDeque<usize> = (0..proposers.len()).collect();
    let mut n_proposals = 0;
    while let Some(proposer) = free.pop_front() {
        let Some(&reviewer) = proposers[proposer].get(next[proposer]) else { continue };
        next[proposer] += 1;
        n_proposals += 1;
        let own = &mut held[reviewer];
        match ranks[reviewer][proposer] {
            None => free.push_back(proposer),
            Some(_) => {
                own.push(proposer);
                if own.len() > room[reviewer] {
                    own.sort_by_key(|&p| ranks[reviewer][p]);
                    free.extend(own.pop());
                }
            }
        }
    }
    let mut of_proposers = vec![None; proposers.len()];
    for (reviewer, own) in held.iter_mut().enumerate() {
        own.sort_unstable();
        own.iter().for_each(|&proposer| of_proposers[proposer] = Some(reviewer));
    }
    Ok(Matching { of_proposers, of_reviewers: held, n_proposals })
}

/// Trading cycles: everybody points to the owner of the best house that is left; owners on a cycle take the houses they point
/// to and leave. The result is the only one in the core, nobody gets a house worse than its own, and nobody gains by
/// false preferences. `preferences` rank houses, which are numbered like their owners; a house that is not ranked is
/// never taken, except by its owner.
///
/// # Errors
/// [`Error::Invalid`] for preferences that name a house twice or one that is not there.
pub fn top_trading_cycles(preferences: &Preferences) -> Result<Vec<usize>> {
    let n = preferences.len();
    check(preferences, n)?;
    let mut house = vec![None; n];
    let mut next = vec![0; n];
    for start in 0..n {
        // Follow pointers until somebody comes up twice; then that cycle trades.
        let mut path: Vec<usize> = vec![start];
        while house[start].is_none() {
            let at = path.last().copied().unwrap_or(start);
            while preferences[at].get(next[at]).is_some_and(|&wanted| house[wanted].is_some()) {
                next[at] += 1;
            }
            let wanted = preferences[at].get(next[at]).copied().unwrap_or(at);
            match path.iter().position(|&other| other == wanted) {
                Some(from) => {
                    let cycle = path.split_off(from);
                    for (i, &owner) in cycle.iter().enumerate() {
                        house[owner] = Some(cycle[(i + 1) % cycle.len()]);
                    }
                    if path.is_empty() {
                        path.push(start);
                    }
                }
                None => path.push(wanted),
            }
        }
    }
    Ok(house.into_iter().enumerate().map(|(owner, house)| house.unwrap_or(owner)).collect())
}

fn check(preferences: &Preferences, n_others: usize) -> Result<()> {
    ranks(preferences, n_others).map(|_| ())
}

/// For each member its rank of each of the others.
fn ranks(preferences: &Preferences, n_others: usize) -> Result<Vec<Vec<Option<usize>>>> {
    let mut all = Vec::with_capacity(preferences.len());
    for (member, list) in preferences.iter().enumerate() {
        let mut ranks = vec![None; n_others];
        for (rank, &other) in list.iter().enumerate() {
            match ranks.get_mut(other) {
                Some(slot @ None) => *slot = Some(rank),
                _ => {
                    let message = format!(
                        "member {member} ranks {other}: expected numbers below {n_others}, each once"
                    );
                    return Err(Error::invalid(message));
                }
            }
        }
        all.push(ranks);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn proposers_get_their_best_stable_partners() {
        // Each side ranks the other in a circle: three stable matchings, the proposers' is the identity.
        let proposers = vec![vec![0, 1, 2], vec![1, 2, 0], vec![2, 0, 1]];
        let reviewers = vec![vec![1, 2, 0], vec![2, 0, 1], vec![0, 1, 2]];
        let matching = deferred_acceptance(&proposers, &reviewers, &[1; 3]).unwrap();
        assert_eq!(matching.of_proposers, [Some(0), Some(1), Some(2)]);
        let other = deferred_acceptance(&reviewers, &proposers, &[1; 3]).unwrap();
        assert_eq!(other.of_proposers, [Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn room_and_short_lists_are_kept() {
        let proposers = vec![vec![0], vec![0], vec![0, 1], vec![]];
        let reviewers = vec![vec![2, 1, 0], vec![0]];
        let matching = deferred_acceptance(&proposers, &reviewers, &[2, 1]).unwrap();
        assert_eq!(matching.of_reviewers, [vec![1, 2], vec![]]);
        assert_eq!(matching.of_proposers, [None, Some(0), Some(0), None]);
        assert!(deferred_acceptance(&vec![vec![2]], &vec![vec![0]], &[1]).is_err());
        assert!(deferred_acceptance(&vec![vec![0, 0]], &vec![vec![0]], &[1]).is_err());
        assert!(deferred_acceptance(&vec![vec![0]], &vec![vec![0]], &[]).is_err());
    }

    #[test]
    fn houses_change_hands_in_cycles() {
        // 0 and 2 swap, 1 keeps its own, 3 gets what is left of its wishes: its own.
        let preferences = vec![vec![2, 0], vec![1], vec![0, 1, 2], vec![0, 2, 3]];
        assert_eq!(top_trading_cycles(&preferences).unwrap(), [2, 1, 0, 3]);
        assert_eq!(top_trading_cycles(&vec![vec![], vec![]]).unwrap(), [0, 1]);
        assert!(top_trading_cycles(&vec![vec![1]]).is_err());
    }

    fn permutations(n: usize) -> impl Strategy<Value = Preferences> {
        proptest::collection::vec(Just((0..n).collect::<Vec<_>>()).prop_shuffle(), n)
    }

    proptest! {
        #[test]
        fn matchings_are_stable(proposers in permutations(6), reviewers in permutations(6)) {
            let matching = deferred_acceptance(&proposers, &reviewers, &[1; 6]).unwrap();
            let rank = |list: &[usize], who: usize| list.iter().position(|&other| other == who).unwrap();
            for (p, wishes) in proposers.iter().enumerate() {
                for (r, liked) in reviewers.iter().enumerate() {
                    let p_prefers = rank(wishes, r) < rank(wishes, matching.of_proposers[p].unwrap());
                    let r_prefers = rank(liked, p) < rank(liked, matching.of_reviewers[r][0]);
                    prop_assert!(!(p_prefers && r_prefers));
                }
            }
        }

        /// No two or three owners could have done better among themselves.
        #[test]
        fn trades_are_in_the_core(preferences in permutations(5)) {
            let house = top_trading_cycles(&preferences).unwrap();
            let rank = |who: usize, what: usize| preferences[who].iter().position(|&other| other == what).unwrap();
            let mut sorted = house.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..5).collect::<Vec<_>>());
            for a in 0..5 {
                prop_assert!(rank(a, house[a]) <= rank(a, a));
                for b in 0..5 {
                    let blocks = rank(a, b) < rank(a, house[a]) && rank(b, a) < rank(b, house[b]);
                    prop_assert!(!blocks);
                    for c in 0..5 {
                        let round = rank(a, b) < rank(a, house[a])
                            && rank(b, c) < rank(b, house[b])
                            && rank(c, a) < rank(c, house[c]);
                        prop_assert!(!round);
                    }
                }
            }
        }
    }
}
