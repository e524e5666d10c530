package io.tsp.comm.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.comm.CommunicationException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.tensor.DType;
import io.tsp.tensor.SystemClock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a rank hangs where it should say who is gone, or goes on with bytes that never came. */
class NcclFailuresTest {
    private static final Duration SOON = Duration.ofSeconds(10);
    private static Emulator emulator;

    @BeforeAll
    static void open() {
        emulator = Emulator.open();
    }

    @AfterEach
    void heal() {
        Emulator.set("TSP_EMULATED_NCCL_FAILS", "");
        Emulator.set("TSP_EMULATED_NCCL_BREAKS", "");
    }

    private static NcclRanks ranks(int size, Duration deadline) {
        return new NcclRanks(emulator, NcclRanks.Kind.NCCL, size, deadline, 4096);
    }

    private static Broadcast broadcast(NcclRanks ranks, int rank) {
        return new Broadcast(ranks.group(), rank, 0, ranks.vector(rank, DType.F32, 0, 100));
    }

    /** Enqueues broadcasts, waits for them and asks whether they are whole; returns the failure. */
    private static RuntimeException failure(NcclRanks ranks, int rank, int times, Duration patience) {
        Stream stream = ranks.stream(rank, 0);
        Launch launch = ranks.bind(rank, stream, broadcast(ranks, rank));
        for (int i = 0; i < times; i++) {
            stream.enqueue(launch);
        }
        return assertThrows(RuntimeException.class, () -> {
            stream.synchronize(patience);
            ranks.communicator(rank).requireIntact();
        });
    }

    /** The first finds the failure when it issues; the second when nobody looks but the watchdog. */
    @ParameterizedTest
    @ValueSource(strings = {"TSP_EMULATED_NCCL_FAILS", "TSP_EMULATED_NCCL_BREAKS"})
    void aFailureOfNcclEndsAllRanksAndFreesTheirStreams(String how) {
        Emulator.set(how, "2");
        try (NcclRanks ranks = ranks(3, NcclRanks.PATIENCE)) {
            long begin = SystemClock.nanos();
            RuntimeException[] failures = new RuntimeException[3];
            ranks.runAll(rank -> () -> failures[rank] = failure(ranks, rank, 6, NcclRanks.PATIENCE));
            for (int rank = 0; rank < 3; rank++) {
                CommunicationException e = (CommunicationException) failures[rank];
                assertTrue(
                        e.getMessage().contains("NCCL: ")
                                && e.getMessage().contains("remote process exited or there was a network error"),
                        e::toString);
                assertEquals(rank != 1, e.getMessage().startsWith("rank 1 on here failed: rank 1"), e::toString);
            }
            assertTrue(ranks.stop());
            assertTrue(SystemClock.nanos() - begin < SOON.toNanos(), "it took as long as a deadline");
        }
    }

    /** NCCL lets streams go on after an abort, as if bytes had come. */
    @Test
    void whatWasGivenUpIsNotTakenForWhole() {
        try (NcclRanks ranks = ranks(2, NcclRanks.PATIENCE)) {
            ranks.run(rank -> broadcast(ranks, rank));
            Stream stream = ranks.stream(1, 0);
            stream.enqueue(ranks.bind(1, stream, broadcast(ranks, 1)));
            ranks.communicator(1).abort(new CommunicationException("rank 0 on x was lost"));
            // Whether the stream ends with a failure or without, the exchange has one.
            try {
                stream.synchronize(NcclRanks.PATIENCE);
            } catch (CommunicationException e) {
                assertEquals("rank 0 on x was lost", e.getMessage());
            }
            CommunicationException e = assertThrows(
                    CommunicationException.class, () -> ranks.communicator(1).requireIntact());
            assertEquals("rank 0 on x was lost", e.getMessage());
        }
    }

    /** A stream that waits for a peer holds the GPU's memory until it is freed. */
    @Test
    void aPeerThatStaysAwayIsWaitedForUntilTheDeadline() {
        try (NcclRanks ranks = ranks(2, NcclRanks.PATIENCE)) {
            ranks.run(rank -> broadcast(ranks, rank));
            RuntimeException late = failure(ranks, 1, 1, Duration.ofSeconds(1));
            assertTrue(late instanceof DeadlineException, late::toString);
            assertFalse(ranks.stream(1, 0).stop(Duration.ofMillis(300)), "nothing holds the stream");
            ranks.communicator(1).abort(late);
            assertTrue(ranks.stop());
            RuntimeException told = assertThrows(
                    CommunicationException.class, () -> ranks.communicator(0).requireIntact());
            assertTrue(told.getMessage().startsWith("rank 1 on here failed: stream rank-1-0 finished no work"));
        }
    }

    @Test
    void aRankThatDoesNotComeToTheMeetingIsADeadline() {
        try (NcclRanks ranks = ranks(2, Duration.ofMillis(300))) {
            DeadlineException e =
                    assertThrows(DeadlineException.class, () -> ranks.bind(0, ranks.stream(0, 0), broadcast(ranks, 0)));
            assertEquals("somebody did not come: the NCCL communicator of group test[0, 1]", e.getMessage());
        }
    }

    /** The peer gives its word and is then seen no more. */
    @Test
    void aRankThatNcclDoesNotFindIsADeadline() {
        try (NcclRanks ranks = ranks(2, Duration.ofMillis(700))) {
            String what = "the NCCL communicator of group " + ranks.group();
            Future<?> word =
                    ranks.start(() -> assertNotNull(ranks.hall().of(1).meet(what, List.of(0, 1), new byte[0])));
            DeadlineException e =
                    assertThrows(DeadlineException.class, () -> ranks.bind(0, ranks.stream(0, 0), broadcast(ranks, 0)));
            NcclRanks.await(word);
            assertEquals(
                    "rank 0, making the NCCL communicator of group test[0, 1]: NCCL has not heard from all ranks of"
                            + " test[0, 1] within 0.7 s",
                    e.getMessage());
        }
    }

    @Test
    void theFirstFailureIsTheOneThatAllHear() {
        try (NcclRanks ranks = ranks(2, NcclRanks.PATIENCE)) {
            ranks.communicator(0).abort(new IllegalStateException("no memory"));
            ranks.communicator(0).abort(new IllegalStateException("a consequence"));
            RuntimeException own = assertThrows(
                    IllegalStateException.class, () -> ranks.communicator(0).requireIntact());
            assertEquals("no memory", own.getMessage());
            RuntimeException told = assertThrows(
                    CommunicationException.class, () -> ranks.communicator(1).requireIntact());
            assertEquals("rank 0 on here failed: no memory", told.getMessage());
        }
    }
}
