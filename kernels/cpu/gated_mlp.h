/*
 * What forward and backward of the gated MLP share: its shapes, how rows are cut into blocks and panels into tasks, and
 * the product of a block of rows and one panel.
 *
 * A panel is cut along its depth into slices that fit the second-level cache, and each slice meets all rows of the block
 * before the next is read. Sums of slices are added up in ascending order: short sums lose less to rounding than one long
 * one, and neither the number of threads nor the number of rows changes a bit.
 */
#pragma once

#include "kernel.h"
#include "microkernel.h"

namespace tsp::TSP_ISA {

/* Of a panel of gate and up: gates, then as many ups. */
constexpr int64_t FEATURES = PANEL / 2;

/* 384 rows read a slice of weights 64 times from the second-level cache for each time it comes from memory. */
constexpr int64_t BLOCK_ROWS = 384;
static_assert(BLOCK_ROWS % TILE_ROWS == 0);

/* A slice of a panel: 512 words deep, 128 KiB. */
template <class T>
constexpr int64_t SLICE = 512 * WORD<T>;

constexpr int64_t ceil_div(int64_t x, int64_t y) {
    return (x + y - 1) / y;
}

constexpr int64_t round_up(int64_t x, int64_t multiple) {
    return ceil_div(x, multiple) * multiple;
}

/* Elements between rows of a matrix in the workspace: an odd number of cache lines, since rows a power of two apart
 * would crowd into the same sets of a cache. */
inline int64_t row_stride(int64_t columns, int64_t element_bytes) {
    constexpr int64_t LINE_BYTES = 64;
    return (ceil_div(columns * element_bytes, LINE_BYTES) | 1) * LINE_BYTES / element_bytes;
}

struct MlpShape {
    int64_t rows;       /* T */
    int64_t columns;    /* h */
    int64_t depth;      /* h, padded as in the panels of gate and up */
    int64_t features;   /* f */
    int64_t block_rows; /* rows of the largest block */
    int64_t left_bytes; /* of an element of copies in the workspace that are multiplied by panels */

    int64_t left_stride(int64_t left_columns) const {
        return row_stride(left_columns, left_bytes);
    }

    int64_t sums_count() const {
        return block_rows * PANEL;
    }

    /* Below so many multiplications for each product a team of threads costs more than it saves. */
    int32_t worthwhile_threads(int32_t threads) const {
        return rows * columns * features < 1 << 16 ? 1 : threads;
    }
};

/* Of arguments that have been checked. */
inline MlpShape make_shape(const tsp_tensor &x, int64_t features) {
    const int64_t rows = x.shape[0];
    const int64_t blocks = ceil_div(rows, BLOCK_ROWS);
    return {
        .rows = rows,
        .columns = x.shape[1],
        .depth = round_up(x.shape[1], 2),
        .features = features,
        .block_rows = blocks == 0 ? 0 : round_up(ceil_div(rows, blocks), TILE_ROWS),
        .left_bytes = x.dtype == TSP_BF16 ? int64_t{sizeof(Left<bf16>)} : int64_t{sizeof(float)},
    };
}

/* The copy of a row for products with panels of depth k, whose padding would otherwise meet what stands behind it. */
template <class T>
void copy_left(const tsp_tensor &x, int64_t row, int64_t depth, Left<T> *target) {
    const T *source = static_cast<const T *>(x.data) + row * x.strides[0];
    const int64_t columns = x.shape[1];
    int64_t i = 0;
    for (; i + WIDTH <= columns; i += WIDTH) {
        store(target + i, load(source + i));
    }
    for (; i < depth; ++i) {
        target[i] = from_float<Left<T>>(i < columns ? to_float(source[i]) : 0.0f);
    }
}

/* 2 * WIDTH values of type T for products with panels, rounded even where they are stored wider. */
template <class T>
TSP_INLINE void store_left(Left<T> *target, Vec lower, Vec upper) {
    if constexpr (!std::is_same_v<T, Left<T>>) {
        lower = round_bf16(lower);
        upper = round_bf16(upper);
    }
    store2(target, lower, upper);
}

/* Calls body(panel, first row, rows) for each panel and all rows of a block; where that is too few tasks for the team,
 * for parts of the rows. */
template <class Body>
void share_panels(int64_t team, int64_t rows, int64_t panels, const Body &body) {
    if (panels == 0) {
        return;
    }
    const int64_t parts_wanted = team == 1 ? 1 : ceil_div(4 * team, panels);
    const int64_t part_rows = round_up(ceil_div(rows, parts_wanted), TILE_ROWS);
    const int64_t parts = ceil_div(rows, part_rows);
    share_tasks(panels * parts, [&](int64_t task) {
        const int64_t row = task % parts * part_rows;
        body(task / parts, row, rows - row < part_rows ? rows - row : part_rows);
    });
}

/* A panel as it stands in memory; the hardware sees what comes next. */
template <class T>
struct PackedPanel {
    static constexpr int64_t STEPS = 1;

    const T *panel;

    const T *slice_at(int64_t k, int64_t) const {
        return panel + k * PANEL;
    }

    int64_t lines_of_slice(int64_t) const {
        return 0;
    }

    TSP_INLINE void prefetch_line(int64_t, int64_t) const {}
};

/* Asks for the memory of the slice that comes next, a few lines before each step of a product: a burst would have to wait
 * for itself. */
template <class Panel>
struct SlicePrefetch {
    const Panel &panel;
    int64_t k;
    int64_t lines;
    int64_t lines_per_step;
    int64_t line = 0;

    SlicePrefetch(const Panel &panel, int64_t k, int64_t steps)
        : panel(panel),
          k(k),
          lines(panel.lines_of_slice(k)),
          lines_per_step(ceil_div(lines, steps)) {}

    TSP_INLINE void step() {
        for (int64_t i = 0; i < lines_per_step && line < lines; ++i, ++line) {
            panel.prefetch_line(k, line);
        }
    }
};

/* One tile of sums (+)= a [ROWS, count] times a slice. Never inlined: in a larger function gcc runs out of registers. */
template <class T, int ROWS, class Panel>
__attribute__((noinline)) void multiply_slice(
    const Left<T> *a, int64_t a_stride, const T *slice, int64_t count, float *sums, bool add,
    SlicePrefetch<Panel> &next) {
    Vec tile[ROWS][TILE_VECS];
    clear(tile);
    if constexpr (Panel::STEPS == 1) {
        next.step();
        multiply(tile, a, a_stride, slice, count);
    } else {
        constexpr int64_t STEP = SLICE<T> / Panel::STEPS;
        for (int64_t k = 0; k < count; k += STEP) {
            next.step();
            multiply(tile, a + k, a_stride, slice + k * PANEL, count - k < STEP ? count - k : STEP);
        }
    }
    if (add) {
        add_tile(tile, sums, PANEL);
    }
    store_tile(tile, sums, PANEL);
}

/* sums [rows, 64] = a [rows, depth] times one panel. panel.slice_at(k, count) is where rows k .. k + count - 1 of it
 * stand; k is a multiple of SLICE. finish(row) is called for each row of sums when it is complete and still in the
 * first-level cache. */
template <class T, class Panel, class Finish>
void multiply_panel(
    const Left<T> *a, int64_t a_stride, int64_t rows, int64_t depth, const Panel &panel, float *sums,
    const Finish &finish) {
    int64_t first = 0;
    do {
        const int64_t left = depth - first;
        const int64_t count = left < SLICE<T> ? left : SLICE<T>;
        const int64_t steps = count < SLICE<T> ? 1 : Panel::STEPS;
        const T *slice = panel.slice_at(first, count);
        SlicePrefetch<Panel> next(panel, first + count, ceil_div(rows, TILE_ROWS) * (PANEL / TILE_COLUMNS) * steps);
        for (int64_t row = 0; row < rows; row += TILE_ROWS) {
            with_rows(rows - row, [&](auto tile_rows) {
                for (int64_t column = 0; column < PANEL; column += TILE_COLUMNS) {
                    multiply_slice<T, tile_rows>(
                        a + row * a_stride + first,
                        a_stride,
                        slice + column * WORD<T>,
                        count,
                        sums + row * PANEL + column,
                        first > 0,
                        next);
                }
                if (count == left) {
                    for (int64_t i = 0; i < tile_rows; ++i) {
                        finish(row + i);
                    }
                }
            });
        }
        first += count;
    } while (first < depth);
}

/* A row of sums to columns panel * 64 ... of a row of a matrix of f32, which may end before the panel. */
inline void store_sums(const float *sums, const tsp_tensor &matrix, int64_t row, int64_t panel, bool accumulate) {
    const int64_t left = matrix.shape[1] - panel * PANEL;
    const int64_t columns = left < PANEL ? left : PANEL;
    float *target = static_cast<float *>(matrix.data) + row * matrix.strides[0] + panel * PANEL;
    for (int64_t j = 0; j < columns; j += WIDTH) {
        const int count = static_cast<int>(columns - j < WIDTH ? columns - j : WIDTH);
        const Vec sum = load(sums + j);
        store_partial(target + j, accumulate ? load_partial(target + j, count) + sum : sum, count);
    }
}

/* e^-gate, as exact as results of type T need. */
template <class T>
TSP_INLINE Vec exp_minus(Vec gate) {
    const Vec power = gate * broadcast(-1.44269504f);
    return std::is_same_v<T, bf16> ? exp2_coarse(power) : exp2(power);
}

/* silu(g) = g / (1 + e^-g). */
TSP_INLINE Vec silu(Vec gate, Vec exponential) {
    return gate / (broadcast(1.0f) + exponential);
}

} // namespace tsp::TSP_ISA
