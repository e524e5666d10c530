/* How long a copy takes, what benchmarks of ops that only move memory compare with. */
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tsp::test {

/* Copies are cut at multiples of this; both addresses are aligned to it. */
constexpr int64_t COPY_GRAIN_BYTES = 16;

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline void copy_part(char *target, const char *source, int64_t bytes, bool past_caches) {
#if defined(__SSE2__)
    if (past_caches) {
        for (int64_t i = 0; i < bytes; i += COPY_GRAIN_BYTES) {
            _mm_stream_si128(
                reinterpret_cast<__m128i *>(target + i), _mm_load_si128(reinterpret_cast<const __m128i *>(source + i)));
        }
        _mm_sfence();
        return;
    }
#endif
    (void)past_caches;
    std::memcpy(target, source, static_cast<size_t>(bytes));
}

/* Each thread copies one part. */
inline double copy_seconds(char *target, const char *source, int64_t grains, int32_t threads, bool past_caches) {
    const auto begin = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads)
    for (int32_t i = 0; i < threads; ++i) {
        const int64_t first = grains * i / threads * COPY_GRAIN_BYTES;
        const int64_t last = grains * (i + 1) / threads * COPY_GRAIN_BYTES;
        copy_part(target + first, source + first, last - first, past_caches);
    }
    return seconds_since(begin);
}

/* The better of memcpy and of stores past the caches. */
inline double copy_seconds(void *target, const void *source, int64_t grains, int32_t threads) {
    auto *to = static_cast<char *>(target);
    const auto *from = static_cast<const char *>(source);
    return std::min(copy_seconds(to, from, grains, threads, false), copy_seconds(to, from, grains, threads, true));
}

} // namespace tsp::test
