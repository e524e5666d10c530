/*
 * Slices of the transpose of a packed matrix, in the panel layout themselves.
 *
 * Rows 64 i .. 64 i + 63 of a panel are one run of memory, so a block of 64 x 64 is read from one place and written to
 * another. What moves is words: one f32, or two bf16 that stood in neighbouring columns and come to stand in
 * consecutive rows.
 */
#pragma once

#include "gated_mlp.h"

namespace tsp::TSP_ISA {

constexpr int64_t PANEL_BLOCK = int64_t{PANEL} * PANEL;

/* WIDTH words of row k of a panel, from column on. */
TSP_INLINE Vec load_panel_row(const float *panel, int64_t k, int64_t column) {
    return load(panel + k * PANEL + column);
}

TSP_INLINE Vec load_panel_row(const bf16 *panel, int64_t k, int64_t column) {
    const bf16 *pairs = panel + k / 2 * (2 * PANEL) + column * 2;
    const Vec first = load_pairs(pairs);
    const Vec second = load_pairs(pairs + 2 * WIDTH);
    return k % 2 == 0 ? low_halves(first, second) : high_halves(first, second);
}

/* target = source^T, both [64, 64] in panel layout; rows of the source from rows on are taken to be zero. */
template <class T>
void transpose_block(const T *source, int64_t rows, T *target) {
    for (int64_t row = 0; row < PANEL; row += WIDTH) {
        for (int64_t column = 0; column < PANEL; column += WIDTH * WORD<T>) {
            Vec square[WIDTH];
#pragma GCC unroll 16
            for (int64_t i = 0; i < WIDTH; ++i) {
                square[i] = row + i < rows ? load_panel_row(source, row + i, column) : zero();
            }
            transpose(square);
#pragma GCC unroll 16
            for (int64_t i = 0; i < WIDTH; ++i) {
                T *words = target + (column + i * WORD<T>)*PANEL;
                store(reinterpret_cast<float *>(words + row * WORD<T>), square[i]);
            }
        }
    }
}

/* A panel of the transpose of a packed matrix, made slice by slice for multiply_panel. */
template <class T>
struct TransposedPanel {
    /* Of a tile; where tiles are small each is one. */
    static constexpr int64_t STEPS = ceil_div(TILE_COLUMNS, 16);

    const T *matrix;
    int64_t matrix_depth; /* of the panels of matrix */
    int64_t depth;        /* of this one */
    int64_t panel;
    int64_t next_panel; /* what this thread is likely to ask for after this panel */
    T *slice;           /* SLICE rows */

    const T *slice_at(int64_t k, int64_t count) const {
        const int64_t left = matrix_depth - panel * PANEL;
        for (int64_t i = 0; i < count; i += PANEL) {
            transpose_block(block_at(panel, k + i), left < PANEL ? left : PANEL, slice + i * PANEL);
        }
        return slice;
    }

    /* Lines of memory that the slice at k is made of; behind the last one, those of the next panel's first. */
    int64_t lines_of_slice(int64_t k) const {
        const bool last = k >= depth;
        if (last && next_panel * PANEL >= matrix_depth) {
            return 0;
        }
        const int64_t left = last ? depth : depth - k;
        return ceil_div(left < SLICE<T> ? left : SLICE<T>, PANEL) * BLOCK_LINES;
    }

    /* Always inlined, since the compiler takes a function that only prefetches for one that does nothing. */
    TSP_INLINE void prefetch_line(int64_t k, int64_t line) const {
        const bool last = k >= depth;
        const T *block = block_at(last ? next_panel : panel, (last ? 0 : k) + line / BLOCK_LINES * PANEL);
        __builtin_prefetch(block + line % BLOCK_LINES * LINE, 0, 2);
    }

private:
    static constexpr int64_t LINE = 64 / sizeof(T);
    static constexpr int64_t BLOCK_LINES = PANEL_BLOCK / LINE;

    const T *block_at(int64_t of_panel, int64_t k) const {
        return matrix + k * matrix_depth + of_panel * PANEL_BLOCK;
    }
};

} // namespace tsp::TSP_ISA
