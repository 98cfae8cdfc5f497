//! From which shapes on fast mode uses matrix units. The kernels are in `fast.cuh`.

use super::gpu::{Network, SHARED_BYTES};

/// Multiprocessors of the devices that tiles are cut for.
const MULTIPROCESSORS: usize = 132;

/// Units that the narrowest hidden layer needs. Below, most of an instruction's columns would be padding, and a layer is a
/// few microseconds of latency whatever computes it.
const NARROWEST: u32 = 32;

/// Whether every multiprocessor gets a tile of `tile` rows.
pub(crate) fn fills_device(rows: usize, tile: u32) -> bool {
    rows >= tile as usize * MULTIPROCESSORS
}

impl Network {
    /// Rows of a tile on matrix units, of which `rows` rows are to be computed; none where strict code is used all the same:
    ///
    /// | narrowest hidden layer | rows | tile |
    /// |---|---|---|
    /// | none, or under 32 | any | strict |
    /// | 32 or more | fewer than a tile of 16 for each of 132 multiprocessors | strict |
    /// | 32 or more | fewer than a tile of 32 for each, or two buffers of 32 rows do not fit shared memory | 16 |
    /// | 32 or more | more | 32 |
    /// | two buffers of 16 rows do not fit | any | strict |
    pub(crate) fn fast_tile(&self, rows: usize) -> Option<u32> {
        let fits = |tile: u32| fills_device(rows, tile) && self.shared_bytes(tile) <= SHARED_BYTES;
        [32, 16].into_iter().find(|&tile| self.is_wide() && fits(tile))
    }

    /// Whether every hidden layer, and there is one, has units enough.
    pub(crate) fn is_wide(&self) -> bool {
        let hidden = &self.width[1..self.n_layers as usize];
        hidden.iter().min().is_some_and(|&narrowest| narrowest >= NARROWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, QShape};

    fn tile(input: usize, hidden: &[usize], norm: bool, rows: usize) -> Option<u32> {
        let shape = QShape::new(input, hidden.to_vec(), 5, Activation::Relu, norm, true);
        Network::new(&shape).unwrap().fast_tile(rows)
    }

    #[test]
    fn matrix_units_are_for_wide_layers_and_many_rows() {
        for (hidden, rows, expected) in [
            (&[64, 64][..], 4224, Some(32)),
            (&[64, 64], 4223, Some(16)),
            (&[64, 64], 2112, Some(16)),
            (&[64, 64], 2111, None),
            (&[64, 64], 0, None),
            (&[32], 1 << 20, Some(32)),
            (&[31], 1 << 20, None),
            (&[64, 31, 64], 1 << 20, None),
            (&[], 1 << 20, None),
            (&[256, 256], 1 << 20, Some(32)),
            (&[512, 512], 1 << 20, Some(16)),
        ] {
            assert_eq!(tile(18, hidden, false, rows), expected, "{hidden:?}, {rows} rows");
        }
    }

    /// Of two buffers of a tile: 341 times 36 floats fit 96 KiB, and so do 614 times 20.
    #[test]
    fn a_tile_fits_shared_memory() {
        for (width, expected) in [(341, Some(32)), (342, Some(16)), (614, Some(16)), (615, None)] {
            assert_eq!(tile(18, &[width], false, 1 << 20), expected, "{width} units");
            assert_eq!(tile(width, &[64], false, 1 << 20), expected, "{width} inputs");
        }
        // A layer norm takes 17 floats a row more.
        for (width, expected) in [(333, Some(32)), (334, Some(16)), (607, Some(16)), (608, None)] {
            assert_eq!(tile(18, &[width], true, 1 << 20), expected, "{width} units");
        }
    }
}
