/* The reduction of collectives: element by element, in the order of the sources. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 14;

template <class T>
const T *source_of(const tsp_sum_args &args, int32_t source) {
    return static_cast<const T *>(args.sources[source]);
}

/* VECS vectors at i; several, so that each source is read in runs of whole cache lines. */
template <int VECS, class T>
TSP_INLINE void sum_vectors(const tsp_sum_args &args, int64_t i) {
    Vec sums[VECS];
    for (int j = 0; j < VECS; ++j) {
        sums[j] = load(source_of<T>(args, 0) + i + j * WIDTH);
    }
    for (int32_t source = 1; source < args.source_count; ++source) {
        for (int j = 0; j < VECS; ++j) {
            sums[j] = sums[j] + load(source_of<T>(args, source) + i + j * WIDTH);
        }
    }
    for (int j = 0; j < VECS; ++j) {
        store(static_cast<T *>(args.target) + i + j * WIDTH, sums[j]);
    }
}

template <class T>
void sum_all(const tsp_sum_args &args, int32_t threads) {
    parallel_for(threads, args.count, GRAIN, [&](int64_t first, int64_t last) {
        constexpr int VECS = 4;
        int64_t i = first;
        for (; i + VECS * WIDTH <= last; i += VECS * WIDTH) {
            sum_vectors<VECS, T>(args, i);
        }
        for (; i + WIDTH <= last; i += WIDTH) {
            sum_vectors<1, T>(args, i);
        }
        for (; i < last; ++i) {
            float sum = to_float(source_of<T>(args, 0)[i]);
            for (int32_t source = 1; source < args.source_count; ++source) {
                sum += to_float(source_of<T>(args, source)[i]);
            }
            static_cast<T *>(args.target)[i] = from_float<T>(sum);
        }
    });
}

} // namespace

tsp_status sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_sum_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        if (args.dtype == TSP_BF16) {
            sum_all<bf16>(args, launch.threads);
        } else {
            sum_all<float>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
