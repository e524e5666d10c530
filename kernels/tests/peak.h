/* The rate that this machine reaches with nothing but registers, to be measured beside whatever is compared with it. */
#pragma once

#include <cstdint>
#include <cstring>

#include "levels.h"

#define TSP_DECLARE_PEAK(level)                                                                                        \
    namespace tsp::level {                                                                                             \
    double peak_gflops(bool is_bf16, int32_t threads);                                                                 \
    }
TSP_FOR_EACH_LEVEL(TSP_DECLARE_PEAK)

namespace tsp::test {

/* GFLOP/s of the instruction with which kernels of this level multiply and add this dtype. */
inline double peak_gflops(const char *isa, bool is_bf16, int32_t threads) {
#define TSP_MEASURE_PEAK(level)                                                                                        \
    if (std::strcmp(isa, #level) == 0) {                                                                               \
        return level::peak_gflops(is_bf16, threads);                                                                   \
    }
    TSP_FOR_EACH_LEVEL(TSP_MEASURE_PEAK)
    return 0;
}

} // namespace tsp::test
