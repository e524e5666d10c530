/* Products of warpgroups: every layout and width, steps inside and across rows of 128 bytes, against plain loops. */
#include "hopper_test.h"

namespace tsp::test {
namespace {

using namespace gpu;

constexpr int DEPTH = 128;
constexpr uint32_t A_BYTES = PRODUCT_ROWS * DEPTH * 2;

template <int N>
constexpr uint32_t B_BYTES = N *DEPTH * 2;

/* A [64, DEPTH]; B [N, DEPTH] if it runs along K, else [DEPTH, N]; c [64, N]. Registers begin as 1000. */
template <Major MAJOR, int N, bool REGISTERS>
__global__ void __launch_bounds__(128)
multiply(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, const uint16_t *a, float *c, bool add) {
#if TSP_SM_90A
    constexpr int PANELS = DEPTH / PANEL_COLUMNS;
    auto *memory = shared_memory<unsigned char>();
    unsigned char *tile_a = memory;
    unsigned char *tile_b = memory + A_BYTES;
    auto *barrier = reinterpret_cast<MBarrier *>(tile_b + B_BYTES<N>);
    const int thread = static_cast<int>(threadIdx.x);
    if (thread == 0) {
        mbarrier_init(barrier, 1);
        fence_mbarrier_init();
        mbarrier_arrive_expect(barrier, A_BYTES + B_BYTES<N>);
        for (int panel = 0; panel < PANELS; ++panel) {
            load_tensor(tile_a + panel * (A_BYTES / PANELS), &map_a, {panel * PANEL_COLUMNS, 0}, barrier);
        }
        constexpr int B_PANELS = MAJOR == Major::K ? PANELS : N / PANEL_COLUMNS;
        for (int panel = 0; panel < B_PANELS; ++panel) {
            load_tensor(tile_b + panel * (B_BYTES<N> / B_PANELS), &map_b, {panel * PANEL_COLUMNS, 0}, barrier);
        }
    }
    __syncthreads();
    mbarrier_wait(barrier, 0);
    const int row = thread / WARP * 16 + thread % WARP / 4;
    const int column = thread % 4 * 2;
    float sum[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
        sum[i] = 1000.0f;
    }
    uint32_t left[DEPTH / PRODUCT_DEPTH][4];
#pragma unroll
    for (int step = 0; step < DEPTH / PRODUCT_DEPTH; ++step) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const uint16_t *pair =
                a + (row + i % 2 * 8) * DEPTH + step * PRODUCT_DEPTH + column + i / 2 * 8;
            left[step][i] = uint32_t{pair[0]} | uint32_t{pair[1]} << 16;
        }
    }
    constexpr uint32_t PANEL_BYTES_A = A_BYTES / PANELS;
    constexpr uint32_t STEPS_IN_ROW = PANEL_COLUMNS / PRODUCT_DEPTH;
    fence_products();
#pragma unroll
    for (int step = 0; step < DEPTH / PRODUCT_DEPTH; ++step) {
        const uint32_t in_row = step % STEPS_IN_ROW * 32;
        const uint64_t of_a = matrix_descriptor(tile_a + step / STEPS_IN_ROW * PANEL_BYTES_A + in_row);
        const uint64_t of_b = MAJOR == Major::K
            ? matrix_descriptor(tile_b + step / STEPS_IN_ROW * (B_BYTES<N> / PANELS) + in_row)
            : matrix_descriptor(tile_b, DEPTH * PANEL_ROW_BYTES) + step * PRODUCT_DEPTH * PANEL_ROW_BYTES / 16;
        if constexpr (REGISTERS) {
            start_product<MAJOR>(sum, left[step], of_b, add || step > 0);
        } else {
            start_product<MAJOR>(sum, of_a, of_b, add || step > 0);
        }
    }
    commit_products();
    wait_for_products<0>(sum);
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
        c[(row + i % 4 / 2 * 8) * N + i / 4 * 8 + column + i % 2] = sum[i];
    }
#endif
}

template <Major MAJOR, int N, bool REGISTERS>
void test_product(Report &report, bool add) {
    const Shared<uint16_t> a(PRODUCT_ROWS * DEPTH);
    const Shared<uint16_t> b(N * DEPTH);
    const Shared<float> c(PRODUCT_ROWS * N);
    fill_whole(a, 1);
    fill_whole(b, 2);
    const TensorMap map_a = map_tensor("a", a.data(), TSP_BF16, true, {{DEPTH, 1, 64}, {PRODUCT_ROWS, DEPTH, 64}});
    const TensorMap map_b = MAJOR == Major::K
        ? map_tensor("b", b.data(), TSP_BF16, true, {{DEPTH, 1, 64}, {N, DEPTH, N}})
        : map_tensor("b", b.data(), TSP_BF16, true, {{N, 1, 64}, {DEPTH, N, DEPTH}});
    run_block(
        128, A_BYTES + B_BYTES<N> + 8, multiply<MAJOR, N, REGISTERS>, map_a, map_b, a.data(), c.data(), add);
    for (int i = 0; i < PRODUCT_ROWS; ++i) {
        for (int n = 0; n < N; ++n) {
            float wanted = add ? 1000.0f : 0.0f;
            for (int k = 0; k < DEPTH; ++k) {
                wanted += value_of(a[i * DEPTH + k]) * value_of(b[MAJOR == Major::K ? n * DEPTH + k : k * N + n]);
            }
            report.expect(
                c[i * N + n] == wanted,
                "product with N = %d, B along %s, A in %s: [%d, %d] is %g instead of %g",
                N,
                MAJOR == Major::K ? "K" : "N",
                REGISTERS ? "registers" : "shared memory",
                i,
                n,
                static_cast<double>(c[i * N + n]),
                static_cast<double>(wanted));
        }
    }
}

template <Major MAJOR, int N>
void test_width(Report &report) {
    for (const bool add : {false, true}) {
        test_product<MAJOR, N, false>(report, add);
        test_product<MAJOR, N, true>(report, add);
    }
}

/* Two groups under way on different registers; the first one is waited for alone. out: [2][64 * 64]. */
__global__ void __launch_bounds__(128)
overlap(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, float *out) {
#if TSP_SM_90A
    auto *memory = shared_memory<unsigned char>();
    constexpr uint32_t TILE = 64 * PANEL_ROW_BYTES;
    auto *barrier = reinterpret_cast<MBarrier *>(memory + 2 * TILE);
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        fence_mbarrier_init();
        mbarrier_arrive_expect(barrier, 2 * TILE);
        load_tensor(memory, &map_a, {0, 0}, barrier);
        load_tensor(memory + TILE, &map_b, {0, 0}, barrier);
    }
    __syncthreads();
    mbarrier_wait(barrier, 0);
    float first[32] = {};
    float second[32] = {};
    fence_products();
    start_product<Major::K>(first, matrix_descriptor(memory), matrix_descriptor(memory + TILE), false);
    commit_products();
    start_product<Major::K>(second, matrix_descriptor(memory + 32), matrix_descriptor(memory + TILE + 32), false);
    commit_products();
    wait_for_products<1>(first);
    float kept[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        kept[i] = first[i];
    }
    wait_for_products<0>(second);
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        out[threadIdx.x * 32 + i] = kept[i];
        out[4096 + threadIdx.x * 32 + i] = second[i];
    }
#endif
}

void test_overlap(Report &report) {
    const Shared<uint16_t> a(64 * 64);
    const Shared<uint16_t> b(64 * 64);
    const Shared<float> out(2 * 4096);
    fill_whole(a, 3);
    fill_whole(b, 4);
    const TensorMap map_a = map_tensor("a", a.data(), TSP_BF16, true, {{64, 1, 64}, {64, 64, 64}});
    const TensorMap map_b = map_tensor("b", b.data(), TSP_BF16, true, {{64, 1, 64}, {64, 64, 64}});
    run_block(128, 2 * 64 * PANEL_ROW_BYTES + 8, overlap, map_a, map_b, out.data());
    for (int group = 0; group < 2; ++group) {
        for (int at = 0; at < 4096; ++at) {
            const int thread = at / 32;
            const int i = at % 32;
            const int row = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8;
            const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
            float wanted = 0;
            for (int k = 16 * group; k < 16 * group + 16; ++k) {
                wanted += value_of(a[row * 64 + k]) * value_of(b[column * 64 + k]);
            }
            const auto got = static_cast<double>(out[group * 4096 + at]);
            report.expect(got == static_cast<double>(wanted), "group %d of two: [%d, %d] is %g", group, row, column, got);
        }
    }
}

} // namespace

void test_products(Report &report) {
    test_width<Major::K, 64>(report);
    test_width<Major::K, 128>(report);
    test_width<Major::K, 256>(report);
    test_width<Major::MN, 64>(report);
    test_width<Major::MN, 128>(report);
    test_width<Major::MN, 256>(report);
    test_overlap(report);
}

} // namespace tsp::test
