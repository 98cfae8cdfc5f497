//! Rows of an observation in the order of their distance, kept by a network of comparisons that every lane shares.

use super::world::{World, offset, square};
use crate::real::Real;

/// Longest row.
const MOST: usize = 16;

/// Fills `slots` with the first of `count` rows by ascending `key`, `width` numbers each, and with zeros behind the
/// last one. Equal keys stay in order.
// Kept out of the steps of scenarios that rarely ask for it: those are slower the longer they are.
#[inline(never)]
pub(super) fn keep_nearest<R: Real>(
    slots: &mut [R],
    width: usize,
    count: usize,
    row: impl Fn(usize, &mut [R]),
    key: impl Fn(&[R]) -> R,
) {
    let n_slots = slots.len() / width;
    slots.fill(R::of(0.0));
    for next in 0..count {
        let mut carried = [R::of(0.0); MOST];
        let carried = &mut carried[..width];
        row(next, carried);
        let mut moved = R::mask_of(false);
        for held in slots.chunks_exact_mut(width).take(next) {
            // Behind the first row that gives way, all move by one.
            moved = R::or(moved, key(carried).less(key(held)));
            for (h, c) in held.iter_mut().zip(&mut *carried) {
                (*h, *c) = (R::select(moved, *c, *h), R::select(moved, *h, *c));
            }
        }
        if next < n_slots {
            slots[next * width..][..width].copy_from_slice(carried);
        }
    }
}

/// Offsets from `me` to the nearest of `count` places.
#[inline(never)]
pub(super) fn nearest_offsets<R: Real>(
    slots: &mut [R],
    me: [R; 2],
    count: usize,
    place: impl Fn(usize) -> [R; 2],
) {
    let row = |i: usize, row: &mut [R]| row.copy_from_slice(&offset(place(i), me));
    keep_nearest(slots, 2, count, row, |row| square([row[0], row[1]]));
}

/// The smallest difference of two distances, of any agent to any two others or to any two landmarks.
pub(super) fn order_margin(world: &World, vars: &[f64]) -> f64 {
    let n = world.agents.len();
    let mut margin = f64::INFINITY;
    let mut add = |mut distances: Vec<f64>| {
        distances.sort_by(f64::total_cmp);
        distances.windows(2).for_each(|pair| margin = margin.min(pair[1] - pair[0]));
    };
    for agent in 0..n {
        let me = world.agent(vars, agent);
        let to = |place: [f64; 2]| square(offset(place, me)).sqrt();
        add((0..n).filter(|o| *o != agent).map(|o| to(world.agent(vars, o))).collect());
        add((0..world.landmarks.len()).map(|l| to(world.landmark(vars, l))).collect());
    }
    margin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::{Lanes, WIDTH};

    /// Rows of a key and a name.
    fn kept<R: Real>(keys: &[R], n_slots: usize) -> Vec<R> {
        let mut slots = vec![R::of(9.0); 2 * n_slots];
        let row = |i: usize, row: &mut [R]| row.copy_from_slice(&[keys[i], R::of(i as f64)]);
        keep_nearest(&mut slots, 2, keys.len(), row, |row| row[0]);
        slots
    }

    #[test]
    fn rows_come_nearest_first_and_zeros_last() {
        assert_eq!(kept(&[3.0, 1.0, 2.0], 2), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(kept(&[3.0, 1.0], 3), [1.0, 1.0, 3.0, 0.0, 0.0, 0.0]);
        // Equal keys stay in order, also when another one goes before them.
        assert_eq!(kept(&[1.0, 1.0, 1.0, 0.0], 4), [0.0, 3.0, 1.0, 0.0, 1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn lanes_sort_by_themselves() {
        let keys: Vec<Lanes> = (0..5_usize)
            .map(|i| Lanes(std::array::from_fn(|lane| (((lane + 3) * (i + 7) * 31) % 23) as f32)))
            .collect();
        let together = kept(&keys, 4);
        for lane in 0..WIDTH {
            let alone = kept(&keys.iter().map(|k| k.0[lane]).collect::<Vec<f32>>(), 4);
            assert_eq!(together.iter().map(|x| x.0[lane]).collect::<Vec<_>>(), alone, "lane {lane}");
        }
    }
}
