/*
 * The part of NCCL that is emulated, between ranks of one process: messages match by pair in the order in which they were
 * sent, and a group of them is one piece of work of its stream. It is as unpleasant as the real one may be: a group is put
 * on its stream some time after the call that ends it, and until then the communicator is in progress and takes no other;
 * and of the groups that one thread issues, whatever their communicators, one runs at a time, as if it filled the GPU.
 *
 * TSP_EMULATED_NCCL_FAILS: number of the group, counted on each communicator, with which its rank 1 refuses its work.
 * TSP_EMULATED_NCCL_BREAKS: the same, but rank 1 finds the failure a while after it has begun to wait for its peers.
 */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "emulated_runtime.h"

namespace {

enum Result : int {
    SUCCESS = 0,
    INVALID_ARGUMENT = 4,
    INVALID_USAGE = 5,
    REMOTE_ERROR = 6,
    IN_PROGRESS = 7,
};

struct UniqueId {
    char text[128];
};

struct Message {
    const void *data;
    size_t bytes;
    bool taken = false;
};

/* What the ranks of one communicator share. */
struct World {
    explicit World(int size) : mailboxes(static_cast<size_t>(size) * static_cast<size_t>(size)) {}

    std::deque<std::shared_ptr<Message>> &mailbox(int from, int to, int size) {
        return mailboxes[static_cast<size_t>(from * size + to)];
    }

    std::mutex lock;
    std::condition_variable changed;
    std::vector<std::deque<std::shared_ptr<Message>>> mailboxes;
    int joined = 0;
};

std::mutex worlds_lock;
std::map<std::string, std::weak_ptr<World>> worlds;
std::atomic<int> ids{0};

long setting(const char *name) {
    const char *text = std::getenv(name);
    return text == nullptr || *text == '\0' ? -1 : std::strtol(text, nullptr, 10);
}

/* Up to a third of a millisecond, by chance. */
void dawdle() {
    thread_local std::minstd_rand random{std::random_device{}()};
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
}

} // namespace

struct tsp_emulated_comm {
    tsp_emulated_comm(std::shared_ptr<World> world, int rank, int size)
        : world(std::move(world)),
          rank(rank),
          size(size) {}

    std::shared_ptr<World> world;
    int rank;
    int size;
    long groups = 0;
    std::atomic<int> state{SUCCESS};
    std::atomic<bool> aborted{false};
    std::atomic<bool> finalized{false};
    std::atomic<int> under_way{0}; /* groups that are put and not done */

    /* Begins to put a group on its stream; not after an abort. */
    template <class Put>
    void issue(const Put &put) {
        const std::lock_guard<std::mutex> held(issuing);
        join_issuer();
        if (!aborted) {
            issuer = std::thread(put);
        }
    }

    /* Until then streams may get work of this communicator, so none of both may end before. */
    void await_issuer() {
        const std::lock_guard<std::mutex> held(issuing);
        join_issuer();
    }

private:
    void join_issuer() {
        if (issuer.joinable()) {
            issuer.join();
        }
    }

    std::mutex issuing; /* guards the issuer */
    std::thread issuer;
};

namespace {

using Comm = tsp_emulated_comm;

struct Transfer {
    Comm *comm;
    cudaStream_t stream;
    int peer;
    const void *source; /* of a message to peer */
    void *target;       /* of a message from peer */
    size_t bytes;
};

/* What a rank's GPU has room for. */
thread_local std::shared_ptr<std::mutex> gpu = std::make_shared<std::mutex>();

thread_local int group_depth = 0;
thread_local std::vector<Transfer> group;

size_t element_bytes(int dtype) {
    constexpr size_t BYTES[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
    return BYTES[dtype];
}

/* Whether a call may use a communicator. */
bool is_usable(const Comm *comm) {
    return !comm->aborted && comm->state != IN_PROGRESS;
}

/* All of a group on one stream: first every message is sent, then those of the peers are taken. */
void exchange(const std::vector<Transfer> &transfers) {
    dawdle();
    Comm &comm = *transfers.front().comm;
    World &world = *comm.world;
    std::unique_lock<std::mutex> held(world.lock);
    if (comm.aborted) {
        return;
    }
    std::vector<std::shared_ptr<Message>> sent;
    for (const Transfer &transfer : transfers) {
        if (transfer.source != nullptr) {
            sent.push_back(std::make_shared<Message>(Message{transfer.source, transfer.bytes}));
            world.mailbox(comm.rank, transfer.peer, comm.size).push_back(sent.back());
        }
    }
    world.changed.notify_all();
    for (const Transfer &transfer : transfers) {
        if (transfer.target == nullptr) {
            continue;
        }
        auto &mailbox = world.mailbox(transfer.peer, comm.rank, comm.size);
        world.changed.wait(held, [&] { return comm.aborted || !mailbox.empty(); });
        if (comm.aborted) {
            return;
        }
        const std::shared_ptr<Message> message = mailbox.front();
        mailbox.pop_front();
        if (message->bytes != transfer.bytes) {
            comm.state = INVALID_USAGE;
        }
        std::memmove(transfer.target, message->data, std::min(message->bytes, transfer.bytes));
        message->taken = true;
        world.changed.notify_all();
    }
    for (const auto &message : sent) {
        world.changed.wait(held, [&] { return comm.aborted || message->taken; });
    }
}

/* Waits for peers that will not come. */
void hang(Comm &comm) {
    const auto is_aborted = [&comm] { return comm.aborted.load(); };
    std::unique_lock<std::mutex> held(comm.world->lock);
    comm.world->changed.wait_for(held, std::chrono::milliseconds(100), is_aborted);
    comm.state = REMOTE_ERROR;
    comm.world->changed.wait(held, is_aborted);
}

int submit(const Transfer &transfer) {
    if (!is_usable(transfer.comm)) {
        return INVALID_USAGE;
    }
    group.push_back(transfer);
    return SUCCESS;
}

/* Puts transfers of one communicator on their stream, later. */
void put(const std::vector<Transfer> &together) {
    Comm &comm = *together.front().comm;
    const long number = comm.groups++;
    if (comm.rank == 1 && number == setting("TSP_EMULATED_NCCL_FAILS")) {
        comm.state = REMOTE_ERROR;
    }
    if (comm.state != SUCCESS) {
        return;
    }
    const bool breaks = comm.rank == 1 && number == setting("TSP_EMULATED_NCCL_BREAKS");
    comm.state = IN_PROGRESS;
    comm.issue([&comm, together, breaks, room = gpu] {
        dawdle();
        ++comm.under_way;
        tspEmulatorEnqueue(together.front().stream, [&comm, together, breaks, room] {
            const std::lock_guard<std::mutex> alone(*room);
            if (breaks) {
                hang(comm);
            } else {
                exchange(together);
            }
            --comm.under_way;
        });
        int in_progress = IN_PROGRESS;
        comm.state.compare_exchange_strong(in_progress, SUCCESS);
    });
}

int flush() {
    std::vector<Transfer> all;
    all.swap(group);
    while (!all.empty()) {
        std::vector<Transfer> together;
        std::vector<Transfer> rest;
        for (const Transfer &transfer : all) {
            const bool same = transfer.comm == all.front().comm && transfer.stream == all.front().stream;
            (same ? together : rest).push_back(transfer);
        }
        put(together);
        all.swap(rest);
    }
    return IN_PROGRESS;
}

} // namespace

TSP_EMULATED_API int ncclGetVersion(int *version) {
    *version = 23007;
    return SUCCESS;
}

TSP_EMULATED_API int ncclGetUniqueId(UniqueId *id) {
    std::memset(id, 0, sizeof *id);
    std::snprintf(id->text, sizeof id->text, "emulated communicator %d", ids++);
    return SUCCESS;
}

/* Done when all ranks have come; until then the communicator is in progress, whatever the configuration says. */
TSP_EMULATED_API int ncclCommInitRankConfig(Comm **comm, int size, UniqueId id, int rank, void *) {
    if (size < 1 || rank < 0 || rank >= size) {
        return INVALID_ARGUMENT;
    }
    const std::lock_guard<std::mutex> held(worlds_lock);
    std::shared_ptr<World> world = worlds[id.text].lock();
    if (world == nullptr) {
        world = std::make_shared<World>(size);
        worlds[id.text] = world;
    }
    ++world->joined;
    *comm = new Comm(world, rank, size);
    return IN_PROGRESS;
}

TSP_EMULATED_API int ncclCommGetAsyncError(Comm *comm, int *state) {
    if (comm->aborted) {
        return INVALID_USAGE;
    }
    const std::lock_guard<std::mutex> held(worlds_lock);
    const bool waits = comm->world->joined < comm->size || (comm->finalized && comm->under_way > 0);
    *state = waits ? static_cast<int>(IN_PROGRESS) : comm->state.load();
    return SUCCESS;
}

TSP_EMULATED_API int ncclCommFinalize(Comm *comm) {
    comm->await_issuer();
    comm->finalized = true;
    return comm->under_way > 0 ? IN_PROGRESS : SUCCESS;
}

TSP_EMULATED_API int ncclCommAbort(Comm *comm) {
    {
        World &world = *comm->world;
        const std::lock_guard<std::mutex> held(world.lock);
        if (comm->aborted.exchange(true)) {
            return INVALID_USAGE;
        }
        /* What it sent may be freed now: peers wait for it until they are aborted, too. */
        for (int peer = 0; peer < comm->size; ++peer) {
            world.mailbox(comm->rank, peer, comm->size).clear();
        }
    }
    comm->world->changed.notify_all();
    comm->await_issuer();
    /* Work of streams may still look at it: it is left where it is, as after any abort. */
    return SUCCESS;
}

TSP_EMULATED_API int ncclCommDestroy(Comm *comm) {
    comm->await_issuer();
    delete comm;
    return SUCCESS;
}

TSP_EMULATED_API int ncclGroupStart() {
    ++group_depth;
    return SUCCESS;
}

TSP_EMULATED_API int ncclGroupEnd() {
    return --group_depth == 0 ? flush() : static_cast<int>(SUCCESS);
}

TSP_EMULATED_API int ncclSend(const void *data, size_t count, int dtype, int peer, Comm *comm, cudaStream_t stream) {
    if (peer < 0 || peer >= comm->size) {
        return INVALID_ARGUMENT;
    }
    const int code = submit({comm, stream, peer, data, nullptr, count * element_bytes(dtype)});
    return code == SUCCESS && group_depth == 0 ? flush() : code;
}

TSP_EMULATED_API int ncclRecv(void *data, size_t count, int dtype, int peer, Comm *comm, cudaStream_t stream) {
    if (peer < 0 || peer >= comm->size) {
        return INVALID_ARGUMENT;
    }
    const int code = submit({comm, stream, peer, nullptr, data, count * element_bytes(dtype)});
    return code == SUCCESS && group_depth == 0 ? flush() : code;
}

TSP_EMULATED_API int ncclBroadcast(
    const void *source, void *target, size_t count, int dtype, int root, Comm *comm, cudaStream_t stream) {
    ncclGroupStart();
    if (comm->rank == root) {
        for (int peer = 0; peer < comm->size; ++peer) {
            if (peer != root) {
                ncclSend(source, count, dtype, peer, comm, stream);
            }
        }
        if (source != target) {
            ncclSend(source, count, dtype, root, comm, stream);
            ncclRecv(target, count, dtype, root, comm, stream);
        }
    } else {
        ncclRecv(target, count, dtype, root, comm, stream);
    }
    return ncclGroupEnd();
}

TSP_EMULATED_API int ncclAllGather(
    const void *source, void *target, size_t count, int dtype, Comm *comm, cudaStream_t stream) {
    ncclGroupStart();
    for (int peer = 0; peer < comm->size; ++peer) {
        ncclSend(source, count, dtype, peer, comm, stream);
        ncclRecv(
            static_cast<char *>(target) + static_cast<size_t>(peer) * count * element_bytes(dtype),
            count,
            dtype,
            peer,
            comm,
            stream);
    }
    return ncclGroupEnd();
}

/* NCCL's sums have no order that could be promised, so nobody here may ask for them. */
TSP_EMULATED_API int ncclReduceScatter(const void *, void *, size_t, int, int, Comm *, cudaStream_t) {
    return INVALID_USAGE;
}

TSP_EMULATED_API int ncclAllReduce(const void *, void *, size_t, int, int, Comm *, cudaStream_t) {
    return INVALID_USAGE;
}

TSP_EMULATED_API const char *ncclGetErrorString(int result) {
    return result == SUCCESS      ? "no error"
        : result == REMOTE_ERROR  ? "remote process exited or there was a network error"
        : result == IN_PROGRESS   ? "NCCL operation in progress"
        : result == INVALID_USAGE ? "invalid usage"
                                  : "invalid argument";
}

TSP_EMULATED_API const char *ncclGetLastError(Comm *) {
    return "";
}
