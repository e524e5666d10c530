/* What tsp-ffm uses of the CUDA runtime, versions 12 and 13. A struct of pointers instead of the functions themselves:
   jextract's classes for functions look symbols up in everything that is loaded, those for pointers look nothing up.
   Each member has the type and the name of the vendor's function; Symbols fills the struct from one library. */
#ifndef TSP_CUDART_H
#define TSP_CUDART_H

#include <cuda_runtime_api.h>
#include <stddef.h>

#define TSP_FUNCTION(name) __typeof__(name) *name

struct tsp_cudart {
    TSP_FUNCTION(cudaGetErrorName);
    TSP_FUNCTION(cudaGetErrorString);
    TSP_FUNCTION(cudaGetLastError);
    TSP_FUNCTION(cudaDriverGetVersion);
    TSP_FUNCTION(cudaRuntimeGetVersion);
    TSP_FUNCTION(cudaGetDeviceCount);
    TSP_FUNCTION(cudaGetDeviceProperties);
    TSP_FUNCTION(cudaDeviceGetAttribute);
    TSP_FUNCTION(cudaDeviceGetPCIBusId);
    TSP_FUNCTION(cudaDeviceCanAccessPeer);
    TSP_FUNCTION(cudaDeviceEnablePeerAccess);
    TSP_FUNCTION(cudaDeviceGetStreamPriorityRange);
    TSP_FUNCTION(cudaSetDevice);
    TSP_FUNCTION(cudaMalloc);
    TSP_FUNCTION(cudaFree);
    TSP_FUNCTION(cudaHostAlloc);
    TSP_FUNCTION(cudaFreeHost);
    TSP_FUNCTION(cudaMemGetInfo);
    TSP_FUNCTION(cudaMemcpyAsync);
    TSP_FUNCTION(cudaMemsetAsync);
    TSP_FUNCTION(cudaStreamCreateWithPriority);
    TSP_FUNCTION(cudaStreamDestroy);
    TSP_FUNCTION(cudaStreamSynchronize);
    TSP_FUNCTION(cudaStreamWaitEvent);
    TSP_FUNCTION(cudaEventCreateWithFlags);
    TSP_FUNCTION(cudaEventDestroy);
    TSP_FUNCTION(cudaEventRecord);
    TSP_FUNCTION(cudaEventQuery);
    TSP_FUNCTION(cudaEventElapsedTime);
};

/* The beginning of cudaDeviceProp, which is all of it that versions 12 and 13 agree on. */
struct tsp_cuda_device {
    char name[256];
    unsigned char uuid[16];
    char luid[8];
    unsigned int luidDeviceNodeMask;
    size_t totalGlobalMem;
};

#define TSP_SAME(member)                                                                                               \
    _Static_assert(offsetof(struct tsp_cuda_device, member) == offsetof(struct cudaDeviceProp, member), #member)
TSP_SAME(name);
TSP_SAME(uuid);
TSP_SAME(totalGlobalMem);
_Static_assert(sizeof(struct cudaDeviceProp) <= 2048, "CudaRuntime lends 4096 bytes, for later versions, too");

#endif
