//! Auctions: one item at the first or second price, and bundles of items at the prices of Vickrey, Clarke and Groves
//! (VCG): the welfare-best allocation, each winner paying what its presence costs the others.

use crate::{Error, Result};

/// Work of one bundle auction, in steps of its dynamic program.
const MAX_STEPS: u64 = 1 << 32;
/// Items of a bundle auction.
const MAX_ITEMS: usize = 20;

/// Who gets one item, and for how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale {
    /// The winner; the first of those with the highest bid.
    pub winner: usize,
    /// What it pays.
    pub price: f64,
}

/// The highest bid wins and pays the second highest (0 without one): bidding one's value is a dominant strategy.
/// `None` without bids.
///
/// # Errors
/// [`Error::Invalid`] for bids that are negative or not finite.
pub fn second_price(bids: &[f64]) -> Result<Option<Sale>> {
    let sale = first_price(bids)?;
    Ok(sale.map(|sale| {
        let others = bids.iter().enumerate().filter(|(bidder, _)| *bidder != sale.winner);
        Sale { price: others.map(|(_, bid)| *bid).fold(0.0, f64::max), ..sale }
    }))
}

/// The highest bid wins and pays itself. `None` without bids.
///
/// # Errors
/// [`Error::Invalid`] for bids that are negative or not finite.
pub fn first_price(bids: &[f64]) -> Result<Option<Sale>> {
    if let Some(bid) = bids.iter().find(|bid| !(0.0..=f64::MAX).contains(*bid)) {
        return Err(Error::invalid(format!("a bid of {bid}: expected a number from 0 up")));
    }
    let better = |best: Sale, (winner, &price): (usize, &f64)| {
        if price > best.price { Sale { winner, price } } else { best }
    };
    Ok(bids.first().map(|&price| bids.iter().enumerate().fold(Sale { winner: 0, price }, better)))
}

/// The bid of the symmetric equilibrium of a first-price auction among `n` bidders whose values are spread evenly from 0 to
/// some maximum: `(n - 1) / n` of the own value.
///
/// # Panics
/// Without bidders.
pub fn first_price_equilibrium_bid(value: f64, n_bidders: usize) -> f64 {
    assert!(n_bidders > 0, "an auction without bidders");
    value * (n_bidders - 1) as f64 / n_bidders as f64
}

/// What a bidder would pay for one bundle. A bidder wins at most one of its bundles.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleBid {
    /// Who bids.
    pub bidder: usize,
    /// The items, by number.
    pub items: Vec<usize>,
    /// What they are worth together.
    pub value: f64,
}

/// The result of a bundle auction.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleSale {
    /// The bid that each bidder wins, by index in the list of bids.
    pub wins: Vec<Option<usize>>,
    /// The sum of the values of the winning bids.
    pub welfare: f64,
    /// What each bidder pays.
    pub payments: Vec<f64>,
}

/// The welfare-best allocation and VCG payments, exactly, by dynamic programming over sets of items.
///
/// # Errors
/// [`Error::Invalid`] for bids that make no sense, [`Error::TooMany`] for auctions that are too large.
pub fn vcg(n_items: usize, n_bidders: usize, bids: &[BundleBid]) -> Result<BundleSale> {
    if n_items > MAX_ITEMS {
        return Err(Error::TooMany {
            what: format!("an auction of {n_items} items"),
            size: 1_u64.checked_shl(n_items as u32).unwrap_or(u64::MAX),
            limit: 1 << MAX_ITEMS,
            advice: "sell fewer items at once",
        });
    }
    let masks = bids.iter().map(|bid| mask_of(bid, n_items, n_bidders)).collect::<Result<Vec<u32>>>()?;
    let steps = (1_u64 << n_items).saturating_mul((bids.len() * (n_bidders + 1)).max(1) as u64);
    if steps > MAX_STEPS {
        return Err(Error::TooMany {
            what: format!("an auction of {n_items} items with {} bids", bids.len()),
            size: steps,
            limit: MAX_STEPS,
            advice: "use fewer items or bids",
        });
    }
    let best = allocate(n_items, n_bidders, bids, &masks, None);
    let welfare = welfare_of(bids, &best);
    let payments = (0..n_bidders).map(|bidder| {
        let Some(won) = best[bidder] else { return 0.0 };
        let without = welfare_of(bids, &allocate(n_items, n_bidders, bids, &masks, Some(bidder)));
        // What the others lose by its presence; rounding must not make it negative.
        (without - (welfare - bids[won].value)).max(0.0)
    });
    let payments = payments.collect();
    Ok(BundleSale { wins: best, welfare, payments })
}

fn mask_of(bid: &BundleBid, n_items: usize, n_bidders: usize) -> Result<u32> {
    if bid.bidder >= n_bidders || !(0.0..=f64::MAX).contains(&bid.value) {
        return Err(Error::invalid(format!(
            "{bid:?}: expected a bidder that is there and a value from 0 up"
        )));
    }
    bid.items.iter().try_fold(0, |mask, &item| {
        if item >= n_items || mask >> item & 1 == 1 {
            return Err(Error::invalid(format!("{bid:?}: expected items below {n_items}, each once")));
        }
        Ok(mask | 1 << item)
    })
}

fn welfare_of(bids: &[BundleBid], wins: &[Option<usize>]) -> f64 {
    wins.iter().flatten().map(|&bid| bids[bid].value).sum()
}

/// Bidder by bidder, the best welfare from each set of items that is left.
fn allocate(
    n_items: usize,
    n_bidders: usize,
    bids: &[BundleBid],
    masks: &[u32],
    without: Option<usize>,
) -> Vec<Option<usize>> {
    let n_sets = 1_usize << n_items;
    let mut best = vec![0.0; n_sets];
    let mut choices: Vec<Vec<u32>> = Vec::with_capacity(n_bidders);
    for bidder in 0..n_bidders {
        let own: Vec<usize> =
            (0..bids.len()).filter(|&bid| bids[bid].bidder == bidder && without != Some(bidder)).collect();
        let mut next = best.clone();
        let mut choice = vec![u32::MAX; n_sets];
        for (set, (value, choice)) in next.iter_mut().zip(&mut choice).enumerate() {
            for &bid in own.iter().filter(|&&bid| masks[bid] as usize & !set == 0) {
                let with = best[set & !(masks[bid] as usize)] + bids[bid].value;
                if with > *value {
                    (*value, *choice) = (with, bid as u32);
                }
            }
        }
        best = next;
        choices.push(choice);
    }
    let mut wins = vec![None; n_bidders];
    let mut set = n_sets - 1;
    for (bidder, choice) in choices.iter().enumerate().rev() {
        if choice[set] != u32::MAX {
            let bid = choice[set] as usize;
            wins[bidder] = Some(bid);
            set &= !(masks[bid] as usize);
        }
    }
    wins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bid(bidder: usize, items: &[usize], value: f64) -> BundleBid {
        BundleBid { bidder, items: items.to_vec(), value }
    }

    #[test]
    fn two_small_bidders_beat_a_large_one_and_pay_for_it() {
        let bids = [bid(0, &[0, 1], 10.0), bid(1, &[0], 6.0), bid(2, &[1], 7.0)];
        let sale = vcg(2, 3, &bids).unwrap();
        assert_eq!(sale.wins, [None, Some(1), Some(2)]);
        assert_eq!((sale.welfare, sale.payments), (13.0, vec![0.0, 3.0, 4.0]));
    }

    #[test]
    fn one_item_goes_to_the_highest_bid() {
        assert_eq!(second_price(&[3.0, 9.0, 5.0]).unwrap(), Some(Sale { winner: 1, price: 5.0 }));
        assert_eq!(second_price(&[3.0]).unwrap(), Some(Sale { winner: 0, price: 0.0 }));
        assert_eq!(second_price(&[4.0, 4.0]).unwrap(), Some(Sale { winner: 0, price: 4.0 }));
        assert_eq!(first_price(&[3.0, 9.0, 5.0]).unwrap(), Some(Sale { winner: 1, price: 9.0 }));
        assert_eq!(first_price(&[]).unwrap(), None);
        assert!(first_price(&[f64::NAN]).is_err() && second_price(&[-1.0]).is_err());
        assert_eq!(first_price_equilibrium_bid(0.75, 3), 0.5);
        assert!(vcg(2, 1, &[bid(0, &[2], 1.0)]).is_err() && vcg(30, 1, &[]).is_err());
        assert!(vcg(2, 1, &[bid(0, &[1, 1], 1.0)]).is_err() && vcg(2, 1, &[bid(1, &[1], 1.0)]).is_err());
    }

    /// In equilibrium nobody gains by shading the bid more or less, on a fine grid of values and bids.
    #[test]
    fn the_first_price_bid_is_an_equilibrium() {
        for n in 2..6 {
            for value in [0.2, 0.5, 0.9] {
                // Others bid (n - 1) / n of values spread evenly over [0, 1]: a bid b wins with probability (b n / (n - 1))^(n - 1).
                let profit = |b: f64| (value - b) * (b * n as f64 / (n - 1) as f64).min(1.0).powi(n - 1);
                let own = profit(first_price_equilibrium_bid(value, n as usize));
                assert!((0..1000).all(|i| profit(f64::from(i) / 1000.0) <= own + 1e-9));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// Nobody pays more than it bid, and nobody gains by a false bid.
        #[test]
        fn truth_is_best(
            values in proptest::collection::vec(0_u32..30, 4 * 7), lie in 0_u32..30, bundle in 0_usize..7, liar in 0_usize..4,
        ) {
            let make = |values: &[u32]| -> Vec<BundleBid> {
                values.iter().enumerate().map(|(i, &value)| {
                    let mask = i % 7 + 1;
                    let items: Vec<usize> = (0..3).filter(|item| mask >> item & 1 == 1).collect();
                    bid(i / 7, &items, f64::from(value))
                }).collect()
            };
            let truth = vcg(3, 4, &make(&values)).unwrap();
            let gain = |sale: &BundleSale| {
                sale.wins[liar].map_or(0.0, |won| f64::from(values[won])) - sale.payments[liar]
            };
            for bidder in 0..4 {
                let worth = truth.wins[bidder].map_or(0.0, |won| f64::from(values[won]));
                prop_assert!(truth.payments[bidder] <= worth + 1e-9);
            }
            let mut false_values = values.clone();
            false_values[liar * 7 + bundle] = lie;
            let lied = vcg(3, 4, &make(&false_values)).unwrap();
            prop_assert!(gain(&lied) <= gain(&truth) + 1e-9);
        }
    }
}
