/* simd.h for AVX-512 F, BW, DQ and VL, with and without BF16. */
#pragma once

#include <immintrin.h>

namespace tsp::TSP_ISA {

using Vec = __m512;
constexpr int WIDTH = 16;

/* Accumulators of the GEMM microkernel: 24 of 32 registers, 4 more for B. */
constexpr int TILE_ROWS = 6;
constexpr int TILE_VECS = 4;

TSP_INLINE __mmask16 first_lanes(int count) {
    return static_cast<__mmask16>(count >= WIDTH ? 0xffff : (1u << (count < 0 ? 0 : count)) - 1);
}

TSP_INLINE Vec broadcast(float x) {
    return _mm512_set1_ps(x);
}

TSP_INLINE Vec load(const float *source) {
    return _mm512_loadu_ps(source);
}

TSP_INLINE void store(float *target, Vec x) {
    _mm512_storeu_ps(target, x);
}

TSP_INLINE Vec load_partial(const float *source, int count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), source);
}

TSP_INLINE void store_partial(float *target, Vec x, int count) {
    _mm512_mask_storeu_ps(target, first_lanes(count), x);
}

TSP_INLINE Vec widen(__m256i halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* The nearest bf16 in the upper half of each lane. VCVTNE2PS2BF16 is not used where subnormals must survive. */
TSP_INLINE __m512i round_upper(Vec x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x400000));
}

TSP_INLINE __m256i narrow(Vec x) {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(round_upper(x), 16));
}

TSP_INLINE Vec load(const bf16 *source) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(source)));
}

TSP_INLINE void store(bf16 *target, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(target), narrow(x));
}

TSP_INLINE Vec load_partial(const bf16 *source, int count) {
    return widen(_mm256_maskz_loadu_epi16(first_lanes(count), source));
}

TSP_INLINE void store_partial(bf16 *target, Vec x, int count) {
    _mm256_mask_storeu_epi16(target, first_lanes(count), narrow(x));
}

/* For permutations of halves of words: the same half of each word of the first operand, then of the second. */
alignas(64) constexpr int16_t LOWER_HALVES[] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
                                                32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
alignas(64) constexpr int16_t UPPER_HALVES[] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};

/* The words of 2 * WIDTH bf16, the nearest to first and then second. */
TSP_INLINE Vec narrow_pairs(Vec first, Vec second) {
    return _mm512_castsi512_ps(
        _mm512_permutex2var_epi16(round_upper(first), _mm512_load_si512(UPPER_HALVES), round_upper(second)));
}

/* As narrow_pairs, in a third of the time; subnormal results may become zero. */
TSP_INLINE Vec narrow_normal_pairs(Vec first, Vec second) {
#if defined(__AVX512BF16__)
    return load_as<Vec>(&static_cast<const __m512bh &>(_mm512_cvtne2ps_pbh(second, first)));
#else
    return narrow_pairs(first, second);
#endif
}

TSP_INLINE void store2(bf16 *target, Vec first, Vec second) {
    _mm512_storeu_ps(target, narrow_normal_pairs(first, second));
}

TSP_INLINE void store2(float *target, Vec first, Vec second) {
    store(target, first);
    store(target + WIDTH, second);
}

/* As store, past the caches; target is aligned to a vector. */
TSP_INLINE void stream(float *target, Vec x) {
    _mm512_stream_ps(target, x);
}

TSP_INLINE Vec round_bf16(Vec x) {
    return _mm512_castsi512_ps(_mm512_and_si512(round_upper(x), _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}

TSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

TSP_INLINE Vec max(Vec a, Vec b) {
    return _mm512_max_ps(a, b);
}

TSP_INLINE Vec min(Vec a, Vec b) {
    return _mm512_min_ps(a, b);
}

TSP_INLINE Vec sqrt(Vec x) {
    return _mm512_sqrt_ps(x);
}

/* Lanes first, first + 1, ..., last - 1 of inside, the others of outside. */
TSP_INLINE Vec select_range(Vec inside, Vec outside, int first, int last) {
    const auto lanes = static_cast<__mmask16>(first_lanes(last) & ~first_lanes(first));
    return _mm512_mask_mov_ps(outside, lanes, inside);
}

/* x in the lanes where first <= value < last, 0 in the others. */
TSP_INLINE Vec keep_between(Vec x, float value, Vec first, Vec last) {
    const Vec values = broadcast(value);
    const __mmask16 begun = _mm512_cmp_ps_mask(first, values, _CMP_LE_OQ);
    return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(begun, values, last, _CMP_LT_OQ), x);
}

TSP_INLINE float reduce_add(Vec x) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

TSP_INLINE float reduce_max(Vec x) {
    const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
}

/* x - floor(x); 0 for the infinities. */
TSP_INLINE Vec fraction(Vec x) {
    return _mm512_reduce_ps(x, 0x09);
}

/* y * 2^floor(x). */
TSP_INLINE Vec scale_by_power(Vec y, Vec x) {
    return _mm512_scalef_ps(y, x);
}

/* The 32-bit word at source in every lane. */
TSP_INLINE Vec broadcast_pair(const bf16 *source) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(load_as<int32_t>(source)));
}

/* Words as they stand in memory. */
TSP_INLINE Vec load_pairs(const bf16 *source) {
    return _mm512_castsi512_ps(_mm512_loadu_si512(source));
}

TSP_INLINE Vec low(Vec pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

TSP_INLINE Vec high(Vec pairs) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}

/* The inverse of low and high, for values that are bf16. */
TSP_INLINE Vec join(Vec low, Vec high) {
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(low), 16), _mm512_castps_si512(high)));
}

/* The low, or the high, bf16 of each word of first, then of second. */
TSP_INLINE Vec low_halves(Vec first, Vec second) {
    return _mm512_castsi512_ps(_mm512_permutex2var_epi16(
        _mm512_castps_si512(first), _mm512_load_si512(LOWER_HALVES), _mm512_castps_si512(second)));
}

TSP_INLINE Vec high_halves(Vec first, Vec second) {
    return _mm512_castsi512_ps(_mm512_permutex2var_epi16(
        _mm512_castps_si512(first), _mm512_load_si512(UPPER_HALVES), _mm512_castps_si512(second)));
}

/* Transposes a square of words; x[i] is row i. */
TSP_INLINE void transpose(Vec (&x)[WIDTH]) {
    __m512d pairs[WIDTH];
    for (int i = 0; i < WIDTH; i += 4) {
        const Vec even_low = _mm512_unpacklo_ps(x[i], x[i + 1]);
        const Vec even_high = _mm512_unpackhi_ps(x[i], x[i + 1]);
        const Vec odd_low = _mm512_unpacklo_ps(x[i + 2], x[i + 3]);
        const Vec odd_high = _mm512_unpackhi_ps(x[i + 2], x[i + 3]);
        pairs[i] = _mm512_unpacklo_pd(_mm512_castps_pd(even_low), _mm512_castps_pd(odd_low));
        pairs[i + 1] = _mm512_unpackhi_pd(_mm512_castps_pd(even_low), _mm512_castps_pd(odd_low));
        pairs[i + 2] = _mm512_unpacklo_pd(_mm512_castps_pd(even_high), _mm512_castps_pd(odd_high));
        pairs[i + 3] = _mm512_unpackhi_pd(_mm512_castps_pd(even_high), _mm512_castps_pd(odd_high));
    }
    /* pairs[4 b + c] holds columns c, c + 4, c + 8, c + 12 of rows 4 b .. 4 b + 3, one in each quarter. */
    for (int c = 0; c < 4; ++c) {
        const Vec rows0 = _mm512_castpd_ps(pairs[c]);
        const Vec rows4 = _mm512_castpd_ps(pairs[c + 4]);
        const Vec rows8 = _mm512_castpd_ps(pairs[c + 8]);
        const Vec rows12 = _mm512_castpd_ps(pairs[c + 12]);
        const Vec upper_even = _mm512_shuffle_f32x4(rows0, rows4, 0x88);
        const Vec upper_odd = _mm512_shuffle_f32x4(rows0, rows4, 0xdd);
        const Vec lower_even = _mm512_shuffle_f32x4(rows8, rows12, 0x88);
        const Vec lower_odd = _mm512_shuffle_f32x4(rows8, rows12, 0xdd);
        x[c] = _mm512_shuffle_f32x4(upper_even, lower_even, 0x88);
        x[c + 4] = _mm512_shuffle_f32x4(upper_odd, lower_odd, 0x88);
        x[c + 8] = _mm512_shuffle_f32x4(upper_even, lower_even, 0xdd);
        x[c + 12] = _mm512_shuffle_f32x4(upper_odd, lower_odd, 0xdd);
    }
}

/* join of the bf16 nearest to low and to high; rounds as store2. */
TSP_INLINE Vec join_nearest(Vec low, Vec high) {
#if defined(__AVX512BF16__)
    alignas(64) static constexpr int16_t ALTERNATE[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i halves = _mm512_castps_si512(narrow_normal_pairs(low, high));
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_load_si512(ALTERNATE), halves));
#else
    const __m512i low_halves = _mm512_srli_epi32(round_upper(low), 16);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaa, low_halves, round_upper(high)));
#endif
}

#if defined(__AVX512BF16__)
#define TSP_HAS_BF16_DOT 1

/* sum + low(a) low(b) + high(a) high(b). */
TSP_INLINE Vec dot(Vec sum, Vec a, Vec b) {
    return _mm512_dpbf16_ps(sum, load_as<__m512bh>(&a), load_as<__m512bh>(&b));
}
#endif

} // namespace tsp::TSP_ISA
