/* What the tests of sm_90's instructions share: memory that host and device see, and one kernel run to its end. */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "block.h"
#include "bf16.h"
#include "expect.h"
#include "launch.h"
#include "tensor_map.h"
#include "wgmma.h"

namespace tsp::test {

/* Elements that are NaN or -1 until they are written. */
template <class T>
class Shared {
public:
    explicit Shared(size_t count) : count(count) {
#if defined(__CUDACC__)
        gpu::require_success(cudaMallocManaged(reinterpret_cast<void **>(&memory), count * sizeof(T)), "memory");
#else
        memory = static_cast<T *>(std::aligned_alloc(128, (count * sizeof(T) + 127) / 128 * 128));
#endif
        std::memset(static_cast<void *>(memory), 0xff, count * sizeof(T));
    }

    ~Shared() {
#if defined(__CUDACC__)
        cudaFree(memory);
#else
        std::free(memory);
#endif
    }

    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;

    T *data() const {
        return memory;
    }

    T &operator[](size_t i) const {
        return memory[i];
    }

    size_t size() const {
        return count;
    }

private:
    T *memory = nullptr;
    size_t count;
};

/* bf16 of whole numbers from -8 to 8: their products add up exactly in fp32. */
inline void fill_whole(const Shared<uint16_t> &numbers, uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> number(-8, 8);
    for (size_t i = 0; i < numbers.size(); ++i) {
        const auto value = static_cast<float>(number(random));
        uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        numbers[i] = static_cast<uint16_t>(bits >> 16);
    }
}

inline float value_of(uint16_t half) {
    const uint32_t bits = uint32_t{half} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class... Parameters, class... Arguments>
void run_block(uint32_t threads, size_t shared_bytes, void (*kernel)(Parameters...), Arguments... arguments) {
    gpu::launch("hopper_test", kernel, {dim3(1), threads, shared_bytes}, nullptr, arguments...);
    gpu::require_success(cudaStreamSynchronize(nullptr), "hopper_test");
}

void test_products(Report &report);
void test_copies(Report &report);
void test_barriers(Report &report);
void test_misuse(Report &report);

} // namespace tsp::test
