/* The order in which the tiles of a matrix product are computed. Shared by CPU tests and GPU kernels. */
#pragma once

#include "host_device.h"

namespace tsp {

struct TilePosition {
    uint32_t row;
    uint32_t column;
};

/* Rows of tiles that are walked together. */
constexpr uint32_t TILE_GROUP = 8;

/* Which of rows x columns tiles, fewer than 2^28, is number index. Blocks that run at the same time have numbers close together: theirs is
 * a rectangle of tiles, whose rows of A and columns of B come from the second-level cache. */
TSP_HD constexpr TilePosition tile_position(uint32_t index, uint32_t rows, uint32_t columns) {
    const uint32_t group = index / (TILE_GROUP * columns);
    const uint32_t inside = index - group * TILE_GROUP * columns;
    const uint32_t height = smaller(TILE_GROUP, rows - group * TILE_GROUP);
    return {group * TILE_GROUP + inside % height, inside / height};
}

} // namespace tsp
