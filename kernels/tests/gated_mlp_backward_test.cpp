/* Gated MLP backward at every level against float64. A failure here means wrong gradients in every scheme. */
#include "mlp_backward_cases.h"
#include "plain_loop.h"

using namespace tsp::test;

namespace {

using Case = BackwardCase;
using Outputs = BackwardOutputs;
using Fixture = BackwardFixture;

/* Where a tensor has few elements the plain loop may be lucky: the roundings of a sum walk at random, so its error is of
 * the size of the root of its number of terms. */
PlainLoop plain_sums(int64_t terms) {
    return PlainLoop(FP32_ROUNDING * (1 + std::sqrt(static_cast<double>(terms)) / 2));
}

/* What the right answer of a case is; computed once for all levels. */
struct Wanted {
    explicit Wanted(const Fixture &fixture)
        : in(fixture.inputs()),
          dtype(fixture.test.dtype),
          hidden(plain_sums(fixture.test.columns)),
          dgate(plain_sums(fixture.test.columns)),
          dup(plain_sums(fixture.test.columns)) {
        const int64_t step = fixture.test.rows > 20 ? fixture.test.rows / 4 - 1 : 1;
        for (int64_t row = 0; row < fixture.test.rows; row += step) {
            rows.push_back(row);
        }
        if (!rows.empty() && rows.back() != fixture.test.rows - 1) {
            rows.push_back(fixture.test.rows - 1);
        }
        for (const int64_t row : rows) {
            for (int64_t feature = 0; feature < fixture.test.features; ++feature) {
                const FeatureGradients exact = feature_gradients<double>(in, row, feature);
                const FeatureGradients plain = feature_gradients<float>(in, row, feature);
                observe(hidden, plain.hidden, exact.hidden);
                observe(dgate, plain.dgate, exact.dgate);
                observe(dup, plain.dup, exact.dup);
                features.push_back(exact);
            }
        }
    }

    static void observe(PlainLoop &loop, const Scaled &plain, const Scaled &exact) {
        loop.observe(static_cast<float>(plain.value), exact.value, exact.scale);
    }

    /* The tolerance of what is rounded to the dtype at the end. The exponential is as exact as simd.h says. */
    double bound(const PlainLoop &loop, const Scaled &exact) const {
        const double exponential = dtype == TSP_BF16 ? 5e-6 : 2.4e-7;
        const double error = loop.allowed(exact.scale) + exponential * exact.scale;
        return error + 1.01 * rounding_of(dtype) * (std::fabs(exact.value) + error) + 1e-37;
    }

    MlpInputs in;
    tsp_dtype dtype;
    std::vector<int64_t> rows;
    std::vector<FeatureGradients> features; /* [rows, f] */
    PlainLoop hidden;
    PlainLoop dgate;
    PlainLoop dup;
};

std::string at(const Case &test, const char *tensor, int64_t row, int64_t column) {
    return test.name() + ": " + tensor + "[" + std::to_string(row) + ", " + std::to_string(column) + "]";
}

void check_features(const Level &level, const Case &test, const Wanted &wanted, const Outputs &got) {
    size_t next = 0;
    for (const int64_t row : wanted.rows) {
        for (int64_t feature = 0; feature < test.features; ++feature, ++next) {
            const FeatureGradients &exact = wanted.features[next];
            const auto compare = [&](const char *name, const TestTensor &tensor, const Scaled &one, double bound) {
                level.close(get(tensor.view, row, feature), one.value, bound, at(test, name, row, feature));
            };
            compare("hidden", got.hidden, exact.hidden, wanted.bound(wanted.hidden, exact.hidden));
            compare("dgate", got.dgate, exact.dgate, wanted.bound(wanted.dgate, exact.dgate));
            compare("dup", got.dup, exact.dup, wanted.bound(wanted.dup, exact.dup));
        }
        for (int64_t feature = test.features; feature < test.padded() && !test.saved; ++feature) {
            level.close(get(got.hidden.view, row, feature), 0, 0, at(test, "padded hidden", row, feature));
            level.close(get(got.dgate.view, row, feature), 0, 0, at(test, "padded dgate", row, feature));
            level.close(get(got.dup.view, row, feature), 0, 0, at(test, "padded dup", row, feature));
        }
    }
}

void check_dx(const Level &level, const Case &test, const Wanted &wanted, const Outputs &before, const Outputs &got) {
    const Matrix dgate(got.dgate.view);
    const Matrix dup(got.dup.view);
    PlainLoop loop = plain_sums(2 * test.features);
    std::vector<Scaled> sums;
    for (const int64_t row : wanted.rows) {
        for (int64_t column = 0; column < test.columns; ++column) {
            sums.push_back(input_gradient<double>(wanted.in, dgate, dup, row, column));
            Wanted::observe(loop, input_gradient<float>(wanted.in, dgate, dup, row, column), sums.back());
        }
    }
    size_t next = 0;
    for (const int64_t row : wanted.rows) {
        for (int64_t column = 0; column < test.columns; ++column, ++next) {
            const double old = test.accumulate ? get(before.dx.view, row, column) : 0;
            const double value = old + sums[next].value;
            const double bound = loop.allowed(sums[next].scale) + FP32_ROUNDING * std::fabs(value);
            level.close(get(got.dx.view, row, column), value, bound, at(test, "dx", row, column));
        }
    }
}

void test_case(Report &report, const Case &test) {
    const Fixture fixture(test);
    const Wanted wanted(fixture);
    const Outputs before(test);
    for_each_level(report, [&](const tsp_kernels &kernels) {
        const Level level{kernels, report};
        const Outputs got(test);
        level.run_ok(kernels.gated_mlp_backward, fixture.args(got), 1);
        check_features(level, test, wanted, got);
        check_dx(level, test, wanted, before, got);
        for (const TestTensor *tensor : {&got.hidden, &got.dgate, &got.dup, &got.dx}) {
            level.guards_intact(*tensor, test.name());
        }
        for (const int32_t threads : {2, 3, 5}) {
            const Outputs again(test);
            level.run_ok(kernels.gated_mlp_backward, fixture.args(again), threads);
            level.expect(again.same(got), test.name() + ": other bits with other threads");
        }
    });
}

/* sum(dy * y) of the forward pass in float64. */
double loss(const MlpInputs &in) {
    double sum = 0;
    for (int64_t row = 0; row < in.x.rows; ++row) {
        for (int64_t feature = 0; feature < in.gate.rows; ++feature) {
            double gate = 0;
            double up = 0;
            double dhidden = 0;
            for (int64_t k = 0; k < in.x.columns; ++k) {
                gate += in.x(row, k) * in.gate(feature, k);
                up += in.x(row, k) * in.up(feature, k);
                dhidden += in.dy(row, k) * in.down(k, feature);
            }
            sum += dhidden * up * gate / (1 + std::exp(-gate));
        }
    }
    return sum;
}

/* The derivative of the loss by one element of a matrix of in. */
double difference(MlpInputs &in, Matrix &matrix, int64_t i, int64_t j) {
    constexpr double STEP = 1e-4;
    const double value = matrix(i, j);
    matrix(i, j) = value + STEP;
    const double above = loss(in);
    matrix(i, j) = value - STEP;
    const double below = loss(in);
    matrix(i, j) = value;
    return (above - below) / (2 * STEP);
}

/* (a^T b)[i, j], as the gradients of the weights are to be made of what the kernel leaves. */
double product(const Matrix &a, int64_t i, const Matrix &b, int64_t j) {
    double sum = 0;
    for (int64_t row = 0; row < a.rows; ++row) {
        sum += a(row, i) * b(row, j);
    }
    return sum;
}

void test_differences(const Level &level) {
    const Case test{TSP_F32, 3, 5, 35};
    const Fixture fixture(test);
    MlpInputs in = fixture.inputs();
    const Outputs got(test);
    level.run_ok(level.kernels.gated_mlp_backward, fixture.args(got), 2);
    const auto agree = [&](double value, double wanted, const char *what) {
        level.close(value, wanted, 1e-6 * (10 + std::fabs(wanted)), std::string(what) + " by differences");
    };
    const Matrix dx(got.dx.view);
    const Matrix hidden(got.hidden.view);
    const Matrix dgate(got.dgate.view);
    const Matrix dup(got.dup.view);
    for (int64_t k = 0; k < test.columns; ++k) {
        for (int64_t row = 0; row < test.rows; ++row) {
            agree(dx(row, k), difference(in, in.x, row, k), "dx");
        }
        for (int64_t feature = 0; feature < test.features; ++feature) {
            agree(product(dgate, feature, in.x, k), difference(in, in.gate, feature, k), "dWg");
            agree(product(dup, feature, in.x, k), difference(in, in.up, feature, k), "dWu");
            agree(product(in.dy, k, hidden, feature), difference(in, in.down, k, feature), "dWd");
        }
    }
}

void test_shapes(Report &report, tsp_dtype dtype) {
    /* One row tile less, exactly, and more; one panel of dx less, exactly, and more; odd and prime. */
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
        for (const int64_t columns : {1, 2, 31, 63, 64, 65, 101}) {
            test_case(report, {dtype, rows, columns, 64, columns % 3, rows % 2 == 0, rows % 3 == 0});
        }
    }
    /* One and two panels of gate and up for each panel of the transpose of down, with and without padding. */
    for (const int64_t features : {0, 1, 31, 32, 33, 63, 65, 96, 127, 160}) {
        test_case(report, {dtype, 11, 48, features, features % 2, features == 96, features % 3 == 0});
    }
    test_case(report, {dtype, 0, 64, 64});
    test_case(report, {dtype, 3, 0, 64});
    test_case(report, {dtype, 3, 6, 0, 1, true});
    /* More than a slice of depth in each product, more than a block of rows, several parts of a panel. */
    test_case(report, {dtype, 7, 1030, 1056, 1, true});
    test_case(report, {dtype, 2, 2100, 64});
    test_case(report, {dtype, 389, 66, 32});
    test_case(report, {dtype, 770, 6, 64, 1, true, true});
    /* Rows of whole vectors, several tiles of GPUs in each dimension, depths that no step divides. */
    test_case(report, {dtype, 137, 200, 160, 0, true, true});
    test_case(report, {dtype, 137, 200, 160});
    test_case(report, {dtype, 300, 520, 288, 0, false, true});
}

} // namespace

int main() {
    Report report;
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        test_shapes(report, dtype);
    }
    for_each_level(report, [&](const tsp_kernels &kernels) { test_differences({kernels, report}); });
    return report.exit_status("gated_mlp_backward_test");
}
