/* The sum of squares in fp64: blocks of one size have sums of their own, which are added up in order. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

constexpr int64_t BLOCK = int64_t{1} << 15;

constexpr int LANES = WIDTH / 2;
using Floats = float __attribute__((vector_size(4 * LANES)));
using Doubles = double __attribute__((vector_size(8 * LANES)));

/* Four chains of additions, since one would wait for itself. A square of an f32 is exact in fp64. */
double sum_of_block(const float *x, int64_t count) {
    constexpr int CHAINS = 4;
    Doubles sums[CHAINS] = {};
    int64_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES) {
        for (int chain = 0; chain < CHAINS; ++chain) {
            const auto values = __builtin_convertvector(load_as<Floats>(x + i + chain * LANES), Doubles);
            sums[chain] += values * values;
        }
    }
    const Doubles sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double total = 0.0;
    for (int lane = 0; lane < LANES; ++lane) {
        total += sum[lane];
    }
    for (; i < count; ++i) {
        total += double{x[i]} * double{x[i]};
    }
    return total;
}

int64_t blocks_of(const tsp_square_sum_args &args) {
    return (args.x.shape[0] + BLOCK - 1) / BLOCK;
}

} // namespace

tsp_status square_sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_square_sum_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        require_workspace(launch, square_sum_workspace(&args, &launch));
        const auto *x = static_cast<const float *>(args.x.data);
        const int64_t count = args.x.shape[0];
        auto *sums = static_cast<double *>(launch.workspace);
        parallel_for(launch.threads, count, BLOCK, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; i += BLOCK) {
                sums[i / BLOCK] = sum_of_block(x + i, last - i < BLOCK ? last - i : BLOCK);
            }
        });
        double total = 0.0;
        for (int64_t block = 0; block < blocks_of(args); ++block) {
            total += sums[block];
        }
        auto *out = static_cast<double *>(args.out.data);
        *out = (args.flags & TSP_ACCUMULATE) != 0 ? *out + total : total;
    });
}

int64_t square_sum_workspace(const void *args_in, const tsp_launch *launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_square_sum_args>(args_in);
        read_launch(launch);
        check_shapes(args);
        return blocks_of(args) * static_cast<int64_t>(sizeof(double));
    });
}

} // namespace tsp::TSP_ISA
