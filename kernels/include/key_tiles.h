/*
 * The tiles of keys that a tile of queries works through, the last one first: under a causal mask what has to be masked
 * comes before what needs not. A tile lies in one chunk, so that its rows follow each other in memory and its indices in
 * the whole sequence do too; the last tile of a chunk may be short.
 */
#pragma once

#include "host_device.h"
#include "tsp_kernels.h"

namespace tsp {

struct KeyTile {
    int32_t chunk;
    int32_t first; /* key of the chunk */
    int32_t index; /* the same in the whole sequence */
    int32_t rows;  /* 0 < rows <= TILE_ROWS */
};

/* The tiles with keys whose index is in begin, ..., end - 1; other keys of these tiles come along. Chunk is tsp_chunk or a
 * struct with its fields in fewer bits; 31 are enough for each. */
template <class Chunk, int32_t TILE_ROWS>
class KeyTiles {
public:
    TSP_HD KeyTiles(const Chunk *chunks, int32_t chunk_count, int32_t begin, int32_t end)
        : chunks(chunks),
          begin(begin),
          end(end),
          chunk(chunk_count) {}

    /* False when there is none any more. */
    TSP_HD bool next(KeyTile &tile) {
        while (left == 0) {
            if (chunk == 0) {
                return false;
            }
            --chunk;
            const auto start = static_cast<int32_t>(chunks[chunk].start);
            const auto count = static_cast<int32_t>(chunks[chunk].count);
            const int32_t from = larger(begin - start, 0);
            const int32_t to = smaller(end - start, count);
            if (from < to) {
                lowest = from / TILE_ROWS;
                left = (to - 1) / TILE_ROWS + 1 - lowest;
            }
        }
        --left;
        tile.chunk = chunk;
        tile.first = (lowest + left) * TILE_ROWS;
        tile.index = static_cast<int32_t>(chunks[chunk].start) + tile.first;
        tile.rows = smaller(static_cast<int32_t>(chunks[chunk].count) - tile.first, TILE_ROWS);
        return true;
    }

private:
    const Chunk *chunks;
    int32_t begin;
    int32_t end;
    int32_t chunk;      /* that tiles are taken from */
    int32_t lowest = 0; /* tile of this chunk */
    int32_t left = 0;   /* tiles of this chunk */
};

} // namespace tsp
