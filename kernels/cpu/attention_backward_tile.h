/*
 * Attention backward of one block of keys against one tile of queries (FlashAttention-2, arXiv 2307.08691, algorithm 2).
 *
 * Scores stand transposed, a row for each key: P^T and dS^T then are row-major left factors of dV += P^T dO and
 * dK += dS^T Q as they come out of the registers. dQ += dS K wants dS by columns, which a level that multiplies pairs
 * needs as pairs of keys: it stores dS twice. A block's K, V, dK and dV, and one tile's P and dS, stay in the second-level
 * cache; tiles stream past them. Reading them ahead by hand gains nothing.
 */
#pragma once

#include "attention_backward_layout.h"

namespace tsp::TSP_ISA {

template <class T>
class BackwardTile {
public:
    using Scratch = BackwardScratch<T>;
    using Element = typename Scratch::Element;

    BackwardTile(
        Scratch &scratch, const BackwardQueries<T> &queries, const BackwardShape &shape, KeyRange block, int64_t tile)
        : scratch(scratch),
          queries(queries),
          shape(shape),
          block(block),
          first(tile * QUERY_TILE),
          rows(shape.rows_of(tile)),
          steps(divide_up(rows, PANEL) * (PANEL / QUERY_STEP)) {
        for (int64_t s = 0; s < steps; ++s) {
            reached[s] = within_block(queries.steps[first / QUERY_STEP + s].reached);
            if (reached[s].begin < reached[s].end) {
                all = {smaller(all.begin, reached[s].begin), larger(all.end, reached[s].end)};
            }
        }
        for (int64_t row = 0; row < steps * QUERY_STEP; ++row) {
            scratch.first[row] = in_block(queries.visible[first + row].begin);
            scratch.last[row] = in_block(queries.visible[first + row].end);
        }
        for (int64_t key = all.begin; key < all.end; key += TILE_ROWS) {
            scratch.seen_by[key / TILE_ROWS] = rows_that_see(key);
        }
    }

    /* P and dS, 0 where some queries of the tile see a key and others do not. */
    void score() {
        for (int64_t panel = 0; panel < steps; panel += PANEL / QUERY_STEP) {
            for (int64_t key = all.begin; key < all.end; key += TILE_ROWS) {
                score_panel(panel, key);
            }
        }
    }

    void add_dv() {
        add_to_keys(scratch.dv, scratch.probabilities, queries.dout_rows);
    }

    void add_dk() {
        add_to_keys(scratch.dk, scratch.dscores, queries.query_rows);
    }

    /* overwrite: this is the first block that adds to these queries. */
    void add_dq(bool overwrite) {
        for_each_column([&](int64_t x, auto vecs) {
            for (int64_t row = 0; row < rows; row += TILE_ROWS) {
                with_rows(rows - row, [&](auto count) { add_to_queries<count, vecs>(row, x, overwrite); });
            }
        });
    }

private:
    /* Vectors of half a panel's columns, or a whole register tile where that is not more. */
    static constexpr int HALF_VECS = smaller(TILE_VECS, QUERY_STEP / WIDTH);

    /* Calls body(x, std::integral_constant<int, vectors>) for the register tiles of a row of dk, dv or dq. */
    template <class Body>
    void for_each_column(const Body &body) const {
        for (int64_t x = 0; x < shape.head_dim; x += TILE_COLUMNS) {
            if (shape.head_dim - x <= HALF_VECS * WIDTH) {
                body(x, std::integral_constant<int, HALF_VECS>{});
            } else {
                body(x, std::integral_constant<int, TILE_VECS>{});
            }
        }
    }

    /* Keys of the block, counted from its first, in whole register tiles; empty if end <= begin. */
    KeyRange within_block(KeyRange range) const {
        const int64_t begin = larger(range.begin, block.begin) - block.begin;
        const int64_t end = smaller(range.end, block.end) - block.begin;
        return {begin / TILE_ROWS * TILE_ROWS, end <= begin ? 0 : round_up(end, TILE_ROWS)};
    }

    float in_block(int64_t position) const {
        return static_cast<float>(smaller(larger(position - block.begin, int64_t{0}), int64_t{Scratch::KEYS}));
    }

    bool sees(int64_t row, int64_t key) const {
        return scratch.first[row] < static_cast<float>(key + TILE_ROWS) && scratch.last[row] > static_cast<float>(key);
    }

    KeyRange rows_that_see(int64_t key) const {
        int64_t begin = 0;
        int64_t end = rows;
        while (begin < end && !sees(begin, key)) {
            ++begin;
        }
        while (begin < end && !sees(end - 1, key)) {
            --end;
        }
        return {begin / 2 * 2, round_up(end, 2)};
    }

    bool reaches(int64_t step, int64_t key) const {
        return reached[step].begin <= key && key < reached[step].end;
    }

    /* Whether all queries of a step see TILE_ROWS keys. */
    bool shares(int64_t step, int64_t key) const {
        const KeyRange shared = queries.steps[first / QUERY_STEP + step].shared;
        return shared.begin <= block.begin + key && block.begin + key + TILE_ROWS <= shared.end;
    }

    void score_panel(int64_t panel, int64_t key) {
        if (TILE_COLUMNS == PANEL && reaches(panel, key) && reaches(panel + 1, key)) {
            score_keys<TILE_VECS>(panel * QUERY_STEP, key, shares(panel, key) && shares(panel + 1, key));
            return;
        }
        for (int64_t step = panel; step < panel + PANEL / QUERY_STEP; ++step) {
            if (!reaches(step, key)) {
                clear_keys(step * QUERY_STEP, key);
                continue;
            }
            for (int64_t x = 0; x < QUERY_STEP; x += HALF_VECS * WIDTH) {
                score_keys<HALF_VECS>(step * QUERY_STEP + x, key, shares(step, key));
            }
        }
    }

    void clear_keys(int64_t row, int64_t key) {
        for (int64_t i = key; i < key + TILE_ROWS; ++i) {
            std::memset(scratch.probabilities + i * Scratch::SCORE_STRIDE + row, 0, QUERY_STEP * sizeof(Element));
            std::memset(scratch.dscores + i * Scratch::SCORE_STRIDE + row, 0, QUERY_STEP * sizeof(Element));
            if constexpr (Scratch::PAIRS) {
                Element *pairs = scratch.dscore_pairs + (i / 2 * Scratch::PAIR_STRIDE + row) * 2;
                std::memset(pairs, 0, 2 * QUERY_STEP * sizeof(Element));
            }
        }
    }

    /* P and dS of TILE_ROWS keys and of the queries that fill VECS vectors from `row` on. */
    template <int VECS>
    void score_keys(int64_t row, int64_t key, bool all_visible) {
        const int64_t query = first + row;
        const int64_t column = query / PANEL * PANEL * shape.head_dim + query % PANEL * WORD<T>;
        Vec sum[TILE_ROWS][VECS];
        clear(sum);
        multiply(
            sum,
            scratch.keys + key * Scratch::KEY_STRIDE,
            Scratch::KEY_STRIDE,
            queries.query_columns + column,
            shape.head_dim);
        const Vec factor = broadcast(shape.factor);
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            const Vec offset = load(queries.offset + query + j * WIDTH);
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; ++i) {
                const Vec exponent = fma(sum[i][j], factor, offset);
                sum[i][j] = sizeof(T) == 2 ? exp2_coarse(exponent) : exp2(exponent);
            }
        }
        if (!all_visible) {
            hide_invisible(sum, row, key);
        }
        store_left(sum, scratch.probabilities + key * Scratch::SCORE_STRIDE + row);
        store_tile(sum, scratch.exact, PANEL);
        clear(sum);
        multiply(
            sum,
            scratch.values + key * Scratch::KEY_STRIDE,
            Scratch::KEY_STRIDE,
            queries.dout_columns + column,
            shape.head_dim);
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            const Vec delta = load(queries.delta + query + j * WIDTH);
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; ++i) {
                sum[i][j] = load(scratch.exact + i * PANEL + j * WIDTH) * (sum[i][j] - delta);
            }
        }
        store_left(sum, scratch.dscores + key * Scratch::SCORE_STRIDE + row);
        if constexpr (Scratch::PAIRS) {
            float *pairs = reinterpret_cast<float *>(scratch.dscore_pairs) + key / 2 * Scratch::PAIR_STRIDE + row;
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; i += 2) {
#pragma GCC unroll 8
                for (int j = 0; j < VECS; ++j) {
                    store(pairs + i / 2 * Scratch::PAIR_STRIDE + j * WIDTH, join_nearest(sum[i][j], sum[i + 1][j]));
                }
            }
        }
    }

    template <int VECS>
    TSP_INLINE void hide_invisible(Vec (&sum)[TILE_ROWS][VECS], int64_t row, int64_t key) const {
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            const Vec first_key = load(scratch.first + row + j * WIDTH);
            const Vec last_key = load(scratch.last + row + j * WIDTH);
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; ++i) {
                sum[i][j] = keep_between(sum[i][j], static_cast<float>(key + i), first_key, last_key);
            }
        }
    }

    /* Rounded to T, in the form of a left factor. */
    template <int VECS>
    static TSP_INLINE void store_left(const Vec (&sum)[TILE_ROWS][VECS], Element *target) {
#pragma GCC unroll 8
        for (int i = 0; i < TILE_ROWS; ++i) {
            Element *row = target + i * Scratch::SCORE_STRIDE;
#pragma GCC unroll 8
            for (int j = 0; j < VECS; j += 2) {
                if constexpr (sizeof(T) < sizeof(Element)) {
                    store2(row + j * WIDTH, round_bf16(sum[i][j]), round_bf16(sum[i][j + 1]));
                } else {
                    store2(row + j * WIDTH, sum[i][j], sum[i][j + 1]);
                }
            }
        }
    }

    /* target [key] += the sum over queries of left [key][query] * right [query]. */
    void add_to_keys(float *target, const Element *left, const T *right) {
        for_each_column([&](int64_t x, auto vecs) {
            const T *columns = right + x / PANEL * queries.row_stride + first * PANEL + x % PANEL * WORD<T>;
            for (int64_t key = all.begin; key < all.end; key += TILE_ROWS) {
                const KeyRange seen = scratch.seen_by[key / TILE_ROWS];
                float *sums = target + key * shape.width + x;
                const Element *factors = left + key * Scratch::SCORE_STRIDE + seen.begin;
                Vec sum[TILE_ROWS][vecs];
                load_tile(sum, sums, shape.width);
                multiply(sum, factors, Scratch::SCORE_STRIDE, columns + seen.begin * PANEL, seen.end - seen.begin);
                store_tile(sum, sums, shape.width);
            }
        });
    }

    /* dQ of ROWS queries: the sum over the keys that they see, in pairs. */
    template <int ROWS, int VECS>
    TSP_INLINE void add_to_queries(int64_t row, int64_t x, bool overwrite) {
        KeyRange seen{block.end, block.begin};
        for (int i = 0; i < ROWS; ++i) {
            const KeyRange visible = queries.visible[first + row + i];
            seen = {smaller(seen.begin, visible.begin), larger(seen.end, visible.end)};
        }
        const int64_t end = round_up(larger(smaller(seen.end, block.end) - block.begin, int64_t{0}), 2);
        const int64_t begin = smaller((larger(seen.begin, block.begin) - block.begin) / 2 * 2, end);
        if (begin == end && !overwrite) {
            return;
        }
        float *sums = queries.dq + (first + row) * shape.width + x;
        const T *right = scratch.key_panels + (x / PANEL * Scratch::PANEL_KEYS + begin) * PANEL + x % PANEL * WORD<T>;
        Vec sum[ROWS][VECS];
        if (overwrite) {
            clear(sum);
        } else {
            load_tile(sum, sums, shape.width);
        }
        if constexpr (Scratch::PAIRS) {
            const Element *left = scratch.dscore_pairs + begin * Scratch::PAIR_STRIDE + row * 2;
            multiply(sum, left, 2, right, end - begin, Scratch::PAIR_STRIDE);
        } else {
            const Element *left = scratch.dscores + begin * Scratch::SCORE_STRIDE + row;
            multiply(sum, left, 1, right, end - begin, Scratch::SCORE_STRIDE);
        }
        store_tile(sum, sums, shape.width);
    }

    Scratch &scratch;
    const BackwardQueries<T> &queries;
    const BackwardShape &shape;
    const KeyRange block;
    const int64_t first;
    const int64_t rows;
    const int64_t steps;
    KeyRange reached[TILE_STEPS];   /* of the block, by each step */
    KeyRange all{Scratch::KEYS, 0}; /* by any of them */
};

} // namespace tsp::TSP_ISA
