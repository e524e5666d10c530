/*
 * One tile of a matrix product C [m, n] = A [m, k] B [k, n], computed by a block of threads: both operands pass through a
 * ring of STAGES stages in shared memory, which cp.async fills STAGES - 1 steps ahead of the product.
 */
#pragma once

#include <cinttypes>

#include "gemm_step.h"
#include "launch.h"
#include "tile_order.h"

namespace tsp::gpu::gemm {

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

/* Blocks of a tile that a multiprocessor has to hold. */
template <class Tile>
constexpr int RESIDENT_BLOCKS = 256 / Tile::THREADS;

/* The number of tiles of a [rows, columns] result. */
inline uint32_t count_tiles(int64_t rows, int64_t columns, int tile_rows, int tile_columns) {
    const int64_t tiles = divide_up(rows, tile_rows) * divide_up(columns, tile_columns);
    require(
        tiles < int64_t{1} << 28,
        "a product of %" PRId64 " rows and %" PRId64 " columns is too large for one launch",
        rows,
        columns);
    return static_cast<uint32_t>(tiles);
}

/* One block for each tile. */
template <class Tile>
Grid grid_of(int64_t rows, int64_t columns) {
    return {dim3(count_tiles(rows, columns, Tile::ROWS, Tile::COLUMNS)), Tile::THREADS, Tile::SHARED_BYTES};
}

/* Which tile is this block's. */
template <class Tile>
__device__ __forceinline__ TilePosition tile_of_block(int64_t rows, int64_t columns) {
    return tile_position(
        blockIdx.x,
        static_cast<uint32_t>(divide_up(rows, Tile::ROWS)),
        static_cast<uint32_t>(divide_up(columns, Tile::COLUMNS)));
}

/*
 * What is done with results. All lanes of a warp call
 *   epilogue(row, column, values)
 * with values[COUNT][2], COUNT a multiple of 4: what a lane has of one row, of COUNT groups of eight columns from column on
 * those number 2 (lane % 4) and the next one. The four lanes of a quad have the same row, which may lie outside, as columns
 * may.
 */
template <class Tile, class Epilogue>
__device__ __forceinline__ void
finish_tile(const Sums<Tile> &sums, const Epilogue &epilogue, int64_t row, int64_t column) {
    const int lane = static_cast<int>(threadIdx.x) % WARP;
#pragma unroll
    for (int i = 0; i < Tile::ROW_TILES; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float values[Tile::COLUMN_TILES][2];
#pragma unroll
            for (int j = 0; j < Tile::COLUMN_TILES; ++j) {
                values[j][0] = sums[i][j][2 * half];
                values[j][1] = sums[i][j][2 * half + 1];
            }
            epilogue(row + Tile::warp_row() + 16 * i + 8 * half + lane / 4, column + Tile::warp_column(), values);
        }
    }
}

/* a b goes to the epilogue; see multiply_tile. */
template <class Tile, bool TRANSPOSED, class T, class A, class Epilogue>
__global__ void __launch_bounds__(Tile::THREADS, RESIDENT_BLOCKS<Tile>)
    multiply(A a, Matrix<T> b, Epilogue epilogue) {
    const TilePosition tile = tile_of_block<Tile>(a.rows, TRANSPOSED ? b.columns : b.rows);
    const int64_t row = int64_t{tile.row} * Tile::ROWS;
    const int64_t column = int64_t{tile.column} * Tile::COLUMNS;
    Sums<Tile> sums;
    multiply_tile<Tile, TRANSPOSED>(sums, shared_memory<T>(), a, row, b, column);
    finish_tile<Tile>(sums, epilogue, row, column);
}

} // namespace tsp::gpu::gemm
