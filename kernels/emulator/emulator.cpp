/* Fibers and how they take turns. */
#include "emulator.h"

#include "async.h"

#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#error "the emulator switches stacks with x86-64 instructions"
#endif

/* Saves the registers that a call keeps and the stack, and goes on where another fiber had done so. */
extern "C" void tsp_emulator_switch(void **saved, void *next);
asm(R"(
.text
.globl tsp_emulator_switch
.hidden tsp_emulator_switch
.type tsp_emulator_switch, @function
tsp_emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size tsp_emulator_switch, .-tsp_emulator_switch
)");

namespace tsp::emulator {
namespace {

constexpr size_t STACK_BYTES = size_t{256} << 10;
constexpr int NAMED_BARRIERS = 16;
constexpr int MAX_THREADS = 1024;
constexpr size_t SHARED_ALIGNMENT = 1024;
constexpr int SHARED_LIMIT = 227 << 10; /* of a block on sm_90 */

/* Some warps stand still for some rounds, always the same ones, so that others run ahead of them. */
bool is_held(int warp, uint32_t round) {
    constexpr uint32_t ROUNDS = 8;
    const uint32_t mixed = (round / ROUNDS * 0x9e3779b1u) ^ (static_cast<uint32_t>(warp) * 0x85ebca6bu);
    return (mixed * 0xc2b2ae35u) >> 30 == 0;
}

/* What one thread of the process needs to run blocks. */
class Engine {
public:
    ~Engine() {
        if (stacks != nullptr) {
            munmap(stacks, STACK_BYTES * MAX_THREADS);
        }
        std::free(shared);
    }

    void run_block(const char *name, const Block &which, const Body &body_of_threads);
    void wait(const char *what, bool (*ready)(const void *), const void *context);

    Block block{};
    Thread *current = nullptr;
    Meeting warps[MAX_THREADS / WARP];
    Meeting warpgroups[MAX_THREADS / WARPGROUP];
    Meeting barriers[NAMED_BARRIERS];

    unsigned char *shared_memory() {
        if (shared == nullptr) {
            shared = static_cast<unsigned char *>(std::aligned_alloc(SHARED_ALIGNMENT, SHARED_LIMIT + SHARED_ALIGNMENT));
        }
        return shared;
    }

private:
    static void thread_main();
    void start(Thread &thread, int number);
    void enter(Thread &thread);
    void leave(Thread &thread, bool for_good);
    [[noreturn]] void report_deadlock();

    unsigned char *stack_of(int number) {
        return stacks + STACK_BYTES * static_cast<size_t>(number);
    }

    const char *kernel = "";
    const Body *body = nullptr;
    unsigned char *stacks = nullptr;
    unsigned char *shared = nullptr;
    void *scheduler = nullptr;
    void *fake_stack = nullptr;
    const void *scheduler_stack = nullptr;
    size_t scheduler_stack_bytes = 0;
    std::unique_ptr<Thread[]> threads;
};

thread_local Engine engine;

void Engine::enter(Thread &thread) {
    current = &thread;
#if defined(__SANITIZE_ADDRESS__)
    void *own = nullptr;
    __sanitizer_start_switch_fiber(&own, stack_of(thread.number), STACK_BYTES);
#endif
    tsp_emulator_switch(&scheduler, thread.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

void Engine::leave(Thread &thread, [[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
    void *own = nullptr;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &own, scheduler_stack, scheduler_stack_bytes);
#endif
    tsp_emulator_switch(&thread.stack_pointer, scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(own, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void Engine::thread_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &engine.scheduler_stack, &engine.scheduler_stack_bytes);
#endif
    engine.body->run();
    Thread &thread = *engine.current;
    if (!thread.copies.empty() || !thread.copy_groups.empty()) {
        fault("%s: thread %d returned with asynchronous copies that it did not wait for", engine.kernel, thread.number);
    }
    end_async_thread(engine.kernel, thread.number);
    thread.done = true;
    --engine.block.live;
    engine.leave(thread, true);
}

void Engine::start(Thread &thread, int number) {
    const auto n = static_cast<uint32_t>(number);
    thread.index = {
        n % block.threads.x, n / block.threads.x % block.threads.y, n / (block.threads.x * block.threads.y)};
    thread.number = number;
    thread.done = false;
    thread.ready = nullptr;
    thread.copies.clear();
    thread.copy_groups.clear();
    /* As if thread_main had been called from address 0: its return address and six saved registers. */
    auto **top = reinterpret_cast<void **>(stack_of(number) + STACK_BYTES) - 1;
    *top = nullptr;
    *--top = reinterpret_cast<void *>(&Engine::thread_main);
    for (int i = 0; i < 6; ++i) {
        *--top = nullptr;
    }
    thread.stack_pointer = top;
}

void Engine::run_block(const char *name, const Block &which, const Body &body_of_threads) {
    kernel = name;
    body = &body_of_threads;
    block = which;
    if (stacks == nullptr) {
        void *memory = mmap(
            nullptr, STACK_BYTES * MAX_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            fault("no memory for the stacks of a block");
        }
        stacks = static_cast<unsigned char *>(memory);
        threads = std::make_unique<Thread[]>(MAX_THREADS);
    }
    begin_async(block.shared, block.shared_bytes);
    for (int i = 0; i < block.live; ++i) {
        start(threads[static_cast<size_t>(i)], i);
    }
    const int count = block.live;
    for (uint32_t round = 0; block.live > 0; ++round) {
        bool moved = false;
        bool held = false;
        for (int i = 0; i < count; ++i) {
            Thread &thread = threads[static_cast<size_t>(i)];
            if (is_held(i / WARP, round)) {
                held = held || !thread.done;
                continue;
            }
            if (!thread.done && (thread.ready == nullptr || thread.ready(thread.context))) {
                thread.ready = nullptr;
                moved = true;
                enter(thread);
            }
        }
        if (!moved && !held) {
            report_deadlock();
        }
    }
    end_async(name);
}

void Engine::report_deadlock() {
    for (int i = 0;; ++i) {
        const Thread &thread = threads[static_cast<size_t>(i)];
        if (!thread.done) {
            fault(
                "%s: %d threads of block (%u, %u, %u) wait for ever; the first of them, thread %d, for %s",
                kernel,
                block.live,
                block.index.x,
                block.index.y,
                block.index.z,
                thread.number,
                thread.waits_for);
        }
    }
}

void Engine::wait(const char *what, bool (*ready)(const void *), const void *context) {
    Thread &thread = *current;
    thread.waits_for = what;
    thread.context = context;
    thread.ready = ready;
    leave(thread, false);
}

/* size 0: all threads of the block that have not returned, however many those are when it is looked at. */
void meet(Meeting &meeting, int size, const char *what, int member, void *mine, void (*combine)(void *const *)) {
    if (meeting.arrived > 0 && meeting.what != what) {
        fault("threads that should do the same came to %s and to %s", meeting.what, what);
    }
    meeting.what = what;
    meeting.members[member] = mine;
    ++meeting.arrived;
    const uint32_t generation = meeting.generation;
    const auto complete = [&meeting, size] { return meeting.arrived == (size == 0 ? engine.block.live : size); };
    wait_until(what, [&] { return meeting.generation != generation || complete(); });
    if (meeting.generation == generation) {
        if (combine != nullptr) {
            combine(meeting.members);
        }
        meeting.arrived = 0;
        ++meeting.generation;
    }
}

} // namespace

Thread &self() {
    return *engine.current;
}

Block &block() {
    return engine.block;
}

void wait(const char *what, bool (*ready)(const void *), const void *context) {
    engine.wait(what, ready, context);
}

void meet_warp(const char *what, void *mine, void (*combine)(void *const *)) {
    const int number = self().number;
    meet(engine.warps[number / WARP], WARP, what, number % WARP, mine, combine);
}

void meet_warpgroup(const char *what, void *mine, void (*combine)(void *const *)) {
    const int number = self().number;
    meet(engine.warpgroups[number / WARPGROUP], WARPGROUP, what, number % WARPGROUP, mine, combine);
}

void barrier_sync(int id, int threads) {
    meet(engine.barriers[id], threads, "a barrier", 0, nullptr, nullptr);
}

void barrier_arrive(int id, int threads) {
    Meeting &meeting = engine.barriers[id];
    meeting.what = "a barrier";
    if (++meeting.arrived == threads) {
        meeting.arrived = 0;
        ++meeting.generation;
    }
}

void fault(const char *format, ...) {
    va_list values;
    va_start(values, format);
    std::fputs("CUDA emulator: ", stderr);
    std::vfprintf(stderr, format, values);
    std::fputc('\n', stderr);
    va_end(values);
    std::abort();
}

void run_grid(const char *kernel, Index grid, Index threads, size_t shared_bytes, const Body &body) {
    const uint64_t count = uint64_t{threads.x} * threads.y * threads.z;
    if (count == 0 || count > MAX_THREADS || count % WARP != 0 || shared_bytes > SHARED_LIMIT) {
        fault("%s: %lu threads and %zu bytes of shared memory for a block", kernel, count, shared_bytes);
    }
    unsigned char *shared = engine.shared_memory();
    for (uint32_t z = 0; z < grid.z; ++z) {
        for (uint32_t y = 0; y < grid.y; ++y) {
            for (uint32_t x = 0; x < grid.x; ++x) {
                std::memset(shared, 0xff, shared_bytes);
                engine.run_block(
                    kernel, {{x, y, z}, threads, grid, shared, shared_bytes, static_cast<int>(count)}, body);
            }
        }
    }
}

} // namespace tsp::emulator
