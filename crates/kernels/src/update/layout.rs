//! How blocks share out the rows of a gradient step on a GPU, and what of shared memory is for what.

use super::cuda::Form;
use crate::cuda::{Grid, MOST_SHARED_BYTES, Network, fills_device};
use crate::{Error, Precision};

/// Rows of all agents from which on tiles of 32 fill a device.
const MANY_ROWS: usize = 32 * 132;
/// Bytes of shared memory up to which sets are computed in lockstep, and tiles are of 32 rows: two blocks a multiprocessor.
const ROOMY: usize = 96 * 1024;

/// Networks of a group that a block computes in lockstep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Parameter sets.
    pub(crate) sets: u32,
    /// Passes of each: critics now, their targets next, and the first critic next.
    pub(crate) passes: u32,
}

/// Blocks of whole samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Rows of a tile: 8 or 32; 16 or 32 on matrix units.
    pub(crate) tile: u32,
    /// Whether layers and gradients of weights are computed on matrix units.
    pub(crate) fast: bool,
    /// Samples of a block.
    pub(crate) samples: u32,
    /// Of each group.
    pub(crate) groups: Vec<Shares>,
    /// Floats of shared memory before the values of all passes, and before what is known of each row.
    pub(crate) q_at: u32,
    pub(crate) row_at: u32,
    pub(crate) blocks: u32,
    threads: u32,
    shared_bytes: u32,
}

/// Floats of what is known of a row: `Known` of `rows.cuh`.
const KNOWN: usize = 4;

impl Layout {
    /// The layout for `batch` samples of these groups. In fast mode matrix units are used where all networks are wide enough
    /// for them, there is a tile for every multiprocessor, and its buffers leave room for a second block; else strict code.
    ///
    /// # Errors
    /// [`Error::Shape`] for networks too wide for the shared memory of a block.
    pub(crate) fn of<'a>(
        forms: impl Iterator<Item = Form<'a>> + Clone,
        batch: usize,
        double_q: bool,
        precision: Precision,
    ) -> Result<Self, Error> {
        let most_rows = forms.clone().map(|f| batch * f.n_agents / f.n_sets).max().unwrap_or(0);
        let with = |tile, in_lockstep| Self::with(forms.clone(), batch, double_q, tile, in_lockstep);
        let networks = forms.clone().map(|f| Network::new(f.shape)).collect::<Result<Vec<_>, _>>()?;
        if precision == Precision::Fast && networks.iter().all(Network::is_wide) {
            for (tile, in_lockstep) in [(32, true), (32, false), (16, false)] {
                let own = with(tile, in_lockstep)?;
                if fills_device(most_rows, tile) && own.shared_bytes as usize <= ROOMY {
                    return Ok(Self { fast: true, ..own });
                }
            }
        }
        if most_rows >= MANY_ROWS {
            let wide = with(32, true)?;
            if wide.shared_bytes as usize <= ROOMY {
                return Ok(wide);
            }
        }
        let fast = with(8, true)?;
        let own = if fast.shared_bytes as usize <= ROOMY { fast } else { with(8, false)? };
        if own.shared_bytes > MOST_SHARED_BYTES {
            return Err(Error::Shape(format!(
                "a gradient step that takes {} bytes of a block's shared memory; a GPU has {MOST_SHARED_BYTES}: use narrower layers, fewer actions, or the cpu",
                own.shared_bytes
            )));
        }
        Ok(own)
    }

    /// The layout with tiles of `tile` rows, all passes of a set in lockstep or one after another.
    fn with<'a>(
        forms: impl Iterator<Item = Form<'a>> + Clone,
        batch: usize,
        double_q: bool,
        tile: u32,
        in_lockstep: bool,
    ) -> Result<Self, Error> {
        let column = tile as usize + 4;
        let per_set = forms.clone().map(|f| f.n_agents / f.n_sets).max().unwrap_or(1);
        let samples = (tile as usize / per_set).max(1);
        let (mut nets, mut values, mut agents, mut lanes) = (0, 0, 0, 1);
        let mut groups = Vec::new();
        for form in forms {
            let all = 2 * form.n_critics + usize::from(double_q);
            let passes = if in_lockstep { all } else { 1 };
            let floats = Network::new(form.shape)?.shared_bytes(tile) as usize / 4;
            let of_values = all * form.shape.mlp.output * column;
            let set_bytes = 4 * (passes * floats + of_values);
            // Half of what is roomy, so that what other groups need fits as well.
            let sets = if in_lockstep { (ROOMY / 2 / set_bytes).clamp(1, form.n_sets) } else { 1 };
            nets = nets.max(sets * passes * floats);
            values = values.max(sets * of_values);
            lanes = lanes.max(sets * passes);
            agents += form.n_agents;
            groups.push(Shares { sets: sets as u32, passes: passes as u32 });
        }
        let floats = nets + values + KNOWN * samples * agents;
        Ok(Self {
            tile,
            fast: false,
            samples: samples as u32,
            groups,
            q_at: nets as u32,
            row_at: (nets + values) as u32,
            blocks: batch.div_ceil(samples) as u32,
            threads: (128 * lanes as u32).clamp(128, 384),
            shared_bytes: 4 * floats as u32,
        })
    }

    /// A block a part of the samples.
    pub(crate) fn grid(&self) -> Grid {
        Grid { blocks: (self.blocks, 1, 1), threads: self.threads, shared_bytes: self.shared_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, QShape};

    fn layout(
        shape: &QShape,
        (n_agents, n_sets, n_critics): (usize, usize, usize),
        batch: usize,
    ) -> Result<Layout, Error> {
        let form = Form { shape, n_agents, n_sets, n_critics };
        Layout::of(std::iter::once(form), batch, true, Precision::Strict)
    }

    #[test]
    fn the_table_of_layouts() {
        let shape = |hidden: Vec<usize>, n| QShape::new(18, hidden, n, Activation::Relu, false, false);
        let small = shape(vec![64, 64], 5);
        let one = layout(&small, (3, 1, 1), 32).unwrap();
        // Two samples of three agents are six of eight rows; three networks, of 128 threads each.
        assert_eq!((one.tile, one.samples, one.blocks, one.threads), (8, 2, 16, 384));
        assert_eq!(one.groups, [Shares { sets: 1, passes: 3 }]);
        // Ten samples are 30 of 32 rows.
        let many = layout(&small, (3, 1, 1), 65_536).unwrap();
        assert_eq!((many.tile, many.samples, many.blocks), (32, 10, 6554));
        // A set an agent: eight samples are eight rows of each, and sets go together as room allows.
        let sets = layout(&small, (3, 3, 1), 32).unwrap();
        assert_eq!((sets.tile, sets.samples, sets.blocks), (8, 8, 4));
        assert_eq!(sets.groups, [Shares { sets: 2, passes: 3 }]);
        // Wide layers: tiles of eight rows whatever the batch, and passes one after another.
        let wide = shape(vec![512, 512], 5);
        let wide = layout(&wide, (3, 1, 2), 65_536).unwrap();
        assert_eq!((wide.tile, wide.groups[0]), (8, Shares { sets: 1, passes: 1 }));
        assert!(wide.shared_bytes <= MOST_SHARED_BYTES);
        // More agents than rows of a tile: one sample, in several tiles.
        assert_eq!(layout(&small, (40, 1, 1), 7).unwrap().samples, 1);
        let error = layout(&shape(vec![1000], 1000), (1, 1, 2), 1).unwrap_err().to_string();
        assert!(error.contains("use narrower layers") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn matrix_units_are_for_wide_layers_and_large_batches() {
        for (hidden, n_critics, batch, expected) in [
            (&[64, 64][..], 1, 1408, (true, 32, 3)),
            (&[64, 64], 1, 1407, (true, 16, 1)),
            (&[64, 64], 1, 704, (true, 16, 1)),
            (&[64, 64], 1, 703, (false, 8, 3)),
            (&[31], 1, 65_536, (false, 32, 3)),
            (&[], 1, 65_536, (false, 32, 3)),
            // Passes one after another, where all at once would leave room for no second block; then smaller tiles.
            (&[128, 128], 2, 65_536, (true, 32, 1)),
            (&[512, 512], 1, 65_536, (true, 16, 1)),
            (&[640], 1, 65_536, (false, 8, 1)),
        ] {
            let shape = QShape::new(18, hidden.to_vec(), 5, Activation::Relu, false, false);
            let form = Form { shape: &shape, n_agents: 3, n_sets: 1, n_critics };
            let layout = Layout::of(std::iter::once(form), batch, true, Precision::Fast).unwrap();
            let got = (layout.fast, layout.tile, layout.groups[0].passes);
            assert_eq!(got, expected, "{hidden:?}, batch {batch}");
        }
    }
}
