/* What attention backward refuses beside what forward does, and what it does with nothing. */
#include "op_test.h"

using namespace tsp::test;

namespace {

constexpr int64_t QUERY_ROWS = 20;
constexpr int64_t KEY_ROWS = 24;

/* A call that works, for a test to spoil. */
struct Call {
    Call() {
        for (const TestTensor *tensor : {&q, &k, &v, &out, &dout}) {
            fill_normal(tensor->view, 1);
        }
        fill_normal(lse.view, 2);
        args.struct_size = sizeof args;
        args.forward.struct_size = sizeof args.forward;
        args.forward.flags = TSP_CAUSAL;
        args.forward.q = q.view;
        args.forward.k = k.view;
        args.forward.v = v.view;
        args.forward.out = out.view;
        args.forward.lse = lse.view;
        args.forward.q_chunks = chunks;
        args.forward.k_chunks = chunks + 2;
        args.forward.q_chunk_count = args.forward.k_chunk_count = 2;
        args.forward.batch = 2;
        args.forward.scale = 1;
        args.dout = dout.view;
        args.dq = dq.view;
        args.dk = dk.view;
        args.dv = dv.view;
    }

    TestTensor q{{QUERY_ROWS, 4, 16}, TSP_BF16, 0};
    TestTensor k{{KEY_ROWS, 2, 16}, TSP_BF16, 0};
    TestTensor v{{KEY_ROWS, 2, 16}, TSP_BF16, 0};
    TestTensor out{{QUERY_ROWS, 4, 16}, TSP_BF16, 0};
    TestTensor lse{{QUERY_ROWS, 4}, TSP_F32, 0};
    TestTensor dout{{QUERY_ROWS, 4, 16}, TSP_BF16, 0};
    TestTensor dq{{QUERY_ROWS, 4, 16}, TSP_BF16, 0};
    TestTensor dk{{KEY_ROWS, 2, 16}, TSP_F32, 0};
    TestTensor dv{{KEY_ROWS, 2, 16}, TSP_F32, 0};
    tsp_chunk chunks[4] = {{0, 10, 5, 2}, {5, 10, 5, 7}, {0, 12, 6, 0}, {6, 12, 6, 6}};
    tsp_attention_backward_args args{};
};

struct Refusal {
    const char *message;
    void (*spoil)(Call &);
};

const Refusal REFUSALS[] = {
    {"args: struct_size is 2", [](Call &call) { call.args.struct_size = 2; }},
    {"flags is 0x2, only TSP_ACCUMULATE", [](Call &call) { call.args.flags = 2; }},
    {"flags is 0x2, only TSP_CAUSAL", [](Call &call) { call.args.forward.flags = 2; }},
    {"k: dtype f32 (0)", [](Call &call) { call.args.forward.k.dtype = TSP_F32; }},
    {"lse: rank is 0, 2 is needed", [](Call &call) { call.args.forward.lse = tsp_tensor{}; }},
    {"lse: dtype bf16 (1)", [](Call &call) { call.args.forward.lse.dtype = TSP_BF16; }},
    {"lse: shape[1] is 2, 4 is needed", [](Call &call) { call.args.forward.lse.shape[1] = 2; }},
    {"lse: data is NULL", [](Call &call) { call.args.forward.lse.data = nullptr; }},
    {"out: data is NULL", [](Call &call) { call.args.forward.out.data = nullptr; }},
    {"dout: dtype f32 (0)", [](Call &call) { call.args.dout.dtype = TSP_F32; }},
    {"dout: shape[0] is 19, 20 is needed", [](Call &call) { call.args.dout.shape[0] = 19; }},
    {"dout: data is NULL", [](Call &call) { call.args.dout.data = nullptr; }},
    {"dq: dtype f32 (0)", [](Call &call) { call.args.dq.dtype = TSP_F32; }},
    {"dq: shape[2] is 8, 16 is needed", [](Call &call) { call.args.dq.shape[2] = 8; }},
    {"dq: the last stride is 2", [](Call &call) { call.args.dq.strides[2] = 2; }},
    {"dq: data is NULL", [](Call &call) { call.args.dq.data = nullptr; }},
    {"dk: dtype bf16 (1)", [](Call &call) { call.args.dk.dtype = TSP_BF16; }},
    {"dk: shape[1] is 4, 2 is needed", [](Call &call) { call.args.dk.shape[1] = 4; }},
    {"dk: data is NULL", [](Call &call) { call.args.dk.data = nullptr; }},
    {"dv: rank is 2, 3 is needed", [](Call &call) { call.args.dv.rank = 2; }},
    {"dv: shape[0] is 23, 24 is needed", [](Call &call) { call.args.dv.shape[0] = 23; }},
    {"dv: data is NULL", [](Call &call) { call.args.dv.data = nullptr; }},
    {"k_chunks[1]: batch_rows is 0, so that sequences of 6 would write the same rows",
     [](Call &call) { call.chunks[3].batch_rows = 0; }},
    {"q_chunks[0]: batch_rows is 4, so that sequences of 5", [](Call &call) { call.chunks[0].batch_rows = 4; }},
};

void test_refusals(const Level &level) {
    const tsp_kernel &kernel = level.kernels.attention_backward;
    for (const Refusal &refusal : REFUSALS) {
        Call call;
        level.run_ok(kernel, call.args, 2);
        refusal.spoil(call);
        level.run_refused(kernel, call.args, {refusal.message});
    }
    const Call call;
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = 1;
    launch.workspace_bytes = kernel.workspace_bytes(&call.args, &launch) - 1;
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    level.expect(kernel.run(&call.args, &launch, &error) == TSP_INVALID_ARGUMENT, "too small a workspace was accepted");
    level.expect(std::strstr(error.message, "workspace_bytes") != nullptr, error.message);
    level.expect(kernel.workspace_bytes(nullptr, nullptr) == 0, "workspace of nothing");
}

/* Before buffers exist a caller asks for the workspace: data is not looked at, but that of chunks. */
void test_planning(const Level &level) {
    Call call;
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = 3;
    const int64_t bytes = level.kernels.attention_backward.workspace_bytes(&call.args, &launch);
    for (tsp_tensor *tensor :
         {&call.args.forward.q,
          &call.args.forward.k,
          &call.args.forward.v,
          &call.args.forward.out,
          &call.args.forward.lse,
          &call.args.dout,
          &call.args.dq,
          &call.args.dk,
          &call.args.dv}) {
        tensor->data = nullptr;
    }
    level.expect(
        bytes > 0 && level.kernels.attention_backward.workspace_bytes(&call.args, &launch) == bytes,
        "the workspace depends on data");
}

/* A row whose lse says that it saw nothing gives and gets nothing, whatever stands in it. */
void test_lse_of_nothing(const Level &level) {
    Call call;
    for_each(call.lse.view, [&](int64_t i, int64_t j, int64_t) { put(call.lse.view, -INFINITY, i, j); });
    for_each(call.dout.view, [&](int64_t i, int64_t j, int64_t x) { put(call.dout.view, INFINITY, i, j, x); });
    level.run_ok(level.kernels.attention_backward, call.args, 2);
    for (const TestTensor *tensor : {&call.dq, &call.dk, &call.dv}) {
        for_each(tensor->view, [&](int64_t i, int64_t j, int64_t x) {
            level.close(get(tensor->view, i, j, x), 0, 0, "gradient without a key that is seen");
        });
    }
}

/* Without queries dk and dv are 0, or stay what they are; without keys dq is 0; without a batch nothing is written. */
void test_nothing(const Level &level, uint32_t flags) {
    Call call;
    call.args.flags = flags;
    call.args.forward.q_chunk_count = 0;
    level.run_ok(level.kernels.attention_backward, call.args, 2);
    level.expect(all_poison(call.dq.buffer), "dq without queries");
    for (const TestTensor *tensor : {&call.dk, &call.dv}) {
        for_each(tensor->view, [&](int64_t i, int64_t j, int64_t x) {
            level.close(get(tensor->view, i, j, x), flags == 0 ? 0.0 : NAN, 0, "dk or dv without queries");
        });
    }
    Call keyless;
    keyless.args.flags = flags;
    keyless.args.forward.k_chunk_count = 0;
    level.run_ok(level.kernels.attention_backward, keyless.args, 2);
    level.expect(all_poison(keyless.dk.buffer) && all_poison(keyless.dv.buffer), "dk or dv without keys");
    for_each(keyless.dq.view, [&](int64_t i, int64_t j, int64_t x) {
        level.close(get(keyless.dq.view, i, j, x), 0, 0, "dq without keys");
    });
    Call batchless;
    batchless.args.forward.batch = 0;
    level.run_ok(level.kernels.attention_backward, batchless.args, 2);
    level.expect(
        all_poison(batchless.dq.buffer) && all_poison(batchless.dk.buffer) && all_poison(batchless.dv.buffer),
        "wrote without a batch");
}

} // namespace

int main() {
    return test_levels("attention_backward_errors_test", [](const Level &level) {
        test_refusals(level);
        test_planning(level);
        test_lse_of_nothing(level);
        test_nothing(level, 0);
        test_nothing(level, TSP_ACCUMULATE);
    });
}
