package io.tsp.device.gpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.device.Buffer;
import io.tsp.device.DeadlineException;
import io.tsp.device.Device;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.tensor.SystemClock;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A failure means that work on GPUs runs too early, never, or hides why it failed. */
class GpuDeviceTest {
    private static final Duration SOON = Duration.ofSeconds(10);
    private static final Duration SHORT = Duration.ofMillis(200);

    private final FakeGpuRuntime runtime = new FakeGpuRuntime(2);

    private GpuDevice device(boolean syncCheck) {
        return new GpuDevice(runtime, new GpuDevice.Rank(3, 1, "fake", syncCheck), new NoKernels());
    }

    /** A kernel that does something, as prepared ones are launched. */
    private Launch kernel(GpuDevice device, Stream stream, Runnable work) {
        return () -> device.issue((GpuStream) stream, () -> runtime.launch(stream.handle(), work));
    }

    private Launch fault(GpuDevice device, Stream stream) {
        return () -> device.issue((GpuStream) stream, () -> runtime.launchFault(stream.handle()));
    }

    private static void pause(Duration time) {
        try {
            Thread.sleep(time);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aStreamRunsInOrderAndEnqueueDoesNotWait() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            CountDownLatch go = new CountDownLatch(1);
            List<Integer> done = Collections.synchronizedList(new ArrayList<>());
            stream.enqueue(kernel(device, stream, () -> await(go)));
            for (int i = 0; i < 100; i++) {
                int number = i;
                stream.enqueue(kernel(device, stream, () -> done.add(number)));
            }
            assertTrue(done.isEmpty());
            go.countDown();
            stream.synchronize(SOON);
            assertEquals(IntStream.range(0, 100).boxed().toList(), done);
            assertTrue(stream.stop(SOON));
        }
        assertEquals("0 streams, 0 events, 0 blocks", runtime.leaks());
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** Each lane adds to what the other has left, hundreds of times: a wait that is missing shows as another number. */
    @Test
    void eventsOrderStreams() {
        try (GpuDevice device = device(false)) {
            Stream left = device.openStream("left");
            Stream right = device.openStream("right", Stream.Priority.HIGH);
            long[] number = {1};
            long expected = 1;
            for (int turn = 0; turn < 200; turn++) {
                Stream now = turn % 2 == 0 ? left : right;
                Stream next = turn % 2 == 0 ? right : left;
                int add = turn;
                now.enqueue(kernel(device, now, () -> number[0] = number[0] * 3 + add));
                next.await(now.record());
                expected = expected * 3 + turn;
            }
            left.synchronize(SOON);
            right.synchronize(SOON);
            assertEquals(expected, number[0]);
            assertTrue(left.stop(SOON) && right.stop(SOON));
        }
        assertEquals("0 streams, 0 events, 0 blocks", runtime.leaks());
    }

    @Test
    void theHostFindsWorkBeforeItDoneAndNothingBehindItBegun() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            List<Integer> seen = new ArrayList<>();
            AtomicInteger done = new AtomicInteger();
            for (int i = 0; i < 20; i++) {
                stream.enqueue(kernel(device, stream, () -> {
                    pause(Duration.ofMillis(2));
                    done.incrementAndGet();
                }));
                stream.enqueueHost(() -> seen.add(done.get()));
            }
            stream.synchronize(SOON);
            assertEquals(IntStream.rangeClosed(1, 20).boxed().toList(), seen);
            assertTrue(stream.stop(SOON));
        }
    }

    @Test
    void theFirstFailureIsEverybodys() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            Stream other = device.openStream("other");
            RuntimeException first = new IllegalStateException("first");
            List<String> done = new ArrayList<>();
            Stream.Event before = stream.record();
            stream.enqueue(() -> {
                throw first;
            });
            Stream.Event behind = stream.record();
            stream.enqueue(() -> done.add("skipped"));
            other.await(behind);
            other.enqueue(() -> {
                throw new IllegalStateException("second");
            });
            assertSame(first, assertThrows(IllegalStateException.class, () -> other.synchronize(SOON)));
            assertSame(first, assertThrows(IllegalStateException.class, () -> stream.synchronize(SOON)));
            assertSame(first, assertThrows(IllegalStateException.class, behind::nanos));
            assertEquals(List.of(), done);
            assertTrue(stream.stop(SOON) && other.stop(SOON));
            assertTrue(before.nanos() > 0);
        }
        assertEquals("0 streams, 0 events, 0 blocks", runtime.leaks());
    }

    /** The host may notice a failure while the issuing thread notices another. */
    @Test
    void ofTwoFailuresTheFirstIsKept() throws InterruptedException {
        Issuer issuer = new Issuer("issuer");
        RuntimeException first = new IllegalStateException("first");
        assertSame(first, issuer.fail(first));
        assertSame(first, issuer.fail(new IllegalStateException("second")));
        assertSame(first, issuer.failure());
        assertTrue(issuer.stop(SOON));
    }

    @Test
    void aFailureOfTheGpuNamesTheWayToItsCause() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            Stream other = device.openStream("other");
            stream.enqueue(fault(device, stream));
            RuntimeException first = assertThrows(RuntimeException.class, () -> stream.synchronize(SOON));
            String text = String.valueOf(first.getMessage());
            assertTrue(text.contains("an illegal memory access") && text.contains("--sync-check"), text);
            other.enqueue(kernel(device, other, () -> {}));
            assertSame(first, assertThrows(RuntimeException.class, () -> other.synchronize(SOON)));
            assertTrue(stream.stop(SOON) && other.stop(SOON));
        }
    }

    @Test
    void syncCheckFailsInTheOpItself() {
        try (GpuDevice device = device(true)) {
            Stream stream = device.openStream("lane");
            RuntimeException[] caught = new RuntimeException[1];
            stream.enqueue(() -> {
                try {
                    fault(device, stream).run();
                } catch (RuntimeException e) {
                    caught[0] = e;
                    throw e;
                }
            });
            stream.enqueue(kernel(device, stream, () -> {}));
            RuntimeException thrown = assertThrows(RuntimeException.class, () -> stream.synchronize(SOON));
            assertSame(caught[0], thrown);
            assertFalse(String.valueOf(thrown.getMessage()).contains("--sync-check"));
            assertTrue(stream.stop(SOON));
        }
    }

    @Test
    void deadlineIsForWorkThatStandsStillOnly() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            CountDownLatch go = new CountDownLatch(1);
            Duration deadline = Duration.ofSeconds(1);
            for (int i = 0; i < 8; i++) {
                stream.enqueue(kernel(device, stream, () -> pause(SHORT)));
                stream.record();
            }
            stream.synchronize(deadline);
            stream.enqueue(kernel(device, stream, () -> await(go)));
            DeadlineException e = assertThrows(DeadlineException.class, () -> stream.synchronize(SHORT));
            assertTrue(String.valueOf(e.getMessage()).contains("stream lane finished no work for 0.2 s"));
            assertFalse(stream.stop(SHORT), "the kernel is still there");
            go.countDown();
        }
    }

    @Test
    void stopDropsWhatIsNotIssuedAndWaitsForTheRest() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            CountDownLatch issuing = new CountDownLatch(1);
            CountDownLatch meeting = new CountDownLatch(1);
            List<String> done = Collections.synchronizedList(new ArrayList<>());
            stream.enqueue(kernel(device, stream, () -> {
                pause(SHORT);
                done.add("issued");
            }));
            stream.enqueue(() -> {
                issuing.countDown();
                await(meeting);
            });
            stream.enqueue(kernel(device, stream, () -> done.add("dropped")));
            await(issuing);
            assertFalse(stream.stop(SHORT), "the issuing thread is in a meeting");
            meeting.countDown();
            assertTrue(stream.stop(SOON));
            assertEquals(List.of("issued"), done);
        }
        assertEquals("0 streams, 0 events, 0 blocks", runtime.leaks());
    }

    /** A device of which a stream has not stopped keeps everything: what runs may still use it. */
    @Test
    void closeIsBounded() {
        GpuDevice device = device(false);
        Stream stream = device.openStream("lane");
        CountDownLatch issuing = new CountDownLatch(1);
        stream.enqueue(() -> {
            issuing.countDown();
            await(new CountDownLatch(1));
        });
        await(issuing);
        assertFalse(stream.stop(SHORT));
        assertTimeoutPreemptively(Duration.ofSeconds(8), device::close);
        assertFalse(runtime.leaks().startsWith("0 streams"));
    }

    @Test
    void eventsTellTheHostsTime() {
        runtime.hurry();
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            for (int turn = 0; turn < 3; turn++) {
                long[] within = new long[1];
                Stream.Event begin = stream.record();
                stream.enqueue(kernel(device, stream, () -> {
                    pause(Duration.ofMillis(20));
                    within[0] = SystemClock.nanos();
                    pause(Duration.ofMillis(20));
                }));
                Stream.Event end = stream.record();
                stream.synchronize(SOON);
                assertTrue(begin.nanos() < within[0] && within[0] < end.nanos());
                assertTrue(end.nanos() - begin.nanos() >= 40_000_000);
                assertTrue(Math.abs(end.nanos() - SystemClock.nanos()) < 1_000_000_000);
            }
            assertTrue(stream.stop(SOON));
        }
    }

    /** As if hours had passed since the base: a float of milliseconds would be wrong by milliseconds. */
    @Test
    void theBaseOfTimesIsRenewed() {
        runtime.hurry();
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            runtime.stretchTime(1e6);
            pause(Duration.ofMillis(50));
            stream.synchronize(SOON);
            Stream.Event event = stream.record();
            stream.synchronize(SOON);
            long off = event.nanos() - SystemClock.nanos();
            assertTrue(off < 40_000_000L * 1_000_000L, () -> "off by " + off);
            assertTrue(stream.stop(SOON));
        }
    }

    @Test
    void anEventBeforeSynchronizeHasNoTime() {
        try (GpuDevice device = device(false)) {
            Stream stream = device.openStream("lane");
            CountDownLatch go = new CountDownLatch(1);
            stream.enqueue(kernel(device, stream, () -> await(go)));
            Stream.Event event = stream.record();
            assertThrows(IllegalStateException.class, event::nanos);
            go.countDown();
            stream.synchronize(SOON);
            assertTrue(event.nanos() > 0);
            assertTrue(stream.stop(SOON));
        }
    }

    @Test
    void buffersAreWrittenAndReadInPieces() {
        int bytes = (int) (2 * Staging.PIECE_BYTES + 12_345);
        byte[] image = new byte[bytes];
        new Random(1).nextBytes(image);
        try (GpuDevice device = device(false);
                Buffer buffer = device.allocate(bytes + 7L)) {
            assertEquals(bytes + 7L, buffer.bytes());
            buffer.fill((byte) -1);
            assertEquals(0, buffer.endOfBytesOtherThan((byte) -1));
            runtime.dawdle(Duration.ofMillis(20));
            ByteBuffer source = ByteBuffer.wrap(image);
            buffer.write(3, source);
            assertFalse(source.hasRemaining());
            ByteBuffer target = ByteBuffer.allocateDirect(bytes);
            buffer.read(3, target);
            byte[] back = new byte[bytes];
            target.flip().get(back);
            assertArrayEquals(image, back);
            assertThrows(IndexOutOfBoundsException.class, () -> buffer.write(8, ByteBuffer.wrap(image)));
            assertThrows(IndexOutOfBoundsException.class, () -> buffer.read(bytes + 7L, ByteBuffer.allocate(1)));
        }
        assertEquals("0 streams, 0 events, 0 blocks", runtime.leaks());
    }

    @Test
    void theEndOfWhatWasTouchedIsFoundInAnyPiece() {
        long bytes = 2 * Staging.PIECE_BYTES + 100;
        try (GpuDevice device = device(false);
                Buffer buffer = device.allocate(bytes)) {
            for (long place : new long[] {
                0, 7, Staging.PIECE_BYTES - 1, Staging.PIECE_BYTES, 2 * Staging.PIECE_BYTES + 99, bytes - 101
            }) {
                buffer.fill((byte) -1);
                buffer.write(place, ByteBuffer.wrap(new byte[] {1}));
                assertEquals(place + 1, buffer.endOfBytesOtherThan((byte) -1));
            }
        }
    }

    @Test
    void anEmptyBufferIsLegal() {
        try (GpuDevice device = device(false);
                Buffer buffer = device.allocate(0)) {
            buffer.fill((byte) 1);
            buffer.write(0, ByteBuffer.allocate(0));
            assertEquals(0, buffer.endOfBytesOtherThan((byte) 1));
        }
    }

    @Test
    void tooMuchMemoryIsASentence() {
        FakeGpuRuntime small = new FakeGpuRuntime(1, 64 << 20);
        try (GpuDevice device = new GpuDevice(small, new GpuDevice.Rank(3, 0, "small", false), new NoKernels());
                Buffer _ = device.allocate(40 << 20)) {
            Device.OutOfMemoryException e =
                    assertThrows(Device.OutOfMemoryException.class, () -> device.allocate(30 << 20));
            String text = String.valueOf(e.getMessage());
            assertTrue(text.contains("FAKE device 0 does not have the 30 MiB that rank 3 asks for"), text);
            assertTrue(text.contains("24 MiB are free"), text);
        }
    }
}
