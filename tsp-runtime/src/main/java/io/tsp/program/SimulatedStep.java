package io.tsp.program;

import io.tsp.cost.Topology.Link;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * One step of some ranks in simulated time.
 *
 * @param profile name of the hardware profile
 * @param profileHash what the profile said
 * @param ranks what happened on each rank, in the order of the programs that were given
 * @param linkBusyNanos how long bytes moved on each link of these ranks
 */
public record SimulatedStep(String profile, String profileHash, List<Rank> ranks, Map<Link, Long> linkBusyNanos) {
    private static final double NANOS_PER_SECOND = 1e9;

    public SimulatedStep {
        ranks = List.copyOf(ranks);
        linkBusyNanos = Map.copyOf(linkBusyNanos);
    }

    /**
     * One rank.
     *
     * @param trace on the virtual clock, which all ranks share and which begins at 0
     * @param plan its memory, with the workspaces of the profile
     * @param computeNanosByOp how long each kind of op took on the device
     * @param flops of matrix products and attention, what is computed again included
     */
    public record Rank(Trace trace, MemoryPlan plan, SequencedMap<String, Long> computeNanosByOp, double flops) {
        public Rank {
            computeNanosByOp = Collections.unmodifiableSequencedMap(computeNanosByOp);
        }

        /** Time in which the device worked. */
        public long computeNanos() {
            return computeNanosByOp.values().stream().mapToLong(Long::longValue).sum();
        }

        /** Hash of the program that was run; see {@link Program#hash}. */
        public String programHash() {
            return trace.schedule().program().hash();
        }
    }

    public List<Trace> traces() {
        return ranks.stream().map(Rank::trace).toList();
    }

    /** From the begin to the end of the last step of any rank. */
    public double seconds() {
        return ranks.stream()
                        .flatMap(rank -> rank.trace.spans().stream())
                        .mapToLong(Trace.Span::end)
                        .max()
                        .orElse(0)
                / NANOS_PER_SECOND;
    }

    /**
     * Where the time of the slowest rank's compute lane goes: the parts add up to {@link #seconds}, but for what other
     * lanes do after its last step.
     *
     * @param computeSeconds the device works
     * @param skewSeconds it waits for a rank that has not come to an exchange
     * @param exposedTransferSeconds it waits for bytes, by the lane that brings them
     */
    public record Parts(double computeSeconds, double skewSeconds, Map<Lane, Double> exposedTransferSeconds) {
        public double exposedSeconds() {
            return exposedTransferSeconds.values().stream()
                    .mapToDouble(Double::doubleValue)
                    .sum();
        }
    }

    /** The parts of one rank's time. */
    public Parts parts(int index) {
        Rank rank = ranks.get(index);
        Map<Lane, Double> exposed = new EnumMap<>(Lane.class);
        rank.trace.exposedTransferNanosByLane().forEach((lane, nanos) -> exposed.put(lane, nanos / NANOS_PER_SECOND));
        return new Parts(rank.computeNanos() / NANOS_PER_SECOND, rank.trace.skewNanos() / NANOS_PER_SECOND, exposed);
    }
}
