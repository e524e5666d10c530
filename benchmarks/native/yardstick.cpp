/* What the machine can do, for Java: the rate of multiply-adds and the bandwidth of a copy. */
#include "copy_bandwidth.h"
#include "peak.h"

#define TSP_EXPORT extern "C" __attribute__((visibility("default")))

/* GFLOP/s of multiply-adds with nothing but registers, by the instruction that kernels of this level use. */
TSP_EXPORT double tsp_peak_gflops(const char *isa, int32_t is_bf16, int32_t threads) {
    return tsp::test::peak_gflops(isa, is_bf16 != 0, threads);
}

/* GB/s of one copy of this many bytes, read and written ones counted: the better of memcpy and of stores past the
 * caches. Both buffers hold bytes and are aligned to 16. */
TSP_EXPORT double tsp_copy_bandwidth(void *target, const void *source, int64_t bytes, int32_t threads) {
    const int64_t grains = bytes / tsp::test::COPY_GRAIN_BYTES;
    const double seconds = tsp::test::copy_seconds(target, source, grains, threads);
    return 2.0 * static_cast<double>(grains * tsp::test::COPY_GRAIN_BYTES) / seconds / 1e9;
}
