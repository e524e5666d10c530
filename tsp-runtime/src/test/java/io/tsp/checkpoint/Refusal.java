package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import org.junit.jupiter.api.function.Executable;

/** What every refusal of a file owes: it comes at once, and its message cannot drive a terminal. */
final class Refusal {
    private static final int MAX_CHARS = 1500;

    private Refusal() {}

    /** Runs what must be refused; a second of processor time is the limit, since tests share their machine. */
    static ModelException of(Executable reading) {
        return assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            long before = processorNanos();
            ModelException refusal = assertThrows(ModelException.class, reading);
            long nanos = processorNanos() - before;
            assertTrue(nanos < 1_000_000_000, () -> nanos + " ns");
            String message = refusal.getMessage();
            assertTrue(message.chars().noneMatch(Character::isISOControl), message);
            assertTrue(message.length() < MAX_CHARS, message);
            return refusal;
        });
    }

    private static long processorNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }
}
