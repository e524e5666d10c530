/*
 * How the queries of an attention launch are cut into tiles, and in which order tiles are worked on.
 *
 * The rows of a tile are consecutive pairs (token of one chunk, query head of one group), the head running faster: the
 * heads that share a key/value head share its tiles, and rows of a tile see almost the same keys. Tiles are ordered by
 * descending position of their queries: under a causal mask the heaviest come first, the lightest level the threads.
 *
 * Chunk is tsp_chunk, or a struct with its fields in fewer bits.
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
template <class Chunk>
TSP_HD void order_chunks(const Chunk *chunks, int32_t chunk_count, int32_t *order) {
    for (int32_t c = 0; c < chunk_count; ++c) {
        int32_t slot = c;
        for (; slot > 0 && chunks[order[slot - 1]].start < chunks[c].start; --slot) {
            order[slot] = order[slot - 1];
        }
        order[slot] = c;
    }
}

/* Tiles of one sequence and one key/value head. group: query heads for each key/value head. */
template <class Chunk>
TSP_HD int64_t tile_count(const Chunk *chunks, int32_t chunk_count, int64_t group, int64_t tile_rows) {
    int64_t count = 0;
    for (int32_t c = 0; c < chunk_count; ++c) {
        count += divide_up(chunks[c].count * group, tile_rows);
    }
    return count;
}

/* The tile of this rank, 0 <= rank < tile_count, in the order given by order_chunks. */
template <class Chunk>
TSP_HD QueryTile
tile_at(const Chunk *chunks, const int32_t *order, int64_t group, int64_t tile_rows, int64_t rank) {
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

/* One tile of one head. */
struct HeadTile {
    int64_t head;
    int64_t rank;
};

/*
 * The order in which GPUs start the tiles of all heads: section by section of so many heads, and in a section rank by
 * rank. Blocks at work at the same time so share keys and values of one section, which the second-level cache holds,
 * and the heaviest tiles of a section come first. index < heads * tiles.
 */
TSP_HD HeadTile head_tile_at(int64_t index, int64_t heads, int64_t section, int64_t tiles) {
    const int64_t first = index / (section * tiles) * section;
    const int64_t here = smaller(section, heads - first);
    const int64_t within = index - first * tiles;
    return {first + within % here, within / here};
}

} // namespace tsp
