/* TSP_HD marks pure functions that CPU and GPU kernels share. */
#pragma once

#include <stdint.h>

#if defined(__CUDACC__) || defined(__HIP__)
#define TSP_HD __host__ __device__ __forceinline__
#else
/* Always inlined: a shared copy might be the one compiled for a newer processor than the one it runs on. */
#define TSP_HD inline __attribute__((always_inline))
#endif

namespace tsp {

template <class T>
TSP_HD constexpr T smaller(T a, T b) {
    return a < b ? a : b;
}

template <class T>
TSP_HD constexpr T larger(T a, T b) {
    return a < b ? b : a;
}

/* Both for a >= 0, b > 0. */
TSP_HD constexpr int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

TSP_HD constexpr int64_t round_up(int64_t a, int64_t b) {
    return divide_up(a, b) * b;
}

} // namespace tsp
