package io.tsp.comm.local;

import io.tsp.comm.CommunicationException;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.DeadlineException;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One exchange between some ranks of this process. Each member posts the addresses that its peers may read, waits until
 * all have posted, copies, and stays until all have copied: only then may it change what it posted.
 */
final class Meeting {
    private static final int ARRIVED = 1;

    private final LocalHub hub;
    private final String what;
    private final List<Integer> ranks;
    private final long[] @Nullable [] posted;
    private @Nullable String signature;
    private final int[] phases;
    private long arrivedNanos;

    Meeting(LocalHub hub, String what, List<Integer> ranks) {
        this.hub = hub;
        this.what = what;
        this.ranks = ranks;
        this.posted = new long[ranks.size()][];
        this.phases = new int[ranks.size()];
    }

    /** Posts a member's addresses. */
    synchronized void arrive(int self, String signature, long[] addresses) {
        if (this.signature == null) {
            this.signature = signature;
        } else if (!this.signature.equals(signature)) {
            throw hub.fail(new RanksDisagreeException("rank " + ranks.get(self) + " came to " + what + " with "
                    + signature + ", others with " + this.signature + ": the ranks run different programs"));
        }
        posted[self] = addresses;
        phases[self] = ARRIVED;
        arrivedNanos = SystemClock.nanos();
        notifyAll();
    }

    /** Waits until all members have posted; returns when the last one did. */
    synchronized long awaitArrived(Duration deadline) {
        awaitPhase(deadline, ARRIVED);
        return arrivedNanos;
    }

    /** What a member posted. */
    synchronized long[] addresses(int member) {
        long[] addresses = posted[member];
        if (addresses == null) {
            throw new IllegalStateException("member " + member + " has not come to " + what);
        }
        return addresses;
    }

    /** Says that a member has finished its current phase. */
    synchronized void advance(int self) {
        phases[self]++;
        notifyAll();
    }

    /** Finishes a member's current phase and waits until all members have. */
    synchronized void finish(int self, Duration deadline) {
        advance(self);
        awaitPhase(deadline, phases[self]);
    }

    /** Waits until all members have finished as many phases as this one. */
    synchronized void awaitPeers(int self, Duration deadline) {
        awaitPhase(deadline, phases[self]);
    }

    private List<Integer> behind(int phase) {
        List<Integer> behind = new ArrayList<>();
        for (int i = 0; i < phases.length; i++) {
            if (phases[i] < phase) {
                behind.add(ranks.get(i));
            }
        }
        return behind;
    }

    private void awaitPhase(Duration deadline, int phase) {
        long end = SystemClock.nanos() + deadline.toNanos();
        while (!behind(phase).isEmpty()) {
            hub.throwIfAborted();
            long left = end - SystemClock.nanos();
            if (left <= 0) {
                throw hub.fail(new DeadlineException(what + ": rank " + behind(phase) + " did not come within "
                        + deadline.toMillis() / 1000.0 + " s"));
            }
            try {
                wait(Math.max(1, Math.min(left / 1_000_000, 100)));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CommunicationException("interrupted in " + what);
            }
        }
    }
}
