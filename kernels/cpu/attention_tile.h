/*
 * Attention of one tile of queries over packed keys and values: FlashAttention-2's loop (arXiv 2307.08691).
 *
 * Keys are taken in rounds of KEYS and, in each round, rows in groups of TILE_ROWS: scores S of the group; then
 * P = exp2(S - top) in place of S, where sum and out are rescaled if the running maximum has grown; then out += P V. So
 * S and P never leave the first-level cache, and the round's keys and values come from the second level once for each
 * group. A group leaves out whatever none of its rows sees, to STEP keys: worth 7% at 1024 keys under a causal mask.
 */
#pragma once

#include "attention_check.h"
#include "key_ranges.h"
#include "microkernel.h"

namespace tsp::TSP_ISA {

constexpr int QUERY_ROWS = 96;
constexpr int GROUPS = QUERY_ROWS / TILE_ROWS;
static_assert(QUERY_ROWS % TILE_ROWS == 0);

/* Score columns are computed, and P has columns, in multiples of STEP. */
constexpr int STEP = 2 * WIDTH;

/* Keys of one round. Fewer rescale and reload out more often; more do not fit the second-level cache at large d. */
template <class T>
constexpr int KEYS = 1536 / sizeof(T);

/* Rows TILE_ROWS * g, ... of a tile, as far as there are any. */
struct RowGroup {
    KeyRange reached; /* from the first to the last key that some row sees */
    KeyRange shared;  /* keys that every row sees */
};

/* Scratch of one thread. Rows are an odd number of cache lines apart, so that they do not compete for the same sets. */
template <class T>
struct alignas(64) AttentionTile {
    static constexpr int SCORE_STRIDE = KEYS<T> + 64 / sizeof(float);
    static constexpr int QUERY_STRIDE = MAX_HEAD_DIM + 64 / sizeof(T);

    float scores[TILE_ROWS * SCORE_STRIDE]; /* of one group in one round: S in fp32, then P in T in the same place */
    float maximum[TILE_ROWS][WIDTH];        /* of the scores of each row, by lane */
    T queries[QUERY_ROWS * QUERY_STRIDE];
    KeyRange visible[QUERY_ROWS]; /* keys each row sees; {number of keys, 0} if none */
    RowGroup groups[GROUPS];
    float top[QUERY_ROWS];                /* running maximum of scale * log2(e) * S, -inf before a row's first key */
    float sum[QUERY_ROWS][WIDTH];         /* of P in all rounds, by lane */
    float out[QUERY_ROWS * MAX_HEAD_DIM]; /* rows out_stride apart, not yet divided by sum */
};

/* What all tiles of one key/value head have in common. Positions of keys count from the first packed key. */
template <class T>
struct PackedHead {
    const T *keys;        /* [panels][d][64] */
    const T *values;      /* [d / 64 rounded up][64 * panels][64] */
    int64_t value_stride; /* elements from one panel of value columns to the next */
    int64_t head_dim;
    int64_t out_stride; /* head_dim rounded up to a panel */
    float factor;       /* scale * log2(e) */
};

/* What a group works on in the round from key `round` on: columns [first, last), multiples of PANEL and of STEP. */
struct Columns {
    int64_t round;
    int64_t first;
    int64_t last;
};

/* Whether STEP columns are enough for the last `count`, where a full tile would waste half its work or more. */
constexpr bool fits_half_tile(int64_t count) {
    return TILE_COLUMNS > STEP && count <= STEP;
}

template <int ROWS, int VECS>
TSP_INLINE void hide_invisible(Vec (&scores)[ROWS][VECS], const KeyRange *visible, int64_t key) {
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
        const int first = static_cast<int>(larger(int64_t{0}, smaller(visible[i].begin - key, int64_t{PANEL})));
        const int last = static_cast<int>(larger(int64_t{0}, smaller(visible[i].end - key, int64_t{PANEL})));
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            const int lane = j * WIDTH;
            scores[i][j] = select_range(scores[i][j], broadcast(MINUS_INFINITY), first - lane, last - lane);
        }
    }
}

/* S of ROWS rows from `row` on and VECS * WIDTH keys from `key` on, which becomes `column`. */
template <int ROWS, int VECS, class T>
TSP_INLINE void score_tile(
    AttentionTile<T> &tile, const PackedHead<T> &head, int64_t row, int64_t key, int64_t column) {
    using Tile = AttentionTile<T>;
    const T *keys = head.keys + key / PANEL * PANEL * head.head_dim + key % PANEL * WORD<T>;
    Vec scores[ROWS][VECS];
    clear(scores);
    multiply(scores, tile.queries + row * Tile::QUERY_STRIDE, Tile::QUERY_STRIDE, keys, head.head_dim);
    const KeyRange shared = tile.groups[row / TILE_ROWS].shared;
    if (key < shared.begin || key + VECS * WIDTH > shared.end) {
        hide_invisible(scores, tile.visible + row, key);
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
        Vec maximum = load(tile.maximum[i]);
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            maximum = max(maximum, scores[i][j]);
        }
        store(tile.maximum[i], maximum);
    }
    store_tile(scores, tile.scores + column, Tile::SCORE_STRIDE);
}

template <int ROWS, class T>
TSP_INLINE void score_group(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t row, Columns columns) {
    for (int i = 0; i < ROWS; ++i) {
        store(tile.maximum[i], broadcast(MINUS_INFINITY));
    }
    for (int64_t column = columns.first; column < columns.last; column += TILE_COLUMNS) {
        if (fits_half_tile(columns.last - column)) {
            score_tile<ROWS, STEP / WIDTH>(tile, head, row, columns.round + column, column);
        } else {
            score_tile<ROWS, TILE_VECS>(tile, head, row, columns.round + column, column);
        }
    }
}

/* Row `row` of the tile is row i of its group. */
template <class T>
void softmax_row(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t row, int i, Columns columns) {
    const float before = tile.top[row];
    const float top = larger(before, reduce_max(load(tile.maximum[i])) * head.factor);
    /* A row that has seen no key yet has nothing but -inf, and -inf - 0 is -inf where -inf - (-inf) were NaN. */
    const float shift = top == MINUS_INFINITY ? 0.0f : top;
    Vec sum = load(tile.sum[row]);
    if (top > before) {
        const Vec decay = exp2(broadcast(before - shift));
        float *out = tile.out + row * head.out_stride;
        for (int64_t x = 0; x < head.out_stride; x += WIDTH) {
            store(out + x, load(out + x) * decay);
        }
        sum = sum * decay;
        tile.top[row] = top;
    }
    const Vec factor = broadcast(head.factor);
    const Vec offset = broadcast(-shift);
    float *scores = tile.scores + i * AttentionTile<T>::SCORE_STRIDE;
    T *probabilities = reinterpret_cast<T *>(scores);
    Vec second_sum = zero();
#pragma GCC unroll 2
    for (int64_t column = columns.first; column < columns.last; column += STEP) {
        const Vec x = fma(load(scores + column), factor, offset);
        const Vec y = fma(load(scores + column + WIDTH), factor, offset);
        const Vec p = WORD<T> == 2 ? exp2_coarse(x) : exp2(x);
        const Vec q = WORD<T> == 2 ? exp2_coarse(y) : exp2(y);
        store2(probabilities + column, p, q);
        sum = sum + p;
        second_sum = second_sum + q;
    }
    store(tile.sum[row], sum + second_sum);
}

/* out += P V for ROWS rows from `row` on and VECS * WIDTH columns of V from x on. */
template <int ROWS, int VECS, class T>
TSP_INLINE void value_tile(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t row, int64_t x, Columns columns) {
    constexpr int STRIDE = AttentionTile<T>::SCORE_STRIDE * WORD<T>;
    const T *probabilities = reinterpret_cast<const T *>(tile.scores) + columns.first;
    const T *values = head.values + x / PANEL * head.value_stride + x % PANEL * WORD<T>;
    float *out = tile.out + row * head.out_stride + x;
    Vec sum[ROWS][VECS];
    load_tile(sum, out, head.out_stride);
    const int64_t first_key = columns.round + columns.first;
    multiply(sum, probabilities, STRIDE, values + first_key * PANEL, columns.last - columns.first);
    store_tile(sum, out, head.out_stride);
}

template <int ROWS, class T>
TSP_INLINE void value_group(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t row, Columns columns) {
    for (int64_t x = 0; x < head.head_dim; x += TILE_COLUMNS) {
        if (fits_half_tile(head.head_dim - x)) {
            value_tile<ROWS, STEP / WIDTH>(tile, head, row, x, columns);
        } else {
            value_tile<ROWS, TILE_VECS>(tile, head, row, x, columns);
        }
    }
}

/* Sets up the state that rounds carry on, and returns the keys that some row sees. */
template <class T>
KeyRange begin_rows(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t rows) {
    KeyRange all = tile.visible[0];
    for (int64_t row = 0; row < rows; ++row) {
        const KeyRange visible = tile.visible[row];
        RowGroup &group = tile.groups[row / TILE_ROWS];
        if (row % TILE_ROWS == 0) {
            group = {visible, visible};
        }
        group.reached = {smaller(group.reached.begin, visible.begin), larger(group.reached.end, visible.end)};
        group.shared = {larger(group.shared.begin, visible.begin), smaller(group.shared.end, visible.end)};
        all = {smaller(all.begin, visible.begin), larger(all.end, visible.end)};
        tile.top[row] = MINUS_INFINITY;
        store(tile.sum[row], zero());
        for (int64_t x = 0; x < head.out_stride; x += WIDTH) {
            store(tile.out + row * head.out_stride + x, zero());
        }
    }
    return all;
}

/* Fills top, sum and out from queries and visible. */
template <class T>
void attend(AttentionTile<T> &tile, const PackedHead<T> &head, int64_t rows) {
    const KeyRange all = begin_rows(tile, head, rows);
    for (int64_t round = all.begin / PANEL * PANEL; round < all.end; round += KEYS<T>) {
        for (int64_t row = 0; row < rows; row += TILE_ROWS) {
            const KeyRange reached = tile.groups[row / TILE_ROWS].reached;
            const int64_t first = larger(int64_t{0}, reached.begin - round) / PANEL * PANEL;
            const int64_t last = smaller(int64_t{KEYS<T>}, round_up(larger(int64_t{0}, reached.end - round), STEP));
            if (first >= last) {
                continue;
            }
            const Columns columns{round, first, last};
            with_rows(rows - row, [&](auto count) {
                score_group<count>(tile, head, row, columns);
                for (int i = 0; i < count; ++i) {
                    softmax_row(tile, head, row + i, i, columns);
                }
                value_group<count>(tile, head, row, columns);
            });
        }
    }
}

} // namespace tsp::TSP_ISA
