/* The little that a test program needs: expectations that print what failed, and an exit status. */
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tsp_kernels.h"

#if defined(TSP_TEST_CUDA)
#include "cuda_device.h"
#endif

namespace tsp::test {

class Report {
public:
    /* Prints the message when condition does not hold; after twenty, only counts. */
    __attribute__((format(printf, 3, 4))) void expect(bool condition, const char *format, ...) {
        ++checks;
        if (condition || ++failures > 20) {
            return;
        }
        va_list values;
        va_start(values, format);
        std::fputs("FAILED ", stderr);
        std::vfprintf(stderr, format, values);
        std::fputc('\n', stderr);
        va_end(values);
    }

    /* A level that this machine cannot run is no failure, but is said once. */
    void skip(const char *level, bool unsupported) {
        expect(unsupported, "%s is unknown", level);
        if (skipped.find(level) == std::string::npos) {
            skipped += std::string(" ") + level;
        }
    }

    int exit_status(const char *name) const {
        std::printf("%s: %ld checks, %ld failures\n", name, checks, failures);
        if (!skipped.empty()) {
            std::printf("not run on this machine:%s\n", skipped.c_str());
        }
        return failures == 0 && checks > 0 ? 0 : 1;
    }

private:
    long checks = 0;
    long failures = 0;
    std::string skipped;
};

#if defined(TSP_TEST_GPU)
constexpr const char *LEVELS[] = {"sm_80", "sm_90a"};
constexpr const char *ISA_VARIABLE = "TSP_CUDA_ISA";
#else
constexpr const char *LEVELS[] = {"portable", "avx2", "avx512", "avx512bf16"};
constexpr const char *ISA_VARIABLE = "TSP_CPU_ISA";
#endif

/*
 * Whether this is one of the cases that TSP_TEST_SMALL=1 leaves out, for tools that make everything slow. It is the same
 * ones each time; the share is prime to how tests order their cases.
 */
inline bool is_left_out() {
    constexpr long SHARE = 13;
    static const char *small = std::getenv("TSP_TEST_SMALL");
    static long cases = 0;
    return small != nullptr && std::strcmp(small, "1") == 0 && cases++ % SHARE != 0;
}

/* Calls body with the table of every level that this machine can run. */
template <class Body>
void for_each_level(Report &report, const Body &body) {
    if (is_left_out()) {
        return;
    }
    for (const char *level : LEVELS) {
        tsp_error error{};
        error.struct_size = sizeof error;
        const tsp_kernels *kernels = tsp_kernels_get(level, &error);
        if (kernels != nullptr) {
#if defined(TSP_TEST_CUDA)
            body(*synchronous(kernels));
#else
            body(*kernels);
#endif
        } else {
            report.skip(level, error.status == TSP_UNSUPPORTED);
        }
    }
}

} // namespace tsp::test
