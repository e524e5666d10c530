/* What cuda/ptx/tensor_core.h offers, on the CPU. Copies are made when they are waited for, not before. */
#pragma once

#include <cuda_runtime.h>

#include <cstring>

namespace tsp::gpu {

inline void copy_async(void *shared, const void *global, bool valid) {
    constexpr int BYTES = 16;
    const bool aligned = (reinterpret_cast<uintptr_t>(shared) | (valid ? reinterpret_cast<uintptr_t>(global) : 0)) % BYTES == 0;
    if (!aligned) {
        emulator::fault("an asynchronous copy from %p to %p is not aligned to 16 bytes", global, shared);
    }
    emulator::self().copies.push_back({shared, valid ? global : nullptr, BYTES});
}

inline void commit_copies() {
    emulator::Thread &thread = emulator::self();
    thread.copy_groups.push_back(std::move(thread.copies));
    thread.copies.clear();
}

template <int PENDING>
void wait_for_copies() {
    emulator::Thread &thread = emulator::self();
    while (thread.copy_groups.size() > PENDING) {
        for (const emulator::PendingCopy &copy : thread.copy_groups.front()) {
            if (copy.source == nullptr) {
                std::memset(copy.target, 0, static_cast<size_t>(copy.bytes));
            } else {
                std::memcpy(copy.target, copy.source, static_cast<size_t>(copy.bytes));
            }
        }
        thread.copy_groups.pop_front();
    }
}

struct MatrixLane {
    const uint16_t *row;
    uint32_t *words;
};

template <bool TRANSPOSED>
void load_four(uint32_t (&words)[4], const void *row) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
        emulator::fault("row %p of a matrix is not aligned to 16 bytes", row);
    }
    MatrixLane mine{static_cast<const uint16_t *>(row), words};
    emulator::meet_warp(TRANSPOSED ? "ldmatrix.trans" : "ldmatrix", mine, [](MatrixLane *const *lanes) {
        for (int lane = 0; lane < emulator::WARP; ++lane) {
            for (int matrix = 0; matrix < 4; ++matrix) {
                const auto element = [&](int i, int j) { return uint32_t{lanes[8 * matrix + i]->row[j]}; };
                const int g = lane / 4;
                const int t = lane % 4 * 2;
                lanes[lane]->words[matrix] =
                    TRANSPOSED ? element(t, g) | element(t + 1, g) << 16 : element(g, t) | element(g, t + 1) << 16;
            }
        }
    });
}

inline void load_matrices(uint32_t (&words)[4], const void *row) {
    load_four<false>(words, row);
}

inline void load_matrices_transposed(uint32_t (&words)[4], const void *row) {
    load_four<true>(words, row);
}

struct ProductLane {
    float *c;
    const uint32_t *a;
    uint32_t b[2];
};

inline float bf16_half(uint32_t word, int half) {
    return __uint_as_float(half == 0 ? word << 16 : word & 0xffff0000u);
}

inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    ProductLane mine{c, a, {b0, b1}};
    emulator::meet_warp("mma.m16n8k16", mine, [](ProductLane *const *lanes) {
        float left[16][16];
        float right[16][8];
        for (int lane = 0; lane < emulator::WARP; ++lane) {
            const int g = lane / 4;
            const int t = lane % 4 * 2;
            for (int half = 0; half < 2; ++half) {
                left[g][t + half] = bf16_half(lanes[lane]->a[0], half);
                left[g + 8][t + half] = bf16_half(lanes[lane]->a[1], half);
                left[g][t + 8 + half] = bf16_half(lanes[lane]->a[2], half);
                left[g + 8][t + 8 + half] = bf16_half(lanes[lane]->a[3], half);
                right[t + half][g] = bf16_half(lanes[lane]->b[0], half);
                right[t + 8 + half][g] = bf16_half(lanes[lane]->b[1], half);
            }
        }
        float product[16][8] = {};
        for (int i = 0; i < 16; ++i) {
            for (int k = 0; k < 16; ++k) {
                for (int j = 0; j < 8; ++j) {
                    product[i][j] += left[i][k] * right[k][j];
                }
            }
        }
        for (int lane = 0; lane < emulator::WARP; ++lane) {
            const int g = lane / 4;
            const int t = lane % 4 * 2;
            for (int i = 0; i < 4; ++i) {
                lanes[lane]->c[i] += product[g + i / 2 * 8][t + i % 2];
            }
        }
    });
}

inline float fast_exp2(float x) {
    return std::exp2(x);
}

} // namespace tsp::gpu
