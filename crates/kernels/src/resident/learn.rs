//! Gradient steps in one cooperative launch: see `learn.cu`.

use super::cuda::{ClipArgs, OptimArgs, Resident, SumArgs};
use super::replay::{Draw, RingArgs};
use crate::Error;
use crate::cuda::{Column, Cuda, kernel_arguments};
use crate::update::cuda::{GRAD_THREADS, GradArgs, RowsArgs};

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct GradPhase {
    args: GradArgs,
    tiles: u32,
    chunks: u32,
    end: u32,
    unused: u32,
}

#[repr(C)]
struct LearnArgs {
    ring: RingArgs,
    rows: RowsArgs,
    sum: SumArgs,
    clip: ClipArgs,
    optim: OptimArgs,
    grads: u64,
    io: u64,
    arrived: u64,
    steps: u32,
    draw_blocks: u32,
    row_blocks: u32,
    grad_items: u32,
}

kernel_arguments!(GradPhase: 208, LearnArgs: 688);

/// What the cooperative form needs beside the phases.
#[derive(Debug, Default)]
pub(super) struct Together {
    phases: Column<GradPhase>,
    arrived: Column<u32>,
}

impl Resident {
    /// All phases of `n_steps` gradient steps, whose numbers lie at `io`, in one launch.
    pub(super) fn learn_together(
        &mut self,
        gpu: &Cuda,
        draw: &Draw,
        io: u64,
        n_steps: usize,
    ) -> Result<(), Error> {
        let Some(layout) = self.layout.as_ref() else { return Ok(()) };
        let mut grid = layout.grid();
        let mut end = 0;
        let phases: Vec<GradPhase> = self
            .plans
            .iter()
            .map(|plan| {
                let tiles = plan.tiles[0];
                end += tiles * plan.chunks * plan.nets;
                GradPhase { args: plan.grads, tiles, chunks: plan.chunks, end, unused: 0 }
            })
            .collect();
        grid.threads = grid.threads.max(GRAD_THREADS);
        grid.shared_bytes =
            grid.shared_bytes.max(draw.ending.shared_bytes(grid.threads)).max(4 * draw.ring.n_counts);
        let draw_blocks = draw.ring.batch.div_ceil(grid.threads);
        let sums = draw.ending.sum.n_blocks + draw.ending.sum.n_totals;
        let most = layout.blocks.max(end).max(sums).max(draw_blocks);
        let args = LearnArgs {
            ring: draw.ring,
            rows: draw.rows,
            sum: draw.ending.sum,
            clip: draw.ending.clip,
            optim: draw.ending.optim,
            grads: self.together.phases.upload(gpu, &phases)?,
            io,
            arrived: self.together.arrived.upload(gpu, &[0])?,
            steps: n_steps as u32,
            draw_blocks,
            row_blocks: layout.blocks,
            grad_items: end,
        };
        // SAFETY: each phase is given what its own launch would be, and any grid may share out its items.
        unsafe { gpu.launch_together("learn", &gpu.kernels().learn_8, grid, most, &args) }
    }

    /// Whether steps on such draws go together in one launch.
    pub(super) fn goes_together(&self) -> bool {
        let eights = self.layout.as_ref().is_some_and(|layout| layout.tile == 8);
        self.config.form == super::StepForm::Cooperative && eights
    }
}
