package io.tsp.evaluate;

import io.tsp.cost.HardwareProfile;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.plan.PlannedStep;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Program;
import io.tsp.program.Schedule;
import io.tsp.program.Session;
import io.tsp.program.SimulatedStep;
import io.tsp.program.Simulator;
import io.tsp.program.Trace;
import io.tsp.program.Verifier;
import io.tsp.scheme.Scheme;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Schemes side by side on hardware that only a profile knows. Nothing is computed, so there is neither an error nor
 * measured memory; what stands for time is a consequence of the profile.
 */
public final class SimulatedComparison {
    private static final double GIB = 1L << 30;

    private final HardwareProfile profile;
    private final Simulator simulator;

    public SimulatedComparison(HardwareProfile profile) {
        this.profile = profile;
        simulator = new Simulator(profile);
    }

    /** One result for each scheme, in their order. */
    public List<SchemeResult> run(List<Scheme> schemes, PlannedStep step) {
        return schemes.stream().map(scheme -> run(scheme, step)).toList();
    }

    private SchemeResult run(Scheme scheme, PlannedStep step) {
        List<Program> programs = step.programs(scheme);
        if (programs.size() == scheme.mesh().worldSize()) {
            Verifier.verify(programs.stream().map(Schedule::overlapped).toList());
        }
        SimulatedStep simulated = simulator.run(programs, Session.Mode.OVERLAPPED);
        Measured measured = measured(simulated, programs, step.tokens());
        return new SchemeResult(
                scheme.name(), scheme.mesh().worldSize(), measured, null, shortage(measured.plannedPeakBytes()));
    }

    private static Measured measured(SimulatedStep step, List<Program> programs, long tokens) {
        MemoryPlan largest = step.ranks().stream()
                .map(SimulatedStep.Rank::plan)
                .max(Comparator.comparingLong(MemoryPlan::peakBytes))
                .orElseThrow();
        return new Measured(
                tokens / step.seconds(),
                step.seconds(),
                largest.peakBytes(),
                null,
                largest.arenaBytes(),
                programs.stream().mapToLong(Program::bytesSent).max().orElseThrow(),
                TimedScheme.longest(step.traces(), Trace::skewNanos),
                TimedScheme.longest(step.traces(), Trace::exposedTransferNanos),
                step.traces());
    }

    /** Empty if a device has memory for it. */
    private String shortage(long bytes) {
        long present = profile.device().memoryBytes();
        return bytes <= present
                ? ""
                : String.format(
                        Locale.ROOT,
                        "does not fit: a rank needs %.1f GiB, a device has %.1f GiB",
                        bytes / GIB,
                        present / GIB);
    }
}
