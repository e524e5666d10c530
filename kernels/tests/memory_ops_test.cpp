/* embedding_forward, copy and sum at every level: results have one right value, and it is asked for exactly. */
#include "op_test.h"

using namespace tsp::test;

namespace {

void test_embedding(const Level &level, tsp_dtype dtype, int64_t columns, int64_t padding, bool keep) {
    constexpr int64_t ROWS = 23;
    constexpr int64_t VOCAB = 11;
    constexpr int64_t START = 100;
    const std::string name = "embedding of " + std::to_string(columns) + " columns";
    const TestTensor table({VOCAB, columns}, dtype, padding);
    fill_normal(table.view, 1);
    const TestTensor ids({ROWS}, TSP_I32, padding);
    for (int64_t t = 0; t < ROWS; ++t) {
        put(ids.view, static_cast<double>(t == 5 ? -1 : t == 6 ? INT32_MAX : START - 3 + t * 7 % 17), t);
    }
    for (const int32_t threads : {1, 3}) {
        const TestTensor out({ROWS, columns}, dtype, padding);
        fill_normal(out.view, 2);
        const TestTensor before({ROWS, columns}, dtype, padding);
        fill_normal(before.view, 2);
        tsp_embedding_args args{};
        args.struct_size = sizeof args;
        args.flags = keep ? TSP_KEEP_OUT_OF_RANGE : 0;
        args.table = table.view;
        args.ids = ids.view;
        args.out = out.view;
        args.vocab_start = START;
        level.run_ok(level.kernels.embedding_forward, args, threads);
        for_each(out.view, [&](int64_t t, int64_t j, int64_t) {
            const auto row = static_cast<int64_t>(get(ids.view, t)) - START;
            const bool inside = row >= 0 && row < VOCAB;
            const double other = keep ? get(before.view, t, j) : 0;
            level.close(get(out.view, t, j), inside ? get(table.view, row, j) : other, 0, name);
        });
        level.guards_intact(out, name);
        args.out.shape[1] = columns + 1;
        level.run_refused(level.kernels.embedding_forward, args, {"out: shape[1]"});
    }
}

/* A tensor of any rank in dense memory with gaps, the layout of views that the runtime makes. */
tsp_tensor view_of(void *data, tsp_dtype dtype, const std::vector<int64_t> &shape, int64_t gap) {
    tsp_tensor view{};
    view.data = data;
    view.dtype = dtype;
    view.rank = static_cast<int32_t>(shape.size());
    int64_t stride = 1;
    for (int32_t i = view.rank - 1; i >= 0; --i) {
        view.shape[i] = shape[static_cast<size_t>(i)];
        view.strides[i] = stride;
        stride = stride * view.shape[i] + gap;
    }
    return view;
}

int64_t span_of(const tsp_tensor &view) {
    int64_t last = 0;
    for (int32_t i = 0; i < view.rank; ++i) {
        if (view.shape[i] == 0) {
            return 0;
        }
        last += (view.shape[i] - 1) * view.strides[i];
    }
    return last + 1;
}

/* Calls body(offset in a, offset in b) for each element of two tensors of one shape. */
template <class Body>
void for_each_pair(const tsp_tensor &a, const tsp_tensor &b, const Body &body) {
    const int32_t last = a.rank - 1;
    int64_t rows = 1;
    for (int32_t i = 0; i < last; ++i) {
        rows *= a.shape[i];
    }
    for (int64_t row = 0; row < rows; ++row) {
        int64_t at_a = 0;
        int64_t at_b = 0;
        int64_t rest = row;
        for (int32_t i = last - 1; i >= 0; --i) {
            at_a += rest % a.shape[i] * a.strides[i];
            at_b += rest % a.shape[i] * b.strides[i];
            rest /= a.shape[i];
        }
        for (int64_t column = 0; column < a.shape[last]; ++column) {
            body(at_a + column, at_b + column);
        }
    }
}

/* The bits that a cast of the element at `at` must give. */
uint32_t cast_bits(const tsp_tensor &source, tsp_dtype to, int64_t at) {
    if (source.dtype == TSP_BF16) {
        const uint32_t half = static_cast<const uint16_t *>(source.data)[at];
        return to == TSP_BF16 ? half : half << 16;
    }
    uint32_t bits;
    std::memcpy(&bits, static_cast<const uint32_t *>(source.data) + at, sizeof bits);
    if (to != TSP_BF16) {
        return bits;
    }
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    return is_nan ? (bits | 0x400000) >> 16 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

uint32_t bits_at(const tsp_tensor &tensor, int64_t at) {
    return tensor.dtype == TSP_BF16 ? static_cast<const uint16_t *>(tensor.data)[at]
                                    : static_cast<const uint32_t *>(tensor.data)[at];
}

/* gap 0 for both: one long row. All bit patterns of the source occur, NaN and subnormals among them. */
void test_copy(
    const Level &level, tsp_dtype from, tsp_dtype to, const std::vector<int64_t> &shape, int64_t source_gap,
    int64_t target_gap, int32_t threads) {
    tsp_tensor source = view_of(nullptr, from, shape, source_gap);
    tsp_tensor target = view_of(nullptr, to, shape, target_gap);
    const Buffer source_memory(span_of(source) * bytes_of(from), source_gap == 1 ? bytes_of(from) : 0, 0);
    const Buffer target_memory(span_of(target) * bytes_of(to), target_gap == 1 ? bytes_of(to) : 0, POISON);
    source.data = source_memory.data();
    target.data = target_memory.data();
    uint32_t state = 3;
    for (int64_t i = 0; i + 2 <= source_memory.bytes(); i += 2) {
        state = state * 1664525 + 1013904223;
        std::memcpy(static_cast<unsigned char *>(source.data) + i, reinterpret_cast<unsigned char *>(&state) + 2, 2);
    }
    tsp_copy_args args{};
    args.struct_size = sizeof args;
    args.source = source;
    args.target = target;
    level.run_ok(level.kernels.copy, args, threads);
    int64_t wrong = 0;
    const auto *written = static_cast<const unsigned char *>(target.data);
    std::vector<unsigned char> rest(written, written + target_memory.bytes());
    for_each_pair(source, target, [&](int64_t at_source, int64_t at_target) {
        wrong += bits_at(target, at_target) != cast_bits(source, to, at_source);
        for (int64_t i = 0; i < bytes_of(to); ++i) {
            rest[static_cast<size_t>(at_target * bytes_of(to) + i)] = POISON;
        }
    });
    const std::string name = "copy " + std::to_string(from) + " to " + std::to_string(to) + ", rank "
        + std::to_string(shape.size()) + ", last " + std::to_string(shape.back());
    level.expect(wrong == 0, name + ": " + std::to_string(wrong) + " wrong elements");
    const bool intact = std::all_of(rest.begin(), rest.end(), [](unsigned char byte) { return byte == POISON; });
    level.expect(intact, name + ": a guard word was overwritten");
}

void test_copies(const Level &level) {
    const std::vector<std::vector<int64_t>> shapes = {
        {1},
        {7},
        {16},
        {33},
        {70001},
        {3, 5},
        {3, 1},
        {17, 64},
        {1, 200},
        {5, 0},
        {2, 3, 31},
        {4, 9, 128},
        {2, 3, 4, 5},
        {3, 2, 40, 65},
        {2, 1, 3, 1}};
    const std::pair<tsp_dtype, tsp_dtype> casts[] = {
        {TSP_F32, TSP_F32}, {TSP_F32, TSP_BF16}, {TSP_BF16, TSP_F32}, {TSP_BF16, TSP_BF16}, {TSP_I32, TSP_I32}};
    for (const auto &[from, to] : casts) {
        for (const auto &shape : shapes) {
            test_copy(level, from, to, shape, 0, 0, 3);
            test_copy(level, from, to, shape, 1, 0, 2);
            test_copy(level, from, to, shape, 0, 3, 3);
            test_copy(level, from, to, shape, 1, 1, 1);
        }
        /* Large enough to be written past the caches, the last line incomplete. */
        const int64_t large = (int64_t{32} << 20) / bytes_of(to);
        test_copy(level, from, to, {large + 1}, 0, 0, 2);
    }
    test_copy(level, TSP_F32, TSP_BF16, {4200, 4009}, 0, 23, 2);
    const tsp_tensor source = view_of(nullptr, TSP_F32, {2, 3}, 0);
    tsp_copy_args args{};
    args.struct_size = sizeof args;
    args.source = args.target = source;
    level.run_refused(level.kernels.copy, args, {"source: data is NULL"});
    args.target.shape[1] = 4;
    level.run_refused(level.kernels.copy, args, {"target: shape[1] is 4", "3"});
    args.target = source;
    args.target.dtype = TSP_I32;
    level.run_refused(level.kernels.copy, args, {"target: dtype i32"});
    args.target = source;
    args.target.strides[1] = 2;
    level.run_refused(level.kernels.copy, args, {"target: the last stride is 2"});
}

void test_sum(const Level &level, tsp_dtype dtype, int64_t count, int32_t source_count, int64_t padding, int target) {
    std::vector<TestTensor> tensors;
    std::vector<const void *> sources;
    for (int32_t i = 0; i < source_count; ++i) {
        tensors.emplace_back(std::initializer_list<int64_t>{count}, dtype, padding);
        fill_normal(tensors.back().view, static_cast<uint32_t>(i), i % 2 == 0 ? 1.0 : 1e4);
        sources.push_back(tensors.back().view.data);
    }
    std::vector<double> wanted;
    for (int64_t i = 0; i < count; ++i) {
        auto sum = static_cast<float>(get(tensors[0].view, i));
        for (size_t j = 1; j < tensors.size(); ++j) {
            sum += static_cast<float>(get(tensors[j].view, i));
        }
        wanted.push_back(rounded(dtype, sum));
    }
    const TestTensor own({count}, dtype, padding);
    const tsp_tensor out = target < 0 ? own.view : tensors[static_cast<size_t>(target)].view;
    tsp_sum_args args{};
    args.struct_size = sizeof args;
    args.dtype = dtype;
    args.sources = sources.data();
    args.target = out.data;
    args.count = count;
    args.source_count = source_count;
    level.run_ok(level.kernels.sum, args, 3);
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
        wrong += get(out, i) != wanted[static_cast<size_t>(i)];
    }
    level.expect(wrong == 0, "sum of " + std::to_string(source_count) + " times " + std::to_string(count));
    args.source_count = 0;
    level.run_refused(level.kernels.sum, args, {"source_count is 0"});
    args.source_count = source_count;
    args.dtype = TSP_F64;
    level.run_refused(level.kernels.sum, args, {"dtype f64"});
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        for (const int64_t columns : {0, 1, 7, 64, 1000}) {
            test_embedding(level, dtype, columns, columns % 3, false);
            test_embedding(level, dtype, columns, 1, true);
        }
        for (const int64_t count : {0, 1, 7, 16, 63, 64, 65, 1009, 50003}) {
            for (const int32_t sources : {1, 2, 3, 8}) {
                test_sum(level, dtype, count, sources, count % 2, -1);
                test_sum(level, dtype, count, sources, 0, sources - 1);
            }
        }
    }
    test_copies(level);
}

} // namespace

int main() {
    return test_levels("memory_ops_test", test_level);
}
