/*
 * How the queries of an attention launch are cut into tiles, and in which order tiles are worked on.
 *
 * The rows of a tile are consecutive pairs (token of one chunk, query head of one group), the head running faster: the
 * heads that share a key/value head share its tiles, and rows of a tile see almost the same keys. Tiles are ordered by
 * descending position of their queries: under a causal mask the heaviest come first, the lightest level the threads.
 */
#pragma once

#include "host_device.h"
#include "tsp_kernels.h"

namespace tsp {

struct QueryTile {
    int32_t chunk;
    int64_t first; /* row: token * group + head within the group */
    int64_t rows;  /* 0 < rows <= tile_rows */
};

/* Writes the indices of the chunks to order, by descending start, equal ones as they stand. */
TSP_HD void order_chunks(const tsp_chunk *chunks, int32_t chunk_count, int32_t *order) {
    for (int32_t c = 0; c < chunk_count; ++c) {
        int32_t slot = c;
        for (; slot > 0 && chunks[order[slot - 1]].start < chunks[c].start; --slot) {
            order[slot] = order[slot - 1];
        }
        order[slot] = c;
    }
}

/* Tiles of one sequence and one key/value head. group: query heads for each key/value head. */
TSP_HD int64_t tile_count(const tsp_chunk *chunks, int32_t chunk_count, int64_t group, int64_t tile_rows) {
    int64_t count = 0;
    for (int32_t c = 0; c < chunk_count; ++c) {
        count += divide_up(chunks[c].count * group, tile_rows);
    }
    return count;
}

/* The tile of this rank, 0 <= rank < tile_count, in the order given by order_chunks. */
TSP_HD QueryTile
tile_at(const tsp_chunk *chunks, const int32_t *order, int64_t group, int64_t tile_rows, int64_t rank) {
    int32_t slot = 0;
    int64_t tiles = divide_up(chunks[order[0]].count * group, tile_rows);
    while (rank >= tiles) {
        rank -= tiles;
        ++slot;
        tiles = divide_up(chunks[order[slot]].count * group, tile_rows);
    }
    const int64_t first = (tiles - 1 - rank) * tile_rows;
    return {order[slot], first, smaller(tile_rows, chunks[order[slot]].count * group - first)};
}

} // namespace tsp
