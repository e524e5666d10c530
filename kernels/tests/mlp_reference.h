/* The gated MLP of one row in float64, read from panels, with a bound on what a correct kernel may err. */
#pragma once

#include "panels.h"

namespace tsp::test {

struct MlpReference {
    const tsp_gated_mlp_args &args;
    PanelLayout gate_up;
    PanelLayout down;

    explicit MlpReference(const tsp_gated_mlp_args &args)
        : args(args),
          gate_up{TSP_PANELS_GATE_UP, args.x.dtype, args.intermediate, args.x.shape[1]},
          down{TSP_PANELS_PLAIN, args.x.dtype, args.x.shape[1], args.intermediate} {}

    struct Sum {
        double value;
        double error;
    };

    /* The hidden activation of a row: what a feature is, and by how much the kernel's may differ. */
    struct Hidden {
        std::vector<Sum> gate;
        std::vector<Sum> up;
        std::vector<Sum> product;
    };

    Sum pre_activation(int64_t row, int64_t feature, bool up) const {
        const int64_t panel = feature / gate_up.rows_per_panel();
        const int64_t column = feature % gate_up.rows_per_panel() + (up ? gate_up.rows_per_panel() : 0);
        Sum sum{0, 0};
        for (int64_t k = 0; k < args.x.shape[1]; ++k) {
            const double term = get(args.x, row, k) * get(args.gate_up, gate_up.at(panel, k, column));
            sum.value += term;
            sum.error += std::fabs(term);
        }
        sum.error *= FP32_ROUNDING * static_cast<double>(args.x.shape[1] + 1);
        return sum;
    }

    Hidden hidden(int64_t row) const {
        Hidden result;
        for (int64_t feature = 0; feature < args.intermediate; ++feature) {
            const Sum gate = pre_activation(row, feature, false);
            const Sum up = pre_activation(row, feature, true);
            const double silu = gate.value / (1 + std::exp(-gate.value));
            const double value = silu * up.value;
            /* |silu'| is at most 1.1; the exponential and three roundings follow, then that to the dtype. */
            const double exponential = args.x.dtype == TSP_BF16 ? 8e-6 : 5e-7;
            const double error = 1.1 * gate.error * (std::fabs(up.value) + up.error) + std::fabs(silu) * up.error
                + (exponential + rounding_of(args.x.dtype)) * std::fabs(value);
            result.gate.push_back(gate);
            result.up.push_back(up);
            result.product.push_back({value, error});
        }
        return result;
    }

    /* One column of y, without what y held before. */
    Sum output(const Hidden &hidden, int64_t column) const {
        Sum sum{0, 0};
        double magnitude = 0;
        for (int64_t k = 0; k < args.intermediate; ++k) {
            const double weight = get(args.down, down.at(column / PANEL_COLUMNS, k, column % PANEL_COLUMNS));
            const Sum &feature = hidden.product[static_cast<size_t>(k)];
            sum.value += weight * feature.value;
            sum.error += std::fabs(weight) * feature.error;
            magnitude += std::fabs(weight) * (std::fabs(feature.value) + feature.error);
        }
        sum.error += FP32_ROUNDING * static_cast<double>(args.intermediate + 2) * magnitude;
        return sum;
    }
};

} // namespace tsp::test
