/*
 * Tiles of bf16 in shared memory and products of them: rows of COLUMNS elements, of which chunk c of 8 in row r stands
 * where chunk c ^ r % 8 would, so that neither copies to eight chunks of a row nor reads of a chunk in eight rows meet
 * in a bank.
 */
#pragma once

#include "bf16.h"
#include "block.h"
#include "tensor_core.h"

namespace tsp::gpu {

/* threadIdx.x, read anew: addresses made of it are not kept in registers throughout a loop, which sums need. */
__device__ __forceinline__ int thread_here() {
#if defined(__CUDA_ARCH__)
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
#else
    return static_cast<int>(threadIdx.x);
#endif
}

/* 8 elements, what one copy moves. */
constexpr int CHUNK = 8;

/* Where a chunk of a row begins. */
template <int COLUMNS>
__device__ __forceinline__ int place_of(int row, int chunk) {
    return row * COLUMNS + (chunk ^ row % CHUNK) * CHUNK;
}

/*
 * Starts to fill ROWS rows of a tile with `columns` elements and then zeros. source(i) is row i, NULL for zeros. All
 * THREADS threads of the block take part. ALIGNED: all rows begin at multiples of 16 bytes; others are copied at once.
 */
template <int ROWS, int COLUMNS, int THREADS, bool ALIGNED, class Source>
__device__ __forceinline__ void load_tile(bf16 *tile, int columns, const Source &source) {
    constexpr int CHUNKS = COLUMNS / CHUNK;
    constexpr int STEP = THREADS / CHUNKS;
    static_assert(THREADS % CHUNKS == 0 && ROWS % STEP == 0);
    const int thread = thread_here();
    const int chunk = thread % CHUNKS;
    const int first = thread / CHUNKS;
    /* Not unrolled: addresses of many copies at once would take the registers that sums need. */
#pragma unroll 1
    for (int i = 0; i < ROWS; i += STEP) {
        const bf16 *row = chunk * CHUNK < columns ? source(first + i) : nullptr;
        bf16 *target = tile + place_of<COLUMNS>(first + i, chunk);
        if constexpr (ALIGNED) {
            copy_async(target, row == nullptr ? nullptr : row + chunk * CHUNK, row != nullptr);
        } else {
#pragma unroll
            for (int x = 0; x < CHUNK; ++x) {
                target[x] = row == nullptr ? bf16{0} : row[chunk * CHUNK + x];
            }
        }
    }
}

/*
 * Where a lane finds its row of the matrices that it loads: in row `row` + lane_row of a tile, row a multiple of 8, chunk
 * 2 k + lane_chunk. What depends on k is a constant then, and an exclusive or with it.
 */
template <int COLUMNS>
__device__ __forceinline__ const bf16 *matrix_row(const bf16 *tile, int row, int lane_row, int k, int lane_chunk) {
    const int swizzled = (lane_chunk ^ lane_row % CHUNK) ^ 2 * k % CHUNK;
    return tile + lane_row * COLUMNS + swizzled * CHUNK + (row * COLUMNS + 2 * k / CHUNK * CHUNK * CHUNK);
}

/* Left factor: rows row, ..., row + 15 and columns 16 k, ..., 16 k + 15 of a tile. */
template <int COLUMNS>
__device__ __forceinline__ void load_left(uint32_t (&a)[4], const bf16 *tile, int row, int k, int lane) {
    load_matrices(a, matrix_row<COLUMNS>(tile, row, lane % 16, k, lane / 16));
}

/* Right factor, the transpose of a tile: its rows row, ..., row + 15, and so two operands of 8 columns; see load_left. */
template <int COLUMNS>
__device__ __forceinline__ void load_right(uint32_t (&b)[4], const bf16 *tile, int row, int k, int lane) {
    load_matrices(b, matrix_row<COLUMNS>(tile, row, lane / 16 * 8 + lane % 8, k, lane / 8 % 2));
}

/* Right factor, a tile as it stands: rows row, ..., row + 15 and columns 16 j, ..., 16 j + 15, two operands. */
template <int COLUMNS>
__device__ __forceinline__ void load_right_rows(uint32_t (&b)[4], const bf16 *tile, int row, int j, int lane) {
    load_matrices_transposed(b, matrix_row<COLUMNS>(tile, row, lane % 16, j, lane / 16));
}

/* Sums of a warp: 16 TALL rows and 8 WIDE columns; sums[m][n] as multiply_add has them. */
template <int TALL, int WIDE>
using Sums = float[TALL][WIDE][4];

template <int TALL, int WIDE>
__device__ __forceinline__ void clear(Sums<TALL, WIDE> &sums) {
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
#pragma unroll
        for (int n = 0; n < WIDE; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                sums[m][n][i] = 0.0f;
            }
        }
    }
}

/* sums += A B^T: rows of A from left_row on, rows of B from right_row on, over all COLUMNS. */
template <int COLUMNS, int TALL, int WIDE>
__device__ __forceinline__ void
multiply_transposed(Sums<TALL, WIDE> &sums, const bf16 *left, int left_row, const bf16 *right, int right_row) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int k = 0; k < COLUMNS / 16; ++k) {
        uint32_t a[TALL][4];
#pragma unroll
        for (int m = 0; m < TALL; ++m) {
            load_left<COLUMNS>(a[m], left, left_row + 16 * m, k, lane);
        }
#pragma unroll
        for (int n = 0; n < WIDE; n += 2) {
            uint32_t b[4];
            load_right<COLUMNS>(b, right, right_row + 8 * n, k, lane);
#pragma unroll
            for (int m = 0; m < TALL; ++m) {
                multiply_add(sums[m][n], a[m], b[0], b[1]);
                multiply_add(sums[m][n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

/* Sums rounded to bf16 as a left factor: [rows][columns / 16]. What a lane holds of the one it holds of the other. */
template <int TALL, int STEPS>
using Factors = uint32_t[TALL][STEPS][4];

template <int TALL, int STEPS, int WIDE>
__device__ __forceinline__ void round_sums(Factors<TALL, STEPS> &factors, const Sums<TALL, WIDE> &sums) {
    static_assert(WIDE == 2 * STEPS);
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
#pragma unroll
        for (int k = 0; k < STEPS; ++k) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float(&pair)[4] = sums[m][2 * k + i / 2];
                factors[m][k][i] = pack(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
            }
        }
    }
}

/* sums += A B: A from round_sums, rows of B from row on, its columns from 8 * first on. */
template <int COLUMNS, int TALL, int STEPS, int WIDE>
__device__ __forceinline__ void multiply_rows(
    Sums<TALL, WIDE> &sums, const Factors<TALL, STEPS> &factors, const bf16 *right, int row, int first = 0) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int k = 0; k < STEPS; ++k) {
#pragma unroll
        for (int n = 0; n < WIDE; n += 2) {
            uint32_t b[4];
            load_right_rows<COLUMNS>(b, right, row + 16 * k, (first + n) / 2, lane);
#pragma unroll
            for (int m = 0; m < TALL; ++m) {
                multiply_add(sums[m][n], factors[m][k], b[0], b[1]);
                multiply_add(sums[m][n + 1], factors[m][k], b[2], b[3]);
            }
        }
    }
}

/*
 * Writes a warp's sums times factor(m, half) to the rows target(i), NULL for none, through rows of a tile that only this
 * warp reads: in 16 bytes if ALIGNED.
 */
template <int COLUMNS, bool ALIGNED, int TALL, int WIDE, class Factor, class Target>
__device__ __forceinline__ void store_rows(
    const Sums<TALL, WIDE> &sums, bf16 *tile, int row, int columns, const Factor &factor, const Target &target) {
    static_assert(WIDE * 8 == COLUMNS);
    const int lane = thread_here() % WARP;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float by = factor(m, half);
#pragma unroll
            for (int n = 0; n < WIDE; ++n) {
                bf16 *pair = tile + place_of<COLUMNS>(row + 16 * m + 8 * half + lane / 4, n) + lane % 4 * 2;
                *reinterpret_cast<uint32_t *>(pair) = pack(sums[m][n][2 * half] * by, sums[m][n][2 * half + 1] * by);
            }
        }
    }
    __syncwarp();
    constexpr int CHUNKS = COLUMNS / CHUNK;
    for (int i = lane; i < 16 * TALL * CHUNKS; i += WARP) {
        const int chunk = i % CHUNKS;
        bf16 *to = chunk * CHUNK < columns ? target(row + i / CHUNKS) : nullptr;
        if (to != nullptr) {
            const bf16 *from = tile + place_of<COLUMNS>(row + i / CHUNKS, chunk);
            if constexpr (ALIGNED) {
                *reinterpret_cast<uint4 *>(to + chunk * CHUNK) = *reinterpret_cast<const uint4 *>(from);
            } else {
#pragma unroll
                for (int x = 0; x < CHUNK; ++x) {
                    to[chunk * CHUNK + x] = from[x];
                }
            }
        }
    }
}

} // namespace tsp::gpu
