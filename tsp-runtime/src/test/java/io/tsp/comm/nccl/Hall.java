package io.tsp.comm.nccl;

import io.tsp.comm.CommunicationException;
import io.tsp.comm.Communicator;
import io.tsp.device.DeadlineException;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Where ranks of one process meet before they have NCCL. */
final class Hall {
    private final Duration deadline;
    private boolean failed;
    private final Map<String, TreeMap<Integer, byte[]>> meetings = new HashMap<>();
    private final Map<String, Integer> sequences = new HashMap<>();
    private final Map<Integer, Communicator> communicators = new HashMap<>();

    Hall(Duration deadline) {
        this.deadline = deadline;
    }

    /** What is told of a failure. */
    synchronized void add(int rank, Communicator communicator) {
        communicators.put(rank, communicator);
    }

    Bootstrap of(int rank) {
        return new Bootstrap() {
            @Override
            public List<byte[]> meet(String what, List<Integer> ranks, byte[] value) {
                return Hall.this.meet(rank, what, ranks, value);
            }

            @Override
            public void fail(String sentence) {
                others(rank)
                        .forEach(other -> other.abort(
                                new CommunicationException("rank " + rank + " on here failed: " + sentence)));
            }
        };
    }

    /** Only the first failure is told. */
    private synchronized List<Communicator> others(int rank) {
        if (failed) {
            return List.of();
        }
        failed = true;
        return communicators.keySet().stream()
                .filter(other -> other != rank)
                .map(communicators::get)
                .toList();
    }

    private synchronized List<byte[]> meet(int rank, String what, List<Integer> ranks, byte[] value) {
        String key = what + ranks + sequences.merge(rank + what + ranks, 1, Integer::sum);
        TreeMap<Integer, byte[]> come = meetings.computeIfAbsent(key, _ -> new TreeMap<>());
        come.put(ranks.indexOf(rank), value);
        notifyAll();
        long end = SystemClock.nanos() + deadline.toNanos();
        while (come.size() < ranks.size()) {
            if (SystemClock.nanos() > end) {
                throw new DeadlineException("somebody did not come: " + what);
            }
            try {
                wait(10);
            } catch (InterruptedException e) {
                throw new CommunicationException("interrupted");
            }
        }
        return new ArrayList<>(come.values());
    }
}
