/* The rate of multiply-adds that this level reaches with nothing but registers: the yardstick of every benchmark. */
#include "peak.h"

#include <chrono>

#include "kernel.h"
#include "microkernel.h"

namespace tsp::TSP_ISA {
namespace {

constexpr int64_t ROUNDS = 1000000;

template <bool DOT>
float multiply_add(int64_t rounds) {
    Vec sums[TILE_ROWS][TILE_VECS];
    clear(sums);
    Vec x = broadcast(1.0f);
    for (int64_t round = 0; round < rounds; ++round) {
        asm volatile("" : "+m"(x));
#pragma GCC unroll 8
        for (auto &row : sums) {
#pragma GCC unroll 8
            for (Vec &sum : row) {
#if defined(TSP_HAS_BF16_DOT)
                sum = DOT ? dot(sum, x, x) : fma(x, x, sum);
#else
                sum = fma(x, x, sum);
#endif
            }
        }
    }
    Vec total = zero();
    for (const auto &row : sums) {
        for (const Vec sum : row) {
            total = total + sum;
        }
    }
    return reduce_add(total);
}

} // namespace

double peak_gflops(bool is_bf16, int32_t threads) {
#if defined(TSP_HAS_BF16_DOT)
    const bool use_dot = is_bf16;
#else
    const bool use_dot = false;
    (void)is_bf16;
#endif
    volatile float sink = 0;
    const auto begin = std::chrono::steady_clock::now();
    parallel(threads, [&](int, int) { sink = use_dot ? multiply_add<true>(ROUNDS) : multiply_add<false>(ROUNDS); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const double flops = (use_dot ? 4.0 : 2.0) * WIDTH * TILE_ROWS * TILE_VECS * ROUNDS * threads;
    return flops / seconds.count() / 1e9;
}

} // namespace tsp::TSP_ISA
