/*
 * Gated MLP backward without the gradients of the weights: first dhidden = dy down, whose tiles end as hidden, dgate and
 * dup; then dx from both gradients. down and gate_up are read as they are packed for forward: transposed by ldmatrix.
 */
#include "checks.h"
#include "gated_mlp.h"
#include "ops.h"

namespace tsp::gpu {
namespace {

using namespace gemm;

/* The pre-activations of 64 features beside dhidden of the same: 96 sums of a thread. */
using PreTile = Tile<4, 2, 2, 8>;
using HiddenTile = Tile<4, 2, 2, 4>;
static_assert(HiddenTile::THREADS == PreTile::THREADS && 2 * HiddenTile::COLUMNS == PreTile::COLUMNS);

template <class T>
struct Results {
    Groups<T> hidden;
    Groups<T> dgate;
    Groups<T> dup;

    /* COUNT groups of features of one row: gates and ups in packed order, and dhidden. All lanes of the warp. */
    template <int COUNT>
    __device__ __forceinline__ void
    store(int64_t row, int64_t feature, const float (&pre)[2 * COUNT][2], float (&dhidden)[COUNT][2]) const {
        float gates[COUNT][2];
        float ups[COUNT][2];
#pragma unroll
        for (int j = 0; j < COUNT; ++j) {
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                const Gradients all = gradients_of<T>(pre[2 * j][k], pre[2 * j + 1][k], dhidden[j][k]);
                dhidden[j][k] = all.hidden;
                gates[j][k] = all.dgate;
                ups[j][k] = all.dup;
            }
        }
        store_groups(hidden.row(row), feature, dhidden);
        store_groups(dgate.row(row), feature, gates);
        store_groups(dup.row(row), feature, ups);
    }
};

/* With the pre-activations that forward saved. */
template <class Tile, class T>
__global__ void __launch_bounds__(Tile::THREADS, RESIDENT_BLOCKS<Tile>)
    hidden_gradients(Matrix<T> dy, Matrix<T> down, Groups<const T> saved, Results<T> results) {
    int64_t row;
    int64_t column;
    tile_corner<Tile>(dy.rows, down.columns, row, column);
    Sums<Tile> sums;
    multiply_tile<Tile, true>(sums, shared_memory<T>(), dy, row, down, column);
    for_each_row<Tile>([&](int tile_row, int tile_column, int i, int half) {
        constexpr int COUNT = 4;
#pragma unroll
        for (int first = 0; first < Tile::COLUMN_TILES; first += COUNT) {
            const int64_t feature = column + tile_column + first * GROUP;
            float pre[2 * COUNT][2];
            load_groups(saved.row(row + tile_row), 2 * feature, pre);
            float dhidden[COUNT][2];
#pragma unroll
            for (int j = 0; j < COUNT; ++j) {
                dhidden[j][0] = sums[i][first + j][2 * half];
                dhidden[j][1] = sums[i][first + j][2 * half + 1];
            }
            results.store(row + tile_row, feature, pre, dhidden);
        }
    });
}

/* Recomputes them in the same tile. */
template <class T>
__global__ void __launch_bounds__(PreTile::THREADS, RESIDENT_BLOCKS<PreTile>)
    recomputed_gradients(Matrix<T> x, Matrix<T> packed, Matrix<T> dy, Matrix<T> down, Results<T> results) {
    int64_t row;
    int64_t column;
    tile_corner<PreTile>(x.rows, packed.rows, row, column);
    Sums<PreTile> pre_sums;
    multiply_tile<PreTile, false>(pre_sums, shared_memory<T>(), x, row, packed, column);
    Sums<HiddenTile> sums;
    multiply_tile<HiddenTile, true>(sums, shared_memory<T>(), dy, row, down, column / 2);
    for_each_row<PreTile>([&](int tile_row, int tile_column, int i, int half) {
        constexpr int COUNT = HiddenTile::COLUMN_TILES;
        float pre[2 * COUNT][2];
        float dhidden[COUNT][2];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
#pragma unroll
            for (int j = 0; j < 2 * COUNT; ++j) {
                pre[j][k] = pre_sums[i][j][2 * half + k];
            }
#pragma unroll
            for (int j = 0; j < COUNT; ++j) {
                dhidden[j][k] = sums[i][j][2 * half + k];
            }
        }
        results.store(row + tile_row, (column + tile_column) / 2, pre, dhidden);
    });
}

template <class T>
void backward(const tsp_gated_mlp_backward_args &args, cudaStream_t stream) {
    using Tile = LargeTile<T>;
    const int64_t rows = args.x.shape[0];
    const int64_t columns = args.x.shape[1];
    const int64_t features = args.intermediate;
    const auto gate_up = matrix<T>(args.gate_up.data, round_up(columns, 2), 2 * features, columns);
    const auto down = matrix<T>(args.down.data, features, columns, features);
    const Results<T> results{groups<T>(args.hidden), groups<T>(args.dgate), groups<T>(args.dup)};
    const char *name = "gated_mlp_backward, hidden";
    if (args.saved.data != nullptr) {
        launch(
            name,
            hidden_gradients<Tile, T>,
            grid_of<Tile>(rows, features),
            stream,
            matrix<T>(args.dy),
            down,
            groups<const T>(args.saved),
            results);
    } else {
        launch(
            name,
            recomputed_gradients<T>,
            grid_of<PreTile>(rows, 2 * features),
            stream,
            matrix<T>(args.x),
            gate_up,
            matrix<T>(args.dy),
            down,
            results);
    }
    launch(
        "gated_mlp_backward, dx",
        multiply<Tile, true, T, Interleaved<T>>,
        grid_of<Tile>(rows, columns),
        stream,
        interleaved<T>(args.dgate, args.dup),
        gate_up,
        output(args.dx, (args.flags & TSP_ACCUMULATE) != 0));
}

} // namespace

tsp_status gated_mlp_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.x.dtype == TSP_BF16) {
            backward<bf16>(args, stream_of(where));
        } else {
            backward<float>(args, stream_of(where));
        }
    });
}

} // namespace tsp::gpu
