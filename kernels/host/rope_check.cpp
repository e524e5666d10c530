#include <cinttypes>

#include "check.h"
#include "checks.h"

namespace tsp {

void check(const tsp_rope_args &args) {
    require_tensor(args.x, "x", 3, {TSP_F32, TSP_BF16});
    require(args.x.shape[2] % 2 == 0, "x: shape[2] is %" PRId64 ", an even number is needed", args.x.shape[2]);
    require_tensor(args.positions, "positions", 1, {TSP_I32});
    require_shape(args.positions, "positions", {args.x.shape[0]});
    require_tensor(args.inv_freq, "inv_freq", 1, {TSP_F32});
    require_shape(args.inv_freq, "inv_freq", {args.x.shape[2] / 2});
    require((args.flags & ~TSP_INVERSE) == 0, "flags is %u, only TSP_INVERSE is known", args.flags);
    require_data(args.x, "x");
    require_data(args.positions, "positions");
    require_data(args.inv_freq, "inv_freq");
}

} // namespace tsp
