/* clip and adamw. */
#include "check.h"
#include "checks.h"

namespace tsp {

void check(const tsp_clip_args &args) {
    require_tensor(args.squares, "squares", 1, {TSP_F64});
    require_tensor(args.hyper, "hyper", 1, {TSP_F32});
    require_shape(args.hyper, "hyper", {TSP_HYPER_COUNT});
    require_tensor(args.clip, "clip", 1, {TSP_F32});
    require_shape(args.clip, "clip", {3});
    require_data(args.squares, "squares");
    require_data(args.hyper, "hyper");
    require_data(args.clip, "clip");
}

void check(const tsp_adamw_args &args) {
    const int64_t count = args.parameter.shape[0];
    const auto require_vector = [&](const tsp_tensor &tensor, const char *name, tsp_dtype other) {
        require_tensor(tensor, name, 1, {TSP_F32, other});
        require_shape(tensor, name, {count});
        require_data(tensor, name);
    };
    require_vector(args.parameter, "parameter", TSP_F32);
    require_vector(args.grad, "grad", TSP_F32);
    require_vector(args.first, "first", TSP_BF16);
    require_vector(args.second, "second", TSP_BF16);
    if (args.rounded.data != nullptr) {
        require_vector(args.rounded, "rounded", TSP_BF16);
    }
    require_tensor(args.hyper, "hyper", 1, {TSP_F32});
    require_shape(args.hyper, "hyper", {TSP_HYPER_COUNT});
    require_data(args.hyper, "hyper");
    require_tensor(args.clip, "clip", 1, {TSP_F32});
    require_shape(args.clip, "clip", {3});
    require_data(args.clip, "clip");
    require((args.flags & ~TSP_DECAY) == 0, "flags is %u, only TSP_DECAY is known", args.flags);
}

} // namespace tsp
