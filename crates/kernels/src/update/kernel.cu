// `update`: gradients of a batch, in three launches: all that concerns single rows, gradients of weights by chunk of rows, and
// the tree over chunks. The order of every sum is that of the CPU: rows of a chunk ascending, then neighbors of chunks first.
#include "update/fast.cuh"

// Grid: blocks of samples.
KERNEL(update_rows_8, RowsArgs) { rows_of_step<8>(args, args.io, blockIdx.x); }
KERNEL(update_rows_32, RowsArgs) { rows_of_step<32>(args, args.io, blockIdx.x); }
KERNEL(update_rows_fast_16, RowsArgs) { rows_of_step<16, Fast>(args, args.io, blockIdx.x); }
KERNEL(update_rows_fast_32, RowsArgs) { rows_of_step<32, Fast>(args, args.io, blockIdx.x); }

// Grid: tiles of all layers, chunks, networks; 256 threads.
KERNEL(update_grads_1, GradArgs) { grads_of_chunk<1>(args, blockIdx.x, blockIdx.y, blockIdx.z); }
KERNEL(update_grads_4, GradArgs) { grads_of_chunk<4>(args, blockIdx.x, blockIdx.y, blockIdx.z); }
KERNEL(update_grads_fast, GradArgs) { grads_of_chunk<ON_MATRIX_UNITS>(args, blockIdx.x, blockIdx.y, blockIdx.z); }

// Grid: parameters, one a thread.
KERNEL(update_tree, TreeArgs) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= args.len) return;
    args.grads[i] = tree_of_chunks(args.partials, args.len, args.chunks, i);
}
