#include <cinttypes>

#include "check.h"
#include "checks.h"

namespace tsp {

void check(const tsp_rms_norm_args &args) {
    const tsp_tensor &x = args.x;
    require(x.rank == 2 || x.rank == 3, "x: rank is %d, 2 or 3 is needed", x.rank);
    require_tensor(x, "x", x.rank, {TSP_F32, TSP_BF16});
    require_data(x, "x");
    const auto require_like_x = [&](const tsp_tensor &tensor, const char *name, tsp_dtype other) {
        require_tensor(tensor, name, x.rank, {x.dtype, other});
        require_shape(tensor, name, {x.shape[0], x.shape[1]});
        require(
            x.rank == 2 || tensor.shape[2] == x.shape[2],
            "%s: shape[2] is %" PRId64 ", %" PRId64 " is needed",
            name,
            tensor.shape[2],
            x.shape[2]);
        require_data(tensor, name);
    };
    if (args.delta.data != nullptr) {
        require_like_x(args.delta, "delta", TSP_F32);
    }
    if (args.sum.data != nullptr) {
        require_like_x(args.sum, "sum", x.dtype);
    }
    if (args.weight.data != nullptr) {
        require_tensor(args.weight, "weight", 1, {x.dtype});
        require_shape(args.weight, "weight", {x.shape[x.rank - 1]});
        require_data(args.weight, "weight");
        require_like_x(args.out, "out", x.dtype);
    }
    require(args.epsilon >= 0.0f, "epsilon is %g, 0 or more is needed", static_cast<double>(args.epsilon));
}

} // namespace tsp
