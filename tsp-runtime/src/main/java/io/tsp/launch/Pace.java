package io.tsp.launch;

import java.time.Duration;

/**
 * How long ranks wait for each other.
 *
 * @param deadline for a rank to come
 * @param beat how often each says that it is there
 * @param silence after which one that says nothing is lost
 */
public record Pace(Duration deadline, Duration beat, Duration silence) {
    private static final Duration BEAT = Duration.ofSeconds(2);

    /** A process that collects garbage or swaps may be silent for seconds. */
    private static final Duration SILENCE = Duration.ofSeconds(30);

    /** The usual pace. */
    public static Pace of(Duration deadline) {
        return new Pace(deadline, BEAT, SILENCE);
    }

    static String seconds(Duration duration) {
        return duration.toMillis() / 1000.0 + " s";
    }
}
