/* What cuda/ptx/wgmma.h offers, on the CPU: it says how operands lie. */
#pragma once

#include <cuda_runtime.h>

#include "async.h"
#include "mbarrier.h"

namespace tsp::gpu {

enum class Major { K, MN };

constexpr int PRODUCT_ROWS = 64;
constexpr int PRODUCT_DEPTH = 16;
constexpr int PANEL_COLUMNS = 64;
constexpr uint32_t PANEL_ROW_BYTES = 128;

constexpr uint32_t swizzled(uint32_t byte) {
    return byte ^ (byte >> 3 & 0x70u);
}

/* Addresses in shared memory count from its beginning, as on hardware. */
inline uint64_t matrix_descriptor(const void *shared, uint32_t panel_bytes = 16) {
    const ptrdiff_t address = static_cast<const unsigned char *>(shared) - emulator::block().shared;
    if (address < 0 || static_cast<size_t>(address) >= emulator::block().shared_bytes || address % 16 != 0) {
        emulator::fault("a matrix of a product at byte %td of shared memory", address);
    }
    return static_cast<uint64_t>(address) >> 4 | uint64_t{panel_bytes >> 4} << 16 | uint64_t{1024 >> 4} << 32
        | uint64_t{1} << 62;
}

inline void fence_products() {
    emulator::fence_products();
}

inline void commit_products() {
    emulator::commit_products();
}

template <int COUNT>
void pin(float (&)[COUNT]) {}

template <int PENDING, class... Registers>
void wait_for_products(Registers &...) {
    emulator::wait_for_products(PENDING);
}

template <Major B, int COUNT>
void start_product(float (&c)[COUNT], uint64_t a, uint64_t b, bool add) {
    static_assert(COUNT == 32 || COUNT == 64 || COUNT == 128, "N is 64, 128 or 256");
    emulator::start_product({c, COUNT, nullptr, a, b, B == Major::MN, add});
}

template <Major B, int COUNT>
void start_product(float (&c)[COUNT], const uint32_t (&a)[4], uint64_t b, bool add) {
    static_assert(COUNT == 32 || COUNT == 64 || COUNT == 128, "N is 64, 128 or 256");
    emulator::start_product({c, COUNT, a, 0, b, B == Major::MN, add});
}

} // namespace tsp::gpu
