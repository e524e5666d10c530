/* What cuda/ptx/tma.h offers, on the CPU. */
#pragma once

#include <cuda_runtime.h>

#include "async.h"
#include "mbarrier.h"
#include "tsp_kernels.h"

namespace tsp::gpu {

struct alignas(64) TensorMap : emulator::TensorDescription {};
static_assert(sizeof(TensorMap) <= 128, "a tensor map has 128 bytes");

constexpr int MAX_TENSOR_RANK = 5;

/* Refuses what the driver's documentation of cuTensorMapEncodeTiled forbids. */
inline bool encode_tensor_map(
    TensorMap &map,
    tsp_dtype dtype,
    int rank,
    const void *data,
    const uint64_t *sizes,
    const uint64_t *strides,
    const uint32_t *box,
    bool swizzled) {
    const uint32_t element = dtype == TSP_BF16 ? 2 : 4;
    map = {};
    map.data = static_cast<unsigned char *>(const_cast<void *>(data));
    map.rank = static_cast<int16_t>(rank);
    map.element_bytes = static_cast<int8_t>(element);
    map.swizzled = swizzled;
    bool allowed = rank >= 1 && rank <= MAX_TENSOR_RANK && data != nullptr && reinterpret_cast<uintptr_t>(data) % 16 == 0
        && box[0] * element % 16 == 0 && (!swizzled || box[0] * element <= 128);
    for (int i = 0; i < rank && allowed; ++i) {
        map.sizes[i] = sizes[i];
        map.strides[i] = i == 0 ? element : strides[i];
        map.box[i] = box[i];
        allowed = sizes[i] >= 1 && sizes[i] <= uint64_t{1} << 32 && box[i] >= 1 && box[i] <= 256
            && (i == 0 || (strides[i] % 16 == 0 && strides[i] < uint64_t{1} << 40));
    }
    return allowed;
}

inline void prefetch_tensor_map(const TensorMap *) {}

template <int RANK>
void load_tensor(void *shared, const TensorMap *map, const int32_t (&at)[RANK], MBarrier *barrier) {
    static_assert(RANK >= 2 && RANK <= MAX_TENSOR_RANK, "boxes have 2 to 5 dimensions");
    emulator::start_load(shared, *map, at, RANK, barrier);
}

template <int RANK>
void store_tensor(const TensorMap *map, const int32_t (&at)[RANK], const void *shared) {
    static_assert(RANK == 2 || RANK == 3, "boxes that are stored have 2 or 3 dimensions");
    emulator::start_store(emulator::BoxStore::WRITE, *map, at, RANK, shared);
}

template <int RANK>
void add_tensor(const TensorMap *map, const int32_t (&at)[RANK], const void *shared) {
    static_assert(RANK == 2 || RANK == 3, "boxes that are added have 2 or 3 dimensions");
    emulator::start_store(emulator::BoxStore::ADD, *map, at, RANK, shared);
}

inline void commit_stores() {
    emulator::commit_stores();
}

template <int PENDING>
void wait_for_stores_read() {
    emulator::wait_for_stores(PENDING);
}

template <int PENDING>
void wait_for_stores() {
    emulator::wait_for_stores(PENDING);
}

} // namespace tsp::gpu
