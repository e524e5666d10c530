/* Gradients of cross-entropy at every level against plain float64. A failure here means that training goes astray. */
#include "op_test.h"
#include "plain_loop.h"

using namespace tsp::test;

namespace {

struct Case {
    tsp_dtype dtype; /* of dlogits */
    int64_t rows;
    std::vector<int64_t> shards; /* vocabulary rows of each */
    int64_t padding = 0;
    bool in_place = false;
    double spread = 4;
    double offset = 0;
    float scale = 0.37f;

    std::string name() const {
        std::string text = std::string(dtype == TSP_BF16 ? "bf16" : "f32") + " T=" + std::to_string(rows) + " V=";
        for (const int64_t shard : shards) {
            text += std::to_string(shard) + "+";
        }
        return text + (padding > 0 ? " padded" : "") + (in_place ? " in place" : "");
    }
};

/* Rows that are random; then they repeat, so that a large tensor is ready soon. */
constexpr int64_t PERIOD = 19;

void fill_repeating(const tsp_tensor &tensor, uint32_t seed, double spread, double offset) {
    tsp_tensor first = tensor;
    first.shape[0] = std::min(first.shape[0], PERIOD);
    fill_normal(first, seed, spread);
    for_each(tensor, [&](int64_t i, int64_t j, int64_t) {
        put(tensor, i < PERIOD ? get(tensor, i, j) + offset : get(tensor, i % PERIOD, j), i, j);
    });
}

class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          labels({test.rows}, TSP_I32, test.padding),
          state({test.rows, 3}, TSP_F32, test.padding),
          scale({1}, TSP_F32, 0) {
        for (const int64_t shard : test.shards) {
            const std::initializer_list<int64_t> shape{test.rows, shard};
            logits.push_back(std::make_unique<TestTensor>(shape, TSP_F32, test.padding));
            dlogits.push_back(std::make_unique<TestTensor>(shape, test.dtype, test.padding));
            fill_repeating(logits.back()->view, static_cast<uint32_t>(logits.size()), test.spread, test.offset);
            vocab += shard;
        }
        put(scale.view, test.scale, 0);
        for (int64_t t = 0; t < test.rows; ++t) {
            put(labels.view, t % 5 == 3 ? -1.0 - static_cast<double>(t) : static_cast<double>(t * 37 % vocab), t);
            set_state(t);
        }
    }

    tsp_cross_entropy_backward_args args(size_t shard) const {
        tsp_cross_entropy_backward_args args{};
        args.struct_size = sizeof args;
        args.logits = logits[shard]->view;
        args.labels = labels.view;
        args.state = state.view;
        args.scale = scale.view;
        args.dlogits = test.in_place ? logits[shard]->view : dlogits[shard]->view;
        for (size_t i = 0; i < shard; ++i) {
            args.vocab_start += test.shards[i];
        }
        return args;
    }

    Case test;
    int64_t vocab = 0;
    std::vector<std::unique_ptr<TestTensor>> logits;
    std::vector<std::unique_ptr<TestTensor>> dlogits;
    TestTensor labels;
    TestTensor state;
    TestTensor scale;

private:
    void set_state(int64_t t) {
        if (t >= PERIOD) {
            put(state.view, get(state.view, t - PERIOD, 0), t, 0);
            put(state.view, get(state.view, t - PERIOD, 1), t, 1);
            return;
        }
        double top = -INFINITY;
        double sum = 0;
        for (const auto &shard : logits) {
            for (int64_t j = 0; j < shard->view.shape[1]; ++j) {
                top = std::fmax(top, get(shard->view, t, j));
            }
        }
        for (const auto &shard : logits) {
            for (int64_t j = 0; j < shard->view.shape[1]; ++j) {
                sum += std::exp(get(shard->view, t, j) - top);
            }
        }
        put(state.view, top, t, 0);
        put(state.view, sum, t, 1);
        put(state.view, NAN, t, 2); /* the label's logit is not needed */
    }
};

template <class Real>
Real gradient(const Fixture &before, Real logit, int64_t t, bool is_label) {
    const auto top = static_cast<Real>(get(before.state.view, t, 0));
    const auto sum = static_cast<Real>(get(before.state.view, t, 1));
    return (std::exp(logit - top) / sum - static_cast<Real>(is_label)) * static_cast<Real>(before.test.scale);
}

/* One row in every `step`. */
void check(const Level &level, const Fixture &before, const Fixture &after, size_t shard, int64_t step) {
    const Case &test = before.test;
    const tsp_tensor &logits = before.logits[shard]->view;
    tsp_tensor seen = logits;
    seen.shape[0] = (logits.shape[0] + step - 1) / step;
    const tsp_cross_entropy_backward_args args = after.args(shard);
    /* An exponential's argument is rounded three times, which counts as often as it is large; beside that the power has
     * an error of two units and three roundings follow. */
    PlainLoop error(5 * FP32_ROUNDING);
    const auto magnitude = [&](int64_t t, int64_t j, bool is_label) {
        const double argument = get(logits, t, j) - get(before.state.view, t, 0);
        const double softmax = gradient<double>(before, get(logits, t, j), t, false);
        return softmax * (1 + std::fabs(argument)) + (is_label ? double{test.scale} : 0);
    };
    const auto label_of = [&](int64_t t) { return static_cast<int64_t>(get(before.labels.view, t)); };
    for_each(seen, [&](int64_t row, int64_t j, int64_t) {
        const int64_t t = row * step;
        const bool is_label = label_of(t) == args.vocab_start + j;
        const double logit = get(logits, t, j);
        const double exact = gradient<double>(before, logit, t, is_label);
        error.observe(
            gradient<float>(before, static_cast<float>(logit), t, is_label), exact, magnitude(t, j, is_label));
    });
    for_each(seen, [&](int64_t row, int64_t j, int64_t) {
        const int64_t t = row * step;
        const bool is_label = label_of(t) == args.vocab_start + j;
        const double wanted = label_of(t) < 0 ? 0 : gradient<double>(before, get(logits, t, j), t, is_label);
        const double cast = test.dtype == TSP_BF16 ? 1.01 * BF16_ROUNDING * std::fabs(wanted) : 0;
        const double bound = label_of(t) < 0 ? 0 : error.allowed(magnitude(t, j, is_label)) + cast + 1e-37;
        level.close(get(args.dlogits, t, j), wanted, bound, test.name());
    });
}

/* step: see check; large cases are run with fewer numbers of threads. */
void test_case(const Level &level, const Case &test, int64_t step = 1) {
    const Fixture before(test);
    const Fixture after(test);
    for (size_t i = 0; i < test.shards.size(); ++i) {
        level.run_ok(level.kernels.cross_entropy_backward, after.args(i), 1);
        check(level, before, after, i, step);
        level.guards_intact(test.in_place ? *after.logits[i] : *after.dlogits[i], test.name());
        if (!test.in_place) {
            level.expect(contents(*before.logits[i]) == contents(*after.logits[i]), test.name() + ": logits written");
        }
    }
    for (const int32_t threads : {2, 3}) {
        if (step > 1 && threads == 2) {
            continue;
        }
        const Fixture again(test);
        for (size_t i = 0; i < test.shards.size(); ++i) {
            level.run_ok(level.kernels.cross_entropy_backward, again.args(i), threads);
            level.expect(
                contents(*again.logits[i]) == contents(*after.logits[i])
                    && contents(*again.dlogits[i]) == contents(*after.dlogits[i]),
                test.name() + ": other bits with other threads");
        }
    }
}

/* One row of logits, state from them; what its gradient becomes. */
std::vector<double> gradient_of(const Level &level, const std::vector<float> &values, int32_t label) {
    const auto count = static_cast<int64_t>(values.size());
    const Fixture fixture({TSP_F32, 1, {count}, 0, false, 4, 0, 2.0f});
    float *logits = static_cast<float *>(fixture.logits[0]->view.data);
    double top = -INFINITY;
    double sum = 0;
    for (const float value : values) {
        top = std::fmax(top, double{value});
    }
    for (const float value : values) {
        sum += std::exp(value - top);
        *logits++ = value;
    }
    put(fixture.labels.view, label, 0);
    put(fixture.state.view, top, 0, 0);
    put(fixture.state.view, sum, 0, 1);
    level.run_ok(level.kernels.cross_entropy_backward, fixture.args(0), 1);
    std::vector<double> result;
    for (int64_t j = 0; j < count; ++j) {
        result.push_back(get(fixture.dlogits[0]->view, 0, j));
    }
    return result;
}

void test_extremes(const Level &level) {
    std::vector<float> certain(50, -100.0f);
    certain[33] = 100.0f;
    const auto expect = [&](double got, double wanted, const char *what) { level.close(got, wanted, 0, what); };
    expect(gradient_of(level, certain, 33)[33], 0, "a label that is certain");
    expect(gradient_of(level, certain, 33)[32], 0, "beside a label that is certain");
    expect(gradient_of(level, certain, 2)[2], -2, "a label that is impossible");
    expect(gradient_of(level, certain, 2)[33], 2, "instead of a label that is impossible");
    std::vector<float> masked(50, -INFINITY);
    masked[7] = 3e38f;
    expect(gradient_of(level, masked, 8)[49], 0, "a masked logit");
    expect(gradient_of(level, masked, 8)[8], -2, "a masked label");
    expect(gradient_of(level, masked, 8)[7], 2, "the only logit");
    std::vector<float> with_nan(50, 1.0f);
    with_nan[17] = NAN;
    level.expect(std::isnan(gradient_of(level, with_nan, 3)[17]), "NaN vanished");
    expect(gradient_of(level, with_nan, -3)[17], 0, "NaN in a row without a label");
}

void test_refusals(const Level &level) {
    const Fixture fixture({TSP_F32, 3, {16}});
    using Args = tsp_cross_entropy_backward_args;
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        Args args = fixture.args(0);
        change(args);
        level.run_refused(level.kernels.cross_entropy_backward, args, words);
    };
    refused([](Args &args) { args.logits.dtype = TSP_BF16; }, {"logits: dtype bf16"});
    refused([](Args &args) { args.labels.shape[0] = 2; }, {"labels: shape[0] is 2", "3"});
    refused([](Args &args) { args.state.shape[1] = 2; }, {"state: shape[1] is 2", "3"});
    refused([](Args &args) { args.state.data = nullptr; }, {"state: data is NULL"});
    refused([](Args &args) { args.scale.shape[0] = 3; }, {"scale: shape[0] is 3", "1"});
    refused([](Args &args) { args.scale.data = nullptr; }, {"scale: data is NULL"});
    refused([](Args &args) { args.dlogits.shape[1] = 15; }, {"dlogits: shape[1] is 15", "16"});
    refused([](Args &args) { args.dlogits.dtype = TSP_I32; }, {"dlogits: dtype i32"});
    refused([](Args &args) { args.dlogits.data = nullptr; }, {"dlogits: data is NULL"});
    refused(
        [](Args &args) {
            args.dlogits.data = args.logits.data;
            args.dlogits.dtype = TSP_BF16;
        },
        {"dlogits", "in place of logits"});
    refused(
        [](Args &args) {
            args.dlogits.data = args.logits.data;
            args.dlogits.strides[0] = 20;
        },
        {"dlogits", "in place of logits"});
    refused([](Args &args) { args.struct_size = 3; }, {"struct_size is 3"});
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        for (const int64_t vocab : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 1009}) {
            test_case(level, {dtype, 13, {vocab}, vocab % 3});
            test_case(level, {dtype, 7, {vocab, 5, vocab + 1}, vocab % 2});
        }
        test_case(level, {dtype, 17, {5, 0, 64, 31}, 1});
        test_case(level, {dtype, 6, {40, 40}, 0, false, 1, 300});
        test_case(level, {dtype, 6, {40, 40}, 0, false, 20, -300});
        test_case(level, {dtype, 211, {130}});
        test_case(level, {dtype, 0, {4}});
    }
    for (const int64_t vocab : {1, 15, 16, 17, 33, 1009}) {
        test_case(level, {TSP_F32, 13, {vocab, 7}, vocab % 3, true});
    }
    /* Large enough to be written past the caches. */
    test_case(level, {TSP_F32, 2050, {4096}}, 101);
    test_case(level, {TSP_BF16, 4100, {4096}}, 101);
    test_extremes(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("cross_entropy_backward_test", test_level);
}
