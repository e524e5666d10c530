/* How attention backward keeps queries, blocks of keys and what stands between them: memory, and no arithmetic. */
#pragma once

#include "attention_check.h"
#include "key_ranges.h"
#include "microkernel.h"

namespace tsp::TSP_ISA {

/* Rows of a tile: (token, query head) pairs. Whole panels, and whole register tiles for dQ. */
constexpr int QUERY_TILE = 192;
static_assert(QUERY_TILE % PANEL == 0 && QUERY_TILE % TILE_ROWS == 0);

/* Queries that are left out together where they do not see a key. */
constexpr int QUERY_STEP = 32;
constexpr int TILE_STEPS = QUERY_TILE / QUERY_STEP;

/* Keys of a block: more of them read queries and dQ less often, fewer leave room in the second-level cache. */
template <class T>
constexpr int KEY_BLOCK = 384 / sizeof(T);
static_assert(KEY_BLOCK<float> % TILE_ROWS == 0 && KEY_BLOCK<bf16> % TILE_ROWS == 0 && TILE_ROWS % 2 == 0);

/* Which positions of keys the queries of one step see. */
struct StepKeys {
    KeyRange reached; /* from the first to the last that some query sees; {number of keys, 0} if there is none */
    KeyRange shared;  /* those that every query sees */
};

/* The queries of one sequence that read one key/value head. Rows that see nothing, and those behind the last, are 0. */
template <class T>
struct BackwardQueries {
    T *query_columns; /* Q^T [panels][d][64] */
    T *dout_columns;  /* dO^T, likewise */
    T *query_rows;    /* Q [d / 64 rounded up][rows][64] */
    T *dout_rows;     /* dO, likewise */
    float *offset;    /* of each row: -lse * log2(e), -inf if it sees nothing */
    float *delta;     /* of each row: rowsum(dO * O) */
    KeyRange *visible;
    StepKeys *steps;
    float *dq; /* [rows][width], not yet scaled */
    int64_t *turn;
    int64_t row_stride; /* elements from one panel of query_rows' columns to the next */
};

struct BackwardShape {
    int64_t head_dim;
    int64_t width; /* head_dim rounded up to a panel: the distance of rows of dk, dv and dq */
    float factor;  /* scale * log2(e) */
    int64_t rows;  /* queries of a sequence times heads of a group */
    int64_t keys;  /* of a sequence */

    int64_t tiles() const {
        return divide_up(rows, QUERY_TILE);
    }

    int64_t rows_of(int64_t tile) const {
        return smaller(int64_t{QUERY_TILE}, rows - tile * QUERY_TILE);
    }
};

/* Scratch of one thread. Rows are an odd number of cache lines apart, so that they do not compete for the same sets. */
template <class T>
struct alignas(64) BackwardScratch {
    using Element = Left<T>;
    static constexpr bool PAIRS = WORD<Element> == 2;
    static constexpr int KEYS = KEY_BLOCK<T>;
    static constexpr int KEY_STRIDE = MAX_HEAD_DIM + 64 / sizeof(Element);
    static constexpr int SCORE_STRIDE = QUERY_TILE + 64 / sizeof(Element);
    static constexpr int PAIR_STRIDE = QUERY_TILE + 16;
    static constexpr int PANEL_KEYS = (KEYS + PANEL - 1) / PANEL * PANEL;

    Element keys[KEYS * KEY_STRIDE];
    Element values[KEYS * KEY_STRIDE];
    T key_panels[PANEL_KEYS * MAX_HEAD_DIM]; /* K as a right factor: [d / 64 rounded up][PANEL_KEYS][64] */
    float dk[KEYS * MAX_HEAD_DIM];           /* not yet scaled */
    float dv[KEYS * MAX_HEAD_DIM];
    Element probabilities[KEYS * SCORE_STRIDE];           /* P^T */
    Element dscores[KEYS * SCORE_STRIDE];                 /* dS^T */
    Element dscore_pairs[PAIRS ? KEYS * PAIR_STRIDE : 1]; /* dS^T [key / 2][query][2] */
    float exact[TILE_ROWS * PANEL];                       /* P of one register tile before it is rounded */
    float first[QUERY_TILE];                              /* of the block's keys that a query sees */
    float last[QUERY_TILE];                               /* behind them */
    KeyRange seen_by[KEYS / TILE_ROWS];                   /* the tile's rows that see some of TILE_ROWS keys, even */
};

} // namespace tsp::TSP_ISA
