#include <cinttypes>

#include "check.h"
#include "checks.h"

namespace tsp {

void check(const tsp_copy_args &args) {
    const int32_t rank = args.source.rank;
    require(rank >= 1 && rank <= TSP_MAX_RANK, "source: rank is %d, 1 to %d is needed", rank, TSP_MAX_RANK);
    require_tensor(args.source, "source", rank, {TSP_F32, TSP_BF16, TSP_I32});
    if (args.source.dtype == TSP_I32) {
        require_tensor(args.target, "target", rank, {TSP_I32});
    } else {
        require_tensor(args.target, "target", rank, {TSP_F32, TSP_BF16});
    }
    for (int32_t i = 0; i < rank; ++i) {
        require(
            args.target.shape[i] == args.source.shape[i],
            "target: shape[%d] is %" PRId64 ", %" PRId64 " is needed",
            i,
            args.target.shape[i],
            args.source.shape[i]);
    }
    require_data(args.source, "source");
    require_data(args.target, "target");
}

} // namespace tsp
