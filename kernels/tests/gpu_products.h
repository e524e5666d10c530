/* Which products a GPU's kernel uses: tests of sm_90a must reach what only sm_90a has. */
#pragma once

#include "op_test.h"

#if defined(TSP_TEST_GPU)
extern "C" uint64_t tspEmulatorProducts();
#endif

namespace tsp::test {

/* Runs body; at level sm_90a it has to use products of warpgroups, or not if wide is false. Elsewhere it never does. */
template <class Body>
void expect_wide_products(const Level &level, bool wide, const Body &body) {
#if defined(TSP_TEST_GPU)
    const uint64_t before = tspEmulatorProducts();
    body();
    const bool used = tspEmulatorProducts() != before;
    level.expect(
        used == (wide && std::string(level.kernels.isa) == "sm_90a"),
        used ? "products of warpgroups were used" : "products of warpgroups were not used");
#else
    static_cast<void>(level);
    static_cast<void>(wide);
    body();
#endif
}

} // namespace tsp::test
