/* One case of attention forward, run and compared with plain float64. */
#pragma once

#include <cmath>

#include "attention_cases.h"
#include "attention_reference.h"
#include "buffers.h"
#include "expect.h"

namespace tsp::test {

inline bool agree(double got, double wanted, double bound) {
    return got == wanted || std::fabs(got - wanted) <= bound || (std::isnan(got) && std::isnan(wanted));
}

class Trial {
public:
    Trial(const Case &test, tsp_dtype dtype)
        : test(test),
          name(test.name + (dtype == TSP_BF16 ? " bf16" : " f32")),
          q({test.chunks.query_rows, test.kv_heads * test.group, test.head_dim}, dtype, test.padding),
          k({test.chunks.key_rows, test.kv_heads, test.head_dim}, dtype, test.padding),
          v({test.chunks.key_rows, test.kv_heads, test.head_dim}, dtype, test.padding),
          kv_start({test.chunks.query_rows}, TSP_I32, 0) {
        fill_queries();
        fill_keys();
        args.struct_size = sizeof args;
        args.flags = test.causal ? TSP_CAUSAL : 0;
        args.q = q.view;
        args.k = k.view;
        args.v = v.view;
        if (test.kv_start) {
            args.kv_start = kv_start.view;
        }
        args.q_chunks = test.chunks.queries.data();
        args.k_chunks = test.chunks.keys.data();
        args.q_chunk_count = static_cast<int32_t>(test.chunks.queries.size());
        args.k_chunk_count = static_cast<int32_t>(test.chunks.keys.size());
        args.batch = test.batch;
        args.window = test.window;
        args.scale = 1 / std::sqrt(static_cast<float>(test.head_dim));
        for_each_token(test.chunks.queries, [&](int64_t b, int64_t row, int64_t index) {
            for (int64_t head = 0; head < q.view.shape[1]; ++head) {
                rows.push_back({row, head, expected_attention(args, b, row, index, head)});
            }
        });
    }

    void run(Report &report, const tsp_kernels &kernels) {
        Outputs once(*this);
        Outputs again(*this);
        launch(report, kernels, once, 1);
        launch(report, kernels, again, 3);
        const bool equal =
            same_bytes(once.out.buffer, again.out.buffer) && same_bytes(once.lse.buffer, again.lse.buffer);
        report.expect(equal, "%s %s: the number of threads changes the result", kernels.isa, name.c_str());
        for (const Row &row : rows) {
            check_out(report, kernels, once.out, row);
            check_lse(report, kernels, once.lse, row);
        }
        const bool untouched = all_poison(once.out.buffer) && all_poison(once.lse.buffer);
        report.expect(untouched, "%s %s: wrote outside the rows of its chunks", kernels.isa, name.c_str());
    }

private:
    struct Row {
        int64_t row;
        int64_t head;
        Expected expected;
    };

    struct Outputs {
        explicit Outputs(const Trial &trial)
            : out({trial.q.view.shape[0], trial.q.view.shape[1], trial.q.view.shape[2]}, trial.q.view.dtype,
                  trial.test.padding),
              lse({trial.q.view.shape[0], trial.q.view.shape[1]}, TSP_F32, trial.test.padding) {}

        TestTensor out;
        TestTensor lse;
    };

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

    void fill_queries() {
        std::normal_distribution<float> normal(0, test.values == Values::PEAKED ? 40.0f : 1.0f);
        for_each_token(test.chunks.queries, [&](int64_t, int64_t row, int64_t index) {
            for (int64_t head = 0; head < q.view.shape[1]; ++head) {
                for (int64_t x = 0; x < test.head_dim; ++x) {
                    const float value = test.values == Values::COUNTING ? 0.0f : normal(random);
                    q.set(row, head, x, test.values == Values::BROKEN && index == 3 ? NAN : value);
                }
            }
            if (test.kv_start) {
                static_cast<int32_t *>(kv_start.view.data)[row] = test.kv_start(index);
            }
        });
    }

    void fill_keys() {
        std::normal_distribution<float> normal;
        for_each_token(test.chunks.keys, [&](int64_t, int64_t row, int64_t index) {
            for (int64_t head = 0; head < test.kv_heads; ++head) {
                for (int64_t x = 0; x < test.head_dim; ++x) {
                    const float one_hot = index % test.head_dim == x ? 1.0f : 0.0f;
                    k.set(row, head, x, normal(random));
                    v.set(row, head, x, test.values == Values::COUNTING ? one_hot : normal(random));
                }
            }
        });
    }

    void launch(Report &report, const tsp_kernels &kernels, Outputs &outputs, int32_t threads) {
        args.out = outputs.out.view;
        args.lse = outputs.lse.view;
        tsp_launch launch{};
        launch.struct_size = sizeof launch;
        launch.threads = threads;
        launch.workspace_bytes = kernels.attention_forward.workspace_bytes(&args, &launch);
        const Buffer workspace(launch.workspace_bytes, 0, POISON);
        launch.workspace = workspace.data();
        tsp_error error{};
        error.struct_size = sizeof error;
        const tsp_status status = kernels.attention_forward.run(&args, &launch, &error);
        report.expect(status == TSP_OK, "%s %s: %s", kernels.isa, name.c_str(), error.message);
    }

    /* Sets what was checked back to poison, so that anything else that was written shows. */
    void check_out(Report &report, const tsp_kernels &kernels, TestTensor &out, const Row &row) const {
        for (int64_t x = 0; x < test.head_dim; ++x) {
            const double got = value_at(out.view, row.row, row.head, x);
            const double wanted = row.expected.out[static_cast<size_t>(x)];
            const double bound = row.expected.out_bound[static_cast<size_t>(x)];
            report.expect(
                agree(got, wanted, bound),
                "%s %s: out[%ld, %ld, %ld] is %.9g instead of %.9g, bound %.3g, %ld keys",
                kernels.isa,
                name.c_str(),
                row.row,
                row.head,
                x,
                got,
                wanted,
                bound,
                row.expected.visible);
            out.poison(row.row, row.head, x);
        }
    }

    void check_lse(Report &report, const tsp_kernels &kernels, TestTensor &lse, const Row &row) const {
        const double got = value_at(lse.view, row.row, row.head, 0);
        const Expected &expected = row.expected;
        report.expect(
            agree(got, expected.lse, expected.lse_bound),
            "%s %s: lse[%ld, %ld] is %.9g instead of %.9g, bound %.3g, %ld keys",
            kernels.isa,
            name.c_str(),
            row.row,
            row.head,
            got,
            expected.lse,
            expected.lse_bound,
            expected.visible);
        lse.poison(row.row, row.head, 0);
    }

    const Case &test;
    std::string name;
    TestTensor q;
    TestTensor k;
    TestTensor v;
    TestTensor kv_start;
    tsp_attention_args args{};
    std::vector<Row> rows;
    std::mt19937 random{12345};
};

} // namespace tsp::test
