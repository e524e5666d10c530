/* The ops that add up: sum, column_sum, square_sum. */
#include "check.h"
#include "checks.h"

namespace tsp {
namespace {

tsp_tensor vector_of(void *data, int64_t count, tsp_dtype dtype) {
    return {data, {count}, {1}, 1, dtype};
}

} // namespace

void check(const tsp_sum_args &args) {
    require(args.source_count >= 1, "source_count is %d, at least 1 is needed", args.source_count);
    require(args.sources != nullptr, "sources is NULL");
    const tsp_tensor target = vector_of(args.target, args.count, args.dtype);
    require_tensor(target, "target", 1, {TSP_F32, TSP_BF16});
    require_data(target, "target");
    for (int32_t i = 0; i < args.source_count; ++i) {
        const tsp_tensor source = vector_of(const_cast<void *>(args.sources[i]), args.count, args.dtype);
        require_data(source, "sources");
    }
}

void check_shapes(const tsp_column_sum_args &args) {
    require_tensor(args.x, "x", 2, {TSP_F32, TSP_BF16});
    require_tensor(args.out, "out", 1, {TSP_F32});
    require_shape(args.out, "out", {args.x.shape[1]});
    require((args.flags & ~TSP_ACCUMULATE) == 0, "flags is %u, only TSP_ACCUMULATE is known", args.flags);
}

void check(const tsp_column_sum_args &args) {
    check_shapes(args);
    require_data(args.x, "x");
    require_data(args.out, "out");
}

void check_shapes(const tsp_square_sum_args &args) {
    require_tensor(args.x, "x", 1, {TSP_F32});
    require_tensor(args.out, "out", 1, {TSP_F64});
    require_shape(args.out, "out", {1});
    require((args.flags & ~TSP_ACCUMULATE) == 0, "flags is %u, only TSP_ACCUMULATE is known", args.flags);
}

void check(const tsp_square_sum_args &args) {
    check_shapes(args);
    require_data(args.x, "x");
    require_data(args.out, "out");
}

} // namespace tsp
