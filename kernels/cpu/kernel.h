/* The frame around every kernel: reads its arguments, turns exceptions into a status, shares work out to threads. */
#pragma once

#include <cstring>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "check.h"
#include "simd.h"

namespace tsp::TSP_ISA {

/* Copies a struct that starts with struct_size; what the caller's version of it does not cover is zero. */
template <class Struct>
Struct read_struct(const void *source, const char *name) {
    require(source != nullptr, "%s is NULL", name);
    uint32_t bytes;
    std::memcpy(&bytes, source, sizeof bytes);
    require(bytes >= sizeof bytes, "%s: struct_size is %u", name, bytes);
    Struct copy{};
    std::memcpy(&copy, source, bytes < sizeof copy ? bytes : sizeof copy);
    return copy;
}

template <class Args>
Args read_args(const void *args) {
    return read_struct<Args>(args, "args");
}

inline tsp_launch read_launch(const tsp_launch *launch) {
    const auto copy = read_struct<tsp_launch>(launch, "launch");
    require(copy.threads >= 1, "launch: threads is %d, at least 1 is needed", copy.threads);
    return copy;
}

/* The body of each entry of the table: no exception leaves it. */
template <class Body>
tsp_status guard(tsp_error *error, const Body &body) noexcept {
    try {
        body();
        return TSP_OK;
    } catch (const Error &failure) {
        return report(error, failure.status, failure.message);
    } catch (...) {
        return report(error, TSP_INTERNAL, "a kernel failed in an unexpected way: please report this");
    }
}

/* workspace_bytes of a kernel whose arguments are wrong: nothing, since run will say what is wrong. */
template <class Body>
int64_t guard_workspace(const Body &body) noexcept {
    try {
        return body();
    } catch (...) {
        return 0;
    }
}

inline int64_t no_workspace(const void *, const tsp_launch *) noexcept {
    return 0;
}

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

/* Cuts a workspace into arrays aligned to 64 bytes; without memory it only counts. */
class Workspace {
public:
    explicit Workspace(void *memory) : base(reinterpret_cast<uintptr_t>(memory)) {}

    template <class T>
    T *take(int64_t count) {
        const uintptr_t here = base + static_cast<uintptr_t>(used);
        used += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        return reinterpret_cast<T *>(here);
    }

    int64_t bytes() const {
        return used;
    }

private:
    uintptr_t base;
    int64_t used = 0;
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
