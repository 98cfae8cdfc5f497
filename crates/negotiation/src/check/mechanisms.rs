//! Mechanisms: payments from the definition by trying all allocations, stability by trying all pairs, and the core of an
//! exchange by looking for a chain of owners that could do better among themselves.

use serde_json::Value;

use super::{Claim, claim, near, number, text};
use crate::mechanisms::Mechanism;
use crate::mechanisms::auctions::BundleBid;
use crate::{Error, Result};

/// Allocations that are tried.
const MAX_TRIES: u64 = 2_000_000;

pub(super) fn check(method: &str, problem: &Value, answer: &Value) -> Result<Vec<Claim>> {
    match &Mechanism::parse(text(problem, "text")?)? {
        Mechanism::Item { bidders, bids } => item(method, bidders, bids, answer),
        Mechanism::Bundles { items, bidders, bids } => bundles(items, bidders, bids, answer),
        Mechanism::Matching { proposers, reviewers, proposer_lists, reviewer_lists, room } => {
            let partners = names_of(&answer["matching"], proposers, reviewers)?;
            Ok(vec![stable(proposers, reviewers, proposer_lists, reviewer_lists, room, &partners)])
        }
        Mechanism::Houses { owners, lists } => {
            let houses = names_of(&answer["assignment"], owners, owners)?;
            let houses: Option<Vec<usize>> = houses.into_iter().collect();
            let houses =
                houses.ok_or_else(|| Error::invalid("an owner has no house: expected one for each"))?;
            Ok(core(owners, lists, &houses))
        }
    }
}

fn names_of(value: &Value, names: &[String], others: &[String]) -> Result<Vec<Option<usize>>> {
    let place = |name: &String| match &value[name] {
        Value::Null => Ok(None),
        partner => {
            let place = others.iter().position(|other| partner == other.as_str());
            place.map(Some).ok_or_else(|| {
                Error::invalid(format!("`{name}` has {partner}: expected a name of the problem"))
            })
        }
    };
    names.iter().map(place).collect()
}

fn item(method: &str, bidders: &[String], bids: &[f64], answer: &Value) -> Result<Vec<Claim>> {
    let Some(winner) = bidders.iter().position(|name| answer["winner"] == name.as_str()) else {
        return Ok(vec![claim("nobody bid, nobody won", bids.is_empty(), format!("{} bids", bids.len()))]);
    };
    let mut sorted = bids.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let price = if method == "first-price" { sorted[0] } else { sorted.get(1).copied().unwrap_or(0.0) };
    let mut claims =
        vec![claim("the highest bid wins", bids[winner] == sorted[0], format!("highest {}", sorted[0]))];
    let mut right = true;
    for (bidder, name) in bidders.iter().enumerate() {
        let expected = if bidder == winner { price } else { 0.0 };
        right &= near(number(&answer["payments"], name)?, expected);
    }
    claims.push(claim("payments", right, format!("the winner owes {price}, others nothing")));
    let words = if method == "first-price" { "individually rational" } else { "the truth is a best bid" };
    claims.push(claim(
        words,
        price <= bids[winner],
        "the price is no more than the bid, and not of the winner's making",
    ));
    Ok(claims)
}

fn bundles(items: &[String], bidders: &[String], bids: &[BundleBid], answer: &Value) -> Result<Vec<Claim>> {
    let mut taken = vec![false; items.len()];
    let (mut welfare, mut feasible) = (0.0, true);
    let mut values = Vec::new();
    for (bidder, name) in bidders.iter().enumerate() {
        let won = answer["allocation"][name].as_array().cloned().unwrap_or_default();
        let mut own: Vec<usize> = Vec::new();
        for item in &won {
            let place = items.iter().position(|known| item == known.as_str());
            own.push(place.ok_or_else(|| {
                Error::invalid(format!("`{name}` won {item}: expected an item of the problem"))
            })?);
        }
        own.sort_unstable();
        for &item in &own {
            feasible &= !std::mem::replace(&mut taken[item], true);
        }
        let same = |bid: &&BundleBid| {
            let mut items = bid.items.clone();
            items.sort_unstable();
            bid.bidder == bidder && items == own
        };
        let value = bids.iter().filter(same).map(|bid| bid.value).fold(f64::NEG_INFINITY, f64::max);
        feasible &= own.is_empty() || value.is_finite();
        values.push(if own.is_empty() { 0.0 } else { value });
        welfare += values[bidder];
    }
    let mut claims = vec![claim(
        "feasible",
        feasible,
        "every item goes to one bidder at most, as part of a bundle bid for",
    )];
    let tries = (0..bidders.len()).fold(1_u64, |n, bidder| {
        n.saturating_mul(1 + bids.iter().filter(|bid| bid.bidder == bidder).count() as u64)
    });
    if tries.saturating_mul(bidders.len() as u64 + 1) > MAX_TRIES {
        claims.push(Claim {
            claim: "VCG payments".into(),
            holds: None,
            detail: "too many allocations to check".into(),
        });
        return Ok(claims);
    }
    let best =
        |without: Option<usize>| best_welfare(bids, bidders.len(), without, 0, &mut vec![false; items.len()]);
    claims.push(claim(
        "greatest welfare",
        near(best(None), welfare),
        format!("{} is possible, {welfare} reached", best(None)),
    ));
    let (mut right, mut rational) = (true, true);
    for (bidder, name) in bidders.iter().enumerate() {
        let owed = best(Some(bidder)) - (welfare - values[bidder]);
        let paid = number(&answer["payments"], name)?;
        right &= near(owed, paid);
        rational &= paid <= values[bidder] + 1e-9;
    }
    claims.push(claim(
        "VCG payments",
        right,
        "each pays what its presence costs the others, so that the truth is a best bid",
    ));
    claims.push(claim("individually rational", rational, "nobody pays more than it bid"));
    Ok(claims)
}

fn best_welfare(
    bids: &[BundleBid],
    n: usize,
    without: Option<usize>,
    bidder: usize,
    taken: &mut Vec<bool>,
) -> f64 {
    if bidder == n {
        return 0.0;
    }
    let mut best = best_welfare(bids, n, without, bidder + 1, taken);
    if without == Some(bidder) {
        return best;
    }
    for bid in bids.iter().filter(|bid| bid.bidder == bidder) {
        if bid.items.iter().any(|&item| taken[item]) {
            continue;
        }
        bid.items.iter().for_each(|&item| taken[item] = true);
        best = best.max(bid.value + best_welfare(bids, n, without, bidder + 1, taken));
        bid.items.iter().for_each(|&item| taken[item] = false);
    }
    best
}

fn stable(
    proposers: &[String],
    reviewers: &[String],
    proposer_lists: &[Vec<usize>],
    reviewer_lists: &[Vec<usize>],
    room: &[usize],
    partners: &[Option<usize>],
) -> Claim {
    let rank = |list: &[usize], who: usize| list.iter().position(|&other| other == who);
    for (p, partner) in partners.iter().enumerate() {
        let own_rank = partner.map(|r| rank(&proposer_lists[p], r));
        if let (Some(None), _) | (_, true) =
            (own_rank, partner.is_some_and(|r| rank(&reviewer_lists[r], p).is_none()))
        {
            return claim("stable", false, format!("{} is matched with somebody unacceptable", proposers[p]));
        }
        for (r, reviewer) in reviewers.iter().enumerate() {
            let Some(wish) = rank(&proposer_lists[p], r) else { continue };
            let Some(liked) = rank(&reviewer_lists[r], p) else { continue };
            let p_prefers = own_rank.flatten().is_none_or(|own| wish < own);
            let held: Vec<usize> = (0..partners.len()).filter(|&q| partners[q] == Some(r)).collect();
            if held.len() > room[r] {
                return claim("stable", false, format!("{reviewer} has more partners than room"));
            }
            let r_prefers = held.len() < room[r]
                || held.iter().any(|&q| rank(&reviewer_lists[r], q).is_none_or(|own| liked < own));
            if p_prefers && r_prefers {
                return claim(
                    "stable",
                    false,
                    format!("{} and {reviewer} would rather have each other", proposers[p]),
                );
            }
        }
    }
    claim("stable", true, format!("{} pairs tried", proposers.len() * reviewers.len()))
}

fn core(owners: &[String], lists: &[Vec<usize>], houses: &[usize]) -> Vec<Claim> {
    let n = owners.len();
    let mut sorted = houses.to_vec();
    sorted.sort_unstable();
    let feasible = sorted.iter().enumerate().all(|(i, &house)| i == house);
    let mut claims = vec![claim("feasible", feasible, "every house goes to one owner")];
    // A house that is not ranked is worth less than the own one; the own one, unranked, less than all that are ranked.
    let rank = |who: usize, what: usize| {
        let place = lists[who].iter().position(|&other| other == what);
        place.unwrap_or(if what == who { n } else { n + 1 })
    };
    let rational = (0..n).all(|who| rank(who, houses[who]) <= rank(who, who));
    claims.push(claim("individually rational", rational, "nobody gets a house worse than its own"));
    // An owner points to owners of houses that it likes at least as much as what it got. A circle of pointers with one strict
    // preference could trade among themselves.
    let mut reach: Vec<Vec<bool>> =
        (0..n).map(|a| (0..n).map(|b| rank(a, b) <= rank(a, houses[a])).collect()).collect();
    for k in 0..n {
        for a in 0..n {
            if reach[a][k] {
                let through = reach[k].clone();
                reach[a].iter_mut().zip(&through).for_each(|(to, via)| *to |= via);
            }
        }
    }
    let blocked = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
    let blocked = blocked.into_iter().find(|&(a, b)| rank(a, b) < rank(a, houses[a]) && reach[b][a]);
    let detail = match blocked {
        Some((a, b)) => format!("{} could get the house of {}", owners[a], owners[b]),
        None => format!("{n} owners, no circle that would do better"),
    };
    claims.push(claim("in the core", blocked.is_none(), detail));
    claims
}
