/* Several consecutive elements at once: what memory likes best is 16 bytes for each thread. */
#pragma once

#include "bf16.h"

namespace tsp::gpu {

constexpr int64_t VECTOR_BYTES = 16;

/* Elements of a type in a vector of 16 bytes. */
template <class T>
constexpr int VECTOR = static_cast<int>(VECTOR_BYTES / sizeof(T));

inline bool is_vector(const void *data) {
    return reinterpret_cast<uintptr_t>(data) % VECTOR_BYTES == 0;
}

/* Whether every row of a tensor without a last stride other than 1 begins at a multiple of 16 bytes. */
inline bool has_vector_rows(const tsp_tensor &tensor) {
    const int64_t element = tensor.dtype == TSP_BF16 ? 2 : tensor.dtype == TSP_F64 ? 8 : 4;
    bool aligned = is_vector(tensor.data);
    for (int32_t i = 0; i + 1 < tensor.rank; ++i) {
        aligned = aligned && tensor.strides[i] * element % VECTOR_BYTES == 0;
    }
    return aligned;
}

/* COUNT elements as fp32: from one or more vectors of 16 bytes, 8 bytes if they are no more, or one by one. */
template <int COUNT, bool ALIGNED>
__device__ __forceinline__ void load(const float *source, float (&values)[COUNT]) {
    if constexpr (ALIGNED && COUNT % 4 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(source + i);
            values[i] = four.x;
            values[i + 1] = four.y;
            values[i + 2] = four.z;
            values[i + 3] = four.w;
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            values[i] = source[i];
        }
    }
}

template <int COUNT, bool ALIGNED>
__device__ __forceinline__ void load(const bf16 *source, float (&values)[COUNT]) {
    if constexpr (ALIGNED && COUNT % 8 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 8) {
            const uint4 words = *reinterpret_cast<const uint4 *>(source + i);
            const uint32_t all[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                values[i + 2 * j] = low(all[j]);
                values[i + 2 * j + 1] = high(all[j]);
            }
        }
    } else if constexpr (ALIGNED && COUNT % 4 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 4) {
            const uint2 words = *reinterpret_cast<const uint2 *>(source + i);
            values[i] = low(words.x);
            values[i + 1] = high(words.x);
            values[i + 2] = low(words.y);
            values[i + 3] = high(words.y);
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            values[i] = to_float(source[i]);
        }
    }
}

template <int COUNT, bool ALIGNED>
__device__ __forceinline__ void store(float *target, const float (&values)[COUNT]) {
    if constexpr (ALIGNED && COUNT % 4 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 4) {
            *reinterpret_cast<float4 *>(target + i) =
                make_float4(values[i], values[i + 1], values[i + 2], values[i + 3]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            target[i] = values[i];
        }
    }
}

template <int COUNT, bool ALIGNED>
__device__ __forceinline__ void store(bf16 *target, const float (&values)[COUNT]) {
    if constexpr (ALIGNED && COUNT % 8 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 8) {
            *reinterpret_cast<uint4 *>(target + i) = make_uint4(
                pack(values[i], values[i + 1]),
                pack(values[i + 2], values[i + 3]),
                pack(values[i + 4], values[i + 5]),
                pack(values[i + 6], values[i + 7]));
        }
    } else if constexpr (ALIGNED && COUNT % 4 == 0) {
#pragma unroll
        for (int i = 0; i < COUNT; i += 4) {
            *reinterpret_cast<uint2 *>(target + i) =
                make_uint2(pack(values[i], values[i + 1]), pack(values[i + 2], values[i + 3]));
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            target[i] = from_float<bf16>(values[i]);
        }
    }
}

} // namespace tsp::gpu
