#include <cinttypes>

#include "check.h"
#include "checks.h"
#include "host_device.h"

namespace tsp {
namespace {

/* Gate features, and as many up features, of a panel. */
constexpr int64_t FEATURES = TSP_PANEL / 2;

void check_operands(
    const tsp_tensor &x, const tsp_tensor &gate_up, const tsp_tensor &down, int64_t features, uint32_t flags) {
    require_tensor(x, "x", 2, {TSP_F32, TSP_BF16});
    require(
        features >= 0 && features % FEATURES == 0,
        "intermediate is %" PRId64 ", a multiple of %" PRId64 " is needed",
        features,
        FEATURES);
    const int64_t columns = x.shape[1];
    require_tensor(gate_up, "gate_up", 1, {x.dtype});
    require_shape(gate_up, "gate_up", {2 * features * round_up(columns, 2)});
    require_tensor(down, "down", 1, {x.dtype});
    require_shape(down, "down", {round_up(columns, TSP_PANEL) * features});
    require((flags & ~TSP_ACCUMULATE) == 0, "flags is %u, only TSP_ACCUMULATE is known", flags);
}

void check_like(const tsp_tensor &tensor, const char *name, tsp_dtype dtype, int64_t rows, int64_t columns) {
    require_tensor(tensor, name, 2, {dtype});
    require_shape(tensor, name, {rows, columns});
}

} // namespace

void check_shapes(const tsp_gated_mlp_args &args) {
    check_operands(args.x, args.gate_up, args.down, args.intermediate, args.flags);
    const int64_t rows = args.x.shape[0];
    check_like(args.y, "y", TSP_F32, rows, args.x.shape[1]);
    if (args.saved.data != nullptr) {
        check_like(args.saved, "saved", args.x.dtype, rows, 2 * args.intermediate);
    }
}

void check(const tsp_gated_mlp_args &args) {
    check_shapes(args);
    require_data(args.x, "x");
    require_data(args.gate_up, "gate_up");
    require_data(args.down, "down");
    require_data(args.y, "y");
    if (args.saved.data != nullptr) {
        require_data(args.saved, "saved");
    }
}

void check_shapes(const tsp_gated_mlp_backward_args &args) {
    check_operands(args.x, args.gate_up, args.down, args.intermediate, args.flags);
    const tsp_dtype dtype = args.x.dtype;
    const int64_t rows = args.x.shape[0];
    check_like(args.dy, "dy", dtype, rows, args.x.shape[1]);
    if (args.saved.data != nullptr) {
        check_like(args.saved, "saved", dtype, rows, 2 * args.intermediate);
    }
    check_like(args.hidden, "hidden", dtype, rows, args.intermediate);
    check_like(args.dgate, "dgate", dtype, rows, args.intermediate);
    check_like(args.dup, "dup", dtype, rows, args.intermediate);
    check_like(args.dx, "dx", TSP_F32, rows, args.x.shape[1]);
}

void check(const tsp_gated_mlp_backward_args &args) {
    check_shapes(args);
    require_data(args.x, "x");
    require_data(args.gate_up, "gate_up");
    require_data(args.down, "down");
    require_data(args.dy, "dy");
    if (args.saved.data != nullptr) {
        require_data(args.saved, "saved");
    }
    require_data(args.hidden, "hidden");
    require_data(args.dgate, "dgate");
    require_data(args.dup, "dup");
    require_data(args.dx, "dx");
}

} // namespace tsp
