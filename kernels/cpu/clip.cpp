/* From sums of squares to the factor by which gradients are clipped. */
#include <cmath>

#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* What PyTorch adds to the norm before it divides. */
constexpr double LEAST_NORM = 1e-6;

} // namespace

tsp_status clip(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_clip_args>(args_in);
        read_launch(launch_in);
        check(args);
        double squares = 0.0;
        for (int64_t i = 0; i < args.squares.shape[0]; ++i) {
            squares += static_cast<const double *>(args.squares.data)[i];
        }
        const double norm = std::sqrt(squares);
        const auto norm_f32 = static_cast<float>(norm);
        const bool found = !std::isfinite(norm_f32);
        const double max_norm = static_cast<const float *>(args.hyper.data)[TSP_HYPER_MAX_NORM];
        const double wanted = max_norm > 0.0 && !found ? max_norm / (norm + LEAST_NORM) : 1.0;
        auto *out = static_cast<float *>(args.clip.data);
        out[0] = static_cast<float>(wanted < 1.0 ? wanted : 1.0);
        out[1] = found ? 1.0f : 0.0f;
        out[2] = norm_f32;
    });
}

} // namespace tsp::TSP_ISA
