#include <cinttypes>

#include "check.h"
#include "checks.h"
#include "host_device.h"

namespace tsp {

PackPlan check(const tsp_pack_args &args) {
    require(
        args.layout == TSP_PANELS_PLAIN || args.layout == TSP_PANELS_GATE_UP,
        "layout is %d, TSP_PANELS_PLAIN or TSP_PANELS_GATE_UP is needed",
        args.layout);
    const bool gate_up = args.layout == TSP_PANELS_GATE_UP;
    require_tensor(args.source, "source", 2, {TSP_F32, TSP_BF16});
    const int64_t rows = args.source.shape[0];
    const int64_t columns = args.source.shape[1];
    if (gate_up) {
        require_tensor(args.second, "second", 2, {args.source.dtype});
        require_shape(args.second, "second", {rows, columns});
    }
    require_tensor(args.panels, "panels", 1, {TSP_F32, TSP_BF16});
    const int64_t rows_per_panel = gate_up ? TSP_PANEL / 2 : TSP_PANEL;
    const int64_t depth = round_up(columns, int64_t{gate_up ? 2 : 32});
    const PackPlan plan{rows, columns, depth, rows_per_panel, divide_up(rows, rows_per_panel)};
    const int64_t panel_elements = plan.depth * TSP_PANEL;
    const int64_t capacity = panel_elements == 0 ? 0 : args.panels.shape[0] / panel_elements;
    require(
        capacity * panel_elements == args.panels.shape[0],
        "panels: shape[0] is %" PRId64 ", a multiple of %" PRId64 " is needed",
        args.panels.shape[0],
        panel_elements);
    require(
        panel_elements == 0 || (args.first_panel >= 0 && args.first_panel + plan.panels <= capacity),
        "first_panel is %" PRId64 ": panels has room for %" PRId64 " and %" PRId64 " are to be written",
        args.first_panel,
        capacity,
        plan.panels);
    require_data(args.source, "source");
    if (gate_up) {
        require_data(args.second, "second");
    }
    require_data(args.panels, "panels");
    return plan;
}

} // namespace tsp
