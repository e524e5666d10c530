/* RMSNorm backward at every level against plain float64. A failure here means wrong gradients in every layer. */
#include "op_test.h"
#include "plain_loop.h"

using namespace tsp::test;

namespace {

constexpr float EPSILON = 1e-3f;

struct Case {
    tsp_dtype dtype; /* of x and weight */
    tsp_dtype dout;
    tsp_dtype dx;
    int64_t rows;
    int64_t heads; /* 0: x has rank 2 */
    int64_t columns;
    int64_t padding = 0;
    bool in_place = false;
    bool with_rounded = false;
    uint32_t flags = 0;

    std::string name() const {
        const auto letter = [](tsp_dtype type) { return type == TSP_BF16 ? "b" : "f"; };
        return std::string(letter(dtype)) + letter(dout) + letter(dx) + " [" + std::to_string(rows) + ", "
            + std::to_string(heads) + ", " + std::to_string(columns) + "]" + (padding > 0 ? " padded" : "")
            + (in_place ? " in place" : "") + (with_rounded ? " rounded" : "") + " flags " + std::to_string(flags);
    }

    int64_t norms() const {
        return rows * std::max(heads, int64_t{1});
    }

    /* Without rows when it is not needed. */
    TestTensor make(tsp_dtype tensor_dtype, bool needed = true) const {
        const int64_t count = needed ? rows : 0;
        return heads == 0 ? TestTensor({count, columns}, tensor_dtype, padding)
                          : TestTensor({count, heads, columns}, tensor_dtype, padding);
    }
};

/* Element `column` of norm number `norm`. */
double at(const tsp_tensor &tensor, int64_t norm, int64_t column) {
    return tensor.rank == 2 ? get(tensor, norm, column)
                            : get(tensor, norm / tensor.shape[1], norm % tensor.shape[1], column);
}

/* The first rows are random and then they repeat, for tensors that are large. */
void fill_repeating(const tsp_tensor &tensor, uint32_t seed, double scale) {
    tsp_tensor first = tensor;
    first.shape[0] = std::min(first.shape[0], int64_t{97});
    fill_normal(first, seed, scale);
    for (int64_t i = first.shape[0]; i < tensor.shape[0]; ++i) {
        const int64_t bytes = bytes_of(tensor.dtype);
        const int64_t count =
            tensor.rank == 2 ? tensor.shape[1] : (tensor.shape[1] - 1) * tensor.strides[1] + tensor.shape[2];
        auto *data = static_cast<char *>(tensor.data);
        std::memcpy(
            data + i * tensor.strides[0] * bytes,
            data + i % first.shape[0] * tensor.strides[0] * bytes,
            static_cast<size_t>(count * bytes));
    }
}

class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          x(test.make(test.dtype)),
          dout(test.make(test.dout)),
          dx(test.make(test.dx, !test.in_place)),
          rounded(test.make(test.dtype, test.with_rounded)),
          weight({test.columns}, test.dtype, test.padding),
          dweight({test.columns}, TSP_F32, test.padding) {
        fill_repeating(x.view, 1, 3);
        fill_repeating(dout.view, 2, 1);
        fill_normal(weight.view, 3);
        if ((test.flags & TSP_ACCUMULATE) != 0 && !test.in_place) {
            fill_repeating(dx.view, 4, 1);
        }
        if ((test.flags & TSP_ACCUMULATE_WEIGHT) != 0) {
            fill_normal(dweight.view, 5);
        }
        /* Rows in which epsilon is more than the mean, and in which it is all there is. */
        for (int64_t norm = 1; norm < test.norms() && norm <= 2; ++norm) {
            for (int64_t j = 0; j < test.columns; ++j) {
                const double value = norm == 1 ? at(x.view, norm, j) * 0x1p-8 : 0;
                test.heads == 0 ? put(x.view, value, norm, j)
                                : put(x.view, value, norm / test.heads, norm % test.heads, j);
            }
        }
    }

    tsp_rms_norm_backward_args args() const {
        tsp_rms_norm_backward_args args{};
        args.struct_size = sizeof args;
        args.flags = test.flags;
        args.x = x.view;
        args.weight = weight.view;
        args.dout = dout.view;
        args.dx = test.in_place ? dout.view : dx.view;
        if (test.with_rounded) {
            args.rounded = rounded.view;
        }
        args.dweight = dweight.view;
        args.epsilon = EPSILON;
        return args;
    }

    Case test;
    TestTensor x;
    TestTensor dout;
    TestTensor dx;
    TestTensor rounded;
    TestTensor weight;
    TestTensor dweight;
};

/* The gradients of one norm in plain loops, with all arithmetic in Real; dweight is added to. */
template <class Real>
std::vector<Real> differentiate(const Fixture &before, int64_t norm, std::vector<Real> &dweight) {
    const auto n = static_cast<size_t>(before.test.columns);
    std::vector<Real> x(n);
    std::vector<Real> g(n);
    Real squares = 0;
    for (size_t j = 0; j < n; ++j) {
        x[j] = static_cast<Real>(at(before.x.view, norm, static_cast<int64_t>(j)));
        squares += x[j] * x[j];
    }
    const Real r = 1 / std::sqrt(squares / static_cast<Real>(n) + static_cast<Real>(EPSILON));
    Real products = 0;
    for (size_t j = 0; j < n; ++j) {
        const auto dout = static_cast<Real>(at(before.dout.view, norm, static_cast<int64_t>(j)));
        const Real z = x[j] * r;
        dweight[j] += dout * z;
        g[j] = dout * static_cast<Real>(get(before.weight.view, static_cast<int64_t>(j)));
        products += g[j] * z;
    }
    std::vector<Real> dx(n);
    for (size_t j = 0; j < n; ++j) {
        dx[j] = r * (g[j] - x[j] * r * (products / static_cast<Real>(n)));
        if ((before.test.flags & TSP_ACCUMULATE) != 0) {
            const tsp_tensor &held = before.test.in_place ? before.dout.view : before.dx.view;
            dx[j] += static_cast<Real>(at(held, norm, static_cast<int64_t>(j)));
        }
    }
    return dx;
}

/* How much enters each element of dx: the sum of the absolute values of its terms. */
std::vector<double> magnitudes_of(const Fixture &before, int64_t norm, std::vector<double> &dweight) {
    const int64_t n = before.test.columns;
    double squares = 0;
    for (int64_t j = 0; j < n; ++j) {
        squares += at(before.x.view, norm, j) * at(before.x.view, norm, j);
    }
    const double r = 1 / std::sqrt(squares / static_cast<double>(n) + double{EPSILON});
    double products = 0;
    for (int64_t j = 0; j < n; ++j) {
        const double product = std::fabs(at(before.dout.view, norm, j) * at(before.x.view, norm, j) * r);
        dweight[static_cast<size_t>(j)] += product;
        products += product * std::fabs(get(before.weight.view, j));
    }
    std::vector<double> dx(static_cast<size_t>(n));
    for (int64_t j = 0; j < n; ++j) {
        const double g = std::fabs(at(before.dout.view, norm, j) * get(before.weight.view, j));
        double &sum = dx[static_cast<size_t>(j)];
        sum = r * (g + std::fabs(at(before.x.view, norm, j)) * r * products / static_cast<double>(n));
        if ((before.test.flags & TSP_ACCUMULATE) != 0) {
            sum += std::fabs(at(before.test.in_place ? before.dout.view : before.dx.view, norm, j));
        }
    }
    return dx;
}

/* One norm in every `step` is looked at in dx, all of them enter dweight. */
void check(const Level &level, const Fixture &before, const Fixture &after, int64_t step) {
    const Case &test = before.test;
    const auto args = after.args();
    const auto n = static_cast<size_t>(test.columns);
    std::vector<double> held(n);
    for (size_t j = 0; j < n && (test.flags & TSP_ACCUMULATE_WEIGHT) != 0; ++j) {
        held[j] = get(before.dweight.view, static_cast<int64_t>(j));
    }
    std::vector<double> exact(n);
    std::vector<float> plain(n);
    std::vector<double> magnitude(n);
    /* A dozen roundings lie between the sums and an element of dx, and a few on the way to one of dweight. */
    PlainLoop dx_error(12 * FP32_ROUNDING);
    PlainLoop dweight_error(8 * FP32_ROUNDING);
    for (int64_t norm = 0; norm < test.norms(); ++norm) {
        const auto wanted = differentiate(before, norm, exact);
        const auto in_fp32 = differentiate(before, norm, plain);
        const auto magnitudes = magnitudes_of(before, norm, magnitude);
        for (size_t j = 0; j < n; ++j) {
            dx_error.observe(in_fp32[j], wanted[j], magnitudes[j]);
        }
        if (norm % step != 0 && norm + 1 != test.norms()) {
            continue;
        }
        for (size_t j = 0; j < n; ++j) {
            const auto column = static_cast<int64_t>(j);
            const double got = at(args.dx, norm, column);
            const double cast = test.dx == TSP_BF16 ? 1.01 * BF16_ROUNDING * std::fabs(wanted[j]) : 0;
            level.close(got, wanted[j], dx_error.allowed(magnitudes[j]) + cast, test.name() + ": dx");
            if (test.with_rounded) {
                const float once = rounded(test.dtype, static_cast<float>(got));
                level.close(at(args.rounded, norm, column), once, 0, test.name() + ": rounded");
            }
        }
    }
    for (size_t j = 0; j < n; ++j) {
        dweight_error.observe(plain[j], exact[j], magnitude[j]);
    }
    for (size_t j = 0; j < n; ++j) {
        const double wanted = held[j] + exact[j];
        const double bound = dweight_error.allowed(magnitude[j] + std::fabs(held[j]));
        level.close(get(args.dweight, static_cast<int64_t>(j)), wanted, bound, test.name() + ": dweight");
    }
}

/* step: see check; large cases are run with fewer numbers of threads. */
void test_case(const Level &level, const Case &test, int64_t step = 1) {
    if (is_left_out()) {
        return;
    }
    const Fixture before(test);
    const Fixture after(test);
    level.run_ok(level.kernels.rms_norm_backward, after.args(), 1);
    check(level, before, after, step);
    for (const TestTensor *tensor : {&after.dx, &after.rounded, &after.dweight, &after.dout}) {
        level.guards_intact(*tensor, test.name());
    }
    for (const int32_t threads : {2, 3}) {
        if (step > 1 && threads == 2) {
            continue;
        }
        const Fixture again(test);
        level.run_ok(level.kernels.rms_norm_backward, again.args(), threads);
        level.expect(
            contents(again.dx) == contents(after.dx) && contents(again.rounded) == contents(after.rounded)
                && contents(again.dweight) == contents(after.dweight) && contents(again.dout) == contents(after.dout),
            test.name() + ": other bits with other threads");
    }
}

/* NaN stays in its row of dx and spoils dweight. */
void test_nan(const Level &level) {
    const Fixture fixture({TSP_BF16, TSP_F32, TSP_F32, 40, 0, 100});
    put(fixture.x.view, NAN, 17, 50);
    level.run_ok(level.kernels.rms_norm_backward, fixture.args(), 2);
    for (int64_t norm = 0; norm < 40; ++norm) {
        for (int64_t j = 0; j < 100; ++j) {
            level.expect(std::isnan(get(fixture.dx.view, norm, j)) == (norm == 17), "NaN in dx");
        }
    }
    level.expect(std::isnan(get(fixture.dweight.view, 3)), "NaN vanished from dweight");
}

void test_refusals(const Level &level) {
    const Fixture fixture({TSP_BF16, TSP_F32, TSP_F32, 3, 0, 16, 0, false, true});
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        tsp_rms_norm_backward_args args = fixture.args();
        change(args);
        level.run_refused(level.kernels.rms_norm_backward, args, words);
        tsp_launch launch{};
        launch.struct_size = sizeof launch;
        launch.threads = 1;
        (void)level.kernels.rms_norm_backward.workspace_bytes(&args, &launch);
    };
    using Args = tsp_rms_norm_backward_args;
    refused([](Args &args) { args.x.rank = 4; }, {"x: rank is 4"});
    refused([](Args &args) { args.x.data = nullptr; }, {"x: data is NULL"});
    refused([](Args &args) { args.weight.shape[0] = 15; }, {"weight: shape[0] is 15", "16"});
    refused([](Args &args) { args.weight.dtype = TSP_F32; }, {"weight: dtype f32"});
    refused([](Args &args) { args.dout.shape[0] = 2; }, {"dout: shape[0] is 2", "3"});
    refused([](Args &args) { args.dx.dtype = TSP_I32; }, {"dx: dtype i32"});
    refused([](Args &args) { args.dx.data = nullptr; }, {"dx: data is NULL"});
    refused([](Args &args) { args.rounded.dtype = TSP_F32; }, {"rounded: dtype f32"});
    refused([](Args &args) { args.dweight.shape[0] = 17; }, {"dweight: shape[0] is 17"});
    refused([](Args &args) { args.dweight.dtype = TSP_BF16; }, {"dweight: dtype bf16"});
    refused([](Args &args) { args.dweight.data = nullptr; }, {"dweight: data is NULL"});
    refused([](Args &args) { args.epsilon = -1; }, {"epsilon is -1"});
    refused([](Args &args) { args.flags = 4; }, {"flags is 4"});
    refused([](Args &args) { args.struct_size = 2; }, {"struct_size is 2"});
    refused(
        [](Args &args) {
            args.dx = args.x;
            args.flags = TSP_ACCUMULATE;
        },
        {"dx: dtype bf16", "TSP_ACCUMULATE"});
    refused(
        [](Args &args) {
            args.dx.data = args.dout.data;
            args.dx.dtype = TSP_BF16;
        },
        {"dx", "in place of dout", "dtype"});
    refused(
        [](Args &args) {
            args.dx.data = args.dout.data;
            args.dx.strides[0] = 20;
        },
        {"dx", "in place of dout", "strides[0] is 20"});
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = 1;
    const auto args = fixture.args();
    tsp_error error{};
    error.struct_size = sizeof error;
    level.expect(
        level.kernels.rms_norm_backward.run(&args, &launch, &error) == TSP_INVALID_ARGUMENT
            && std::string(error.message).find("workspace_bytes is 0") != std::string::npos,
        "no workspace was accepted");
}

struct Dtypes {
    tsp_dtype x;
    tsp_dtype dout;
    tsp_dtype dx;
};

constexpr Dtypes DTYPES[] = {
    {TSP_F32, TSP_F32, TSP_F32},
    {TSP_BF16, TSP_F32, TSP_F32},
    {TSP_BF16, TSP_F32, TSP_BF16},
    {TSP_BF16, TSP_BF16, TSP_F32},
    {TSP_BF16, TSP_BF16, TSP_BF16}};

void test_level(const Level &level) {
    for (const auto [x, dout, dx] : DTYPES) {
        for (const int64_t columns : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 97}) {
            test_case(level, {x, dout, dx, 5, 0, columns, columns % 3});
            test_case(level, {x, dout, dx, 4, 3, columns, columns % 2, false, true, TSP_ACCUMULATE_WEIGHT});
            if (dx == TSP_F32) {
                test_case(level, {x, dout, dx, 3, 0, columns, columns % 2, false, true, TSP_ACCUMULATE});
            }
            if (dout == dx) {
                test_case(level, {x, dout, dx, 4, 3, columns, columns % 3, true});
                test_case(level, {x, dout, dx, 1, 0, columns, 0, true, true, dx == TSP_F32 ? TSP_ACCUMULATE : 0});
            }
        }
        /* More rows than parts, and parts that differ in length. */
        test_case(level, {x, dout, dx, 1009, 0, 513, 0, false, true, TSP_ACCUMULATE_WEIGHT});
        test_case(level, {x, dout, dx, 401, 5, 128, 1});
        test_case(level, {x, dout, dx, 401, 5, 128, 0, false, true});
        test_case(level, {x, dout, dx, 397, 0, 520, 0, dout == dx, true});
        test_case(level, {x, dout, dx, 5, 0, 4104, 0, false, false, TSP_ACCUMULATE_WEIGHT});
        test_case(level, {x, dout, dx, 3, 0, 8200});
        test_case(level, {x, dout, dx, 0, 0, 16, 0, false, true});
        test_case(level, {x, dout, dx, 0, 2, 16, 0, false, false, TSP_ACCUMULATE_WEIGHT});
        test_case(level, {x, dout, dx, 3, 0, 0});
    }
    /* Large enough to be written past the caches. */
    test_case(level, {TSP_BF16, TSP_F32, TSP_F32, 2081 / LARGE_SHARE, 0, 4096, 0, false, true}, 100);
    test_case(level, {TSP_BF16, TSP_BF16, TSP_BF16, 4100 / LARGE_SHARE, 0, 4128}, 100);
    test_nan(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("rms_norm_backward_test", test_level);
}
