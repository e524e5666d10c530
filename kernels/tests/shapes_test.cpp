/* The pure functions of kernels/include, tried on all small inputs against definitions written out as loops. */
#include <vector>

#include "expect.h"
#include "key_ranges.h"
#include "key_tiles.h"
#include "query_tiles.h"

using namespace tsp;

namespace {

/* Every way to cut [0, 8) into three chunks with two gaps between them, empty ones included. */
std::vector<std::vector<tsp_chunk>> key_chunks() {
    std::vector<std::vector<tsp_chunk>> all;
    const int64_t end = 8;
    for (int64_t a = 0; a <= end; ++a) {
        for (int64_t b = a; b <= end; ++b) {
            for (int64_t c = b; c <= end; ++c) {
                for (int64_t d = c; d <= end; ++d) {
                    all.push_back({{0, 0, a, 0}, {0, 0, c - b, b}, {0, 0, end - d, d}});
                    all.push_back({{0, 0, 0, 100}, {0, 0, c - b, b}, {0, 0, end - d, d}});
                }
            }
        }
    }
    return all;
}

void check_visible_keys(test::Report &report) {
    for (const auto &chunks : key_chunks()) {
        const auto count = static_cast<int32_t>(chunks.size());
        for (const bool causal : {false, true}) {
            for (int64_t window = 0; window <= 9; ++window) {
                for (int64_t query = 0; query < 10; ++query) {
                    for (const int64_t kv_start : {-3, 0, 1, 5, 20}) {
                        const KeyRange range = visible_keys(chunks.data(), count, {causal, window}, query, kv_start);
                        int64_t position = 0;
                        bool right = true;
                        for (const tsp_chunk &chunk : chunks) {
                            for (int64_t j = chunk.start; j < chunk.start + chunk.count; ++j) {
                                const bool visible =
                                    (!causal || j <= query) && (window == 0 || j > query - window) && j >= kv_start;
                                right = right && visible == (position >= range.begin && position < range.end);
                                ++position;
                            }
                        }
                        report.expect(
                            right, "causal %d window %ld query %ld kv_start %ld", causal, window, query, kv_start);
                    }
                }
            }
        }
    }
}

void check_needed_keys(test::Report &report) {
    for (const auto &keys : key_chunks()) {
        for (const bool causal : {false, true}) {
            for (int64_t window = 0; window <= 9; window += 3) {
                const tsp_chunk queries[] = {{0, 0, 2, 5}, {0, 0, 0, 1000}, {0, 0, 3, 1}};
                const KeyRange needed = needed_keys(keys.data(), 3, queries, 3, {causal, window});
                int64_t begin = key_count(keys.data(), 3);
                int64_t end = 0;
                for (const int64_t query : {5, 6, 1, 2, 3}) {
                    const KeyRange range = visible_keys(keys.data(), 3, {causal, window}, query, 0);
                    begin = smaller(begin, range.begin);
                    end = larger(end, range.end);
                }
                report.expect(needed.begin == begin && needed.end == end, "causal %d window %ld", causal, window);
            }
        }
    }
}

void check_query_tiles(test::Report &report) {
    for (const int64_t rows : {1, 4, 7}) {
        for (const int64_t group : {1, 3, 8}) {
            for (int64_t a = 0; a < 10; ++a) {
                for (int64_t b = 0; b < 10; ++b) {
                    const tsp_chunk chunks[] = {{0, 0, a, 40}, {0, 0, b, 90}, {0, 0, 2, 0}, {0, 0, 0, 60}};
                    int32_t order[4];
                    order_chunks(chunks, 4, order);
                    std::vector<std::vector<int>> covered;
                    for (const tsp_chunk &chunk : chunks) {
                        covered.emplace_back(static_cast<size_t>(chunk.count * group));
                    }
                    int64_t before = INT64_MAX;
                    const int64_t tiles = tile_count(chunks, 4, group, rows);
                    for (int64_t rank = 0; rank < tiles; ++rank) {
                        const QueryTile tile = tile_at(chunks, order, group, rows, rank);
                        report.expect(tile.rows > 0 && tile.rows <= rows, "%ld rows", tile.rows);
                        const int64_t position = chunks[tile.chunk].start + tile.first / group;
                        report.expect(position <= before, "tile %ld is heavier than the one before it", rank);
                        before = position;
                        for (int64_t row = tile.first; row < tile.first + tile.rows; ++row) {
                            ++covered[static_cast<size_t>(tile.chunk)].at(static_cast<size_t>(row));
                        }
                    }
                    for (const auto &chunk : covered) {
                        for (const int times : chunk) {
                            report.expect(times == 1, "a row is in %d tiles", times);
                        }
                    }
                }
            }
        }
    }
}

/* Keys of the chunks, tile by tile, for queries that see the indices begin, ..., end - 1. */
void check_key_tiles(test::Report &report, const std::vector<tsp_chunk> &chunks, int32_t begin, int32_t end) {
    constexpr int32_t TILE = 4;
    KeyTiles<tsp_chunk, TILE> tiles(chunks.data(), static_cast<int32_t>(chunks.size()), begin, end);
    std::vector<std::vector<int>> covered;
    for (const tsp_chunk &chunk : chunks) {
        covered.emplace_back(static_cast<size_t>(chunk.count));
    }
    KeyTile tile{};
    int32_t before = INT32_MAX;
    while (tiles.next(tile)) {
        const tsp_chunk &chunk = chunks.at(static_cast<size_t>(tile.chunk));
        const bool inside = tile.first >= 0 && tile.first % TILE == 0 && tile.rows >= 1 && tile.rows <= TILE
            && tile.first + tile.rows <= chunk.count && (tile.rows == TILE || tile.first + tile.rows == chunk.count);
        report.expect(inside, "keys %d to %d: a tile of %d keys begins at %d", begin, end, tile.rows, tile.first);
        report.expect(tile.index == chunk.start + tile.first, "a tile of keys has index %d", tile.index);
        report.expect(tile.index + tile.rows <= before, "tiles of keys do not descend at %d", tile.index);
        report.expect(tile.index < end && tile.index + tile.rows > begin, "a tile at %d has nothing to see", tile.index);
        before = tile.index;
        for (int32_t i = 0; i < tile.rows; ++i) {
            ++covered.at(static_cast<size_t>(tile.chunk)).at(static_cast<size_t>(tile.first + i));
        }
    }
    for (size_t c = 0; c < chunks.size(); ++c) {
        for (size_t i = 0; i < covered[c].size(); ++i) {
            const int64_t index = chunks[c].start + static_cast<int64_t>(i);
            const bool seen = index >= begin && index < end;
            report.expect(covered[c][i] <= 1 && (!seen || covered[c][i] == 1), "key %ld is in %d tiles", index, covered[c][i]);
        }
    }
}

void check_key_tiles(test::Report &report) {
    for (const int64_t gap : {0, 1, 3, 9}) {
        for (const int64_t first : {0, 1, 3, 4, 5, 8, 11}) {
            for (const int64_t second : {0, 1, 4, 7, 9}) {
                const std::vector<tsp_chunk> chunks{
                    {0, 0, first, 2}, {20, 0, 0, 2 + first}, {20, 0, second, 2 + first + gap}, {50, 0, 3, 60}};
                for (int32_t begin = 0; begin < 30; ++begin) {
                    for (int32_t end = 0; end < 30; ++end) {
                        check_key_tiles(report, chunks, begin, end);
                    }
                    check_key_tiles(report, chunks, begin, INT32_MAX);
                }
            }
        }
    }
    check_key_tiles(report, {}, 0, INT32_MAX);
}

void check_head_tiles(test::Report &report) {
    for (int64_t heads = 1; heads < 8; ++heads) {
        for (int64_t tiles = 1; tiles < 5; ++tiles) {
            for (int64_t section = 1; section < 10; ++section) {
                std::vector<int> covered(static_cast<size_t>(heads * tiles));
                HeadTile before{0, 0};
                for (int64_t index = 0; index < heads * tiles; ++index) {
                    const HeadTile tile = head_tile_at(index, heads, section, tiles);
                    const int64_t number = tile.head / section;
                    const bool ordered = number > before.head / section
                        || (number == before.head / section && tile.rank >= before.rank);
                    report.expect(ordered, "head tile %ld of %ld heads comes too late", index, heads);
                    before = tile;
                    ++covered.at(static_cast<size_t>(tile.head * tiles + tile.rank));
                }
                for (const int times : covered) {
                    report.expect(times == 1, "a tile of a head is done %d times", times);
                }
            }
        }
    }
}

} // namespace

int main() {
    test::Report report;
    check_visible_keys(report);
    check_needed_keys(report);
    check_query_tiles(report);
    check_head_tiles(report);
    check_key_tiles(report);
    return report.exit_status("shapes_test");
}
