/* pack_panels against the layout written out element by element: equal in every bit, and nothing beside it touched. */
#include "panels.h"

using namespace tsp::test;

namespace {

tsp_pack_args make_args(int32_t layout, const tsp_tensor &source, const tsp_tensor &second, const tsp_tensor &panels) {
    tsp_pack_args args{};
    args.struct_size = sizeof args;
    args.layout = layout;
    args.source = source;
    args.second = second;
    args.panels = panels;
    return args;
}

void pack_whole(const Level &level, const PanelLayout &layout, tsp_dtype source_dtype, int64_t padding) {
    if (is_left_out()) {
        return;
    }
    const TestTensor source({layout.rows, layout.columns}, source_dtype, padding);
    const TestTensor second({layout.rows, layout.columns}, source_dtype, padding);
    fill_normal(source.view, 1, 1e3);
    fill_normal(second.view, 2, 1e-3);
    const TestTensor expected({layout.count()}, layout.dtype, 0);
    pack_reference(layout, source.view, second.view, expected.view);
    for (const int32_t threads : {1, 3}) {
        const TestTensor panels({layout.count()}, layout.dtype, padding);
        level.run_ok(
            level.kernels.pack_panels, make_args(layout.layout, source.view, second.view, panels.view), threads);
        level.expect(
            contents(panels) == contents(expected),
            "rows " + std::to_string(layout.rows) + " columns " + std::to_string(layout.columns) + " layout "
                + std::to_string(layout.layout) + " dtypes " + std::to_string(source_dtype) + " -> "
                + std::to_string(layout.dtype));
    }
}

/* Rows that fill panels 1 and 2 of 4. */
void pack_part(const Level &level, tsp_dtype dtype) {
    const PanelLayout part{TSP_PANELS_GATE_UP, dtype, 61, 40};
    const PanelLayout whole{TSP_PANELS_GATE_UP, dtype, 128, 40};
    const TestTensor source({part.rows, part.columns}, dtype, 0);
    const TestTensor second({part.rows, part.columns}, dtype, 0);
    fill_normal(source.view, 1);
    fill_normal(second.view, 2);
    const TestTensor panels({whole.count()}, dtype, 0);
    const TestTensor expected({whole.count()}, dtype, 0);
    tsp_tensor inner = expected.view;
    inner.shape[0] = part.count();
    const int64_t skipped = whole.at(1, 0, 0);
    inner.data = static_cast<char *>(inner.data) + skipped * bytes_of(dtype);
    pack_reference(part, source.view, second.view, inner);
    tsp_pack_args args = make_args(TSP_PANELS_GATE_UP, source.view, second.view, panels.view);
    args.first_panel = 1;
    level.run_ok(level.kernels.pack_panels, args, 2);
    level.expect(contents(panels) == contents(expected), "panels 1 and 2 of 4");
    args.first_panel = 3;
    level.run_refused(level.kernels.pack_panels, args, {"first_panel is 3", "room for 4"});
    args.first_panel = 0;
    args.panels.shape[0] -= 1;
    level.run_refused(level.kernels.pack_panels, args, {"panels: shape[0] is 10239", "2560"});
    args.layout = 2;
    level.run_refused(level.kernels.pack_panels, args, {"layout is 2"});
}

/* Values that are hard to round: ties, the largest bf16, NaN, subnormals, infinity. */
void pack_rounding(const Level &level) {
    const float values[] = {1.00390625f, 1.01171875f, 3.3961776e38f, 3.4e38f, 1e-40f, -1e-40f, INFINITY, -0.0f};
    const TestTensor source({64, 64}, TSP_F32, 0);
    for_each(source.view, [&](int64_t i, int64_t j, int64_t) { put(source.view, values[(i + j) % 8], i, j); });
    const PanelLayout layout{TSP_PANELS_PLAIN, TSP_BF16, 64, 64};
    const TestTensor panels({layout.count()}, TSP_BF16, 0);
    const TestTensor expected({layout.count()}, TSP_BF16, 0);
    pack_reference(layout, source.view, source.view, expected.view);
    level.run_ok(level.kernels.pack_panels, make_args(TSP_PANELS_PLAIN, source.view, {}, panels.view), 1);
    level.expect(contents(panels) == contents(expected), "rounding");
    put(source.view, NAN, 5, 7);
    level.run_ok(level.kernels.pack_panels, make_args(TSP_PANELS_PLAIN, source.view, {}, panels.view), 1);
    level.expect(std::isnan(get(panels.view, layout.at(0, 7, 5))), "NaN became a number");
}

void test_level(const Level &level) {
    for (const int32_t layout : {TSP_PANELS_PLAIN, TSP_PANELS_GATE_UP}) {
        for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
            for (const tsp_dtype source : {TSP_F32, TSP_BF16}) {
                for (const int64_t rows : {0, 1, 31, 32, 33, 63, 64, 65, 131}) {
                    for (const int64_t columns : {0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 101}) {
                        const int64_t padding = (rows + columns) % 2 == 0 ? 0 : 3;
                        pack_whole(level, {layout, dtype, rows, columns}, source, padding);
                    }
                }
                pack_whole(level, {layout, dtype, 520, 512}, source, 0);
            }
        }
    }
    pack_part(level, TSP_F32);
    pack_part(level, TSP_BF16);
    pack_rounding(level);
}

} // namespace

int main() {
    return test_levels("pack_panels_test", test_level);
}
