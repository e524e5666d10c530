package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import io.tsp.tensor.SystemClock;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/** Rank 0's way: it listens, lets the others in, brings together those who meet, and passes on failures. */
final class HostLink implements Link {
    /** Connections that have not proved anything yet; what comes beyond them is closed at once. */
    private static final int MAX_STRANGERS = 64;

    private static final Duration STRANGERS_PATIENCE = Duration.ofSeconds(10);
    private static final int BACKLOG = 1024;

    private final Place place;
    private final Greeting greeting;
    private final Greeting.Guest guest;
    private final Pace pace;
    private final Rendezvous self;
    private final Meetings meetings;
    private final ServerSocket server;
    private final Map<Socket, Long> strangers = new ConcurrentHashMap<>();
    private final Map<Integer, Peer> peers = new TreeMap<>();
    private long beatNanos = SystemClock.nanos();
    private boolean leaving;

    private record Peer(int rank, String host, Connection connection) {
        private String words() {
            return "rank " + rank + " on " + host;
        }
    }

    /** @throws LaunchException if it cannot listen at this place */
    HostLink(Place place, Greeting.Guest guest, Pace pace, Rendezvous self) {
        this.place = place;
        this.guest = guest;
        this.pace = pace;
        this.self = self;
        greeting = new Greeting(place.token());
        meetings = new Meetings(guest.size());
        server = listen(place);
    }

    /** Begins to let ranks in. */
    void open() {
        Thread.ofPlatform().daemon().name("rendezvous-door").start(this::accept);
    }

    /** Other machines find rank 0's under more addresses than its own name stands for, so it listens on all of them. */
    private static ServerSocket listen(Place place) {
        try {
            return place.isLoopback()
                    ? new ServerSocket(place.port(), BACKLOG, InetAddress.getByName(place.host()))
                    : new ServerSocket(place.port(), BACKLOG);
        } catch (IOException e) {
            throw new LaunchException(
                    Reason.SETTINGS,
                    "rank 0 cannot listen at " + place + ": " + e.getMessage()
                            + "; set TSP_RENDEZVOUS=host:port for all ranks, with a port that is free");
        }
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                if (strangers.size() < MAX_STRANGERS) {
                    strangers.put(socket, SystemClock.nanos());
                    Thread.ofPlatform().daemon().name("rendezvous-greeting").start(() -> greet(socket));
                } else {
                    socket.close();
                }
            } catch (IOException e) {
                // Of one stranger, or the door was closed, which ends the loop.
            }
        }
    }

    private void greet(Socket socket) {
        try {
            greet(new Connection(socket));
        } catch (IOException e) {
            close(socket);
        } finally {
            strangers.remove(socket);
        }
    }

    /** Whoever does not speak as a rank does is sent away without harm to those who do. */
    private void greet(Connection connection) {
        try {
            Greeting.Guest came = greeting.receive(
                    connection.in(), connection.out(), guest.host(), stranger -> admit(stranger, connection));
            Peer peer = new Peer(came.rank(), came.host(), connection);
            connection.start("rendezvous-reader-" + came.rank(), frame -> hear(peer, frame), what -> lost(peer, what));
        } catch (IOException e) {
            connection.close();
            dismiss(connection);
        }
    }

    /** One that went away before it heard that it is let in may come again. */
    private synchronized void dismiss(Connection connection) {
        peers.values().removeIf(peer -> peer.connection == connection);
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone in any case.
        }
    }

    private synchronized Greeting.Verdict admit(Greeting.Guest came, Connection connection) {
        if (came.size() != guest.size()) {
            return Greeting.Verdict.WRONG_SIZE;
        } else if (came.rank() < 1 || came.rank() >= guest.size()) {
            return Greeting.Verdict.NO_SUCH_RANK;
        } else if (leaving || peers.containsKey(came.rank())) {
            return Greeting.Verdict.TAKEN;
        }
        peers.put(came.rank(), new Peer(came.rank(), came.host(), connection));
        notifyAll();
        return Greeting.Verdict.WELCOME;
    }

    /** @throws LaunchException naming the ranks that do not come by the deadline */
    synchronized void awaitAll() {
        long end = SystemClock.nanos() + pace.deadline().toNanos();
        while (peers.size() < guest.size() - 1) {
            self.throwIfFailed();
            long left = end - SystemClock.nanos();
            if (left <= 0) {
                throw new LaunchException(
                        Reason.DEADLINE,
                        "rank " + missing() + " did not come to rank 0 at " + place + " within "
                                + Pace.seconds(pace.deadline())
                                + "; see whether and on which machines they were started");
            }
            try {
                wait(Math.clamp(left / 1_000_000, 1, 100));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new LaunchException(Reason.PEER_LOST, "interrupted while waiting for rank " + missing());
            }
        }
    }

    private List<Integer> missing() {
        return IntStream.range(1, guest.size())
                .filter(rank -> !peers.containsKey(rank))
                .boxed()
                .toList();
    }

    private void hear(Peer peer, Frame frame) {
        switch (frame) {
            case Frame.Come come -> meetings.come(peer.rank, come, peer.connection::send);
            case Frame.Failed failed -> self.settle(new LaunchException(failed.reason(), failed.sentence()));
            case Frame.Bye _, Frame.Beat _ -> {}
            case Frame.Met _, Frame.Missed _ ->
                throw new IllegalArgumentException("an answer, where nothing was asked");
        }
    }

    private void lost(Peer peer, String what) {
        self.settle(new LaunchException(Reason.PEER_LOST, peer.words() + " was lost: " + what));
    }

    private synchronized List<Peer> peers() {
        return new ArrayList<>(peers.values());
    }

    @Override
    public void come(Frame.Come come) {
        meetings.come(0, come, self::hear);
    }

    @Override
    public void announce(Frame.Failed failed) {
        peers().forEach(peer -> peer.connection.send(failed));
    }

    @Override
    public void tick() {
        long now = SystemClock.nanos();
        strangers.forEach((socket, since) -> {
            if (now - since > STRANGERS_PATIENCE.toNanos()) {
                close(socket);
            }
        });
        meetings.expire();
        boolean beat = now - beatNanos >= pace.beat().toNanos();
        beatNanos = beat ? now : beatNanos;
        for (Peer peer : peers()) {
            if (!peer.connection.isOver()) {
                look(peer, beat);
            }
        }
    }

    private void look(Peer peer, boolean beat) {
        if (beat) {
            peer.connection.trySend(new Frame.Beat());
        }
        if (peer.connection.silence().compareTo(pace.silence()) > 0) {
            lost(peer, "it has said nothing for " + Pace.seconds(pace.silence()));
        }
    }

    @Override
    public void leave(Duration patience) {
        List<Peer> all;
        synchronized (this) {
            leaving = true;
            all = peers();
        }
        try {
            server.close();
        } catch (IOException e) {
            // It ends with the process.
        }
        all.forEach(peer -> peer.connection.send(new Frame.Bye()));
        long end = SystemClock.nanos() + patience.toNanos();
        all.forEach(peer ->
                peer.connection.leave(new Frame.Beat(), Duration.ofNanos(Math.max(0, end - SystemClock.nanos()))));
    }
}
