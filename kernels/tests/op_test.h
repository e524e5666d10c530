/* What the tests of ops share: reading and filling tensors, guard words, running an op at every level. */
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "buffers.h"
#include "expect.h"

namespace tsp::test {

/* The largest relative error of one rounding. */
inline const double FP32_ROUNDING = std::ldexp(1.0, -24);
inline const double BF16_ROUNDING = std::ldexp(1.0, -8);

/* Tensors that are large for the sake of CPUs' caches are made smaller by this for the emulator of GPUs. */
#if defined(TSP_TEST_EMULATOR)
constexpr int64_t LARGE_SHARE = 16;
#else
constexpr int64_t LARGE_SHARE = 1;
#endif

inline double rounding_of(tsp_dtype dtype) {
    return dtype == TSP_BF16 ? BF16_ROUNDING : FP32_ROUNDING;
}

inline float bf16_value(uint16_t half) {
    const uint32_t bits = uint32_t{half} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest value of the dtype. */
inline float rounded(tsp_dtype dtype, float x) {
    return dtype == TSP_BF16 ? bf16_value(bf16_bits(x)) : x;
}

inline int64_t bytes_of(tsp_dtype dtype) {
    return dtype == TSP_BF16 ? 2 : dtype == TSP_F64 ? 8 : 4;
}

/* Element [i, j, k] of a tensor of rank 1 to 3; indices beyond its rank are 0. */
inline int64_t position(const tsp_tensor &tensor, int64_t i, int64_t j = 0, int64_t k = 0) {
    return i * tensor.strides[0] + j * tensor.strides[1] + k * tensor.strides[2];
}

inline double get(const tsp_tensor &tensor, int64_t i, int64_t j = 0, int64_t k = 0) {
    const int64_t at = position(tensor, i, j, k);
    switch (tensor.dtype) {
    case TSP_BF16:
        return bf16_value(static_cast<const uint16_t *>(tensor.data)[at]);
    case TSP_I32:
        return static_cast<const int32_t *>(tensor.data)[at];
    case TSP_F64:
        return static_cast<const double *>(tensor.data)[at];
    default:
        return static_cast<const float *>(tensor.data)[at];
    }
}

inline void put(const tsp_tensor &tensor, double value, int64_t i, int64_t j = 0, int64_t k = 0) {
    const int64_t at = position(tensor, i, j, k);
    switch (tensor.dtype) {
    case TSP_BF16:
        static_cast<uint16_t *>(tensor.data)[at] = bf16_bits(static_cast<float>(value));
        break;
    case TSP_I32:
        static_cast<int32_t *>(tensor.data)[at] = static_cast<int32_t>(value);
        break;
    default:
        static_cast<float *>(tensor.data)[at] = static_cast<float>(value);
    }
}

/* Calls body(i, j, k) for each element of a tensor of rank 1 to 3. */
template <class Body>
void for_each(const tsp_tensor &tensor, const Body &body) {
    const int64_t columns = tensor.rank > 1 ? tensor.shape[1] : 1;
    const int64_t depth = tensor.rank > 2 ? tensor.shape[2] : 1;
    for (int64_t i = 0; i < tensor.shape[0]; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
            for (int64_t k = 0; k < depth; ++k) {
                body(i, j, k);
            }
        }
    }
}

inline void fill_normal(const tsp_tensor &tensor, uint32_t seed, double scale = 1.0) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0.0, scale);
    for_each(tensor, [&](int64_t i, int64_t j, int64_t k) { put(tensor, normal(random), i, j, k); });
}

inline std::vector<unsigned char> contents(const TestTensor &tensor) {
    const auto *first = static_cast<const unsigned char *>(tensor.buffer.data());
    return {first, first + tensor.buffer.bytes()};
}

/* Numbers of threads beside 1 that results may not depend on. GPUs have none: there it is one more run. */
#if defined(TSP_TEST_GPU)
constexpr int32_t MORE_THREADS[] = {2};
#else
constexpr int32_t MORE_THREADS[] = {2, 3, 5};
#endif

struct Outcome {
    tsp_status status;
    std::string message;
};

/* Runs with exactly the workspace that the kernel asks for, poisoned. */
template <class Args>
Outcome run(const tsp_kernel &kernel, const Args &args, int32_t threads) {
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = threads;
    launch.workspace_bytes = kernel.workspace_bytes(&args, &launch);
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    const tsp_status status = kernel.run(&args, &launch, &error);
    return {status, error.message};
}

/* One level under test; what fails is printed with its name. */
struct Level {
    const tsp_kernels &kernels;
    Report &report;

    void expect(bool condition, const std::string &what) const {
        report.expect(condition, "%s: %s", kernels.isa, what.c_str());
    }

    void close(double got, double wanted, double bound, const std::string &what) const {
        const bool same = got == wanted || (std::isnan(got) && std::isnan(wanted));
        report.expect(
            same || std::fabs(got - wanted) <= bound,
            "%s: %s is %.9g instead of %.9g, bound %.3g",
            kernels.isa,
            what.c_str(),
            got,
            wanted,
            bound);
    }

    /* What lies between the rows of a tensor that was made with padding is as it was made. */
    void guards_intact(const TestTensor &tensor, const std::string &what) const {
        const int64_t element = bytes_of(tensor.view.dtype);
        std::vector<unsigned char> bytes = contents(tensor);
        for_each(tensor.view, [&](int64_t i, int64_t j, int64_t k) {
            std::memset(bytes.data() + position(tensor.view, i, j, k) * element, POISON, static_cast<size_t>(element));
        });
        const bool intact = std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == POISON; });
        expect(intact, what + ": a guard word was overwritten");
    }

    template <class Args>
    void run_ok(const tsp_kernel &kernel, const Args &args, int32_t threads) const {
        const Outcome outcome = run(kernel, args, threads);
        expect(outcome.status == TSP_OK, outcome.message);
    }

    /* Wrong arguments: the message has to contain all of words. */
    template <class Args>
    void run_refused(const tsp_kernel &kernel, const Args &args, std::initializer_list<const char *> words) const {
        const Outcome outcome = run(kernel, args, 1);
        expect(outcome.status == TSP_INVALID_ARGUMENT, "wrong arguments were accepted");
        for (const char *word : words) {
            const bool said = outcome.message.find(word) != std::string::npos;
            expect(said, "'" + outcome.message + "' does not say '" + word + "'");
        }
    }
};

/* Calls body(level) for each level that this processor has; returns the exit status of the test called name. */
template <class Body>
int test_levels(const char *name, const Body &body) {
    Report report;
    for_each_level(report, [&](const tsp_kernels &kernels) { body(Level{kernels, report}); });
    return report.exit_status(name);
}

} // namespace tsp::test
