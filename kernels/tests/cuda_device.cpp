#include "cuda_device.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace tsp::test {
namespace {

/* The entries of a table stand one behind the other. */
constexpr size_t FIRST = offsetof(tsp_kernels, attention_forward);
constexpr size_t COUNT = (sizeof(tsp_kernels) - FIRST) / sizeof(tsp_kernel);

tsp_kernels asynchronous;

tsp_kernel &entry(tsp_kernels &table, size_t index) {
    return *reinterpret_cast<tsp_kernel *>(reinterpret_cast<unsigned char *>(&table) + FIRST + index * sizeof(tsp_kernel));
}

template <size_t INDEX>
tsp_status run_and_wait(const void *args, const tsp_launch *launch, tsp_error *error) {
    const tsp_status status = entry(asynchronous, INDEX).run(args, launch, error);
    const cudaError_t outcome = cudaDeviceSynchronize();
    if (outcome == cudaSuccess) {
        return status;
    }
    if (error != nullptr) {
        std::snprintf(error->message, sizeof error->message, "CUDA: %s", cudaGetErrorString(outcome));
    }
    return TSP_DEVICE_ERROR;
}

template <size_t... INDEX>
void replace_all(tsp_kernels &table, std::index_sequence<INDEX...>) {
    ((entry(table, INDEX).run = run_and_wait<INDEX>), ...);
}

} // namespace

void *allocate_pinned(size_t bytes) {
    void *memory = nullptr;
    const cudaError_t outcome = cudaHostAlloc(&memory, bytes, cudaHostAllocDefault);
    if (outcome != cudaSuccess) {
        std::fprintf(stderr, "no pinned memory of %zu bytes: %s\n", bytes, cudaGetErrorString(outcome));
        std::exit(1);
    }
    return memory;
}

void release_pinned(void *memory) {
    cudaFreeHost(memory);
}

const tsp_kernels *synchronous(const tsp_kernels *kernels) {
    static tsp_kernels table;
    asynchronous = *kernels;
    table = *kernels;
    replace_all(table, std::make_index_sequence<COUNT>{});
    return &table;
}

} // namespace tsp::test
