/* Attention's tensors, and keys and values of one key/value head in panels for microkernel.h: 64 keys at a time. */
#pragma once

#include "microkernel.h"
#include "tsp_kernels.h"

namespace tsp::TSP_ISA {

constexpr float LOG2_E = 1.44269504f;

/* Element (row, head, 0). */
template <class T>
T *element(const tsp_tensor &tensor, int64_t row, int64_t head) {
    return static_cast<T *>(tensor.data) + row * tensor.strides[0] + head * tensor.strides[1];
}

/* WIDTH values of a row from column on; zero behind its end and where there is no row. */
template <class T>
TSP_INLINE Vec load_row(const T *row, int64_t column, int64_t columns) {
    if (row == nullptr || column >= columns) {
        return zero();
    }
    return columns - column >= WIDTH ? load(row + column)
                                     : load_partial(row + column, static_cast<int>(columns - column));
}

/* K^T: panel [d][64], in words [d / WORD][64]. rows[n] is key n, or NULL behind the last key. */
template <class T>
void pack_keys(const T *const (&rows)[PANEL], int64_t head_dim, T *panel) {
    const int64_t words = head_dim / WORD<T>;
    for (int64_t word = 0; word < words; word += WIDTH) {
        for (int key = 0; key < PANEL; key += WIDTH) {
            Vec square[WIDTH];
            for (int i = 0; i < WIDTH; ++i) {
                square[i] = load_row(reinterpret_cast<const float *>(rows[key + i]), word, words);
            }
            transpose(square);
            for (int i = 0; i < WIDTH && word + i < words; ++i) {
                store(reinterpret_cast<float *>(panel) + (word + i) * PANEL + key, square[i]);
            }
        }
    }
}

/* V: 64 rows of each panel of 64 columns, [64][64] or in pairs of rows [32][64][2]; panel_stride elements from one
 * panel of columns to the next. */
template <class T>
void pack_values(const T *const (&rows)[PANEL], int64_t head_dim, T *target, int64_t panel_stride) {
    for (int64_t column = 0; column < head_dim; column += PANEL) {
        auto *words = reinterpret_cast<float *>(target + column / PANEL * panel_stride);
        for (int key = 0; key < PANEL; key += WORD<T>) {
            for (int x = 0; x < PANEL; x += WIDTH) {
                Vec values = load_row(rows[key], column + x, head_dim);
                if constexpr (WORD<T> == 2) {
                    values = join(values, load_row(rows[key + 1], column + x, head_dim));
                }
                store(words + key / WORD<T> * PANEL + x, values);
            }
        }
    }
}

} // namespace tsp::TSP_ISA
