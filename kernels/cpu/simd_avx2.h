/* simd.h for AVX2 with FMA. */
#pragma once

#include <immintrin.h>

namespace tsp::TSP_ISA {

using Vec = __m256;
constexpr int WIDTH = 8;

/* Accumulators of the GEMM microkernel: 12 of 16 registers, 2 more for B and 1 for A. */
constexpr int TILE_ROWS = 6;
constexpr int TILE_VECS = 2;

/* All bits set in lanes 0 .. count - 1. */
TSP_INLINE __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

TSP_INLINE Vec broadcast(float x) {
    return _mm256_set1_ps(x);
}

TSP_INLINE Vec load(const float *source) {
    return _mm256_loadu_ps(source);
}

TSP_INLINE void store(float *target, Vec x) {
    _mm256_storeu_ps(target, x);
}

TSP_INLINE Vec load_partial(const float *source, int count) {
    return _mm256_maskload_ps(source, first_lanes(count));
}

TSP_INLINE void store_partial(float *target, Vec x, int count) {
    _mm256_maskstore_ps(target, first_lanes(count), x);
}

TSP_INLINE Vec widen(__m128i halves) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/* The nearest bf16 in the upper half of each lane. */
TSP_INLINE __m256i round_upper(Vec x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}

TSP_INLINE __m128i narrow(Vec x) {
    const __m256i upper = _mm256_srli_epi32(round_upper(x), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
    return _mm256_castsi256_si128(packed);
}

TSP_INLINE Vec load(const bf16 *source) {
    return widen(_mm_loadu_si128(reinterpret_cast<const __m128i *>(source)));
}

TSP_INLINE void store(bf16 *target, Vec x) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(target), narrow(x));
}

TSP_INLINE Vec load_partial(const bf16 *source, int count) {
    bf16 halves[WIDTH] = {};
    std::memcpy(halves, source, sizeof(bf16) * static_cast<size_t>(count));
    return load(halves);
}

TSP_INLINE void store_partial(bf16 *target, Vec x, int count) {
    bf16 halves[WIDTH];
    store(halves, x);
    std::memcpy(target, halves, sizeof(bf16) * static_cast<size_t>(count));
}

template <class T>
TSP_INLINE void store2(T *target, Vec first, Vec second) {
    store(target, first);
    store(target + WIDTH, second);
}

/* As store, past the caches; target is aligned to a vector. */
TSP_INLINE void stream(float *target, Vec x) {
    _mm256_stream_ps(target, x);
}

/* The words of 2 * WIDTH bf16, the nearest to first and then second. */
TSP_INLINE Vec narrow_pairs(Vec first, Vec second) {
    return _mm256_castsi256_ps(_mm256_set_m128i(narrow(second), narrow(first)));
}

TSP_INLINE Vec round_bf16(Vec x) {
    return _mm256_castsi256_ps(_mm256_and_si256(round_upper(x), _mm256_set1_epi32(static_cast<int>(0xffff0000))));
}

TSP_INLINE Vec narrow_normal_pairs(Vec first, Vec second) {
    return narrow_pairs(first, second);
}

TSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

TSP_INLINE Vec max(Vec a, Vec b) {
    return _mm256_max_ps(a, b);
}

TSP_INLINE Vec min(Vec a, Vec b) {
    return _mm256_min_ps(a, b);
}

TSP_INLINE Vec sqrt(Vec x) {
    return _mm256_sqrt_ps(x);
}

/* Lanes first, first + 1, ..., last - 1 of inside, the others of outside. */
TSP_INLINE Vec select_range(Vec inside, Vec outside, int first, int last) {
    const __m256i lanes = _mm256_andnot_si256(first_lanes(first), first_lanes(last));
    return _mm256_blendv_ps(outside, inside, _mm256_castsi256_ps(lanes));
}

/* x in the lanes where first <= value < last, 0 in the others. */
TSP_INLINE Vec keep_between(Vec x, float value, Vec first, Vec last) {
    const Vec values = broadcast(value);
    const Vec inside = _mm256_and_ps(_mm256_cmp_ps(first, values, _CMP_LE_OQ), _mm256_cmp_ps(values, last, _CMP_LT_OQ));
    return _mm256_and_ps(x, inside);
}

TSP_INLINE float reduce_add(Vec x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

TSP_INLINE float reduce_max(Vec x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

/* The integers whose powers of two are a float, 0 and infinity included; NaN stays NaN. */
TSP_INLINE Vec clamp_exponent(Vec x) {
    return min(broadcast(128.0f), max(broadcast(-127.0f), x));
}

/* x - floor(x), x clamped to the exponents of a float. */
TSP_INLINE Vec fraction(Vec x) {
    const Vec clamped = clamp_exponent(x);
    return clamped - _mm256_floor_ps(clamped);
}

/* y * 2^floor(x); below the normal numbers 0. */
TSP_INLINE Vec scale_by_power(Vec y, Vec x) {
    const __m256i exponent = _mm256_cvtps_epi32(_mm256_floor_ps(clamp_exponent(x)));
    return y * _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
}

/* The 32-bit word at source in every lane. */
TSP_INLINE Vec broadcast_pair(const bf16 *source) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(load_as<int32_t>(source)));
}

/* Words as they stand in memory. */
TSP_INLINE Vec load_pairs(const bf16 *source) {
    return load_as<Vec>(source);
}

TSP_INLINE Vec low(Vec pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}

/* By shifts: a mask would take a register from the microkernel, which has none to spare. */
TSP_INLINE Vec high(Vec pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_srli_epi32(_mm256_castps_si256(pairs), 16), 16));
}

/* The inverse of low and high, for values that are bf16. */
TSP_INLINE Vec join(Vec low, Vec high) {
    return _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(low), 16), _mm256_castps_si256(high)));
}

/* The low, or the high, bf16 of each word of first, then of second. */
TSP_INLINE Vec low_halves(Vec first, Vec second) {
    const __m256i mask = _mm256_set1_epi32(0xffff);
    const __m256i packed = _mm256_packus_epi32(
        _mm256_and_si256(_mm256_castps_si256(first), mask), _mm256_and_si256(_mm256_castps_si256(second), mask));
    return _mm256_castsi256_ps(_mm256_permute4x64_epi64(packed, 0xd8));
}

TSP_INLINE Vec high_halves(Vec first, Vec second) {
    const __m256i packed = _mm256_packus_epi32(
        _mm256_srli_epi32(_mm256_castps_si256(first), 16), _mm256_srli_epi32(_mm256_castps_si256(second), 16));
    return _mm256_castsi256_ps(_mm256_permute4x64_epi64(packed, 0xd8));
}

/* Transposes a square of words; x[i] is row i. */
TSP_INLINE void transpose(Vec (&x)[WIDTH]) {
    Vec quads[WIDTH];
    for (int i = 0; i < WIDTH; i += 4) {
        const Vec even_low = _mm256_unpacklo_ps(x[i], x[i + 1]);
        const Vec even_high = _mm256_unpackhi_ps(x[i], x[i + 1]);
        const Vec odd_low = _mm256_unpacklo_ps(x[i + 2], x[i + 3]);
        const Vec odd_high = _mm256_unpackhi_ps(x[i + 2], x[i + 3]);
        quads[i] = _mm256_shuffle_ps(even_low, odd_low, 0x44);
        quads[i + 1] = _mm256_shuffle_ps(even_low, odd_low, 0xee);
        quads[i + 2] = _mm256_shuffle_ps(even_high, odd_high, 0x44);
        quads[i + 3] = _mm256_shuffle_ps(even_high, odd_high, 0xee);
    }
    /* quads[4 b + c] holds columns c and c + 4 of rows 4 b .. 4 b + 3, one in each half. */
    for (int c = 0; c < 4; ++c) {
        x[c] = _mm256_permute2f128_ps(quads[c], quads[c + 4], 0x20);
        x[c + 4] = _mm256_permute2f128_ps(quads[c], quads[c + 4], 0x31);
    }
}

/* join of the bf16 nearest to low and to high. */
TSP_INLINE Vec join_nearest(Vec low, Vec high) {
    const __m256i low_halves = _mm256_srli_epi32(round_upper(low), 16);
    return _mm256_castsi256_ps(_mm256_blend_epi16(low_halves, round_upper(high), 0xaa));
}

} // namespace tsp::TSP_ISA
