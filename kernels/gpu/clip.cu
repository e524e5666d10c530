/* From sums of squares to the factor by which gradients are clipped: one thread, the order of the sum being part of it. */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"

namespace tsp::gpu {
namespace {

/* What PyTorch adds to the norm before it divides. */
constexpr double LEAST_NORM = 1e-6;

__global__ void __launch_bounds__(WARP) clip_norm(const double *squares, int64_t parts, const float *hyper, float *clip) {
    if (threadIdx.x != 0) {
        return;
    }
    double sum = 0.0;
#pragma unroll 4
    for (int64_t i = 0; i < parts; ++i) {
        sum += squares[i];
    }
    const double norm = sqrt(sum);
    const auto norm_f32 = static_cast<float>(norm);
    const bool found = !isfinite(norm_f32);
    const double max_norm = static_cast<double>(hyper[TSP_HYPER_MAX_NORM]);
    const double wanted = max_norm > 0.0 && !found ? max_norm / (norm + LEAST_NORM) : 1.0;
    clip[0] = static_cast<float>(wanted < 1.0 ? wanted : 1.0);
    clip[1] = found ? 1.0f : 0.0f;
    clip[2] = norm_f32;
}

} // namespace

tsp_status clip(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_clip_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        launch(
            "clip",
            clip_norm,
            Grid{1, WARP},
            stream_of(where),
            static_cast<const double *>(args.squares.data),
            args.squares.shape[0],
            static_cast<const float *>(args.hyper.data),
            static_cast<float *>(args.clip.data));
    });
}

} // namespace tsp::gpu
