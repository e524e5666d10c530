/* RMSNorm forward at every level against plain float64. A failure here means wrong activations in every layer. */
#include "op_test.h"

using namespace tsp::test;

namespace {

struct Case {
    tsp_dtype dtype;
    int64_t rows;
    int64_t heads; /* 0: x has rank 2 */
    int64_t columns;
    int64_t padding = 0;
    bool with_delta = false;
    tsp_dtype delta = TSP_F32;
    bool with_sum = false;
    bool with_weight = true;
    bool in_place = false; /* sum is x, or out is x where there is no sum */

    std::string name() const {
        return std::string(dtype == TSP_BF16 ? "bf16 [" : "f32 [") + std::to_string(rows) + ", " + std::to_string(heads)
            + ", " + std::to_string(columns) + "]" + (padding > 0 ? " padded" : "")
            + (with_delta ? delta == TSP_F32 ? " + f32" : " + bf16" : "") + (with_sum ? " sum" : "")
            + (with_weight ? "" : " no weight") + (in_place ? " in place" : "");
    }

    TestTensor make(tsp_dtype tensor_dtype) const {
        return heads == 0 ? TestTensor({rows, columns}, tensor_dtype, padding)
                          : TestTensor({rows, heads, columns}, tensor_dtype, padding);
    }
};

class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          x(test.make(test.dtype)),
          delta(test.make(test.delta)),
          sum(test.make(test.dtype)),
          out(test.make(test.dtype)),
          weight({test.columns}, test.dtype, test.padding) {
        fill_normal(x.view, 1, 3);
        fill_normal(delta.view, 2);
        fill_normal(weight.view, 3);
    }

    tsp_rms_norm_args args() const {
        tsp_rms_norm_args args{};
        args.struct_size = sizeof args;
        args.epsilon = 1e-5f;
        args.x = x.view;
        if (test.with_delta) {
            args.delta = delta.view;
        }
        if (test.with_sum) {
            args.sum = test.in_place ? x.view : sum.view;
        }
        if (test.with_weight) {
            args.weight = weight.view;
            args.out = test.in_place && !test.with_sum ? x.view : out.view;
        }
        return args;
    }

    Case test;
    TestTensor x;
    TestTensor delta;
    TestTensor sum;
    TestTensor out;
    TestTensor weight;
};

/* Element [row, head, column], of a tensor of rank 2 [row, column]. */
double at(const tsp_tensor &tensor, int64_t row, int64_t head, int64_t column) {
    return tensor.rank == 2 ? get(tensor, row, column) : get(tensor, row, head, column);
}

void check_row(const Level &level, const Fixture &before, const Fixture &after, int64_t row, int64_t head) {
    const Case &test = before.test;
    const tsp_rms_norm_args args = after.args();
    std::vector<double> input;
    double squares = 0;
    for (int64_t j = 0; j < test.columns; ++j) {
        double value = at(before.x.view, row, head, j);
        if (test.with_delta) {
            value = static_cast<float>(value) + static_cast<float>(at(before.delta.view, row, head, j));
        }
        if (test.with_sum) {
            value = rounded(test.dtype, static_cast<float>(value));
            level.close(at(args.sum, row, head, j), value, 0, test.name() + ": sum");
        }
        input.push_back(value);
        squares += value * value;
    }
    if (!test.with_weight) {
        return;
    }
    const double factor = 1 / std::sqrt(squares / static_cast<double>(test.columns) + double{args.epsilon});
    for (int64_t j = 0; j < test.columns; ++j) {
        const double weight = get(before.weight.view, j);
        const double wanted = input[static_cast<size_t>(j)] * factor * weight;
        /* The mean errs by at most n roundings, its root by half of that; then the factor, two products, two casts. */
        const double relative = FP32_ROUNDING * (static_cast<double>(test.columns) / 2 + 6)
            + (test.dtype == TSP_BF16 ? 2.02 * BF16_ROUNDING : 0);
        level.close(at(args.out, row, head, j), wanted, relative * std::fabs(wanted), test.name() + ": out");
    }
}

void test_case(const Level &level, const Case &test) {
    const Fixture before(test);
    const Fixture after(test);
    level.run_ok(level.kernels.rms_norm_forward, after.args(), 1);
    for (int64_t row = 0; row < test.rows; ++row) {
        for (int64_t head = 0; head < std::max(test.heads, int64_t{1}); ++head) {
            check_row(level, before, after, row, head);
        }
    }
    for (const TestTensor *tensor : {&after.x, &after.sum, &after.out}) {
        level.guards_intact(*tensor, test.name());
    }
    const Fixture again(test);
    level.run_ok(level.kernels.rms_norm_forward, again.args(), 3);
    level.expect(
        contents(again.x) == contents(after.x) && contents(again.sum) == contents(after.sum)
            && contents(again.out) == contents(after.out),
        test.name() + ": other bits with other threads");
}

/* The order of roundings that Hugging Face has: to the dtype, then times weight. The other order would differ in some of
 * these weights, the normalised value being far from a tie. */
void test_rounding_order(const Level &level) {
    const TestTensor x({1, 2}, TSP_BF16, 0);
    const TestTensor weight({2}, TSP_BF16, 0);
    const TestTensor out({1, 2}, TSP_BF16, 0);
    put(x.view, 1, 0, 0);
    put(x.view, 2, 0, 1);
    tsp_rms_norm_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.weight = weight.view;
    args.out = out.view;
    int64_t telling = 0;
    for (double w = 1; w < 2; w += 0x1p-7) {
        put(weight.view, w, 0);
        put(weight.view, w, 1);
        level.run_ok(level.kernels.rms_norm_forward, args, 1);
        for (int64_t j = 0; j < 2; ++j) {
            const auto normalised = static_cast<float>(get(x.view, 0, j) / std::sqrt(2.5));
            const auto factor = static_cast<float>(w);
            const float wanted = rounded(TSP_BF16, rounded(TSP_BF16, normalised) * factor);
            telling += wanted != rounded(TSP_BF16, normalised * factor);
            level.close(get(out.view, 0, j), wanted, 0, "order of rounding");
        }
    }
    level.expect(telling > 0, "no weight tells the orders apart");
    put(x.view, NAN, 0, 0);
    level.run_ok(level.kernels.rms_norm_forward, args, 1);
    level.expect(std::isnan(get(out.view, 0, 1)), "a row with NaN became numbers");
}

void test_refusals(const Level &level) {
    const Fixture fixture({TSP_BF16, 3, 0, 16, 0, true, TSP_F32, true});
    tsp_rms_norm_args args = fixture.args();
    args.x.rank = 4;
    level.run_refused(level.kernels.rms_norm_forward, args, {"x: rank is 4"});
    args = fixture.args();
    args.weight.shape[0] = 15;
    level.run_refused(level.kernels.rms_norm_forward, args, {"weight: shape[0] is 15", "16"});
    args = fixture.args();
    args.delta.dtype = TSP_I32;
    level.run_refused(level.kernels.rms_norm_forward, args, {"delta: dtype i32"});
    args = fixture.args();
    args.out.data = nullptr;
    level.run_refused(level.kernels.rms_norm_forward, args, {"out: data is NULL"});
    args = fixture.args();
    args.epsilon = NAN;
    level.run_refused(level.kernels.rms_norm_forward, args, {"epsilon is nan"});
    args = fixture.args();
    args.struct_size = 2;
    level.run_refused(level.kernels.rms_norm_forward, args, {"struct_size is 2"});
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        for (const int64_t columns : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 97, 1000}) {
            for (const bool with_sum : {false, true}) {
                test_case(level, {dtype, 5, 0, columns, columns % 3, false, TSP_F32, with_sum});
                test_case(level, {dtype, 3, 0, columns, columns % 2, true, TSP_F32, with_sum});
                test_case(level, {dtype, 3, 0, columns, columns % 2, true, dtype, with_sum, true, true});
            }
            test_case(level, {dtype, 4, 3, columns, columns % 3});
            test_case(level, {dtype, 4, 3, columns, columns % 3, false, TSP_F32, false, true, true});
            test_case(level, {dtype, 3, 0, columns, 1, true, TSP_F32, true, false, true});
        }
        test_case(level, {dtype, 257, 0, 513, 0, true, TSP_F32, true});
        test_case(level, {dtype, 0, 0, 16});
        test_case(level, {dtype, 3, 0, 0});
    }
    test_rounding_order(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("rms_norm_test", test_level);
}
