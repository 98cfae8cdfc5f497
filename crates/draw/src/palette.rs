//! The colors that an animation may use: at most 256, shared by its frames.
//!
//! Flat pictures have few colors and many blends of them at edges. The most frequent ones are taken as they
//! are, so that surfaces never flicker between frames; then those farthest from all taken ones, so that no
//! color is shown by one that is much unlike it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What one byte can name.
const MAX_COLORS: usize = 256;
/// How many are taken for being frequent.
const N_FREQUENT: usize = 160;

/// Counts colors over all frames.
#[derive(Debug, Default)]
pub struct Palette {
    counts: BTreeMap<[u8; 3], u64>,
}

impl Palette {
    /// Counts the colors of a frame, four bytes a pixel, the fourth ignored.
    pub fn count(&mut self, rgba: &[u8]) {
        let (pixels, _) = rgba.as_chunks::<4>();
        for run in pixels.chunk_by(|a, b| a == b) {
            let [r, g, b, _] = run[0];
            *self.counts.entry([r, g, b]).or_insert(0) += run.len() as u64;
        }
    }

    /// Fixes the colors.
    pub fn choose(self) -> Mapper {
        let mut by_count: Vec<([u8; 3], u64)> = self.counts.into_iter().collect();
        by_count.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        let mut rest: Vec<([u8; 3], u32)> =
            by_count.into_iter().map(|(color, _)| (color, u32::MAX)).collect();
        let mut chosen: Vec<[u8; 3]> = Vec::new();
        while chosen.len() < MAX_COLORS && !rest.is_empty() {
            let farthest = rest.iter().enumerate().max_by_key(|(i, (_, gap))| (*gap, Reverse(*i)));
            let next = if chosen.len() < N_FREQUENT { 0 } else { farthest.map_or(0, |(i, _)| i) };
            let (color, _) = rest.remove(next);
            rest.iter_mut().for_each(|(other, gap)| *gap = (*gap).min(distance(*other, color)));
            chosen.push(color);
        }
        Mapper { colors: chosen.concat(), known: BTreeMap::new() }
    }
}

/// Squared distance of two colors.
fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

/// Shows colors by those that were chosen.
#[derive(Debug)]
pub struct Mapper {
    colors: Vec<u8>,
    known: BTreeMap<[u8; 3], u8>,
}

impl Mapper {
    /// The chosen colors, three bytes each.
    pub fn colors(&self) -> &[u8] {
        &self.colors
    }

    /// The index of the nearest chosen color of every pixel of a frame, four bytes a pixel.
    pub fn indices(&mut self, rgba: &[u8]) -> Vec<u8> {
        let (pixels, _) = rgba.as_chunks::<4>();
        let mut out = Vec::with_capacity(pixels.len());
        for run in pixels.chunk_by(|a, b| a == b) {
            let [r, g, b, _] = run[0];
            let index = self.index([r, g, b]);
            out.resize(out.len() + run.len(), index);
        }
        out
    }

    fn index(&mut self, color: [u8; 3]) -> u8 {
        if let Some(&index) = self.known.get(&color) {
            return index;
        }
        let (chosen, _) = self.colors.as_chunks::<3>();
        let nearest = chosen.iter().enumerate().min_by_key(|(_, c)| distance(**c, color));
        let nearest = nearest.map_or(0, |(i, _)| i as u8);
        self.known.insert(color, nearest);
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_colors_are_exact_and_rare_ones_near() {
        // Color i stands 1000 - i times: 160 frequent ones and a ramp of 600 rarer ones.
        let color = |i: u32| match i {
            0..160 => [i as u8, 255, 0],
            _ => [0, (i / 4) as u8, (i % 4 * 3) as u8],
        };
        let mut frame: Vec<u8> = Vec::new();
        for i in 0..760 {
            for _ in i..1000 {
                let [r, g, b] = color(i);
                frame.extend([r, g, b, 255]);
            }
        }
        let mut palette = Palette::default();
        palette.count(&frame);
        let mut mapper = palette.choose();
        assert_eq!(mapper.colors().len(), 256 * 3);
        let shown = mapper.indices(&frame);
        assert_eq!(shown.len() * 4, frame.len());
        for (pixel, &index) in frame.chunks_exact(4).zip(&shown) {
            let shown: [u8; 3] = mapper.colors()[index as usize * 3..][..3].try_into().unwrap();
            let gap = distance([pixel[0], pixel[1], pixel[2]], shown);
            let allowed = if pixel[1] == 255 { 0 } else { 5 * 5 };
            assert!(gap <= allowed, "{pixel:?} is shown as {shown:?}");
        }
    }

    #[test]
    fn nothing_counted_is_nothing_chosen() {
        let mut mapper = Palette::default().choose();
        assert!(mapper.colors().is_empty());
        assert_eq!(mapper.indices(&[1, 2, 3, 255]), [0]);
    }
}
