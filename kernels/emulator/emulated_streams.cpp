/* Streams and events of the emulated CUDA runtime. Every stream has a thread, which does its work in order. */
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "emulated_runtime.h"

namespace {

using Clock = std::chrono::steady_clock;

/* One recording of an event: where in a stream it stands, and when that was reached. */
class Mark {
public:
    void reach() {
        const std::lock_guard<std::mutex> held(lock);
        at = Clock::now();
        reached = true;
        changed.notify_all();
    }

    void wait() {
        std::unique_lock<std::mutex> held(lock);
        changed.wait(held, [this] { return reached; });
    }

    bool is_reached() {
        const std::lock_guard<std::mutex> held(lock);
        return reached;
    }

    /* Only of a mark that was reached. */
    Clock::time_point time() {
        const std::lock_guard<std::mutex> held(lock);
        return at;
    }

private:
    std::mutex lock;
    std::condition_variable changed;
    bool reached = false;
    Clock::time_point at;
};

} // namespace

struct tsp_emulated_event {
    std::mutex lock;
    std::shared_ptr<Mark> last; /* none: never recorded */

    std::shared_ptr<Mark> mark() {
        const std::lock_guard<std::mutex> held(lock);
        return last;
    }
};

struct tsp_emulated_stream {
    tsp_emulated_stream() : thread([this] { work(); }) {}

    /* Does what is queued first. */
    ~tsp_emulated_stream() {
        {
            const std::lock_guard<std::mutex> held(lock);
            ending = true;
        }
        changed.notify_all();
        thread.join();
    }

    void enqueue(std::function<void()> work) {
        {
            const std::lock_guard<std::mutex> held(lock);
            queue.push_back(std::move(work));
        }
        changed.notify_all();
    }

    void work() {
        for (;;) {
            std::function<void()> next;
            {
                std::unique_lock<std::mutex> held(lock);
                changed.wait(held, [this] { return ending || !queue.empty(); });
                if (queue.empty()) {
                    return;
                }
                next = std::move(queue.front());
                queue.pop_front();
            }
            next();
        }
    }

    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;
    bool ending = false;
    std::thread thread;
};

namespace {

std::mutex streams_lock;
std::set<cudaStream_t> streams; /* that were created and not destroyed */

} // namespace

void tspEmulatorEnqueue(cudaStream_t stream, std::function<void()> work) {
    if (stream == nullptr) {
        work();
        return;
    }
    const std::lock_guard<std::mutex> held(streams_lock);
    if (!streams.contains(stream)) {
        std::fprintf(stderr, "CUDA emulator: work for a stream that was destroyed\n");
        std::abort();
    }
    stream->enqueue(std::move(work));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned, int) {
    *stream = new tsp_emulated_stream;
    const std::lock_guard<std::mutex> held(streams_lock);
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    {
        const std::lock_guard<std::mutex> held(streams_lock);
        if (streams.erase(stream) == 0) {
            return cudaErrorInvalidResourceHandle;
        }
    }
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const auto mark = std::make_shared<Mark>();
    tspEmulatorEnqueue(stream, [mark] { mark->reach(); });
    mark->wait();
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (const auto mark = event->mark()) {
        tspEmulatorEnqueue(stream, [mark] { mark->wait(); });
    }
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    *event = new tsp_emulated_event;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const auto mark = std::make_shared<Mark>();
    {
        const std::lock_guard<std::mutex> held(event->lock);
        event->last = mark;
    }
    tspEmulatorEnqueue(stream, [mark] { mark->reach(); });
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    const auto mark = event->mark();
    return mark == nullptr || mark->is_reached() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    const auto first = start->mark();
    const auto last = end->mark();
    if (first == nullptr || last == nullptr) {
        return cudaErrorInvalidResourceHandle;
    }
    if (!first->is_reached() || !last->is_reached()) {
        return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(last->time() - first->time()).count();
    return cudaSuccess;
}
