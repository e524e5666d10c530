/* What benchmarks of ops that only move memory share. */
#pragma once

#include <cstdio>
#include <cstdlib>

#include "copy_bandwidth.h"
#include "op_test.h"

namespace tsp::test {

constexpr double SECONDS_PER_OP = 1.0;

/* Buffers to copy from and to; bytes counts what is read and what is written. */
class CopyBandwidth {
public:
    CopyBandwidth(int64_t bytes, int32_t threads)
        : threads(threads),
          grains(bytes / 2 / COPY_GRAIN_BYTES),
          source(grains * COPY_GRAIN_BYTES, 0, 1),
          target(grains * COPY_GRAIN_BYTES, 0, 2) {}

    double seconds() const {
        return copy_seconds(target.data(), source.data(), grains, threads);
    }

private:
    int32_t threads;
    int64_t grains;
    Buffer source;
    Buffer target;
};

class Bench {
public:
    Bench(const tsp_kernels &kernels, int32_t threads) : kernels(kernels), threads(threads) {}

    template <class Args>
    void check(const tsp_kernel &kernel, const Args &args) {
        level.run_ok(kernel, args, threads);
    }

    /* bytes: what the op cannot avoid to read or write. */
    template <class Args>
    void time(const char *name, const tsp_kernel &kernel, const Args &args, int64_t bytes) const {
        tsp_launch launch{};
        launch.struct_size = sizeof launch;
        launch.threads = threads;
        launch.workspace_bytes = kernel.workspace_bytes(&args, &launch);
        const Buffer workspace(launch.workspace_bytes, 0, POISON);
        launch.workspace = workspace.data();
        const CopyBandwidth copy(bytes, threads);
        double best = INFINITY;
        double best_copy = INFINITY;
        const auto begin = std::chrono::steady_clock::now();
        while (seconds_since(begin) < SECONDS_PER_OP) {
            best_copy = std::min(best_copy, copy.seconds());
            const auto start = std::chrono::steady_clock::now();
            kernel.run(&args, &launch, nullptr);
            best = std::min(best, seconds_since(start));
        }
        const double total = static_cast<double>(bytes) / 1e9;
        std::printf(
            "%-10s %-28s %7.1f MB, %d threads: %6.1f GB/s, %.2f of the copy's %6.1f\n",
            kernels.isa,
            name,
            static_cast<double>(bytes) / 1e6,
            threads,
            total / best,
            best_copy / best,
            total / best_copy);
        std::fflush(stdout);
    }

    const tsp_kernels &kernels;
    int32_t threads;
    Report report{};
    Level level{kernels, report};
};

struct Entry {
    const char *name;
    void (*run)(Bench &, const char *name);

    void run_if(Bench &bench, const std::string &start_of_name) const {
        if (std::string(name).compare(0, start_of_name.size(), start_of_name) == 0) {
            run(bench, name);
        }
    }
};

extern const std::vector<Entry> TRAINING_ENTRIES;

inline int64_t bytes_in(const TestTensor &tensor) {
    return tensor.buffer.bytes();
}

/* Rows that repeat, so that a tensor of a gigabyte is ready in a second. */
inline void fill_rows(const TestTensor &tensor, uint32_t seed, double scale = 1.0) {
    tsp_tensor first = tensor.view;
    first.shape[0] = std::min(first.shape[0], int64_t{61});
    fill_normal(first, seed, scale);
    const int64_t row_bytes = tensor.view.strides[0] * bytes_of(tensor.view.dtype);
    auto *data = static_cast<char *>(tensor.view.data);
    for (int64_t i = first.shape[0]; i < tensor.view.shape[0]; ++i) {
        std::memcpy(data + i * row_bytes, data + i % first.shape[0] * row_bytes, static_cast<size_t>(row_bytes));
    }
}

} // namespace tsp::test
