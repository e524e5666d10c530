/* What is under way in the block that runs on this thread of the process. Inside the emulator. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "async.h"

namespace tsp::emulator {

struct PendingLoad {
    TensorDescription tensor; /* a copy: each thread has its own parameters here */
    int32_t at[5];
    size_t offset; /* in shared memory */
    uint64_t *barrier;
};

struct PendingStore {
    BoxStore kind;
    TensorDescription tensor; /* a copy: each thread has its own parameters here */
    int32_t at[5];
    size_t offset;
};

/* What registers will hold when the products on them are done. */
struct Accumulator {
    float *registers;
    int count;
    int products;
    float values[128];
};

struct AsyncThread {
    std::vector<PendingStore> stores; /* not in a group yet */
    std::deque<std::vector<PendingStore>> store_groups;
    std::vector<Product> products;
    std::deque<std::vector<Product>> product_groups;
    std::vector<Accumulator> accumulators;
    bool may_start_products = false; /* fence_products was called since the last wait */
};

struct AsyncState {
    unsigned char *shared = nullptr;
    size_t shared_bytes = 0;
    std::unique_ptr<unsigned char[]> picture; /* shared memory as tensor cores and copy engine see it */
    size_t picture_bytes = 0;
    bool unpublished = false; /* mbarriers that the copy engine does not see yet */
    std::vector<PendingLoad> loads;
    AsyncThread threads[1024];
};

extern thread_local AsyncState async_state;

} // namespace tsp::emulator
