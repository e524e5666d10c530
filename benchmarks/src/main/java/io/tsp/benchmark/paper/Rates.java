package io.tsp.benchmark.paper;

import static io.tsp.benchmark.paper.Page.number;

import io.tsp.benchmark.paper.Simulation.Times;
import io.tsp.cost.HardwareProfile;
import io.tsp.plan.Schemes;
import io.tsp.program.Session.Mode;
import io.tsp.scheme.Scheme;
import java.util.List;
import java.util.function.BiFunction;

/** Tokens per second of schemes on one profile, beside those of tsp on one node to a replica. */
final class Rates {
    private final HardwareProfile profile;
    private final boolean bf16Sums;
    private final Times tspForward;
    private final Times tspTraining;

    /** @param bf16Sums whether sums between ranks travel in bf16; our programs send them in f32 */
    Rates(HardwareProfile profile, boolean bf16Sums) {
        this.profile = profile;
        this.bf16Sums = bf16Sums;
        Scheme tsp = Schemes.of("tsp", Reference.DEGREE, Simulation.WORLD / Reference.DEGREE);
        tspForward = forward(tsp).better();
        tspTraining = training(tsp).better();
    }

    /** Transfers beside compute, and not: what overlaps takes units from compute, so either may be faster. */
    private record Both(Times overlapped, Times sequential) {
        Times better() {
            return overlapped.modelSeconds() <= sequential.modelSeconds() ? overlapped : sequential;
        }
    }

    private Both forward(Scheme scheme) {
        return both(Simulation::forward, scheme);
    }

    private Both training(Scheme scheme) {
        return both(Simulation::training, scheme);
    }

    private Both both(BiFunction<Simulation, Scheme, Times> pass, Scheme scheme) {
        return new Both(
                pass.apply(new Simulation(profile, Mode.OVERLAPPED, bf16Sums), scheme),
                pass.apply(new Simulation(profile, Mode.SEQUENTIAL, bf16Sums), scheme));
    }

    /** Cells of a scheme. */
    List<String> row(Scheme scheme) {
        Both forward = forward(scheme);
        Both training = training(scheme);
        return List.of(
                scheme.name(),
                "" + Simulation.WORLD / scheme.mesh().degree("dp"),
                number(forward.overlapped.layer().millionTokensPerSecond(), 0),
                number(forward.sequential.layer().millionTokensPerSecond(), 0),
                number(forward.better().layer().seconds() / tspForward.layer().seconds(), 2),
                number(forward.better().layer().teraflopsPerSecond(), 0),
                number(forward.better().modelMillionTokensPerSecond(), 2),
                number(training.overlapped.modelMillionTokensPerSecond(), 2),
                number(training.sequential.modelMillionTokensPerSecond(), 2),
                number(training.better().modelSeconds() / tspTraining.modelSeconds(), 2));
    }
}
