/* What forward and backward of the gated MLP share: SwiGLU and its gradients, where products end. */
#pragma once

#include <type_traits>

#include "gemm_rows.h"
#include "gemm_tile.h"

namespace tsp::gpu::gemm {

/* e^-gate, as exact as results of type T need. */
template <class T>
__device__ __forceinline__ float exp_minus(float gate);

template <>
__device__ __forceinline__ float exp_minus<bf16>(float gate) {
    return fast_exp2(gate * -1.44269504f);
}

template <>
__device__ __forceinline__ float exp_minus<float>(float gate) {
    return expf(-gate);
}

/* silu(gate) * up. Without contraction: forward and backward round alike. */
template <class T>
__device__ __forceinline__ float swiglu(float gate, float up) {
    return __fmul_rn(__fdiv_rn(gate, __fadd_rn(1.0f, exp_minus<T>(gate))), up);
}

struct Gradients {
    float hidden;
    float dgate;
    float dup;
};

template <class T>
__device__ __forceinline__ Gradients gradients_of(float gate, float up, float dhidden) {
    const float exponential = exp_minus<T>(gate);
    const float sigmoid = __fdiv_rn(1.0f, __fadd_rn(1.0f, exponential));
    /* 1 - sigmoid without cancellation. An infinite exponential makes the product NaN, and then it is 1. */
    const float rest = fminf(__fmul_rn(exponential, sigmoid), 1.0f);
    const float slope = __fmul_rn(sigmoid, __fadd_rn(1.0f, __fmul_rn(gate, rest)));
    const float activation = __fdiv_rn(gate, __fadd_rn(1.0f, exponential));
    return {__fmul_rn(activation, up), __fmul_rn(__fmul_rn(dhidden, up), slope), __fmul_rn(dhidden, activation)};
}

/* Epilogue of the product with packed gates and ups: hidden = silu(gate) * up; saved, if it is wanted, gets both. */
template <class T>
struct StoreHidden {
    Groups<T> hidden;
    Groups<T> saved;

    template <int COUNT>
    __device__ __forceinline__ void operator()(int64_t row, int64_t column, const float (&values)[COUNT][2]) const {
        float products[COUNT / 2][2];
#pragma unroll
        for (int j = 0; j < COUNT / 2; ++j) {
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                products[j][k] = swiglu<T>(values[2 * j][k], values[2 * j + 1][k]);
            }
        }
        store_groups(hidden.row(row), column / 2, products);
        if (saved.data != nullptr) {
            store_groups(saved.row(row), column, values);
        }
    }
};

/* What backward leaves of each feature. */
template <class T>
struct StoreGradients {
    Groups<T> hidden;
    Groups<T> dgate;
    Groups<T> dup;

    /* pre: gates and ups in packed order. All lanes of the warp. */
    template <int COUNT>
    __device__ __forceinline__ void operator()(
        int64_t row, int64_t feature, const float (&pre)[2 * COUNT][2], const float (&dhidden)[COUNT][2]) const {
        float activations[COUNT][2];
        float gates[COUNT][2];
        float ups[COUNT][2];
#pragma unroll
        for (int j = 0; j < COUNT; ++j) {
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                const Gradients all = gradients_of<T>(pre[2 * j][k], pre[2 * j + 1][k], dhidden[j][k]);
                activations[j][k] = all.hidden;
                gates[j][k] = all.dgate;
                ups[j][k] = all.dup;
            }
        }
        store_groups(hidden.row(row), feature, activations);
        store_groups(dgate.row(row), feature, gates);
        store_groups(dup.row(row), feature, ups);
    }
};

/* Epilogue of dhidden = dy down, with the pre-activations that forward saved. */
template <class T>
struct DifferentiateSaved {
    Groups<const T> saved;
    StoreGradients<T> store;

    template <int COUNT>
    __device__ __forceinline__ void operator()(int64_t row, int64_t feature, const float (&dhidden)[COUNT][2]) const {
        constexpr int PART = 4;
#pragma unroll
        for (int first = 0; first < COUNT; first += PART) {
            float pre[2 * PART][2];
            load_groups(saved.row(row), 2 * (feature + first * GROUP), pre);
            float part[PART][2];
#pragma unroll
            for (int j = 0; j < PART; ++j) {
                part[j][0] = dhidden[first + j][0];
                part[j][1] = dhidden[first + j][1];
            }
            store(row, feature + first * GROUP, pre, part);
        }
    }
};

/* 64 x 64 of a warp keep its sums in registers, and it reads less of shared memory for each product than smaller ones
 * would; two blocks of four such warps fit a multiprocessor. Without tensor cores operands need registers too. */
template <class T>
using LargeTile = std::conditional_t<std::is_same_v<T, bf16>, Tile<2, 2, 4, 8>, Tile<4, 2, 2, 8>>;

/* Rows whose hidden activation is in the workspace at a time: enough to fill any device many times over. */
constexpr int64_t BLOCK_ROWS = 8192;

/* The workspace of forward. */
struct ForwardPlan {
    int64_t block_rows;
    Workspace workspace;
    void *hidden; /* [block_rows, f] of x's dtype */

    ForwardPlan(const tsp_gated_mlp_args &args, void *memory)
        : block_rows(smaller(args.x.shape[0], BLOCK_ROWS)),
          workspace(memory),
          hidden(workspace.take<char>(block_rows * args.intermediate * element_bytes(args.x.dtype))) {}
};

/* Rows first .. first + count - 1. */
inline tsp_tensor part_of(tsp_tensor tensor, int64_t first, int64_t count) {
    if (tensor.data != nullptr) {
        tensor.data = static_cast<char *>(tensor.data) + first * tensor.strides[0] * element_bytes(tensor.dtype);
    }
    tensor.shape[0] = count;
    return tensor;
}

} // namespace tsp::gpu::gemm
