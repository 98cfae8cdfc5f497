//! Sums in `f64` over many numbers in one order, whoever computes them: blocks of 512 numbers, sixteen interleaved chains and a
//! fixed tree within a block, and a tree of neighbors over blocks. A GPU shares out blocks and chains.

/// Chains of a block.
pub(crate) const LANES: usize = 16;
/// Numbers of a block.
pub(crate) const BLOCK: usize = 512;

/// The tree within a block: halves are added until one number is left.
#[inline(always)]
pub(crate) fn tree_of_lanes(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The tree over blocks, of which an odd last one passes up. Takes blocks in their order, and needs no memory.
pub(crate) struct BlockTree {
    /// Sums of full subtrees, the largest first: one for each bit of `pushed`.
    sums: [f64; 64],
    pushed: u64,
}

impl BlockTree {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { sums: [0.0; 64], pushed: 0 }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, block: f64) {
        let mut sum = block;
        let mut full = self.pushed.count_ones() as usize;
        // Every trailing one is a subtree as large as what has come together so far.
        for _ in 0..self.pushed.trailing_ones() {
            full -= 1;
            sum += self.sums[full];
        }
        self.sums[full] = sum;
        self.pushed += 1;
    }

    #[inline(always)]
    pub(crate) fn sum(&self) -> f64 {
        let full = &self.sums[..self.pushed.count_ones() as usize];
        full.iter().rev().copied().reduce(|right, left| left + right).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of neighbors.
    fn by_levels(mut x: Vec<f64>) -> f64 {
        while x.len() > 1 {
            x = x.chunks(2).map(|pair| pair.iter().copied().reduce(|a, b| a + b).unwrap()).collect();
        }
        x.first().copied().unwrap_or(0.0)
    }

    #[test]
    fn the_tree_is_that_of_levels() {
        for n in 0..200 {
            let blocks: Vec<f64> = (0..n).map(|i| 1.0 / f64::from(3 + 7 * i)).collect();
            let mut tree = BlockTree::new();
            blocks.iter().for_each(|&b| tree.push(b));
            assert_eq!(tree.sum().to_bits(), by_levels(blocks).to_bits(), "{n} blocks");
        }
    }

    #[test]
    fn lanes_meet_in_halves() {
        let lanes: [f64; LANES] = std::array::from_fn(|i| 1.0 / (1.0 + i as f64));
        let a: Vec<f64> = (0..8).map(|i| lanes[i] + lanes[i + 8]).collect();
        let b: Vec<f64> = (0..4).map(|i| a[i] + a[i + 4]).collect();
        assert_eq!(tree_of_lanes(lanes), (b[0] + b[2]) + (b[1] + b[3]));
    }
}
