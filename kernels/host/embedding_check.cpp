#include "check.h"
#include "checks.h"

namespace tsp {

void check(const tsp_embedding_args &args) {
    require_tensor(args.table, "table", 2, {TSP_F32, TSP_BF16});
    require_tensor(args.ids, "ids", 1, {TSP_I32});
    require_tensor(args.out, "out", 2, {args.table.dtype});
    require_shape(args.out, "out", {args.ids.shape[0], args.table.shape[1]});
    require((args.flags & ~TSP_KEEP_OUT_OF_RANGE) == 0, "flags is %u, only TSP_KEEP_OUT_OF_RANGE is known", args.flags);
    require_data(args.table, "table");
    require_data(args.ids, "ids");
    require_data(args.out, "out");
}

void check_shapes(const tsp_embedding_backward_args &args) {
    require_tensor(args.dout, "dout", 2, {TSP_F32, TSP_BF16});
    require_tensor(args.ids, "ids", 1, {TSP_I32});
    require_shape(args.ids, "ids", {args.dout.shape[0]});
    require_tensor(args.dtable, "dtable", 2, {TSP_F32});
    require_shape(args.dtable, "dtable", {args.dtable.shape[0], args.dout.shape[1]});
    require((args.flags & ~TSP_ACCUMULATE) == 0, "flags is %u, only TSP_ACCUMULATE is known", args.flags);
}

void check(const tsp_embedding_backward_args &args) {
    check_shapes(args);
    require_data(args.dout, "dout");
    require_data(args.ids, "ids");
    require_data(args.dtable, "dtable");
}

} // namespace tsp
