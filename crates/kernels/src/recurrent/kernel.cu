// Recurrent cells over sequences, GRU and LSTM: the hidden side of the gates for all steps in one launch, and back through
// time in another. A row is one sequence and needs no other, so a block takes a tile of rows through all steps; what the
// next step reads of this one lies in shared memory, and blocks never wait for each other. Definitions, order of gates and
// of sums are those of `recurrent/mod.rs`.
//
// With H units, G gates, T steps and R rows, a row and step:
//   forward: G H H multiply-adds, G H exponentials; reads 4 G H bytes, writes 4 (G + 2) H (GRU) or 4 (G + 3) H (LSTM);
//   backward: G H H multiply-adds; reads 4 (G + 3) H or 4 (G + 4) H bytes, writes 4 * 2 G H (GRU) or 4 G H (LSTM);
//   gradients of the weights: G H H multiply-adds.
// Barriers a step: one forward, two backward. Weights come from the caches: neighboring threads read neighboring units.
//
// A block has H ROWS / 4 items, one a thread, of four rows of one unit. Instructions of an item and step: forward, H turns of
// one load of 16 bytes from shared memory, G of 4 bytes of weights, 4 G multiply-adds and some two others, then four rows of
// gates of some 30 a nonlinearity (G of a GRU, G + 1 of an LSTM) and G loads and G + 2 (+ 1) stores; backward, four rows of
// some 50, then G H turns of one load of 16 bytes, one weight, 4 multiply-adds and half another. What one step leaves to the
// next is a chain of H (forward) or G H (backward) multiply-adds, so that T steps take at least that many of them in a row.
#pragma once
#include "cuda/grads.cuh"

#define GRU 3
#define LSTM 4

// As `crate::recurrent::cuda::CellArgs`.
struct CellArgs {
    const float *params;     // Wh [H, G H], then bh [G H]
    float *transposed;       // [G H, H]: of Wh
    const float *input_side; // [T, R, G H]
    const u8 *is_first;      // [T, R]
    const float *memory;     // [R, M]: h, and for an LSTM c behind it
    float *hidden, *cell;    // [T, R, H]: h and (LSTM) c after a step
    float *gates;            // [T, R, G H]: r, z, hidden side of n; or i, f, g, o
    float *inner;            // [T, R, H]: n, or tanh(c)
    const float *d_hidden;   // [T, R, H]
    float *d_input_side;     // [T, R, G H]
    float *d_hidden_side;    // [T, R, G H]; of an LSTM the same as `d_input_side`
    float *d_memory;         // [R, M]
    float *partials;         // gradients of Wh and bh of the first chunk
    u32 width, steps, rows, chunk_rows;
    u32 stride; // between gradients of two chunks
    u32 unused;
};
static_assert(sizeof(CellArgs) == 136, "CellArgs as in Rust");

// What a step of row `row` (of [R]) finds of `h` (`part` 0) or `c` (`part` 1) of the step before; null where it begins anew.
template <int GATES> INLINE const float *found(const CellArgs &args, const float *after, u64 step, u32 row, u32 part) {
    const u64 at = step * args.rows + row, h = args.width;
    if (args.is_first[at]) return 0;
    return step == 0 ? args.memory + ((u64)row * (GATES == LSTM ? 2 : 1) + part) * h : after + (at - args.rows) * h;
}

// Slopes of a sigmoid and of a tanh where their value is `y`.
INLINE float sigmoid_slope(float y) { return y * (1.0f - y); }
INLINE float tanh_slope(float y) { return fma_(y, -y, 1.0f); }

// The gates of unit `u` of one row from both sides, `x` and `y`: writes the tape and `h` after the step at `row` of [T, R], and
// returns that `h`. `c` comes and leaves.
template <int GATES>
INLINE float open_gates(const CellArgs &args, u64 row, u32 u, const float *x, const float *y, float h_in, float *c) {
    const u32 h = args.width;
    float *gates = args.gates + row * GATES * h + u;
    const u64 at = row * h + u;
    float out;
    if (GATES == GRU) {
        const float r = sigmoid_(y[0] + x[0]), z = sigmoid_(y[1] + x[1]), n = tanh_(fma_(r, y[2], x[2]));
        gates[0] = r;
        gates[h] = z;
        gates[2 * h] = y[2];
        args.inner[at] = n;
        out = fma_(z, h_in - n, n);
    } else {
        const float i = sigmoid_(y[0] + x[0]), f = sigmoid_(y[1] + x[1]);
        const float g = tanh_(y[2] + x[2]), o = sigmoid_(y[GATES - 1] + x[GATES - 1]);
        *c = fma_(f, *c, i * g);
        const float tanh_c = tanh_(*c);
        gates[0] = i;
        gates[h] = f;
        gates[2 * h] = g;
        gates[3 * h] = o;
        args.cell[at] = *c;
        args.inner[at] = tanh_c;
        out = o * tanh_c;
    }
    args.hidden[at] = out;
    return out;
}

// Grid: tiles of rows. Shared memory: `h` that this step reads and that of the next one, [H, ROWS] each, and `c` of an LSTM.
template <int GATES, int ROWS> INLINE void cell_forward(const CellArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const u32 GROUPS = ROWS / 4, h = args.width, wide = GATES * h;
    const u32 first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    const float *bias = args.params + (u64)h * wide;
    float *here = memory, *there = here + h * ROWS, *cell = there + h * ROWS;
    for (u32 i = threadIdx.x; i < h * ROWS; i += blockDim.x) {
        const u32 r = i % ROWS, u = i / ROWS;
        const float *from = r < count ? found<GATES>(args, 0, 0, first + r, 0) : 0;
        here[i] = from ? from[u] : 0.0f;
        // `c` is memory's second half, right behind `h`.
        if (GATES == LSTM) cell[i] = from ? from[h + u] : 0.0f;
    }
    __syncthreads();
    for (u32 t = 0; t < args.steps; t++) {
        const u64 at = (u64)t * args.rows + first;
        for (u32 item = threadIdx.x; item < GROUPS * h; item += blockDim.x) {
            const u32 r = item % GROUPS * 4, u = item / GROUPS;
            float x[4][GATES], y[4][GATES];
#pragma unroll
            for (u32 i = 0; i < 4; i++)
#pragma unroll
                for (u32 g = 0; g < GATES; g++) {
                    x[i][g] = r + i < count ? args.input_side[(at + r + i) * wide + g * h + u] : 0.0f;
                    y[i][g] = bias[g * h + u];
                }
#pragma unroll 4
            for (u32 k = 0; k < h; k++) {
                const float4 a = *(const float4 *)(here + k * ROWS + r);
                const float as[4] = {a.x, a.y, a.z, a.w}, *w = args.params + (u64)k * wide + u;
#pragma unroll
                for (u32 g = 0; g < GATES; g++) {
                    const float b = w[g * h];
#pragma unroll
                    for (u32 i = 0; i < 4; i++) y[i][g] = fma_(as[i], b, y[i][g]);
                }
            }
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const u32 place = u * ROWS + r + i;
                float kept = 0.0f, c = GATES == LSTM ? cell[place] : 0.0f;
                if (r + i < count) {
                    const u64 row = at + r + i;
                    kept = open_gates<GATES>(args, row, u, x[i], y[i], here[place], &c);
                    if (t + 1 < args.steps && args.is_first[row + args.rows]) kept = c = 0.0f;
                }
                there[place] = kept;
                // The same thread has this unit of this row in every step.
                if (GATES == LSTM) cell[place] = c;
            }
        }
        // Now all of the next step's `h` is there, and nobody reads this step's any more.
        __syncthreads();
        float *swap = here;
        here = there;
        there = swap;
    }
}

// Gradients of both sides of the gates of unit `u` of one row in step `t`. `d_h` and `d_c` come with the gradients from the step
// after; `d_h` leaves with what reaches the step before past the product (GRU), `d_c` with all of it. `d_y` are `stride` apart.
template <int GATES>
INLINE void close_gates(const CellArgs &args, u32 t, u32 row, u32 u, float *d_h, float *d_c, float *d_y, u32 stride) {
    const u32 h = args.width;
    const u64 at = (u64)t * args.rows + row, wide = at * GATES * h + u;
    const float *gates = args.gates + wide;
    const float inner = args.inner[at * h + u], d = *d_h + args.d_hidden[at * h + u];
    float of[GATES];
    if (GATES == GRU) {
        const float r = gates[0], z = gates[h], y = gates[2 * h];
        const float *from = found<GATES>(args, args.hidden, t, row, 0);
        const float h_in = from ? from[u] : 0.0f;
        of[1] = d * (h_in - inner) * sigmoid_slope(z);
        const float d_n = d * (1.0f - z) * tanh_slope(inner);
        of[0] = d_n * y * sigmoid_slope(r);
        of[2] = d_n * r;
        args.d_input_side[wide + 2 * h] = d_n;
        *d_h = d * z;
    } else {
        const float i = gates[0], f = gates[h], g = gates[2 * h], o = gates[3 * h];
        const float *from = found<GATES>(args, args.cell, t, row, 1);
        const float c_in = from ? from[u] : 0.0f;
        const float d_cell = fma_(d * o, tanh_slope(inner), *d_c);
        of[0] = d_cell * g * sigmoid_slope(i);
        of[1] = d_cell * c_in * sigmoid_slope(f);
        of[2] = d_cell * i * tanh_slope(g);
        of[GATES - 1] = d * inner * sigmoid_slope(o);
        *d_c = d_cell * f;
    }
#pragma unroll
    for (u32 g = 0; g < GATES; g++) {
        d_y[g * h * stride] = of[g];
        args.d_hidden_side[wide + g * h] = of[g];
        if (GATES == GRU && g < 2) args.d_input_side[wide + g * h] = of[g];
    }
}

// Grid: tiles of rows. Shared memory: gradients of the hidden side [G H, ROWS], of `h` [H, ROWS], and of an LSTM's `c`.
template <int GATES, int ROWS> INLINE void cell_backward(const CellArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const u32 GROUPS = ROWS / 4, h = args.width, wide = GATES * h, items = GROUPS * h;
    const u32 first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    // The same thread has a unit of a row of `d_h` and `d_c` throughout.
    float *d_y = memory, *d_h = d_y + wide * ROWS, *d_c = d_h + h * ROWS;
    for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
        const u32 place = item / GROUPS * ROWS + item % GROUPS * 4;
        *(float4 *)(d_h + place) = four(0.0f);
        if (GATES == LSTM) *(float4 *)(d_c + place) = four(0.0f);
    }
    for (u32 t = args.steps; t-- > 0;) {
        for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
            const u32 r = item % GROUPS * 4, u = item / GROUPS;
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const u32 place = u * ROWS + r + i;
                if (r + i < count) {
                    close_gates<GATES>(args, t, first + r + i, u, d_h + place, d_c + place, d_y + place, ROWS);
                } else {
#pragma unroll
                    for (u32 g = 0; g < GATES; g++) d_y[g * h * ROWS + place] = 0.0f;
                }
            }
        }
        __syncthreads();
        for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
            const u32 r = item % GROUPS * 4, k = item / GROUPS;
            float4 sum = four(0.0f);
#pragma unroll 4
            for (u32 j = 0; j < wide; j++)
                fma4(sum, *(const float4 *)(d_y + j * ROWS + r), args.transposed[(u64)j * h + k]);
            const float sums[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const u32 place = k * ROWS + r + i;
                const bool begins = r + i < count && args.is_first[(u64)t * args.rows + first + r + i];
                d_h[place] = begins ? 0.0f : GATES == GRU ? d_h[place] + sums[i] : sums[i];
                if (GATES == LSTM && begins) d_c[place] = 0.0f;
            }
        }
        // The next step writes what this product read.
        __syncthreads();
    }
    const u32 parts = GATES == LSTM ? 2 : 1;
    for (u32 item = threadIdx.x; item < items && args.d_memory; item += blockDim.x) {
        const u32 r = item % GROUPS * 4, u = item / GROUPS;
        for (u32 i = 0; i < 4 && r + i < count; i++) {
            float *out = args.d_memory + (u64)(first + r + i) * parts * h + u;
            out[0] = d_h[u * ROWS + r + i];
            if (GATES == LSTM) out[h] = d_c[u * ROWS + r + i];
        }
    }
}

// The hidden side of each row of [T * R], as `grads_tile` wants it.
template <int GATES> struct CellRows {
    const CellArgs &args;
    INLINE const float *x(u32 row) const {
        return found<GATES>(args, args.hidden, row / args.rows, row % args.rows, 0);
    }
    INLINE const float *d(u32 row) const { return args.d_hidden_side + (u64)row * GATES * args.width; }
};

// Grid: tiles of the gradient, chunks of rows of [T * R]; 256 threads.
template <int GATES> INLINE void cell_grads(const CellArgs &args) {
    const u32 h = args.width, wide = GATES * h, all = args.steps * args.rows;
    const u32 first = blockIdx.y * args.chunk_rows, count = min_(args.chunk_rows, all - first);
    const CellRows<GATES> rows = {args};
    grads_tile<4>(rows, h, wide, blockIdx.x, first, count, args.partials + (u64)blockIdx.y * args.stride);
}

// Few rows: many small blocks. Many rows: each weight that is loaded serves 32 rows.
KERNEL(gru_forward_8, CellArgs) { cell_forward<GRU, 8>(args); }
KERNEL(gru_forward_32, CellArgs) { cell_forward<GRU, 32>(args); }
KERNEL(gru_backward_8, CellArgs) { cell_backward<GRU, 8>(args); }
KERNEL(gru_backward_32, CellArgs) { cell_backward<GRU, 32>(args); }
KERNEL(gru_grads, CellArgs) { cell_grads<GRU>(args); }
KERNEL(lstm_forward_8, CellArgs) { cell_forward<LSTM, 8>(args); }
KERNEL(lstm_forward_32, CellArgs) { cell_forward<LSTM, 32>(args); }
KERNEL(lstm_backward_8, CellArgs) { cell_backward<LSTM, 8>(args); }
KERNEL(lstm_backward_32, CellArgs) { cell_backward<LSTM, 32>(args); }
KERNEL(lstm_grads, CellArgs) { cell_grads<LSTM>(args); }

// As `crate::recurrent::cuda::TransposeArgs`.
struct TransposeArgs {
    const float *from; // [rows, columns]
    float *to;         // [columns, rows]
    u32 rows, columns;
};
static_assert(sizeof(TransposeArgs) == 24, "TransposeArgs as in Rust");

// Grid: elements, one a thread. Chains over the outputs of a weight then read neighbors, as those over its inputs do.
KERNEL(cell_transpose, TransposeArgs) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < args.rows * args.columns) args.to[i] = args.from[(u64)(i % args.rows) * args.columns + i / args.rows];
}
