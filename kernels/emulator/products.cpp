/* Products of warpgroups. How operands lie: cuda/ptx/wgmma.h. */
#include <cstring>

#include "async_state.h"
#include "emulator.h"

namespace tsp::emulator {
namespace {

constexpr int ROWS = 64;
constexpr int DEPTH = 16;
constexpr int MAX_COLUMNS = 256;

float from_bf16(uint32_t bits) {
    const uint32_t word = bits << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

/* The fields of a descriptor, in bytes. */
struct Matrix {
    explicit Matrix(uint64_t descriptor)
        : start((descriptor & 0x3fff) << 4),
          leading((descriptor >> 16 & 0x3fff) << 4),
          stride((descriptor >> 32 & 0x3fff) << 4) {
        if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) {
            fault("a descriptor of a product has swizzle %d and base offset %d: only 1 and 0 are emulated",
                  static_cast<int>(descriptor >> 62),
                  static_cast<int>(descriptor >> 49 & 7));
        }
    }

    /* major: the element's index along the 128-byte rows; minor: across them. */
    float element(uint64_t major, uint64_t minor, bool along_n) const {
        uint64_t byte = start + minor / 8 * stride + minor % 8 * 128 + major % 64 * 2;
        byte += along_n ? major / 64 * leading : major / 64 * 128;
        byte ^= byte >> 3 & 0x70;
        if (byte + 2 > async_state.shared_bytes) {
            fault("a product reads byte %lu of %zu bytes of shared memory", byte, async_state.shared_bytes);
        }
        uint16_t seen;
        uint16_t written;
        std::memcpy(&seen, async_state.picture.get() + byte, sizeof seen);
        std::memcpy(&written, async_state.shared + byte, sizeof written);
        if (seen != written) {
            fault("a product reads byte %lu of shared memory, which was written without fence_proxy_async", byte);
        }
        return from_bf16(seen);
    }

    uint64_t start, leading, stride;
};

struct Operands {
    float a[ROWS][DEPTH];
    float b[DEPTH][MAX_COLUMNS];
    float c[ROWS][MAX_COLUMNS];
};

thread_local Operands operands;

Accumulator &accumulator(AsyncThread &thread, const float *registers) {
    for (Accumulator &candidate : thread.accumulators) {
        if (candidate.registers == registers) {
            return candidate;
        }
    }
    fault("a product's registers are not there");
}

void read_a(AsyncThread *const *threads, size_t index, const Product &first) {
    if (first.a == nullptr) {
        const Matrix a(first.descriptor_a);
        for (uint64_t i = 0; i < ROWS; ++i) {
            for (uint64_t k = 0; k < DEPTH; ++k) {
                operands.a[i][k] = a.element(k, i, false);
            }
        }
        return;
    }
    for (int number = 0; number < WARPGROUP; ++number) {
        const uint32_t *a = threads[number]->product_groups.front()[index].a;
        const int row = number / WARP * 16 + number % WARP / 4;
        const int column = number % 4 * 2;
        for (int half = 0; half < 2; ++half) {
            for (int i = 0; i < 4; ++i) {
                operands.a[row + i % 2 * 8][column + i / 2 * 8 + half] = from_bf16(a[i] >> 16 * half & 0xffff);
            }
        }
    }
}

void read_b(const Product &first) {
    const Matrix b(first.descriptor_b);
    const auto columns = static_cast<uint64_t>(2 * first.count);
    for (uint64_t k = 0; k < DEPTH; ++k) {
        for (uint64_t n = 0; n < columns; ++n) {
            operands.b[k][n] = first.b_runs_along_n ? b.element(n, k, true) : b.element(k, n, false);
        }
    }
}

void multiply(int columns) {
    for (int i = 0; i < ROWS; ++i) {
        float *c = operands.c[i];
        std::memset(c, 0, sizeof(float) * static_cast<size_t>(columns));
        for (int k = 0; k < DEPTH; ++k) {
            const float a = operands.a[i][k];
            for (int n = 0; n < columns; ++n) {
                c[n] += a * operands.b[k][n];
            }
        }
    }
}

void finish_product(AsyncThread *const *threads, size_t index) {
    const Product first = threads[0]->product_groups.front()[index];
    for (int number = 1; number < WARPGROUP; ++number) {
        const Product &other = threads[number]->product_groups.front()[index];
        const bool same = other.count == first.count && (other.a == nullptr) == (first.a == nullptr)
            && other.descriptor_a == first.descriptor_a && other.descriptor_b == first.descriptor_b
            && other.b_runs_along_n == first.b_runs_along_n && other.add == first.add;
        if (!same) {
            fault("the threads of a warpgroup started different products");
        }
    }
    read_a(threads, index, first);
    read_b(first);
    multiply(2 * first.count);
    for (int number = 0; number < WARPGROUP; ++number) {
        const int row = number / WARP * 16 + number % WARP / 4;
        const int column = number % 4 * 2;
        Accumulator &sum = accumulator(*threads[number], threads[number]->product_groups.front()[index].c);
        for (int i = 0; i < first.count; ++i) {
            const float term = operands.c[row + i % 4 / 2 * 8][i / 4 * 8 + column + i % 2];
            sum.values[i] = (first.add ? sum.values[i] : 0.0f) + term;
        }
        if (--sum.products == 0) {
            std::memcpy(sum.registers, sum.values, sizeof(float) * static_cast<size_t>(sum.count));
            threads[number]->accumulators.erase(
                threads[number]->accumulators.begin() + (&sum - threads[number]->accumulators.data()));
        }
    }
}

struct Waiting {
    AsyncThread *thread;
    size_t pending;
};

void finish_groups(Waiting *const *waiting) {
    AsyncThread *threads[WARPGROUP];
    for (int i = 0; i < WARPGROUP; ++i) {
        threads[i] = waiting[i]->thread;
        const bool same = threads[i]->product_groups.size() == threads[0]->product_groups.size()
            && waiting[i]->pending == waiting[0]->pending;
        if (!same) {
            fault("the threads of a warpgroup wait for different groups of products");
        }
    }
    while (threads[0]->product_groups.size() > waiting[0]->pending) {
        const size_t count = threads[0]->product_groups.front().size();
        for (AsyncThread *thread : threads) {
            if (thread->product_groups.front().size() != count) {
                fault("the threads of a warpgroup started different numbers of products");
            }
        }
        for (size_t i = 0; i < count; ++i) {
            finish_product(threads, i);
        }
        for (AsyncThread *thread : threads) {
            thread->product_groups.pop_front();
        }
    }
}

} // namespace

void fence_products() {
    async_state.threads[self().number].may_start_products = true;
}

void start_product(const Product &product) {
    AsyncThread &thread = async_state.threads[self().number];
    if (!thread.may_start_products) {
        fault("a product is started without fence_products after the last wait");
    }
    for (Accumulator &known : thread.accumulators) {
        if (known.registers == product.c) {
            ++known.products;
            thread.products.push_back(product);
            return;
        }
    }
    Accumulator sum{product.c, product.count, 1, {}};
    const size_t bytes = sizeof(float) * static_cast<size_t>(product.count);
    std::memcpy(sum.values, product.c, bytes);
    std::memset(product.c, 0xff, bytes);
    thread.accumulators.push_back(sum);
    thread.products.push_back(product);
}

void commit_products() {
    AsyncThread &thread = async_state.threads[self().number];
    thread.product_groups.push_back(std::move(thread.products));
    thread.products.clear();
}

void wait_for_products(size_t pending) {
    Waiting mine{&async_state.threads[self().number], pending};
    mine.thread->may_start_products = false;
    if (mine.thread->product_groups.size() > pending) {
        meet_warpgroup("a wait for products", mine, [](Waiting *const *waiting) { finish_groups(waiting); });
    }
}

} // namespace tsp::emulator
