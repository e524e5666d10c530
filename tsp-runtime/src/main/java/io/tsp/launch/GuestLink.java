package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import io.tsp.tensor.SystemClock;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/** The way of every rank but 0: a connection to rank 0. */
final class GuestLink implements Link {
    private static final int CONNECT_MILLIS = 2_000;
    private static final int GREETING_MILLIS = 5_000;
    private static final long RETRY_NANOS = 100_000_000;

    private final Connection connection;
    private final String host;
    private final Pace pace;
    private final Rendezvous self;
    private long beatNanos = SystemClock.nanos();

    /** Rank 0 has let this rank in. */
    private record Welcome(Connection connection, String host) {}

    private GuestLink(Welcome welcome, Pace pace, Rendezvous self) {
        connection = welcome.connection;
        host = welcome.host;
        this.pace = pace;
        this.self = self;
    }

    /**
     * Tries until rank 0 lets it in.
     *
     * @throws LaunchException if rank 0 refuses, or is not there by the deadline
     */
    static GuestLink connect(Place place, Greeting.Guest guest, Pace pace, Rendezvous self) {
        long end = SystemClock.nanos() + pace.deadline().toNanos();
        Greeting greeting = new Greeting(place.token());
        while (true) {
            try {
                return new GuestLink(tryOnce(place, greeting, guest), pace, self);
            } catch (Greeting.RefusedException e) {
                throw e.words(guest, place);
            } catch (IOException e) {
                if (SystemClock.nanos() > end) {
                    throw new LaunchException(
                            Reason.DEADLINE,
                            "rank " + guest.rank() + " has not reached rank 0 at " + place + " within "
                                    + Pace.seconds(pace.deadline()) + " (" + words(e)
                                    + "); see whether rank 0 was started, and on that machine");
                }
            }
            LockSupport.parkNanos(RETRY_NANOS);
            if (Thread.currentThread().isInterrupted()) {
                throw new LaunchException(Reason.PEER_LOST, "interrupted on the way to rank 0 at " + place);
            }
        }
    }

    private static String words(IOException e) {
        return e instanceof UnknownHostException ? "no such host" : String.valueOf(e.getMessage());
    }

    private static Welcome tryOnce(Place place, Greeting greeting, Greeting.Guest guest)
            throws IOException, Greeting.RefusedException {
        Socket socket = new Socket();
        boolean welcome = false;
        try {
            socket.connect(new InetSocketAddress(place.host(), place.port()), CONNECT_MILLIS);
            socket.setSoTimeout(GREETING_MILLIS);
            Connection connection = new Connection(socket);
            String host = greeting.introduce(connection.in(), connection.out(), guest);
            socket.setSoTimeout(0);
            welcome = true;
            return new Welcome(connection, host);
        } finally {
            if (!welcome) {
                socket.close();
            }
        }
    }

    void start() {
        connection.start("rendezvous-reader", this::hear, this::lost);
    }

    private void hear(Frame frame) {
        if (frame instanceof Frame.Come) {
            throw new IllegalArgumentException("rank 0 came to a meeting here");
        }
        self.hear(frame);
    }

    private void lost(String what) {
        self.settle(new LaunchException(Reason.PEER_LOST, "rank 0 on " + host + " was lost: " + what));
    }

    @Override
    public void come(Frame.Come come) {
        connection.send(come);
    }

    @Override
    public void announce(Frame.Failed failed) {
        connection.send(failed);
    }

    @Override
    public void tick() {
        if (connection.isOver()) {
            return;
        }
        if (SystemClock.nanos() - beatNanos >= pace.beat().toNanos()) {
            beatNanos = SystemClock.nanos();
            connection.trySend(new Frame.Beat());
        }
        if (connection.silence().compareTo(pace.silence()) > 0) {
            lost("it has said nothing for " + Pace.seconds(pace.silence()));
        }
    }

    @Override
    public void leave(Duration patience) {
        connection.leave(new Frame.Bye(), patience);
    }
}
