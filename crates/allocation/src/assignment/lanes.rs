//! Passes over a row of costs in lanes of eight, which compilers turn into vector instructions of any width. They
//! only add, subtract and compare, lane by lane, so the width cannot be seen in a result.

/// Values taken together.
const LANES: usize = 8;

/// The two least of `costs - prices`, and where the least lies (the lowest column among equals).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TwoLeast {
    pub least: f64,
    pub at: usize,
    /// The least of the others; infinite if there is none.
    pub second: f64,
}

/// Finds the two least reduced costs of a row; both slices are `[n_cols]`.
#[inline(always)]
pub(super) fn two_least(costs: &[f64], prices: &[f64]) -> TwoLeast {
    assert_eq!(costs.len(), prices.len());
    let (cost_blocks, cost_rest) = costs.as_chunks::<LANES>();
    let (price_blocks, price_rest) = prices.as_chunks::<LANES>();
    let mut least = [f64::INFINITY; LANES];
    let mut second = [f64::INFINITY; LANES];
    let mut block_of = [0_u64; LANES];
    for (block, (c, p)) in cost_blocks.iter().zip(price_blocks).enumerate() {
        for lane in 0..LANES {
            let x = c[lane] - p[lane];
            let below = x < least[lane];
            let loser = if below { least[lane] } else { x };
            second[lane] = if loser < second[lane] { loser } else { second[lane] };
            block_of[lane] = if below { block as u64 } else { block_of[lane] };
            least[lane] = if below { x } else { least[lane] };
        }
    }
    let mut out = TwoLeast { least: f64::INFINITY, at: 0, second: f64::INFINITY };
    let mut take = |x: f64, at: usize| {
        if x < out.least || (x == out.least && at < out.at) {
            out.second = out.least;
            (out.least, out.at) = (x, at);
        } else if x < out.second {
            out.second = x;
        }
    };
    for lane in 0..LANES {
        take(least[lane], block_of[lane] as usize * LANES + lane);
    }
    let first = cost_blocks.len() * LANES;
    for (k, (c, p)) in cost_rest.iter().zip(price_rest).enumerate() {
        take(c - p, first + k);
    }
    for x in second {
        out.second = out.second.min(x);
    }
    out
}

/// Offers every column a path through row `row`: distance `cost - price - offset`, kept in `distances` with `row` in
/// `previous` where it is shorter. Returns the least distance and its lowest column. All slices are `[n_cols]`.
#[inline(always)]
pub(super) fn relax(
    costs: &[f64],
    prices: &[f64],
    offset: f64,
    row: u32,
    distances: &mut [f64],
    previous: &mut [u32],
) -> (f64, usize) {
    let n = costs.len();
    assert!(prices.len() == n && distances.len() == n && previous.len() == n);
    let (cost_blocks, cost_rest) = costs.as_chunks::<LANES>();
    let (price_blocks, price_rest) = prices.as_chunks::<LANES>();
    let (distance_blocks, distance_rest) = distances.as_chunks_mut::<LANES>();
    let (previous_blocks, previous_rest) = previous.as_chunks_mut::<LANES>();
    let mut least = [f64::INFINITY; LANES];
    let mut block_of = [0_u64; LANES];
    let blocks = cost_blocks.iter().zip(price_blocks).zip(distance_blocks.iter_mut().zip(previous_blocks));
    for (block, ((c, p), (d, from))) in blocks.enumerate() {
        for lane in 0..LANES {
            let x = c[lane] - p[lane] - offset;
            let shorter = x < d[lane];
            from[lane] = if shorter { row } else { from[lane] };
            let x = if shorter { x } else { d[lane] };
            d[lane] = x;
            let below = x < least[lane];
            block_of[lane] = if below { block as u64 } else { block_of[lane] };
            least[lane] = if below { x } else { least[lane] };
        }
    }
    let mut best = (f64::INFINITY, usize::MAX);
    for lane in 0..LANES {
        let at = block_of[lane] as usize * LANES + lane;
        if least[lane] < best.0 || (least[lane] == best.0 && at < best.1) {
            best = (least[lane], at);
        }
    }
    let first = cost_blocks.len() * LANES;
    let rest = cost_rest.iter().zip(price_rest).zip(distance_rest.iter_mut().zip(previous_rest));
    for (k, ((c, p), (d, from))) in rest.enumerate() {
        let x = c - p - offset;
        if x < *d {
            (*d, *from) = (x, row);
        }
        if *d < best.0 {
            best = (*d, first + k);
        }
    }
    best
}

/// Lowers `least` to the costs of a row where they are lower, and notes the row in `row_of`. All slices `[n_cols]`.
#[inline(always)]
pub(super) fn lower(costs: &[f64], row: u32, least: &mut [f64], row_of: &mut [u32]) {
    for ((c, m), r) in costs.iter().zip(least).zip(row_of) {
        let below = *c < *m;
        *r = if below { row } else { *r };
        *m = if below { *c } else { *m };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_core::rng::{Purpose, Stream};

    /// Small integers, so that there are many ties, and some infinities.
    fn values(n: usize, stream: &mut Stream) -> Vec<f64> {
        (0..n)
            .map(|_| if stream.below(7) == 0 { f64::INFINITY } else { f64::from(stream.below(9)) })
            .collect()
    }

    #[test]
    fn passes_equal_their_plain_form_at_every_length() {
        let mut stream = Stream::new(3, Purpose::Init, 0, 0);
        for n in (0..40).chain([64, 65, 127]) {
            let (costs, distances) = (values(n, &mut stream), values(n, &mut stream));
            let prices: Vec<f64> = (0..n).map(|_| f64::from(stream.below(5))).collect();
            let reduced: Vec<f64> = costs.iter().zip(&prices).map(|(c, p)| c - p).collect();
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| reduced[a].total_cmp(&reduced[b]).then(a.cmp(&b)));
            let nth = |k: usize| order.get(k).map_or(f64::INFINITY, |&j| reduced[j]);
            let found = two_least(&costs, &prices);
            assert_eq!((found.least, found.second), (nth(0), nth(1)), "n {n}");
            if nth(0).is_finite() {
                assert_eq!(found.at, order[0], "n {n}");
            }

            let (mut d, mut from) = (distances.clone(), vec![9; n]);
            let best = relax(&costs, &prices, 1.0, 4, &mut d, &mut from);
            let expected: Vec<f64> = reduced
                .iter()
                .zip(&distances)
                .map(|(r, d)| if r - 1.0 < *d { r - 1.0 } else { *d })
                .collect();
            assert_eq!(d, expected);
            let taken: Vec<u32> =
                reduced.iter().zip(&distances).map(|(r, d)| if r - 1.0 < *d { 4 } else { 9 }).collect();
            assert_eq!(from, taken);
            let least = expected.iter().copied().fold(f64::INFINITY, f64::min);
            assert_eq!(best.0, least);
            if least.is_finite() {
                assert_eq!(Some(best.1), expected.iter().position(|&x| x == least), "n {n}");
            }
        }
    }
}
