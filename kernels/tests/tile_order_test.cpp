/* The order of tiles: each exactly once, and blocks that run together share rows and columns. */
#include "tile_order.h"

#include <vector>

#include "expect.h"

using namespace tsp;

namespace {

void test_each_once(test::Report &report, uint32_t rows, uint32_t columns) {
    std::vector<int> seen(size_t{rows} * columns);
    for (uint32_t i = 0; i < rows * columns; ++i) {
        const TilePosition position = tile_position(i, rows, columns);
        const bool inside = position.row < rows && position.column < columns;
        report.expect(inside, "%u x %u: number %u is [%u, %u]", rows, columns, i, position.row, position.column);
        if (inside) {
            ++seen[size_t{position.row} * columns + position.column];
        }
    }
    for (size_t i = 0; i < seen.size(); ++i) {
        report.expect(seen[i] == 1, "%u x %u: tile %zu comes %d times", rows, columns, i, seen[i]);
    }
}

/* 64 blocks in a row of the order need no more than 8 rows and 8 columns of tiles where there are as many. */
void test_rectangles(test::Report &report, uint32_t rows, uint32_t columns) {
    constexpr uint32_t TOGETHER = 64;
    for (uint32_t first = 0; first + TOGETHER <= rows * columns; first += TOGETHER) {
        std::vector<bool> row(rows);
        std::vector<bool> column(columns);
        uint32_t distinct = 0;
        for (uint32_t i = first; i < first + TOGETHER; ++i) {
            const TilePosition position = tile_position(i, rows, columns);
            distinct += row[position.row] ? 0 : 1;
            distinct += column[position.column] ? 0 : 1;
            row[position.row] = true;
            column[position.column] = true;
        }
        report.expect(distinct <= 16, "%u x %u: 64 tiles from %u on need %u", rows, columns, first, distinct);
    }
}

} // namespace

int main() {
    test::Report report;
    for (uint32_t rows = 1; rows <= 40; ++rows) {
        for (uint32_t columns = 1; columns <= 40; ++columns) {
            test_each_once(report, rows, columns);
        }
    }
    test_each_once(report, 257, 13);
    test_each_once(report, 3, 1001);
    test_rectangles(report, 64, 64);
    test_rectangles(report, 16, 224);
    return report.exit_status("tile_order_test");
}
