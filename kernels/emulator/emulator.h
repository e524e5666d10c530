/*
 * Runs device code on the CPU, for tests on machines without a GPU: every CUDA thread of a block is a fiber, blocks run
 * one after another. What lanes of a warp or threads of a block do together is computed by the last one to come. A wait
 * that nothing can end, lanes that meet in different operations, and misaligned vectors end the process with a message.
 *
 * It shows that a kernel computes what it should, not that it is fast, nor that it is free of the hazards that only
 * hardware has: here threads of a block take turns.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

/* Called from the library of kernels. */
#pragma GCC visibility push(default)

namespace tsp::emulator {

constexpr int WARP = 32;
constexpr int WARPGROUP = 128;

struct Index {
    uint32_t x, y, z;
};

/* Threads that meet, such as the lanes of a warp. */
struct Meeting {
    const char *what = nullptr;
    int arrived = 0;
    uint32_t generation = 0;
    void *members[WARPGROUP];
};

/* A copy that a thread has asked for and that has not been made yet. */
struct PendingCopy {
    void *target;
    const void *source; /* NULL: zeros */
    int bytes;
};

struct Thread {
    Index index;
    int number; /* in its block */
    bool done;
    bool (*ready)(const void *); /* NULL: can go on */
    const void *context;
    const char *waits_for;
    void *stack_pointer;
    std::vector<PendingCopy> copies; /* not in a group yet */
    std::deque<std::vector<PendingCopy>> copy_groups;

    int lane() const {
        return number % WARP;
    }
};

struct Block {
    Index index;
    Index threads;
    Index grid;
    unsigned char *shared;
    size_t shared_bytes;
    int live; /* threads that have not returned */
};

/* The thread and the block that run now on this thread of the process. */
Thread &self();
Block &block();

/* Lets others go on until ready(context). */
void wait(const char *what, bool (*ready)(const void *), const void *context);

template <class Ready>
void wait_until(const char *what, const Ready &ready) {
    if (!ready()) {
        wait(what, [](const void *context) { return (*static_cast<const Ready *>(context))(); }, &ready);
    }
}

/* The lanes of the caller's warp, or the threads of its warpgroup, meet; the last one calls combine for all. */
void meet_warp(const char *what, void *mine, void (*combine)(void *const *lanes));
void meet_warpgroup(const char *what, void *mine, void (*combine)(void *const *threads));

/* The same with types: combine is a function of Lane *const *, without captures. */
template <class Lane, class Combine>
void meet_warp(const char *what, Lane &mine, const Combine &) {
    meet_warp(what, &mine, [](void *const *lanes) { Combine{}(reinterpret_cast<Lane *const *>(lanes)); });
}

template <class Lane, class Combine>
void meet_warpgroup(const char *what, Lane &mine, const Combine &) {
    meet_warpgroup(what, &mine, [](void *const *threads) { Combine{}(reinterpret_cast<Lane *const *>(threads)); });
}

/* Barrier number id of a block for this many threads; arrive does not wait. 0 threads: all that have not returned. */
void barrier_sync(int id, int threads);
void barrier_arrive(int id, int threads);

/* Ends the process. */
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs body once for each thread of each block, on this thread of the process. Shared memory begins as NaN. */
struct Body {
    virtual void run() const = 0;
    virtual ~Body() = default;
};
void run_grid(const char *kernel, Index grid, Index threads, size_t shared_bytes, const Body &body);

} // namespace tsp::emulator

#pragma GCC visibility pop
