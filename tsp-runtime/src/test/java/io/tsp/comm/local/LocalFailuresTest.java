package io.tsp.comm.local;

import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Launch;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.DType;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** A failure means that ranks hang, or that nobody learns which rank is missing and where. */
class LocalFailuresTest {
    /** What ranks run on. */
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.CPU;
    }

    private static final Duration SHORT = Duration.ofMillis(300);
    private static final Duration SOON = Duration.ofSeconds(10);

    private static Launch reduce(LocalRanks ranks, int rank, long count) {
        return ranks.bind(rank, 0, new AllReduce(ranks.group(), rank, ranks.vector(DType.F32, count)));
    }

    private static void assertContains(RuntimeException e, String... parts) {
        for (String part : parts) {
            assertTrue(String.valueOf(e.getMessage()).contains(part), () -> part + " is missing in: " + e.getMessage());
        }
    }

    @Test
    void deadlineNamesTheMissingRanksAndTheExchange() {
        try (LocalRanks ranks = new LocalRanks(kind(), 4, Duration.ofSeconds(2))) {
            reduceOnce(ranks);
            Future<?> zero = ranks.start(reduce(ranks, 0, 4));
            Future<?> two = ranks.start(reduce(ranks, 2, 4));
            for (Future<?> running : List.of(zero, two)) {
                DeadlineException e = assertThrows(DeadlineException.class, () -> LocalRanks.await(running));
                assertContains(e, "label all-reduce", "exchange 1 of test[0, 1, 2, 3]", "[1, 3]");
            }
        }
    }

    /** So that the exchange that fails is not the first one of its channel. */
    private static void reduceOnce(LocalRanks ranks) {
        ranks.runAll(rank -> reduce(ranks, rank, 4));
    }

    @Test
    void deadlineOfAMessageNamesTheSender() {
        try (LocalRanks ranks = new LocalRanks(kind(), 3, SHORT)) {
            Launch receive =
                    ranks.bind(1, 0, new SendReceive(ranks.group(), 1, 0, null, 2, ranks.vector(DType.F32, 4L)));
            Future<?> running = ranks.start(receive);
            DeadlineException e = assertThrows(DeadlineException.class, () -> LocalRanks.await(running));
            assertContains(e, "send-receive", "rank [2]");
        }
    }

    @Test
    void everybodyFailsWithTheFirstCause() {
        try (LocalRanks ranks = new LocalRanks(kind(), 3, SHORT)) {
            List<Future<?>> running = List.of(ranks.start(reduce(ranks, 0, 4)), ranks.start(reduce(ranks, 1, 4)));
            List<RuntimeException> failures = new ArrayList<>();
            for (Future<?> each : running) {
                failures.add(assertThrows(RuntimeException.class, () -> LocalRanks.await(each)));
            }
            assertSame(failures.get(0), failures.get(1));
            Future<?> late = ranks.start(reduce(ranks, 2, 4));
            assertSame(failures.get(0), assertThrows(RuntimeException.class, () -> LocalRanks.await(late)));
        }
    }

    @Test
    void differentSignaturesAreNamed() {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            Future<?> zero = ranks.start(reduce(ranks, 0, 4));
            Launch other = ranks.bind(1, 0, new Broadcast(ranks.group(), 1, 0, ranks.vector(DType.BF16, 3L)));
            Future<?> one = ranks.start(other);
            for (Future<?> running : List.of(zero, one)) {
                RanksDisagreeException e = assertThrows(RanksDisagreeException.class, () -> LocalRanks.await(running));
                assertContains(e, "all-reduce F32x4", "broadcast root 0 BF16x3", "different programs");
            }
        }
    }

    @Test
    void messagesOfDifferentLengthAreNamed() {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            Future<?> zero = ranks.start(
                    ranks.bind(0, 0, new SendReceive(ranks.group(), 0, 1, ranks.vector(DType.F32, 4L), 1, null)));
            Future<?> one = ranks.start(
                    ranks.bind(1, 0, new SendReceive(ranks.group(), 1, 0, null, 0, ranks.vector(DType.F32, 5L))));
            RanksDisagreeException e = assertThrows(RanksDisagreeException.class, () -> {
                LocalRanks.await(zero);
                LocalRanks.await(one);
            });
            assertContains(e, "16 bytes", "20 bytes");
        }
    }

    @Test
    void abortWakesEverybody() {
        try (LocalRanks ranks = new LocalRanks(kind(), 4, Duration.ofHours(1))) {
            List<Future<?>> running = new ArrayList<>();
            for (int rank = 0; rank < 3; rank++) {
                running.add(ranks.start(reduce(ranks, rank, 4)));
            }
            RuntimeException cause = new IllegalStateException("rank 3 has no weights");
            ranks.communicator(3).abort(cause);
            assertTimeoutPreemptively(SOON, () -> {
                for (Future<?> each : running) {
                    assertSame(cause, assertThrows(RuntimeException.class, () -> LocalRanks.await(each)));
                }
            });
        }
    }

    /** What the interrupted thread waited for. */
    String whereInterrupted() {
        return "all-reduce";
    }

    @Test
    void interruptedRankStops() throws InterruptedException {
        try (LocalRanks ranks = new LocalRanks(kind(), 2, Duration.ofHours(1))) {
            Launch launch = reduce(ranks, 0, 4);
            List<RuntimeException> failures = new ArrayList<>();
            Thread thread = new Thread(() -> failures.add(assertThrows(RuntimeException.class, launch::run)));
            thread.start();
            thread.interrupt();
            thread.join(SOON.toMillis());
            assertContains(failures.getFirst(), "interrupted", whereInterrupted());
        }
    }

    @Test
    void tellsWhenTheLastPeerCame() throws InterruptedException {
        try (LocalRanks ranks = new LocalRanks(kind(), 2)) {
            Launch early = reduce(ranks, 0, 4);
            Launch late = reduce(ranks, 1, 4);
            Future<?> running = ranks.start(early);
            Thread.sleep(50);
            long before = SystemClock.nanos();
            late.run();
            LocalRanks.await(running);
            long after = SystemClock.nanos();
            for (Launch launch : List.of(early, late)) {
                assertTrue(launch.peersArrivedNanos() >= before && launch.peersArrivedNanos() <= after);
            }
        }
    }
}
