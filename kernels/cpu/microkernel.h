/*
 * The register tile of every matrix product: ROWS rows of A times VECS * WIDTH columns of a packed panel of B.
 *
 * A panel has 64 columns: f32 [k][64], or bf16 [k / 2][64][2], two consecutive k in one 32-bit word. A is row-major and
 * each of its words is broadcast, so a bf16 pair of A meets a bf16 pair of B and one instruction multiplies both.
 * Levels without that instruction widen the two halves and multiply twice, in the same order.
 */
#pragma once

#include "simd.h"

namespace tsp::TSP_ISA {

constexpr int PANEL = 64;
constexpr int TILE_COLUMNS = TILE_VECS * WIDTH;
static_assert(PANEL % TILE_COLUMNS == 0);

/* Elements of T in the 32-bit word that is broadcast from A and fills a lane of B. */
template <class T>
constexpr int WORD = sizeof(float) / sizeof(T);

/* What A is best stored as, where it is copied anyway: without the instruction for pairs every broadcast would widen. */
#if defined(TSP_HAS_BF16_DOT)
template <class T>
using Left = T;
#else
template <class T>
using Left = float;
#endif

template <int ROWS, int VECS>
TSP_INLINE void clear(Vec (&sum)[ROWS][VECS]) {
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            sum[i][j] = zero();
        }
    }
}

template <int ROWS, int VECS>
TSP_INLINE void load_tile(Vec (&sum)[ROWS][VECS], const float *source, int64_t stride) {
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            sum[i][j] = load(source + i * stride + j * WIDTH);
        }
    }
}

template <int ROWS, int VECS>
TSP_INLINE void add_tile(Vec (&sum)[ROWS][VECS], const float *source, int64_t stride) {
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            sum[i][j] = sum[i][j] + load(source + i * stride + j * WIDTH);
        }
    }
}

template <int ROWS, int VECS>
TSP_INLINE void store_tile(const Vec (&sum)[ROWS][VECS], float *target, int64_t stride) {
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            store(target + i * stride + j * WIDTH, sum[i][j]);
        }
    }
}

/* sum += A B over depth values of k. a: row 0, rows a_stride elements apart. b: the tile's first column in a panel. With
 * a_step A is stored by columns: element k of a row, or the pair that starts with it, is a_step * k elements behind a. */
template <int ROWS, int VECS>
TSP_INLINE void multiply(
    Vec (&sum)[ROWS][VECS], const float *a, int64_t a_stride, const float *b, int64_t depth, int64_t a_step = 1) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < depth; ++k) {
        Vec columns[VECS];
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            columns[j] = load(b + k * PANEL + j * WIDTH);
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const Vec x = broadcast(a[i * a_stride + k * a_step]);
#pragma GCC unroll 8
            for (int j = 0; j < VECS; ++j) {
                sum[i][j] = fma(x, columns[j], sum[i][j]);
            }
        }
    }
}

/* As above for panels of bf16; depth is even. */
#if defined(TSP_HAS_BF16_DOT)
template <int ROWS, int VECS>
TSP_INLINE void multiply(
    Vec (&sum)[ROWS][VECS], const bf16 *a, int64_t a_stride, const bf16 *b, int64_t depth, int64_t a_step = 1) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < depth; k += 2) {
        Vec columns[VECS];
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            columns[j] = load_pairs(b + k * PANEL + j * 2 * WIDTH);
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const Vec x = broadcast_pair(a + i * a_stride + k * a_step);
#pragma GCC unroll 8
            for (int j = 0; j < VECS; ++j) {
                sum[i][j] = dot(sum[i][j], x, columns[j]);
            }
        }
    }
}
#else
template <int ROWS, int VECS, class A>
TSP_INLINE void multiply(
    Vec (&sum)[ROWS][VECS], const A *a, int64_t a_stride, const bf16 *b, int64_t depth, int64_t a_step = 1) {
    for (int64_t k = 0; k < depth; k += 2) {
        Vec columns[VECS];
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            columns[j] = low(load_pairs(b + k * PANEL + j * 2 * WIDTH));
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const Vec x = broadcast(to_float(a[i * a_stride + k * a_step]));
#pragma GCC unroll 8
            for (int j = 0; j < VECS; ++j) {
                sum[i][j] = fma(x, columns[j], sum[i][j]);
            }
        }
        /* Without a barrier the compiler loads these columns too early, and keeps accumulators in memory instead. */
        asm volatile("" : : : "memory");
#pragma GCC unroll 8
        for (int j = 0; j < VECS; ++j) {
            columns[j] = high(load_pairs(b + k * PANEL + j * 2 * WIDTH));
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const Vec x = broadcast(to_float(a[i * a_stride + (k + 1) * a_step]));
#pragma GCC unroll 8
            for (int j = 0; j < VECS; ++j) {
                sum[i][j] = fma(x, columns[j], sum[i][j]);
            }
        }
    }
}
#endif

/* Calls body(std::integral_constant<int, rows>) so that rows, 1 .. MAX, is known to the compiler. */
template <int MAX = TILE_ROWS, class Body>
TSP_INLINE void with_rows(int64_t rows, const Body &body) {
    if constexpr (MAX == 1) {
        body(std::integral_constant<int, 1>{});
    } else if (rows >= MAX) {
        body(std::integral_constant<int, MAX>{});
    } else {
        with_rows<MAX - 1>(rows, body);
    }
}

} // namespace tsp::TSP_ISA
