package io.tsp.evaluate;

import io.tsp.program.Trace;
import io.tsp.tensor.MemoryClass;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a comparison found out about one scheme.
 *
 * @param measured null if the scheme was not run
 * @param deviation null if logits were not compared
 * @param reason why something is missing; empty if nothing is
 */
public record SchemeResult(
        String scheme,
        int ranks,
        @Nullable Measured measured,
        @Nullable Deviation deviation,
        String reason) {

    /**
     * The run of median length. Bytes and waits are those of the rank that has most.
     *
     * @param stepSeconds from tokens in memory to the loss in memory
     * @param plannedPeakBytes arenas of a rank
     * @param measuredPeakBytes bytes of the arenas of a rank that were written; null in simulated time
     * @param bytesByClass arenas of the rank with the largest plan
     * @param bytesSent bytes that a rank puts on the wire in a step
     * @param skewSeconds compute waited for peers that had not come to an exchange
     * @param exposedTransferSeconds compute waited for bytes although all peers had come
     */
    public record Measured(
            double tokensPerSecond,
            double stepSeconds,
            long plannedPeakBytes,
            @Nullable Long measuredPeakBytes,
            Map<MemoryClass, Long> bytesByClass,
            long bytesSent,
            double skewSeconds,
            double exposedTransferSeconds,
            List<Trace> traces) {
        public Measured {
            bytesByClass = new EnumMap<>(bytesByClass);
            traces = List.copyOf(traces);
        }
    }

    /**
     * Distance of the logits to those of {@code single}.
     *
     * @param max largest absolute difference, as a share of the largest logit of {@code single}
     * @param tokens tokens that were compared
     */
    public record Deviation(double max, int tokens) {}

    public boolean wasRun() {
        return measured != null;
    }
}
