/* That the emulator finds what hardware punishes now and then: each kernel here is wrong in one way, in a process of its
 * own, which has to end with a sentence about it. */
#include "hopper_test.h"

#if !defined(__CUDACC__)

#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace tsp::test {
namespace {

using namespace gpu;

enum class Misuse {
    NONE,
    FEW_BYTES,
    MANY_BYTES,
    NOT_PUBLISHED,
    NOT_INITIALISED,
    FULL_SLOT,
    NOBODY_WAITS,
    TOO_MANY_ARRIVALS,
    STORE_WITHOUT_FENCE,
    STORE_NOT_WAITED_FOR,
    PRODUCT_OF_WRITTEN,
    PRODUCT_WITHOUT_FENCE,
    PRODUCT_NOT_WAITED_FOR,
    READ_TOO_EARLY,
    LOAD_UNDER_PRODUCT,
    PARITY
};

constexpr uint32_t TILE = 64 * PANEL_ROW_BYTES;

/* Loads a tile twice over, multiplies it by itself, and stores it; out [0]: a sum of one thread. */
__global__ void wrong(const __grid_constant__ TensorMap map, const __grid_constant__ TensorMap target, Misuse misuse, float *out) {
    auto *memory = shared_memory<unsigned char>();
    auto *barrier = reinterpret_cast<MBarrier *>(memory + 2 * TILE);
    const bool first = threadIdx.x == 0;
    const auto is = [&](Misuse one) { return misuse == one; };
    if (first) {
        if (!is(Misuse::NOT_INITIALISED)) {
            mbarrier_init(barrier, 1);
        }
        if (!is(Misuse::NOT_PUBLISHED)) {
            fence_mbarrier_init();
        }
        const uint32_t bytes = is(Misuse::FEW_BYTES) ? TILE / 2 : is(Misuse::MANY_BYTES) ? TILE * 2 : TILE;
        mbarrier_arrive_expect(barrier, bytes);
        load_tensor(memory, &map, {0, 0}, barrier);
        if (is(Misuse::FULL_SLOT)) {
            load_tensor(memory, &map, {0, 0}, barrier);
        }
        if (is(Misuse::TOO_MANY_ARRIVALS)) {
            mbarrier_arrive(barrier);
        }
    }
    __syncthreads();
    if (is(Misuse::NOBODY_WAITS)) {
        return;
    }
    if (!is(Misuse::READ_TOO_EARLY)) {
        mbarrier_wait(barrier, is(Misuse::PARITY) ? 1 : 0);
    }
    if (is(Misuse::PRODUCT_OF_WRITTEN)) {
        reinterpret_cast<uint32_t *>(memory)[threadIdx.x] = threadIdx.x;
    }
    float sum[32] = {};
    if (!is(Misuse::PRODUCT_WITHOUT_FENCE)) {
        fence_products();
    }
    start_product<Major::K>(sum, matrix_descriptor(memory), matrix_descriptor(memory), false);
    commit_products();
    if (is(Misuse::PRODUCT_NOT_WAITED_FOR)) {
        return;
    }
    if (is(Misuse::LOAD_UNDER_PRODUCT)) {
        if (first) {
            mbarrier_arrive_expect(barrier, TILE);
            load_tensor(memory, &map, {0, 0}, barrier);
        }
        __syncthreads();
    }
    wait_for_products<0>(sum);
    if (first) {
        out[0] = sum[0];
    }
    if (is(Misuse::LOAD_UNDER_PRODUCT)) {
        mbarrier_wait(barrier, 1);
    }
    if (is(Misuse::READ_TOO_EARLY)) {
        mbarrier_wait(barrier, 0);
    }
    reinterpret_cast<float *>(memory + TILE)[threadIdx.x] = 1.0f;
    if (!is(Misuse::STORE_WITHOUT_FENCE)) {
        fence_proxy_async();
    }
    __syncthreads();
    if (first) {
        store_tensor(&target, {0, 0}, memory + TILE);
        commit_stores();
        if (!is(Misuse::STORE_NOT_WAITED_FOR)) {
            wait_for_stores<0>();
        }
    }
}

/* What a process says that runs the kernel; its exit is 0 if out[0] is a number. */
struct Outcome {
    int status;
    std::string text;
};

Outcome run_in_process(Misuse misuse) {
    int pipes[2];
    if (pipe(pipes) != 0) {
        std::abort();
    }
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        const Shared<uint16_t> a(64 * 64);
        const Shared<float> b(32 * 4);
        const Shared<float> out(1);
        fill_whole(a, 5);
        const TensorMap map = map_tensor("a", a.data(), TSP_BF16, true, {{64, 1, 64}, {64, 64, 64}});
        const TensorMap target = map_tensor("b", b.data(), TSP_F32, true, {{32, 1, 32}, {4, 32, 4}});
        run_block(128, 2 * TILE + 8, wrong, map, target, misuse, out.data());
        _exit(out[0] == out[0] ? 0 : 2);
    }
    close(pipes[1]);
    Outcome outcome{};
    char buffer[512];
    for (ssize_t count = read(pipes[0], buffer, sizeof buffer); count > 0; count = read(pipes[0], buffer, sizeof buffer)) {
        outcome.text.append(buffer, static_cast<size_t>(count));
    }
    close(pipes[0]);
    waitpid(child, &outcome.status, 0);
    return outcome;
}

} // namespace

void test_misuse(Report &report) {
    const Outcome right = run_in_process(Misuse::NONE);
    report.expect(right.status == 0, "a correct kernel fails: %s", right.text.c_str());
    const struct {
        Misuse misuse;
        const char *words;
    } faults[] = {
        {Misuse::FEW_BYTES, "more than were announced"},
        {Misuse::MANY_BYTES, "bytes of copies are missing"},
        {Misuse::NOT_PUBLISHED, "before fence_mbarrier_init"},
        {Misuse::NOT_INITIALISED, "before mbarrier_init"},
        {Misuse::FULL_SLOT, "another one is under way"},
        {Misuse::NOBODY_WAITS, "nobody waited for"},
        {Misuse::TOO_MANY_ARRIVALS, "more arrivals"},
        {Misuse::STORE_WITHOUT_FENCE, "without fence_proxy_async"},
        {Misuse::STORE_NOT_WAITED_FOR, "did not wait for"},
        {Misuse::PRODUCT_OF_WRITTEN, "without fence_proxy_async"},
        {Misuse::PRODUCT_WITHOUT_FENCE, "without fence_products"},
        {Misuse::PRODUCT_NOT_WAITED_FOR, "did not wait for"},
    };
    for (const auto &fault : faults) {
        const Outcome outcome = run_in_process(fault.misuse);
        const bool said = WIFSIGNALED(outcome.status) && outcome.text.find(fault.words) != std::string::npos;
        report.expect(said, "misuse without '%s', but: %s", fault.words, outcome.text.c_str());
    }
    for (const Misuse misuse : {Misuse::READ_TOO_EARLY, Misuse::LOAD_UNDER_PRODUCT, Misuse::PARITY}) {
        const Outcome outcome = run_in_process(misuse);
        const bool nan = WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 2;
        report.expect(nan || WIFSIGNALED(outcome.status), "misuse %d gives a number", static_cast<int>(misuse));
    }
}

} // namespace tsp::test

#endif
