/* Products of matrices in shared memory in fp32, by a warp whose lanes are rows or columns of the right factor. */
#pragma once

#include "block.h"

namespace tsp::gpu {

/* Rows of columns elements into rows `stride` apart; source(i) is row i, NULL for zeros. */
template <int ROWS, int THREADS, class T, class Source>
__device__ __forceinline__ void copy_rows(float *target, int stride, int columns, const Source &source) {
    for (int i = static_cast<int>(threadIdx.x) / WARP; i < ROWS; i += THREADS / WARP) {
        const T *row = source(i);
        for (int x = static_cast<int>(threadIdx.x) % WARP; x < columns; x += WARP) {
            target[i * stride + x] = row == nullptr ? 0.0f : row[x];
        }
    }
}

/* sums[r] += row r of left . row `lane` of right. */
template <int ROWS>
__device__ __forceinline__ void
add_dots(float (&sums)[ROWS], const float *left, const float *right, int right_stride, int columns) {
    const float *own = right + static_cast<int>(threadIdx.x) % WARP * right_stride;
    for (int x = 0; x < columns; ++x) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            sums[r] = fmaf(left[r * columns + x], own[x], sums[r]);
        }
    }
}

/* sums[r][i] += row r of weights . column lane + 32 i of right. */
template <int ROWS, int PARTS>
__device__ __forceinline__ void add_rows(
    float (&sums)[ROWS][PARTS], const float (*weights)[WARP], const float *right, int right_stride, int columns) {
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    for (int j = 0; j < WARP; ++j) {
#pragma unroll
        for (int i = 0; i < PARTS; ++i) {
            if (lane + WARP * i < columns) {
                const float value = right[j * right_stride + lane + WARP * i];
#pragma unroll
                for (int r = 0; r < ROWS; ++r) {
                    sums[r][i] = fmaf(weights[r][j], value, sums[r][i]);
                }
            }
        }
    }
}

} // namespace tsp::gpu
