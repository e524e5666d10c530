/*
 * What of sm_90 goes on while threads do: mbarriers, copies of the copy engine, and products of warpgroups. All of it is
 * done as late as a correct kernel allows: a copy when somebody waits for its mbarrier, a product when its group is waited
 * for. Until then its target is NaN, from the moment it is started: so too early a use and too early a reuse both show.
 *
 * Tensor cores and copy engine see shared memory through a second picture of it, into which ordinary writes come by
 * fence_proxy_async (of any thread, where hardware wants each writing thread's own).
 */
#pragma once

#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace tsp::emulator {

/* Life of a block, called by the engine. */
void begin_async(unsigned char *shared, size_t shared_bytes);
void end_async_thread(const char *kernel, int thread);
void end_async(const char *kernel);

/* An mbarrier, in the 8 bytes that it has in shared memory. */
void init_mbarrier(uint64_t *barrier, uint32_t arrivals);
void publish_mbarriers();
void arrive_at_mbarrier(uint64_t *barrier, uint32_t bytes);
void wait_for_mbarrier(uint64_t *barrier, uint32_t parity);

void fence_proxies();

/* A tensor as the copy engine knows it. Strides in bytes. */
struct TensorDescription {
    unsigned char *data;
    uint64_t sizes[5];
    uint64_t strides[5];
    uint32_t box[5];
    int16_t rank;
    int8_t element_bytes;
    bool swizzled;
};

enum class BoxStore { WRITE, ADD };

/* Loads that all threads of this process have started so far: by it tests see which way a kernel took. */
uint64_t started_loads();

void start_load(void *shared, const TensorDescription &tensor, const int32_t *at, int rank, uint64_t *barrier);
void start_store(
    BoxStore kind, const TensorDescription &tensor, const int32_t *at, int rank, const void *shared);
void commit_stores();
void wait_for_stores(size_t pending);

/* C [64, 2 count] += A [64, 16] B. a: registers, or NULL for those that descriptor_a names. */
struct Product {
    float *c;
    int count;
    const uint32_t *a;
    uint64_t descriptor_a;
    uint64_t descriptor_b;
    bool b_runs_along_n;
    bool add;
};

void fence_products();
void start_product(const Product &product);
void commit_products();
void wait_for_products(size_t pending);

} // namespace tsp::emulator

#pragma GCC visibility pop
