// Gradient steps of a resident learner in one cooperative launch: the phases that are kernels of their own elsewhere, with a
// barrier of the whole grid between one and the next. No step costs a launch, and nothing returns to the host in between. A
// block takes items of a phase until none is left, so the grid may be as large as the device holds at once.
#include "cuda/grid.cuh"

// Gradients of weights of one group. As `crate::resident::learn::GradPhase`.
struct GradPhase {
    GradArgs args;
    u32 tiles, chunks, end, unused; // `end`: items of this group and of those before it
};
static_assert(sizeof(GradPhase) == 208, "GradPhase as in Rust");

// As `crate::resident::learn::LearnArgs`.
struct LearnArgs {
    RingArgs ring;
    RowsArgs rows;
    SumArgs sum;
    ClipArgs clip;
    OptimArgs optim;
    const GradPhase *grads;
    StepIo *io;   // of the first step; the others follow
    u32 *arrived; // 0
    u32 steps, draw_blocks, row_blocks, grad_items;
};
static_assert(sizeof(LearnArgs) == 688, "LearnArgs as in Rust");

INLINE void grads_of_item(const GradPhase *phases, u32 item) {
    u32 begin = 0;
    while (item >= phases->end) begin = phases++->end;
    const u32 at = item - begin;
    grads_of_chunk<1>(phases->args, at % phases->tiles, at / phases->tiles % phases->chunks, at / phases->tiles / phases->chunks);
}

// Grid: as many blocks as the device holds at once, or fewer. Barriers a step: five, six where priorities are kept, and one
// more where values or tensors are clipped.
KERNEL(learn_8, LearnArgs) {
    for (u32 step = 0; step < args.steps; step++) {
        StepIo *io = args.io + step;
        for (u32 i = blockIdx.x; i < args.draw_blocks; i += gridDim.x) {
            draw_of_step(args.ring, io, i);
            __syncthreads();
        }
        grid_sync(args.arrived);
        for (u32 i = blockIdx.x; i < args.row_blocks; i += gridDim.x) {
            rows_of_step<8>(args.rows, io, i);
            __syncthreads();
        }
        grid_sync(args.arrived);
        for (u32 i = blockIdx.x; i < args.grad_items; i += gridDim.x) grads_of_item(args.grads, i);
        grid_sync(args.arrived);
        for (u32 i = blockIdx.x; i < args.sum.n_blocks + args.sum.n_totals; i += gridDim.x) {
            sum_of_step(args.sum, i);
            __syncthreads();
        }
        grid_sync(args.arrived);
        if (args.optim.factors) {
            for (u32 i = blockIdx.x; i < args.clip.n_parts; i += gridDim.x) {
                clip_of_step(args.clip, i);
                __syncthreads();
            }
            grid_sync(args.arrived);
        }
        for (u32 i = blockIdx.x; i < args.sum.n_blocks; i += gridDim.x) step_of_block(args.optim, io, i);
        grid_sync(args.arrived);
        if (args.ring.leaves) {
            for (u32 i = blockIdx.x; i < args.draw_blocks; i += gridDim.x) prioritize_of_step(args.ring, i);
            grid_sync(args.arrived);
        }
    }
}
