/* The instructions of sm_90 themselves, as the emulator has them; the same file compiled by nvcc asks the hardware. */
#include "hopper_test.h"

int main() {
    tsp::test::Report report;
    tsp::test::test_products(report);
    tsp::test::test_copies(report);
    tsp::test::test_barriers(report);
#if !defined(__CUDACC__)
    tsp::test::test_misuse(report);
#endif
    return report.exit_status("hopper_test");
}
