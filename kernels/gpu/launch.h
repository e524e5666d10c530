/* What kernels of GPUs stand on when they are launched. Compiled as CUDA, or as C++ for the emulator. */
#pragma once

#include <cuda_runtime.h>

#include "frame.h"
#include "host_device.h"

namespace tsp::gpu {

/* Fails with CUDA's words unless status is success. */
inline void require_success(cudaError_t status, const char *what) {
    if (status != cudaSuccess) {
        fail(
            status == cudaErrorMemoryAllocation ? TSP_OUT_OF_MEMORY : TSP_DEVICE_ERROR,
            "CUDA: %s: %s (%s)",
            what,
            cudaGetErrorString(status),
            cudaGetErrorName(status));
    }
}

inline cudaStream_t stream_of(const tsp_launch &launch) {
    return static_cast<cudaStream_t>(launch.stream);
}

/* A property of the device that launches go to. */
inline int device_attribute(cudaDeviceAttr attribute) {
    int device = 0;
    int value = 0;
    require_success(cudaGetDevice(&device), "cudaGetDevice");
    require_success(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
    return value;
}

/* How many blocks of how many threads, with how much shared memory for each block. */
struct Grid {
    dim3 blocks;
    uint32_t threads;
    size_t shared_bytes = 0;
};

/* What a block may have without asking for more. */
constexpr size_t DEFAULT_SHARED_BYTES = size_t{48} << 10;

/* Fails if no block can have as much; asked behind a refusal, so that no other launch pays for it. */
inline void explain_shared_bytes(const char *name, size_t wanted) {
    const int present = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    if (wanted > static_cast<size_t>(present)) {
        fail(
            TSP_UNSUPPORTED,
            "%s: %zu KB of shared memory are needed for a block, this GPU has %d KB",
            name,
            wanted >> 10,
            present >> 10);
    }
}

/* Enqueues a kernel; a grid without blocks is nothing. */
template <class... Parameters, class... Arguments>
void launch(
    const char *name, void (*kernel)(Parameters...), const Grid &grid, cudaStream_t stream, Arguments... arguments) {
    if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) {
        return;
    }
    if (grid.shared_bytes > DEFAULT_SHARED_BYTES) {
        const cudaError_t status = cudaFuncSetAttribute(
            kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes));
        if (status != cudaSuccess) {
            explain_shared_bytes(name, grid.shared_bytes);
        }
        require_success(status, name);
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid.blocks;
    config.blockDim = dim3(grid.threads);
    config.dynamicSmemBytes = grid.shared_bytes;
    config.stream = stream;
    require_success(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

/* Blocks for count tasks of which each block takes one after the other: enough to fill the device several times over. */
inline uint32_t blocks_for(int64_t count) {
    constexpr int64_t BLOCKS_PER_MULTIPROCESSOR = 16;
    return static_cast<uint32_t>(
        smaller(count, device_attribute(cudaDevAttrMultiProcessorCount) * BLOCKS_PER_MULTIPROCESSOR));
}

} // namespace tsp::gpu
