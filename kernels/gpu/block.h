/* What threads of a warp or block compute together. Sums are made in an order that is always the same. */
#pragma once

#include <cuda_runtime.h>

#include "host_device.h"

namespace tsp::gpu {

constexpr int WARP = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;

/* The block's shared memory; kernels lay it out themselves, as one struct or array. */
template <class T>
__device__ __forceinline__ T *shared_memory() {
#if defined(__CUDACC__)
    extern __shared__ __align__(1024) unsigned char tsp_shared[];
    return reinterpret_cast<T *>(tsp_shared);
#else
    return reinterpret_cast<T *>(tsp::emulator::block().shared);
#endif
}

struct Add {
    template <class T>
    __device__ __forceinline__ T operator()(T a, T b) const {
        return a + b;
    }
};

struct Max {
    template <class T>
    __device__ __forceinline__ T operator()(T a, T b) const {
        return a < b ? b : a;
    }
};

/* All lanes get the result; the operation is associative but for rounding, and commutative. */
template <class T, class Operation>
__device__ __forceinline__ T reduce_warp(T value, Operation operation) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value = operation(value, __shfl_xor_sync(ALL_LANES, value, distance));
    }
    return value;
}

/* All threads of the block get the result. scratch: shared memory for one value of each warp; THREADS: of the block. */
template <int THREADS, class T, class Operation>
__device__ __forceinline__ T reduce_block(T value, Operation operation, T *scratch) {
    value = reduce_warp(value, operation);
    if constexpr (THREADS == WARP) {
        return value;
    }
    const int thread = static_cast<int>(threadIdx.x);
    __syncthreads();
    if (thread % WARP == 0) {
        scratch[thread / WARP] = value;
    }
    __syncthreads();
    T result = scratch[0];
#pragma unroll
    for (int warp = 1; warp < THREADS / WARP; ++warp) {
        result = operation(result, scratch[warp]);
    }
    return result;
}

} // namespace tsp::gpu
