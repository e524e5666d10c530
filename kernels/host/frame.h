/* The frame around every kernel: reads its arguments, turns exceptions into a status, cuts the workspace. */
#pragma once

#include <cstring>

#include "check.h"

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

} // namespace tsp::TSP_ISA
