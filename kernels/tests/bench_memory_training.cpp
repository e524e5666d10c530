/* The part of bench_memory that only training needs. */
#include "bench_memory.h"

namespace tsp::test {
namespace {

void bench_rms_norm(
    Bench &bench, const char *name, tsp_dtype dtype, tsp_dtype dout_dtype, tsp_dtype dx_dtype, int64_t rows,
    uint32_t flags) {
    const TestTensor x({rows, 4096}, dtype, 0);
    const TestTensor dout({rows, 4096}, dout_dtype, 0);
    const TestTensor dx({rows, 4096}, dx_dtype, 0);
    const TestTensor weight({4096}, dtype, 0);
    const TestTensor dweight({4096}, TSP_F32, 0);
    fill_rows(x, 1);
    fill_rows(dout, 2);
    fill_rows(dx, 4);
    fill_normal(weight.view, 3);
    tsp_rms_norm_backward_args args{};
    args.struct_size = sizeof args;
    args.epsilon = 1e-5f;
    args.flags = flags;
    args.x = x.view;
    args.weight = weight.view;
    args.dout = dout.view;
    args.dx = dx.view;
    args.dweight = dweight.view;
    const double held = flags == TSP_ACCUMULATE ? get(dx.view, 5, 7) : 0;
    bench.check(bench.kernels.rms_norm_backward, args);
    double squares = 0;
    for (int64_t j = 0; j < 4096; ++j) {
        squares += get(x.view, 5, j) * get(x.view, 5, j);
    }
    const double factor = 1 / std::sqrt(squares / 4096 + 1e-5);
    double products = 0;
    for (int64_t j = 0; j < 4096; ++j) {
        products += get(x.view, 5, j) * factor * get(dout.view, 5, j) * get(weight.view, j);
    }
    const double wanted =
        held + factor * (get(dout.view, 5, 7) * get(weight.view, 7) - get(x.view, 5, 7) * factor * products / 4096);
    bench.level.close(get(dx.view, 5, 7), wanted, 1e-6 + rounding_of(dx_dtype) * std::fabs(wanted), name);
    const int64_t written = bytes_in(dx) * (flags == TSP_ACCUMULATE ? 2 : 1);
    bench.time(name, bench.kernels.rms_norm_backward, args, bytes_in(x) + bytes_in(dout) + written);
}

void bench_cross_entropy(Bench &bench, const char *name, tsp_dtype dtype, bool in_place) {
    constexpr int64_t ROWS = 256;
    constexpr int64_t VOCAB = 128256;
    const TestTensor logits({ROWS, VOCAB}, TSP_F32, 0);
    const TestTensor dlogits({in_place ? 0 : ROWS, VOCAB}, dtype, 0);
    const TestTensor labels({ROWS}, TSP_I32, 0);
    const TestTensor state({ROWS, 3}, TSP_F32, 0);
    const TestTensor scale({1}, TSP_F32, 0);
    fill_rows(logits, 1);
    for (int64_t t = 0; t < ROWS; ++t) {
        put(labels.view, static_cast<double>(t), t);
        put(state.view, 5, t, 0);
        put(state.view, 1500, t, 1);
    }
    put(scale.view, 1e-3, 0);
    tsp_cross_entropy_backward_args args{};
    args.struct_size = sizeof args;
    args.logits = logits.view;
    args.labels = labels.view;
    args.state = state.view;
    args.scale = scale.view;
    args.dlogits = in_place ? logits.view : dlogits.view;
    const double wanted = std::exp(get(logits.view, 9, 77) - 5) / 1500 * 1e-3;
    bench.check(bench.kernels.cross_entropy_backward, args);
    bench.level.close(get(args.dlogits, 9, 77), wanted, (1e-6 + rounding_of(dtype)) * wanted, name);
    bench.time(name, bench.kernels.cross_entropy_backward, args, ROWS * VOCAB * (4 + bytes_of(dtype)));
}

void bench_embedding(Bench &bench, const char *name, int64_t tokens) {
    const TestTensor dout({tokens, 4096}, TSP_F32, 0);
    const TestTensor ids({tokens}, TSP_I32, 0);
    const TestTensor table({32768, 4096}, TSP_F32, 0);
    fill_rows(dout, 1);
    for (int64_t t = 0; t < tokens; ++t) {
        put(ids.view, static_cast<double>(t * 7919 % 32768), t);
    }
    std::memset(table.view.data, 0, static_cast<size_t>(bytes_in(table)));
    tsp_embedding_backward_args args{};
    args.struct_size = sizeof args;
    args.flags = TSP_ACCUMULATE;
    args.dout = dout.view;
    args.ids = ids.view;
    args.dtable = table.view;
    bench.check(bench.kernels.embedding_backward, args);
    bench.level.close(get(table.view, 3 * 7919, 5), get(dout.view, 3, 5), 0, name);
    bench.time(name, bench.kernels.embedding_backward, args, 3 * bytes_in(dout));
}

void bench_column_sum(Bench &bench, const char *name, tsp_dtype dtype) {
    const TestTensor x({16384, 4096}, dtype, 0);
    const TestTensor out({4096}, TSP_F32, 0);
    fill_rows(x, 1);
    tsp_column_sum_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.out = out.view;
    bench.check(bench.kernels.column_sum, args);
    double wanted = 0;
    for (int64_t t = 0; t < 16384; ++t) {
        wanted += get(x.view, t, 9);
    }
    bench.level.close(get(out.view, 9), wanted, 0.01, name);
    bench.time(name, bench.kernels.column_sum, args, bytes_in(x));
}

void bench_square_sum(Bench &bench, const char *name, int64_t count) {
    const TestTensor x({count / 4096, 4096}, TSP_F32, 0);
    fill_rows(x, 1);
    double out = 0;
    tsp_square_sum_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.x.rank = 1;
    args.x.shape[0] = count;
    args.x.strides[0] = 1;
    args.out = {.data = &out, .shape = {1}, .strides = {1}, .rank = 1, .dtype = TSP_F64};
    bench.check(bench.kernels.square_sum, args);
    double wanted = 0;
    for (int64_t i = 0; i < count; ++i) {
        wanted += get(args.x, i) * get(args.x, i);
    }
    bench.level.close(out, wanted, 1e-10 * wanted, name);
    bench.time(name, bench.kernels.square_sum, args, bytes_in(x));
}

void bench_adamw(Bench &bench, const char *name, tsp_dtype moments, bool with_rounded, int64_t count) {
    const auto make = [&](tsp_dtype dtype, uint32_t seed) {
        TestTensor tensor({count / 4096, 4096}, dtype, 0);
        fill_rows(tensor, seed, 0.1);
        tensor.view.rank = 1;
        tensor.view.shape[0] = count;
        tensor.view.strides[0] = 1;
        return tensor;
    };
    const TestTensor parameter = make(TSP_F32, 1);
    const TestTensor grad = make(TSP_F32, 2);
    const TestTensor first = make(moments, 3);
    const TestTensor second = make(moments, 4);
    const TestTensor rounded = make(TSP_BF16, 5);
    for (int64_t i = 0; i < count; ++i) {
        put(second.view, std::fabs(get(second.view, i)), i);
    }
    const TestTensor hyper({TSP_HYPER_COUNT}, TSP_F32, 0);
    const TestTensor clip({3}, TSP_F32, 0);
    const float values[TSP_HYPER_COUNT] = {1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.0f, 1.0f, 0.0f};
    for (int64_t i = 0; i < TSP_HYPER_COUNT; ++i) {
        put(hyper.view, values[i], i);
    }
    put(clip.view, 1, 0);
    put(clip.view, 0, 1);
    tsp_adamw_args args{};
    args.struct_size = sizeof args;
    args.flags = TSP_DECAY;
    args.parameter = parameter.view;
    args.grad = grad.view;
    args.first = first.view;
    args.second = second.view;
    args.hyper = hyper.view;
    args.clip = clip.view;
    if (with_rounded) {
        args.rounded = rounded.view;
    }
    const double m = 0.9 * get(first.view, 99) + 0.1 * get(grad.view, 99);
    const double v = 0.95 * get(second.view, 99) + 0.05 * std::pow(get(grad.view, 99), 2);
    const double wanted = get(parameter.view, 99) * (1 - 1e-4) - 1e-3 * m / (std::sqrt(v) + 1e-8);
    bench.check(bench.kernels.adamw, args);
    bench.level.close(get(parameter.view, 99), wanted, 1e-6 * std::fabs(wanted), name);
    const int64_t moved = 3 * bytes_in(parameter) + 2 * bytes_in(first) + 2 * bytes_in(second);
    bench.time(name, bench.kernels.adamw, args, moved + (with_rounded ? bytes_in(rounded) : 0));
}

} // namespace

const std::vector<Entry> TRAINING_ENTRIES = {
    {"rms_norm_backward f32",
     [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_F32, TSP_F32, TSP_F32, 8192, 0); }},
    {"rms_norm_backward bf16, f32",
     [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, TSP_F32, TSP_F32, 8192, 0); }},
    {"rms_norm_backward bf16, +=",
     [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, TSP_F32, TSP_F32, 8192, TSP_ACCUMULATE); }},
    {"rms_norm_backward bf16",
     [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, TSP_BF16, TSP_BF16, 16384, 0); }},
    {"rms_norm_backward, in cache",
     [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, TSP_F32, TSP_F32, 512, 0); }},
    {"cross_entropy_backward", [](Bench &b, const char *name) { bench_cross_entropy(b, name, TSP_F32, false); }},
    {"cross_entropy_backward, own", [](Bench &b, const char *name) { bench_cross_entropy(b, name, TSP_F32, true); }},
    {"cross_entropy_backward bf16", [](Bench &b, const char *name) { bench_cross_entropy(b, name, TSP_BF16, false); }},
    {"embedding_backward", [](Bench &b, const char *name) { bench_embedding(b, name, 8192); }},
    {"column_sum f32", [](Bench &b, const char *name) { bench_column_sum(b, name, TSP_F32); }},
    {"column_sum bf16", [](Bench &b, const char *name) { bench_column_sum(b, name, TSP_BF16); }},
    {"square_sum", [](Bench &b, const char *name) { bench_square_sum(b, name, int64_t{1} << 25); }},
    {"adamw", [](Bench &b, const char *name) { bench_adamw(b, name, TSP_F32, false, int64_t{1} << 23); }},
    {"adamw, rounded", [](Bench &b, const char *name) { bench_adamw(b, name, TSP_F32, true, int64_t{1} << 23); }},
    {"adamw bf16, rounded", [](Bench &b, const char *name) { bench_adamw(b, name, TSP_BF16, true, int64_t{1} << 23); }},
};

} // namespace tsp::test
