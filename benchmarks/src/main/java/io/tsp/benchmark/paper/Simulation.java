package io.tsp.benchmark.paper;

import io.tsp.cost.HardwareProfile;
import io.tsp.model.ModelConfig;
import io.tsp.plan.Replica;
import io.tsp.program.Lane;
import io.tsp.program.Program;
import io.tsp.program.Session.Mode;
import io.tsp.program.SimulatedStep;
import io.tsp.program.SimulatedStep.Parts;
import io.tsp.program.Simulator;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * How the reference is simulated: 1,024 GPUs, one sequence of 128K tokens for each 8 of them under every scheme.
 *
 * @param bf16Sums whether sums between ranks travel in bf16; our programs send them in f32
 */
record Simulation(HardwareProfile profile, Mode mode, boolean bf16Sums) {
    static final int WORLD = 1024;
    static final long SEQUENCES = WORLD / Reference.DEGREE;
    static final double TOKENS = (double) SEQUENCES * Reference.LONGEST;

    /**
     * One layer, or a whole step.
     *
     * @param parts of the first rank's time
     * @param flops of the first rank
     */
    record Time(double seconds, Parts parts, double flops) {
        double millionTokensPerSecond() {
            return TOKENS / seconds / 1e6;
        }

        double teraflopsPerSecond() {
            return flops / seconds / 1e12;
        }

        double exposed(Lane lane) {
            return parts.exposedTransferSeconds().getOrDefault(lane, 0.0) / seconds;
        }

        double share(double part) {
            return part / seconds;
        }
    }

    /** What a third layer adds to two, and what 32 layers take by that. */
    record Times(Time layer, double modelSeconds) {
        double modelMillionTokensPerSecond() {
            return TOKENS / modelSeconds / 1e6;
        }

        static Times of(SimulatedStep two, SimulatedStep three) {
            double seconds = three.seconds() - two.seconds();
            Time layer = new Time(
                    seconds,
                    minus(three.parts(0), two.parts(0)),
                    three.ranks().getFirst().flops() - two.ranks().getFirst().flops());
            return new Times(layer, two.seconds() + (Reference.MODEL.layers() - 2) * seconds);
        }

        private static Parts minus(Parts all, Parts less) {
            Map<Lane, Double> exposed = new EnumMap<>(Lane.class);
            for (Lane lane : Lane.values()) {
                exposed.put(
                        lane,
                        all.exposedTransferSeconds().getOrDefault(lane, 0.0)
                                - less.exposedTransferSeconds().getOrDefault(lane, 0.0));
            }
            return new Parts(
                    all.computeSeconds() - less.computeSeconds(), all.skewSeconds() - less.skewSeconds(), exposed);
        }
    }

    Times forward(Scheme scheme) {
        return Times.of(forward(scheme, 2), forward(scheme, 3));
    }

    Times training(Scheme scheme) {
        return Times.of(training(scheme, 2), training(scheme, 3));
    }

    SimulatedStep forward(Scheme scheme, int layers) {
        ModelConfig config = Reference.with(layers, Reference.MODEL.kvHeads());
        return run(Replica.forward(scheme, Reference.forward(config, SEQUENCES, Reference.LONGEST)));
    }

    SimulatedStep training(Scheme scheme, int layers) {
        ModelConfig config = Reference.with(layers, Reference.MODEL.kvHeads());
        return run(Replica.training(
                scheme, Reference.training(config, SEQUENCES, Reference.LONGEST, Recompute.SELECTIVE)));
    }

    private SimulatedStep run(List<Program> programs) {
        return new Simulator(profile)
                .run(bf16Sums ? programs.stream().map(Bf16Sums::of).toList() : programs, mode);
    }
}
