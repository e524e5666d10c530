/*
 * A vector of WIDTH floats and the operations kernels build on, for the instruction set this translation unit is
 * compiled for. Vec is the compiler's own vector type, so + - * / and unary - work on it as they stand.
 *
 *   zero, broadcast                      constants
 *   load, store                          WIDTH consecutive f32 or bf16, any alignment
 *   load_partial, store_partial          the first `count` of them, touching nothing behind; the rest is read as zero
 *   store2                               2 * WIDTH bf16 from two vectors; subnormal results may become zero
 *   stream, stream_fence                 stores of f32 past the caches, to aligned memory; the fence ends a series
 *   narrow_pairs, narrow_normal_pairs    the words of 2 * WIDTH bf16 from two vectors, as store and as store2 round
 *   round_bf16                           the nearest bf16 value as a float
 *   fma, max, min, sqrt, select_range    per lane; fma rounds once where the instruction exists. max and min give the
 *                                        second operand when either is NaN
 *   keep_between                         lanes of a vector, zero where a value is outside of that lane's bounds
 *   reduce_add, reduce_max               over the lanes, halving the vector: the same order in every run
 *   exp2, exp2_coarse                    2^x within 2 units of the last place, and within 5e-6 for results that are
 *                                        about to be rounded to bf16; -inf gives 0, NaN gives NaN
 *   broadcast_pair, load_pairs           32-bit words of two bf16; low and high widen one of the two, join puts two
 *                                        together again, join_nearest after rounding them, dot multiplies both
 *                                        (TSP_HAS_BF16_DOT)
 *   low_halves, high_halves              the same half of each word of two vectors, as the words of one
 *   transpose                            a WIDTH x WIDTH square of 32-bit words
 *
 * bf16 conversion rounds to nearest even and keeps NaN a NaN, with equal bits at every level.
 */
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#ifndef TSP_ISA
#error "compile kernels with TSP_ISA set to the name of the level: portable, avx2, avx512 or avx512bf16"
#endif

namespace tsp::TSP_ISA {

#define TSP_INLINE inline __attribute__((always_inline))

struct bf16 {
    uint16_t bits;
};

constexpr float MINUS_INFINITY = -std::numeric_limits<float>::infinity();

/* Reads and writes values in memory of any alignment and any effective type. */
template <class T>
TSP_INLINE T load_as(const void *source) {
    T value;
    std::memcpy(&value, source, sizeof value);
    return value;
}

TSP_INLINE float to_float(float x) {
    return x;
}

TSP_INLINE float to_float(bf16 x) {
    const uint32_t bits = uint32_t{x.bits} << 16;
    return load_as<float>(&bits);
}

template <class T>
TSP_INLINE T from_float(float x) {
    if constexpr (std::is_same_v<T, bf16>) {
        const auto bits = load_as<uint32_t>(&x);
        const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
        const uint32_t rounded = is_nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
        return bf16{static_cast<uint16_t>(rounded >> 16)};
    } else {
        return x;
    }
}

} // namespace tsp::TSP_ISA

#if defined(__AVX512F__)
#include "simd_avx512.h"
#elif defined(__AVX2__)
#include "simd_avx2.h"
#else
#include "simd_portable.h"
#endif

namespace tsp::TSP_ISA {

/* Makes this thread's streamed stores visible before its later ones. */
TSP_INLINE void stream_fence() {
#if defined(__SSE2__)
    __builtin_ia32_sfence();
#endif
}

TSP_INLINE Vec zero() {
    return broadcast(0.0f);
}

/* Evaluates c[0] + c[1] x + ... by Horner's rule. */
template <int N>
TSP_INLINE Vec polynomial(const float (&c)[N], Vec x) {
    Vec sum = broadcast(c[N - 1]);
#pragma GCC unroll 8
    for (int i = N - 2; i >= 0; --i) {
        sum = fma(sum, x, broadcast(c[i]));
    }
    return sum;
}

/* Minimax polynomials of 2^x on [0, 1) with p(0) = 1: relative errors 8.3e-8 and 2.9e-6. */
TSP_INLINE Vec exp2(Vec x) {
    constexpr float C[] = {1.0f, 6.931512952e-1f, 2.401644439e-1f, 5.579991266e-2f, 9.017030708e-3f, 1.867130050e-3f};
    return scale_by_power(polynomial(C, fraction(x)), x);
}

TSP_INLINE Vec exp2_coarse(Vec x) {
    constexpr float C[] = {1.0f, 6.930448413e-1f, 2.412801981e-1f, 5.224247277e-2f, 1.342668384e-2f};
    return scale_by_power(polynomial(C, fraction(x)), x);
}

} // namespace tsp::TSP_ISA
