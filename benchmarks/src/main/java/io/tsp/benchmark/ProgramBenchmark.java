package io.tsp.benchmark;

import io.tsp.evaluate.ForwardPlan;
import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.plan.Schemes;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Schedule;
import io.tsp.program.Verifier;
import io.tsp.scheme.ForwardRequest;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What happens before step 0, for the programs of all ranks: every rank does it, since every rank proves them all. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(2)
public class ProgramBenchmark {
    private static final int SEQ = 16_384;

    @Param("tsp-7b")
    private String preset = "";

    @Param({"tsp", "tp+sp-regions", "fsdp+sp"})
    private String scheme = "";

    @Param("8")
    private int degree;

    private ForwardRequest request;
    private List<Schedule> schedules;

    @Setup
    public void check() {
        ModelConfig config = Presets.of(preset);
        request = new ForwardRequest(config, DType.BF16, 1, SEQ, false, false);
        schedules = build();
        verify();
        long planned = plan().stream()
                .mapToLong(plan -> plan.arenaBytes().get(MemoryClass.PARAMETERS))
                .sum();
        if (planned < config.parameterCount() * DType.BF16.bytes()) {
            throw new IllegalStateException("the plans of all ranks hold " + planned + " bytes of weights, but "
                    + preset + " has " + config.parameterCount() + " parameters");
        }
    }

    /** Emits all programs and lays them on lanes. */
    @Benchmark
    public List<Schedule> build() {
        return ForwardPlan.of(Schemes.of(scheme, degree, 1), request).programs().stream()
                .map(program -> Schedule.overlapped(program.program()))
                .toList();
    }

    /** Proves that they cannot race, mismatch or hang. */
    @Benchmark
    public List<Schedule> verify() {
        Verifier.verify(schedules);
        return schedules;
    }

    /** Places every slot of every rank, and proves the places. */
    @Benchmark
    public List<MemoryPlan> plan() {
        return schedules.stream().map(ProgramBenchmark::plan).toList();
    }

    private static MemoryPlan plan(Schedule schedule) {
        MemoryPlan plan = MemoryPlan.of(schedule, Map.of());
        Verifier.verifyPlan(schedule, plan, Map.of());
        return plan;
    }
}
