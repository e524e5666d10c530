/*
 * bench_memory [LEVEL [THREADS [NAME]]]: ops that only move memory, those whose name starts with NAME, each checked before
 * it is timed. Prints the bytes that an op must read and write per second, the best of several calls, and the share of
 * what a copy of as many bytes reaches in the same run: the better of memcpy and of stores past the caches.
 */
#include "bench_memory.h"
#include "panels.h"

using namespace tsp::test;

namespace {

void bench_copy(Bench &bench, const char *name, tsp_dtype from, tsp_dtype to, int64_t rows, int64_t padding) {
    const TestTensor source({rows, 8192}, from, padding);
    const TestTensor target({rows, 8192}, to, 0);
    fill_rows(source, 1);
    tsp_copy_args args{};
    args.struct_size = sizeof args;
    args.source = source.view;
    args.target = target.view;
    bench.check(bench.kernels.copy, args);
    for (int64_t i = 0; i < rows; i += 7) {
        const auto wanted = static_cast<float>(get(source.view, i, i * 31 % 8192));
        bench.level.close(get(target.view, i, i * 31 % 8192), rounded(to, wanted), 0, name);
    }
    bench.time(name, bench.kernels.copy, args, rows * 8192 * (bytes_of(from) + bytes_of(to)));
}

void bench_pack(Bench &bench, const char *name, int32_t kind, tsp_dtype from, tsp_dtype to) {
    const bool gate_up = kind == TSP_PANELS_GATE_UP;
    const PanelLayout layout{kind, to, gate_up ? 7168 : 4096, gate_up ? 4096 : 14336};
    const TestTensor source({layout.rows, layout.columns}, from, 0);
    const TestTensor second({layout.rows, layout.columns}, from, 0);
    const TestTensor panels({layout.count()}, to, 0);
    fill_rows(source, 1);
    fill_rows(second, 2);
    tsp_pack_args args{};
    args.struct_size = sizeof args;
    args.layout = kind;
    args.source = source.view;
    args.second = second.view;
    args.panels = panels.view;
    bench.check(bench.kernels.pack_panels, args);
    for (int64_t i = 0; i < 10000; ++i) {
        const int64_t row = i * 7919 % layout.rows;
        const int64_t k = i * 104729 % layout.columns;
        const auto wanted = static_cast<float>(get(source.view, row, k));
        const int64_t at = layout.at(row / layout.rows_per_panel(), k, row % layout.rows_per_panel());
        bench.level.close(get(panels.view, at), rounded(to, wanted), 0, name);
    }
    const int64_t read = bytes_in(source) * (gate_up ? 2 : 1);
    bench.time(name, bench.kernels.pack_panels, args, read + bytes_in(panels));
}

void bench_rms_norm(Bench &bench, const char *name, tsp_dtype dtype, int64_t rows, bool with_delta) {
    const TestTensor x({rows, 4096}, dtype, 0);
    const TestTensor delta({rows, 4096}, TSP_F32, 0);
    const TestTensor sum({rows, 4096}, dtype, 0);
    const TestTensor out({rows, 4096}, dtype, 0);
    const TestTensor weight({4096}, dtype, 0);
    fill_rows(x, 1);
    fill_rows(delta, 2);
    fill_normal(weight.view, 3);
    tsp_rms_norm_args args{};
    args.struct_size = sizeof args;
    args.epsilon = 1e-5f;
    args.x = x.view;
    args.weight = weight.view;
    args.out = out.view;
    if (with_delta) {
        args.delta = delta.view;
        args.sum = sum.view;
    }
    bench.check(bench.kernels.rms_norm_forward, args);
    for (int64_t row = 0; row < rows; row += 37) {
        const tsp_tensor &input = with_delta ? sum.view : x.view;
        double squares = 0;
        for (int64_t j = 0; j < 4096; ++j) {
            squares += get(input, row, j) * get(input, row, j);
        }
        const double wanted =
            get(input, row, row % 4096) / std::sqrt(squares / 4096 + 1e-5) * get(weight.view, row % 4096);
        bench.level.close(get(out.view, row, row % 4096), wanted, 2.1 * BF16_ROUNDING * std::fabs(wanted), name);
    }
    const int64_t extra = with_delta ? bytes_in(delta) + bytes_in(sum) : 0;
    bench.time(name, bench.kernels.rms_norm_forward, args, bytes_in(x) + bytes_in(out) + extra);
}

void bench_rope(Bench &bench, const char *name, tsp_dtype dtype, int64_t rows) {
    const TestTensor x({rows, 32, 128}, dtype, 0);
    const TestTensor positions({rows}, TSP_I32, 0);
    const TestTensor inv_freq({64}, TSP_F32, 0);
    fill_rows(x, 1);
    for (int64_t t = 0; t < rows; ++t) {
        put(positions.view, static_cast<double>(t), t);
    }
    for (int64_t i = 0; i < 64; ++i) {
        put(inv_freq.view, std::pow(5e5, -static_cast<double>(i) / 64), i);
    }
    tsp_rope_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.positions = positions.view;
    args.inv_freq = inv_freq.view;
    const double before = std::hypot(get(x.view, rows - 1, 31, 5), get(x.view, rows - 1, 31, 69));
    bench.check(bench.kernels.rope, args);
    const double after = std::hypot(get(x.view, rows - 1, 31, 5), get(x.view, rows - 1, 31, 69));
    bench.level.close(after, before, 3 * BF16_ROUNDING * before, "length of a rotated pair");
    bench.time(name, bench.kernels.rope, args, 2 * bytes_in(x));
}

void bench_cross_entropy(Bench &bench, const char *name, int64_t rows, int64_t vocab) {
    const TestTensor logits({rows, vocab}, TSP_F32, 0);
    const TestTensor labels({rows}, TSP_I32, 0);
    const TestTensor state({rows, 3}, TSP_F32, 0);
    fill_rows(logits, 1);
    for_each(labels.view, [&](int64_t t, int64_t, int64_t) { put(labels.view, static_cast<double>(t), t); });
    tsp_cross_entropy_update_args args{};
    args.struct_size = sizeof args;
    args.flags = TSP_FIRST;
    args.logits = logits.view;
    args.labels = labels.view;
    args.state = state.view;
    bench.check(bench.kernels.cross_entropy_update, args);
    double sum = 0;
    for (int64_t j = 0; j < vocab; ++j) {
        sum += std::exp(get(logits.view, 5, j) - get(state.view, 5, 0));
    }
    bench.level.close(get(state.view, 5, 1), sum, 1e-5 * sum, "sum of exponentials");
    bench.time(name, bench.kernels.cross_entropy_update, args, bytes_in(logits));
}

void bench_sum(Bench &bench, const char *name, tsp_dtype dtype, int64_t count) {
    std::vector<TestTensor> tensors;
    std::vector<const void *> sources;
    for (uint32_t i = 0; i < 4; ++i) {
        tensors.emplace_back(std::initializer_list<int64_t>{count / 4096, 4096}, dtype, 0);
        fill_rows(tensors.back(), i);
        sources.push_back(tensors.back().view.data);
    }
    const TestTensor target({count}, dtype, 0);
    tsp_sum_args args{};
    args.struct_size = sizeof args;
    args.dtype = dtype;
    args.sources = sources.data();
    args.target = target.view.data;
    args.count = count;
    args.source_count = 4;
    bench.check(bench.kernels.sum, args);
    for (int64_t i = 0; i < count; i += 4099) {
        float wanted = 0;
        for (const TestTensor &tensor : tensors) {
            wanted += static_cast<float>(get(tensor.view, i / 4096, i % 4096));
        }
        bench.level.close(get(target.view, i), rounded(dtype, wanted), 0, name);
    }
    bench.time(name, bench.kernels.sum, args, 5 * count * bytes_of(dtype));
}

constexpr Entry ENTRIES[] = {
    {"copy f32", [](Bench &b, const char *name) { bench_copy(b, name, TSP_F32, TSP_F32, 8192, 0); }},
    {"copy f32 to bf16", [](Bench &b, const char *name) { bench_copy(b, name, TSP_F32, TSP_BF16, 8192, 0); }},
    {"copy bf16 to f32", [](Bench &b, const char *name) { bench_copy(b, name, TSP_BF16, TSP_F32, 8192, 0); }},
    {"copy bf16, strided", [](Bench &b, const char *name) { bench_copy(b, name, TSP_BF16, TSP_BF16, 8192, 64); }},
    {"copy f32 to bf16, in cache", [](Bench &b, const char *name) { bench_copy(b, name, TSP_F32, TSP_BF16, 256, 0); }},
    {"pack gate_up bf16",
     [](Bench &b, const char *name) { bench_pack(b, name, TSP_PANELS_GATE_UP, TSP_BF16, TSP_BF16); }},
    {"pack gate_up f32 to bf16",
     [](Bench &b, const char *name) { bench_pack(b, name, TSP_PANELS_GATE_UP, TSP_F32, TSP_BF16); }},
    {"pack gate_up f32", [](Bench &b, const char *name) { bench_pack(b, name, TSP_PANELS_GATE_UP, TSP_F32, TSP_F32); }},
    {"pack plain bf16", [](Bench &b, const char *name) { bench_pack(b, name, TSP_PANELS_PLAIN, TSP_BF16, TSP_BF16); }},
    {"pack plain f32", [](Bench &b, const char *name) { bench_pack(b, name, TSP_PANELS_PLAIN, TSP_F32, TSP_F32); }},
    {"rms_norm bf16", [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, 16384, false); }},
    {"rms_norm f32", [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_F32, 8192, false); }},
    {"rms_norm bf16 + f32, sum", [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, 8192, true); }},
    {"rms_norm bf16, in cache", [](Bench &b, const char *name) { bench_rms_norm(b, name, TSP_BF16, 512, false); }},
    {"rope bf16", [](Bench &b, const char *name) { bench_rope(b, name, TSP_BF16, 8192); }},
    {"rope f32", [](Bench &b, const char *name) { bench_rope(b, name, TSP_F32, 4096); }},
    {"cross_entropy_update", [](Bench &b, const char *name) { bench_cross_entropy(b, name, 256, 128256); }},
    {"sum of 4 f32", [](Bench &b, const char *name) { bench_sum(b, name, TSP_F32, int64_t{1} << 24); }},
    {"sum of 4 bf16", [](Bench &b, const char *name) { bench_sum(b, name, TSP_BF16, int64_t{1} << 24); }},
};

} // namespace

int main(int argc, char **argv) {
    tsp_error error{};
    error.struct_size = sizeof error;
    const tsp_kernels *kernels = tsp_kernels_get(argc > 1 ? argv[1] : nullptr, &error);
    if (kernels == nullptr) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    Bench bench(*kernels, argc > 2 ? std::atoi(argv[2]) : 2);
    const std::string wanted = argc > 3 ? argv[3] : "";
    for (const Entry &entry : ENTRIES) {
        entry.run_if(bench, wanted);
    }
    for (const Entry &entry : TRAINING_ENTRIES) {
        entry.run_if(bench, wanted);
    }
    return bench.report.exit_status("bench_memory");
}
