/* Cases of gated MLP backward: inputs as the kernel reads them, and places for what it writes. */
#pragma once

#include "mlp_backward_reference.h"

namespace tsp::test {

struct BackwardCase {
    tsp_dtype dtype;
    int64_t rows;
    int64_t columns;
    int64_t features; /* those of the weights; the kernel's are padded to a multiple of 32 */
    int64_t padding = 0;
    bool accumulate = false;
    bool saved = false;

    int64_t padded() const {
        return round_up(features, 32);
    }

    std::string name() const {
        return std::string(dtype == TSP_BF16 ? "bf16" : "f32") + " T=" + std::to_string(rows)
            + " h=" + std::to_string(columns) + " f=" + std::to_string(features) + (padding > 0 ? " padded" : "")
            + (accumulate ? " accumulate" : "") + (saved ? " saved" : "");
    }
};

inline TestTensor normal(
    std::initializer_list<int64_t> shape, tsp_dtype dtype, int64_t padding, uint32_t seed, double scale) {
    TestTensor tensor(shape, dtype, padding);
    fill_normal(tensor.view, seed, scale);
    return tensor;
}

struct BackwardOutputs {
    explicit BackwardOutputs(const BackwardCase &test)
        : hidden({test.rows, test.padded()}, test.dtype, test.padding),
          dgate({test.rows, test.padded()}, test.dtype, test.padding),
          dup({test.rows, test.padded()}, test.dtype, test.padding),
          dx({test.rows, test.columns}, TSP_F32, test.padding) {
        if (test.accumulate) {
            fill_normal(dx.view, 9);
        }
    }

    bool same(const BackwardOutputs &other) const {
        return contents(hidden) == contents(other.hidden) && contents(dgate) == contents(other.dgate)
            && contents(dup) == contents(other.dup) && contents(dx) == contents(other.dx);
    }

    TestTensor hidden;
    TestTensor dgate;
    TestTensor dup;
    TestTensor dx;
};

/* Inputs of one case as the kernel reads them; panels are as pack_panels makes them: padding is zero. */
struct BackwardFixture {
    explicit BackwardFixture(const BackwardCase &test)
        : test(test),
          weight_scale(2 / std::sqrt(static_cast<double>(std::max(test.columns, int64_t{1})))),
          x(normal({test.rows, test.columns}, test.dtype, test.padding, 1, 1)),
          dy(normal({test.rows, test.columns}, test.dtype, test.padding, 2, 1)),
          gate(normal({test.features, test.columns}, test.dtype, 0, 3, weight_scale)),
          up(normal({test.features, test.columns}, test.dtype, 0, 4, weight_scale)),
          out(normal({test.columns, test.features}, test.dtype, 0, 5, weight_scale)),
          saved(normal({test.rows, 2 * test.padded()}, test.dtype, test.padding, 6, 2)),
          gate_up_layout{TSP_PANELS_GATE_UP, test.dtype, test.features, test.columns},
          down_layout{TSP_PANELS_PLAIN, test.dtype, test.columns, test.features},
          gate_up({gate_up_layout.count()}, test.dtype, test.padding),
          down({down_layout.count()}, test.dtype, test.padding) {
        pack_reference(gate_up_layout, gate.view, up.view, gate_up.view);
        pack_reference(down_layout, out.view, out.view, down.view);
    }

    tsp_gated_mlp_backward_args args(const BackwardOutputs &outputs) const {
        tsp_gated_mlp_backward_args args{};
        args.struct_size = sizeof args;
        args.flags = test.accumulate ? TSP_ACCUMULATE : 0;
        args.x = x.view;
        args.gate_up = gate_up.view;
        args.down = down.view;
        args.dy = dy.view;
        if (test.saved) {
            args.saved = saved.view;
        }
        args.hidden = outputs.hidden.view;
        args.dgate = outputs.dgate.view;
        args.dup = outputs.dup.view;
        args.dx = outputs.dx.view;
        args.intermediate = test.padded();
        return args;
    }

    MlpInputs inputs() const {
        MlpInputs in{Matrix(x.view), Matrix(dy.view), Matrix(gate.view), Matrix(up.view), Matrix(out.view), {}};
        if (test.saved) {
            for (const bool second : {false, true}) {
                Matrix values(test.rows, test.features);
                for (int64_t row = 0; row < test.rows; ++row) {
                    for (int64_t feature = 0; feature < test.features; ++feature) {
                        values(row, feature) = get(saved.view, row, saved_column(feature, second));
                    }
                }
                in.saved.push_back(values);
            }
        }
        return in;
    }

    BackwardCase test;
    double weight_scale;
    TestTensor x;
    TestTensor dy;
    TestTensor gate;
    TestTensor up;
    TestTensor out;
    TestTensor saved; /* of its own, so that it shows whether it was read */
    PanelLayout gate_up_layout;
    PanelLayout down_layout;
    TestTensor gate_up;
    TestTensor down;
};

} // namespace tsp::test
