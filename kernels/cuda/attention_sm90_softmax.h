/* Softmax on the registers of a product, in attention forward for sm_90a. */
#pragma once

#include "attention_sm90_operands.h"

namespace tsp::gpu {

/* Softmax of the two rows that a thread has a part of. The four threads of a quad share the rows. */
struct Sm90Rows {
    float top[2] = {MINUS_INFINITY, MINUS_INFINITY}; /* largest score, before scaling */
    float sum[2] = {0.0f, 0.0f};                     /* of this thread's columns */
    float rescale[2];                                /* of what was summed up before the last tile */
    KeySpan visible[2];
};

__device__ __forceinline__ constexpr int row_of_register(int i) {
    return i % 4 / 2;
}

/* Scores become -inf where the row does not see the key. column: this thread's first one. */
template <int COUNT>
__device__ __forceinline__ void mask_scores(float (&s)[COUNT], const Sm90Rows &rows, const KeyTile &keys, int column) {
    int first[2];
    int end[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        first[r] = rows.visible[r].begin - keys.index - column;
        end[r] = smaller(rows.visible[r].end - keys.index, keys.rows) - column;
    }
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int r = row_of_register(i);
        const int at = i / 4 * 8 + i % 2;
        s[i] = at >= first[r] && at < end[r] ? s[i] : MINUS_INFINITY;
    }
}

/* Scores become weights relative to the largest score so far. */
template <int COUNT>
__device__ __forceinline__ void weigh_scores(float (&s)[COUNT], Sm90Rows &rows, float factor) {
    float scaled_top[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        float top = rows.top[r];
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            top = row_of_register(i) == r ? fmaxf(top, s[i]) : top;
        }
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
        /* Both products rounded: were one fused with the subtraction, old sums would shrink tile by tile. */
        scaled_top[r] = top == MINUS_INFINITY ? 0.0f : __fmul_rn(top, factor);
        rows.rescale[r] = fast_exp2(__fadd_rn(__fmul_rn(rows.top[r], factor), -scaled_top[r]));
        rows.top[r] = top;
    }
    float sum[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int r = row_of_register(i);
        s[i] = fast_exp2(__fmaf_rn(s[i], factor, -scaled_top[r]));
        sum[r] += s[i];
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        rows.sum[r] = rows.sum[r] * rows.rescale[r] + sum[r];
    }
}

template <int COUNT>
__device__ __forceinline__ void round_weights(const float (&s)[COUNT], uint32_t (&p)[COUNT / 8][4]) {
#pragma unroll
    for (int i = 0; i < COUNT / 8; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            p[i][j] = pack(s[8 * i + 2 * j], s[8 * i + 2 * j + 1]);
        }
    }
}

} // namespace tsp::gpu
