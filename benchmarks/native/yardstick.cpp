/* What the machine can do, for Java: the rate of multiply-adds and the bandwidth of a copy. */
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "peak.h"

namespace {

constexpr int64_t VECTOR_BYTES = 16;

/* bytes is a multiple of VECTOR_BYTES; both addresses are aligned to it. */
void copy(char *target, const char *source, int64_t bytes, bool past_caches) {
#if defined(__SSE2__)
    if (past_caches) {
        for (int64_t i = 0; i < bytes; i += VECTOR_BYTES) {
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

double copy_seconds(char *target, const char *source, int64_t vectors, int32_t threads, bool past_caches) {
    const auto begin = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads)
    for (int32_t i = 0; i < threads; ++i) {
        const int64_t first = vectors * i / threads * VECTOR_BYTES;
        const int64_t last = vectors * (i + 1) / threads * VECTOR_BYTES;
        copy(target + first, source + first, last - first, past_caches);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

#define TSP_EXPORT extern "C" __attribute__((visibility("default")))

/* GFLOP/s of multiply-adds with nothing but registers, by the instruction that kernels of this level use. */
TSP_EXPORT double tsp_peak_gflops(const char *isa, int32_t is_bf16, int32_t threads) {
    return tsp::test::peak_gflops(isa, is_bf16 != 0, threads);
}

/* GB/s of one copy of this many bytes, read and written ones counted: the better of memcpy and of stores past the
 * caches. Both buffers hold bytes and are aligned to 16. */
TSP_EXPORT double tsp_copy_bandwidth(void *target, const void *source, int64_t bytes, int32_t threads) {
    const int64_t vectors = bytes / VECTOR_BYTES;
    const double seconds = std::min(
        copy_seconds(static_cast<char *>(target), static_cast<const char *>(source), vectors, threads, false),
        copy_seconds(static_cast<char *>(target), static_cast<const char *>(source), vectors, threads, true));
    return 2.0 * static_cast<double>(vectors * VECTOR_BYTES) / seconds / 1e9;
}
