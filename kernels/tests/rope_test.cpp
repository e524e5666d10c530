/* RoPE at every level against plain float64. A failure here means attention that misjudges distances. */
#include "op_test.h"

using namespace tsp::test;

namespace {

struct Case {
    tsp_dtype dtype;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
    int64_t padding = 0;
    bool inverse = false;
    float scale = 1.0f;
    int32_t stride = 1; /* of positions */

    std::string name() const {
        return std::string(dtype == TSP_BF16 ? "bf16 [" : "f32 [") + std::to_string(rows) + ", " + std::to_string(heads)
            + ", " + std::to_string(head_dim) + "]" + (inverse ? " inverse" : "") + " positions by "
            + std::to_string(stride);
    }
};

class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          x({test.rows, test.heads, test.head_dim}, test.dtype, test.padding),
          positions({test.rows}, TSP_I32, test.padding),
          inv_freq({test.head_dim / 2}, TSP_F32, test.padding) {
        fill_normal(x.view, 1);
        for (int64_t t = 0; t < test.rows; ++t) {
            put(positions.view, static_cast<double>(t * test.stride), t);
        }
        for (int64_t i = 0; i < test.head_dim / 2; ++i) {
            put(inv_freq.view,
                std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(test.head_dim)),
                i);
        }
    }

    tsp_rope_args args() const {
        tsp_rope_args args{};
        args.struct_size = sizeof args;
        args.flags = test.inverse ? TSP_INVERSE : 0;
        args.x = x.view;
        args.positions = positions.view;
        args.inv_freq = inv_freq.view;
        args.attention_scale = test.scale;
        return args;
    }

    Case test;
    TestTensor x;
    TestTensor positions;
    TestTensor inv_freq;
};

void test_case(const Level &level, const Case &test) {
    const Fixture before(test);
    const Fixture after(test);
    level.run_ok(level.kernels.rope, after.args(), 1);
    const int64_t half = test.head_dim / 2;
    const bool is_bf16 = test.dtype == TSP_BF16;
    const double table = is_bf16 ? BF16_ROUNDING + 4 * FP32_ROUNDING : 3 * FP32_ROUNDING;
    for (int64_t t = 0; t < test.rows; ++t) {
        for (int64_t i = 0; i < half; ++i) {
            const float angle =
                static_cast<float>(get(before.positions.view, t)) * static_cast<float>(get(before.inv_freq.view, i));
            const double cosine = std::cos(double{angle}) * test.scale;
            const double sine = std::sin(double{angle}) * test.scale * (test.inverse ? -1 : 1);
            for (int64_t head = 0; head < test.heads; ++head) {
                const double a = get(before.x.view, t, head, i);
                const double b = get(before.x.view, t, head, i + half);
                const double size = std::fabs(a * cosine) + std::fabs(b * sine);
                const double other = std::fabs(b * cosine) + std::fabs(a * sine);
                const auto check = [&](int64_t at, double wanted, double terms) {
                    const double bound = (table + 3 * FP32_ROUNDING) * terms
                        + rounding_of(test.dtype) * std::fabs(wanted) + 1e-11 * (std::fabs(a) + std::fabs(b));
                    const std::string what = test.name() + ": x[" + std::to_string(t) + ", " + std::to_string(head)
                        + ", " + std::to_string(at) + "]";
                    level.close(get(after.x.view, t, head, at), wanted, 1.01 * bound, what);
                };
                check(i, a * cosine - b * sine, size);
                check(i + half, b * cosine + a * sine, other);
            }
        }
    }
    level.guards_intact(after.x, test.name());
    const Fixture again(test);
    level.run_ok(level.kernels.rope, again.args(), 3);
    level.expect(contents(again.x) == contents(after.x), test.name() + ": other bits with other threads");
}

/* With x = (1, 0) the output is the cosine and sine themselves: within one unit of the last place of libm's. */
void test_large_angles(const Level &level) {
    constexpr int64_t ROWS = 40000;
    const TestTensor x({ROWS, 1, 2}, TSP_F32, 0);
    const TestTensor positions({ROWS}, TSP_I32, 0);
    const TestTensor inv_freq({1}, TSP_F32, 0);
    std::mt19937 random(11);
    for (int64_t t = 0; t < ROWS; ++t) {
        put(x.view, 1, t, 0, 0);
        put(x.view, 0, t, 0, 1);
        put(positions.view, static_cast<double>(random() >> (t % 2 == 0 ? 14 : 1)), t);
    }
    put(inv_freq.view, 1, 0);
    tsp_rope_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.positions = positions.view;
    args.inv_freq = inv_freq.view;
    level.run_ok(level.kernels.rope, args, 2);
    for (int64_t t = 0; t < ROWS; ++t) {
        const double angle = static_cast<float>(get(positions.view, t));
        const double bound = 1.01 * FP32_ROUNDING;
        const std::string at = " of " + std::to_string(angle);
        const double cosine = std::cos(angle);
        const double sine = std::sin(angle);
        level.close(get(x.view, t, 0, 0), cosine, bound * std::fabs(cosine) + 1e-11, "cosine" + at);
        level.close(get(x.view, t, 0, 1), sine, bound * std::fabs(sine) + 1e-11, "sine" + at);
    }
}

void test_refusals(const Level &level) {
    const Fixture fixture({TSP_BF16, 3, 2, 16});
    tsp_rope_args args = fixture.args();
    args.x.shape[2] = 15;
    level.run_refused(level.kernels.rope, args, {"x: shape[2] is 15", "even"});
    args = fixture.args();
    args.positions.shape[0] = 4;
    level.run_refused(level.kernels.rope, args, {"positions: shape[0] is 4", "3"});
    args = fixture.args();
    args.inv_freq.dtype = TSP_BF16;
    level.run_refused(level.kernels.rope, args, {"inv_freq: dtype bf16"});
    args = fixture.args();
    args.flags = 2;
    level.run_refused(level.kernels.rope, args, {"flags is 2"});
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        for (const int64_t head_dim : {0, 2, 6, 14, 16, 18, 30, 32, 34, 64, 126, 128, 130, 256}) {
            test_case(level, {dtype, 7, 3, head_dim, head_dim % 3});
            test_case(level, {dtype, 3, 1, head_dim, 1, true, 1.25f, 131072});
        }
        test_case(level, {dtype, 0, 3, 8});
        test_case(level, {dtype, 3, 0, 8});
        test_case(level, {dtype, 203, 4, 64, 0, false, 0.5f, 997});
    }
    test_large_angles(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("rope_test", test_level);
}
