/* Devices and memory of the emulated CUDA runtime. Fresh device memory is NaN, so that nothing relies on zeros. */
#include "emulated_runtime.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace {

constexpr int VERSION = 13000;
constexpr size_t ALIGNMENT = 256;

size_t setting(const char *name, size_t otherwise) {
    const char *text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

int device_count() {
    return static_cast<int>(setting("TSP_EMULATED_GPUS", 1));
}

size_t device_bytes() {
    return setting("TSP_EMULATED_MIB", 2048) << 20;
}

bool is_device(int device) {
    return device >= 0 && device < device_count();
}

struct Allocation {
    int device;
    size_t bytes;
};

std::mutex memory_lock;
std::map<void *, Allocation> allocations;
thread_local int current_device = 0;

size_t used_bytes(int device) {
    size_t used = 0;
    for (const auto &[address, allocation] : allocations) {
        used += allocation.device == device ? allocation.bytes : 0;
    }
    return used;
}

void *aligned(size_t bytes) {
    return std::aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

} // namespace

cudaError_t cudaGetLastError() {
    return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
        return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
        return "cudaErrorNotReady";
    case cudaErrorPeerAccessAlreadyEnabled:
        return "cudaErrorPeerAccessAlreadyEnabled";
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
        return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
        return "invalid resource handle";
    case cudaErrorNotReady:
        return "device not ready";
    case cudaErrorPeerAccessAlreadyEnabled:
        return "peer access is already enabled";
    }
    return "unrecognized error code";
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = device_count();
    return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (!is_device(device)) {
        return cudaErrorInvalidDevice;
    }
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    if (!is_device(device)) {
        return cudaErrorInvalidDevice;
    }
    std::memset(properties, 0, sizeof *properties);
    std::snprintf(properties->name, sizeof properties->name, "CUDA emulator on this CPU");
    properties->uuid[15] = static_cast<unsigned char>(device + 1);
    properties->totalGlobalMem = device_bytes();
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    if (!is_device(device)) {
        return cudaErrorInvalidDevice;
    }
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = 4;
        return cudaSuccess;
    case cudaDevAttrAsyncEngineCount:
        *value = 1;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = 9;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = 0;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = 227 << 10;
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device) {
    if (!is_device(device)) {
        return cudaErrorInvalidDevice;
    }
    std::snprintf(text, static_cast<size_t>(bytes), "0000:%02X:00.0", device + 1);
    return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer) {
    if (!is_device(device) || !is_device(peer)) {
        return cudaErrorInvalidDevice;
    }
    *can = device != peer;
    return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
    return is_device(peer) && peer != current_device ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **address, size_t bytes) {
    const std::lock_guard<std::mutex> held(memory_lock);
    void *memory = used_bytes(current_device) + bytes > device_bytes() ? nullptr : aligned(bytes);
    if (memory == nullptr) {
        return cudaErrorMemoryAllocation;
    }
    std::memset(memory, 0xff, bytes);
    allocations[memory] = {current_device, bytes};
    *address = memory;
    return cudaSuccess;
}

cudaError_t cudaFree(void *address) {
    const std::lock_guard<std::mutex> held(memory_lock);
    if (address != nullptr && allocations.erase(address) == 0) {
        return cudaErrorInvalidValue;
    }
    std::free(address);
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned) {
    *address = aligned(bytes);
    return *address == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void *address) {
    std::free(address);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    const std::lock_guard<std::mutex> held(memory_lock);
    *total = device_bytes();
    *free = *total - used_bytes(current_device);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream) {
    tspEmulatorEnqueue(stream, [=] { std::memset(target, value, bytes); });
    return cudaSuccess;
}

cudaError_t
cudaMemcpyAsync(void *target, const void *source, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
    tspEmulatorEnqueue(stream, [=] { std::memmove(target, source, bytes); });
    return cudaSuccess;
}
