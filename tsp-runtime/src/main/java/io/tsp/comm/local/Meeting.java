package io.tsp.comm.local;

import io.tsp.comm.CommunicationException;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Stream.Event;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One exchange between some ranks of this process. Each member posts the addresses that its peers may read, waits until
 * all have posted, copies, and stays until all have copied: only then may it change what it posted. Members meet as
 * threads of the host; how far the work of their streams is, they tell each other by a mark for every phase.
 */
final class Meeting {
    private static final int ARRIVED = 1;

    private final LocalHub hub;
    private final String what;
    private final List<Integer> ranks;
    private final long[] @Nullable [] posted;
    private @Nullable String signature;
    /** The marks of each member, in the order of its phases. */
    private final List<List<Event>> marks;

    Meeting(LocalHub hub, String what, List<Integer> ranks) {
        this.hub = hub;
        this.what = what;
        this.ranks = ranks;
        this.posted = new long[ranks.size()][];
        this.marks =
                ranks.stream().map(_ -> (List<Event>) new ArrayList<Event>()).toList();
    }

    /**
     * Posts a member's addresses.
     *
     * @param ready reached when the bytes behind them may be read
     */
    synchronized void arrive(int self, String signature, long[] addresses, Event ready) {
        if (this.signature == null) {
            this.signature = signature;
        } else if (!this.signature.equals(signature)) {
            throw hub.fail(new RanksDisagreeException("rank " + ranks.get(self) + " came to " + what + " with "
                    + signature + ", others with " + this.signature + ": the ranks run different programs"));
        }
        posted[self] = addresses;
        advance(self, ready);
    }

    /** Waits until all members have posted; returns their marks. */
    synchronized List<Event> awaitArrived(Duration deadline) {
        return awaitPhase(deadline, ARRIVED);
    }

    /** Number of members. */
    int size() {
        return ranks.size();
    }

    /** What a member posted. */
    synchronized long[] addresses(int member) {
        long[] addresses = posted[member];
        if (addresses == null) {
            throw new IllegalStateException("member " + member + " has not come to " + what);
        }
        return addresses;
    }

    /** Says that a member has finished its current phase, once its stream reaches a mark. */
    synchronized void advance(int self, Event mark) {
        marks.get(self).add(mark);
        notifyAll();
    }

    /** Waits until all members have finished as many phases as this one; returns their marks of the last of these. */
    synchronized List<Event> awaitPeers(int self, Duration deadline) {
        return awaitPhase(deadline, marks.get(self).size());
    }

    private List<Integer> behind(int phase) {
        List<Integer> behind = new ArrayList<>();
        for (int i = 0; i < marks.size(); i++) {
            if (marks.get(i).size() < phase) {
                behind.add(ranks.get(i));
            }
        }
        return behind;
    }

    private List<Event> awaitPhase(Duration deadline, int phase) {
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
        return marks.stream().map(ofMember -> ofMember.get(phase - 1)).toList();
    }
}
