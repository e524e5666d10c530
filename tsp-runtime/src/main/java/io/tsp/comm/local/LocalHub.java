package io.tsp.comm.local;

import io.tsp.mesh.Group;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Where the ranks of this process meet. */
public final class LocalHub {
    private final Duration deadline;
    private final Map<String, Meeting> meetings = new HashMap<>();
    private final Map<String, Integer> leaving = new HashMap<>();
    private @Nullable RuntimeException failure;

    /** @param deadline how long a rank waits for its peers */
    public LocalHub(Duration deadline) {
        this.deadline = deadline;
    }

    Duration deadline() {
        return deadline;
    }

    /** The meeting number sequence of a channel; the first member to come opens it, the last one to ask forgets it. */
    synchronized Meeting meeting(int channel, Group group, List<Integer> members, long sequence, String label) {
        throwIfAborted();
        String key = channel + "/" + group + members + "/" + sequence;
        Meeting meeting = meetings.computeIfAbsent(
                key, unused -> new Meeting(this, label + ", exchange " + sequence + " of " + group, members));
        if (leaving.merge(key, 1, Integer::sum) == members.size()) {
            leaving.remove(key);
            meetings.remove(key);
        }
        return meeting;
    }

    /** Remembers the first failure, so that every waiting rank stops and reports the same cause. */
    synchronized RuntimeException fail(RuntimeException cause) {
        if (failure == null) {
            failure = cause;
        }
        return failure;
    }

    synchronized void throwIfAborted() {
        if (failure != null) {
            throw failure;
        }
    }
}
