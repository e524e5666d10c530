#include "check.h"
#include "checks.h"

namespace tsp {
namespace {

void require_state(const tsp_tensor &state, int64_t rows) {
    require_tensor(state, "state", 2, {TSP_F32});
    require_shape(state, "state", {rows, 3});
    require_data(state, "state");
}

void require_labels(const tsp_tensor &labels, int64_t rows) {
    require_tensor(labels, "labels", 1, {TSP_I32});
    require_shape(labels, "labels", {rows});
    require_data(labels, "labels");
}

} // namespace

void check(const tsp_cross_entropy_update_args &args) {
    require_tensor(args.logits, "logits", 2, {TSP_F32});
    require_data(args.logits, "logits");
    const int64_t rows = args.logits.shape[0];
    require_labels(args.labels, rows);
    require_state(args.state, rows);
    require((args.flags & ~TSP_FIRST) == 0, "flags is %u, only TSP_FIRST is known", args.flags);
}

void check(const tsp_cross_entropy_merge_args &args) {
    require_tensor(args.parts, "parts", 3, {TSP_F32});
    const int64_t rows = args.parts.shape[1];
    require_shape(args.parts, "parts", {args.parts.shape[0], rows, 3});
    require_data(args.parts, "parts");
    require_state(args.state, rows);
}

void check(const tsp_cross_entropy_finish_args &args) {
    const int64_t rows = args.state.rank > 0 ? args.state.shape[0] : 0;
    require_state(args.state, rows);
    require_labels(args.labels, rows);
    if (args.losses.data != nullptr) {
        require_tensor(args.losses, "losses", 1, {TSP_F32});
        require_shape(args.losses, "losses", {rows});
        require_data(args.losses, "losses");
    }
    require_tensor(args.totals, "totals", 1, {TSP_F64});
    require_shape(args.totals, "totals", {2});
    require_data(args.totals, "totals");
}

void check(const tsp_cross_entropy_backward_args &args) {
    require_tensor(args.logits, "logits", 2, {TSP_F32});
    const int64_t rows = args.logits.shape[0];
    require_tensor(args.labels, "labels", 1, {TSP_I32});
    require_shape(args.labels, "labels", {rows});
    require_tensor(args.state, "state", 2, {TSP_F32});
    require_shape(args.state, "state", {rows, 3});
    require_tensor(args.scale, "scale", 1, {TSP_F32});
    require_shape(args.scale, "scale", {1});
    require_tensor(args.dlogits, "dlogits", 2, {TSP_F32, TSP_BF16});
    require_shape(args.dlogits, "dlogits", {rows, args.logits.shape[1]});
    require_data(args.logits, "logits");
    require_data(args.labels, "labels");
    require_data(args.state, "state");
    require_data(args.scale, "scale");
    require_data(args.dlogits, "dlogits");
    if (args.dlogits.data != nullptr && args.dlogits.data == args.logits.data) {
        require(
            args.dlogits.dtype == TSP_F32 && (rows <= 1 || args.dlogits.strides[0] == args.logits.strides[0]),
            "dlogits: stands in place of logits, and has another dtype or other strides");
    }
}

} // namespace tsp
