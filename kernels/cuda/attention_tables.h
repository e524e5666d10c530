/*
 * What attention's kernels know of their tensors: the chunks, which travel as parameters of a kernel and not through
 * memory, where rows stand, and which keys they see.
 *
 * Rows and positions take 32 bits here, offsets of elements 64; AttentionTables refuses what does not fit.
 */
#pragma once

#include <cinttypes>

#include "attention_check.h"
#include "block.h"
#include "key_ranges.h"
#include "launch.h"
#include "query_tiles.h"
#include "vector.h"

namespace tsp::gpu {

constexpr float LOG2_E = 1.44269504f;
constexpr float MINUS_INFINITY = -HUGE_VALF;

constexpr int MAX_QUERY_CHUNKS = 64;
constexpr int MAX_KEY_CHUNKS = 128;

/* A tsp_chunk in half of its bytes: parameters of a kernel are at most 4 KB. */
struct SmallChunk {
    int32_t first_row;
    int32_t batch_rows;
    int32_t count;
    int32_t start;
};

/* Rows [token, head] of a tensor. */
template <class T>
struct Heads {
    T *data;
    int64_t row_stride;
    int64_t head_stride;

    __device__ __forceinline__ T *at(int32_t row, int32_t head) const {
        return data + row * row_stride + head * head_stride;
    }
};

template <class T>
Heads<T> heads_of(const tsp_tensor &tensor) {
    return {static_cast<T *>(tensor.data), tensor.strides[0], tensor.strides[1]};
}

/* Positions of keys begin, ..., end - 1. */
struct KeySpan {
    int32_t begin;
    int32_t end;

    __device__ __forceinline__ bool has(int32_t key) const {
        return key >= begin && key < end;
    }
};

/* Neutral in unions. */
TSP_HD constexpr KeySpan no_keys() {
    return {INT32_MAX, 0};
}

/* Neutral in intersections. */
TSP_HD constexpr KeySpan all_keys() {
    return {0, INT32_MAX};
}

struct AttentionTables {
    SmallChunk queries[MAX_QUERY_CHUNKS];
    SmallChunk keys[MAX_KEY_CHUNKS];
    int32_t order[MAX_QUERY_CHUNKS]; /* of the chunks of queries, the heaviest first */
    int32_t query_chunks;
    int32_t key_chunks;
    int32_t key_count; /* of one sequence */
    int32_t causal;
    int64_t window;
    int64_t group;
    int64_t heads; /* key/value heads of all sequences: sequence * kv_heads + head */
    int32_t kv_heads;
    int32_t head_dim;
    const int32_t *kv_start; /* NULL: none */
    float scale;
    float factor; /* scale * log2(e) */

    int64_t tiles(int64_t rows) const {
        return tile_count(queries, query_chunks, group, rows);
    }
};

inline int32_t small(int64_t value, const char *what) {
    if (value > INT32_MAX) {
        fail(TSP_UNSUPPORTED, "%s is %" PRId64 ", GPU kernels of attention count up to %d", what, value, INT32_MAX);
    }
    return static_cast<int32_t>(value);
}

/* Copies the chunks that are not empty; returns their number. */
inline int32_t
copy_chunks(const tsp_chunk *chunks, int32_t count, int64_t batch, SmallChunk *copies, int32_t limit, const char *name) {
    int32_t used = 0;
    for (int32_t c = 0; c < count; ++c) {
        const tsp_chunk &chunk = chunks[c];
        if (chunk.count == 0) {
            continue;
        }
        if (used == limit) {
            fail(TSP_UNSUPPORTED, "%s: the count is %d, GPU kernels of attention take up to %d", name, count, limit);
        }
        small(chunk.start + chunk.count, name);
        small(chunk.first_row + larger(batch - 1, int64_t{0}) * chunk.batch_rows + chunk.count, name);
        copies[used++] = {
            static_cast<int32_t>(chunk.first_row),
            batch > 1 ? static_cast<int32_t>(chunk.batch_rows) : 0,
            static_cast<int32_t>(chunk.count),
            static_cast<int32_t>(chunk.start)};
    }
    return used;
}

inline AttentionTables attention_tables(const tsp_attention_args &args) {
    AttentionTables tables{};
    tables.query_chunks =
        copy_chunks(args.q_chunks, args.q_chunk_count, args.batch, tables.queries, MAX_QUERY_CHUNKS, "q_chunks");
    tables.key_chunks = copy_chunks(args.k_chunks, args.k_chunk_count, args.batch, tables.keys, MAX_KEY_CHUNKS, "k_chunks");
    order_chunks(tables.queries, tables.query_chunks, tables.order);
    /* Up to a tile behind the last position has to fit as well. */
    tables.key_count = small(key_count(tables.keys, tables.key_chunks) + 1024, "the number of keys") - 1024;
    tables.causal = (args.flags & TSP_CAUSAL) != 0;
    tables.window = args.window;
    tables.kv_heads = small(args.k.shape[1], "the number of key/value heads");
    tables.group = tables.kv_heads > 0 ? small(args.q.shape[1], "the number of heads") / tables.kv_heads : 0;
    tables.head_dim = static_cast<int32_t>(args.q.shape[2]);
    tables.heads = tables.head_dim > 0 && tables.group > 0 ? args.batch * tables.kv_heads : 0;
    tables.kv_start = static_cast<const int32_t *>(args.kv_start.data);
    tables.scale = args.scale;
    tables.factor = args.scale * LOG2_E;
    return tables;
}

/* Heads that share the second-level cache, see head_tile_at: their rows of the given bytes fill about half of it. */
inline int64_t section_of(int64_t rows, int64_t row_bytes) {
    constexpr int64_t CACHE_BYTES = int64_t{24} << 20;
    return larger(int64_t{1}, CACHE_BYTES / larger(int64_t{1}, rows * row_bytes));
}

/* A grid of one dimension, see head_tile_at. */
inline dim3 grid_of(int64_t blocks) {
    return dim3(static_cast<uint32_t>(small(blocks, "the number of blocks of a launch")));
}

/* Query i of a tile. */
struct QueryRow {
    int32_t row;  /* of the tensors; -1: behind the end of the tile */
    int32_t head; /* likewise */
    KeySpan visible;
};

__device__ __forceinline__ QueryRow query_row(const AttentionTables &tables, const QueryTile &tile, int64_t head, int i) {
    if (i >= tile.rows) {
        return {-1, 0, no_keys()};
    }
    const SmallChunk &chunk = tables.queries[tile.chunk];
    const int64_t pair = tile.first + i;
    const auto token = static_cast<int32_t>(pair / tables.group);
    const auto member = static_cast<int32_t>(pair - token * tables.group);
    const auto sequence = static_cast<int32_t>(head / tables.kv_heads);
    const auto kv_head = static_cast<int32_t>(head - int64_t{sequence} * tables.kv_heads);
    const int32_t row = chunk.first_row + sequence * chunk.batch_rows + token;
    const int64_t start = tables.kv_start == nullptr ? 0 : tables.kv_start[row];
    const KeyRange range = visible_keys(
        tables.keys, tables.key_chunks, {tables.causal != 0, tables.window}, int64_t{chunk.start} + token, start);
    const bool empty = range.begin >= range.end;
    return {
        row,
        static_cast<int32_t>(kv_head * tables.group) + member,
        empty ? no_keys() : KeySpan{static_cast<int32_t>(range.begin), static_cast<int32_t>(range.end)}};
}

/* Finds the rows of keys from their positions, which ascend. */
class KeyRows {
public:
    /* sequence may stand in shared memory. */
    __device__ __forceinline__ KeyRows(const AttentionTables &tables, const int32_t &sequence)
        : tables(tables),
          sequence(sequence) {
        enter(0);
    }

    /* Rows of smaller positions are not asked for any more. position < key_count. */
    __device__ __forceinline__ void move_to(int32_t position) {
        while (position >= end) {
            enter(chunk + 1);
        }
    }

    /* position < key_count. */
    __device__ __forceinline__ int32_t row(int32_t position) const {
        if (position < end) {
            return position + offset;
        }
        KeyRows later = *this;
        later.move_to(position);
        return position + later.offset;
    }

private:
    __device__ __forceinline__ void enter(int32_t next) {
        if (next < tables.key_chunks) {
            chunk = next;
            offset = tables.keys[next].first_row + sequence * tables.keys[next].batch_rows - end;
            end += tables.keys[next].count;
        }
    }

    const AttentionTables &tables;
    const int32_t &sequence;
    int32_t chunk = 0;
    int32_t end = 0;    /* position behind the chunk */
    int32_t offset = 0; /* row - position */
};

struct Smaller {
    __device__ __forceinline__ int32_t operator()(int32_t a, int32_t b) const {
        return smaller(a, b);
    }
};

/* Of what the lanes of a warp have: from the first begin to the last end. */
__device__ __forceinline__ KeySpan unite_warp(KeySpan span) {
    return {reduce_warp(span.begin, Smaller{}), reduce_warp(span.end, Max{})};
}

/* What all of them have; the end may be before the begin. */
__device__ __forceinline__ KeySpan intersect_warp(KeySpan span) {
    return {reduce_warp(span.begin, Max{}), reduce_warp(span.end, Smaller{})};
}

} // namespace tsp::gpu
