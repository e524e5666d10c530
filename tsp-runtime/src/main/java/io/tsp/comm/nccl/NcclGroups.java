package io.tsp.comm.nccl;

import io.tsp.comm.CommunicationException;
import io.tsp.ffm.GpuException;
import io.tsp.mesh.Group;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A rank's communicators, one for each group, and the thread that watches them: NCCL itself waits for ever. It asks them
 * for failures that nobody else would notice, and after the first failure of any kind aborts them all.
 */
final class NcclGroups implements AutoCloseable {
    private static final long LOOK_NANOS = 50_000_000;

    private final NcclRank rank;
    private final Failures failures = new Failures();
    private final Map<Group, NcclGroup> groups = new HashMap<>();
    private final Thread watchdog;
    private volatile boolean closed;

    NcclGroups(NcclRank rank) {
        this.rank = rank;
        watchdog = Thread.ofPlatform()
                .daemon()
                .name("rank-" + rank.rank() + "-watchdog")
                .start(this::watch);
    }

    Failures failures() {
        return failures;
    }

    /** The communicator of a group; made when it is first asked for, which all its ranks must do in the same order. */
    NcclGroup of(Group group) {
        NcclGroup known = known(group);
        if (known != null) {
            return known;
        }
        failures.throwIfAny();
        rank.chooseDevice().run();
        NcclGroup made = NcclGroup.join(rank, group, failures);
        synchronized (groups) {
            groups.put(group, made);
        }
        return made;
    }

    private @Nullable NcclGroup known(Group group) {
        synchronized (groups) {
            return groups.get(group);
        }
    }

    private List<NcclGroup> all() {
        synchronized (groups) {
            return new ArrayList<>(groups.values());
        }
    }

    /** Makes all exchanges fail, if this is the first failure; returns at once. */
    boolean fail(RuntimeException cause) {
        boolean first = failures.add(cause);
        LockSupport.unpark(watchdog);
        return first;
    }

    private void watch() {
        rank.chooseDevice().run();
        while (!closed && failures.first() == null) {
            LockSupport.parkNanos(this, LOOK_NANOS);
            all().forEach(this::look);
        }
        if (failures.first() != null) {
            all().forEach(NcclGroup::abort);
        }
    }

    private void look(NcclGroup group) {
        try {
            group.look();
        } catch (GpuException e) {
            String words = "rank " + rank.rank() + ": " + e.getMessage();
            if (fail(new CommunicationException(words))) {
                rank.bootstrap().fail(words);
            }
        }
    }

    /** @throws RuntimeException the first failure; NCCL is asked once more whether it has one */
    void requireIntact() {
        all().forEach(this::look);
        failures.throwIfAny();
    }

    @Override
    public void close() {
        closed = true;
        LockSupport.unpark(watchdog);
        try {
            watchdog.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        rank.chooseDevice().run();
        all().forEach(NcclGroup::close);
    }
}
