/*
 * bench_attention [LEVEL [THREADS [LONGEST]]]: causal attention forward, checked against float64 before it is timed.
 * Prints GFLOP/s, the best of several calls, and the share of the peak that registers alone reach in the same run.
 */
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "attention_reference.h"
#include "buffers.h"
#include "peak.h"

using namespace tsp::test;

namespace {

struct Shape {
    tsp_dtype dtype;
    int64_t head_dim;
    int64_t kv_heads;
    int64_t count;
};

constexpr int64_t HEADS = 8;
constexpr double SECONDS_PER_SHAPE = 1.5;

void fill(TestTensor &tensor, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int64_t row = 0; row < tensor.view.shape[0]; ++row) {
        for (int64_t head = 0; head < tensor.view.shape[1]; ++head) {
            for (int64_t x = 0; x < tensor.view.shape[2]; ++x) {
                tensor.set(row, head, x, normal(random));
            }
        }
    }
}

bool check_rows(const tsp_attention_args &args) {
    std::mt19937 random(7);
    const int64_t count = args.q.shape[0];
    for (int sample = 0; sample < 32; ++sample) {
        const int64_t row = sample == 0 ? count - 1 : static_cast<int64_t>(random()) % count;
        const int64_t head = static_cast<int64_t>(random()) % HEADS;
        const Expected expected = expected_attention(args, 0, row, row, head);
        for (size_t x = 0; x < expected.out.size(); ++x) {
            const double got = value_at(args.out, row, head, static_cast<int64_t>(x));
            if (!(std::fabs(got - expected.out[x]) <= expected.out_bound[x])) {
                std::fprintf(stderr, "row %ld head %ld: %g instead of %g\n", row, head, got, expected.out[x]);
                return false;
            }
        }
    }
    return true;
}

bool measure(const tsp_kernels &kernels, const Shape &shape, int32_t threads) {
    TestTensor q({shape.count, HEADS, shape.head_dim}, shape.dtype, 0);
    TestTensor k({shape.count, shape.kv_heads, shape.head_dim}, shape.dtype, 0);
    TestTensor v({shape.count, shape.kv_heads, shape.head_dim}, shape.dtype, 0);
    TestTensor out({shape.count, HEADS, shape.head_dim}, shape.dtype, 0);
    TestTensor lse({shape.count, HEADS}, TSP_F32, 0);
    fill(q, 1);
    fill(k, 2);
    fill(v, 3);
    const tsp_chunk chunk{0, shape.count, shape.count, 0};
    tsp_attention_args args{};
    args.struct_size = sizeof args;
    args.flags = TSP_CAUSAL;
    args.q = q.view;
    args.k = k.view;
    args.v = v.view;
    args.out = out.view;
    args.lse = lse.view;
    args.q_chunks = args.k_chunks = &chunk;
    args.q_chunk_count = args.k_chunk_count = 1;
    args.batch = 1;
    args.scale = 1 / std::sqrt(static_cast<float>(shape.head_dim));
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = threads;
    launch.workspace_bytes = kernels.attention_forward.workspace_bytes(&args, &launch);
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    if (kernels.attention_forward.run(&args, &launch, &error) != TSP_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return false;
    }
    if (!check_rows(args)) {
        return false;
    }
    const bool is_bf16 = shape.dtype == TSP_BF16;
    double peak = 0;
    double best = INFINITY;
    const auto begin = std::chrono::steady_clock::now();
    std::chrono::duration<double> spent{};
    while (spent.count() < SECONDS_PER_SHAPE) {
        peak = std::max(peak, peak_gflops(kernels.isa, is_bf16, threads));
        const auto start = std::chrono::steady_clock::now();
        kernels.attention_forward.run(&args, &launch, nullptr);
        const auto end = std::chrono::steady_clock::now();
        best = std::min(best, std::chrono::duration<double>(end - start).count());
        spent = end - begin;
    }
    const auto count = static_cast<double>(shape.count);
    const double gflops = 4.0 * HEADS * static_cast<double>(shape.head_dim) * count * (count + 1) / 2 / best / 1e9;
    std::printf(
        "%-10s %-4s d=%-3ld K=%ld S=%-6ld %d threads: %7.1f GFLOP/s, %.3f of the peak %7.1f, workspace %.1f MiB\n",
        kernels.isa,
        is_bf16 ? "bf16" : "f32",
        shape.head_dim,
        shape.kv_heads,
        shape.count,
        threads,
        gflops,
        gflops / peak,
        peak,
        static_cast<double>(launch.workspace_bytes) / (1 << 20));
    std::fflush(stdout);
    return true;
}

} // namespace

int main(int argc, char **argv) {
    tsp_error error{};
    error.struct_size = sizeof error;
    const tsp_kernels *kernels = tsp_kernels_get(argc > 1 ? argv[1] : nullptr, &error);
    if (kernels == nullptr) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const int32_t threads = argc > 2 ? std::atoi(argv[2]) : 2;
    const int64_t longest = argc > 3 ? std::atol(argv[3]) : 4096;
    for (const tsp_dtype dtype : {TSP_BF16, TSP_F32}) {
        for (const int64_t head_dim : {128, 64}) {
            for (const int64_t kv_heads : {HEADS, HEADS / 4}) {
                for (int64_t count = 1024; count <= longest; count *= 4) {
                    if (!measure(*kernels, {dtype, head_dim, kv_heads, count}, threads)) {
                        return 1;
                    }
                }
            }
        }
    }
    return 0;
}
