package io.tsp.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.launch.LaunchException.Reason;
import io.tsp.tensor.SystemClock;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Ranks as threads with real sockets. A failure means that ranks wait for ever for one that is gone, that strangers do
 * harm, or that nobody says who is missing.
 */
class RendezvousTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final Pace PACE = new Pace(PATIENCE, Duration.ofMillis(100), Duration.ofSeconds(5));
    private static final int GREETING_BYTES = 40;

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final List<Rendezvous> joined = new ArrayList<>();

    @AfterEach
    void end() {
        synchronized (joined) {
            joined.forEach(Rendezvous::close);
        }
        threads.shutdownNow();
    }

    private static Place place(String token) throws IOException {
        try (ServerSocket free = new ServerSocket(0)) {
            return new Place("127.0.0.1", free.getLocalPort(), token);
        }
    }

    private Future<Rendezvous> join(Place place, int rank, int size, Pace pace) {
        return threads.submit(() -> {
            Rendezvous rendezvous = Rendezvous.join(place, rank, size, pace);
            synchronized (joined) {
                joined.add(rendezvous);
            }
            return rendezvous;
        });
    }

    private List<Rendezvous> joinAll(Place place, int size) {
        List<Future<Rendezvous>> coming = new ArrayList<>();
        for (int rank = size - 1; rank >= 0; rank--) {
            coming.addFirst(join(place, rank, size, PACE));
        }
        return coming.stream().map(RendezvousTest::get).toList();
    }

    /** Waits; a failure of the work is thrown as it is. */
    private static <T> T get(Future<T> running) {
        try {
            return running.get(2 * PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(e);
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("a rank hangs", e);
        }
    }

    private static LaunchException failure(Future<?> running) {
        return assertThrows(LaunchException.class, () -> get(running));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static List<String> texts(List<byte[]> values) {
        return values.stream()
                .map(value -> new String(value, StandardCharsets.UTF_8))
                .toList();
    }

    private Future<List<String>> meet(Rendezvous rank, String what, List<Integer> ranks, String value) {
        return threads.submit(() -> texts(rank.meet(what, ranks, bytes(value))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "secret"})
    void everybodyLearnsWhatEverybodyGives(String token) throws Exception {
        List<Rendezvous> ranks = joinAll(place(token), 4);
        for (int turn = 0; turn < 20; turn++) {
            List<Future<List<String>>> all = new ArrayList<>();
            for (Rendezvous rank : ranks) {
                all.add(meet(rank, "all", List.of(0, 1, 2, 3), turn + "." + rank.rank()));
            }
            for (Future<List<String>> each : all) {
                assertEquals(List.of(turn + ".0", turn + ".1", turn + ".2", turn + ".3"), get(each));
            }
        }
    }

    /** A group is any ranks in any order, and groups do not wait for each other. */
    @Test
    void groupsMeetApart() throws Exception {
        List<Rendezvous> ranks = joinAll(place(""), 4);
        List<Integer> some = List.of(3, 1);
        Future<List<String>> late = meet(ranks.get(0), "late", List.of(0, 2), "zero");
        Future<List<String>> one = meet(ranks.get(1), "some", some, "one");
        assertEquals(List.of("three", "one"), get(meet(ranks.get(3), "some", some, "three")));
        assertEquals(List.of("three", "one"), get(one));
        assertTrue(!late.isDone());
        assertEquals(List.of("zero", "two"), get(meet(ranks.get(2), "late", List.of(0, 2), "two")));
        assertEquals(List.of("zero", "two"), get(late));
    }

    @Test
    void aLateRankIsWaitedFor() throws Exception {
        Place place = place("");
        Future<Rendezvous> one = join(place, 1, 3, PACE);
        Thread.sleep(700);
        Future<Rendezvous> zero = join(place, 0, 3, PACE);
        get(one);
        Thread.sleep(300);
        assertTrue(!zero.isDone());
        get(join(place, 2, 3, PACE));
        get(zero);
    }

    @Test
    void missingRanksAreNamed() throws Exception {
        Place place = place("");
        Pace hasty = new Pace(Duration.ofMillis(800), Duration.ofMillis(100), Duration.ofSeconds(5));
        Future<Rendezvous> zero = join(place, 0, 4, hasty);
        Rendezvous two = get(join(place, 2, 4, PACE));
        Future<List<String>> waiting = meet(two, "all", List.of(0, 1, 2, 3), "two");
        LaunchException missing = failure(zero);
        assertEquals(Reason.DEADLINE, missing.reason());
        assertTrue(
                missing.getMessage().contains("rank [1, 3] did not come to rank 0 at 127.0.0.1:"), missing::toString);
        LaunchException told = failure(waiting);
        assertEquals(Reason.DEADLINE, told.reason());
        assertEquals(missing.getMessage(), told.getMessage());
    }

    @Test
    void rankZeroIsMissedByTheDeadline() throws Exception {
        Pace hasty = new Pace(Duration.ofMillis(500), Duration.ofMillis(100), Duration.ofSeconds(5));
        LaunchException e = failure(join(place(""), 1, 2, hasty));
        assertEquals(Reason.DEADLINE, e.reason());
        assertTrue(e.getMessage().contains("rank 1 has not reached rank 0 at 127.0.0.1:"), e::toString);
        assertTrue(e.getMessage().contains("refused"), e::toString);
    }

    @Test
    void whoDoesNotComeToAMeetingIsNamed() throws Exception {
        Place place = place("");
        Pace hasty = new Pace(Duration.ofMillis(800), Duration.ofMillis(100), Duration.ofSeconds(5));
        Future<Rendezvous> zero = join(place, 0, 3, hasty);
        Rendezvous one = get(join(place, 1, 3, hasty));
        get(join(place, 2, 3, hasty));
        get(zero);
        LaunchException e = failure(meet(one, "group tp", List.of(0, 1, 2), "one"));
        assertEquals(Reason.DEADLINE, e.reason());
        assertEquals("rank 1 has waited 0.8 s for rank [0, 2]: group tp", e.getMessage());
    }

    @Test
    void anotherTokenIsRefusedAndTheOthersGoOn() throws Exception {
        Place place = place("right");
        Future<Rendezvous> zero = join(place, 0, 2, PACE);
        for (String token : List.of("wrong", "")) {
            LaunchException e = failure(join(new Place(place.host(), place.port(), token), 1, 2, PACE));
            assertEquals(Reason.SETTINGS, e.reason());
            assertTrue(e.getMessage().contains("another TSP_RENDEZVOUS_TOKEN"), e::toString);
        }
        get(join(place, 1, 2, PACE));
        get(zero);
    }

    @Test
    void ranksOfAnotherJobAreRefused() throws Exception {
        Place place = place("");
        Future<Rendezvous> zero = join(place, 0, 3, PACE);
        get(join(place, 1, 3, PACE));
        LaunchException other = failure(join(place, 1, 4, PACE));
        assertEquals(Reason.RANKS_DISAGREE, other.reason());
        LaunchException again = failure(join(place, 1, 3, PACE));
        assertEquals(Reason.SETTINGS, again.reason());
        assertTrue(again.getMessage().contains("another process has that number"), again::toString);
        get(join(place, 2, 3, PACE));
        get(zero);
    }

    @Test
    void garbageDoesNoHarm() throws Exception {
        Place place = place("");
        Future<Rendezvous> zero = join(place, 0, 2, PACE);
        List<Socket> strangers = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            strangers.add(connect(place));
        }
        for (Socket stranger : strangers.subList(0, 30)) {
            stranger.getOutputStream().write(bytes("GET / HTTP/1.1\r\nHost: somebody\r\n\r\n".repeat(100)));
        }
        strangers.get(0).setSoTimeout(10_000);
        assertEquals(GREETING_BYTES, strangers.get(0).getInputStream().readAllBytes().length, "nothing but a greeting");
        get(join(place, 1, 2, PACE));
        get(zero);
        for (Socket stranger : strangers) {
            stranger.close();
        }
    }

    private static Socket connect(Place place) throws Exception {
        for (int tries = 0; ; tries++) {
            try {
                return new Socket(place.host(), place.port());
            } catch (IOException e) {
                assertTrue(tries < 100, "rank 0 does not listen");
                Thread.sleep(50);
            }
        }
    }

    /** A rank that knows the words but then says what no rank says. */
    @Test
    void oversizedAndMalformedMessagesAreTheLossOfTheirSender() throws Exception {
        for (int kind = 0; kind < 4; kind++) {
            Place place = place("");
            Future<Rendezvous> zero = join(place, 0, 2, PACE);
            try (Socket socket = connect(place)) {
                DataOutputStream out = new DataOutputStream(socket.getOutputStream());
                new Greeting("").introduce(new DataInputStream(socket.getInputStream()), out, guest(1, 2));
                Future<List<String>> waiting = meet(get(zero), "all", List.of(0, 1), "zero");
                malformed(kind, out);
                LaunchException e = failure(waiting);
                assertEquals(Reason.PEER_LOST, e.reason());
                assertTrue(e.getMessage().startsWith("rank 1 on elsewhere was lost: it sent something"), e::toString);
            }
        }
    }

    private static Greeting.Guest guest(int rank, int size) {
        return new Greeting.Guest(rank, size, "elsewhere");
    }

    private static void malformed(int kind, DataOutputStream out) throws IOException {
        switch (kind) {
            case 0 -> {
                out.writeByte(1);
                out.writeInt(Integer.MAX_VALUE);
            }
            case 1 -> {
                out.writeByte(1);
                out.writeInt(16);
                out.writeLong(0);
                out.writeLong(Long.MAX_VALUE);
            }
            case 2 -> new Frame.Come(0, "other", List.of(0, 1), 0, 0, 1000, bytes("I am rank 0")).write(out);
            default -> {
                out.writeByte(77);
                out.writeInt(0);
            }
        }
    }

    @Test
    void aRankThatDiesIsReportedToAll() throws Exception {
        Place place = place("");
        Future<Rendezvous> zero = join(place, 0, 3, PACE);
        Rendezvous one = get(join(place, 1, 3, PACE));
        Socket socket = connect(place);
        OutputStream out = socket.getOutputStream();
        new Greeting("")
                .introduce(new DataInputStream(socket.getInputStream()), new DataOutputStream(out), guest(2, 3));
        BlockingQueue<LaunchException> told = new LinkedBlockingQueue<>();
        get(zero).onFailure(told::add);
        one.onFailure(told::add);
        long begin = SystemClock.nanos();
        socket.close();
        for (int i = 0; i < 2; i++) {
            LaunchException e = told.poll(10, TimeUnit.SECONDS);
            assertEquals(Reason.PEER_LOST, e.reason());
            assertTrue(e.getMessage().startsWith("rank 2 on elsewhere was lost: "), e::toString);
        }
        assertTrue(SystemClock.nanos() - begin < PACE.silence().toNanos(), "only its silence was noticed");
        LaunchException later = failure(meet(one, "all", List.of(0, 1, 2), "one"));
        assertTrue(later.getMessage().startsWith("rank 2 on elsewhere was lost: "), later::toString);
    }

    @Test
    void aRankThatHangsIsReportedToAll() throws Exception {
        Pace nervous = new Pace(PATIENCE, Duration.ofMillis(100), Duration.ofSeconds(1));
        Place place = place("");
        Future<Rendezvous> zero = join(place, 0, 3, nervous);
        Rendezvous one = get(join(place, 1, 3, nervous));
        try (Socket socket = connect(place)) {
            OutputStream out = socket.getOutputStream();
            new Greeting("")
                    .introduce(new DataInputStream(socket.getInputStream()), new DataOutputStream(out), guest(2, 3));
            CompletableFuture<LaunchException> told = new CompletableFuture<>();
            get(zero);
            one.onFailure(told::complete);
            assertEquals(
                    "rank 2 on elsewhere was lost: it has said nothing for 1.0 s",
                    told.get(10, TimeUnit.SECONDS).getMessage());
        }
    }

    @Test
    void theLossOfRankZeroIsNoticedByAll() throws Exception {
        try (ServerSocket server = new ServerSocket(0)) {
            Place place = new Place("127.0.0.1", server.getLocalPort(), "");
            Future<Rendezvous> one = join(place, 1, 2, PACE);
            Socket socket = server.accept();
            new Greeting("")
                    .receive(
                            new DataInputStream(socket.getInputStream()),
                            new DataOutputStream(socket.getOutputStream()),
                            "elsewhere",
                            _ -> Greeting.Verdict.WELCOME);
            Future<List<String>> waiting = meet(get(one), "all", List.of(0, 1), "one");
            socket.close();
            LaunchException e = failure(waiting);
            assertEquals(Reason.PEER_LOST, e.reason());
            assertTrue(e.getMessage().startsWith("rank 0 on elsewhere was lost: "), e::toString);
        }
    }

    /** Something else may listen at the port for a while, such as a job that ends. */
    @Test
    void whatIsNotRankZeroIsLeftAlone() throws Exception {
        try (ServerSocket server = new ServerSocket(0)) {
            Place place = new Place("127.0.0.1", server.getLocalPort(), "");
            Pace hasty = new Pace(Duration.ofMillis(500), Duration.ofMillis(100), Duration.ofSeconds(5));
            Future<Rendezvous> one = join(place, 1, 2, hasty);
            while (!one.isDone()) {
                server.setSoTimeout(3000);
                try (Socket socket = server.accept()) {
                    socket.getOutputStream().write(bytes("220 some mail server is ready for you, whoever you are\r\n"));
                } catch (IOException e) {
                    break;
                }
            }
            LaunchException e = failure(one);
            assertEquals(Reason.DEADLINE, e.reason());
        }
    }

    @Test
    void aFailureIsToldWithItsWords() throws Exception {
        List<Rendezvous> ranks = joinAll(place(""), 3);
        BlockingQueue<LaunchException> told = new LinkedBlockingQueue<>();
        ranks.get(0).onFailure(told::add);
        ranks.get(2).onFailure(told::add);
        Future<List<String>> waiting = meet(ranks.get(2), "all", List.of(0, 1, 2), "two");
        ranks.get(1).fail("out of memory");
        ranks.get(1).close();
        for (int i = 0; i < 2; i++) {
            LaunchException e = told.poll(10, TimeUnit.SECONDS);
            assertEquals(Reason.PEER_LOST, e.reason());
            assertTrue(e.getMessage().matches("rank 1 on .* failed: out of memory"), e::toString);
        }
        assertTrue(failure(waiting).getMessage().endsWith("failed: out of memory"));
    }

    @Test
    void whoLeavesIsNotLost() throws Exception {
        List<Rendezvous> ranks = joinAll(place(""), 4);
        BlockingQueue<LaunchException> told = new LinkedBlockingQueue<>();
        ranks.forEach(rank -> rank.onFailure(told::add));
        ranks.get(3).close();
        Future<List<String>> one = meet(ranks.get(1), "rest", List.of(1, 2), "one");
        assertEquals(List.of("one", "two"), get(meet(ranks.get(2), "rest", List.of(1, 2), "two")));
        get(one);
        ranks.get(0).close();
        assertEquals(null, told.poll(1, TimeUnit.SECONDS));
        LaunchException e = failure(meet(ranks.get(1), "rest", List.of(1, 2), "one"));
        assertEquals(Reason.PEER_LOST, e.reason());
    }

    @Test
    void messagesComeBackAsTheyWere() throws Exception {
        byte[] value = bytes("value");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        new Frame.Met(7, List.of(value, new byte[0])).write(new DataOutputStream(bytes));
        new Frame.Failed(Reason.DEADLINE, "words").write(new DataOutputStream(bytes));
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes.toByteArray()));
        Frame.Met met = (Frame.Met) Frame.read(in);
        assertEquals(7, met.id());
        assertArrayEquals(value, met.values().getFirst());
        assertEquals(0, met.values().getLast().length);
        assertEquals(new Frame.Failed(Reason.DEADLINE, "words"), Frame.read(in));
    }
}
