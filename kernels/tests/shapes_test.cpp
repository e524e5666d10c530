/* The pure functions of kernels/include, tried on all small inputs against definitions written out as loops. */
#include <vector>

#include "expect.h"
#include "key_ranges.h"
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
    return report.exit_status("shapes_test");
}
