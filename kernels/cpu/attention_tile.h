/*
 * Attention of one tile of queries over packed keys and values: FlashAttention-2's loop (arXiv 2307.08691).
 *
 * For KEYS keys at a time: scores S of all rows, panel by panel, so that a panel of keys serves every row while it is in
 * the first-level cache; then P = exp2(S - top) row by row in place of S, with out and sum rescaled wherever the running
 * maximum has grown; then out += P V for each panel of value columns. Rows go in groups of TILE_ROWS. A group leaves
 * out whatever none of its rows sees, to STEP keys: under a causal mask that is worth 7% at 1024 keys.
 */
#pragma once

#include "key_ranges.h"
#include "microkernel.h"

namespace tsp::TSP_ISA {

constexpr int MAX_HEAD_DIM = 256;
constexpr int QUERY_ROWS = 96;
constexpr int GROUPS = QUERY_ROWS / TILE_ROWS;
static_assert(QUERY_ROWS % TILE_ROWS == 0);

/* Score columns are computed, and P has columns, in multiples of STEP. */
constexpr int STEP = 2 * WIDTH;

template <class T>
constexpr int KEYS = 64 * 4 / (sizeof(T) / 2);

/* Scratch of one thread. */
template <class T>
struct alignas(64) AttentionTile {
    /* Rows a multiple of 4 KiB apart would compete for the same lines of the cache. */
    static constexpr int SCORE_STRIDE = KEYS<T> + 16;

    float scores[QUERY_ROWS * SCORE_STRIDE]; /* S in fp32, then P in T at the start of each row */
    float maximum[QUERY_ROWS][WIDTH];        /* of each row's scores in this round, by lane */
    float sum[QUERY_ROWS][WIDTH];            /* of P in all rounds, by lane */
    float out[QUERY_ROWS * MAX_HEAD_DIM];
    float top[QUERY_ROWS];            /* running maximum of scale * log2(e) * S, -inf before a row's first key */
    KeyRange visible[QUERY_ROWS];     /* keys each row sees; {number of keys, 0} if none */
    KeyRange reached[GROUPS];         /* keys that some row of a group sees */
    KeyRange shared[GROUPS];          /* keys that every row of a group sees */
    T queries[QUERY_ROWS * MAX_HEAD_DIM];
};

/* What all tiles of one key/value head have in common. Key positions count from the first packed key. */
template <class T>
struct PackedHead {
    const T *keys;        /* [panels][d][64] */
    const T *values;      /* [d / 64 rounded up][64 * panels][64] */
    int64_t value_stride; /* elements from one panel of value columns to the next */
    int64_t head_dim;
    float factor; /* scale * log2(e) */
};

/* Scores of ROWS rows and VECS * WIDTH keys from position key on; those that are not visible become -inf. */
template <int ROWS, int VECS, class T>
TSP_INLINE void score_tile(
    AttentionTile<T> &tile, int64_t row, const T *keys, int64_t head_dim, int64_t key, int64_t column, bool masked) {
    Vec scores[ROWS][VECS];
    clear(scores);
    multiply(scores, tile.queries + row * head_dim, head_dim, keys, head_dim);
    if (masked) {
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const KeyRange visible = tile.visible[row + i];
            const int first = static_cast<int>(larger(int64_t{0}, smaller(visible.begin - key, int64_t{PANEL})));
            const int last = static_cast<int>(larger(int64_t{0}, smaller(visible.end - key, int64_t{PANEL})));
#pragma GCC unroll 8
            for (int j = 0; j < VECS; ++j) {
                scores[i][j] =
                    select_range(scores[i][j], broadcast(MINUS_INFINITY), first - j * WIDTH, last - j * WIDTH);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
        Vec maximum = load(tile.maximum[row + i]);
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            maximum = max(maximum, scores[i][j]);
        }
        store(tile.maximum[row + i], maximum);
    }
    constexpr int STRIDE = AttentionTile<T>::SCORE_STRIDE;
    store_tile(scores, tile.scores + row * STRIDE + column, STRIDE);
}

/* The columns of this round that a group of rows works on: [first, last), multiples of PANEL and of STEP. */
struct Columns {
    int64_t first;
    int64_t last;
};

template <class T>
TSP_INLINE Columns round_columns(KeyRange reached, int64_t round) {
    const int64_t first = larger(int64_t{0}, reached.begin - round) / PANEL * PANEL;
    const int64_t last = smaller(int64_t{KEYS<T>}, round_up(larger(int64_t{0}, reached.end - round), STEP));
    return {first, last};
}

/* S of all rows for the KEYS keys of a round. */
template <class T>
void score_round(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t rows, int64_t round) {
    for (int64_t row = 0; row < rows; ++row) {
        store(tile.maximum[row], broadcast(MINUS_INFINITY));
    }
    for (int64_t panel = 0; panel < KEYS<T>; panel += PANEL) {
        const T *keys = head.keys + (round + panel) * head.head_dim;
        for (int64_t row = 0; row < rows; row += TILE_ROWS) {
            const KeyRange shared = tile.shared[row / TILE_ROWS];
            const Columns columns = round_columns<T>(tile.reached[row / TILE_ROWS], round);
            if (columns.first > panel) {
                continue;
            }
            const int64_t last = smaller(columns.last, panel + PANEL);
            for (int64_t column = panel; column < last; column += TILE_COLUMNS) {
                const int64_t key = round + column;
                const T *tile_keys = keys + (column - panel) * WORD<T>;
                with_rows(rows - row, [&](auto count) {
                    if (TILE_COLUMNS > STEP && last - column <= STEP) {
                        const bool masked = key < shared.begin || key + STEP > shared.end;
                        score_tile<count, STEP / WIDTH>(tile, row, tile_keys, head.head_dim, key, column, masked);
                    } else {
                        const bool masked = key < shared.begin || key + TILE_COLUMNS > shared.end;
                        score_tile<count, TILE_VECS>(tile, row, tile_keys, head.head_dim, key, column, masked);
                    }
                });
            }
        }
    }
}

/* Turns a row of scores into P in place and brings top, sum and out up to date. */
template <class T>
TSP_INLINE void softmax_row(AttentionTile<T> &tile, int64_t row, Columns columns, float factor, int64_t out_stride) {
    const float before = tile.top[row];
    const float top = larger(before, reduce_max(load(tile.maximum[row])) * factor);
    /* A row that has seen no key yet has nothing but -inf, and -inf - 0 is -inf where -inf - (-inf) were NaN. */
    const float shift = top == MINUS_INFINITY ? 0.0f : top;
    Vec sum = load(tile.sum[row]);
    if (top > before) {
        const Vec decay = exp2(broadcast(before - shift));
        tile.top[row] = top;
        sum = sum * decay;
        float *out = tile.out + row * out_stride;
        for (int64_t x = 0; x < out_stride; x += WIDTH) {
            store(out + x, load(out + x) * decay);
        }
    }
    const Vec scale = broadcast(factor);
    const Vec offset = broadcast(-shift);
    const float *scores = tile.scores + row * AttentionTile<T>::SCORE_STRIDE;
    T *probabilities = reinterpret_cast<T *>(tile.scores + row * AttentionTile<T>::SCORE_STRIDE);
    Vec second_sum = zero();
#pragma GCC unroll 2
    for (int64_t column = columns.first; column < columns.last; column += STEP) {
        const Vec x = fma(load(scores + column), scale, offset);
        const Vec y = fma(load(scores + column + WIDTH), scale, offset);
        const Vec p = WORD<T> == 2 ? exp2_coarse(x) : exp2(x);
        const Vec q = WORD<T> == 2 ? exp2_coarse(y) : exp2(y);
        sum = sum + p;
        second_sum = second_sum + q;
        store2(probabilities + column, p, q);
    }
    store(tile.sum[row], sum + second_sum);
}

/* out += P V for ROWS rows and VECS * WIDTH columns of V. */
template <int ROWS, int VECS, class T>
TSP_INLINE void value_tile(AttentionTile<T> &tile, int64_t row, Columns columns, const T *values, float *out, int64_t out_stride) {
    constexpr int STRIDE = AttentionTile<T>::SCORE_STRIDE;
    const T *probabilities = reinterpret_cast<const T *>(tile.scores + row * STRIDE) + columns.first;
    Vec sum[ROWS][VECS];
    load_tile(sum, out, out_stride);
    multiply(sum, probabilities, STRIDE * WORD<T>, values + columns.first * PANEL, columns.last - columns.first);
    store_tile(sum, out, out_stride);
}

template <class T>
void value_round(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t rows, int64_t round, int64_t out_stride) {
    for (int64_t x = 0; x < head.head_dim; x += TILE_COLUMNS) {
        const T *values = head.values + x / PANEL * head.value_stride + round * PANEL + x % PANEL * WORD<T>;
        for (int64_t row = 0; row < rows; row += TILE_ROWS) {
            const Columns columns = round_columns<T>(tile.reached[row / TILE_ROWS], round);
            if (columns.first >= columns.last) {
                continue;
            }
            float *out = tile.out + row * out_stride + x;
            with_rows(rows - row, [&](auto count) {
                if (TILE_COLUMNS > STEP && head.head_dim - x <= STEP) {
                    value_tile<count, STEP / WIDTH>(tile, row, columns, values, out, out_stride);
                } else {
                    value_tile<count, TILE_VECS>(tile, row, columns, values, out, out_stride);
                }
            });
        }
    }
}

/* Fills out, sum and top from queries and visible; the out rows stand out_stride apart and are not yet divided. */
template <class T>
void attend(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t rows, int64_t out_stride) {
    KeyRange all = tile.visible[0];
    for (int64_t row = 0; row < rows; ++row) {
        const KeyRange visible = tile.visible[row];
        KeyRange &reached = tile.reached[row / TILE_ROWS];
        KeyRange &shared = tile.shared[row / TILE_ROWS];
        const bool first = row % TILE_ROWS == 0;
        reached = first ? visible : KeyRange{smaller(reached.begin, visible.begin), larger(reached.end, visible.end)};
        shared = first ? visible : KeyRange{larger(shared.begin, visible.begin), smaller(shared.end, visible.end)};
        all = {smaller(all.begin, visible.begin), larger(all.end, visible.end)};
        tile.top[row] = MINUS_INFINITY;
        store(tile.sum[row], zero());
        for (int64_t x = 0; x < out_stride; x += WIDTH) {
            store(tile.out + row * out_stride + x, zero());
        }
    }
    for (int64_t round = all.begin / PANEL * PANEL; round < all.end; round += KEYS<T>) {
        score_round(tile, head, rows, round);
        for (int64_t row = 0; row < rows; ++row) {
            const Columns columns = round_columns<T>(tile.reached[row / TILE_ROWS], round);
            if (columns.first < columns.last) {
                softmax_row(tile, row, columns, head.factor, out_stride);
            }
        }
        value_round(tile, head, rows, round, out_stride);
    }
}

} // namespace tsp::TSP_ISA
