/* Memory for tests: every buffer ends where its allocation ends, so that a sanitizer sees the first byte behind it. */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <random>

#include "tsp_kernels.h"

#if defined(TSP_TEST_CUDA)
#include "cuda_device.h"
#endif

namespace tsp::test {

inline uint16_t bf16_bits(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#if defined(TSP_TEST_CUDA)
inline void *allocate(size_t bytes) {
    return allocate_pinned(bytes);
}

inline void release(void *memory) {
    release_pinned(memory);
}
#else
inline void *allocate(size_t bytes) {
    void *memory = nullptr;
    if (posix_memalign(&memory, 64, bytes) != 0) {
        std::abort();
    }
    return memory;
}

inline void release(void *memory) {
    std::free(memory);
}
#endif

struct Free {
    void operator()(void *memory) const {
        release(memory);
    }
};

class Buffer {
public:
    /* offset: bytes by which data misses an alignment of 64. All bytes are set to fill. */
    Buffer(int64_t bytes, int64_t offset, int fill) : offset(offset), size(bytes) {
        const auto whole = static_cast<size_t>(offset + bytes);
        void *raw = allocate(whole == 0 ? 1 : whole);
        memory.reset(static_cast<unsigned char *>(raw));
        std::memset(raw, fill, whole);
    }

    void *data() const {
        return memory.get() + offset;
    }

    int64_t bytes() const {
        return size;
    }

private:
    std::unique_ptr<unsigned char, Free> memory;
    int64_t offset;
    int64_t size;
};

constexpr int POISON = 0xff; /* NaN in f32 and in bf16 */

inline bool all_poison(const Buffer &buffer) {
    const auto *bytes = static_cast<const unsigned char *>(buffer.data());
    return std::all_of(bytes, bytes + buffer.bytes(), [](unsigned char byte) { return byte == POISON; });
}

inline bool same_bytes(const Buffer &a, const Buffer &b) {
    return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
}

/* A tensor [rows, heads, x] or [rows, heads] whose heads and rows stand `padding` elements further apart than dense. */
class TestTensor {
public:
    TestTensor(std::initializer_list<int64_t> shape, tsp_dtype dtype, int64_t padding)
        : view(layout(shape, dtype, padding)),
          buffer(span(view) * (dtype == TSP_BF16 ? 2 : 4), padding == 0 ? 0 : (dtype == TSP_BF16 ? 2 : 4), POISON) {
        view.data = buffer.data();
    }

    void poison(int64_t row, int64_t head, int64_t x) {
        const auto bytes = static_cast<size_t>(view.dtype == TSP_BF16 ? 2 : 4);
        const int64_t at = row * view.strides[0] + head * view.strides[1] + x;
        std::memset(static_cast<unsigned char *>(view.data) + static_cast<size_t>(at) * bytes, POISON, bytes);
    }

    void set(int64_t row, int64_t head, int64_t x, float value) {
        const int64_t at = row * view.strides[0] + head * view.strides[1] + x;
        if (view.dtype == TSP_BF16) {
            static_cast<uint16_t *>(view.data)[at] = bf16_bits(value);
        } else {
            static_cast<float *>(view.data)[at] = value;
        }
    }

    tsp_tensor view;
    Buffer buffer;

private:
    static tsp_tensor layout(std::initializer_list<int64_t> shape, tsp_dtype dtype, int64_t padding) {
        tsp_tensor view{};
        view.dtype = dtype;
        for (const int64_t count : shape) {
            view.shape[view.rank++] = count;
        }
        int64_t stride = 1;
        for (int32_t i = view.rank - 1; i >= 0; --i) {
            view.strides[i] = stride;
            stride = stride * view.shape[i] + padding;
        }
        return view;
    }

    /* Elements from the first to behind the last. */
    static int64_t span(const tsp_tensor &view) {
        int64_t last = 0;
        for (int32_t i = 0; i < view.rank; ++i) {
            if (view.shape[i] == 0) {
                return 0;
            }
            last += (view.shape[i] - 1) * view.strides[i];
        }
        return last + 1;
    }
};

} // namespace tsp::test
