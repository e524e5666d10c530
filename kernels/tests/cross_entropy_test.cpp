/* Cross-entropy over vocabulary shards at every level against plain float64. A failure here means a wrong loss. */
#include "op_test.h"

using namespace tsp::test;

namespace {

struct Case {
    int64_t rows;
    std::vector<int64_t> shards; /* vocabulary rows of each */
    int64_t padding = 0;
    double scale = 4;
    double offset = 0;

    std::string name() const {
        std::string text = "T=" + std::to_string(rows) + " V=";
        for (const int64_t shard : shards) {
            text += std::to_string(shard) + "+";
        }
        return text;
    }
};

/* A row's log-sum-exp over all shards and its label's logit. */
struct Wanted {
    double log_sum;
    double label_logit;
    double loss;
};

class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          labels({test.rows}, TSP_I32, test.padding),
          losses({test.rows}, TSP_F32, test.padding) {
        for (const int64_t shard : test.shards) {
            logits.push_back(
                std::make_unique<TestTensor>(std::initializer_list<int64_t>{test.rows, shard}, TSP_F32, test.padding));
            fill_normal(logits.back()->view, static_cast<uint32_t>(logits.size()), test.scale);
            for_each(logits.back()->view, [&](int64_t i, int64_t j, int64_t) {
                put(logits.back()->view, get(logits.back()->view, i, j) + test.offset, i, j);
            });
            vocab += shard;
        }
        for (int64_t t = 0; t < test.rows; ++t) {
            put(labels.view, t % 5 == 3 ? -1.0 - static_cast<double>(t) : static_cast<double>(t * 37 % vocab), t);
        }
    }

    Wanted wanted(int64_t t) const {
        double top = -INFINITY;
        double label_logit = 0;
        const auto label = static_cast<int64_t>(get(labels.view, t));
        visit(t, [&](int64_t, double logit) { top = std::fmax(top, logit); });
        double sum = 0;
        visit(t, [&](int64_t id, double logit) {
            sum += std::exp(logit - top);
            label_logit = id == label ? logit : label_logit;
        });
        const double log_sum = top + std::log(sum);
        return {log_sum, label_logit, label < 0 ? 0 : log_sum - label_logit};
    }

    template <class Body>
    void visit(int64_t t, const Body &body) const {
        int64_t start = 0;
        for (const auto &shard : logits) {
            for (int64_t j = 0; j < shard->view.shape[1]; ++j) {
                body(start + j, get(shard->view, t, j));
            }
            start += shard->view.shape[1];
        }
    }

    tsp_cross_entropy_update_args update(size_t shard, const tsp_tensor &state, bool first) const {
        tsp_cross_entropy_update_args args{};
        args.struct_size = sizeof args;
        args.flags = first ? TSP_FIRST : 0;
        args.logits = logits[shard]->view;
        args.labels = labels.view;
        args.state = state;
        for (size_t i = 0; i < shard; ++i) {
            args.vocab_start += test.shards[i];
        }
        return args;
    }

    Case test;
    int64_t vocab = 0;
    std::vector<std::unique_ptr<TestTensor>> logits;
    TestTensor labels;
    TestTensor losses;
};

double bound(const Fixture &fixture, const Wanted &wanted) {
    /* Each exponential errs by its argument's rounding and the polynomial, the sum by the length of its longest chain of
     * additions: a block of 4096 in lanes of at least 4. */
    const double count = std::min(static_cast<double>(fixture.vocab), 4096.0 / 4 + 64);
    const double spread = 8 * fixture.test.scale;
    return FP32_ROUNDING * (count + 4 * spread + 16 + 2 * (std::fabs(wanted.log_sum) + std::fabs(wanted.loss)));
}

void check_losses(const Level &level, const Fixture &fixture, const tsp_tensor &state, const std::string &name) {
    tsp_cross_entropy_finish_args args{};
    double totals[2] = {NAN, NAN};
    args.struct_size = sizeof args;
    args.state = state;
    args.labels = fixture.labels.view;
    args.losses = fixture.losses.view;
    args.totals = {.data = totals, .shape = {2}, .strides = {1}, .rank = 1, .dtype = TSP_F64};
    level.run_ok(level.kernels.cross_entropy_finish, args, 3);
    double total = 0;
    int64_t count = 0;
    for (int64_t t = 0; t < fixture.test.rows; ++t) {
        const Wanted wanted = fixture.wanted(t);
        const double loss = get(fixture.losses.view, t);
        level.close(loss, wanted.loss, bound(fixture, wanted), name + " loss");
        total += loss;
        count += get(fixture.labels.view, t) >= 0;
    }
    level.close(totals[0], total, 0, name + " total");
    level.close(totals[1], static_cast<double>(count), 0, name + " count");
    args.losses = {};
    totals[0] = NAN;
    level.run_ok(level.kernels.cross_entropy_finish, args, 1);
    level.close(totals[0], total, 0, name + " total without losses");
}

/* All shards into one state, one after the other. */
void test_online(const Level &level, const Fixture &fixture) {
    const std::string name = fixture.test.name();
    const TestTensor state({fixture.test.rows, 3}, TSP_F32, fixture.test.padding);
    const TestTensor again({fixture.test.rows, 3}, TSP_F32, fixture.test.padding);
    for (size_t i = 0; i < fixture.logits.size(); ++i) {
        level.run_ok(level.kernels.cross_entropy_update, fixture.update(i, state.view, i == 0), 1);
        level.run_ok(level.kernels.cross_entropy_update, fixture.update(i, again.view, i == 0), 3);
    }
    level.expect(contents(state) == contents(again), name + ": other bits with other threads");
    level.guards_intact(state, name);
    check_losses(level, fixture, state.view, name);
}

/* A state for each shard, merged. */
void test_merged(const Level &level, const Fixture &fixture) {
    const auto count = static_cast<int64_t>(fixture.logits.size());
    const TestTensor parts({count, fixture.test.rows, 3}, TSP_F32, fixture.test.padding);
    const TestTensor state({fixture.test.rows, 3}, TSP_F32, fixture.test.padding);
    for (int64_t p = 0; p < count; ++p) {
        tsp_tensor part = parts.view;
        part.rank = 2;
        part.data = static_cast<float *>(part.data) + p * parts.view.strides[0];
        for (int i = 0; i < 2; ++i) {
            part.shape[i] = parts.view.shape[i + 1];
            part.strides[i] = parts.view.strides[i + 1];
        }
        level.run_ok(level.kernels.cross_entropy_update, fixture.update(static_cast<size_t>(p), part, true), 2);
    }
    tsp_cross_entropy_merge_args args{};
    args.struct_size = sizeof args;
    args.parts = parts.view;
    args.state = state.view;
    level.run_ok(level.kernels.cross_entropy_merge, args, 2);
    level.guards_intact(state, fixture.test.name());
    check_losses(level, fixture, state.view, fixture.test.name() + " merged");
}

/* One row of logits; what its state becomes. */
std::vector<float> state_of(const Level &level, const std::vector<float> &values, int32_t label) {
    const TestTensor logits({1, static_cast<int64_t>(values.size())}, TSP_F32, 0);
    std::copy(values.begin(), values.end(), static_cast<float *>(logits.view.data));
    const TestTensor labels({1}, TSP_I32, 0);
    put(labels.view, label, 0);
    std::vector<float> state(3);
    tsp_cross_entropy_update_args args{};
    args.struct_size = sizeof args;
    args.flags = TSP_FIRST;
    args.logits = logits.view;
    args.labels = labels.view;
    args.state = {.data = state.data(), .shape = {1, 3}, .strides = {3, 1}, .rank = 2, .dtype = TSP_F32};
    level.run_ok(level.kernels.cross_entropy_update, args, 1);
    return state;
}

void test_extremes(const Level &level) {
    const auto expect = [&](const std::vector<float> &values, double maximum, double sum, const std::string &what) {
        const std::vector<float> state = state_of(level, values, 0);
        level.close(state[0], maximum, 0, what + ": maximum");
        level.close(state[1], sum, sum * 4 * FP32_ROUNDING, what + ": sum");
    };
    expect({}, -INFINITY, 0, "no logits");
    expect(std::vector<float>(37, -INFINITY), -INFINITY, 0, "all -inf");
    expect({3e38f, -3e38f, 3e38f}, 3e38f, 2, "huge logits");
    std::vector<float> masked(5000, -INFINITY);
    masked[4999] = -7;
    expect(masked, -7, 1, "one finite logit in the second block");
    std::vector<float> with_nan(4100, 1.0f);
    with_nan[4099] = NAN;
    level.expect(std::isnan(state_of(level, with_nan, 0)[1]), "NaN vanished");
    level.expect(std::isnan(state_of(level, {-INFINITY, NAN}, 0)[1]), "NaN among -inf vanished");
    level.close(state_of(level, {1, 2, 3}, 2)[2], 3, 0, "label's logit");
    level.close(state_of(level, {1, 2, 3}, -2)[2], 0, 0, "ignored label's logit");
    level.close(state_of(level, {1, 2, 3}, 3)[2], 0, 0, "logit of a label in another shard");
}

void test_refusals(const Level &level) {
    const Fixture fixture({3, {16}});
    const TestTensor state({3, 3}, TSP_F32, 0);
    tsp_cross_entropy_update_args args = fixture.update(0, state.view, true);
    args.state.shape[1] = 2;
    level.run_refused(level.kernels.cross_entropy_update, args, {"state: shape[1] is 2", "3"});
    args = fixture.update(0, state.view, true);
    args.labels.shape[0] = 2;
    level.run_refused(level.kernels.cross_entropy_update, args, {"labels: shape[0] is 2"});
    args = fixture.update(0, state.view, true);
    args.flags = 9;
    level.run_refused(level.kernels.cross_entropy_update, args, {"flags is 9"});
    tsp_cross_entropy_merge_args merge{};
    merge.struct_size = sizeof merge;
    merge.parts = state.view;
    merge.state = state.view;
    level.run_refused(level.kernels.cross_entropy_merge, merge, {"parts: rank is 2"});
    tsp_cross_entropy_finish_args finish{};
    finish.struct_size = sizeof finish;
    finish.state = state.view;
    finish.labels = fixture.labels.view;
    finish.totals = {.data = nullptr, .shape = {2}, .strides = {1}, .rank = 1, .dtype = TSP_F64};
    level.run_refused(level.kernels.cross_entropy_finish, finish, {"totals: data is NULL"});
}

void test_level(const Level &level) {
    for (const int64_t vocab : {1, 2, 7, 15, 16, 17, 31, 32, 33, 97, 4095, 4096, 4097, 9000}) {
        const Fixture fixture({vocab > 1000 ? 7 : 13, {vocab}, vocab % 3});
        test_online(level, fixture);
        test_merged(level, fixture);
    }
    for (const Case &test :
         {Case{17, {5, 0, 64, 31}, 1},
          Case{11, {3000, 5000, 1}, 0, 20},
          Case{6, {40, 40}, 0, 1, 300},
          Case{6, {40, 40}, 0, 1, -300},
          Case{0, {4}},
          Case{1000, {33}, 2}}) {
        const Fixture fixture(test);
        test_online(level, fixture);
        test_merged(level, fixture);
    }
    test_extremes(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("cross_entropy_test", test_level);
}
