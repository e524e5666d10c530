/*
 * bench_mlp [LEVEL [THREADS [ROWS [HIDDEN [INTERMEDIATE]]]]]: gated MLP forward, checked against float64 before it is
 * timed. Prints GFLOP/s, the best of several calls, and the share of the peak that registers alone reach in the same run.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "mlp_reference.h"
#include "peak.h"

using namespace tsp::test;

namespace {

struct Shape {
    tsp_dtype dtype;
    int64_t rows;
    int64_t columns;
    int64_t features;
};

constexpr double SECONDS_PER_SHAPE = 6;

/* Uniform values of variance scale^2, from a generator that fills gigabytes in seconds. */
void fill_fast(const tsp_tensor &tensor, uint64_t seed, double scale) {
    uint64_t state = seed;
    for_each(tensor, [&](int64_t i, int64_t j, int64_t k) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        put(tensor, (static_cast<double>(state >> 40) / (1 << 23) - 1) * 1.732 * scale, i, j, k);
    });
}

bool check(const tsp_gated_mlp_args &args) {
    const MlpReference reference(args);
    for (const int64_t row : {int64_t{0}, args.x.shape[0] - 1}) {
        const MlpReference::Hidden hidden = reference.hidden(row);
        for (int64_t column = 0; column < args.x.shape[1]; column += 97) {
            const MlpReference::Sum wanted = reference.output(hidden, column);
            const double got = get(args.y, row, column);
            if (!(std::fabs(got - wanted.value) <= wanted.error)) {
                std::fprintf(stderr, "y[%ld, %ld] is %g instead of %g\n", row, column, got, wanted.value);
                return false;
            }
        }
    }
    return true;
}

bool measure(const tsp_kernels &kernels, const Shape &shape, int32_t threads) {
    const PanelLayout gate_up{TSP_PANELS_GATE_UP, shape.dtype, shape.features, shape.columns};
    const PanelLayout down{TSP_PANELS_PLAIN, shape.dtype, shape.columns, shape.features};
    const TestTensor x({shape.rows, shape.columns}, shape.dtype, 0);
    const TestTensor gate_up_panels({gate_up.count()}, shape.dtype, 0);
    const TestTensor down_panels({down.count()}, shape.dtype, 0);
    const TestTensor y({shape.rows, shape.columns}, TSP_F32, 0);
    fill_fast(x.view, 1, 1.0);
    fill_fast(gate_up_panels.view, 2, 1 / std::sqrt(static_cast<double>(shape.columns)));
    fill_fast(down_panels.view, 3, 1 / std::sqrt(static_cast<double>(shape.features)));
    tsp_gated_mlp_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.gate_up = gate_up_panels.view;
    args.down = down_panels.view;
    args.y = y.view;
    args.intermediate = shape.features;
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = threads;
    launch.workspace_bytes = kernels.gated_mlp_forward.workspace_bytes(&args, &launch);
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    if (kernels.gated_mlp_forward.run(&args, &launch, &error) != TSP_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return false;
    }
    if (!check(args)) {
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
        kernels.gated_mlp_forward.run(&args, &launch, nullptr);
        const auto end = std::chrono::steady_clock::now();
        best = std::min(best, std::chrono::duration<double>(end - start).count());
        spent = end - begin;
    }
    const double weights = static_cast<double>(gate_up.count() + down.count());
    const double gflops = 6.0 * static_cast<double>(shape.rows * shape.columns * shape.features) / best / 1e9;
    std::printf(
        "%-10s %-4s T=%-5ld h=%ld f=%ld %d threads: %7.1f GFLOP/s, %.3f of the peak %7.1f, weights %.1f GB/s, workspace "
        "%.1f MiB\n",
        kernels.isa,
        is_bf16 ? "bf16" : "f32",
        shape.rows,
        shape.columns,
        shape.features,
        threads,
        gflops,
        gflops / peak,
        peak,
        weights * static_cast<double>(bytes_of(shape.dtype)) / best / 1e9,
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
    const int64_t rows = argc > 3 ? std::atol(argv[3]) : 2048;
    const int64_t columns = argc > 4 ? std::atol(argv[4]) : 4096;
    const int64_t features = argc > 5 ? std::atol(argv[5]) : 14336;
    for (const tsp_dtype dtype : {TSP_BF16, TSP_F32}) {
        if (!measure(*kernels, {dtype, rows, columns, features}, threads)) {
            return 1;
        }
    }
    return 0;
}
