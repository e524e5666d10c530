#include <cinttypes>

#include "check.h"
#include "checks.h"

namespace tsp {
namespace {

void require_rows(const tsp_tensor &x) {
    require(x.rank == 2 || x.rank == 3, "x: rank is %d, 2 or 3 is needed", x.rank);
    require_tensor(x, "x", x.rank, {TSP_F32, TSP_BF16});
}

/* x's shape, and x's dtype or the other one. */
void require_like(const tsp_tensor &x, const tsp_tensor &tensor, const char *name, tsp_dtype other) {
    require_tensor(tensor, name, x.rank, {x.dtype, other});
    require_shape(tensor, name, {x.shape[0], x.shape[1]});
    require(
        x.rank == 2 || tensor.shape[2] == x.shape[2],
        "%s: shape[2] is %" PRId64 ", %" PRId64 " is needed",
        name,
        tensor.shape[2],
        x.shape[2]);
}

} // namespace

void check(const tsp_rms_norm_args &args) {
    const tsp_tensor &x = args.x;
    require_rows(x);
    require_data(x, "x");
    if (args.delta.data != nullptr) {
        require_like(x, args.delta, "delta", TSP_F32);
        require_data(args.delta, "delta");
    }
    if (args.sum.data != nullptr) {
        require_like(x, args.sum, "sum", x.dtype);
        require_data(args.sum, "sum");
    }
    if (args.weight.data != nullptr) {
        require_tensor(args.weight, "weight", 1, {x.dtype});
        require_shape(args.weight, "weight", {x.shape[x.rank - 1]});
        require_data(args.weight, "weight");
        require_like(x, args.out, "out", x.dtype);
        require_data(args.out, "out");
    }
    require(args.epsilon >= 0.0f, "epsilon is %g, 0 or more is needed", static_cast<double>(args.epsilon));
}

void check_shapes(const tsp_rms_norm_backward_args &args) {
    const tsp_tensor &x = args.x;
    require_rows(x);
    require_tensor(args.weight, "weight", 1, {x.dtype});
    require_shape(args.weight, "weight", {x.shape[x.rank - 1]});
    require_like(x, args.dout, "dout", TSP_F32);
    require_like(x, args.dx, "dx", TSP_F32);
    if (args.rounded.data != nullptr) {
        require_like(x, args.rounded, "rounded", x.dtype);
    }
    require_tensor(args.dweight, "dweight", 1, {TSP_F32});
    require_shape(args.dweight, "dweight", {x.shape[x.rank - 1]});
    require(args.epsilon >= 0.0f, "epsilon is %g, 0 or more is needed", static_cast<double>(args.epsilon));
    constexpr uint32_t KNOWN = TSP_ACCUMULATE | TSP_ACCUMULATE_WEIGHT;
    require(
        (args.flags & ~KNOWN) == 0, "flags is %u, only TSP_ACCUMULATE and TSP_ACCUMULATE_WEIGHT are known", args.flags);
    require(
        (args.flags & TSP_ACCUMULATE) == 0 || args.dx.dtype == TSP_F32,
        "dx: dtype bf16 is not supported with TSP_ACCUMULATE");
}

/* dx in place of dout means: element by element. */
void check(const tsp_rms_norm_backward_args &args) {
    check_shapes(args);
    require_data(args.x, "x");
    require_data(args.weight, "weight");
    require_data(args.dout, "dout");
    require_data(args.dx, "dx");
    if (args.rounded.data != nullptr) {
        require_data(args.rounded, "rounded");
    }
    require_data(args.dweight, "dweight");
    if (args.dx.data != nullptr && args.dx.data == args.dout.data) {
        require(args.dx.dtype == args.dout.dtype, "dx: stands in place of dout and has another dtype");
        for (int32_t i = 0; i < args.x.rank; ++i) {
            require(
                args.x.shape[i] <= 1 || args.dx.strides[i] == args.dout.strides[i],
                "dx: stands in place of dout, and strides[%d] is %" PRId64 " instead of %" PRId64,
                i,
                args.dx.strides[i],
                args.dout.strides[i]);
        }
    }
}

} // namespace tsp
