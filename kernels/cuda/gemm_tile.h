/*
 * One tile of a matrix product C [m, n] = A [m, k] B [k, n], computed by a block of threads with mma.sync for bf16 and with
 * fp32 arithmetic for f32.
 *
 * Both operands pass through a ring of STAGES stages in shared memory, which cp.async fills STAGES - 1 steps ahead of the
 * product. A step is STEP_BYTES of each row of A deep: 32 elements of bf16. What is 16 bytes wide in a stage, a chunk,
 * stands where place() says: eight rows' chunks of the same columns, which ldmatrix reads at once, lie in different banks.
 *
 * A thread's sums have the layout of mma.m16n8k16's accumulators in both dtypes (see tensor_core.h), so that what is done
 * with them afterwards is written once. Each sum is made in ascending order of k.
 */
#pragma once

#include "block.h"
#include "tensor_core.h"
#include "vector.h"

namespace tsp::gpu {

constexpr int STAGES = 4;
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

/* A [rows, columns] matrix as an operand. */
template <class T>
struct Matrix {
    const T *data;
    int64_t stride;
    int64_t rows;
    int64_t columns;
    bool chunked; /* every row consists of aligned chunks */

    __device__ __forceinline__ const T *at(int64_t row, int64_t column) const {
        return data + row * stride + column;
    }
};

template <class T>
Matrix<T> matrix(const void *data, int64_t stride, int64_t rows, int64_t columns) {
    const bool chunked = is_vector(data) && stride % CHUNK<T> == 0 && columns % CHUNK<T> == 0;
    return {static_cast<const T *>(data), stride, rows, columns, chunked};
}

template <class T>
Matrix<T> matrix(const tsp_tensor &tensor) {
    return matrix<T>(tensor.data, tensor.strides[0], tensor.shape[0], tensor.shape[1]);
}

/* A matrix whose columns come in groups of 8 from two matrices in turn, as rows of gate and up do in a packed matrix. */
template <class T>
struct Interleaved {
    static constexpr int GROUP = 8;

    const T *first;
    const T *second;
    int64_t first_stride;
    int64_t second_stride;
    int64_t rows;
    int64_t columns;
    bool chunked;

    __device__ __forceinline__ const T *at(int64_t row, int64_t column) const {
        const int64_t group = column / GROUP;
        const int64_t inside = group / 2 * GROUP + column % GROUP;
        return group % 2 == 0 ? first + row * first_stride + inside : second + row * second_stride + inside;
    }
};

template <class T>
Interleaved<T> interleaved(const tsp_tensor &first, const tsp_tensor &second) {
    const auto a = matrix<T>(first);
    const auto b = matrix<T>(second);
    return {a.data, b.data, a.stride, b.stride, a.rows, a.columns + b.columns, a.chunked && b.chunked};
}

/* Where a chunk of a line of CHUNKS chunks stands, in chunks. */
template <int CHUNKS>
__device__ __forceinline__ int place(int line, int chunk) {
    static_assert(CHUNKS == 4 || CHUNKS % 8 == 0);
    return line * CHUNKS + (chunk ^ (CHUNKS == 4 ? line / 2 % 4 : line % 8));
}

/* LINES x CHUNKS chunks of the matrix from [line, column] on; what lies outside is zero. */
template <int THREADS, int LINES, int CHUNKS, class T, class Operand>
__device__ __forceinline__ void load_tile(T *tile, const Operand &matrix, int64_t line, int64_t column) {
    constexpr int LINES_AT_ONCE = THREADS / CHUNKS;
    static_assert(LINES % LINES_AT_ONCE == 0);
    const int thread = static_cast<int>(threadIdx.x);
    const int chunk = thread % CHUNKS;
    column += chunk * CHUNK<T>;
    if (matrix.chunked) {
        const bool inside = column < matrix.columns;
#pragma unroll
        for (int i = 0; i < LINES; i += LINES_AT_ONCE) {
            const int mine = i + thread / CHUNKS;
            copy_async(
                tile + place<CHUNKS>(mine, chunk) * CHUNK<T>,
                matrix.at(line + mine, column),
                inside && line + mine < matrix.rows);
        }
        return;
    }
#pragma unroll 1
    for (int i = 0; i < LINES; i += LINES_AT_ONCE) {
        const int mine = i + thread / CHUNKS;
        T *target = tile + place<CHUNKS>(mine, chunk) * CHUNK<T>;
#pragma unroll 1
        for (int j = 0; j < CHUNK<T>; ++j) {
            const bool inside = line + mine < matrix.rows && column + j < matrix.columns;
            target[j] = inside ? *matrix.at(line + mine, column + j) : T{};
        }
    }
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

/* The same in fp32, a chunk of the depth after the other, half of the columns at a time to spare registers. */
template <class Tile, bool TRANSPOSED>
__device__ __forceinline__ void multiply_step(Sums<Tile> &sums, const float *a, const float *b) {
    constexpr int COUNT = Tile::COLUMN_TILES / 2;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const int column = Tile::warp_column() + lane % 4 * 2;
    const int row = Tile::warp_row() + lane / 4;
#pragma unroll 1
    for (int chunk = 0; chunk < DEPTH_CHUNKS; ++chunk) {
#pragma unroll
        for (int first = 0; first < Tile::COLUMN_TILES; first += COUNT) {
            float right[COUNT][2][4];
            load_columns<Tile, TRANSPOSED>(right, b, chunk, column + 8 * first);
#pragma unroll
            for (int i = 0; i < 2 * Tile::ROW_TILES; ++i) {
                float left[4];
                load<4, true>(a + place<DEPTH_CHUNKS>(row + 8 * i, chunk) * CHUNK<float>, left);
#pragma unroll
                for (int j = 0; j < COUNT; ++j) {
                    float(&sum)[4] = sums[i / 2][first + j];
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        sum[i % 2 * 2] = __fmaf_rn(left[k], right[j][0][k], sum[i % 2 * 2]);
                        sum[i % 2 * 2 + 1] = __fmaf_rn(left[k], right[j][1][k], sum[i % 2 * 2 + 1]);
                    }
                }
            }
        }
    }
}

/* sums = rows row .. of a [m, k] times columns column .. of B [k, n]. b is B if TRANSPOSED, else B's transpose [n, k], whose
 * rows lie along the depth. All threads of the block; the ring is free again at the end. */
template <class Tile, bool TRANSPOSED, class T, class A>
__device__ __forceinline__ void
multiply_tile(Sums<Tile> &sums, T *ring, const A &a, int64_t row, const Matrix<T> &b, int64_t column) {
    constexpr int STAGE = static_cast<int>(Tile::STAGE_BYTES / sizeof(T));
    constexpr int B_OFFSET = Tile::ROWS * STEP<T>;
#pragma unroll
    for (int i = 0; i < Tile::ROW_TILES; ++i) {
#pragma unroll
        for (int j = 0; j < Tile::COLUMN_TILES; ++j) {
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                sums[i][j][k] = 0.0f;
            }
        }
    }
    const auto load_stage = [&](int step) {
        T *stage = ring + step % STAGES * STAGE;
        const int64_t k = int64_t{step} * STEP<T>;
        load_tile<Tile::THREADS, Tile::ROWS, DEPTH_CHUNKS>(stage, a, row, k);
        if constexpr (TRANSPOSED) {
            load_tile<Tile::THREADS, STEP<T>, Tile::COLUMNS / CHUNK<T>>(stage + B_OFFSET, b, k, column);
        } else {
            load_tile<Tile::THREADS, Tile::COLUMNS, DEPTH_CHUNKS>(stage + B_OFFSET, b, column, k);
        }
    };
    const int steps = static_cast<int>(divide_up(a.columns, STEP<T>));
#pragma unroll 1
    for (int step = 0; step < STAGES - 1; ++step) {
        if (step < steps) {
            load_stage(step);
        }
        commit_copies();
    }
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            load_stage(step + STAGES - 1);
        }
        commit_copies();
        const T *stage = ring + step % STAGES * STAGE;
        multiply_step<Tile, TRANSPOSED>(sums, stage, stage + B_OFFSET);
    }
    wait_for_copies<0>();
    __syncthreads();
}

/* Calls body(row, column, i, half) for each row of which the thread has sums: sums[i][j][2 half] and the next one stand in
 * that row of the tile, in columns 8 j + 2 (lane % 4) and the next one from column on. */
template <class Tile, class Body>
__device__ __forceinline__ void for_each_row(const Body &body) {
    const int lane = static_cast<int>(threadIdx.x) % WARP;
#pragma unroll
    for (int i = 0; i < Tile::ROW_TILES; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            body(Tile::warp_row() + 16 * i + 8 * half + lane / 4, Tile::warp_column(), i, half);
        }
    }
}

} // namespace tsp::gpu
