/* The shapes and masks that attention is tried on. */
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tsp_kernels.h"

namespace tsp::test {

/* Numbers of threads that have to give what one thread gives. GPUs know of none: a second run shows that nothing is left
 * to chance, and the emulator takes its time for each. */
#if defined(TSP_TEST_GPU)
constexpr int32_t FURTHER_THREADS[] = {2};
#else
constexpr int32_t FURTHER_THREADS[] = {2, 3};
#endif

struct Chunks {
    std::vector<tsp_chunk> queries;
    std::vector<tsp_chunk> keys;
    int64_t query_rows;
    int64_t key_rows;
};

/* PEAKED: scores of some hundreds. COUNTING: equal scores and one-hot values, so that out counts keys exactly.
 * BROKEN: the query with index 3 is NaN, and so must be its output, but no other. */
enum class Values { NORMAL, PEAKED, COUNTING, BROKEN };

struct Case {
    std::string name;
    Chunks chunks;
    int64_t batch = 1;
    int64_t kv_heads = 1;
    int64_t group = 1;
    int64_t head_dim = 16;
    bool causal = true;
    int64_t window = 0;
    std::function<int32_t(int64_t)> kv_start = nullptr; /* of the index in the whole sequence */
    int64_t padding = 0;
    Values values = Values::NORMAL;
};

/* Sequences of `keys` tokens of which the last `queries` ask; in a batch, rows between them belong to nobody. */
inline Chunks one_chunk(int64_t queries, int64_t keys, int64_t batch = 1) {
    const int64_t gap = batch > 1 ? 3 : 0;
    return {
        {{0, queries + gap, queries, keys - queries}},
        {{0, keys + gap, keys, 0}},
        batch * (queries + gap),
        batch * (keys + gap)};
}

/* What rank p of `degree` sees: its own chunks p and 2 degree - 1 - p, of uneven lengths, and the keys of all ranks in
 * the order in which a gather leaves them, rank after rank. */
inline Chunks zigzag(int64_t degree, int64_t p, int64_t count, int64_t batch = 1) {
    const int64_t parts = 2 * degree;
    const auto begin = [&](int64_t part) { return part * count / parts; };
    const auto size = [&](int64_t part) { return begin(part + 1) - begin(part); };
    Chunks chunks{{}, std::vector<tsp_chunk>(static_cast<size_t>(parts)), 0, 0};
    for (int64_t rank = 0; rank < degree; ++rank) {
        const int64_t low = rank;
        const int64_t high = parts - 1 - rank;
        const int64_t rows = size(low) + size(high);
        chunks.keys[static_cast<size_t>(low)] = {chunks.key_rows, rows, size(low), begin(low)};
        chunks.keys[static_cast<size_t>(high)] = {chunks.key_rows + size(low), rows, size(high), begin(high)};
        chunks.key_rows += batch * rows;
        if (rank == p) {
            chunks.queries = {{0, rows, size(low), begin(low)}, {size(low), rows, size(high), begin(high)}};
            chunks.query_rows = batch * rows;
        }
    }
    return chunks;
}

inline std::vector<Case> attention_cases() {
    std::vector<Case> cases;
    const auto add = [&](Case test) { cases.push_back(std::move(test)); };
    const auto text = [](int64_t x) { return std::to_string(x); };

    for (const int64_t d : {8, 16, 24, 40, 56, 64, 72, 96, 104, 128, 136, 192, 256}) {
        add({.name = "head dimension " + text(d), .chunks = one_chunk(67, 67), .group = 2, .head_dim = d});
    }
    for (const int64_t n : {1, 2, 5, 6, 7, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 203, 255, 256, 257}) {
        add({.name = "causal " + text(n), .chunks = one_chunk(n, n), .kv_heads = 2});
        add({.name = "counting " + text(n), .chunks = one_chunk(n, n), .head_dim = 64, .values = Values::COUNTING});
    }
    for (const int64_t n : {1, 63, 65, 300}) {
        add({.name = "not causal " + text(n), .chunks = one_chunk(n, n), .kv_heads = 2, .causal = false});
        add({.name = "one query of " + text(n), .chunks = one_chunk(1, n), .kv_heads = 2, .group = 8});
        add({.name = "five queries of " + text(n + 4), .chunks = one_chunk(5, n + 4), .kv_heads = 3, .group = 3});
    }
    add({.name = "long", .chunks = one_chunk(805, 805)});
    add({.name = "long window", .chunks = one_chunk(150, 2000), .window = 1100});
    add({.name = "long grouped", .chunks = one_chunk(203, 203), .kv_heads = 2, .group = 4, .head_dim = 32});
    for (const int64_t window : {1, 2, 31, 64, 100, 1000}) {
        add({.name = "window " + text(window), .chunks = one_chunk(301, 301), .group = 3, .window = window});
        add(
            {.name = "window without causal mask " + text(window),
             .chunks = one_chunk(40, 160),
             .causal = false,
             .window = window});
        add({.name = "window of one query " + text(window), .chunks = one_chunk(1, 301), .window = window});
    }
    const std::function<int32_t(int64_t)> documents = [](int64_t index) {
        return static_cast<int32_t>(index < 50 ? 0 : index < 131 ? 50 : 131);
    };
    const auto beyond = [](int64_t index) { return static_cast<int32_t>(index % 3 == 0 ? index + 1 : index / 2); };
    add({.name = "documents", .chunks = one_chunk(203, 203), .group = 2, .kv_start = documents});
    add({.name = "documents and window", .chunks = one_chunk(203, 203), .window = 40, .kv_start = documents});
    add(
        {.name = "documents without causal mask",
         .chunks = one_chunk(203, 203),
         .causal = false,
         .kv_start = documents});
    add({.name = "rows without keys", .chunks = one_chunk(203, 203), .group = 2, .kv_start = beyond});
    add({.name = "no row has keys", .chunks = one_chunk(99, 99), .kv_start = [](int64_t) { return 1 << 30; }});
    for (const int64_t degree : {1, 2, 3, 4}) {
        for (int64_t p = 0; p < degree; ++p) {
            add(
                {.name = "zigzag " + text(p) + " of " + text(degree),
                 .chunks = zigzag(degree, p, 203, 2),
                 .batch = 2,
                 .group = 2,
                 .kv_start = p == 1 ? documents : nullptr,
                 .padding = 3});
        }
    }
    for (const int64_t p : {0, 3, 7}) {
        add({.name = "zigzag with empty chunks " + text(p), .chunks = zigzag(8, p, 13), .kv_heads = 2});
    }
    add({.name = "zigzag with window", .chunks = zigzag(3, 1, 401), .head_dim = 40, .window = 90});
    add({.name = "batch", .chunks = one_chunk(70, 101, 3), .batch = 3, .kv_heads = 2, .head_dim = 72, .padding = 5});
    add(
        {.name = "missing keys",
         .chunks = {{{0, 0, 40, 60}}, {{2, 0, 30, 10}, {32, 0, 20, 70}}, 40, 52},
         .window = 45});
    add({.name = "keys of the future", .chunks = {{{0, 0, 10, 0}}, {{0, 0, 10, 5}}, 10, 10}, .group = 2});
    add({.name = "no keys", .chunks = {{{0, 0, 10, 0}}, {}, 10, 0}});
    add({.name = "no key rows", .chunks = {{{0, 0, 10, 0}}, {{0, 0, 0, 0}}, 10, 0}, .causal = false});
    add({.name = "no queries", .chunks = {{}, {{0, 0, 10, 0}}, 4, 10}});
    add({.name = "no batch", .chunks = one_chunk(10, 10), .batch = 0});
    add({.name = "peaked", .chunks = one_chunk(203, 203), .head_dim = 64, .values = Values::PEAKED});
    add({.name = "broken query", .chunks = one_chunk(70, 70), .head_dim = 24, .values = Values::BROKEN});
    return cases;
}

} // namespace tsp::test
