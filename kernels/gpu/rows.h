/* Rows of tensors of rank 2 or 3, as kernels that work row by row see them. */
#pragma once

#include "vector.h"

namespace tsp::gpu {

/* Where rows stand: row number i is (i / heads, i % heads). */
template <class T>
struct Rows {
    T *data; /* NULL: no such operand */
    int64_t token_stride;
    int64_t head_stride;
    int64_t heads;

    __device__ __forceinline__ T *row(int64_t i) const {
        if (heads == 1) {
            return data + i * token_stride;
        }
        return data + i / heads * token_stride + i % heads * head_stride;
    }
};

template <class T>
Rows<T> rows_of(const tsp_tensor &tensor) {
    const bool flat = tensor.rank < 3;
    return {
        static_cast<T *>(tensor.data),
        tensor.strides[0],
        flat ? 0 : tensor.strides[1],
        flat ? 1 : tensor.shape[1]};
}

} // namespace tsp::gpu
