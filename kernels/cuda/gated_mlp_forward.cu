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

template <class T>
void forward(const tsp_gated_mlp_args &args, const ForwardPlan &plan, cudaStream_t stream) {
    using Tile = LargeTile<T>;
    const int64_t rows = args.x.shape[0];
    const int64_t columns = args.x.shape[1];
    const int64_t features = args.intermediate;
    const auto gate_up = matrix<T>(args.gate_up.data, round_up(columns, 2), 2 * features, columns);
    const auto down = matrix<T>(args.down.data, features, columns, features);
    const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
    for (int64_t first = 0; first < rows; first += BLOCK_ROWS) {
        const int64_t count = smaller(rows - first, BLOCK_ROWS);
        const Groups<T> hidden{static_cast<T *>(plan.hidden), features, count, features, true};
        launch(
            "gated_mlp_forward, gate and up",
            multiply<Tile, false, T, Matrix<T>, StoreHidden<T>>,
            grid_of<Tile>(count, 2 * features),
            stream,
            matrix<T>(part_of(args.x, first, count)),
            gate_up,
            StoreHidden<T>{hidden, groups<T>(part_of(args.saved, first, count))});
        launch(
            "gated_mlp_forward, down",
            multiply<Tile, false, T, Matrix<T>, Output>,
            grid_of<Tile>(count, columns),
            stream,
            matrix<T>(plan.hidden, features, count, features),
            down,
            output(part_of(args.y, first, count), accumulate));
    }
}

} // namespace

tsp_status gated_mlp_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const ForwardPlan plan(args, where.workspace);
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
        return ForwardPlan(args, nullptr).workspace.bytes();
    });
}

} // namespace tsp::gpu
