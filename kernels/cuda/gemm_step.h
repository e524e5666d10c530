/*
 * One step of the product of two tiles that stand in shared memory: how a tile is cut into what warps and threads compute,
 * where its chunks stand, and the products themselves, with mma.sync for bf16 and in fp32 arithmetic for f32.
 *
 * What is 16 bytes wide, a chunk, stands where place() says: eight lines' chunks of the same number, which ldmatrix reads
 * at once, lie in different banks. A thread's sums have the layout of mma.m16n8k16's accumulators in both dtypes (see
 * tensor_core.h), so that what is done with them afterwards is written once. Each sum is made in ascending order of k.
 */
#pragma once

#include "block.h"
#include "tensor_core.h"
#include "vector.h"

namespace tsp::gpu::gemm {

/* Steps of which operands are in shared memory at a time. */
constexpr int STAGES = 4;
/* Of each row of A in one step. */
constexpr int STEP_BYTES = 64;
constexpr int CHUNK_BYTES = 16;
constexpr int DEPTH_CHUNKS = STEP_BYTES / CHUNK_BYTES;

/* Elements of a step's depth, and of a chunk. */
template <class T>
constexpr int STEP = STEP_BYTES / static_cast<int>(sizeof(T));
template <class T>
constexpr int CHUNK = CHUNK_BYTES / static_cast<int>(sizeof(T));

/* A tile's cut: WARPS_M x WARPS_N warps, each with M x N times 16 x 8 elements. */
template <int WARPS_M, int WARPS_N, int M, int N>
struct Tile {
    static constexpr int ROW_TILES = M;
    static constexpr int COLUMN_TILES = N;
    static constexpr int WARP_ROWS = 16 * M;
    static constexpr int WARP_COLUMNS = 8 * N;
    static constexpr int ROWS = WARPS_M * WARP_ROWS;
    static constexpr int COLUMNS = WARPS_N * WARP_COLUMNS;
    static constexpr int THREADS = WARPS_M * WARPS_N * WARP;
    static constexpr size_t STAGE_BYTES = size_t{STEP_BYTES} * (ROWS + COLUMNS);
    static constexpr size_t SHARED_BYTES = STAGES * STAGE_BYTES;

    /* Of the calling warp, from the corner of the tile. */
    static __device__ __forceinline__ int warp_row() {
        return static_cast<int>(threadIdx.x) / WARP / WARPS_N * WARP_ROWS;
    }
    static __device__ __forceinline__ int warp_column() {
        return static_cast<int>(threadIdx.x) / WARP % WARPS_N * WARP_COLUMNS;
    }
};

/* The sums of a thread: of each 16 x 8 elements four. */
template <class Tile>
using Sums = float[Tile::ROW_TILES][Tile::COLUMN_TILES][4];

/* Where a chunk of a line of CHUNKS chunks stands, in chunks. */
template <int CHUNKS>
__device__ __forceinline__ int place(int line, int chunk) {
    static_assert(CHUNKS == 4 || CHUNKS % 8 == 0);
    return line * CHUNKS + (chunk ^ (CHUNKS == 4 ? line / 2 % 4 : line % 8));
}

/* sums += a b for the stage of one step. a: [ROWS][STEP] in chunks. b: TRANSPOSED ? [STEP][COLUMNS] : [COLUMNS][STEP]. */
template <class Tile, bool TRANSPOSED>
__device__ __forceinline__ void multiply_step(Sums<Tile> &sums, const bf16 *a, const bf16 *b) {
    constexpr int COLUMN_CHUNKS = Tile::COLUMNS / CHUNK<bf16>;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const int column = Tile::warp_column();
    /* Which row of four 8 x 8 matrices this lane names: of A rows 0 to 15 of the left half, then of the right; of B both
     * halves of the depth of 8 columns, then of the next 8. */
    const int a_line = Tile::warp_row() + lane % 16;
    const int b_column = column + lane / 16 * 8;
    const int half = lane / 8 % 2;
#pragma unroll
    for (int k = 0; k < STEP<bf16> / 16; ++k) {
        uint32_t left[Tile::ROW_TILES][4];
        uint32_t right[Tile::COLUMN_TILES / 2][4];
#pragma unroll
        for (int j = 0; j < Tile::COLUMN_TILES / 2; ++j) {
            if constexpr (TRANSPOSED) {
                const int chunk = b_column / CHUNK<bf16> + 2 * j;
                load_matrices_transposed(
                    right[j], b + place<COLUMN_CHUNKS>(16 * k + 8 * half + lane % 8, chunk) * CHUNK<bf16>);
            } else {
                const int line = b_column + 16 * j + lane % 8;
                load_matrices(right[j], b + place<DEPTH_CHUNKS>(line, 2 * k + half) * CHUNK<bf16>);
            }
        }
#pragma unroll
        for (int i = 0; i < Tile::ROW_TILES; ++i) {
            load_matrices(left[i], a + place<DEPTH_CHUNKS>(a_line + 16 * i, 2 * k + lane / 16) * CHUNK<bf16>);
        }
#pragma unroll
        for (int i = 0; i < Tile::ROW_TILES; ++i) {
#pragma unroll
            for (int j = 0; j < Tile::COLUMN_TILES; ++j) {
                multiply_add(sums[i][j], left[i], right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
            }
        }
    }
}

/* Of B the elements of a chunk of the depth that a thread needs, [column][0 or 1][k], for COUNT groups of 8 columns. */
template <class Tile, bool TRANSPOSED, int COUNT>
__device__ __forceinline__ void load_columns(float (&values)[COUNT][2][4], const float *b, int chunk, int column) {
#pragma unroll
    for (int j = 0; j < COUNT; ++j) {
        if constexpr (TRANSPOSED) {
            constexpr int COLUMN_CHUNKS = Tile::COLUMNS / CHUNK<float>;
            const int at = (column + 8 * j) / CHUNK<float>;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const float2 two = *reinterpret_cast<const float2 *>(
                    b + place<COLUMN_CHUNKS>(4 * chunk + k, at) * CHUNK<float> + column % CHUNK<float>);
                values[j][0][k] = two.x;
                values[j][1][k] = two.y;
            }
        } else {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                load<4, true>(b + place<DEPTH_CHUNKS>(column + 8 * j + i, chunk) * CHUNK<float>, values[j][i]);
            }
        }
    }
}

/* The same in fp32, a chunk of the depth after the other. */
template <class Tile, bool TRANSPOSED>
__device__ __forceinline__ void multiply_step(Sums<Tile> &sums, const float *a, const float *b) {
    constexpr int COUNT = Tile::COLUMN_TILES;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const int column = Tile::warp_column() + lane % 4 * 2;
    const int row = Tile::warp_row() + lane / 4;
#pragma unroll 1
    for (int chunk = 0; chunk < DEPTH_CHUNKS; ++chunk) {
        float right[COUNT][2][4];
        load_columns<Tile, TRANSPOSED>(right, b, chunk, column);
#pragma unroll
        for (int i = 0; i < 2 * Tile::ROW_TILES; ++i) {
            float left[4];
            load<4, true>(a + place<DEPTH_CHUNKS>(row + 8 * i, chunk) * CHUNK<float>, left);
#pragma unroll
            for (int j = 0; j < COUNT; ++j) {
                float(&sum)[4] = sums[i / 2][j];
#pragma unroll
                for (int k = 0; k < 4; ++k) {
                    sum[i % 2 * 2] = __fmaf_rn(left[k], right[j][0][k], sum[i % 2 * 2]);
                    sum[i % 2 * 2 + 1] = __fmaf_rn(left[k], right[j][1][k], sum[i % 2 * 2 + 1]);
                }
            }
        }
    }
}

} // namespace tsp::gpu::gemm
