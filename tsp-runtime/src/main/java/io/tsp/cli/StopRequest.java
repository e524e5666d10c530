package io.tsp.cli;

import java.util.concurrent.CountDownLatch;

/**
 * A wish of the system or the user that this process ends (SIGTERM, SIGINT), which a verb may honour in its own time: the
 * JVM then stays until the verb is done and ends with the verb's code.
 */
final class StopRequest {
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean honoured;
    private volatile boolean made;
    private volatile int code;

    /** Ends the process at once unless a verb has said that it will. */
    void installHook() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::shutDown, "stop-request"));
    }

    private void shutDown() {
        made = true;
        if (!honoured) {
            return;
        }
        try {
            ended.await();
            Runtime.getRuntime().halt(code);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Says that the verb looks at {@link #isMade} from now on. */
    void honour() {
        honoured = true;
    }

    void make() {
        made = true;
    }

    boolean isMade() {
        return made;
    }

    /** Tells a process that is to end what with. */
    void end(int exitCode) {
        code = exitCode;
        ended.countDown();
    }
}
