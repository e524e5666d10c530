/* Where chunks of 16 bytes stand in shared memory. Shared by CPU tests and GPU kernels. */
#pragma once

#include "host_device.h"

namespace tsp {

/* Of a tile whose lines have CHUNKS chunks each, in chunks. What ldmatrix reads at once, chunks of one number in eight lines
 * from a multiple of eight on, lies in different banks: at different 16 of 128 bytes. */
template <int CHUNKS>
TSP_HD constexpr int chunk_place(int line, int chunk) {
    static_assert(CHUNKS == 4 || CHUNKS % 8 == 0, "a line has 64 bytes or a multiple of 128");
    return line * CHUNKS + (chunk ^ (CHUNKS == 4 ? line / 2 % 4 : line % 8));
}

} // namespace tsp
