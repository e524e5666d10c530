/*
 * bench_mlp [LEVEL [THREADS [ROWS [HIDDEN [INTERMEDIATE]]]]]: gated MLP forward and backward, with and without what
 * forward saved, checked against float64 before they are timed. Prints GFLOP/s, the best of several calls, and the share
 * of the peak that registers alone reach in the same run.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "mlp_backward_reference.h"
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

constexpr double SECONDS_PER_KERNEL = 6;
constexpr int64_t SAMPLE_STEP = 97;

/* Uniform values of variance scale^2, from a generator that fills gigabytes in seconds. */
void fill_fast(const tsp_tensor &tensor, uint64_t seed, double scale) {
    uint64_t state = seed;
    for_each(tensor, [&](int64_t i, int64_t j, int64_t k) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        put(tensor, (static_cast<double>(state >> 40) / (1 << 23) - 1) * 1.732 * scale, i, j, k);
    });
}

bool agree(const char *name, int64_t row, int64_t column, double got, double wanted, double bound) {
    if (std::fabs(got - wanted) <= bound) {
        return true;
    }
    std::fprintf(stderr, "%s[%ld, %ld] is %g instead of %g\n", name, row, column, got, wanted);
    return false;
}

class Bench {
public:
    Bench(const tsp_kernels &kernels, const Shape &shape, int32_t threads)
        : kernels(kernels),
          shape(shape),
          threads(threads),
          gate_up{TSP_PANELS_GATE_UP, shape.dtype, shape.features, shape.columns},
          down{TSP_PANELS_PLAIN, shape.dtype, shape.columns, shape.features},
          x({shape.rows, shape.columns}, shape.dtype, 0),
          dy({shape.rows, shape.columns}, shape.dtype, 0),
          gate_up_panels({gate_up.count()}, shape.dtype, 0),
          down_panels({down.count()}, shape.dtype, 0),
          y({shape.rows, shape.columns}, TSP_F32, 0),
          saved({shape.rows, 2 * shape.features}, shape.dtype, 0),
          hidden({shape.rows, shape.features}, shape.dtype, 0),
          dgate({shape.rows, shape.features}, shape.dtype, 0),
          dup({shape.rows, shape.features}, shape.dtype, 0) {
        fill_fast(x.view, 1, 1.0);
        fill_fast(gate_up_panels.view, 2, 1 / std::sqrt(static_cast<double>(shape.columns)));
        fill_fast(down_panels.view, 3, 1 / std::sqrt(static_cast<double>(shape.features)));
        fill_fast(dy.view, 4, 1.0);
    }

    bool measure() const {
        return forward() && backward(false) && backward(true);
    }

private:
    double products() const {
        return static_cast<double>(shape.rows * shape.columns * shape.features);
    }

    bool forward() const {
        tsp_gated_mlp_args args{};
        args.struct_size = sizeof args;
        args.x = x.view;
        args.gate_up = gate_up_panels.view;
        args.down = down_panels.view;
        args.y = y.view;
        args.saved = saved.view;
        args.intermediate = shape.features;
        tsp_gated_mlp_args timed = args;
        timed.saved = {};
        return time("forward", kernels.gated_mlp_forward, args, timed, 6 * products(), [&] { return check(args); });
    }

    bool backward(bool with_saved) const {
        tsp_gated_mlp_backward_args args{};
        args.struct_size = sizeof args;
        args.x = x.view;
        args.gate_up = gate_up_panels.view;
        args.down = down_panels.view;
        args.dy = dy.view;
        args.hidden = hidden.view;
        args.dgate = dgate.view;
        args.dup = dup.view;
        args.dx = y.view;
        args.intermediate = shape.features;
        if (with_saved) {
            args.saved = saved.view;
        }
        /* 2 T h f for each product: gate and up again, dhidden, and dx from dgate and from dup. */
        return time(
            with_saved ? "backward saved" : "backward",
            kernels.gated_mlp_backward,
            args,
            args,
            (with_saved ? 6 : 10) * products(),
            [&] { return check(args); });
    }

    /* Runs checked once, and then timed as often as the time allows. */
    template <class Args, class Check>
    bool time(
        const char *name, const tsp_kernel &kernel, const Args &checked, const Args &timed, double flops,
        const Check &check) const {
        tsp_launch launch{};
        launch.struct_size = sizeof launch;
        launch.threads = threads;
        launch.workspace_bytes = kernel.workspace_bytes(&checked, &launch);
        const Buffer workspace(launch.workspace_bytes, 0, POISON);
        launch.workspace = workspace.data();
        tsp_error error{};
        error.struct_size = sizeof error;
        if (kernel.run(&checked, &launch, &error) != TSP_OK) {
            std::fprintf(stderr, "%s\n", error.message);
            return false;
        }
        if (!check()) {
            return false;
        }
        const bool is_bf16 = shape.dtype == TSP_BF16;
        double peak = 0;
        double best = INFINITY;
        const auto begin = std::chrono::steady_clock::now();
        std::chrono::duration<double> spent{};
        while (spent.count() < SECONDS_PER_KERNEL) {
            peak = std::max(peak, peak_gflops(kernels.isa, is_bf16, threads));
            const auto start = std::chrono::steady_clock::now();
            kernel.run(&timed, &launch, nullptr);
            const auto end = std::chrono::steady_clock::now();
            best = std::min(best, std::chrono::duration<double>(end - start).count());
            spent = end - begin;
        }
        const double weights = static_cast<double>((gate_up.count() + down.count()) * bytes_of(shape.dtype));
        const double gflops = flops / best / 1e9;
        std::printf(
            "%-10s %-14s %-4s T=%-5ld h=%ld f=%ld %d threads: %7.1f GFLOP/s, %.3f of the peak %7.1f, weights %.1f GB/s, "
            "workspace %.1f MiB\n",
            kernels.isa,
            name,
            is_bf16 ? "bf16" : "f32",
            shape.rows,
            shape.columns,
            shape.features,
            threads,
            gflops,
            gflops / peak,
            peak,
            weights / best / 1e9,
            static_cast<double>(launch.workspace_bytes) / (1 << 20));
        std::fflush(stdout);
        return true;
    }

    bool check(const tsp_gated_mlp_args &args) const {
        const MlpReference reference(args);
        for (const int64_t row : {int64_t{0}, shape.rows - 1}) {
            const MlpReference::Hidden features = reference.hidden(row);
            for (int64_t column = 0; column < shape.columns; column += SAMPLE_STEP) {
                const MlpReference::Sum wanted = reference.output(features, column);
                if (!agree("y", row, column, get(args.y, row, column), wanted.value, wanted.error)) {
                    return false;
                }
            }
        }
        return true;
    }

    bool check(const tsp_gated_mlp_backward_args &args) const {
        const double sums = FP32_ROUNDING * static_cast<double>(2 * std::max(shape.columns, shape.features) + 2);
        const double exponential = 8e-6;
        for (const int64_t row : {int64_t{0}, shape.rows - 1}) {
            for (int64_t feature = 0; feature < shape.features; feature += SAMPLE_STEP) {
                const FeatureGradients wanted = feature_gradients<double>(inputs_of(args, row, feature), 0, 0);
                const auto same = [&](const char *name, const tsp_tensor &tensor, const Scaled &one) {
                    const double bound =
                        (sums + exponential) * one.scale + 1.01 * rounding_of(shape.dtype) * std::fabs(one.value);
                    return agree(name, row, feature, get(tensor, row, feature), one.value, bound);
                };
                if (!same("hidden", args.hidden, wanted.hidden) || !same("dgate", args.dgate, wanted.dgate)
                    || !same("dup", args.dup, wanted.dup)) {
                    return false;
                }
            }
            for (int64_t column = 0; column < shape.columns; column += SAMPLE_STEP) {
                double value = 0;
                double magnitude = 0;
                for (int64_t feature = 0; feature < shape.features; ++feature) {
                    const double gate = get(args.dgate, row, feature) * gate_at(feature, column);
                    const double up = get(args.dup, row, feature) * up_at(feature, column);
                    value += gate + up;
                    magnitude += std::fabs(gate) + std::fabs(up);
                }
                if (!agree("dx", row, column, get(args.dx, row, column), value, sums * magnitude)) {
                    return false;
                }
            }
        }
        return true;
    }

    double gate_at(int64_t feature, int64_t k) const {
        return get(gate_up_panels.view, gate_up.at(feature / 32, k, feature % 32));
    }

    double up_at(int64_t feature, int64_t k) const {
        return get(gate_up_panels.view, gate_up.at(feature / 32, k, 32 + feature % 32));
    }

    /* What the gradients of one feature of one row depend on. */
    MlpInputs inputs_of(const tsp_gated_mlp_backward_args &args, int64_t row, int64_t feature) const {
        MlpInputs in{
            Matrix(1, shape.columns),
            Matrix(1, shape.columns),
            Matrix(1, shape.columns),
            Matrix(1, shape.columns),
            Matrix(shape.columns, 1),
            {}};
        for (int64_t k = 0; k < shape.columns; ++k) {
            in.x(0, k) = get(args.x, row, k);
            in.dy(0, k) = get(args.dy, row, k);
            in.gate(0, k) = gate_at(feature, k);
            in.up(0, k) = up_at(feature, k);
            in.down(k, 0) = get(args.down, down.at(k / PANEL_COLUMNS, feature, k % PANEL_COLUMNS));
        }
        for (const int64_t second : {0, 32}) {
            if (args.saved.data != nullptr) {
                in.saved.emplace_back(1, 1);
                in.saved.back()(0, 0) = get(args.saved, row, feature / 32 * PANEL_COLUMNS + second + feature % 32);
            }
        }
        return in;
    }

    const tsp_kernels &kernels;
    Shape shape;
    int32_t threads;
    PanelLayout gate_up;
    PanelLayout down;
    TestTensor x;
    TestTensor dy;
    TestTensor gate_up_panels;
    TestTensor down_panels;
    TestTensor y;
    TestTensor saved;
    TestTensor hidden;
    TestTensor dgate;
    TestTensor dup;
};

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
        if (!Bench(*kernels, {dtype, rows, columns, features}, threads).measure()) {
            return 1;
        }
    }
    return 0;
}
