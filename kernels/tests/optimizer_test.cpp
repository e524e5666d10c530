/* square_sum, clip and adamw at every level. A failure here means that a step of training goes astray. */
#include "op_test.h"
#include "plain_loop.h"

using namespace tsp::test;

namespace {

tsp_tensor doubles(double *data, int64_t count) {
    return {.data = data, .shape = {count}, .strides = {1}, .rank = 1, .dtype = TSP_F64};
}

tsp_square_sum_args square_sum_of(const TestTensor &x, double *out, uint32_t flags) {
    tsp_square_sum_args args{};
    args.struct_size = sizeof args;
    args.flags = flags;
    args.x = x.view;
    args.out = doubles(out, 1);
    return args;
}

/* Squares of integers, whose sum is exact in any order in fp64 and far from it in fp32. */
void test_square_sum(const Level &level, int64_t count, int64_t padding) {
    const std::string name = "square_sum of " + std::to_string(count);
    const TestTensor x({1, count}, TSP_F32, padding);
    TestTensor vector({0}, TSP_F32, 0);
    vector.view = x.view;
    vector.view.rank = 1;
    vector.view.shape[0] = count;
    vector.view.strides[0] = 1;
    double wanted = 0;
    for (int64_t i = 0; i < count; ++i) {
        const auto value = static_cast<double>(i * 7919 % 20011 - 10000);
        put(vector.view, value, i);
        wanted += value * value;
    }
    for (const int32_t threads : {1, 2, 3}) {
        double out[3] = {-1, NAN, -1};
        level.run_ok(level.kernels.square_sum, square_sum_of(vector, out + 1, 0), threads);
        level.close(out[1], wanted, 0, name);
        level.run_ok(level.kernels.square_sum, square_sum_of(vector, out + 1, TSP_ACCUMULATE), threads);
        level.close(out[1], 2 * wanted, 0, name + " accumulated");
        level.expect(out[0] == -1 && out[2] == -1, name + ": a guard word was overwritten");
    }
    fill_normal(vector.view, 1);
    double first = 0;
    double exact = 0;
    for (int64_t i = 0; i < count; ++i) {
        exact += get(vector.view, i) * get(vector.view, i);
    }
    level.run_ok(level.kernels.square_sum, square_sum_of(vector, &first, 0), 1);
    level.close(first, exact, std::ldexp(static_cast<double>(count), -52) * exact, name + " of any numbers");
    for (const int32_t threads : {2, 3}) {
        double again = 0;
        level.run_ok(level.kernels.square_sum, square_sum_of(vector, &again, 0), threads);
        level.close(again, first, 0, name + ": other bits with other threads");
    }
    for (const float odd : {INFINITY, -INFINITY, NAN}) {
        if (count > 0) {
            put(vector.view, odd, count - 1);
            level.run_ok(level.kernels.square_sum, square_sum_of(vector, &first, 0), 1);
            level.close(first, std::isnan(odd) ? NAN : INFINITY, 0, name + " with Inf or NaN");
        }
    }
}

struct Clip {
    float factor;
    float found;
    float norm;
};

Clip clip_of(const Level &level, std::vector<double> squares, float max_norm) {
    const TestTensor hyper({TSP_HYPER_COUNT}, TSP_F32, 0);
    put(hyper.view, max_norm, TSP_HYPER_MAX_NORM);
    float out[5] = {-1, NAN, NAN, NAN, -1};
    tsp_clip_args args{};
    args.struct_size = sizeof args;
    args.squares = doubles(squares.data(), static_cast<int64_t>(squares.size()));
    args.hyper = hyper.view;
    args.clip = {.data = out + 1, .shape = {3}, .strides = {1}, .rank = 1, .dtype = TSP_F32};
    level.run_ok(level.kernels.clip, args, 2);
    level.expect(out[0] == -1 && out[4] == -1, "clip: a guard word was overwritten");
    args.clip.shape[0] = 2;
    level.run_refused(level.kernels.clip, args, {"clip: shape[0] is 2", "3"});
    args.clip.shape[0] = 3;
    args.hyper.shape[0] = 7;
    level.run_refused(level.kernels.clip, args, {"hyper: shape[0] is 7", "8"});
    args.hyper = hyper.view;
    args.squares.dtype = TSP_F32;
    level.run_refused(level.kernels.clip, args, {"squares: dtype f32"});
    args.squares = doubles(nullptr, 1);
    level.run_refused(level.kernels.clip, args, {"squares: data is NULL"});
    return {out[1], out[2], out[3]};
}

void test_clip(const Level &level) {
    const auto expect = [&](const std::vector<double> &squares, float max_norm, double factor, double norm) {
        const Clip clip = clip_of(level, squares, max_norm);
        level.close(clip.factor, factor, FP32_ROUNDING * factor, "clip: factor");
        level.close(clip.norm, norm, FP32_ROUNDING * norm, "clip: norm");
        level.close(clip.found, 0, 0, "clip: found");
    };
    expect({9, 16}, 1, 1 / (5 + 1e-6), 5);
    expect({4, 4, 4, 4, 9}, 2.5f, 2.5 / (5 + 1e-6), 5);
    expect({9, 16}, 5.001f, 1, 5);
    expect({9, 16}, 0, 1, 5);
    expect({}, 1, 1, 0);
    expect({0}, 0, 1, 0);
    expect({1e-14}, 1e-6f, static_cast<double>(1e-6f) / (1e-7 + 1e-6), 1e-7);
    expect({1e60}, 1, 1e-30, 1e30);
    /* 2^53 + 1 is no double: only the order from the front loses both ones. */
    expect({0x1p53, 1, 1, -0x1p53}, 1, 1, 0);
    for (const std::vector<double> &squares :
         {std::vector<double>{1, INFINITY}, {NAN, 1, 1}, {INFINITY, NAN}, {1e80}}) {
        for (const float max_norm : {0.0f, 1.0f}) {
            const Clip clip = clip_of(level, squares, max_norm);
            level.close(clip.found, 1, 0, "clip: found");
            level.expect(std::isfinite(clip.factor), "clip: factor is not finite");
            level.expect(!std::isfinite(clip.norm), "clip: norm is finite");
        }
    }
}

struct Case {
    int64_t count;
    tsp_dtype first = TSP_F32;
    tsp_dtype second = TSP_F32;
    int64_t padding = 0;
    bool with_rounded = false;
    tsp_dtype rounded = TSP_BF16;
    uint32_t flags = TSP_DECAY;
    float beta1 = 0.9f;
    float clip = 0.7f;
    float found = 0;

    std::string name() const {
        return "adamw of " + std::to_string(count) + (first == TSP_BF16 ? " bf16" : " f32")
            + (second == TSP_BF16 ? " bf16" : " f32")
            + (with_rounded ? rounded == TSP_BF16 ? " rounded to bf16" : " rounded to f32" : "")
            + (padding > 0 ? " misaligned" : "") + " flags " + std::to_string(flags);
    }
};

class Adam {
public:
    explicit Adam(const Case &test)
        : test(test),
          parameter({test.count}, TSP_F32, test.padding),
          grad({test.count}, TSP_F32, test.padding),
          first({test.count}, test.first, test.padding),
          second({test.count}, test.second, test.padding),
          rounded({test.with_rounded ? test.count : 0}, test.rounded, test.padding),
          hyper({TSP_HYPER_COUNT}, TSP_F32, 0),
          clip({3}, TSP_F32, 0) {
        fill(parameter.view, 1, 0.02);
        fill(grad.view, 2, 0.3);
        fill(first.view, 3, 0.1);
        fill(second.view, 4, 0.2);
        for (int64_t i = 0; i < test.count; ++i) {
            put(second.view, std::pow(get(second.view, i), 2), i);
        }
        const float values[TSP_HYPER_COUNT] = {3e-3f, test.beta1, 0.95f, 1e-3f, 0.1f, 0.271f, 0.142625f, 0.0f};
        for (int64_t i = 0; i < TSP_HYPER_COUNT; ++i) {
            put(hyper.view, values[i], i);
        }
        put(clip.view, test.clip, 0);
        put(clip.view, test.found, 1);
    }

    tsp_adamw_args args() const {
        tsp_adamw_args args{};
        args.struct_size = sizeof args;
        args.flags = test.flags;
        args.parameter = parameter.view;
        args.grad = grad.view;
        args.first = first.view;
        args.second = second.view;
        if (test.with_rounded) {
            args.rounded = rounded.view;
        }
        args.hyper = hyper.view;
        args.clip = clip.view;
        return args;
    }

    Case test;
    TestTensor parameter;
    TestTensor grad;
    TestTensor first;
    TestTensor second;
    TestTensor rounded;
    TestTensor hyper;
    TestTensor clip;

private:
    /* Numbers that repeat, so that a large tensor is ready soon. */
    static void fill(const tsp_tensor &tensor, uint32_t seed, double scale) {
        constexpr int64_t PERIOD = 10007;
        tsp_tensor period = tensor;
        period.shape[0] = std::min(tensor.shape[0], PERIOD);
        fill_normal(period, seed, scale);
        for (int64_t i = PERIOD; i < tensor.shape[0]; ++i) {
            put(tensor, get(tensor, i % PERIOD), i);
        }
    }
};

template <class Real>
struct Element {
    Real parameter;
    Real first;
    Real second;
    Real step; /* what the parameter lost beside decay */
};

/* The formulas of the header, one after the other. */
template <class Real>
Element<Real> advance(const Adam &before, int64_t i) {
    const auto hyper = [&](int which) { return static_cast<Real>(get(before.hyper.view, which)); };
    const Real g = static_cast<Real>(get(before.grad.view, i)) * static_cast<Real>(get(before.clip.view, 0));
    Element<Real> element{};
    element.parameter = static_cast<Real>(get(before.parameter.view, i));
    if ((before.test.flags & TSP_DECAY) != 0) {
        element.parameter -= hyper(TSP_HYPER_LEARNING_RATE) * hyper(TSP_HYPER_WEIGHT_DECAY) * element.parameter;
    }
    const Real beta1 = hyper(TSP_HYPER_BETA1);
    const Real beta2 = hyper(TSP_HYPER_BETA2);
    element.first = beta1 * static_cast<Real>(get(before.first.view, i)) + (1 - beta1) * g;
    element.second = beta2 * static_cast<Real>(get(before.second.view, i)) + (1 - beta2) * g * g;
    const Real root = std::sqrt(element.second) / std::sqrt(hyper(TSP_HYPER_BIAS_CORRECTION2));
    element.step = hyper(TSP_HYPER_LEARNING_RATE) / hyper(TSP_HYPER_BIAS_CORRECTION1) * element.first
        / (root + hyper(TSP_HYPER_EPSILON));
    element.parameter -= element.step;
    return element;
}

/* How much enters the first moment and the step. */
struct Magnitude {
    double first;
    double parameter;
};

Magnitude magnitude_of(const Adam &before, int64_t i, const Element<double> &exact) {
    const double beta1 = get(before.hyper.view, TSP_HYPER_BETA1);
    const double g = std::fabs(get(before.grad.view, i)) * get(before.clip.view, 0);
    const double first = beta1 * std::fabs(get(before.first.view, i)) + (1 - beta1) * g;
    const double enlarged = exact.first == 0 ? 0 : std::fabs(exact.step) * first / std::fabs(exact.first);
    return {first + g, std::fabs(get(before.parameter.view, i)) + enlarged};
}

/* One element in every `step`. */
void check(const Level &level, const Adam &before, const Adam &after, int64_t step) {
    const Case &test = before.test;
    PlainLoop parameter_error(4 * FP32_ROUNDING);
    PlainLoop first_error(2 * FP32_ROUNDING);
    PlainLoop second_error(3 * FP32_ROUNDING);
    for (int64_t i = 0; i < test.count; i += step) {
        const auto exact = advance<double>(before, i);
        const auto plain = advance<float>(before, i);
        const Magnitude magnitude = magnitude_of(before, i, exact);
        parameter_error.observe(plain.parameter, exact.parameter, magnitude.parameter);
        first_error.observe(plain.first, exact.first, magnitude.first);
        second_error.observe(plain.second, exact.second, exact.second);
    }
    const auto cast = [](tsp_dtype dtype, double exact) {
        return dtype == TSP_BF16 ? 1.01 * BF16_ROUNDING * std::fabs(exact) : 0;
    };
    for (int64_t i = 0; i < test.count; i += step) {
        const auto exact = advance<double>(before, i);
        const Magnitude magnitude = magnitude_of(before, i, exact);
        const double parameter = get(after.parameter.view, i);
        level.close(
            parameter, exact.parameter, parameter_error.allowed(magnitude.parameter), test.name() + ": parameter");
        level.close(
            get(after.first.view, i),
            exact.first,
            first_error.allowed(magnitude.first) + cast(test.first, exact.first),
            test.name() + ": first");
        level.close(
            get(after.second.view, i),
            exact.second,
            second_error.allowed(exact.second) + cast(test.second, exact.second),
            test.name() + ": second");
        if (test.with_rounded) {
            const float once = rounded(test.rounded, static_cast<float>(parameter));
            level.close(get(after.rounded.view, i), once, 0, test.name() + ": rounded");
        }
    }
}

bool same(const Adam &a, const Adam &b) {
    return contents(a.parameter) == contents(b.parameter) && contents(a.first) == contents(b.first)
        && contents(a.second) == contents(b.second) && contents(a.rounded) == contents(b.rounded);
}

void test_adamw(const Level &level, const Case &test, int64_t step = 1) {
    if (is_left_out()) {
        return;
    }
    const Adam before(test);
    const Adam after(test);
    level.run_ok(level.kernels.adamw, after.args(), step == 1 ? 1 : 2);
    if (test.found != 0) {
        level.expect(same(before, after), test.name() + ": did something in spite of Inf");
        return;
    }
    check(level, before, after, step);
    level.expect(contents(before.grad) == contents(after.grad), test.name() + ": grad was written");
    for (const int32_t threads : {2, 3}) {
        const Adam again(test);
        if (step == 1 || threads == 3) {
            level.run_ok(level.kernels.adamw, again.args(), threads);
            level.expect(same(again, after), test.name() + ": other bits with other threads");
        }
    }
}

void test_refusals(const Level &level) {
    const Adam fixture({16, TSP_F32, TSP_F32, 0, true});
    using Args = tsp_adamw_args;
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        Args args = fixture.args();
        change(args);
        level.run_refused(level.kernels.adamw, args, words);
    };
    refused([](Args &args) { args.parameter.dtype = TSP_BF16; }, {"parameter: dtype bf16"});
    refused([](Args &args) { args.parameter.rank = 2; }, {"parameter: rank is 2"});
    refused([](Args &args) { args.grad.shape[0] = 15; }, {"grad: shape[0] is 15", "16"});
    refused([](Args &args) { args.grad.dtype = TSP_BF16; }, {"grad: dtype bf16"});
    refused([](Args &args) { args.first.dtype = TSP_F64; }, {"first: dtype f64"});
    refused([](Args &args) { args.second.data = nullptr; }, {"second: data is NULL"});
    refused([](Args &args) { args.rounded.shape[0] = 17; }, {"rounded: shape[0] is 17"});
    refused([](Args &args) { args.hyper.shape[0] = 7; }, {"hyper: shape[0] is 7", "8"});
    refused([](Args &args) { args.clip.data = nullptr; }, {"clip: data is NULL"});
    refused([](Args &args) { args.flags = 2; }, {"flags is 2"});
    double out = 0;
    tsp_square_sum_args squares = square_sum_of(fixture.grad, &out, 4);
    level.run_refused(level.kernels.square_sum, squares, {"flags is 4"});
    squares = square_sum_of(fixture.grad, nullptr, 0);
    level.run_refused(level.kernels.square_sum, squares, {"out: data is NULL"});
    squares.out.dtype = TSP_F32;
    level.run_refused(level.kernels.square_sum, squares, {"out: dtype f32"});
    squares.x.dtype = TSP_BF16;
    level.run_refused(level.kernels.square_sum, squares, {"x: dtype bf16"});
}

void test_level(const Level &level) {
    for (const int64_t count : {0, 1, 7, 15, 16, 17, 31, 32, 33, 97, 32767, 32768, 32769, 100003}) {
        test_square_sum(level, count, count % 2);
    }
    test_clip(level);
    for (const int64_t count : {0, 1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1009, 40009}) {
        for (const tsp_dtype first : {TSP_F32, TSP_BF16}) {
            for (const tsp_dtype second : {TSP_F32, TSP_BF16}) {
                test_adamw(level, {count, first, second, count % 2, true, TSP_BF16});
                test_adamw(level, {count, first, second, 1, true, TSP_F32, 0});
            }
        }
        test_adamw(level, {count});
        test_adamw(level, {.count = count, .beta1 = 0.25f, .clip = 1});
        test_adamw(level, {.count = count, .with_rounded = true, .found = 1});
    }
    /* Large enough to be written past the caches. */
    test_adamw(level, {8400017, TSP_BF16, TSP_BF16, 0, true, TSP_F32}, 1009);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("optimizer_test", test_level);
}
