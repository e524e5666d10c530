/* What attention forward refuses, and that its message names the argument and the value. */
#include <cmath>
#include <functional>

#include "buffers.h"
#include "expect.h"

using namespace tsp::test;

namespace {

/* Whether a library may do without a workspace: there is nothing to refuse then. */
#if defined(TSP_TEST_GPU)
constexpr bool WITHOUT_WORKSPACE = true;
#else
constexpr bool WITHOUT_WORKSPACE = false;
#endif

/* A call that works, for a test to spoil. */
struct Call {
    Call() {
        args.struct_size = sizeof args;
        args.flags = TSP_CAUSAL;
        args.q = q.view;
        args.k = k.view;
        args.v = v.view;
        args.out = out.view;
        args.lse = lse.view;
        args.kv_start = kv_start.view;
        args.q_chunks = chunks;
        args.k_chunks = chunks + 2;
        args.q_chunk_count = args.k_chunk_count = 2;
        args.batch = 2;
        args.scale = 1;
        launch.struct_size = sizeof launch;
        launch.threads = 2;
        std::memset(kv_start.view.data, 0, static_cast<size_t>(kv_start.buffer.bytes()));
    }

    tsp_status run(const tsp_kernels &kernels, tsp_error &error) {
        return kernels.attention_forward.run(&args, &launch, &error);
    }

    TestTensor q{{20, 4, 16}, TSP_BF16, 0};
    TestTensor k{{24, 2, 16}, TSP_BF16, 0};
    TestTensor v{{24, 2, 16}, TSP_BF16, 0};
    TestTensor out{{20, 4, 16}, TSP_BF16, 0};
    TestTensor lse{{20, 4}, TSP_F32, 0};
    TestTensor kv_start{{20}, TSP_I32, 0};
    tsp_chunk chunks[4] = {{0, 10, 5, 2}, {5, 10, 5, 7}, {0, 12, 6, 0}, {6, 12, 6, 6}};
    tsp_attention_args args{};
    tsp_launch launch{};
};

struct Refusal {
    const char *message;
    std::function<void(Call &)> spoil;
    bool workspace = false;
};

const Refusal REFUSALS[] = {
    {"args: struct_size is 2", [](Call &call) { call.args.struct_size = 2; }},
    {"launch: threads is 0, at least 1", [](Call &call) { call.launch.threads = 0; }},
    {"q: rank is 2, 3 is needed", [](Call &call) { call.args.q.rank = 2; }},
    {"q: dtype i32 (2)", [](Call &call) { call.args.q.dtype = TSP_I32; }},
    {"k: dtype f32 (0)", [](Call &call) { call.args.k.dtype = TSP_F32; }},
    {"v: shape[0] is 23, 24 is needed", [](Call &call) { call.args.v.shape[0] = 23; }},
    {"out: shape[1] is 3, 4 is needed", [](Call &call) { call.args.out.shape[1] = 3; }},
    {"q: shape[0] is -1", [](Call &call) { call.args.q.shape[0] = -1; }},
    {"k: strides[0] is -32", [](Call &call) { call.args.k.strides[0] = -32; }},
    {"q: the last stride is 2, 1 is needed", [](Call &call) { call.args.q.strides[2] = 2; }},
    {"the head dimension is 12, a multiple of 8", [](Call &call) { call.args.q.shape[2] = 12; }},
    {"the head dimension is 264, a multiple of 8 up to 256", [](Call &call) { call.args.q.shape[2] = 264; }},
    {"q has 4 heads, which is not a multiple of the 3 of k", [](Call &call) { call.args.k.shape[1] = 3; }},
    {"lse: shape[1] is 2, 4 is needed", [](Call &call) { call.args.lse.shape[1] = 2; }},
    {"lse: dtype bf16 (1)", [](Call &call) { call.args.lse.dtype = TSP_BF16; }},
    {"kv_start: shape[0] is 19, 20 is needed", [](Call &call) { call.args.kv_start.shape[0] = 19; }},
    {"kv_start: dtype f32 (0)", [](Call &call) { call.args.kv_start.dtype = TSP_F32; }},
    {"flags is 0x3", [](Call &call) { call.args.flags = 3; }},
    {"batch is -1", [](Call &call) { call.args.batch = -1; }},
    {"window is -5", [](Call &call) { call.args.window = -5; }},
    {"scale is 0, it must be positive", [](Call &call) { call.args.scale = 0; }},
    {"scale is nan", [](Call &call) { call.args.scale = NAN; }},
    {"q_chunks: the count is -1", [](Call &call) { call.args.q_chunk_count = -1; }},
    {"k_chunks is NULL", [](Call &call) { call.args.k_chunks = nullptr; }},
    {"q_chunks[1]: count is -2", [](Call &call) { call.chunks[1].count = -2; }},
    {"q_chunks[1]: first_row 6, batch_rows 10, count 5 leave the tensor of 20 rows in a batch of 2",
     [](Call &call) { call.chunks[1].first_row = 6; }},
    {"q_chunks[0]: first_row -1", [](Call &call) { call.chunks[0].first_row = -1; }},
    {"q_chunks[0]: first_row 0, batch_rows 10, count 5 leave the tensor of 20 rows in a batch of 3",
     [](Call &call) { call.args.batch = 3; }},
    {"k_chunks[0]: first_row 0, batch_rows 9223372036854775807",
     [](Call &call) { call.chunks[2].batch_rows = INT64_MAX; }},
    {"k_chunks[1]: first_row 9223372036854775807", [](Call &call) { call.chunks[3].first_row = INT64_MAX; }},
    {"q_chunks[1]: batch_rows is 4, so that sequences of 5", [](Call &call) { call.chunks[1].batch_rows = 4; }},
    {"k_chunks[0]: start is -1", [](Call &call) { call.chunks[2].start = -1; }},
    {"k_chunks[1]: start is 9223372036854775807", [](Call &call) { call.chunks[3].start = INT64_MAX; }},
    {"k_chunks[1]: start is 5, but the chunks before it reach to 6", [](Call &call) { call.chunks[3].start = 5; }},
    {"out: data is NULL", [](Call &call) { call.args.out.data = nullptr; }},
    {"is not aligned to its elements of 2 bytes",
     [](Call &call) { call.args.v.data = static_cast<char *>(call.args.v.data) + 1; }},
    {"launch: workspace_bytes is 64, ", [](Call &call) { call.launch.workspace_bytes = 64; }, true},
    {"launch: workspace is NULL", [](Call &call) { call.launch.workspace = nullptr; }, true},
    {"is not aligned to 64 bytes",
     [](Call &call) { call.launch.workspace = static_cast<char *>(call.launch.workspace) + 32; },
     true},
};

void check_refusals(Report &report, const tsp_kernels &kernels) {
    for (const Refusal &refusal : REFUSALS) {
        Call call;
        call.launch.workspace_bytes = kernels.attention_forward.workspace_bytes(&call.args, &call.launch);
        if (refusal.workspace && call.launch.workspace_bytes == 0) {
            report.expect(WITHOUT_WORKSPACE, "%s: no workspace is asked for", kernels.isa);
            continue;
        }
        const Buffer workspace(call.launch.workspace_bytes, 0, 0);
        call.launch.workspace = workspace.data();
        tsp_error error{};
        error.struct_size = sizeof error;
        report.expect(call.run(kernels, error) == TSP_OK, "the call that works does not: %s", error.message);
        refusal.spoil(call);
        const tsp_status status = call.run(kernels, error);
        report.expect(
            status == TSP_INVALID_ARGUMENT && error.status == status
                && std::strstr(error.message, refusal.message) != nullptr,
            "status %d, '%s' instead of '%s'",
            status,
            error.message,
            refusal.message);
        report.expect(kernels.attention_forward.run(&call.args, &call.launch, nullptr) == status, "without tsp_error");
    }
    tsp_error error{};
    error.struct_size = sizeof error;
    report.expect(
        kernels.attention_forward.run(nullptr, nullptr, &error) == TSP_INVALID_ARGUMENT
            && std::strcmp(error.message, "args is NULL") == 0,
        "args NULL: %s",
        error.message);
    report.expect(kernels.attention_forward.workspace_bytes(nullptr, nullptr) == 0, "workspace of nothing");
}

void check_levels(Report &report) {
    tsp_error error{};
    error.struct_size = sizeof error;
    const tsp_kernels *unknown = tsp_kernels_get("sse5", &error);
    report.expect(
        unknown == nullptr && error.status == TSP_INVALID_ARGUMENT && std::strstr(error.message, "'sse5'") != nullptr,
        "unknown level: %s",
        error.message);
    setenv(ISA_VARIABLE, LEVELS[0], 1);
    report.expect(std::strcmp(tsp_kernels_get(nullptr, nullptr)->isa, LEVELS[0]) == 0, "%s is ignored", ISA_VARIABLE);
    unsetenv(ISA_VARIABLE);
    const tsp_kernels *best = tsp_kernels_get(nullptr, nullptr);
    report.expect(best == tsp_kernels_get(nullptr, nullptr), "two calls give two tables");
    report.expect(best->abi_version == TSP_ABI_VERSION && best->struct_size == sizeof *best, "version or size");
    report.expect(std::strstr(best->build_info, best->isa) != nullptr, "build_info: %s", best->build_info);
}

} // namespace

int main() {
    Report report;
    for_each_level(report, [&](const tsp_kernels &kernels) { check_refusals(report, kernels); });
    check_levels(report);
    return report.exit_status("attention_errors_test");
}
