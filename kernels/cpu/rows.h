/* What kernels that work row by row share: where rows stand, and when they are written past the caches. */
#pragma once

#include <utility>

#include "kernel.h"

namespace tsp::TSP_ISA {

/* Outputs beyond this do not stay in the last-level cache anyway, so they are written past it. */
constexpr int64_t STREAM_BYTES = int64_t{32} << 20;

constexpr uintptr_t LINE_BYTES = 64;

inline bool is_line(const void *data) {
    return reinterpret_cast<uintptr_t>(data) % LINE_BYTES == 0;
}

/* Which row of a tensor of rank 2 (head is 0) or 3. */
struct Place {
    int64_t token;
    int64_t head;
};

/* Row number index in the order of the leading dimensions. */
inline Place place_of(const tsp_tensor &tensor, int64_t index) {
    const int64_t heads = tensor.rank == 2 ? 1 : tensor.shape[1];
    return heads == 1 ? Place{index, 0} : Place{index / heads, index % heads};
}

/* NULL for a tensor without data. */
template <class T>
T *row_of(const tsp_tensor &tensor, Place place) {
    const int64_t offset = place.token * tensor.strides[0] + (tensor.rank == 2 ? 0 : place.head * tensor.strides[1]);
    return tensor.data == nullptr ? nullptr : static_cast<T *>(tensor.data) + offset;
}

/* Asks for the lines that bytes from source on lie in, into the second-level cache. */
TSP_INLINE void fetch(const void *source, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += static_cast<int64_t>(LINE_BYTES)) {
        __builtin_prefetch(static_cast<const char *>(source) + i, 0, 2);
    }
}

/* Lanes of a and then b: those whose number is even (ODD 0) or odd (ODD 1). */
template <int ODD, int... LANE>
TSP_INLINE Vec every_second(Vec a, Vec b, std::integer_sequence<int, LANE...>) {
    return __builtin_shufflevector(a, b, (2 * LANE + ODD)...);
}

/* Lanes of a and b in turn, from lane FIRST on: the inverse. */
template <int FIRST, int... LANE>
TSP_INLINE Vec in_turn(Vec a, Vec b, std::integer_sequence<int, LANE...>) {
    return __builtin_shufflevector(a, b, (FIRST + LANE / 2 + LANE % 2 * WIDTH)...);
}

/* 2 * WIDTH consecutive elements. When PAIRED, first takes the even ones and second the odd ones, which for bf16 costs half
 * as much as to keep their order; the order is nobody's business as long as all operands have the same. */
template <bool PAIRED>
struct Two {
    Vec first;
    Vec second;

    TSP_INLINE static Two of(float x) {
        return {broadcast(x), broadcast(x)};
    }

    template <class T>
    TSP_INLINE static Two load_from(const T *source) {
        if constexpr (PAIRED && std::is_same_v<T, bf16>) {
            const Vec words = load_pairs(source);
            return {low(words), high(words)};
        }
        const Vec a = load(source);
        const Vec b = load(source + WIDTH);
        if constexpr (PAIRED) {
            constexpr auto lanes = std::make_integer_sequence<int, WIDTH>{};
            return {every_second<0>(a, b, lanes), every_second<1>(a, b, lanes)};
        }
        return {a, b};
    }

    /* The elements, rounded as store2 rounds. */
    template <class T>
    TSP_INLINE void store_to(T *target) const {
        if constexpr (std::is_same_v<T, bf16>) {
            store(reinterpret_cast<float *>(target), words());
        } else {
            const Two ordered = in_order();
            store(target, ordered.first);
            store(target + WIDTH, ordered.second);
        }
    }

    /* Past the caches; target is aligned to a line. */
    template <class T>
    TSP_INLINE void stream_to(T *target) const {
        if constexpr (std::is_same_v<T, bf16>) {
            stream(reinterpret_cast<float *>(target), words());
        } else {
            const Two ordered = in_order();
            stream(target, ordered.first);
            stream(target + WIDTH, ordered.second);
        }
    }

    TSP_INLINE Two operator+(const Two &other) const {
        return {first + other.first, second + other.second};
    }

    TSP_INLINE Two operator-(const Two &other) const {
        return {first - other.first, second - other.second};
    }

    TSP_INLINE Two operator*(const Two &other) const {
        return {first * other.first, second * other.second};
    }

    /* The elements as bf16, in the order of memory. */
    TSP_INLINE Vec words() const {
        if constexpr (PAIRED) {
            return join_nearest(first, second);
        }
        return narrow_normal_pairs(first, second);
    }

private:
    TSP_INLINE Two in_order() const {
        if constexpr (PAIRED) {
            constexpr auto lanes = std::make_integer_sequence<int, WIDTH>{};
            return {in_turn<0>(first, second, lanes), in_turn<WIDTH / 2>(first, second, lanes)};
        }
        return *this;
    }
};

template <bool PAIRED>
TSP_INLINE Two<PAIRED> fma(const Two<PAIRED> &a, const Two<PAIRED> &b, const Two<PAIRED> &c) {
    return {fma(a.first, b.first, c.first), fma(a.second, b.second, c.second)};
}

/* The nearest values of T, rounded as they are stored. */
template <class T>
TSP_INLINE Two<std::is_same_v<T, bf16>> nearest(const Two<std::is_same_v<T, bf16>> &values) {
    if constexpr (std::is_same_v<T, bf16>) {
        const Vec words = values.words();
        return {low(words), high(words)};
    }
    return values;
}

} // namespace tsp::TSP_ISA
