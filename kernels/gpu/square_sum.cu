/* The sum of squares in fp64: pieces of one size have sums of their own, which one block adds up in a fixed order. */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "partial.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int STEP = 4;
constexpr int64_t PIECE = int64_t{1} << 15;

int64_t pieces_of(const tsp_square_sum_args &args) {
    return divide_up(args.x.shape[0], PIECE);
}

/* Four chains of additions for each thread. A square of an f32 is exact in fp64. */
template <bool ALIGNED>
__global__ void __launch_bounds__(THREADS) sum_pieces(const float *x, int64_t count, double *sums) {
    double *scratch = shared_memory<double>();
    const int64_t pieces = divide_up(count, PIECE);
    for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64_t end = smaller(count, (piece + 1) * PIECE);
        double own[STEP] = {};
#pragma unroll 4
        for (int64_t i = piece * PIECE + threadIdx.x * STEP; i < end; i += THREADS * STEP) {
            float values[STEP];
            load_some<STEP, ALIGNED>(x + i, end - i, 0.0f, values);
#pragma unroll
            for (int j = 0; j < STEP; ++j) {
                own[j] += static_cast<double>(values[j]) * static_cast<double>(values[j]);
            }
        }
        const double sum = reduce_block<THREADS>((own[0] + own[1]) + (own[2] + own[3]), Add{}, scratch);
        if (threadIdx.x == 0) {
            sums[piece] = sum;
        }
    }
}

__global__ void __launch_bounds__(THREADS) add_pieces(const double *sums, int64_t count, double *out, bool accumulate) {
    double *scratch = shared_memory<double>();
    double own = 0.0;
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < count; i += THREADS) {
        own += sums[i];
    }
    const double sum = reduce_block<THREADS>(own, Add{}, scratch);
    if (threadIdx.x == 0) {
        *out = accumulate ? *out + sum : sum;
    }
}

} // namespace

tsp_status square_sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_square_sum_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        require_workspace(where, square_sum_workspace(&args, &where));
        const int64_t pieces = pieces_of(args);
        const size_t shared = sizeof(double) * (THREADS / WARP);
        auto *sums = static_cast<double *>(where.workspace);
        launch(
            "square_sum",
            is_vector(args.x.data) ? sum_pieces<true> : sum_pieces<false>,
            Grid{blocks_for(pieces), THREADS, shared},
            stream_of(where),
            static_cast<const float *>(args.x.data),
            args.x.shape[0],
            sums);
        launch(
            "square_sum: pieces",
            add_pieces,
            Grid{1, THREADS, shared},
            stream_of(where),
            sums,
            pieces,
            static_cast<double *>(args.out.data),
            (args.flags & TSP_ACCUMULATE) != 0);
    });
}

int64_t square_sum_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_square_sum_args>(args_in);
        read_launch(launch_in);
        check_shapes(args);
        return pieces_of(args) * static_cast<int64_t>(sizeof(double));
    });
}

} // namespace tsp::gpu
