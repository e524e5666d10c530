/*
 * The part of the CUDA runtime API that is emulated, declared with the names and values of NVIDIA's header: host memory
 * stands for a device's, and a stream is a thread that works in order.
 *
 * TSP_EMULATED_GPUS: how many devices there are (1). TSP_EMULATED_MIB: memory of each (2048).
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
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorPeerAccessAlreadyEnabled = 704,
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

/* The beginning of NVIDIA's struct, as long as callers need it. */
struct cudaDeviceProp {
    char name[256];
    unsigned char uuid[16];
    char luid[8];
    unsigned luidDeviceNodeMask;
    size_t totalGlobalMem;
};

typedef struct tsp_emulated_stream *cudaStream_t;
typedef struct tsp_emulated_event *cudaEvent_t;

TSP_EMULATED_API cudaError_t cudaGetLastError();
TSP_EMULATED_API const char *cudaGetErrorName(cudaError_t error);
TSP_EMULATED_API const char *cudaGetErrorString(cudaError_t error);

TSP_EMULATED_API cudaError_t cudaDriverGetVersion(int *version);
TSP_EMULATED_API cudaError_t cudaRuntimeGetVersion(int *version);
TSP_EMULATED_API cudaError_t cudaGetDeviceCount(int *count);
TSP_EMULATED_API cudaError_t cudaGetDevice(int *device);
TSP_EMULATED_API cudaError_t cudaSetDevice(int device);
TSP_EMULATED_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
TSP_EMULATED_API cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
TSP_EMULATED_API cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device);
TSP_EMULATED_API cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer);
TSP_EMULATED_API cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags);
TSP_EMULATED_API cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest);

TSP_EMULATED_API cudaError_t cudaMalloc(void **address, size_t bytes);
TSP_EMULATED_API cudaError_t cudaFree(void *address);
TSP_EMULATED_API cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned flags);
TSP_EMULATED_API cudaError_t cudaFreeHost(void *address);
TSP_EMULATED_API cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
TSP_EMULATED_API cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream);
TSP_EMULATED_API cudaError_t
cudaMemcpyAsync(void *target, const void *source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);

TSP_EMULATED_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority);
TSP_EMULATED_API cudaError_t cudaStreamDestroy(cudaStream_t stream);
TSP_EMULATED_API cudaError_t cudaStreamSynchronize(cudaStream_t stream);
TSP_EMULATED_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
TSP_EMULATED_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
TSP_EMULATED_API cudaError_t cudaEventDestroy(cudaEvent_t event);
TSP_EMULATED_API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
TSP_EMULATED_API cudaError_t cudaEventQuery(cudaEvent_t event);
TSP_EMULATED_API cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);

/* Puts work at the end of a stream; without a stream it is done at once. */
__attribute__((visibility("default"))) void tspEmulatorEnqueue(cudaStream_t stream, std::function<void()> work);
