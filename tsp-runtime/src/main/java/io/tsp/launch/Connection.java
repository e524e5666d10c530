package io.tsp.launch;

import io.tsp.tensor.SystemClock;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.ProtocolException;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/** An open connection to a peer, with a thread that reads what comes. */
final class Connection {
    private static final Duration SEND_PATIENCE = Duration.ofSeconds(5);

    private final Socket socket;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final ReentrantLock sending = new ReentrantLock();
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile long heardNanos = SystemClock.nanos();
    private volatile boolean over;

    Connection(Socket socket) throws IOException {
        this.socket = socket;
        socket.setTcpNoDelay(true);
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
        out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
    }

    DataInputStream in() {
        return in;
    }

    DataOutputStream out() {
        return out;
    }

    /**
     * Begins to read.
     *
     * @param frames gets what comes, up to a farewell or a failure, but not beats
     * @param lost gets what happened to the peer, unless it said farewell
     */
    void start(String name, Consumer<Frame> frames, Consumer<String> lost) {
        heardNanos = SystemClock.nanos();
        Thread.ofPlatform().daemon().name(name).start(() -> read(frames, lost));
    }

    private void read(Consumer<Frame> frames, Consumer<String> lost) {
        try {
            while (!over) {
                Frame frame = Frame.read(in);
                heardNanos = SystemClock.nanos();
                if (frame instanceof Frame.Bye) {
                    over = true;
                }
                if (!(frame instanceof Frame.Beat)) {
                    frames.accept(frame);
                }
            }
        } catch (EOFException e) {
            end(lost, "its connection was closed");
        } catch (ProtocolException | IllegalArgumentException e) {
            end(lost, "it sent something that no rank sends: " + e.getMessage());
        } catch (IOException e) {
            end(lost, "its connection broke: " + e.getMessage());
        } finally {
            close();
            ended.countDown();
        }
    }

    private void end(Consumer<String> lost, String what) {
        if (!over) {
            over = true;
            lost.accept(what);
        }
    }

    /** Since when the peer has said nothing. */
    Duration silence() {
        return Duration.ofNanos(SystemClock.nanos() - heardNanos);
    }

    boolean isOver() {
        return over;
    }

    /** Sends a message; a peer that is gone is noticed by the thread that reads. */
    void send(Frame frame) {
        send(frame, SEND_PATIENCE);
    }

    /** Sends a message unless another one is stuck on its way. */
    void trySend(Frame frame) {
        send(frame, Duration.ZERO);
    }

    private void send(Frame frame, Duration patience) {
        try {
            if (!over && sending.tryLock(patience.toNanos(), TimeUnit.NANOSECONDS)) {
                try {
                    frame.write(out);
                } finally {
                    sending.unlock();
                }
            }
        } catch (IOException e) {
            // The peer takes nothing more. Why, the reading thread learns.
            close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Sends a last message and waits until the peer has ended the connection: if it were closed with something unread in
     * it, the message could be lost.
     */
    void leave(Frame last, Duration patience) {
        send(last);
        over = true;
        try {
            socket.shutdownOutput();
            boolean unused = ended.await(patience.toNanos(), TimeUnit.NANOSECONDS);
        } catch (IOException e) {
            // It is closed already.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        close();
    }

    void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // What is left of it ends with the process.
        }
    }
}
