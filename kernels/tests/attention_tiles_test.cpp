/*
 * Attention forward in bf16 on the shapes that large tiles and copy engines are for: heads of 64 and 128 in aligned
 * tensors, lengths around tiles of 64, 128 and 192. On sm_90a it has to take the way through the copy engine, and only
 * there.
 */
#include "attention_trial.h"

#if defined(TSP_TEST_GPU) && !defined(TSP_TEST_CUDA)
#include "async.h"
#endif

using namespace tsp::test;

namespace {

uint64_t started_loads() {
#if defined(TSP_TEST_GPU) && !defined(TSP_TEST_CUDA)
    return tsp::emulator::started_loads();
#else
    return 0;
#endif
}

std::vector<Case> cases_of(int64_t d) {
    std::vector<Case> cases;
    const auto add = [&](Case test) {
        test.head_dim = d;
        test.name += " of " + std::to_string(d);
        cases.push_back(std::move(test));
    };
    const auto text = [](int64_t x) { return std::to_string(x); };
    for (const int64_t n : {1, 63, 65, 113, 127, 128, 129, 191, 193, 203, 255, 256, 257, 385}) {
        add({.name = "causal " + text(n), .chunks = one_chunk(n, n), .kv_heads = n < 200 ? 2 : 1});
    }
    for (const int64_t n : {113, 128, 203, 300}) {
        add({.name = "not causal " + text(n), .chunks = one_chunk(n, n), .causal = false});
        add({.name = "one query of " + text(n), .chunks = one_chunk(1, n), .kv_heads = 2, .group = 4});
        add({.name = "counting " + text(n), .chunks = one_chunk(n, n), .values = Values::COUNTING});
    }
    for (const int64_t group : {2, 3, 4, 5, 8}) {
        add({.name = "group " + text(group), .chunks = one_chunk(67, 203), .kv_heads = 2, .group = group});
    }
    for (const int64_t window : {1, 64, 100, 200}) {
        add({.name = "window " + text(window), .chunks = one_chunk(301, 301), .window = window});
        add(
            {.name = "window without causal mask " + text(window),
             .chunks = one_chunk(40, 330),
             .causal = false,
             .window = window});
    }
    const std::function<int32_t(int64_t)> documents = [](int64_t index) {
        return static_cast<int32_t>(index < 50 ? 0 : index < 231 ? 50 : 231);
    };
    const auto beyond = [](int64_t index) { return static_cast<int32_t>(index % 3 == 0 ? index + 1 : index / 2); };
    add({.name = "documents", .chunks = one_chunk(303, 303), .group = 2, .kv_start = documents});
    add({.name = "documents, window", .chunks = one_chunk(303, 303), .window = 140, .kv_start = documents});
    add({.name = "documents, not causal", .chunks = one_chunk(303, 303), .causal = false, .kv_start = documents});
    add({.name = "rows without keys", .chunks = one_chunk(203, 203), .group = 2, .kv_start = beyond});
    add({.name = "no row has keys", .chunks = one_chunk(99, 99), .kv_start = [](int64_t) { return 1 << 30; }});
    for (const int64_t degree : {1, 2, 4}) {
        for (int64_t p = 0; p < degree; ++p) {
            add(
                {.name = "zigzag " + text(p) + " of " + text(degree),
                 .chunks = zigzag(degree, p, degree == 2 ? 603 : 303, 2),
                 .batch = 2,
                 .group = 2,
                 .kv_start = p == 1 ? documents : nullptr});
        }
    }
    add({.name = "zigzag on tiles", .chunks = zigzag(2, 1, 1024), .window = 700});
    add({.name = "batch", .chunks = one_chunk(70, 201, 3), .batch = 3, .kv_heads = 2});
    add({.name = "missing keys", .chunks = {{{0, 0, 40, 60}}, {{2, 0, 30, 10}, {32, 0, 20, 70}}, 40, 52}, .window = 45});
    add({.name = "keys of the future", .chunks = {{{0, 0, 10, 0}}, {{0, 0, 10, 5}}, 10, 10}, .group = 2});
    add({.name = "no keys", .chunks = {{{0, 0, 10, 0}}, {}, 10, 4}});
    add({.name = "peaked", .chunks = one_chunk(333, 333), .values = Values::PEAKED});
    add({.name = "broken query", .chunks = one_chunk(203, 203), .group = 2, .values = Values::BROKEN});
    add({.name = "misaligned", .chunks = one_chunk(130, 130), .padding = 1});
    return cases;
}

/* Whether some query sees some key, so that there is something to load. */
bool has_work(const Case &test) {
    return test.chunks.keys.size() > 0 && test.name.find("no row has keys") == std::string::npos;
}

} // namespace

int main() {
    Report report;
    for (const int64_t d : {64, 128}) {
        for (const Case &test : cases_of(d)) {
            Trial trial(test, TSP_BF16);
            for_each_level(report, [&](const tsp_kernels &kernels) {
                const uint64_t before = started_loads();
                trial.run(report, kernels);
                const bool wide = std::string(kernels.isa) == "sm_90a" && test.padding == 0 && has_work(test);
                const bool loaded = started_loads() > before;
                report.expect(loaded == wide, "%s: %s took the other way", kernels.isa, test.name.c_str());
            });
        }
    }
    return report.exit_status("attention_tiles_test");
}
