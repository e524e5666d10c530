/*
 * Rotary position embedding in place. The sines and cosines of a row are computed once, in double precision, for all of
 * its heads: an angle of 131072 radians has lost nothing but the rounding of the angle itself.
 */
#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "sine.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 13;

/* Pairs whose sines and cosines are held at once; most heads have at most as many. */
constexpr int64_t PAIRS = 64;

struct Rotation {
    alignas(64) float cosine[PAIRS];
    alignas(64) float sine[PAIRS];
};

/* The rotation of pairs of one row, sign -1 for the inverse, as T can hold it. */
template <class T>
void fill(Rotation &rotation, float position, const float *inv_freq, int64_t pairs, float scale, float sign) {
    for (int64_t i = 0; i < pairs; ++i) {
        double cosine;
        double sine;
        cosine_and_sine(position * inv_freq[i], cosine, sine);
        rotation.cosine[i] = static_cast<float>(cosine) * scale;
        rotation.sine[i] = static_cast<float>(sine) * scale * sign;
    }
    if constexpr (std::is_same_v<T, bf16>) {
        for (int64_t i = 0; i < pairs; i += WIDTH) {
            store(rotation.cosine + i, round_bf16(load(rotation.cosine + i)));
            store(rotation.sine + i, round_bf16(load(rotation.sine + i)));
        }
    }
}

/* Rotates count <= WIDTH pairs. */
template <class T>
TSP_INLINE void rotate(T *first, T *second, const float *cosine, const float *sine, int count) {
    const bool whole = count == WIDTH;
    const Vec c = load(cosine);
    const Vec s = load(sine);
    const Vec a = whole ? load(first) : load_partial(first, count);
    const Vec b = whole ? load(second) : load_partial(second, count);
    const Vec new_a = a * c - b * s;
    const Vec new_b = b * c + a * s;
    if (whole) {
        store(first, new_a);
        store(second, new_b);
    } else {
        store_partial(first, new_a, count);
        store_partial(second, new_b, count);
    }
}

template <class T>
void rotate_rows(const tsp_rope_args &args, int32_t threads) {
    const int64_t heads = args.x.shape[1];
    const int64_t half = args.x.shape[2] / 2;
    const auto *positions = static_cast<const int32_t *>(args.positions.data);
    const auto *inv_freq = static_cast<const float *>(args.inv_freq.data);
    const float scale = args.attention_scale == 0.0f ? 1.0f : args.attention_scale;
    const float sign = (args.flags & TSP_INVERSE) != 0 ? -1.0f : 1.0f;
    parallel_for(threads, args.x.shape[0], 1 + GRAIN / (heads * half + 1), [&](int64_t begin, int64_t end) {
        Rotation rotation{};
        for (int64_t t = begin; t < end; ++t) {
            T *row = static_cast<T *>(args.x.data) + t * args.x.strides[0];
            for (int64_t block = 0; block < half; block += PAIRS) {
                const int64_t pairs = half - block < PAIRS ? half - block : PAIRS;
                fill<T>(rotation, static_cast<float>(positions[t]), inv_freq + block, pairs, scale, sign);
                for (int64_t head = 0; head < heads; ++head) {
                    T *first = row + head * args.x.strides[1] + block;
                    for (int64_t i = 0; i < pairs; i += WIDTH) {
                        const int count = static_cast<int>(pairs - i < WIDTH ? pairs - i : WIDTH);
                        rotate(first + i, first + half + i, rotation.cosine + i, rotation.sine + i, count);
                    }
                }
            }
        }
    });
}

} // namespace

tsp_status rope(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rope_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        if (args.x.dtype == TSP_BF16) {
            rotate_rows<bf16>(args, launch.threads);
        } else {
            rotate_rows<float>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
