/* Gated MLP backward beside what its values are: rows alone, saved pre-activations, extremes, refused arguments. */
#include "mlp_backward_cases.h"

using namespace tsp::test;

namespace {

using Case = BackwardCase;
using Outputs = BackwardOutputs;
using Fixture = BackwardFixture;

bool same_row(const TestTensor &all, int64_t row, const TestTensor &one) {
    const int64_t bytes = bytes_of(all.view.dtype);
    const auto *expected = static_cast<const char *>(all.view.data) + row * all.view.strides[0] * bytes;
    return std::memcmp(expected, one.view.data, static_cast<size_t>(all.view.shape[1] * bytes)) == 0;
}

/* A row's results do not depend on the rows beside it, nor on the block that it falls into. */
void test_rows_alone(const Level &level, const Case &test, int64_t step) {
    const Fixture fixture(test);
    const Outputs all(test);
    level.run_ok(level.kernels.gated_mlp_backward, fixture.args(all), 2);
    for (int64_t row = 0; row < test.rows; row += step) {
        const Outputs one({test.dtype, 1, test.columns, test.features});
        tsp_gated_mlp_backward_args args = fixture.args(one);
        for (tsp_tensor *input : {&args.x, &args.dy, &args.saved}) {
            if (input->data != nullptr) {
                input->shape[0] = 1;
                input->data = static_cast<char *>(input->data) + row * input->strides[0] * bytes_of(test.dtype);
            }
        }
        level.run_ok(level.kernels.gated_mlp_backward, args, 1);
        level.expect(
            same_row(all.hidden, row, one.hidden) && same_row(all.dgate, row, one.dgate)
                && same_row(all.dup, row, one.dup) && same_row(all.dx, row, one.dx),
            test.name() + ": row " + std::to_string(row) + " alone has other bits");
    }
}

/* What forward saves in f32 is what backward would recompute, to the bit. */
void test_saved_by_forward(const Level &level) {
    const Case test{TSP_F32, 13, 70, 96};
    const Fixture fixture(test);
    const TestTensor y({test.rows, test.columns}, TSP_F32, 0);
    tsp_gated_mlp_args forward{};
    forward.struct_size = sizeof forward;
    forward.x = fixture.x.view;
    forward.gate_up = fixture.gate_up.view;
    forward.down = fixture.down.view;
    forward.y = y.view;
    forward.saved = fixture.saved.view;
    forward.intermediate = test.padded();
    level.run_ok(level.kernels.gated_mlp_forward, forward, 2);
    const Outputs recomputed(test);
    const Outputs read(test);
    level.run_ok(level.kernels.gated_mlp_backward, fixture.args(recomputed), 2);
    tsp_gated_mlp_backward_args args = fixture.args(read);
    args.saved = fixture.saved.view;
    level.run_ok(level.kernels.gated_mlp_backward, args, 2);
    level.expect(read.same(recomputed), "what forward saved gives other bits than recomputing it");
}

/* silu' at the ends of the range of floats, and NaN: dhidden is 1 and up is 2 for feature 3. */
void test_extremes(const Level &level, tsp_dtype dtype) {
    const Case test{dtype, 5, 2, 32, 0, false, true};
    const Fixture fixture(test);
    for_each(fixture.saved.view, [&](int64_t i, int64_t j, int64_t) { put(fixture.saved.view, 0, i, j); });
    for_each(fixture.dy.view, [&](int64_t i, int64_t j, int64_t) { put(fixture.dy.view, j == 0 ? 1 : 0, i, j); });
    put(fixture.down.view, 1, fixture.down_layout.at(0, 3, 0));
    const double gates[] = {1e30, -1e30, -100, 100, NAN};
    const double silus[] = {1e30, 0, 0, 100, NAN};
    const double slopes[] = {1, 0, 0, 1, NAN};
    for (int64_t row = 0; row < 5; ++row) {
        put(fixture.saved.view, gates[row], row, saved_column(3, false));
        put(fixture.saved.view, 2, row, saved_column(3, true));
    }
    const Outputs got(test);
    level.run_ok(level.kernels.gated_mlp_backward, fixture.args(got), 1);
    const double relative = 2 * rounding_of(dtype);
    for (int64_t row = 0; row < 5; ++row) {
        const double silu = silus[row];
        level.close(get(got.hidden.view, row, 3), 2 * silu, 2 * silu * relative + 1e-37, "hidden at an extreme");
        level.close(get(got.dup.view, row, 3), silu, silu * relative + 1e-37, "dup at an extreme");
        level.close(get(got.dgate.view, row, 3), 2 * slopes[row], 2 * relative + 1e-37, "dgate at an extreme");
    }
}

void test_refusals(const Level &level) {
    const Case test{TSP_BF16, 3, 40, 64};
    const Fixture fixture(test);
    const Outputs outputs(test);
    const tsp_kernel &kernel = level.kernels.gated_mlp_backward;
    const tsp_gated_mlp_backward_args good = fixture.args(outputs);
    const auto refused = [&](const auto &change, std::initializer_list<const char *> words) {
        tsp_gated_mlp_backward_args args = good;
        change(args);
        level.run_refused(kernel, args, words);
    };
    refused([](auto &args) { args.intermediate = 33; }, {"intermediate is 33", "32"});
    refused([](auto &args) { args.x.dtype = TSP_I32; }, {"x: dtype i32"});
    refused([](auto &args) { args.gate_up.shape[0] += 1; }, {"gate_up: shape[0] is 5121", "5120"});
    refused([](auto &args) { args.down.dtype = TSP_F32; }, {"down: dtype f32"});
    refused([](auto &args) { args.dy.shape[1] = 41; }, {"dy: shape[1] is 41", "40"});
    refused([](auto &args) { args.dy.dtype = TSP_F32; }, {"dy: dtype f32"});
    refused(
        [&](auto &args) {
            args.saved = fixture.saved.view;
            args.saved.shape[1] = 64;
        },
        {"saved: shape[1] is 64", "128"});
    refused([](auto &args) { args.hidden.shape[0] = 2; }, {"hidden: shape[0] is 2", "3"});
    refused([](auto &args) { args.dgate.dtype = TSP_F32; }, {"dgate: dtype f32"});
    refused([](auto &args) { args.dup.shape[1] = 32; }, {"dup: shape[1] is 32", "64"});
    refused([](auto &args) { args.dx.dtype = TSP_BF16; }, {"dx: dtype bf16"});
    refused([](auto &args) { args.dx.data = nullptr; }, {"dx: data is NULL"});
    refused([](auto &args) { args.hidden.data = nullptr; }, {"hidden: data is NULL"});
    refused([](auto &args) { args.flags = 6; }, {"flags is 6"});
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = 1;
    const int64_t needed = kernel.workspace_bytes(&good, &launch);
    if (needed == 0) {
        return;
    }
    launch.workspace_bytes = needed - 1;
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    level.expect(kernel.run(&good, &launch, &error) == TSP_INVALID_ARGUMENT, "too small a workspace was accepted");
    level.expect(std::string(error.message).find("workspace_bytes") != std::string::npos, error.message);
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        test_rows_alone(level, {dtype, 29, 70, 96}, 1);
        test_rows_alone(level, {dtype, 400, 66, 64, 1, false, true}, 57);
        test_extremes(level, dtype);
    }
    test_saved_by_forward(level);
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("gated_mlp_backward_edges_test", test_level);
}
