/* What ops on CPUs stand on: the frame around them, and how work is shared out to threads. */
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "frame.h"
#include "simd.h"

namespace tsp::TSP_ISA {

/* Runs body(thread, threads) once on each thread of an OpenMP team, oneDNN's team where that is in the process. The
 * runtime may give fewer threads than were asked for. body must not throw. */
template <class Body>
void parallel([[maybe_unused]] int32_t threads, const Body &body) {
#if defined(_OPENMP)
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        body(omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#endif
    body(0, 1);
}

/* Waits for the other threads of the team; every thread of it must come here. */
inline void barrier() {
#if defined(_OPENMP)
#pragma omp barrier
#endif
}

/* Hands tasks 0 .. count - 1 to the threads of the team as they become free, and returns when all are done; every
 * thread of the team must come here. Only for tasks whose result does not depend on who runs them. */
template <class Body>
void share_tasks(int64_t count, const Body &body) {
#if defined(_OPENMP)
#pragma omp for schedule(dynamic)
#endif
    for (int64_t task = 0; task < count; ++task) {
        body(task);
    }
}

/* Hands out 0, 1, 2, ... to the threads of a team, each number once. */
class WorkQueue {
public:
    int64_t take() {
        return __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
    }

private:
    int64_t next = 0;
};

/* Runs body(first, last) over a partition of [0, count) into at most one range per thread, cut at multiples of grain.
 * Only for work whose result does not depend on the partition. */
template <class Body>
void parallel_for(int32_t threads, int64_t count, int64_t grain, const Body &body) {
    const int64_t grains = (count + grain - 1) / grain;
    if (grains <= 1) {
        if (count > 0) {
            body(int64_t{0}, count);
        }
        return;
    }
    parallel(grains < threads ? static_cast<int32_t>(grains) : threads, [&](int64_t thread, int64_t team) {
        const int64_t first = grains * thread / team * grain;
        const int64_t last = grains * (thread + 1) / team * grain;
        if (first < last) {
            body(first, last < count ? last : count);
        }
    });
}

} // namespace tsp::TSP_ISA
