//! Sums of the chunks' gradients in a fixed pairwise order: neighbors first, an odd last one passes up. It is built
//! like a binary counter, so `log2(chunks)` partial sums are alive at most.

use crate::buffer::Buffer;
use crate::{Isa, rows};

/// The partial sums. Slot 0 is the caller's result; the others are here.
#[derive(Debug, Default)]
pub(crate) struct PairTree {
    slots: Vec<Buffer>,
    pushed: usize,
    len: usize,
}

impl PairTree {
    /// Begins a sum of `n_chunks` vectors of length `len`.
    pub(crate) fn start(&mut self, n_chunks: usize, len: usize) {
        // `n` ones in binary: one slot more than that is alive just before they merge.
        let slots = n_chunks.next_power_of_two().trailing_zeros() as usize;
        if self.slots.len() < slots {
            self.slots.resize_with(slots, Buffer::new);
        }
        for slot in &mut self.slots[..slots] {
            slot.fit(len);
        }
        self.pushed = 0;
        self.len = len;
    }

    /// Adds the next vector, which `fill` writes. `root` is where the sum will be.
    pub(crate) fn push(&mut self, isa: Isa, root: &mut [f32], fill: impl FnOnce(&mut [f32])) {
        let len = self.len;
        let mut height = self.pushed.count_ones() as usize;
        match height {
            0 => fill(&mut root[..len]),
            h => fill(&mut self.slots[h - 1].as_mut_slice()[..len]),
        }
        self.pushed += 1;
        for _ in 0..self.pushed.trailing_zeros() {
            self.merge(isa, root, height);
            height -= 1;
        }
    }

    /// Ends the sum; `root` then holds it, all zeros if nothing was pushed.
    pub(crate) fn finish(&mut self, isa: Isa, root: &mut [f32]) {
        if self.pushed == 0 {
            root[..self.len].fill(0.0);
            return;
        }
        for height in (1..self.pushed.count_ones() as usize).rev() {
            self.merge(isa, root, height);
        }
    }

    /// Adds slot `height` to the one below.
    fn merge(&mut self, isa: Isa, root: &mut [f32], height: usize) {
        let (low, high) = self.slots.split_at_mut(height - 1);
        let from = &high[0].as_slice()[..self.len];
        match low.last_mut() {
            Some(into) => rows::add(isa, &mut into.as_mut_slice()[..self.len], from),
            None => rows::add(isa, &mut root[..self.len], from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: level by level, neighbors first.
    fn pairwise(mut values: Vec<f32>) -> f32 {
        while values.len() > 1 {
            values = values.chunks(2).map(|c| c.iter().copied().reduce(|a, b| a + b).unwrap()).collect();
        }
        values.first().copied().unwrap_or(0.0)
    }

    #[test]
    fn counter_form_is_the_pairwise_tree() {
        for n in 0..40 {
            // Values whose sum depends on the order.
            let values: Vec<f32> = (0..n).map(|i| (1.1_f32).powi(i * 7 % 31) - 3.3).collect();
            let mut tree = PairTree::default();
            let mut root = vec![5.0; 1];
            tree.start(values.len(), 1);
            for &v in &values {
                tree.push(Isa::Portable, &mut root, |out| out[0] = v);
            }
            tree.finish(Isa::Portable, &mut root);
            assert_eq!(root[0].to_bits(), pairwise(values).to_bits(), "{n} chunks");
        }
    }
}
