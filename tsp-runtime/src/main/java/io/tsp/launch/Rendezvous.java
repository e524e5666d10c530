package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of a launcher, each a process, over TCP: rank 0 listens, the others come to it. Here they exchange the few
 * bytes that they need before they can exchange more by other means, and learn of each other's end: connections stay
 * open, everybody says every few seconds that it is there, and the failure of one is told to all.
 *
 * <p>What is sent is neither encrypted nor signed. With a token only processes that know it come in; without one, whoever
 * can reach the port.
 */
public final class Rendezvous implements AutoCloseable {
    private static final Duration TICK = Duration.ofMillis(100);
    /** Answers may be late by this much before this rank gives up by itself. */
    private static final Duration SLACK = Duration.ofSeconds(10);

    /** Of a sentence about a failure that is passed on. */
    private static final int MAX_WORDS = 2000;

    private static final Duration FAREWELL = Duration.ofSeconds(2);

    private final Greeting.Guest self;
    private final Pace pace;
    private final Link link;
    private final Map<Long, Waiting> waiting = new ConcurrentHashMap<>();
    private final Map<String, Long> sequences = new HashMap<>();
    private final AtomicLong ids = new AtomicLong();
    private final AtomicReference<@Nullable LaunchException> failure = new AtomicReference<>();
    private final AtomicReference<@Nullable Consumer<LaunchException>> listener = new AtomicReference<>();
    private final Thread ticker =
            Thread.ofPlatform().daemon().name("rendezvous-beat").unstarted(this::tick);
    private volatile boolean finished;
    private volatile boolean closed;

    /** A meeting that this rank has come to. */
    private record Waiting(String what, CompletableFuture<List<byte[]>> answer) {
        Waiting(String what) {
            this(what, new CompletableFuture<>());
        }
    }

    private Rendezvous(Place place, Greeting.Guest self, Pace pace) {
        this.self = self;
        this.pace = pace;
        if (self.rank() == 0) {
            HostLink host = new HostLink(place, self, pace, this);
            link = host;
            host.open();
            ticker.start();
            awaitAll(host);
        } else {
            GuestLink guest = GuestLink.connect(place, self, pace, this);
            link = guest;
            guest.start();
            ticker.start();
        }
    }

    /**
     * Comes to the other ranks. Returns on rank 0 when all have come, on others when rank 0 has let them in.
     *
     * @throws LaunchException if somebody does not come by the deadline, or rank 0 refuses this rank
     */
    public static Rendezvous join(Place place, int rank, int size, Pace pace) {
        return new Rendezvous(place, new Greeting.Guest(rank, size, machine()), pace);
    }

    private static String machine() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "an unnamed machine";
        }
    }

    private void awaitAll(HostLink host) {
        try {
            host.awaitAll();
        } catch (LaunchException e) {
            settle(e);
            close();
            throw e;
        }
    }

    public int rank() {
        return self.rank();
    }

    public int size() {
        return self.size();
    }

    /**
     * Waits for ranks that all call this with the same arguments but the last; for the same ones any number of times.
     *
     * @param what the meeting is for
     * @param ranks who meets, this rank among them
     * @param value what this rank gives, at most 4096 bytes
     * @return what each gives, in the order of ranks
     * @throws LaunchException naming those who do not come by the deadline, or the first failure of any rank
     */
    public List<byte[]> meet(String what, List<Integer> ranks, byte[] value) {
        if (value.length > Frame.MAX_VALUE_BYTES) {
            throw new IllegalArgumentException(
                    "a rank can give " + Frame.MAX_VALUE_BYTES + " bytes, not " + value.length + ", to " + what);
        }
        long id = ids.getAndIncrement();
        Waiting here = new Waiting(what);
        waiting.put(id, here);
        try {
            throwIfFailed();
            if (finished) {
                throw finished(what);
            }
            long patience = pace.deadline().toMillis();
            link.come(new Frame.Come(
                    id, what, ranks, sequence(what + ranks), ranks.indexOf(self.rank()), patience, value));
            return here.answer.get(patience + SLACK.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof LaunchException cause ? cause : new IllegalStateException(e);
        } catch (TimeoutException e) {
            throw missed(what, "rank 0");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LaunchException(Reason.PEER_LOST, "interrupted at " + what);
        } finally {
            waiting.remove(id);
        }
    }

    private LaunchException finished(String what) {
        return new LaunchException(
                Reason.PEER_LOST, "rank 0 has finished while rank " + self.rank() + " waits for others: " + what);
    }

    private synchronized long sequence(String meeting) {
        return sequences.merge(meeting, 1L, Long::sum) - 1;
    }

    private LaunchException missed(String what, String who) {
        return new LaunchException(
                Reason.DEADLINE,
                "rank " + self.rank() + " has waited " + Pace.seconds(pace.deadline()) + " for " + who + ": " + what);
    }

    /** Tells all ranks that this one cannot go on, and why. Only the first failure of any rank is told. */
    public void fail(String sentence) {
        settle(new LaunchException(
                Reason.PEER_LOST, "rank " + self.rank() + " on " + self.host() + " failed: " + sentence));
    }

    /**
     * Asks to be told, on another thread, of the first failure of another rank, also if it has happened.
     *
     * @param listener called once
     */
    public void onFailure(Consumer<LaunchException> listener) {
        this.listener.set(listener);
        tellListener();
    }

    private void tellListener() {
        LaunchException first = failure.get();
        Consumer<LaunchException> told = first == null ? null : listener.getAndSet(null);
        if (first != null && told != null) {
            told.accept(first);
        }
    }

    void throwIfFailed() {
        LaunchException first = failure.get();
        if (first != null) {
            throw first;
        }
    }

    /** Remembers the first failure, and makes everybody who waits fail with it, here and elsewhere. */
    void settle(LaunchException cause) {
        if (closed || !failure.compareAndSet(null, cause)) {
            return;
        }
        waiting.values().forEach(each -> each.answer.completeExceptionally(cause));
        tellListener();
        String words = String.valueOf(cause.getMessage());
        link.announce(new Frame.Failed(cause.reason(), words.substring(0, Math.min(words.length(), MAX_WORDS))));
    }

    /** What comes from rank 0, which may be this one. */
    void hear(Frame frame) {
        switch (frame) {
            case Frame.Met met -> waiting(met.id()).answer.complete(met.values());
            case Frame.Missed missed -> {
                Waiting here = waiting(missed.id());
                here.answer.completeExceptionally(missed(here.what, "rank " + missed.ranks()));
            }
            case Frame.Failed failed -> settle(new LaunchException(failed.reason(), failed.sentence()));
            case Frame.Bye _ -> {
                finished = true;
                waiting.values().forEach(each -> each.answer.completeExceptionally(finished(each.what)));
            }
            case Frame.Beat _, Frame.Come _ -> {}
        }
    }

    /** An answer that nobody waits for any more is no harm. */
    private Waiting waiting(long id) {
        return waiting.getOrDefault(id, new Waiting("nothing"));
    }

    private void tick() {
        while (!closed) {
            link.tick();
            try {
                Thread.sleep(TICK);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** Leaves; others that go on do not see it as a loss. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            link.leave(FAREWELL);
        }
    }
}
