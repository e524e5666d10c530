/* The reduction of collectives: element by element, in the order of the sources. */
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "vector.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
/* They travel as a parameter of the kernel, whose parameters have 4 KB. */
constexpr int32_t MOST_SOURCES = 256;

struct Operands {
    const void *sources[MOST_SOURCES];
    void *target;
    int64_t count;
    int32_t source_count;
};

/* STEP elements at i. Sources are asked for a few at a time, and added one by one. */
template <int STEP, class T>
__device__ __forceinline__ void sum_step(const Operands &args, int64_t i) {
    float sums[STEP];
    load<STEP, true>(static_cast<const T *>(args.sources[0]) + i, sums);
#pragma unroll 4
    for (int32_t source = 1; source < args.source_count; ++source) {
        float values[STEP];
        load<STEP, true>(static_cast<const T *>(args.sources[source]) + i, values);
#pragma unroll
        for (int j = 0; j < STEP; ++j) {
            sums[j] += values[j];
        }
    }
    store<STEP, true>(static_cast<T *>(args.target) + i, sums);
}

/* STEP 1: sources or target are not aligned to vectors. */
template <int STEP, class T>
__global__ void __launch_bounds__(THREADS) sum_all(const __grid_constant__ Operands args) {
    const int64_t steps = args.count / STEP;
    const int64_t thread = int64_t{blockIdx.x} * THREADS + threadIdx.x;
    const int64_t threads = int64_t{gridDim.x} * THREADS;
    for (int64_t i = thread; i < steps; i += threads) {
        sum_step<STEP, T>(args, i * STEP);
    }
    if (steps * STEP + thread < args.count) {
        sum_step<1, T>(args, steps * STEP + thread);
    }
}

template <class T>
void sum_as(const tsp_sum_args &args, const tsp_launch &where) {
    Operands operands{};
    operands.target = args.target;
    operands.count = args.count;
    operands.source_count = args.source_count;
    bool aligned = is_vector(args.target);
    for (int32_t i = 0; i < args.source_count; ++i) {
        operands.sources[i] = args.sources[i];
        aligned = aligned && is_vector(args.sources[i]);
    }
    const int step = aligned ? VECTOR<T> : 1;
    const Grid grid{blocks_for(divide_up(args.count, int64_t{THREADS} * step)), THREADS};
    launch("sum", aligned ? sum_all<VECTOR<T>, T> : sum_all<1, T>, grid, stream_of(where), operands);
}

} // namespace

tsp_status sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_sum_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.source_count > MOST_SOURCES) {
            fail(
                TSP_UNSUPPORTED,
                "source_count is %d, kernels for GPUs add at most %d sources at once",
                args.source_count,
                MOST_SOURCES);
        }
        if (args.dtype == TSP_BF16) {
            sum_as<bf16>(args, where);
        } else {
            sum_as<float>(args, where);
        }
    });
}

} // namespace tsp::gpu
