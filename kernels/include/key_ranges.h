/*
 * Which keys a query of attention sees.
 *
 * The keys of a sequence, taken chunk after chunk, stand at positions 0, 1, 2, ...; since chunks ascend and do not
 * overlap, a larger position means a larger index in the whole sequence. So what a query sees, an interval of indices,
 * is an interval of positions too, whatever is missing between the chunks, and every mask is two comparisons.
 *
 * Chunk is tsp_chunk, or a struct with its fields in fewer bits.
 */
#pragma once

#include "host_device.h"
#include "tsp_kernels.h"

namespace tsp {

/* Positions begin, begin + 1, ..., end - 1; empty if end <= begin. */
struct KeyRange {
    int64_t begin;
    int64_t end;
};

struct KeyMask {
    bool causal;
    int64_t window; /* 0: none */
};

template <class Chunk>
TSP_HD int64_t key_count(const Chunk *chunks, int32_t chunk_count) {
    int64_t count = 0;
    for (int32_t c = 0; c < chunk_count; ++c) {
        count += int64_t{chunks[c].count};
    }
    return count;
}

/* The number of keys whose index in the whole sequence is less than index. */
template <class Chunk>
TSP_HD int64_t keys_before(const Chunk *chunks, int32_t chunk_count, int64_t index) {
    int64_t count = 0;
    for (int32_t c = 0; c < chunk_count; ++c) {
        count += larger(int64_t{0}, smaller(index - chunks[c].start, int64_t{chunks[c].count}));
    }
    return count;
}

/* What the query with this index in the whole sequence sees. */
template <class Chunk>
TSP_HD KeyRange
visible_keys(const Chunk *chunks, int32_t chunk_count, KeyMask mask, int64_t query, int64_t kv_start) {
    const int64_t first = mask.window > 0 ? larger(kv_start, query - mask.window + 1) : kv_start;
    return {
        keys_before(chunks, chunk_count, first),
        mask.causal ? keys_before(chunks, chunk_count, query + 1) : key_count(chunks, chunk_count)};
}

/* The positions that some query of the chunks may see, whatever kv_start says. */
template <class Chunk>
TSP_HD KeyRange
needed_keys(const Chunk *keys, int32_t key_chunks, const Chunk *queries, int32_t query_chunks, KeyMask mask) {
    KeyRange needed{key_count(keys, key_chunks), 0};
    for (int32_t c = 0; c < query_chunks; ++c) {
        if (queries[c].count > 0) {
            const int64_t last = int64_t{queries[c].start} + queries[c].count - 1;
            needed.begin = smaller(needed.begin, visible_keys(keys, key_chunks, mask, int64_t{queries[c].start}, 0).begin);
            needed.end = larger(needed.end, visible_keys(keys, key_chunks, mask, last, 0).end);
        }
    }
    return needed;
}

} // namespace tsp
