/*
 * Gated MLP forward: two products for a block of rows. The first one's tiles have gates and ups of the same features in
 * neighbouring groups of eight columns (see tsp_forward.h), so a thread has both in registers, and only the hidden
 * activation goes to memory.
 */
#include "checks.h"
#include "gated_mlp.h"
#include "ops.h"

namespace tsp::gpu {
namespace {

using namespace gemm;

/* Rows whose hidden activation is in the workspace at a time: enough to fill any device many times over. */
constexpr int64_t BLOCK_ROWS = 8192;

/* hidden = silu(x gate^T) * (x up^T); saved, if it is wanted, receives both factors in packed order. */
template <class Tile, class T>
__global__ void __launch_bounds__(Tile::THREADS, RESIDENT_BLOCKS<Tile>)
    gate_and_up(Matrix<T> x, Matrix<T> packed, Groups<T> hidden, Groups<T> saved) {
    int64_t row;
    int64_t column;
    tile_corner<Tile>(x.rows, packed.rows, row, column);
    Sums<Tile> sums;
    multiply_tile<Tile, false>(sums, shared_memory<T>(), x, row, packed, column);
    for_each_row<Tile>([&](int tile_row, int tile_column, int i, int half) {
        constexpr int COUNT = Tile::COLUMN_TILES;
        float values[COUNT][2];
        float products[COUNT / 2][2];
#pragma unroll
        for (int j = 0; j < COUNT; ++j) {
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                values[j][k] = sums[i][j][2 * half + k];
                if (j % 2 != 0) {
                    products[j / 2][k] = swiglu<T>(values[j - 1][k], values[j][k]);
                }
            }
        }
        store_groups(hidden.row(row + tile_row), (column + tile_column) / 2, products);
        if (saved.data != nullptr) {
            store_groups(saved.row(row + tile_row), column + tile_column, values);
        }
    });
}

struct Plan {
    int64_t block_rows;
    int64_t hidden_stride;
    Workspace workspace;
    void *hidden;

    Plan(const tsp_gated_mlp_args &args, void *memory)
        : block_rows(smaller(args.x.shape[0], BLOCK_ROWS)),
          hidden_stride(args.intermediate),
          workspace(memory),
          hidden(workspace.take<char>(block_rows * hidden_stride * element_bytes(args.x.dtype))) {}
};

/* Rows first .. first + count - 1. */
template <class T>
tsp_tensor rows_of(tsp_tensor tensor, int64_t first, int64_t count) {
    if (tensor.data != nullptr) {
        tensor.data = static_cast<T *>(tensor.data) + first * tensor.strides[0];
    }
    tensor.shape[0] = count;
    return tensor;
}

template <class T>
void forward(const tsp_gated_mlp_args &args, const Plan &plan, cudaStream_t stream) {
    using Tile = LargeTile<T>;
    const int64_t rows = args.x.shape[0];
    const int64_t columns = args.x.shape[1];
    const int64_t features = args.intermediate;
    const auto gate_up = matrix<T>(args.gate_up.data, round_up(columns, 2), 2 * features, columns);
    const auto down = matrix<T>(args.down.data, features, columns, features);
    const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
    for (int64_t first = 0; first < rows; first += BLOCK_ROWS) {
        const int64_t count = smaller(rows - first, BLOCK_ROWS);
        const auto x = matrix<T>(rows_of<T>(args.x, first, count));
        const Groups<T> hidden{static_cast<T *>(plan.hidden), plan.hidden_stride, count, features, true};
        const auto saved = groups<T>(rows_of<T>(args.saved, first, count));
        launch(
            "gated_mlp_forward, gate and up",
            gate_and_up<Tile, T>,
            grid_of<Tile>(count, 2 * features),
            stream,
            x,
            gate_up,
            hidden,
            saved);
        launch(
            "gated_mlp_forward, down",
            multiply<Tile, false, T, Matrix<T>>,
            grid_of<Tile>(count, columns),
            stream,
            matrix<T>(plan.hidden, plan.hidden_stride, count, features),
            down,
            output(rows_of<float>(args.y, first, count), accumulate));
    }
}

} // namespace

tsp_status gated_mlp_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const Plan plan(args, where.workspace);
        require_workspace(where, plan.workspace.bytes());
        if (args.x.dtype == TSP_BF16) {
            forward<bf16>(args, plan, stream_of(where));
        } else {
            forward<float>(args, plan, stream_of(where));
        }
    });
}

int64_t gated_mlp_forward_workspace(const void *args_in, const tsp_launch *) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        check_shapes(args);
        return Plan(args, nullptr).workspace.bytes();
    });
}

} // namespace tsp::gpu
