#include <cstring>

#include "simd_test.h"

int main() {
    tsp::test::Report report;
    tsp::test::for_each_level(report, [&](const tsp_kernels &kernels) {
#define TSP_RUN_CHECK(level)                                                                                           \
    if (std::strcmp(kernels.isa, #level) == 0) {                                                                       \
        tsp::level::check_simd(report);                                                                                \
    }
        TSP_FOR_EACH_LEVEL(TSP_RUN_CHECK)
    });
    return report.exit_status("simd_test");
}
