package io.tsp.cli;

import io.tsp.cost.HardwareProfile;
import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.evaluate.SimulatedComparison;
import io.tsp.plan.PlannedStep;
import io.tsp.report.ReportFile;
import io.tsp.report.TraceReport;
import io.tsp.scheme.Scheme;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** One step of training in simulated time. */
final class SimulatedTraining {
    private static final double MIB = 1 << 20;
    private static final double MILLIS = 1e3;

    private final Terminal terminal;
    private final HardwareProfile profile;

    SimulatedTraining(Terminal terminal, HardwareProfile profile) {
        this.terminal = terminal;
        this.profile = profile;
    }

    void run(OpenModel model, Scheme scheme, PlannedStep step, @Nullable ReportFile trace) {
        say(
                "%s (%,d parameters) in %s under %s with %d ranks, %s",
                model.name(),
                model.config().parameterCount(),
                step.forward().dtype().name().toLowerCase(Locale.ROOT),
                scheme.name(),
                scheme.mesh().worldSize(),
                SimulatedDevice.description(profile));
        SchemeResult result =
                new SimulatedComparison(profile).run(List.of(scheme), step).getFirst();
        Measured simulated = result.measured();
        if (simulated == null) {
            throw new IllegalStateException("simulated time has run nothing");
        }
        say(
                "a step of %,d tokens takes %.1f ms: %,.0f tokens/s",
                step.tokens(), MILLIS * simulated.stepSeconds(), simulated.tokensPerSecond());
        say(
                "the rank that waits most waits %.1f ms for bytes and %.1f ms for peers; each sends up to %.1f MiB",
                MILLIS * simulated.exposedTransferSeconds(),
                MILLIS * simulated.skewSeconds(),
                simulated.bytesSent() / MIB);
        say(
                "memory of the rank that needs most: %.1f MiB of %.1f%s",
                simulated.plannedPeakBytes() / MIB,
                profile.device().memoryBytes() / MIB,
                result.reason().isEmpty() ? "" : "; it " + result.reason());
        if (trace != null) {
            trace.writeCompact(generator ->
                    TraceReport.write(List.of(new TraceReport.Run(scheme.name(), simulated.traces())), generator));
        }
    }

    private void say(String format, Object... values) {
        terminal.out().println(String.format(Locale.ROOT, format, values));
    }
}
