/*
 * bench_attention_backward [LEVEL [THREADS [LONGEST]]]: causal attention backward, checked against float64 before it is
 * timed. Prints GFLOP/s, the best of several calls, and the share of the peak that registers alone reach in the same run.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "attention_backward_reference.h"
#include "peak.h"

using namespace tsp::test;

namespace {

struct Shape {
    tsp_dtype dtype;
    int64_t head_dim;
    int64_t heads;
    int64_t kv_heads;
    int64_t count;
};

constexpr double SECONDS_PER_SHAPE = 2;
constexpr int SAMPLES = 8;

/* The tensors of one call; out and lse are the forward kernel's. */
struct Problem {
    explicit Problem(const Shape &shape)
        : q({shape.count, shape.heads, shape.head_dim}, shape.dtype, 0),
          k({shape.count, shape.kv_heads, shape.head_dim}, shape.dtype, 0),
          v({shape.count, shape.kv_heads, shape.head_dim}, shape.dtype, 0),
          out({shape.count, shape.heads, shape.head_dim}, shape.dtype, 0),
          dout({shape.count, shape.heads, shape.head_dim}, shape.dtype, 0),
          dq({shape.count, shape.heads, shape.head_dim}, shape.dtype, 0),
          lse({shape.count, shape.heads}, TSP_F32, 0),
          dk({shape.count, shape.kv_heads, shape.head_dim}, TSP_F32, 0),
          dv({shape.count, shape.kv_heads, shape.head_dim}, TSP_F32, 0),
          chunk{0, shape.count, shape.count, 0} {
        fill_normal(q.view, 1);
        fill_normal(k.view, 2);
        fill_normal(v.view, 3);
        fill_normal(dout.view, 4);
        args.struct_size = sizeof args;
        args.forward.struct_size = sizeof args.forward;
        args.forward.flags = TSP_CAUSAL;
        args.forward.q = q.view;
        args.forward.k = k.view;
        args.forward.v = v.view;
        args.forward.out = out.view;
        args.forward.lse = lse.view;
        args.forward.q_chunks = args.forward.k_chunks = &chunk;
        args.forward.q_chunk_count = args.forward.k_chunk_count = 1;
        args.forward.batch = 1;
        args.forward.scale = 1 / std::sqrt(static_cast<float>(shape.head_dim));
        args.dout = dout.view;
        args.dq = dq.view;
        args.dk = dk.view;
        args.dv = dv.view;
    }

    TestTensor q;
    TestTensor k;
    TestTensor v;
    TestTensor out;
    TestTensor dout;
    TestTensor dq;
    TestTensor lse;
    TestTensor dk;
    TestTensor dv;
    tsp_chunk chunk;
    tsp_attention_backward_args args{};
};

bool close(const tsp_tensor &tensor, int64_t row, int64_t head, const std::vector<GradientSum> &sums) {
    for (size_t x = 0; x < sums.size(); ++x) {
        const double got = value_at(tensor, row, head, static_cast<int64_t>(x));
        if (!(std::fabs(got - sums[x].value) <= sums[x].bound(rounding_of(tensor.dtype)))) {
            std::fprintf(stderr, "row %ld head %ld: %g instead of %g\n", row, head, got, sums[x].value);
            return false;
        }
    }
    return true;
}

/* dQ of some queries, dK and dV of some keys. */
bool check_rows(const tsp_attention_backward_args &args) {
    std::mt19937 random(7);
    const int64_t count = args.dq.shape[0];
    const int64_t group = args.dq.shape[1] / args.dk.shape[1];
    const auto dim = static_cast<size_t>(args.dq.shape[2]);
    for (int sample = 0; sample < SAMPLES; ++sample) {
        const int64_t row = sample == 0 ? count - 1 : static_cast<int64_t>(random()) % count;
        const int64_t head = static_cast<int64_t>(random()) % args.dq.shape[1];
        std::vector<GradientSum> dq(dim);
        std::vector<GradientSum> dk(dim);
        std::vector<GradientSum> dv(dim);
        for (int64_t key = 0; key <= row; ++key) {
            const AttentionPair pair(args, row, head, key);
            for (size_t x = 0; x < dim; ++x) {
                pair.add_dq(dq[x], static_cast<int64_t>(x));
            }
        }
        for (int64_t query = row; query < count; ++query) {
            for (int64_t member = 0; member < group; ++member) {
                const AttentionPair pair(args, query, head / group * group + member, row);
                for (size_t x = 0; x < dim; ++x) {
                    pair.add_dk(dk[x], static_cast<int64_t>(x));
                    pair.add_dv(dv[x], static_cast<int64_t>(x));
                }
            }
        }
        if (!close(args.dq, row, head, dq) || !close(args.dk, row, head / group, dk)
            || !close(args.dv, row, head / group, dv)) {
            return false;
        }
    }
    return true;
}

bool measure(const tsp_kernels &kernels, const Shape &shape, int32_t threads) {
    const Problem problem(shape);
    const Outcome forward = run(kernels.attention_forward, problem.args.forward, threads);
    const Outcome backward = run(kernels.attention_backward, problem.args, threads);
    if (forward.status != TSP_OK || backward.status != TSP_OK || !check_rows(problem.args)) {
        std::fprintf(stderr, "%s %s\n", forward.message.c_str(), backward.message.c_str());
        return false;
    }
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = threads;
    launch.workspace_bytes = kernels.attention_backward.workspace_bytes(&problem.args, &launch);
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    const bool is_bf16 = shape.dtype == TSP_BF16;
    double peak = 0;
    double best = INFINITY;
    const auto begin = std::chrono::steady_clock::now();
    std::chrono::duration<double> spent{};
    while (spent.count() < SECONDS_PER_SHAPE) {
        peak = std::max(peak, peak_gflops(kernels.isa, is_bf16, threads));
        const auto start = std::chrono::steady_clock::now();
        kernels.attention_backward.run(&problem.args, &launch, nullptr);
        const auto end = std::chrono::steady_clock::now();
        best = std::min(best, std::chrono::duration<double>(end - start).count());
        spent = end - begin;
    }
    const auto count = static_cast<double>(shape.count);
    const double pairs = static_cast<double>(shape.heads) * count * (count + 1) / 2;
    const double gflops = 10.0 * static_cast<double>(shape.head_dim) * pairs / best / 1e9;
    std::printf(
        "%-10s %-4s d=%-3ld H=%ld K=%ld S=%-6ld %d threads: %7.1f GFLOP/s, %.3f of the peak %7.1f, "
        "workspace %.1f MiB\n",
        kernels.isa,
        is_bf16 ? "bf16" : "f32",
        shape.head_dim,
        shape.heads,
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
            for (int64_t count = 1024; count <= longest; count *= 4) {
                for (const auto &[heads, kv_heads] : {std::pair<int64_t, int64_t>{8, 8}, {8, 2}, {1, 1}}) {
                    if (!measure(*kernels, {dtype, head_dim, heads, kv_heads, count}, threads)) {
                        return 1;
                    }
                }
            }
        }
    }
    return 0;
}
