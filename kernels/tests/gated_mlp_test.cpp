/* Gated MLP forward at every level against plain float64. A failure here means wrong activations in every scheme. */
#include "mlp_reference.h"

using namespace tsp::test;

namespace {

struct Case {
    tsp_dtype dtype;
    int64_t rows;
    int64_t columns;
    int64_t features;
    int64_t padding = 0;
    bool accumulate = false;
    bool saved = false;

    std::string name() const {
        return std::string(dtype == TSP_BF16 ? "bf16" : "f32") + " T=" + std::to_string(rows)
            + " h=" + std::to_string(columns) + " f=" + std::to_string(features) + (padding > 0 ? " padded" : "")
            + (accumulate ? " accumulate" : "") + (saved ? " saved" : "");
    }
};

/* Tensors of one case; panels are as pack_panels makes them: padding is zero. */
class Fixture {
public:
    explicit Fixture(const Case &test)
        : test(test),
          gate_up_layout{TSP_PANELS_GATE_UP, test.dtype, test.features, test.columns},
          down_layout{TSP_PANELS_PLAIN, test.dtype, test.columns, test.features},
          x({test.rows, test.columns}, test.dtype, test.padding),
          gate_up({gate_up_layout.count()}, test.dtype, test.padding),
          down({down_layout.count()}, test.dtype, test.padding) {
        const double scale = 2.0 / std::sqrt(static_cast<double>(std::max(test.columns, int64_t{1})));
        const TestTensor gate({test.features, test.columns}, test.dtype, 0);
        const TestTensor up({test.features, test.columns}, test.dtype, 0);
        const TestTensor out({test.columns, test.features}, test.dtype, 0);
        fill_normal(x.view, 1);
        fill_normal(gate.view, 2, scale);
        fill_normal(up.view, 3, scale);
        fill_normal(out.view, 4);
        pack_reference(gate_up_layout, gate.view, up.view, gate_up.view);
        pack_reference(down_layout, out.view, out.view, down.view);
    }

    tsp_gated_mlp_args args(const TestTensor &y, const TestTensor *saved) const {
        tsp_gated_mlp_args args{};
        args.struct_size = sizeof args;
        args.flags = test.accumulate ? TSP_ACCUMULATE : 0;
        args.x = x.view;
        args.gate_up = gate_up.view;
        args.down = down.view;
        args.y = y.view;
        args.intermediate = test.features;
        if (saved != nullptr) {
            args.saved = saved->view;
        }
        return args;
    }

    TestTensor make_y() const {
        TestTensor y({test.rows, test.columns}, TSP_F32, test.padding);
        if (test.accumulate) {
            fill_normal(y.view, 5);
        }
        return y;
    }

    Case test;
    PanelLayout gate_up_layout;
    PanelLayout down_layout;
    TestTensor x;
    TestTensor gate_up;
    TestTensor down;
};

void check_saved(const Level &level, const MlpReference::Hidden &hidden, const tsp_tensor &saved, int64_t row) {
    for (int64_t feature = 0; feature < static_cast<int64_t>(hidden.gate.size()); ++feature) {
        const double rounding = 1.01 * rounding_of(saved.dtype);
        const auto at = static_cast<size_t>(feature);
        const MlpReference::Sum gate = hidden.gate[at];
        const MlpReference::Sum up = hidden.up[at];
        level.close(
            get(saved, row, saved_column(feature, false)),
            gate.value,
            gate.error + rounding * (std::fabs(gate.value) + gate.error),
            "gate");
        level.close(
            get(saved, row, saved_column(feature, true)),
            up.value,
            up.error + rounding * (std::fabs(up.value) + up.error),
            "up");
    }
}

void test_case(const Level &level, const Case &test) {
    const Fixture fixture(test);
    const TestTensor before = fixture.make_y();
    const TestTensor y = fixture.make_y();
    const TestTensor saved({test.rows, 2 * test.features}, test.dtype, test.padding);
    const tsp_gated_mlp_args args = fixture.args(y, test.saved ? &saved : nullptr);
    level.run_ok(level.kernels.gated_mlp_forward, args, 1);
    const MlpReference reference(args);
    for (int64_t row = 0; row < test.rows; row += test.rows > 100 ? 41 : 1) {
        const MlpReference::Hidden hidden = reference.hidden(row);
        for (int64_t column = 0; column < test.columns; ++column) {
            const MlpReference::Sum sum = reference.output(hidden, column);
            const double old = test.accumulate ? get(before.view, row, column) : 0;
            const double wanted = old + sum.value;
            level.close(
                get(y.view, row, column),
                wanted,
                sum.error + FP32_ROUNDING * (std::fabs(wanted) + sum.error),
                test.name() + ": y[" + std::to_string(row) + ", " + std::to_string(column) + "]");
        }
        if (test.saved) {
            check_saved(level, hidden, saved.view, row);
        }
    }
    level.guards_intact(y, test.name());
    level.guards_intact(saved, test.name());
    for (const int32_t threads : {2, 5}) {
        const TestTensor again = fixture.make_y();
        level.run_ok(level.kernels.gated_mlp_forward, fixture.args(again, nullptr), threads);
        level.expect(contents(again) == contents(y), test.name() + ": other bits with other threads");
    }
}

/* A row's result does not depend on the rows beside it. */
void test_rows_alone(const Level &level, tsp_dtype dtype) {
    const Fixture fixture({dtype, 29, 70, 96});
    const TestTensor all = fixture.make_y();
    level.run_ok(level.kernels.gated_mlp_forward, fixture.args(all, nullptr), 2);
    for (int64_t row = 0; row < all.view.shape[0]; ++row) {
        const TestTensor one({1, 70}, TSP_F32, 0);
        tsp_gated_mlp_args args = fixture.args(one, nullptr);
        args.x.shape[0] = 1;
        args.x.data = static_cast<char *>(args.x.data) + row * args.x.strides[0] * bytes_of(dtype);
        level.run_ok(level.kernels.gated_mlp_forward, args, 1);
        const auto *expected = static_cast<const float *>(all.view.data) + row * all.view.strides[0];
        level.expect(std::memcmp(expected, one.view.data, 70 * sizeof(float)) == 0, "a row alone has other bits");
    }
}

/* silu at the ends of the range of floats, and NaN. */
void test_extremes(const Level &level, tsp_dtype dtype) {
    const PanelLayout gate_up_layout{TSP_PANELS_GATE_UP, dtype, 32, 2};
    const PanelLayout down_layout{TSP_PANELS_PLAIN, dtype, 2, 32};
    const TestTensor x({4, 2}, dtype, 0);
    const TestTensor gate_up({gate_up_layout.count()}, dtype, 0);
    const TestTensor down({down_layout.count()}, dtype, 0);
    const TestTensor y({4, 2}, TSP_F32, 0);
    const float inputs[] = {1e30f, -1e30f, -100.0f, NAN};
    for (int64_t row = 0; row < 4; ++row) {
        put(x.view, inputs[row], row, 0);
        put(x.view, 1, row, 1);
    }
    for_each(gate_up.view, [&](int64_t i, int64_t, int64_t) { put(gate_up.view, 0, i); });
    for_each(down.view, [&](int64_t i, int64_t, int64_t) { put(down.view, 0, i); });
    put(gate_up.view, 1, gate_up_layout.at(0, 0, 3));
    put(gate_up.view, 1, gate_up_layout.at(0, 1, 35));
    put(down.view, 1, down_layout.at(0, 3, 0));
    put(down.view, 1, down_layout.at(0, 3, 1));
    tsp_gated_mlp_args args{};
    args.struct_size = sizeof args;
    args.x = x.view;
    args.gate_up = gate_up.view;
    args.down = down.view;
    args.y = y.view;
    args.intermediate = 32;
    level.run_ok(level.kernels.gated_mlp_forward, args, 1);
    level.close(get(y.view, 0, 0), 1e30, 1e30 * 2 * rounding_of(dtype), "silu of 1e30");
    level.close(get(y.view, 1, 0), 0, 0, "silu of -1e30");
    level.close(get(y.view, 2, 0), -100 * std::exp(-100.0), 1e-37, "silu of -100");
    level.expect(std::isnan(get(y.view, 3, 0)) && std::isnan(get(y.view, 3, 1)), "NaN became a number");
}

void test_refusals(const Level &level) {
    const Fixture fixture({TSP_BF16, 3, 40, 64});
    const TestTensor y = fixture.make_y();
    const tsp_kernel &kernel = level.kernels.gated_mlp_forward;
    const tsp_gated_mlp_args good = fixture.args(y, nullptr);
    tsp_gated_mlp_args args = good;
    args.intermediate = 33;
    level.run_refused(kernel, args, {"intermediate is 33", "32"});
    args = good;
    args.gate_up.shape[0] += 1;
    level.run_refused(kernel, args, {"gate_up: shape[0] is 5121", "5120"});
    args = good;
    args.down.dtype = TSP_F32;
    level.run_refused(kernel, args, {"down: dtype f32"});
    args = good;
    args.y.data = nullptr;
    level.run_refused(kernel, args, {"y: data is NULL"});
    args = good;
    args.flags = 6;
    level.run_refused(kernel, args, {"flags is 6"});
    tsp_launch launch{};
    launch.struct_size = sizeof launch;
    launch.threads = 1;
    launch.workspace_bytes = kernel.workspace_bytes(&good, &launch) - 1;
    const Buffer workspace(launch.workspace_bytes, 0, POISON);
    launch.workspace = workspace.data();
    tsp_error error{};
    error.struct_size = sizeof error;
    level.expect(kernel.run(&good, &launch, &error) == TSP_INVALID_ARGUMENT, "too small a workspace was accepted");
    level.expect(std::string(error.message).find("workspace_bytes") != std::string::npos, error.message);
}

void test_level(const Level &level) {
    for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
        /* One row tile less, exactly, and more; one panel of y less, exactly, and more; odd and prime. */
        for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
            for (const int64_t columns : {1, 2, 31, 63, 64, 65, 101}) {
                test_case(level, {dtype, rows, columns, 64, columns % 3, rows % 2 == 0, rows % 3 == 0});
            }
        }
        for (const int64_t features : {0, 32, 96, 160}) {
            test_case(level, {dtype, 11, 48, features, 0, features == 96, true});
        }
        test_case(level, {dtype, 0, 64, 64});
        test_case(level, {dtype, 3, 0, 64});
        /* More than a slice of depth in both products, more than a block of rows, several parts of a panel. */
        test_case(level, {dtype, 7, 1030, 1056, 1, true, true});
        test_case(level, {dtype, 389, 66, 32});
        test_case(level, {dtype, 770, 6, 64, 1, true, true});
        /* Rows of whole vectors, several tiles of GPUs in each dimension, depths that no step divides. */
        test_case(level, {dtype, 137, 200, 160, 0, true, true});
        test_case(level, {dtype, 300, 520, 288});
        test_rows_alone(level, dtype);
        test_extremes(level, dtype);
    }
    test_refusals(level);
}

} // namespace

int main() {
    return test_levels("gated_mlp_test", test_level);
}
