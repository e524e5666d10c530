/*
 * Rows of sums to and from memory. A lane of mma's accumulators has two of every eight columns; four lanes, a quad, have
 * the eight. Elements of 16 bits would go to memory 4 bytes at a time: so the lanes of a quad give each other what they
 * have of four groups of eight columns, and each moves the 16 bytes of one group.
 */
#pragma once

#include "block.h"
#include "vector.h"

namespace tsp::gpu::gemm {

/* Columns of a group: what a quad has side by side. */
constexpr int GROUP = 8;

__device__ __forceinline__ int quad_lane() {
    return static_cast<int>(threadIdx.x) % 4;
}

/* Word i of lane j of a quad becomes word j of lane i. All lanes of the warp. */
__device__ __forceinline__ void transpose_quad(uint32_t (&words)[4]) {
    const bool odd = quad_lane() % 2 != 0;
    const bool upper = quad_lane() / 2 != 0;
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
        const uint32_t got = __shfl_xor_sync(ALL_LANES, odd ? words[i] : words[i + 1], 1);
        words[i] = odd ? got : words[i];
        words[i + 1] = odd ? words[i + 1] : got;
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const uint32_t got = __shfl_xor_sync(ALL_LANES, upper ? words[i] : words[i + 2], 2);
        words[i] = upper ? got : words[i];
        words[i + 2] = upper ? words[i + 2] : got;
    }
}

/* A row of a matrix, seen by the lanes of a quad. */
template <class T>
struct QuadRow {
    T *row;
    int64_t columns;
    bool valid;   /* else nothing is read or written */
    bool aligned; /* 16-byte accesses are possible; the same for all lanes of the warp */
};

/* Values [group][0 or 1] of COUNT groups of columns from column on, of which this lane has 2 lane and 2 lane + 1. Groups are
 * whole: columns is a multiple of 8. All lanes of the warp. */
template <int COUNT>
__device__ __forceinline__ void
store_groups(const QuadRow<bf16> &target, int64_t column, const float (&values)[COUNT][2]) {
    static_assert(COUNT % 4 == 0);
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) {
        uint32_t words[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            words[j] = pack(values[i + j][0], values[i + j][1]);
        }
        if (target.aligned) {
            transpose_quad(words);
            const int64_t at = column + (i + quad_lane()) * GROUP;
            if (target.valid && at < target.columns) {
                *reinterpret_cast<uint4 *>(target.row + at) = make_uint4(words[0], words[1], words[2], words[3]);
            }
            continue;
        }
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int64_t at = column + (i + j) * GROUP + quad_lane() * 2;
            if (target.valid && at < target.columns) {
                target.row[at] = {static_cast<uint16_t>(words[j] & 0xffffu)};
                target.row[at + 1] = {static_cast<uint16_t>(words[j] >> 16)};
            }
        }
    }
}

template <int COUNT>
__device__ __forceinline__ void
store_groups(const QuadRow<float> &target, int64_t column, const float (&values)[COUNT][2]) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int64_t at = column + i * GROUP + quad_lane() * 2;
        if (target.valid && at < target.columns) {
            if (target.aligned) {
                *reinterpret_cast<float2 *>(target.row + at) = make_float2(values[i][0], values[i][1]);
            } else {
                target.row[at] = values[i][0];
                target.row[at + 1] = values[i][1];
            }
        }
    }
}

/* The reverse; what is not there is 0. */
template <int COUNT>
__device__ __forceinline__ void
load_groups(const QuadRow<const bf16> &source, int64_t column, float (&values)[COUNT][2]) {
    static_assert(COUNT % 4 == 0);
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) {
        uint32_t words[4] = {};
        if (source.aligned) {
            const int64_t at = column + (i + quad_lane()) * GROUP;
            if (source.valid && at < source.columns) {
                const uint4 all = *reinterpret_cast<const uint4 *>(source.row + at);
                words[0] = all.x;
                words[1] = all.y;
                words[2] = all.z;
                words[3] = all.w;
            }
            transpose_quad(words);
        } else {
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int64_t at = column + (i + j) * GROUP + quad_lane() * 2;
                if (source.valid && at < source.columns) {
                    words[j] = source.row[at].bits | uint32_t{source.row[at + 1].bits} << 16;
                }
            }
        }
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            values[i + j][0] = low(words[j]);
            values[i + j][1] = high(words[j]);
        }
    }
}

template <int COUNT>
__device__ __forceinline__ void
load_groups(const QuadRow<const float> &source, int64_t column, float (&values)[COUNT][2]) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int64_t at = column + i * GROUP + quad_lane() * 2;
        const bool inside = source.valid && at < source.columns;
        if (source.aligned) {
            const float2 two = inside ? *reinterpret_cast<const float2 *>(source.row + at) : make_float2(0.0f, 0.0f);
            values[i][0] = two.x;
            values[i][1] = two.y;
        } else {
            values[i][0] = inside ? source.row[at] : 0.0f;
            values[i][1] = inside ? source.row[at + 1] : 0.0f;
        }
    }
}

/* An epilogue: a result [rows, columns] in fp32 of any shape, which replaces what is there or is added to it. */
struct Output {
    float *data;
    int64_t stride;
    int64_t rows;
    int64_t columns;
    bool aligned; /* rows to 8 bytes, and columns are even */
    bool accumulate;

    template <int COUNT>
    __device__ __forceinline__ void operator()(int64_t row, int64_t column, const float (&values)[COUNT][2]) const {
        if (row >= rows) {
            return;
        }
        float *target = data + row * stride;
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            const int64_t at = column + i * GROUP + quad_lane() * 2;
            if (at >= columns) {
                break;
            }
            if (aligned) {
                auto *two = reinterpret_cast<float2 *>(target + at);
                const float2 old = accumulate ? *two : make_float2(0.0f, 0.0f);
                *two = accumulate ? make_float2(old.x + values[i][0], old.y + values[i][1])
                                  : make_float2(values[i][0], values[i][1]);
                continue;
            }
            target[at] = accumulate ? target[at] + values[i][0] : values[i][0];
            if (at + 1 < columns) {
                target[at + 1] = accumulate ? target[at + 1] + values[i][1] : values[i][1];
            }
        }
    }
};

inline Output output(const tsp_tensor &tensor, bool accumulate) {
    const bool aligned = reinterpret_cast<uintptr_t>(tensor.data) % 8 == 0 && tensor.strides[0] % 2 == 0
        && tensor.shape[1] % 2 == 0;
    return {
        static_cast<float *>(tensor.data),
        tensor.strides[0],
        tensor.shape[0],
        tensor.shape[1],
        aligned,
        accumulate};
}

/* A matrix whose rows quads read or write in groups. */
template <class T>
struct Groups {
    T *data; /* NULL: none */
    int64_t stride;
    int64_t rows;
    int64_t columns;
    bool aligned;

    __device__ __forceinline__ QuadRow<T> row(int64_t row) const {
        return {data + row * stride, columns, row < rows, aligned};
    }
};

template <class T>
Groups<T> groups(const tsp_tensor &tensor) {
    return {
        static_cast<T *>(tensor.data), tensor.strides[0], tensor.shape[0], tensor.shape[1], has_vector_rows(tensor)};
}

} // namespace tsp::gpu::gemm
