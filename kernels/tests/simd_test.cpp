/* simd.h of one level against scalar code; compiled once per level, like a kernel. */
#include <bit>
#include <cmath>

#include "expect.h"
#include "microkernel.h"
#include "simd_test.h"

namespace tsp::TSP_ISA {
namespace {

bool is_nan(uint32_t bits) {
    return (bits & 0x7fffffff) > 0x7f800000;
}

/* Written with remainders, unlike the kernels' version: the nearer of the two neighbours, the even one in a tie. */
uint16_t nearest_bf16(uint32_t bits) {
    const uint32_t truncated = bits >> 16;
    const uint32_t rest = bits & 0xffff;
    if (is_nan(bits)) {
        return static_cast<uint16_t>(truncated | 0x40);
    }
    const bool up = rest > 0x8000 || (rest == 0x8000 && truncated % 2 == 1);
    return static_cast<uint16_t>(truncated + (up ? 1 : 0));
}

void check_bf16(test::Report &report) {
    for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32); pattern += pattern % 0x10000 == 0x7fff ? 1 : 0x1fff) {
        const auto bits = static_cast<uint32_t>(pattern);
        const Vec x = broadcast(std::bit_cast<float>(bits));
        const uint16_t wanted = nearest_bf16(bits);
        bf16 stored[2 * WIDTH];
        store(stored, x);
        float rounded[WIDTH];
        store(rounded, round_bf16(x));
        const uint32_t exponent = bits >> 23 & 0xff;
        store2(stored + 0, x, x);
        const bool subnormal = exponent == 0;
        report.expect(subnormal || stored[2 * WIDTH - 1].bits == wanted, "store2 of %08x", bits);
        store(stored, x);
        report.expect(stored[0].bits == wanted, "store of %08x is %04x", bits, stored[0].bits);
        report.expect(std::bit_cast<uint32_t>(rounded[0]) == uint32_t{wanted} << 16, "round_bf16 of %08x", bits);
        report.expect(from_float<bf16>(std::bit_cast<float>(bits)).bits == wanted, "from_float of %08x", bits);
        float widened[WIDTH];
        store(widened, load(stored));
        report.expect(std::bit_cast<uint32_t>(widened[0]) == uint32_t{wanted} << 16, "load of %04x", wanted);
    }
}

void check_partial(test::Report &report) {
    float floats[WIDTH];
    bf16 halves[WIDTH];
    for (int i = 0; i < WIDTH; ++i) {
        floats[i] = static_cast<float>(i + 1);
        halves[i] = from_float<bf16>(floats[i]);
    }
    for (int count = 0; count <= WIDTH; ++count) {
        float from_floats[WIDTH];
        float from_halves[WIDTH];
        float inside[WIDTH];
        float kept[WIDTH];
        store(from_floats, load_partial(floats, count));
        store(from_halves, load_partial(halves, count));
        const Vec lanes = load(floats);
        store(kept, keep_between(lanes, static_cast<float>(count + 1), lanes, lanes + broadcast(1.0f)));
        store(inside, select_range(load(floats), broadcast(-1.0f), count, WIDTH - 1));
        float to_floats[WIDTH] = {};
        bf16 to_halves[WIDTH] = {};
        store_partial(to_floats, load(floats), count);
        store_partial(to_halves, load(floats), count);
        for (int i = 0; i < WIDTH; ++i) {
            const float wanted = i < count ? floats[i] : 0.0f;
            const bool equal = from_floats[i] == wanted && from_halves[i] == wanted && to_floats[i] == wanted
                && to_float(to_halves[i]) == wanted;
            report.expect(equal, "lane %d of %d", i, count);
            const bool chosen = i >= count && i < WIDTH - 1;
            report.expect(inside[i] == (chosen ? floats[i] : -1.0f), "lane %d of the range from %d", i, count);
            report.expect(kept[i] == (count == i ? floats[i] : 0.0f), "keep_between: %d in lane %d", count, i);
        }
    }
}

void check_reductions(test::Report &report) {
    float lanes[WIDTH];
    for (int lane = 0; lane < WIDTH; ++lane) {
        for (int i = 0; i < WIDTH; ++i) {
            lanes[i] = i == lane ? 5.0f : static_cast<float>(-i);
        }
        float sum = 0;
        for (const float x : lanes) {
            sum += x;
        }
        report.expect(reduce_max(load(lanes)) == 5.0f, "reduce_max of lane %d", lane);
        report.expect(reduce_add(load(lanes)) == sum, "reduce_add of lane %d", lane);
    }
}

void check_exp2(test::Report &report) {
    double worst = 0;
    double worst_coarse = 0;
    for (double x = -125.9; x < 127.9; x += 0.000917) {
        const auto argument = static_cast<float>(x);
        const double wanted = std::exp2(double{argument});
        worst = std::fmax(worst, std::fabs(double{reduce_max(exp2(broadcast(argument)))} / wanted - 1));
        worst_coarse =
            std::fmax(worst_coarse, std::fabs(double{reduce_max(exp2_coarse(broadcast(argument)))} / wanted - 1));
    }
    report.expect(worst < 2.4e-7, "exp2 errs by %g", worst);
    report.expect(worst_coarse < 5e-6, "exp2_coarse errs by %g", worst_coarse);
    const float infinity = -MINUS_INFINITY;
    report.expect(reduce_max(exp2(broadcast(MINUS_INFINITY))) == 0, "exp2 of -inf");
    report.expect(reduce_max(exp2(broadcast(-200.0f))) == 0, "exp2 of -200");
    report.expect(reduce_max(exp2(broadcast(infinity))) == infinity, "exp2 of inf");
    report.expect(reduce_max(exp2(broadcast(200.0f))) == infinity, "exp2 of 200");
    report.expect(reduce_max(exp2(zero())) == 1, "exp2 of 0");
    report.expect(reduce_max(exp2_coarse(zero())) == 1, "exp2_coarse of 0");
    float nan[WIDTH];
    store(nan, exp2(broadcast(std::nanf(""))));
    report.expect(std::isnan(nan[0]), "exp2 of NaN");
}

void check_halves(test::Report &report) {
    uint16_t pairs[4 * WIDTH];
    for (int i = 0; i < 4 * WIDTH; ++i) {
        pairs[i] = static_cast<uint16_t>(0x7f80 + i); /* among them infinity and NaNs: only bits move */
    }
    const Vec first = load_as<Vec>(pairs);
    const Vec second = load_as<Vec>(pairs + 2 * WIDTH);
    uint16_t low[2 * WIDTH];
    uint16_t high[2 * WIDTH];
    store(reinterpret_cast<float *>(low), low_halves(first, second));
    store(reinterpret_cast<float *>(high), high_halves(first, second));
    for (int i = 0; i < 2 * WIDTH; ++i) {
        report.expect(low[i] == pairs[2 * i], "low_halves: %d", i);
        report.expect(high[i] == pairs[2 * i + 1], "high_halves: %d", i);
    }
}

void check_words(test::Report &report) {
    float squares[WIDTH][WIDTH];
    Vec rows[WIDTH];
    for (int i = 0; i < WIDTH; ++i) {
        for (int j = 0; j < WIDTH; ++j) {
            squares[i][j] = static_cast<float>(i * WIDTH + j);
        }
        rows[i] = load(squares[i]);
    }
    transpose(rows);
    bool transposed = true;
    for (int i = 0; i < WIDTH; ++i) {
        float row[WIDTH];
        store(row, rows[i]);
        for (int j = 0; j < WIDTH; ++j) {
            transposed = transposed && row[j] == squares[j][i];
        }
    }
    report.expect(transposed, "transpose");
    bf16 pairs[2 * WIDTH];
    for (int i = 0; i < 2 * WIDTH; ++i) {
        pairs[i] = from_float<bf16>(static_cast<float>(i % 2 == 0 ? i : -i));
    }
    const Vec words = load_pairs(pairs);
    report.expect(reduce_add(low(words)) == static_cast<float>(WIDTH * (WIDTH - 1)), "low");
    report.expect(reduce_add(high(words)) == static_cast<float>(-WIDTH * WIDTH), "high");
    bf16 joined[2 * WIDTH];
    store(reinterpret_cast<float *>(joined), join(low(words), high(words)));
    report.expect(std::memcmp(joined, pairs, sizeof pairs) == 0, "join");
    check_halves(report);
}

template <class T, int ROWS>
void check_multiply(test::Report &report) {
    constexpr int DEPTH = 10;
    T a[ROWS][DEPTH];
    Left<T> by_columns[DEPTH / WORD<Left<T>>][ROWS][WORD<Left<T>>];
    T b[DEPTH / WORD<T>][PANEL][WORD<T>];
    for (int k = 0; k < DEPTH; ++k) {
        for (int i = 0; i < ROWS; ++i) {
            a[i][k] = from_float<T>(static_cast<float>(i * 3 - k));
            by_columns[k / WORD<Left<T>>][i][k % WORD<Left<T>>] = from_float<Left<T>>(static_cast<float>(i * 3 - k));
        }
        for (int n = 0; n < PANEL; ++n) {
            b[k / WORD<T>][n][k % WORD<T>] = from_float<T>(static_cast<float>(n - 5 * k));
        }
    }
    Vec sum[ROWS][TILE_VECS];
    clear(sum);
    const T *columns = &b[0][PANEL - TILE_COLUMNS][0];
    multiply(sum, &a[0][0], DEPTH, columns, DEPTH);
    float product[ROWS][TILE_COLUMNS];
    store_tile(sum, &product[0][0], TILE_COLUMNS);
    clear(sum);
    multiply(sum, &by_columns[0][0][0], WORD<Left<T>>, columns, DEPTH, ROWS);
    float again[ROWS][TILE_COLUMNS];
    store_tile(sum, &again[0][0], TILE_COLUMNS);
    for (int i = 0; i < ROWS; ++i) {
        for (int n = 0; n < TILE_COLUMNS; ++n) {
            int wanted = 0;
            for (int k = 0; k < DEPTH; ++k) {
                wanted += (i * 3 - k) * (n + PANEL - TILE_COLUMNS - 5 * k);
            }
            report.expect(product[i][n] == static_cast<float>(wanted), "product [%d, %d] of %d rows", i, n, ROWS);
            report.expect(again[i][n] == static_cast<float>(wanted), "by columns, [%d, %d] of %d rows", i, n, ROWS);
        }
    }
}

} // namespace

void check_simd(test::Report &report) {
    check_bf16(report);
    check_partial(report);
    check_reductions(report);
    check_exp2(report);
    check_words(report);
    check_multiply<float, TILE_ROWS>(report);
    check_multiply<float, 1>(report);
    check_multiply<bf16, TILE_ROWS>(report);
    check_multiply<bf16, 1>(report);
}

} // namespace tsp::TSP_ISA
