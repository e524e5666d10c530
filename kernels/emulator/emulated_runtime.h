/*
 * The part of the CUDA runtime API that is emulated, declared with the names and values of NVIDIA's header: host memory
 * stands for a device's, and a stream is a thread that works in order.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#define TSP_EMULATED_API extern "C" __attribute__((visibility("default")))

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorPeerAccessAlreadyEnabled = 704,
    cudaErrorLaunchFailure = 719,
};

enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
};

enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrAsyncEngineCount = 40,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

typedef struct tsp_emulated_stream *cudaStream_t;
typedef struct tsp_emulated_event *cudaEvent_t;

TSP_EMULATED_API cudaError_t cudaGetLastError();
TSP_EMULATED_API const char *cudaGetErrorName(cudaError_t error);
TSP_EMULATED_API const char *cudaGetErrorString(cudaError_t error);
TSP_EMULATED_API cudaError_t cudaGetDevice(int *device);
TSP_EMULATED_API cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
TSP_EMULATED_API cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream);
TSP_EMULATED_API cudaError_t
cudaMemcpyAsync(void *target, const void *source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
TSP_EMULATED_API cudaError_t cudaStreamSynchronize(cudaStream_t stream);

/* Puts work at the end of a stream; without a stream it is done at once. */
__attribute__((visibility("default"))) void tspEmulatorEnqueue(cudaStream_t stream, std::function<void()> work);
