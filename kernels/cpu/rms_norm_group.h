/*
 * The arithmetic of RMSNorm backward: a few rows at a time, read twice, from memory for their two sums and from the caches
 * for their gradients, while the rows to come are on their way.
 */
#pragma once

#include <cmath>

#include "rows.h"

namespace tsp::TSP_ISA {

/* What a row reads and writes; rounded may be NULL. */
template <class T, class Dout, class Dx>
struct NormRow {
    const T *x;
    const Dout *dout;
    Dx *dx;
    T *rounded;
};

/* ROWS rows at a time, so that weight and dweight are read once for all of them. */
template <class T, class Dout, class Dx, int ROWS>
struct NormGroup {
    static constexpr int64_t STEP = 2 * WIDTH;
    static constexpr bool PAIRED = std::is_same_v<T, bf16> && std::is_same_v<Dout, bf16> && std::is_same_v<Dx, bf16>;
    using Elements = Two<PAIRED>;
    using Rows = NormRow<T, Dout, Dx>[ROWS];

    const Rows &rows;
    const Rows *next; /* a group to come, or NULL */
    const T *weight;
    float *dweight;
    int64_t n;
    bool accumulate;

    /* dx = dout factor weight + x slope, for each row: factor is r and slope -r^2 mean(g z). */
    struct Factors {
        float factor[ROWS];
        float slope[ROWS];
    };

    TSP_INLINE Factors factors(float epsilon) const {
        Elements squares[ROWS];
        Elements products[ROWS];
#pragma GCC unroll 4
        for (int row = 0; row < ROWS; ++row) {
            squares[row] = Elements::of(0.0f);
            products[row] = Elements::of(0.0f);
        }
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            const auto weights = Elements::load_from(weight + i);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; ++row) {
                if (next != nullptr) {
                    fetch((*next)[row].x + i, STEP * sizeof(T));
                }
                const auto value = Elements::load_from(rows[row].x + i);
                const auto g = Elements::load_from(rows[row].dout + i) * weights;
                squares[row] = fma(value, value, squares[row]);
                products[row] = fma(value, g, products[row]);
            }
        }
        float square[ROWS];
        float product[ROWS];
#pragma GCC unroll 4
        for (int row = 0; row < ROWS; ++row) {
            square[row] = reduce_add(squares[row].first + squares[row].second);
            product[row] = reduce_add(products[row].first + products[row].second);
        }
        Factors result;
        for (int row = 0; row < ROWS; ++row) {
            for (int64_t j = i; j < n; ++j) {
                const float x = to_float(rows[row].x[j]);
                square[row] += x * x;
                product[row] += x * (to_float(rows[row].dout[j]) * to_float(weight[j]));
            }
            const float factor = 1.0f / std::sqrt(square[row] / static_cast<float>(n) + epsilon);
            const float mean = product[row] * factor / static_cast<float>(n);
            result.factor[row] = factor;
            result.slope[row] = -(factor * (factor * mean));
        }
        return result;
    }

    TSP_INLINE void write(const Factors &of, bool dx_streamed, bool rounded_streamed) const {
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            const auto weights = Elements::load_from(weight + i);
            auto sums = Elements::load_from(dweight + i);
            Elements gradients[ROWS];
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; ++row) {
                if (next != nullptr) {
                    fetch((*next)[row].dout + i, STEP * sizeof(Dout));
                }
                const auto x = Elements::load_from(rows[row].x + i);
                const auto scaled = Elements::load_from(rows[row].dout + i) * Elements::of(of.factor[row]);
                sums = fma(scaled, x, sums);
                gradients[row] = fma(x, Elements::of(of.slope[row]), scaled * weights);
                if (accumulate) {
                    if (next != nullptr) {
                        fetch((*next)[row].dx + i, STEP * sizeof(Dx));
                    }
                    gradients[row] = Elements::load_from(rows[row].dx + i) + gradients[row];
                }
            }
            /* After all loads: a load waits for a store to an address that differs by a multiple of a page. */
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; ++row) {
                Dx *dx = rows[row].dx + i;
                dx_streamed ? gradients[row].stream_to(dx) : gradients[row].store_to(dx);
                if (rows[row].rounded != nullptr) {
                    T *rounded = rows[row].rounded + i;
                    rounded_streamed ? gradients[row].stream_to(rounded) : gradients[row].store_to(rounded);
                }
            }
            sums.store_to(dweight + i);
        }
        for (; i < n; ++i) {
            for (int row = 0; row < ROWS; ++row) {
                const float x = to_float(rows[row].x[i]);
                const float scaled = to_float(rows[row].dout[i]) * of.factor[row];
                dweight[i] += scaled * x;
                float gradient = x * of.slope[row] + scaled * to_float(weight[i]);
                if (accumulate) {
                    gradient = to_float(rows[row].dx[i]) + gradient;
                }
                rows[row].dx[i] = from_float<Dx>(gradient);
                if (rows[row].rounded != nullptr) {
                    rows[row].rounded[i] = from_float<T>(gradient);
                }
            }
        }
    }
};

} // namespace tsp::TSP_ISA
