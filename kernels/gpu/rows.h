/* Rows of tensors of rank 2 or 3, as kernels that work row by row see them. */
#pragma once

#include <cinttypes>

#include "check.h"
#include "vector.h"

namespace tsp::gpu {

/* Where rows stand: row number i, less than 2^31, is (i / heads, i % heads). */
template <class T>
struct Rows {
    T *data; /* NULL: no such operand */
    int64_t token_stride;
    int64_t head_stride;
    uint32_t heads;

    __device__ __forceinline__ T *row(int64_t i) const {
        /* Divisions of 64 bits are calls of a function on GPUs. */
        const auto number = static_cast<uint32_t>(i);
        if (heads == 1) {
            return data + i * token_stride;
        }
        return data + number / heads * token_stride + number % heads * head_stride;
    }
};

/* The number of rows of a tensor, columns each. */
inline int64_t row_count(const tsp_tensor &tensor, const char *name, int64_t columns) {
    const int64_t rows = columns == 0 ? 0 : element_count(tensor) / columns;
    require(rows <= INT32_MAX, "%s has %" PRId64 " rows, kernels of GPUs take fewer than 2^31", name, rows);
    return rows;
}

template <class T>
Rows<T> rows_of(const tsp_tensor &tensor) {
    const bool flat = tensor.rank < 3;
    return {
        static_cast<T *>(tensor.data),
        tensor.strides[0],
        flat ? 0 : tensor.strides[1],
        flat ? 1 : static_cast<uint32_t>(tensor.shape[1])};
}

} // namespace tsp::gpu
