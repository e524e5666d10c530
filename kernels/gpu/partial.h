/* Runs of elements that may end before a vector does. */
#pragma once

#include "vector.h"

namespace tsp::gpu {

/* COUNT elements as fp32, of which the first `left` are there; the others are `filler`. */
template <int COUNT, bool ALIGNED, class T>
__device__ __forceinline__ void load_some(const T *source, int64_t left, float filler, float (&values)[COUNT]) {
    if (left >= COUNT) {
        load<COUNT, ALIGNED>(source, values);
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            values[i] = i < left ? to_float(source[i]) : filler;
        }
    }
}

/* The first `left` of COUNT elements. */
template <int COUNT, bool ALIGNED, class T>
__device__ __forceinline__ void store_some(T *target, int64_t left, const float (&values)[COUNT]) {
    if (left >= COUNT) {
        store<COUNT, ALIGNED>(target, values);
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            if (i < left) {
                target[i] = from_float<T>(values[i]);
            }
        }
    }
}

} // namespace tsp::gpu
