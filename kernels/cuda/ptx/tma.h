/*
 * The copy engine of sm_90 (TMA): boxes of tensors of rank 2 to 5 between global and shared memory, asked for by one
 * thread. The emulator has a header of the same name.
 *
 * A box stands in shared memory without gaps, its first dimension running fastest. Elements of the box that are outside
 * of the tensor are zero when loaded and left out when stored; they count among the bytes that an mbarrier receives. With
 * the 128-byte swizzle the box is 128 bytes wide and what belongs at byte b of shared memory stands at swizzled(b).
 */
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include "frame.h"
#include "mbarrier.h"

namespace tsp::gpu {

/* What the copy engine knows of a tensor: passed to kernels by value, as a __grid_constant__ parameter. */
using TensorMap = CUtensorMap;

constexpr int MAX_TENSOR_RANK = 5;

/* sizes and boxes in elements, strides in bytes, that of the first dimension is an element. False if the driver refuses. */
inline bool encode_tensor_map(
    TensorMap &map,
    tsp_dtype dtype,
    int rank,
    const void *data,
    const uint64_t *sizes,
    const uint64_t *strides,
    const uint32_t *box,
    bool swizzled) {
    using Encode = CUresult (*)(
        CUtensorMap *,
        CUtensorMapDataType,
        cuuint32_t,
        void *,
        const cuuint64_t *,
        const cuuint64_t *,
        const cuuint32_t *,
        const cuuint32_t *,
        CUtensorMapInterleave,
        CUtensorMapSwizzle,
        CUtensorMapL2promotion,
        CUtensorMapFloatOOBfill);
    /* The driver's function is asked for by name, so that the library loads where there is no driver. */
    static const Encode encode = [] {
        constexpr unsigned VERSION = 12000;
        void *function = nullptr;
        cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
        const cudaError_t status = cudaGetDriverEntryPointByVersion(
            "cuTensorMapEncodeTiled", &function, VERSION, cudaEnableDefault, &found);
        return status == cudaSuccess && found == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function)
                                                                             : nullptr;
    }();
    if (encode == nullptr) {
        fail(TSP_UNSUPPORTED, "CUDA: this driver has no cuTensorMapEncodeTiled: install one for CUDA 12 or later");
    }
    constexpr cuuint32_t EVERY_ELEMENT[MAX_TENSOR_RANK] = {1, 1, 1, 1, 1};
    cuuint64_t counts[MAX_TENSOR_RANK] = {};
    cuuint64_t bytes[MAX_TENSOR_RANK] = {};
    for (int i = 0; i < rank; ++i) {
        counts[i] = sizes[i];
        bytes[i] = strides[i];
    }
    return encode(
               &map,
               dtype == TSP_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
               static_cast<cuuint32_t>(rank),
               const_cast<void *>(data),
               counts,
               bytes + 1,
               box,
               EVERY_ELEMENT,
               CU_TENSOR_MAP_INTERLEAVE_NONE,
               swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
        == CUDA_SUCCESS;
}

__device__ __forceinline__ void prefetch_tensor_map(const TensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" : : "l"(map) : "memory");
}

/* Starts to load the box whose first element has these coordinates, first dimension first. shared: aligned to 128 bytes,
 * to 1024 if swizzled. The barrier receives the bytes of a whole box. */
template <int RANK>
__device__ __forceinline__ void
load_tensor(void *shared, const TensorMap *map, const int32_t (&at)[RANK], MBarrier *barrier) {
    static_assert(RANK >= 2 && RANK <= MAX_TENSOR_RANK, "boxes have 2 to 5 dimensions");
    const uint32_t target = shared_address(shared);
    const uint32_t done = shared_address(barrier);
    if constexpr (RANK == 2) {
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                     "[%0], [%1, {%2, %3}], [%4];"
                     :
                     : "r"(target), "l"(map), "r"(at[0]), "r"(at[1]), "r"(done)
                     : "memory");
    } else if constexpr (RANK == 3) {
        asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
                     "[%0], [%1, {%2, %3, %4}], [%5];"
                     :
                     : "r"(target), "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(done)
                     : "memory");
    } else if constexpr (RANK == 4) {
        asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                     "[%0], [%1, {%2, %3, %4, %5}], [%6];"
                     :
                     : "r"(target), "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(done)
                     : "memory");
    } else {
        asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
                     "[%0], [%1, {%2, %3, %4, %5, %6}], [%7];"
                     :
                     : "r"(target), "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]), "r"(done)
                     : "memory");
    }
}

/* Starts to store a box; part of the thread's next group of stores. Needs fence_proxy_async behind ordinary writes. */
template <int RANK>
__device__ __forceinline__ void store_tensor(const TensorMap *map, const int32_t (&at)[RANK], const void *shared) {
    static_assert(RANK == 2 || RANK == 3, "boxes that are stored have 2 or 3 dimensions");
    const uint32_t source = shared_address(shared);
    if constexpr (RANK == 2) {
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];"
                     :
                     : "l"(map), "r"(at[0]), "r"(at[1]), "r"(source)
                     : "memory");
    } else {
        asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%1, %2, %3}], [%4];"
                     :
                     : "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(source)
                     : "memory");
    }
}

/* The same, adding to what is in global memory (each element as one operation). */
template <int RANK>
__device__ __forceinline__ void add_tensor(const TensorMap *map, const int32_t (&at)[RANK], const void *shared) {
    static_assert(RANK == 2 || RANK == 3, "boxes that are added have 2 or 3 dimensions");
    const uint32_t source = shared_address(shared);
    if constexpr (RANK == 2) {
        asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%1, %2}], [%3];"
                     :
                     : "l"(map), "r"(at[0]), "r"(at[1]), "r"(source)
                     : "memory");
    } else {
        asm volatile("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.bulk_group [%0, {%1, %2, %3}], [%4];"
                     :
                     : "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(source)
                     : "memory");
    }
}

/* Makes one group of the stores that this thread has started since the last one. */
__device__ __forceinline__ void commit_stores() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Waits until at most PENDING of this thread's youngest groups may still read shared memory. */
template <int PENDING>
__device__ __forceinline__ void wait_for_stores_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" : : "n"(PENDING) : "memory");
}

/* Waits until all but PENDING of this thread's youngest groups are in global memory. */
template <int PENDING>
__device__ __forceinline__ void wait_for_stores() {
    asm volatile("cp.async.bulk.wait_group %0;" : : "n"(PENDING) : "memory");
}

} // namespace tsp::gpu
