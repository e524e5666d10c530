/* Attention backward at every level against plain float64, and against differences of the forward pass. A failure here
 * means wrong gradients in every scheme. */
#include "attention_backward_reference.h"
#include "attention_cases.h"

using namespace tsp::test;

namespace {

/* Around the tile of 192 queries, and blocks of 96 and 192 keys. */
std::vector<Case> backward_cases() {
    std::vector<Case> cases = attention_cases();
    std::erase_if(cases, [](const Case &test) { return test.values == Values::BROKEN; });
    const auto text = [](int64_t x) { return std::to_string(x); };
    for (const int64_t n : {191, 192, 193, 383, 384, 385, 577}) {
        cases.push_back({.name = "tile " + text(n), .chunks = one_chunk(n, n), .head_dim = 8, .padding = 1});
        cases.push_back(
            {.name = "tile without mask " + text(n), .chunks = one_chunk(n / 3, n), .group = 3, .causal = false});
    }
    for (const int64_t d : {64, 128, 200, 256}) {
        cases.push_back({.name = "two blocks, d " + text(d), .chunks = one_chunk(197, 201), .head_dim = d});
    }
    cases.push_back(
        {.name = "window of tiles", .chunks = one_chunk(700, 700), .group = 2, .head_dim = 8, .window = 210});
    cases.push_back(
        {.name = "gap of keys",
         .chunks = {{{0, 0, 130, 500}, {130, 0, 100, 0}}, {{0, 0, 100, 0}, {100, 0, 400, 200}}, 230, 500},
         .window = 60});
    return cases;
}

class Trial {
public:
    Trial(const Case &test, tsp_dtype dtype, bool accumulate)
        : test(test),
          name(test.name + (dtype == TSP_BF16 ? " bf16" : " f32") + (accumulate ? " accumulate" : "")),
          accumulate(accumulate),
          q(make_queries(dtype)),
          k({test.chunks.key_rows, test.kv_heads, test.head_dim}, dtype, test.padding),
          v({test.chunks.key_rows, test.kv_heads, test.head_dim}, dtype, test.padding),
          out(make_queries(dtype)),
          dout(make_queries(dtype)),
          lse({test.chunks.query_rows, test.kv_heads * test.group}, TSP_F32, test.padding),
          kv_start({test.chunks.query_rows}, TSP_I32, 0),
          once(*this),
          all(make_args(once)),
          reference((fill(), all)) {}

    void run(const Level &level) {
        once = Outputs(*this);
        level.run_ok(level.kernels.attention_backward, make_args(once), 1);
        for (const int32_t threads : FURTHER_THREADS) {
            const Outputs again(*this);
            level.run_ok(level.kernels.attention_backward, make_args(again), threads);
            const bool equal = same_bytes(once.dq.buffer, again.dq.buffer)
                && same_bytes(once.dk.buffer, again.dk.buffer) && same_bytes(once.dv.buffer, again.dv.buffer);
            level.expect(equal, name + ": the number of threads changes the result");
        }
        Errors dq;
        Errors dk;
        Errors dv;
        for_each_token(test.chunks.queries, [&](int64_t, int64_t row, int64_t) {
            for_each_element(q.view.shape[1], [&](int64_t head, int64_t x) {
                check(level, dq, "dq", once.dq, row, head, x, reference.dq_at(row, head, x));
            });
        });
        for_each_token(test.chunks.keys, [&](int64_t, int64_t row, int64_t) {
            for_each_element(test.kv_heads, [&](int64_t head, int64_t x) {
                check(level, dk, "dk", once.dk, row, head, x, reference.dk_at(row, head, x));
                check(level, dv, "dv", once.dv, row, head, x, reference.dv_at(row, head, x));
            });
        });
        check_errors(level, dq, "dq");
        check_errors(level, dk, "dk");
        check_errors(level, dv, "dv");
        const bool untouched = all_poison(once.dq.buffer) && all_poison(once.dk.buffer) && all_poison(once.dv.buffer);
        level.expect(untouched, name + ": wrote outside the rows of its chunks");
    }

private:
    struct Outputs {
        explicit Outputs(const Trial &trial)
            : dq(trial.make_queries(trial.q.view.dtype)),
              dk({trial.k.view.shape[0], trial.test.kv_heads, trial.test.head_dim}, TSP_F32, trial.test.padding),
              dv({trial.k.view.shape[0], trial.test.kv_heads, trial.test.head_dim}, TSP_F32, trial.test.padding) {
            if (trial.accumulate) {
                trial.for_each_token(trial.test.chunks.keys, [&](int64_t, int64_t row, int64_t) {
                    trial.for_each_element(trial.test.kv_heads, [&](int64_t head, int64_t x) {
                        dk.set(row, head, x, old_value(row, head, x));
                        dv.set(row, head, x, old_value(row, head, x));
                    });
                });
            }
        }

        TestTensor dq;
        TestTensor dk;
        TestTensor dv;
    };

    /* Sums of squares over a tensor: of the kernel's errors, of a plain loop's, and of what fp32 may err. */
    struct Errors {
        double kernel = 0;
        double plain = 0;
        double fp32 = 0;
    };

    static float old_value(int64_t row, int64_t head, int64_t x) {
        return static_cast<float>((row * 7 + head * 3 + x) % 11 - 5) * 0.125f;
    }

    TestTensor make_queries(tsp_dtype dtype) const {
        return TestTensor({test.chunks.query_rows, test.kv_heads * test.group, test.head_dim}, dtype, test.padding);
    }

    tsp_attention_backward_args make_args(const Outputs &outputs) const {
        tsp_attention_backward_args args{};
        args.struct_size = sizeof args;
        args.flags = accumulate ? TSP_ACCUMULATE : 0;
        args.forward.struct_size = sizeof args.forward;
        args.forward.flags = test.causal ? TSP_CAUSAL : 0;
        args.forward.q = q.view;
        args.forward.k = k.view;
        args.forward.v = v.view;
        args.forward.out = out.view;
        args.forward.lse = lse.view;
        if (test.kv_start) {
            args.forward.kv_start = kv_start.view;
        }
        args.forward.q_chunks = test.chunks.queries.data();
        args.forward.k_chunks = test.chunks.keys.data();
        args.forward.q_chunk_count = static_cast<int32_t>(test.chunks.queries.size());
        args.forward.k_chunk_count = static_cast<int32_t>(test.chunks.keys.size());
        args.forward.batch = test.batch;
        args.forward.window = test.window;
        args.forward.scale = 1 / std::sqrt(static_cast<float>(test.head_dim));
        args.dout = dout.view;
        args.dq = outputs.dq.view;
        args.dk = outputs.dk.view;
        args.dv = outputs.dv.view;
        return args;
    }

    template <class Body>
    void for_each_token(const std::vector<tsp_chunk> &chunks, const Body &body) const {
        for (const tsp_chunk &chunk : chunks) {
            for (int64_t b = 0; b < test.batch; ++b) {
                for (int64_t i = 0; i < chunk.count; ++i) {
                    body(b, chunk.first_row + b * chunk.batch_rows + i, chunk.start + i);
                }
            }
        }
    }

    template <class Body>
    void for_each_element(int64_t heads, const Body &body) const {
        for (int64_t head = 0; head < heads; ++head) {
            for (int64_t x = 0; x < test.head_dim; ++x) {
                body(head, x);
            }
        }
    }

    /* Inputs, and out and lse as exact as their dtypes allow. What a query that sees nothing was asked for is NaN. */
    void fill() {
        std::mt19937 random(12345);
        std::normal_distribution<float> normal;
        const float peak = test.values == Values::PEAKED ? 40.0f : test.values == Values::COUNTING ? 0.0f : 1.0f;
        for_each_token(test.chunks.keys, [&](int64_t, int64_t row, int64_t) {
            for_each_element(test.kv_heads, [&](int64_t head, int64_t x) {
                k.set(row, head, x, normal(random));
                v.set(row, head, x, normal(random));
            });
        });
        for_each_token(test.chunks.queries, [&](int64_t b, int64_t row, int64_t index) {
            if (test.kv_start) {
                static_cast<int32_t *>(kv_start.view.data)[row] = test.kv_start(index);
            }
            for_each_element(
                q.view.shape[1], [&](int64_t head, int64_t x) { q.set(row, head, x, peak * normal(random)); });
            for (int64_t head = 0; head < q.view.shape[1]; ++head) {
                const Expected expected = expected_attention(all.forward, b, row, index, head);
                lse.set(row, head, 0, static_cast<float>(expected.lse));
                for (int64_t x = 0; x < test.head_dim; ++x) {
                    out.set(row, head, x, static_cast<float>(expected.out[static_cast<size_t>(x)]));
                    dout.set(row, head, x, expected.visible == 0 ? NAN : normal(random));
                }
            }
        });
    }

    /* Sets what was checked back to poison, so that anything else that was written shows. */
    void check(
        const Level &level, Errors &errors, const char *what, TestTensor &tensor, int64_t row, int64_t head, int64_t x,
        const GradientSum &sum) const {
        const bool added = accumulate && tensor.view.dtype == TSP_F32 && &tensor != &once.dq;
        const double old = added ? double{old_value(row, head, x)} : 0;
        const double got = value_at(tensor.view, row, head, x);
        const double output = rounding_of(tensor.view.dtype);
        const double bound = sum.bound(output) + output * std::fabs(old);
        if (!(std::fabs(got - old - sum.value) <= bound)) {
            const std::string where = name + ": " + what + "[" + std::to_string(row) + ", " + std::to_string(head)
                + ", " + std::to_string(x) + "]";
            level.close(got, old + sum.value, bound, where);
        }
        const double plain = static_cast<double>(rounded(tensor.view.dtype, sum.plain)) - sum.value;
        const double fp32 = sum.fp32_bound() + FP32_ROUNDING * std::fabs(old);
        errors.kernel += (got - old - sum.value) * (got - old - sum.value);
        errors.plain += plain * plain;
        errors.fp32 += fp32 * fp32;
        tensor.poison(row, head, x);
    }

    /* A kernel rounds like the plain loop, so over a whole tensor it errs like it. */
    void check_errors(const Level &level, const Errors &errors, const char *what) const {
        const double bound = 2 * std::sqrt(errors.plain) + std::sqrt(errors.fp32);
        level.close(std::sqrt(errors.kernel), 0, bound, name + ": error of " + what);
    }

    const Case &test;
    std::string name;
    bool accumulate;
    TestTensor q;
    TestTensor k;
    TestTensor v;
    TestTensor out;
    TestTensor dout;
    TestTensor lse;
    TestTensor kv_start;
    Outputs once;
    tsp_attention_backward_args all;
    AttentionBackwardReference reference;
};

} // namespace

int main() {
    Report report;
    bool accumulate = false;
    for (const Case &test : backward_cases()) {
        for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
            Trial trial(test, dtype, accumulate);
            for_each_level(report, [&](const tsp_kernels &kernels) { trial.run(Level{kernels, report}); });
            accumulate = !accumulate;
        }
        accumulate = !accumulate;
    }
    return report.exit_status("attention_backward_test");
}
