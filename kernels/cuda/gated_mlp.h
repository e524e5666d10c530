/* What forward and backward of the gated MLP share: SwiGLU, and products whose result is f32. */
#pragma once

#include <cinttypes>
#include <type_traits>

#include "gemm_rows.h"
#include "gemm_tile.h"
#include "launch.h"
#include "tile_order.h"

namespace tsp::gpu::gemm {

/* e^-gate, as exact as results of type T need. */
template <class T>
__device__ __forceinline__ float exp_minus(float gate);

template <>
__device__ __forceinline__ float exp_minus<bf16>(float gate) {
    return fast_exp2(gate * -1.44269504f);
}

template <>
__device__ __forceinline__ float exp_minus<float>(float gate) {
    return expf(-gate);
}

/* silu(gate) * up. Without contraction: forward and backward round alike. */
template <class T>
__device__ __forceinline__ float swiglu(float gate, float up) {
    return __fmul_rn(__fdiv_rn(gate, __fadd_rn(1.0f, exp_minus<T>(gate))), up);
}

struct Gradients {
    float hidden;
    float dgate;
    float dup;
};

template <class T>
__device__ __forceinline__ Gradients gradients_of(float gate, float up, float dhidden) {
    const float exponential = exp_minus<T>(gate);
    const float sigmoid = __fdiv_rn(1.0f, __fadd_rn(1.0f, exponential));
    /* 1 - sigmoid without cancellation. An infinite exponential makes the product NaN, and then it is 1. */
    const float rest = fminf(__fmul_rn(exponential, sigmoid), 1.0f);
    const float slope = __fmul_rn(sigmoid, __fadd_rn(1.0f, __fmul_rn(gate, rest)));
    const float activation = __fdiv_rn(gate, __fadd_rn(1.0f, exponential));
    return {__fmul_rn(activation, up), __fmul_rn(__fmul_rn(dhidden, up), slope), __fmul_rn(dhidden, activation)};
}

/* A grid of one block for each tile of a [rows, columns] result. */
template <class Tile>
Grid grid_of(int64_t rows, int64_t columns) {
    const int64_t tiles = divide_up(rows, Tile::ROWS) * divide_up(columns, Tile::COLUMNS);
    require(
        tiles < int64_t{1} << 28,
        "a product of %" PRId64 " rows and %" PRId64 " columns is too large for one launch",
        rows,
        columns);
    return {dim3(static_cast<uint32_t>(tiles)), Tile::THREADS, Tile::SHARED_BYTES};
}

/* The corner of this block's tile. */
template <class Tile>
__device__ __forceinline__ void tile_corner(int64_t rows, int64_t columns, int64_t &row, int64_t &column) {
    const TilePosition position = tile_position(
        blockIdx.x,
        static_cast<uint32_t>(divide_up(rows, Tile::ROWS)),
        static_cast<uint32_t>(divide_up(columns, Tile::COLUMNS)));
    row = int64_t{position.row} * Tile::ROWS;
    column = int64_t{position.column} * Tile::COLUMNS;
}

/* 64 x 64 of a warp keep its sums in registers, and it reads less of shared memory for each product than smaller ones
 * would; two blocks of four such warps fit a multiprocessor. Without tensor cores operands need registers too. */
template <class T>
using LargeTile = std::conditional_t<std::is_same_v<T, bf16>, Tile<2, 2, 4, 8>, Tile<4, 2, 2, 8>>;

/* Blocks of a tile that a multiprocessor has to hold. */
template <class Tile>
constexpr int RESIDENT_BLOCKS = 256 / Tile::THREADS;

/* output (+)= a b, see multiply_tile. */
template <class Tile, bool TRANSPOSED, class T, class A>
__global__ void __launch_bounds__(Tile::THREADS, RESIDENT_BLOCKS<Tile>)
    multiply(A a, Matrix<T> b, Output output) {
    int64_t row;
    int64_t column;
    tile_corner<Tile>(output.rows, output.columns, row, column);
    Sums<Tile> sums;
    multiply_tile<Tile, TRANSPOSED>(sums, shared_memory<T>(), a, row, b, column);
    for_each_row<Tile>([&](int tile_row, int tile_column, int i, int half) {
        float values[Tile::COLUMN_TILES][2];
#pragma unroll
        for (int j = 0; j < Tile::COLUMN_TILES; ++j) {
            values[j][0] = sums[i][j][2 * half];
            values[j][1] = sums[i][j][2 * half + 1];
        }
        output.store(row + tile_row, column + tile_column, values);
    });
}

} // namespace tsp::gpu::gemm
