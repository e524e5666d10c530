package io.tsp.comm.mpi;

import io.tsp.comm.CommunicationException;
import io.tsp.device.DeadlineException;
import io.tsp.ffm.Memory;
import io.tsp.ffm.MpiTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.NativeException;
import io.tsp.tensor.SystemClock;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Some messages that are on their way together, of one exchange on one thread. */
final class Transfer implements AutoCloseable {
    private static final int SPINS = 2_000;
    private static final long PARKED_NANOS = 20_000;

    private final MpiTable table;
    private final int channel;
    private final AtomicReference<@Nullable RuntimeException> aborted;
    private final Arena arena = Arena.ofConfined();
    private final NativeError error = new NativeError(arena);
    private final MemorySegment request = arena.allocate(ValueLayout.JAVA_LONG);
    private final List<Pending> pending = new ArrayList<>();

    private record Pending(long request, int peer) {}

    Transfer(MpiTable table, int channel, AtomicReference<@Nullable RuntimeException> aborted) {
        this.table = table;
        this.channel = channel;
        this.aborted = aborted;
    }

    void send(long address, long bytes, int peer) {
        if (bytes > 0) {
            table.send(Memory.at(address, bytes), bytes, peer, channel, request, error);
            pending.add(new Pending(request.get(ValueLayout.JAVA_LONG, 0), peer));
        }
    }

    void receive(long address, long bytes, int peer) {
        if (bytes > 0) {
            table.recv(Memory.at(address, bytes), bytes, peer, channel, request, error);
            pending.add(new Pending(request.get(ValueLayout.JAVA_LONG, 0), peer));
        }
    }

    /** Sends each partner a number and returns the partners' numbers. */
    long[] greet(List<Integer> partners, long[] numbers, Duration deadline, String label) {
        MemorySegment mine = arena.allocateFrom(ValueLayout.JAVA_LONG, numbers);
        MemorySegment theirs = arena.allocate(ValueLayout.JAVA_LONG, numbers.length);
        for (int i = 0; i < numbers.length; i++) {
            receive(theirs.address() + (long) i * Long.BYTES, Long.BYTES, partners.get(i));
            send(mine.address() + (long) i * Long.BYTES, Long.BYTES, partners.get(i));
        }
        await(deadline, label);
        return theirs.toArray(ValueLayout.JAVA_LONG);
    }

    /** Waits until all messages are through. */
    void await(Duration deadline, String label) {
        long end = SystemClock.nanos() + deadline.toNanos();
        for (int tries = 0; !done(); tries++) {
            RuntimeException failure = aborted.get();
            if (failure != null) {
                throw failure;
            }
            if (SystemClock.nanos() > end) {
                throw new DeadlineException(label + ": no message from or to rank " + missing() + " within "
                        + deadline.toMillis() / 1000.0 + " s");
            }
            if (tries > SPINS) {
                LockSupport.parkNanos(PARKED_NANOS);
            } else {
                Thread.onSpinWait();
            }
        }
    }

    private boolean done() {
        try {
            pending.removeIf(message -> table.test(message.request, error));
        } catch (NativeException e) {
            throw new CommunicationException("a message on channel " + channel + " failed: " + e.getMessage());
        }
        return pending.isEmpty();
    }

    private Set<Integer> missing() {
        Set<Integer> peers = new LinkedHashSet<>();
        pending.forEach(message -> peers.add(message.peer));
        return peers;
    }

    /** Lets go of messages that are still on their way, after a failure: their memory stays with MPI. */
    @Override
    public void close() {
        pending.forEach(message -> table.release(message.request, error));
        pending.clear();
        arena.close();
    }
}
