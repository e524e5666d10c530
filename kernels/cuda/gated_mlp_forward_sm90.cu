/* Gated MLP forward on sm_90a: both products by multiply_wide where the copy engine can read their operands. */
#include "checks.h"
#include "gated_mlp.h"
#include "gemm_sm90.h"
#include "ops.h"
#include "ops_sm90.h"

namespace tsp::gpu {
namespace {

using namespace gemm;

struct Operands {
    WideMatrix x;
    WideMatrix gate_up;
    WideMatrix hidden;
    WideMatrix down;

    Operands(const tsp_gated_mlp_args &args, const ForwardPlan &plan)
        : x(wide_matrix("x", args.x)),
          gate_up{"gate_up", args.gate_up.data, round_up(x.columns, 2), 2 * args.intermediate, x.columns},
          hidden{"hidden", plan.hidden, args.intermediate, plan.block_rows, args.intermediate},
          down{"down", args.down.data, args.intermediate, x.columns, args.intermediate} {}

    bool wide() const {
        return is_wide(x) && is_wide(gate_up) && is_wide(hidden) && is_wide(down);
    }
};

void forward_wide(const tsp_gated_mlp_args &args, const ForwardPlan &plan, cudaStream_t stream) {
    const Operands all(args, plan);
    const int64_t columns = all.x.columns;
    const int64_t features = args.intermediate;
    const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
    WideOperands up{};
    up.b[0] = map_along_depth(all.gate_up, Wide::COLUMNS);
    WideOperands down{};
    down.a[0] = map_along_depth(all.hidden, Wide::ROWS);
    down.b[0] = map_along_depth(all.down, Wide::COLUMNS);
    for (int64_t first = 0; first < all.x.rows; first += BLOCK_ROWS) {
        const int64_t count = smaller(all.x.rows - first, BLOCK_ROWS);
        const Groups<bf16> hidden{static_cast<bf16 *>(plan.hidden), features, count, features, true};
        up.a[0] = map_along_depth(wide_matrix("x", part_of(args.x, first, count)), Wide::ROWS);
        set_shape(up, count, 2 * features, columns, 0);
        launch_wide<Major::K>(
            "gated_mlp_forward, gate and up",
            up,
            StoreHidden<bf16>{hidden, groups<bf16>(part_of(args.saved, first, count))},
            stream);
        set_shape(down, count, columns, features, 0);
        launch_wide<Major::K>(
            "gated_mlp_forward, down", down, output(part_of(args.y, first, count), accumulate), stream);
    }
}

} // namespace

tsp_status gated_mlp_forward_sm90(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    bool done = false;
    const tsp_status status = guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const ForwardPlan plan(args, where.workspace);
        require_workspace(where, plan.workspace.bytes());
        if (args.x.dtype == TSP_BF16 && Operands(args, plan).wide()) {
            forward_wide(args, plan, stream_of(where));
            done = true;
        }
    });
    return done || status != TSP_OK ? status : gated_mlp_forward(args_in, launch_in, error);
}

} // namespace tsp::gpu
