/* bf16 on GPUs: the upper half of an fp32. */
#pragma once

#include <cuda_runtime.h>

#include "host_device.h"

namespace tsp::gpu {

struct bf16 {
    uint16_t bits;
};

__device__ __forceinline__ float to_float(float x) {
    return x;
}

__device__ __forceinline__ float to_float(bf16 x) {
    return __uint_as_float(uint32_t{x.bits} << 16);
}

/* Round to nearest even; a NaN stays one. */
__device__ __forceinline__ uint32_t bf16_bits(float x) {
    const uint32_t bits = __float_as_uint(x);
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return x != x ? bits >> 16 | 0x40u : rounded;
}

/* Two numbers in one word, the first one in the low half. */
__device__ __forceinline__ uint32_t pack(float first, float second) {
#if defined(__CUDA_ARCH__)
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
    return word;
#else
    return bf16_bits(first) | bf16_bits(second) << 16;
#endif
}

__device__ __forceinline__ float low(uint32_t word) {
    return __uint_as_float(word << 16);
}

__device__ __forceinline__ float high(uint32_t word) {
    return __uint_as_float(word & 0xffff0000u);
}

template <class T>
__device__ __forceinline__ T from_float(float x);

template <>
__device__ __forceinline__ float from_float<float>(float x) {
    return x;
}

template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
#if defined(__CUDA_ARCH__)
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return {bits};
#else
    return {static_cast<uint16_t>(bf16_bits(x))};
#endif
}

/* The nearest value of the type. */
template <class T>
__device__ __forceinline__ float nearest(float x) {
    return to_float(from_float<T>(x));
}

} // namespace tsp::gpu
