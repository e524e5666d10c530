/*
 * Gated MLP backward without the gradients of the weights: first dhidden = dy down, whose tiles end as hidden, dgate and
 * dup; then dx from both gradients. down and gate_up are read as they are packed for forward: transposed by ldmatrix.
 */
#include "checks.h"
#include "gated_mlp.h"
#include "gated_mlp_parts.h"
#include "ops.h"

namespace tsp::gpu {

using namespace gemm;

namespace {

/* The pre-activations of 64 features beside dhidden of the same: 96 sums of a thread. */
using PreTile = Tile<4, 2, 2, 8>;
using HiddenTile = Tile<4, 2, 2, 4>;
static_assert(HiddenTile::THREADS == PreTile::THREADS && 2 * HiddenTile::COLUMNS == PreTile::COLUMNS);
static_assert(2 * HiddenTile::WARP_COLUMNS == PreTile::WARP_COLUMNS && HiddenTile::WARP_ROWS == PreTile::WARP_ROWS);

/* Recomputes the pre-activations in the same tile. */
template <class T>
__global__ void __launch_bounds__(PreTile::THREADS, RESIDENT_BLOCKS<PreTile>)
    differentiate(Matrix<T> x, Matrix<T> packed, Matrix<T> dy, Matrix<T> down, StoreGradients<T> store) {
    const TilePosition tile = tile_of_block<PreTile>(x.rows, packed.rows);
    const int64_t row = int64_t{tile.row} * PreTile::ROWS;
    const int64_t feature = int64_t{tile.column} * HiddenTile::COLUMNS;
    Sums<PreTile> pre_sums;
    multiply_tile<PreTile, false>(pre_sums, shared_memory<T>(), x, row, packed, 2 * feature);
    Sums<HiddenTile> sums;
    multiply_tile<HiddenTile, true>(sums, shared_memory<T>(), dy, row, down, feature);
    const int lane = static_cast<int>(threadIdx.x) % WARP;
#pragma unroll
    for (int i = 0; i < PreTile::ROW_TILES; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
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
            store(
                row + PreTile::warp_row() + 16 * i + 8 * half + lane / 4,
                feature + HiddenTile::warp_column(),
                pre,
                dhidden);
        }
    }
}

template <class T>
void hidden_gradients(const tsp_gated_mlp_backward_args &args, cudaStream_t stream) {
    using Tile = LargeTile<T>;
    constexpr const char *NAME = "gated_mlp_backward, hidden";
    const int64_t rows = args.x.shape[0];
    const int64_t columns = args.x.shape[1];
    const int64_t features = args.intermediate;
    const auto dy = matrix<T>(args.dy);
    const auto down = matrix<T>(args.down.data, features, columns, features);
    const StoreGradients<T> store{groups<T>(args.hidden), groups<T>(args.dgate), groups<T>(args.dup)};
    if (args.saved.data != nullptr) {
        launch(
            NAME,
            multiply<Tile, true, T, Matrix<T>, DifferentiateSaved<T>>,
            grid_of<Tile>(rows, features),
            stream,
            dy,
            down,
            DifferentiateSaved<T>{groups<const T>(args.saved), store});
        return;
    }
    launch(
        NAME,
        differentiate<T>,
        grid_of<PreTile>(rows, 2 * features),
        stream,
        matrix<T>(args.x),
        matrix<T>(args.gate_up.data, round_up(columns, 2), 2 * features, columns),
        dy,
        down,
        store);
}

template <class T>
void input_gradient(const tsp_gated_mlp_backward_args &args, cudaStream_t stream) {
    using Tile = LargeTile<T>;
    const int64_t columns = args.x.shape[1];
    launch(
        "gated_mlp_backward, dx",
        multiply<Tile, true, T, Interleaved<T>, Output>,
        grid_of<Tile>(args.x.shape[0], columns),
        stream,
        interleaved<T>(args.dgate, args.dup),
        matrix<T>(args.gate_up.data, round_up(columns, 2), 2 * args.intermediate, columns),
        output(args.dx, (args.flags & TSP_ACCUMULATE) != 0));
}

} // namespace

void gated_mlp_hidden_gradients(const tsp_gated_mlp_backward_args &args, cudaStream_t stream) {
    args.x.dtype == TSP_BF16 ? hidden_gradients<bf16>(args, stream) : hidden_gradients<float>(args, stream);
}

void gated_mlp_input_gradient(const tsp_gated_mlp_backward_args &args, cudaStream_t stream) {
    args.x.dtype == TSP_BF16 ? input_gradient<bf16>(args, stream) : input_gradient<float>(args, stream);
}

tsp_status gated_mlp_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        gated_mlp_hidden_gradients(args, stream_of(where));
        gated_mlp_input_gradient(args, stream_of(where));
    });
}

} // namespace tsp::gpu
