/* simd.h in the vector extension that gcc and clang share: SSE2 on x86-64, Neon on arm64. */
#pragma once

#include <cmath>

namespace tsp::TSP_ISA {

constexpr int WIDTH = 4;
using Vec = float __attribute__((vector_size(4 * WIDTH)));
using Words = uint32_t __attribute__((vector_size(4 * WIDTH)));
using Halves = uint16_t __attribute__((vector_size(4 * WIDTH)));
using Integers = int32_t __attribute__((vector_size(4 * WIDTH)));

/* Accumulators of the GEMM microkernel: 8 of 16 registers; without FMA each product needs one more. */
constexpr int TILE_ROWS = 4;
constexpr int TILE_VECS = 2;

/* A vector of the same bits. */
template <class To, class From>
TSP_INLINE To as(From x) {
    return load_as<To>(&x);
}

/* lanes: all bits or none, as comparisons give them. */
TSP_INLINE Vec select(Integers lanes, Vec yes, Vec no) {
    return as<Vec>((lanes & as<Integers>(yes)) | (~lanes & as<Integers>(no)));
}

TSP_INLINE Vec broadcast(float x) {
    return Vec{x, x, x, x};
}

TSP_INLINE Vec load(const float *source) {
    return load_as<Vec>(source);
}

TSP_INLINE void store(float *target, Vec x) {
    std::memcpy(target, &x, sizeof x);
}

/* The nearest bf16 in the upper half of each lane. */
TSP_INLINE Words round_upper(Vec x) {
    const Words bits = as<Words>(x);
    const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const auto is_nan = as<Words>(x != x);
    return (is_nan & (bits | 0x400000)) | (~is_nan & rounded);
}

TSP_INLINE Vec load(const bf16 *source) {
    const Words halves{source[0].bits, source[1].bits, source[2].bits, source[3].bits};
    return as<Vec>(halves << 16);
}

TSP_INLINE void store(bf16 *target, Vec x) {
    const Words upper = round_upper(x) >> 16;
    for (int i = 0; i < WIDTH; ++i) {
        target[i].bits = static_cast<uint16_t>(upper[i]);
    }
}

template <class T>
TSP_INLINE Vec load_partial(const T *source, int count) {
    T lanes[WIDTH] = {};
    std::memcpy(lanes, source, sizeof(T) * static_cast<size_t>(count));
    return load(lanes);
}

template <class T>
TSP_INLINE void store_partial(T *target, Vec x, int count) {
    T lanes[WIDTH];
    store(lanes, x);
    std::memcpy(target, lanes, sizeof(T) * static_cast<size_t>(count));
}

template <class T>
TSP_INLINE void store2(T *target, Vec first, Vec second) {
    store(target, first);
    store(target + WIDTH, second);
}

/* As store: the vector extension has no word for stores past the caches. */
TSP_INLINE void stream(float *target, Vec x) {
    store(target, x);
}

/* The words of 2 * WIDTH bf16, the nearest to first and then second. */
TSP_INLINE Vec narrow_pairs(Vec first, Vec second) {
    bf16 halves[2 * WIDTH];
    store2(halves, first, second);
    return load_as<Vec>(halves);
}

TSP_INLINE Vec round_bf16(Vec x) {
    return as<Vec>(round_upper(x) & 0xffff0000);
}

TSP_INLINE Vec narrow_normal_pairs(Vec first, Vec second) {
    return narrow_pairs(first, second);
}

TSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
    return a * b + c;
}

TSP_INLINE Vec max(Vec a, Vec b) {
    return select(a > b, a, b);
}

TSP_INLINE Vec min(Vec a, Vec b) {
    return select(a < b, a, b);
}

TSP_INLINE Vec sqrt(Vec x) {
    return Vec{std::sqrt(x[0]), std::sqrt(x[1]), std::sqrt(x[2]), std::sqrt(x[3])};
}

/* Lanes first, first + 1, ..., last - 1 of inside, the others of outside. */
TSP_INLINE Vec select_range(Vec inside, Vec outside, int first, int last) {
    const Integers lane{0, 1, 2, 3};
    return select((lane >= first) & (lane < last), inside, outside);
}

/* x in the lanes where first <= value < last, 0 in the others. */
TSP_INLINE Vec keep_between(Vec x, float value, Vec first, Vec last) {
    const Vec values = broadcast(value);
    return select((first <= values) & (values < last), x, broadcast(0.0f));
}

TSP_INLINE float reduce_add(Vec x) {
    return (x[0] + x[2]) + (x[1] + x[3]);
}

TSP_INLINE float reduce_max(Vec x) {
    const Vec swapped = max(x, Vec{x[2], x[3], x[0], x[1]});
    return swapped[0] > swapped[1] ? swapped[0] : swapped[1];
}

/* The integers whose powers of two are a float, 0 and infinity included; NaN stays NaN. */
TSP_INLINE Vec clamp_exponent(Vec x) {
    return min(broadcast(128.0f), max(broadcast(-127.0f), x));
}

/* The largest integer not above x, x clamped to the exponents of a float; any such integer for NaN. */
TSP_INLINE Integers floor_exponent(Vec x) {
    const Vec clamped = clamp_exponent(x);
    const Integers truncated = __builtin_convertvector(clamped, Integers);
    return truncated + (__builtin_convertvector(truncated, Vec) > clamped);
}

/* x - floor(x), x clamped to the exponents of a float. */
TSP_INLINE Vec fraction(Vec x) {
    const Vec clamped = clamp_exponent(x);
    return clamped - __builtin_convertvector(floor_exponent(x), Vec);
}

/* y * 2^floor(x); below the normal numbers 0. */
TSP_INLINE Vec scale_by_power(Vec y, Vec x) {
    return y * as<Vec>(as<Words>(floor_exponent(x) + 127) << 23);
}

/* The 32-bit word at source in every lane. */
TSP_INLINE Vec broadcast_pair(const bf16 *source) {
    return broadcast(load_as<float>(source));
}

/* Words as they stand in memory. */
TSP_INLINE Vec load_pairs(const bf16 *source) {
    return load_as<Vec>(source);
}

TSP_INLINE Vec low(Vec pairs) {
    return as<Vec>(as<Words>(pairs) << 16);
}

TSP_INLINE Vec high(Vec pairs) {
    return as<Vec>(as<Words>(pairs) & 0xffff0000);
}

/* The inverse of low and high, for values that are bf16. */
TSP_INLINE Vec join(Vec low, Vec high) {
    return as<Vec>((as<Words>(low) >> 16) | as<Words>(high));
}

/* The low, or the high, bf16 of each word of first, then of second. */
TSP_INLINE Vec low_halves(Vec first, Vec second) {
    return as<Vec>(__builtin_shufflevector(as<Halves>(first), as<Halves>(second), 0, 2, 4, 6, 8, 10, 12, 14));
}

TSP_INLINE Vec high_halves(Vec first, Vec second) {
    return as<Vec>(__builtin_shufflevector(as<Halves>(first), as<Halves>(second), 1, 3, 5, 7, 9, 11, 13, 15));
}

/* Transposes a square of words; x[i] is row i. */
TSP_INLINE void transpose(Vec (&x)[WIDTH]) {
    const Vec low01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
    const Vec high01 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
    const Vec low23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
    const Vec high23 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    x[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    x[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    x[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    x[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/* join of the bf16 nearest to low and to high. */
TSP_INLINE Vec join_nearest(Vec low, Vec high) {
    return as<Vec>((round_upper(low) >> 16) | (round_upper(high) & 0xffff0000));
}

} // namespace tsp::TSP_ISA
