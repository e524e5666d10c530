/*
 * Sums over the rows of a matrix, column by column. The rows are cut into parts in a way that depends on the shape alone;
 * each part has sums of its own, and these are added up in order. So any number of threads gives the same bits, and no
 * chain of additions is as long as the matrix.
 */
#pragma once

#include "kernel.h"

namespace tsp::TSP_ISA {

class RowParts {
public:
    RowParts(int64_t rows, int64_t columns)
        : rows(rows),
          columns(columns),
          part_rows(larger((rows + MOST - 1) / MOST, 1 + LEAST_ELEMENTS / (columns + 1))),
          parts((rows + part_rows - 1) / part_rows) {}

    /* Of the sums of all parts: [parts][stride()] floats. */
    int64_t elements() const {
        return parts * stride();
    }

    /* Runs body(first row, last row, the part's sums, set to zero) for each part, then writes the sum of all parts to out
     * or adds it. */
    template <class Body>
    void sum(int32_t threads, float *sums, float *out, bool accumulate, const Body &body) const {
        parallel(parts < threads ? static_cast<int32_t>(larger(parts, 1)) : threads, [&](int64_t, int64_t) {
            share_tasks(parts, [&](int64_t part) {
                float *own = sums + part * stride();
                std::memset(own, 0, sizeof(float) * static_cast<size_t>(stride()));
                const int64_t first = part * part_rows;
                body(first, rows - first < part_rows ? rows : first + part_rows, own);
            });
        });
        parallel_for(threads, columns, COLUMN_GRAIN, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; i += WIDTH) {
                const int lanes = static_cast<int>(last - i < WIDTH ? last - i : WIDTH);
                Vec total = zero();
                for (int64_t part = 0; part < parts; ++part) {
                    total = total + load(sums + part * stride() + i);
                }
                store_partial(out + i, accumulate ? load_partial(out + i, lanes) + total : total, lanes);
            }
        });
    }

private:
    static constexpr int64_t MOST = 32;
    static constexpr int64_t LEAST_ELEMENTS = int64_t{1} << 14;
    static constexpr int64_t COLUMN_GRAIN = 512;
    static constexpr int64_t LINE = 16;

    static int64_t larger(int64_t a, int64_t b) {
        return a > b ? a : b;
    }

    /* Columns, rounded up so that parts do not share cache lines. */
    int64_t stride() const {
        return (columns + LINE - 1) / LINE * LINE;
    }

    int64_t rows;
    int64_t columns;
    int64_t part_rows;
    int64_t parts;
};

} // namespace tsp::TSP_ISA
