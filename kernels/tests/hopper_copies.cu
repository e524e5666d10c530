/* The copy engine: boxes of every rank, inside and outside of their tensors, loaded, stored and added. */
#include "hopper_test.h"

namespace tsp::test {
namespace {

using namespace gpu;

template <int RANK>
struct Corner {
    int32_t at[RANK];
};

/* Copies the box to out as it is in shared memory. */
template <int RANK>
__global__ void __launch_bounds__(128)
load_box(const __grid_constant__ TensorMap map, Corner<RANK> corner, uint32_t bytes, uint16_t *out) {
#if TSP_SM_90A
    auto *memory = shared_memory<unsigned char>();
    auto *barrier = reinterpret_cast<MBarrier *>(memory + (bytes + 7) / 8 * 8);
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        fence_mbarrier_init();
        prefetch_tensor_map(&map);
        mbarrier_arrive_expect(barrier, bytes);
        load_tensor(memory, &map, corner.at, barrier);
    }
    __syncthreads();
    mbarrier_wait(barrier, 0);
    for (uint32_t i = threadIdx.x; i < bytes / 2; i += 128) {
        out[i] = reinterpret_cast<const uint16_t *>(memory)[i];
    }
#endif
}

/* A tensor of this rank whose rows are 72 of at most 80 elements and whose other dimensions are small. */
template <int RANK>
void test_load(Report &report, bool swizzle, const int32_t (&at)[RANK]) {
    constexpr int64_t SIZES[] = {72, 11, 3, 2, 3};
    constexpr uint32_t BOXES[] = {64, 16, 2, 2, 2};
    int64_t strides[RANK];
    int64_t elements = 1;
    uint32_t box = 1;
    for (int i = 0; i < RANK; ++i) {
        strides[i] = elements;
        elements *= SIZES[i] + (i == 0 ? 8 : 0);
        box *= BOXES[i];
    }
    const Shared<uint16_t> tensor(static_cast<size_t>(elements));
    const Shared<uint16_t> out(box);
    for (size_t i = 0; i < tensor.size(); ++i) {
        tensor[i] = static_cast<uint16_t>(i + 1);
    }
    const auto dimension = [&](int i) { return BoxedDimension{SIZES[i], strides[i], BOXES[i]}; };
    TensorMap map;
    if constexpr (RANK == 2) {
        map = map_tensor("tensor", tensor.data(), TSP_BF16, swizzle, {dimension(0), dimension(1)});
    } else if constexpr (RANK == 3) {
        map = map_tensor("tensor", tensor.data(), TSP_BF16, swizzle, {dimension(0), dimension(1), dimension(2)});
    } else if constexpr (RANK == 4) {
        map = map_tensor(
            "tensor", tensor.data(), TSP_BF16, swizzle, {dimension(0), dimension(1), dimension(2), dimension(3)});
    } else {
        map = map_tensor(
            "tensor",
            tensor.data(),
            TSP_BF16,
            swizzle,
            {dimension(0), dimension(1), dimension(2), dimension(3), dimension(4)});
    }
    Corner<RANK> corner;
    std::memcpy(corner.at, at, sizeof corner.at);
    run_block(128, 2 * box + 8, load_box<RANK>, map, corner, 2 * box, out.data());
    for (uint32_t i = 0; i < box; ++i) {
        uint32_t rest = i;
        int64_t position = 0;
        bool inside = true;
        for (int d = 0; d < RANK; ++d) {
            const int64_t index = at[d] + static_cast<int64_t>(rest % BOXES[d]);
            rest /= BOXES[d];
            position += index * strides[d];
            inside = inside && index >= 0 && index < SIZES[d];
        }
        const uint16_t wanted = inside ? tensor[static_cast<size_t>(position)] : 0;
        const uint32_t byte = swizzle ? swizzled(2 * i) : 2 * i;
        report.expect(
            out[byte / 2] == wanted,
            "load of rank %d, %s, from %d, %d: element %u is %d instead of %d",
            RANK,
            swizzle ? "swizzled" : "plain",
            at[0],
            at[1],
            i,
            out[byte / 2],
            wanted);
    }
}

template <bool ADD>
__global__ void __launch_bounds__(128)
store_boxes(const __grid_constant__ TensorMap map, int32_t row, int32_t times, uint32_t width) {
#if TSP_SM_90A
    auto *memory = shared_memory<float>();
    const uint32_t elements = width * 16;
    for (int32_t time = 0; time < times; ++time) {
        float *box = memory + time % 2 * elements;
        if (threadIdx.x == 0) {
            wait_for_stores_read<1>();
        }
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < elements; i += 128) {
            box[width == 32 ? swizzled(4 * i) / 4 : i] = static_cast<float>(i + 1) + static_cast<float>(time) * 1000.0f;
        }
        fence_proxy_async();
        __syncthreads();
        if (threadIdx.x == 0) {
            if constexpr (ADD) {
                add_tensor(&map, {8, row}, box);
            } else {
                store_tensor(&map, {8, row}, box);
            }
            commit_stores();
        }
    }
    if (threadIdx.x == 0) {
        wait_for_stores<0>();
    }
#endif
}

/* Boxes of 16 rows at column 8 of a tensor [20, 36 (of 40)]: what is outside of it stays as it is. */
template <bool ADD>
void test_store(Report &report, bool swizzle, int32_t row) {
    constexpr int COLUMNS = 36;
    constexpr int STRIDE = 40;
    constexpr int ROWS = 20;
    const uint32_t width = swizzle ? 32 : 16;
    const Shared<float> tensor(STRIDE * ROWS);
    for (size_t i = 0; i < tensor.size(); ++i) {
        tensor[i] = 0.5f;
    }
    const TensorMap map =
        map_tensor("tensor", tensor.data(), TSP_F32, swizzle, {{COLUMNS, 1, width}, {ROWS, STRIDE, 16}});
    run_block(128, 2 * 16 * width * 4, store_boxes<ADD>, map, row, 3, width);
    for (int i = 0; i < ROWS; ++i) {
        for (int j = 0; j < STRIDE; ++j) {
            const bool inside = i >= row && i < row + 16 && j >= 8 && j < 8 + static_cast<int>(width) && j < COLUMNS;
            const auto number = static_cast<float>((i - row) * static_cast<int>(width) + j - 8 + 1);
            const float wanted = !inside ? 0.5f : ADD ? 0.5f + 3 * number + 3000.0f : number + 2000.0f;
            report.expect(
                tensor[static_cast<size_t>(i * STRIDE + j)] == wanted,
                "%s of a box at row %d: [%d, %d] is %g instead of %g",
                ADD ? "add" : "store",
                row,
                i,
                j,
                static_cast<double>(tensor[static_cast<size_t>(i * STRIDE + j)]),
                static_cast<double>(wanted));
        }
    }
}

} // namespace

void test_copies(Report &report) {
    for (const bool swizzle : {false, true}) {
        test_load<2>(report, swizzle, {0, 0});
        test_load<2>(report, swizzle, {8, 3});
        test_load<2>(report, swizzle, {-16, -5});
        test_load<2>(report, swizzle, {64, 10});
        test_load<2>(report, swizzle, {0, 11});
        test_load<3>(report, swizzle, {0, 0, 2});
        test_load<4>(report, swizzle, {8, 0, -1, 1});
        test_load<5>(report, swizzle, {0, 2, 1, 0, 1});
        for (const int32_t row : {-3, 0, 4, 9}) {
            test_store<false>(report, swizzle, row);
            test_store<true>(report, swizzle, row);
        }
    }
}

} // namespace tsp::test
