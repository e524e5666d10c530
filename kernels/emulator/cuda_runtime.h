/* Stands in for NVIDIA's header of this name when device code is compiled for the emulator. */
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <tuple>

#include "emulated_runtime.h"
#include "emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)

namespace tsp::emulator {

/* Variables that CUDA predefines: what they say depends on the thread that asks. */
template <Index (*GET)()>
struct Predefined {
    struct {
        operator uint32_t() const {
            return GET().x;
        }
    } x;
    struct {
        operator uint32_t() const {
            return GET().y;
        }
    } y;
    struct {
        operator uint32_t() const {
            return GET().z;
        }
    } z;
};

inline Index thread_index() {
    return self().index;
}
inline Index block_index() {
    return block().index;
}
inline Index block_size() {
    return block().threads;
}
inline Index grid_size() {
    return block().grid;
}

} // namespace tsp::emulator

inline constexpr tsp::emulator::Predefined<tsp::emulator::thread_index> threadIdx{};
inline constexpr tsp::emulator::Predefined<tsp::emulator::block_index> blockIdx{};
inline constexpr tsp::emulator::Predefined<tsp::emulator::block_size> blockDim{};
inline constexpr tsp::emulator::Predefined<tsp::emulator::grid_size> gridDim{};

struct dim3 {
    uint32_t x = 1;
    uint32_t y = 1;
    uint32_t z = 1;

    dim3() = default;
    dim3(uint32_t x, uint32_t y = 1, uint32_t z = 1) : x(x), y(y), z(z) {}
};

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
inline uint2 make_uint2(uint32_t x, uint32_t y) {
    return {x, y};
}
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) {
    return {x, y, z, w};
}

inline void __syncthreads() {
    tsp::emulator::barrier_sync(0, 0);
}

namespace tsp::emulator {

inline void require_full(uint32_t mask) {
    if (mask != 0xffffffffu) {
        fault("only operations of whole warps are emulated, not of lanes 0x%x", mask);
    }
}

template <class T>
struct Shuffle {
    T value;
    int from;
    T result;
};

template <class T>
T shuffle(T value, int from) {
    Shuffle<T> mine{value, from, value};
    meet_warp("a shuffle", mine, [](Shuffle<T> *const *lanes) {
        for (int i = 0; i < WARP; ++i) {
            lanes[i]->result = lanes[lanes[i]->from]->value;
        }
    });
    return mine.result;
}

struct Vote {
    bool predicate;
    uint32_t result;
};

inline uint32_t vote(bool predicate) {
    Vote mine{predicate, 0};
    meet_warp("a vote", mine, [](Vote *const *lanes) {
        uint32_t mask = 0;
        for (int i = 0; i < WARP; ++i) {
            mask |= uint32_t{lanes[i]->predicate} << i;
        }
        for (int i = 0; i < WARP; ++i) {
            lanes[i]->result = mask;
        }
    });
    return mine.result;
}

} // namespace tsp::emulator

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes) {
    tsp::emulator::require_full(mask);
    return tsp::emulator::shuffle(value, tsp::emulator::self().lane() ^ lanes);
}

template <class T>
T __shfl_sync(uint32_t mask, T value, int from, int width = tsp::emulator::WARP) {
    tsp::emulator::require_full(mask);
    const int lane = tsp::emulator::self().lane();
    return tsp::emulator::shuffle(value, lane / width * width + from % width);
}

template <class T>
T __shfl_up_sync(uint32_t mask, T value, int lanes) {
    tsp::emulator::require_full(mask);
    const int lane = tsp::emulator::self().lane();
    return tsp::emulator::shuffle(value, lane < lanes ? lane : lane - lanes);
}

template <class T>
T __shfl_down_sync(uint32_t mask, T value, int lanes) {
    tsp::emulator::require_full(mask);
    const int lane = tsp::emulator::self().lane();
    return tsp::emulator::shuffle(value, lane + lanes < tsp::emulator::WARP ? lane + lanes : lane);
}

inline uint32_t __ballot_sync(uint32_t mask, bool predicate) {
    tsp::emulator::require_full(mask);
    return tsp::emulator::vote(predicate);
}

inline bool __any_sync(uint32_t mask, bool predicate) {
    return __ballot_sync(mask, predicate) != 0;
}

inline bool __all_sync(uint32_t mask, bool predicate) {
    return __ballot_sync(mask, predicate) == 0xffffffffu;
}

inline void __syncwarp(uint32_t mask = 0xffffffffu) {
    __ballot_sync(mask, true);
}

inline void __threadfence() {}

inline uint32_t __float_as_uint(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __uint_as_float(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fdiv_rn(float a, float b) {
    return a / b;
}
inline float __fsqrt_rn(float x) {
    return std::sqrt(x);
}
inline float rsqrtf(float x) {
    return 1.0f / std::sqrt(x);
}
using std::cos;
using std::exp;
using std::exp2;
using std::fma;
using std::fmax;
using std::fmin;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::max;
using std::min;
using std::sin;
using std::sqrt;

/* Launch attributes are for hardware; grid, block, shared memory and stream count. */
struct cudaLaunchConfig_t {
    dim3 gridDim;
    dim3 blockDim;
    size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
    void *attrs = nullptr;
    unsigned numAttrs = 0;
};

namespace tsp::emulator {

/* A kernel with its arguments, which the launch has copied. */
template <class... Parameters>
struct Call final : Body {
    Call(void (*kernel)(Parameters...), Parameters... parameters) : kernel(kernel), arguments(parameters...) {}

    void run() const override {
        std::apply(kernel, arguments);
    }

    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
};

} // namespace tsp::emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(
    const cudaLaunchConfig_t *config, void (*kernel)(Parameters...), Arguments &&...arguments) {
    const tsp::emulator::Call<Parameters...> call(kernel, static_cast<Parameters>(arguments)...);
    const dim3 grid = config->gridDim;
    const dim3 block = config->blockDim;
    const size_t shared = config->dynamicSmemBytes;
    tspEmulatorEnqueue(config->stream, [=] {
        tsp::emulator::run_grid(
            __PRETTY_FUNCTION__, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, call);
    });
    return cudaSuccess;
}

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *, cudaFuncAttribute, int bytes) {
    int present = 0;
    cudaDeviceGetAttribute(&present, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
    return bytes <= present ? cudaSuccess : cudaErrorInvalidValue;
}
