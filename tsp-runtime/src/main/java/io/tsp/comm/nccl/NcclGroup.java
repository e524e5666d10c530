package io.tsp.comm.nccl;

import io.tsp.comm.CommunicationException;
import io.tsp.device.DeadlineException;
import io.tsp.ffm.GpuException;
import io.tsp.ffm.Nccl;
import io.tsp.ffm.NcclHandle;
import io.tsp.mesh.Group;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * NCCL's communicator of one group. It is non-blocking: every call returns at once, and NCCL is asked until it is done.
 * Calls of several threads exclude each other, since an abort frees what the others use.
 */
final class NcclGroup {
    private static final Duration ABORT_PATIENCE = Duration.ofSeconds(5);
    private static final Duration END_PATIENCE = Duration.ofSeconds(5);
    private static final int SPINS = 1_000;
    private static final long NAP_NANOS = 50_000;

    private final Nccl nccl;
    private final Group group;
    private final Failures failures;
    private final ReentrantLock calls = new ReentrantLock();
    private final NcclHandle joined;
    private final AtomicBoolean over = new AtomicBoolean();

    private NcclGroup(Nccl nccl, Group group, Failures failures, NcclHandle joined) {
        this.nccl = nccl;
        this.group = group;
        this.failures = failures;
        this.joined = joined;
    }

    /**
     * Makes the communicator, together with the other ranks of the group. The calling thread's device must be the rank's.
     *
     * @throws DeadlineException naming who does not come
     * @throws CommunicationException with NCCL's words
     */
    static NcclGroup join(NcclRank rank, Group group, Failures failures) {
        String what = "the NCCL communicator of group " + group;
        int self = group.indexOf(rank.rank());
        byte[] mine = self == 0 ? rank.nccl().uniqueId() : new byte[0];
        byte[] id = rank.bootstrap().meet(what, group.ranks(), mine).getFirst();
        try {
            NcclHandle joined = rank.nccl().join(id, group.size(), self, rank.limits());
            NcclGroup made = new NcclGroup(rank.nccl(), group, failures, joined);
            try {
                made.awaitReady(rank.deadline(), "rank " + rank.rank() + ", making " + what);
                return made;
            } catch (RuntimeException e) {
                made.abort();
                throw e;
            }
        } catch (GpuException e) {
            throw new CommunicationException("rank " + rank.rank() + ", making " + what + ": " + e.getMessage());
        }
    }

    long handle() {
        return joined.get();
    }

    /**
     * Enqueues calls as one, and returns when NCCL has put them on their stream: until then nothing else may be put there.
     *
     * @param label what an error calls them
     */
    void enqueue(Runnable work, Duration deadline, String label) {
        try {
            call(() -> {
                nccl.groupStart();
                try {
                    work.run();
                } finally {
                    nccl.groupEnd();
                }
                return true;
            });
            awaitReady(deadline, label);
        } catch (RuntimeException e) {
            // Who hears of this may free the stream, and a thread of NCCL's may be about to put something on it.
            abort();
            throw e instanceof GpuException ? new CommunicationException(label + ": " + e.getMessage()) : e;
        }
    }

    private void awaitReady(Duration deadline, String label) {
        long end = SystemClock.nanos() + deadline.toNanos();
        for (int tries = 0; !isReady(); tries++) {
            failures.throwIfAny();
            if (SystemClock.nanos() > end) {
                throw new DeadlineException(label + ": NCCL has not heard from all ranks of " + group + " within "
                        + deadline.toMillis() / 1000.0 + " s");
            }
            if (tries < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(NAP_NANOS);
            }
        }
    }

    /** @throws GpuException if NCCL has found a failure, also of work enqueued earlier, such as a peer that is gone */
    boolean isReady() {
        return call(() -> handle() != 0 && nccl.isReady(handle()));
    }

    private <T> T call(Supplier<T> call) {
        calls.lock();
        try {
            if (over.get()) {
                failures.throwIfAny();
                throw new CommunicationException("the NCCL communicator of group " + group + " has been closed");
            }
            return call.get();
        } finally {
            calls.unlock();
        }
    }

    /** Whether NCCL has found a failure; nothing if calls are under way, which then find it. */
    void look() {
        if (calls.tryLock()) {
            try {
                if (!over.get() && handle() != 0) {
                    boolean unused = nccl.isReady(handle());
                }
            } finally {
                calls.unlock();
            }
        }
    }

    /**
     * Ends what goes on, so that streams are free again, and frees the communicator. A call that does not come back is no
     * hindrance: to end it is what NCCL has this for.
     */
    void abort() {
        boolean alone = lockSoon();
        try {
            if (!over.getAndSet(true) && handle() != 0) {
                nccl.abort(handle());
            }
        } catch (GpuException e) {
            // It was to be thrown away; what was wrong with it is known, or no harm any more.
        } finally {
            if (alone) {
                calls.unlock();
            }
        }
    }

    private boolean lockSoon() {
        try {
            return calls.tryLock(ABORT_PATIENCE.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return calls.tryLock();
        }
    }

    /** Ends it in good order; peers that do so later are not waited for very long. */
    void close() {
        calls.lock();
        try {
            if (over.get()) {
                return;
            }
            nccl.finish(handle());
            long end = SystemClock.nanos() + END_PATIENCE.toNanos();
            while (!nccl.isReady(handle())) {
                if (SystemClock.nanos() > end) {
                    abort();
                    return;
                }
                LockSupport.parkNanos(NAP_NANOS);
            }
            over.set(true);
            nccl.destroy(handle());
        } catch (GpuException e) {
            abort();
        } finally {
            calls.unlock();
        }
    }
}
