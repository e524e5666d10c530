/* mbarriers and the copy engine. Products are in products.cpp. */
#include "async.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "async_state.h"
#include "emulator.h"

namespace tsp::emulator {

thread_local AsyncState async_state;

namespace {

constexpr uint64_t INITIALISED = 2; /* neither zeros nor the NaN that shared memory begins with */
constexpr uint32_t COUNT_LIMIT = (1u << 20) - 1;

std::atomic<uint64_t> load_count{0};

struct MBarrierFields {
    uint64_t mark : 2;
    uint64_t parity : 1; /* of the current phase */
    uint64_t arrivals : 20;
    uint64_t missing : 20;
    int64_t bytes : 21; /* announced and not come yet; negative: come and not announced yet */
};
static_assert(sizeof(MBarrierFields) == sizeof(uint64_t), "an mbarrier has 8 bytes");

MBarrierFields read_mbarrier(const uint64_t *barrier) {
    const auto *at = reinterpret_cast<const unsigned char *>(barrier);
    const bool inside =
        at >= async_state.shared && at + sizeof(uint64_t) <= async_state.shared + async_state.shared_bytes;
    if (!inside || reinterpret_cast<uintptr_t>(barrier) % sizeof(uint64_t) != 0) {
        fault("an mbarrier is not 8 aligned bytes of shared memory");
    }
    MBarrierFields fields;
    std::memcpy(static_cast<void *>(&fields), barrier, sizeof fields);
    if (fields.mark != INITIALISED) {
        fault(
            "the mbarrier at byte %td of shared memory is used before mbarrier_init, or overwritten",
            at - async_state.shared);
    }
    return fields;
}

void write_mbarrier(uint64_t *barrier, MBarrierFields fields) {
    const ptrdiff_t at = reinterpret_cast<unsigned char *>(barrier) - async_state.shared;
    if (fields.missing == 0 && fields.bytes < 0) {
        fault(
            "the mbarrier at byte %td of shared memory got %d bytes more than were announced",
            at,
            -static_cast<int>(fields.bytes));
    }
    if (fields.missing == 0 && fields.bytes == 0) {
        fields.missing = fields.arrivals;
        fields.parity ^= 1;
    }
    std::memcpy(barrier, &fields, sizeof fields);
}

/* Calls body(offset in the box, address in global memory or NULL, bytes) for the units of 16 bytes of a box. */
template <class Body>
void for_each_unit(const TensorDescription &tensor, const int32_t *at, const Body &body) {
    constexpr uint32_t UNIT = 16;
    const uint32_t width = tensor.box[0] * static_cast<uint32_t>(tensor.element_bytes);
    const uint32_t per_unit = UNIT / static_cast<uint32_t>(tensor.element_bytes);
    uint32_t rows = 1;
    for (int i = 1; i < tensor.rank; ++i) {
        rows *= tensor.box[i];
    }
    for (uint32_t row = 0; row < rows; ++row) {
        bool inside = true;
        unsigned char *start = tensor.data;
        uint32_t rest = row;
        for (int i = 1; i < tensor.rank; ++i) {
            const int64_t index = int64_t{at[i]} + rest % tensor.box[i];
            rest /= tensor.box[i];
            inside = inside && index >= 0 && index < static_cast<int64_t>(tensor.sizes[i]);
            start += inside ? index * static_cast<int64_t>(tensor.strides[i]) : 0;
        }
        for (uint32_t unit = 0; unit < width / UNIT; ++unit) {
            const int64_t first = int64_t{at[0]} + unit * per_unit;
            unsigned char *elements[UNIT / 2];
            for (uint32_t i = 0; i < per_unit; ++i) {
                const int64_t index = first + i;
                const bool valid = inside && index >= 0 && index < static_cast<int64_t>(tensor.sizes[0]);
                elements[i] = valid ? start + index * tensor.element_bytes : nullptr;
            }
            body(row * width + unit * UNIT, elements, per_unit);
        }
    }
}

uint32_t box_bytes(const TensorDescription &tensor) {
    auto bytes = static_cast<uint32_t>(tensor.element_bytes);
    for (int i = 0; i < tensor.rank; ++i) {
        bytes *= tensor.box[i];
    }
    return bytes;
}

size_t place(const TensorDescription &tensor, size_t byte) {
    return tensor.swizzled ? byte ^ (byte >> 3 & 0x70) : byte;
}

/* Where the box is in shared memory; its rank is that of the instruction. */
size_t check_box(const char *what, const TensorDescription &tensor, int rank, const void *shared) {
    const ptrdiff_t offset = static_cast<const unsigned char *>(shared) - async_state.shared;
    const ptrdiff_t alignment = tensor.swizzled ? 1024 : 128;
    if (tensor.rank != rank) {
        fault("%s of rank %d with a tensor map of rank %d", what, rank, tensor.rank);
    }
    if (tensor.swizzled && tensor.box[0] * static_cast<uint32_t>(tensor.element_bytes) != 128) {
        fault("%s: a swizzled box is %u elements wide, which are not 128 bytes", what, tensor.box[0]);
    }
    const bool inside = offset >= 0 && static_cast<size_t>(offset) + box_bytes(tensor) <= async_state.shared_bytes;
    if (!inside || offset % alignment != 0) {
        fault("%s: a box of %u bytes at byte %td of shared memory", what, box_bytes(tensor), offset);
    }
    return static_cast<size_t>(offset);
}

void finish_load(const PendingLoad &load) {
    for_each_unit(load.tensor, load.at, [&](uint32_t offset, unsigned char *const *elements, uint32_t count) {
        const size_t target = place(load.tensor, load.offset + offset);
        const auto bytes = static_cast<size_t>(load.tensor.element_bytes);
        for (uint32_t i = 0; i < count; ++i) {
            unsigned char *element = async_state.shared + target + i * bytes;
            if (elements[i] == nullptr) {
                std::memset(element, 0, bytes);
            } else {
                std::memcpy(element, elements[i], bytes);
            }
        }
        std::memcpy(async_state.picture.get() + target, async_state.shared + target, 16);
    });
}

void finish_store(const PendingStore &store) {
    for_each_unit(store.tensor, store.at, [&](uint32_t offset, unsigned char *const *elements, uint32_t count) {
        const unsigned char *source = async_state.picture.get() + place(store.tensor, store.offset + offset);
        const auto bytes = static_cast<size_t>(store.tensor.element_bytes);
        for (uint32_t i = 0; i < count; ++i, source += bytes) {
            if (elements[i] == nullptr) {
                continue;
            }
            if (store.kind == BoxStore::ADD) {
                float sum;
                float added;
                std::memcpy(&sum, elements[i], sizeof sum);
                std::memcpy(&added, source, sizeof added);
                sum += added;
                std::memcpy(elements[i], &sum, sizeof sum);
            } else {
                std::memcpy(elements[i], source, bytes);
            }
        }
    });
}

/* Makes the copies that report to this barrier. */
void deliver(uint64_t *barrier) {
    std::vector<PendingLoad> &loads = async_state.loads;
    for (size_t i = 0; i < loads.size();) {
        if (loads[i].barrier != barrier) {
            ++i;
            continue;
        }
        const PendingLoad load = loads[i];
        loads.erase(loads.begin() + static_cast<ptrdiff_t>(i));
        finish_load(load);
        MBarrierFields fields = read_mbarrier(barrier);
        fields.bytes -= box_bytes(load.tensor);
        write_mbarrier(barrier, fields);
    }
}

} // namespace

void begin_async(unsigned char *shared, size_t shared_bytes) {
    async_state.shared = shared;
    async_state.shared_bytes = shared_bytes;
    async_state.unpublished = false;
    if (shared_bytes > async_state.picture_bytes) {
        async_state.picture = std::make_unique<unsigned char[]>(shared_bytes);
        async_state.picture_bytes = shared_bytes;
    }
    if (shared_bytes > 0) {
        std::memcpy(async_state.picture.get(), shared, shared_bytes);
    }
}

void end_async_thread(const char *kernel, int thread) {
    const AsyncThread &state = async_state.threads[thread];
    if (!state.stores.empty() || !state.store_groups.empty()) {
        fault("%s: thread %d returned with stores of the copy engine that it did not wait for", kernel, thread);
    }
    if (!state.products.empty() || !state.product_groups.empty()) {
        fault("%s: thread %d returned with products that it did not wait for", kernel, thread);
    }
    async_state.threads[thread].may_start_products = false;
}

void end_async(const char *kernel) {
    if (!async_state.loads.empty()) {
        fault("%s: a block returned with loads of the copy engine that nobody waited for", kernel);
    }
}

void init_mbarrier(uint64_t *barrier, uint32_t arrivals) {
    if (arrivals == 0 || arrivals > COUNT_LIMIT) {
        fault("an mbarrier for %u arrivals", arrivals);
    }
    MBarrierFields fields{};
    fields.mark = INITIALISED;
    fields.arrivals = arrivals;
    fields.missing = arrivals;
    std::memcpy(barrier, &fields, sizeof fields);
    read_mbarrier(barrier);
    async_state.unpublished = true;
}

void publish_mbarriers() {
    async_state.unpublished = false;
}

void arrive_at_mbarrier(uint64_t *barrier, uint32_t bytes) {
    MBarrierFields fields = read_mbarrier(barrier);
    if (bytes > COUNT_LIMIT) {
        fault("%u bytes are announced to an mbarrier, which counts to 2^20 - 1", bytes);
    }
    if (fields.missing == 0) {
        fault("an mbarrier has more arrivals in a phase than it was made for");
    }
    fields.bytes += bytes;
    --fields.missing;
    write_mbarrier(barrier, fields);
}

void wait_for_mbarrier(uint64_t *barrier, uint32_t parity) {
    if (parity > 1) {
        fault("an mbarrier is waited for with parity %u", parity);
    }
    wait_until("an mbarrier's phase, to which arrivals or bytes of copies are missing", [=] {
        deliver(barrier);
        return read_mbarrier(barrier).parity != parity;
    });
}

void fence_proxies() {
    std::memcpy(async_state.picture.get(), async_state.shared, async_state.shared_bytes);
}

void start_load(void *shared, const TensorDescription &tensor, const int32_t *at, int rank, uint64_t *barrier) {
    PendingLoad load{tensor, {}, check_box("a load", tensor, rank, shared), barrier};
    std::copy(at, at + rank, load.at);
    read_mbarrier(barrier);
    if (async_state.unpublished) {
        fault("a load reports to an mbarrier before fence_mbarrier_init");
    }
    const size_t bytes = box_bytes(tensor);
    for (const PendingLoad &other : async_state.loads) {
        if (load.offset < other.offset + box_bytes(other.tensor) && other.offset < load.offset + bytes) {
            fault("a load goes to byte %zu of shared memory, where another one is under way", load.offset);
        }
    }
    std::memset(async_state.shared + load.offset, 0xff, bytes);
    std::memset(async_state.picture.get() + load.offset, 0xff, bytes);
    async_state.loads.push_back(load);
    ++load_count;
}

uint64_t started_loads() {
    return load_count;
}

void start_store(BoxStore kind, const TensorDescription &tensor, const int32_t *at, int rank, const void *shared) {
    PendingStore store{kind, tensor, {}, check_box("a store", tensor, rank, shared)};
    std::copy(at, at + rank, store.at);
    if (kind == BoxStore::ADD && tensor.element_bytes != 4) {
        fault("adding to a tensor is emulated for fp32 only");
    }
    const unsigned char *seen = async_state.picture.get() + store.offset;
    if (std::memcmp(async_state.shared + store.offset, seen, box_bytes(tensor)) != 0) {
        fault("a store of shared memory at byte %zu that was written without fence_proxy_async", store.offset);
    }
    async_state.threads[self().number].stores.push_back(store);
}

void commit_stores() {
    AsyncThread &thread = async_state.threads[self().number];
    thread.store_groups.push_back(std::move(thread.stores));
    thread.stores.clear();
}

void wait_for_stores(size_t pending) {
    AsyncThread &thread = async_state.threads[self().number];
    while (thread.store_groups.size() > pending) {
        for (const PendingStore &store : thread.store_groups.front()) {
            finish_store(store);
        }
        thread.store_groups.pop_front();
    }
}

} // namespace tsp::emulator
