/*
 * Rotary position embedding in place. A block takes a few tokens: its threads compute one sine and one cosine each, in
 * double precision, which then serve all heads from shared memory.
 */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "sine.h"
#include "vector.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int TOKENS = 4;
/* Pairs whose sines and cosines are held at once: all of a head of up to 128 elements. */
constexpr int PAIRS = THREADS / TOKENS;

struct Rotation {
    float cosine[TOKENS][PAIRS];
    float sine[TOKENS][PAIRS];
};

template <class T>
struct Operands {
    T *x;
    const int32_t *positions;
    const float *inv_freq;
    int64_t token_stride;
    int64_t head_stride;
    int64_t tokens;
    int64_t heads;
    int64_t half;
    float scale;
    float sine_scale;
};

/* The rotation by the pairs from first_pair on of tokens from first_token on, rounded to T. */
template <class T>
__device__ __forceinline__ void
fill(const Operands<T> &args, int64_t first_token, int64_t first_pair, Rotation &rotation) {
    const int slot = static_cast<int>(threadIdx.x) % PAIRS;
    const int of_block = static_cast<int>(threadIdx.x) / PAIRS;
    const int64_t pair = first_pair + slot;
    const int64_t token = first_token + of_block;
    if (pair < args.half && token < args.tokens) {
        double cosine;
        double sine;
        cosine_and_sine(static_cast<float>(args.positions[token]) * args.inv_freq[pair], cosine, sine);
        rotation.cosine[of_block][slot] = nearest<T>(static_cast<float>(cosine) * args.scale);
        rotation.sine[of_block][slot] = nearest<T>(static_cast<float>(sine) * args.sine_scale);
    }
}

template <int STEP, class T>
__device__ __forceinline__ void rotate(T *first, T *second, const float *cosines, const float *sines) {
    float c[STEP];
    float s[STEP];
    float a[STEP];
    float b[STEP];
    load<STEP, true>(cosines, c);
    load<STEP, true>(sines, s);
    load<STEP, true>(first, a);
    load<STEP, true>(second, b);
#pragma unroll
    for (int i = 0; i < STEP; ++i) {
        const float old = a[i];
        a[i] = old * c[i] - b[i] * s[i];
        b[i] = b[i] * c[i] + old * s[i];
    }
    store<STEP, true>(first, a);
    store<STEP, true>(second, b);
}

/* STEP: pairs for each thread at a time, which half a head is a multiple of. */
template <int STEP, class T>
__global__ void __launch_bounds__(THREADS) rotate_tokens(Operands<T> args) {
    constexpr int SLOTS = PAIRS / STEP;
    constexpr int HEADS = PAIRS / SLOTS; /* at once, of each token */
    auto &rotation = *shared_memory<Rotation>();
    const int thread = static_cast<int>(threadIdx.x);
    const int of_block = thread / PAIRS;
    const int first_head = thread % PAIRS / SLOTS;
    const int slot = thread % SLOTS * STEP;
    for (int64_t tokens = int64_t{blockIdx.x} * TOKENS; tokens < args.tokens; tokens += int64_t{gridDim.x} * TOKENS) {
        for (int64_t pairs = 0; pairs < args.half; pairs += PAIRS) {
            __syncthreads();
            fill(args, tokens, pairs, rotation);
            __syncthreads();
            const int64_t token = tokens + of_block;
            const int64_t pair = pairs + slot;
            if (token >= args.tokens || pair >= args.half) {
                continue;
            }
            T *x = args.x + token * args.token_stride + pair;
#pragma unroll 2
            for (int64_t head = first_head; head < args.heads; head += HEADS) {
                T *first = x + head * args.head_stride;
                rotate<STEP>(first, first + args.half, rotation.cosine[of_block] + slot, rotation.sine[of_block] + slot);
            }
        }
    }
}

template <class T>
void rotate_all(const tsp_rope_args &args, const tsp_launch &where) {
    const float scale = args.attention_scale == 0.0f ? 1.0f : args.attention_scale;
    const Operands<T> operands{
        static_cast<T *>(args.x.data),
        static_cast<const int32_t *>(args.positions.data),
        static_cast<const float *>(args.inv_freq.data),
        args.x.strides[0],
        args.x.strides[1],
        args.x.shape[0],
        args.x.shape[1],
        args.x.shape[2] / 2,
        scale,
        (args.flags & TSP_INVERSE) != 0 ? -scale : scale};
    const bool aligned = has_vector_rows(args.x) && operands.half % VECTOR<T> == 0;
    const int64_t groups = element_count(args.x) == 0 ? 0 : divide_up(operands.tokens, TOKENS);
    const Grid grid{blocks_for(groups), THREADS, sizeof(Rotation)};
    launch("rope", aligned ? rotate_tokens<VECTOR<T>, T> : rotate_tokens<1, T>, grid, stream_of(where), operands);
}

} // namespace

tsp_status rope(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rope_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.x.dtype == TSP_BF16) {
            rotate_all<bf16>(args, where);
        } else {
            rotate_all<float>(args, where);
        }
    });
}

} // namespace tsp::gpu
