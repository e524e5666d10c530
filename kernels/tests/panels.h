/* Panels written element by element as tsp_forward.h describes them, in the order of the library under test. */
#pragma once

#include "op_test.h"

namespace tsp::test {

constexpr int64_t PANEL_COLUMNS = TSP_PANEL;

inline int64_t round_up(int64_t x, int64_t multiple) {
    return (x + multiple - 1) / multiple * multiple;
}

/* Where column number column of a panel of gates and ups, 32 gates and then 32 ups, stands in a row of the product with the
 * panel, such as one of saved pre-activations. */
inline int64_t packed_column(int64_t column) {
#if defined(TSP_TEST_GPU)
    constexpr int64_t GROUP = 8; /* gates and ups in turn */
    const int64_t feature = column % (PANEL_COLUMNS / 2);
    return feature / GROUP * 2 * GROUP + feature % GROUP + column / (PANEL_COLUMNS / 2) * GROUP;
#else
    return column;
#endif
}

/* Where the gate or the up of a feature stands in a row of saved pre-activations. */
inline int64_t saved_column(int64_t feature, bool up) {
    constexpr int64_t FEATURES = PANEL_COLUMNS / 2;
    return feature / FEATURES * PANEL_COLUMNS + packed_column(feature % FEATURES + (up ? FEATURES : 0));
}

struct PanelLayout {
    int32_t layout;
    tsp_dtype dtype;
    int64_t rows; /* of each source */
    int64_t columns;

    int64_t depth() const {
        return round_up(columns, layout == TSP_PANELS_GATE_UP ? 2 : 32);
    }

    int64_t rows_per_panel() const {
        return layout == TSP_PANELS_GATE_UP ? PANEL_COLUMNS / 2 : PANEL_COLUMNS;
    }

    int64_t panels() const {
        return round_up(rows, rows_per_panel()) / rows_per_panel();
    }

    int64_t count() const {
        return panels() * depth() * PANEL_COLUMNS;
    }

    /* Where element [k, column] of panel stands; columns of a panel of gates and ups: 32 gates, then 32 ups. */
    int64_t at(int64_t panel, int64_t k, int64_t column) const {
        const int64_t start = panel * depth() * PANEL_COLUMNS;
#if defined(TSP_TEST_GPU)
        return start + (layout == TSP_PANELS_GATE_UP ? packed_column(column) : column) * depth() + k;
#endif
        return start + (dtype == TSP_F32 ? k * PANEL_COLUMNS + column : (k / 2 * PANEL_COLUMNS + column) * 2 + k % 2);
    }
};

inline void pack_reference(
    const PanelLayout &layout, const tsp_tensor &source, const tsp_tensor &second, const tsp_tensor &panels) {
    for (int64_t panel = 0; panel < layout.panels(); ++panel) {
        for (int64_t k = 0; k < layout.depth(); ++k) {
            for (int64_t column = 0; column < PANEL_COLUMNS; ++column) {
                const bool first = column < layout.rows_per_panel();
                const int64_t row = panel * layout.rows_per_panel() + column % layout.rows_per_panel();
                const bool inside = row < layout.rows && k < layout.columns;
                put(panels, inside ? get(first ? source : second, row, k) : 0.0, layout.at(panel, k, column));
            }
        }
    }
}

} // namespace tsp::test
