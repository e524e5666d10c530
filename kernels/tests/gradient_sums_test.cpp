/* embedding_backward and column_sum at every level. A failure here means wrong gradients of embeddings and biases. */
#include "op_test.h"
#include "plain_loop.h"

using namespace tsp::test;

namespace {

constexpr int64_t VOCAB = 11;
constexpr int64_t START = 100;

struct EmbeddingCase {
    tsp_dtype dtype;
    int64_t tokens;
    int64_t columns;
    int64_t padding;
    bool accumulate;

    std::string name() const {
        return std::string("embedding_backward ") + (dtype == TSP_BF16 ? "bf16" : "f32")
            + " T=" + std::to_string(tokens) + " n=" + std::to_string(columns) + (padding > 0 ? " padded" : "")
            + (accumulate ? " accumulate" : "");
    }
};

class Embedding {
public:
    explicit Embedding(const EmbeddingCase &test)
        : test(test),
          dout({test.tokens, test.columns}, test.dtype, test.padding),
          ids({test.tokens}, TSP_I32, test.padding),
          table({VOCAB, test.columns}, TSP_F32, test.padding) {
        fill_normal(dout.view, 1);
        for (int64_t t = 0; t < test.tokens; ++t) {
            put(ids.view, static_cast<double>(t == 5 ? -1 : t == 6 ? INT32_MAX : START - 3 + t * 7 % 17), t);
        }
        if (test.accumulate) {
            fill_normal(table.view, 2);
        }
    }

    tsp_embedding_backward_args args() const {
        tsp_embedding_backward_args args{};
        args.struct_size = sizeof args;
        args.flags = test.accumulate ? TSP_ACCUMULATE : 0;
        args.dout = dout.view;
        args.ids = ids.view;
        args.dtable = table.view;
        args.vocab_start = START;
        return args;
    }

    EmbeddingCase test;
    TestTensor dout;
    TestTensor ids;
    TestTensor table;
};

/* The order of the sum is promised, so there is one right value. */
void test_embedding(const Level &level, const EmbeddingCase &test) {
    if (is_left_out()) {
        return;
    }
    const Embedding before(test);
    for (const int32_t threads : {1, 2, 3}) {
        const Embedding after(test);
        level.run_ok(level.kernels.embedding_backward, after.args(), threads);
        for_each(after.table.view, [&](int64_t row, int64_t j, int64_t) {
            float wanted = test.accumulate ? static_cast<float>(get(before.table.view, row, j)) : 0.0f;
            for (int64_t t = 0; t < test.tokens; ++t) {
                if (static_cast<int64_t>(get(before.ids.view, t)) == START + row) {
                    wanted += static_cast<float>(get(before.dout.view, t, j));
                }
            }
            level.close(get(after.table.view, row, j), wanted, 0, test.name());
        });
        level.guards_intact(after.table, test.name());
    }
}

void test_embedding_refusals(const Level &level) {
    const Embedding fixture({TSP_F32, 9, 16, 0, false});
    using Args = tsp_embedding_backward_args;
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        Args args = fixture.args();
        change(args);
        level.run_refused(level.kernels.embedding_backward, args, words);
    };
    refused([](Args &args) { args.ids.shape[0] = 8; }, {"ids: shape[0] is 8", "9"});
    refused([](Args &args) { args.ids.dtype = TSP_F32; }, {"ids: dtype f32"});
    refused([](Args &args) { args.dout.dtype = TSP_F64; }, {"dout: dtype f64"});
    refused([](Args &args) { args.dout.data = nullptr; }, {"dout: data is NULL"});
    refused([](Args &args) { args.dtable.dtype = TSP_BF16; }, {"dtable: dtype bf16"});
    refused([](Args &args) { args.dtable.shape[1] = 17; }, {"dtable: shape[1] is 17", "16"});
    refused([](Args &args) { args.dtable.data = nullptr; }, {"dtable: data is NULL"});
    refused([](Args &args) { args.flags = 2; }, {"flags is 2"});
    refused([](Args &args) { args.dtable.rank = 1; }, {"dtable: rank is 1"});
}

struct SumCase {
    tsp_dtype dtype;
    int64_t rows;
    int64_t columns;
    int64_t padding;
    bool accumulate;

    std::string name() const {
        return std::string("column_sum ") + (dtype == TSP_BF16 ? "bf16" : "f32") + " [" + std::to_string(rows) + ", "
            + std::to_string(columns) + "]" + (padding > 0 ? " padded" : "") + (accumulate ? " accumulate" : "");
    }
};

class Sum {
public:
    explicit Sum(const SumCase &test)
        : test(test),
          x({test.rows, test.columns}, test.dtype, test.padding),
          out({test.columns}, TSP_F32, test.padding) {
        fill_normal(x.view, 1);
        if (test.accumulate) {
            fill_normal(out.view, 2);
        }
    }

    tsp_column_sum_args args() const {
        tsp_column_sum_args args{};
        args.struct_size = sizeof args;
        args.flags = test.accumulate ? TSP_ACCUMULATE : 0;
        args.x = x.view;
        args.out = out.view;
        return args;
    }

    SumCase test;
    TestTensor x;
    TestTensor out;
};

void test_sum(const Level &level, const SumCase &test) {
    if (is_left_out()) {
        return;
    }
    const Sum before(test);
    const Sum after(test);
    level.run_ok(level.kernels.column_sum, after.args(), 1);
    const auto n = static_cast<size_t>(test.columns);
    std::vector<double> exact(n);
    std::vector<float> plain(n);
    std::vector<double> magnitude(n);
    for (size_t j = 0; j < n; ++j) {
        const auto column = static_cast<int64_t>(j);
        exact[j] = test.accumulate ? get(before.out.view, column) : 0;
        plain[j] = static_cast<float>(exact[j]);
        magnitude[j] = std::fabs(exact[j]);
        for (int64_t t = 0; t < test.rows; ++t) {
            exact[j] += get(before.x.view, t, column);
            plain[j] += static_cast<float>(get(before.x.view, t, column));
            magnitude[j] += std::fabs(get(before.x.view, t, column));
        }
    }
    PlainLoop error(FP32_ROUNDING);
    for (size_t j = 0; j < n; ++j) {
        error.observe(plain[j], exact[j], magnitude[j]);
    }
    for (size_t j = 0; j < n; ++j) {
        level.close(get(after.out.view, static_cast<int64_t>(j)), exact[j], error.allowed(magnitude[j]), test.name());
    }
    level.guards_intact(after.out, test.name());
    for (const int32_t threads : {2, 3}) {
        const Sum again(test);
        level.run_ok(level.kernels.column_sum, again.args(), threads);
        level.expect(contents(again.out) == contents(after.out), test.name() + ": other bits with other threads");
    }
}

void test_sum_refusals(const Level &level) {
    const Sum fixture({TSP_F32, 9, 16, 0, false});
    using Args = tsp_column_sum_args;
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        Args args = fixture.args();
        change(args);
        level.run_refused(level.kernels.column_sum, args, words);
    };
    refused([](Args &args) { args.x.dtype = TSP_I32; }, {"x: dtype i32"});
    refused([](Args &args) { args.x.strides[1] = 2; }, {"x: the last stride is 2"});
    refused([](Args &args) { args.x.data = nullptr; }, {"x: data is NULL"});
    refused([](Args &args) { args.out.shape[0] = 15; }, {"out: shape[0] is 15", "16"});
    refused([](Args &args) { args.out.dtype = TSP_BF16; }, {"out: dtype bf16"});
    refused([](Args &args) { args.out.data = nullptr; }, {"out: data is NULL"});
    refused([](Args &args) { args.flags = 2; }, {"flags is 2"});
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        for (const bool accumulate : {false, true}) {
            for (const int64_t columns : {0, 1, 7, 15, 16, 17, 63, 64, 65, 129, 1009}) {
                test_embedding(level, {dtype, 23, columns, columns % 3, accumulate});
                test_sum(level, {dtype, 5, columns, columns % 3, accumulate});
                test_sum(level, {dtype, 1, columns, columns % 2, accumulate});
            }
            test_embedding(level, {dtype, 0, 65, 0, accumulate});
            test_embedding(level, {dtype, 1, 65, 1, accumulate});
            /* More tokens than are sorted at once. */
            for (const int64_t tokens : {1024, 1025, 3071, 5003}) {
                test_embedding(level, {dtype, tokens, 9, tokens % 2, accumulate});
            }
            for (const int64_t rows : {0, 2, 3, 4, 31, 32, 33, 255, 1009}) {
                test_sum(level, {dtype, rows, 129, 1, accumulate});
                test_sum(level, {dtype, rows, 600, 0, accumulate});
            }
            test_sum(level, {dtype, 20011, 3, 0, accumulate});
        }
    }
    test_embedding_refusals(level);
    test_sum_refusals(level);
}

} // namespace

int main() {
    return test_levels("gradient_sums_test", test_level);
}
