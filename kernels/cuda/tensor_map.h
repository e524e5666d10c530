/* Tensors of the ABI as the copy engine of sm_90 wants them. */
#pragma once

#include <initializer_list>

#include "check.h"
#include "tma.h"

namespace tsp::gpu {

/* A dimension of a tensor, and of the boxes that are copied. In elements; the first dimension has stride 1. */
struct BoxedDimension {
    int64_t size;
    int64_t stride;
    uint32_t box;
};

/* Whether the copy engine can address data with these dimensions: rows of 16-byte units, no empty dimension. */
inline bool can_map_tensor(const void *data, tsp_dtype dtype, std::initializer_list<BoxedDimension> dimensions) {
    constexpr int64_t UNIT = 16;
    constexpr int64_t MAX_STRIDE = (int64_t{1} << 40) - 1;
    const int64_t element = element_bytes(dtype);
    bool possible = (dtype == TSP_BF16 || dtype == TSP_F32) && data != nullptr && reinterpret_cast<uintptr_t>(data) % UNIT == 0;
    bool first = true;
    for (const BoxedDimension &dimension : dimensions) {
        possible = possible && dimension.size > 0 && dimension.size <= INT32_MAX
            && (first || (dimension.stride * element % UNIT == 0 && dimension.stride * element <= MAX_STRIDE));
        first = false;
    }
    return possible;
}

/* Fails where can_map_tensor is false or a box is not possible. name: of the tensor, for the message. */
inline TensorMap map_tensor(
    const char *name, const void *data, tsp_dtype dtype, bool swizzled, std::initializer_list<BoxedDimension> dimensions) {
    uint64_t sizes[MAX_TENSOR_RANK] = {};
    uint64_t strides[MAX_TENSOR_RANK] = {};
    uint32_t box[MAX_TENSOR_RANK] = {};
    int rank = 0;
    for (const BoxedDimension &dimension : dimensions) {
        sizes[rank] = static_cast<uint64_t>(dimension.size);
        strides[rank] = static_cast<uint64_t>(dimension.stride * element_bytes(dtype));
        box[rank] = dimension.box;
        ++rank;
    }
    TensorMap map;
    if (!can_map_tensor(data, dtype, dimensions)
        || !encode_tensor_map(map, dtype, rank, data, sizes, strides, box, swizzled)) {
        fail(TSP_INTERNAL, "%s: the copy engine cannot address this tensor of rank %d: please report this", name, rank);
    }
    return map;
}

} // namespace tsp::gpu
