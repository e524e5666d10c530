package io.tsp.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.cost.HardwareProfile;
import io.tsp.op.CommunicationOp;
import io.tsp.op.ComputeOp;
import io.tsp.op.Op;
import io.tsp.parity.Steps.Way;
import io.tsp.plan.Schemes;
import io.tsp.program.Program;
import io.tsp.program.Session;
import io.tsp.program.SimulatedStep;
import io.tsp.program.Simulator;
import io.tsp.program.Trace;
import io.tsp.scheme.ForwardProgram;
import io.tsp.scheme.TrainingProgram;
import io.tsp.tensor.DType;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that what is simulated is not what would run: other ops, another order, other bytes. */
class SimulatedParityTest {
    private static final HardwareProfile PROFILE = HardwareProfile.of("mi300x");

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    static Stream<Run> runs() {
        return IntStream.of(1, 3, 4)
                .boxed()
                .flatMap(degree -> Schemes.all(degree, 1).stream())
                .map(scheme -> new Run(new Fixture("odd", "s203"), scheme, DType.BF16));
    }

    static Stream<Run> steps() {
        return IntStream.of(1, 2, 4)
                .boxed()
                .flatMap(degree -> Schemes.all(degree, degree == 2 ? 2 : 1).stream())
                .map(scheme -> new Run(Fixture.training("llama2"), scheme, DType.BF16));
    }

    @ParameterizedTest
    @MethodSource("runs")
    void forwardRunsSameProgram(Run run) {
        for (Session.Mode mode : Session.Mode.values()) {
            try (Forward forward = Forward.open(libraries, run, mode)) {
                forward.run();
                List<Integer> ranks = forward.session().localRanks();
                List<Program> programs = ranks.stream().map(forward::program).toList();
                compare(run, forward.session(), mode, programs);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("steps")
    void trainingRunsSameProgram(Run run) {
        try (Steps steps = Steps.open(libraries, run, Way.PLAIN.sharded())) {
            steps.next();
            List<Program> programs = steps.runner().plan().programs().stream()
                    .map(TrainingProgram::model)
                    .map(ForwardProgram::program)
                    .toList();
            compare(run, steps.runner().session(), Session.Mode.OVERLAPPED, programs);
        }
    }

    /** After a run, so that inputs are there. */
    private static void compare(Run run, Session session, Session.Mode mode, List<Program> programs) {
        List<Trace> real = session.run();
        try (Ranks ranks = new Ranks(libraries, programs.size())) {
            SimulatedStep simulated = new Simulator(PROFILE)
                    .withWorkspaces(op -> workspaceBytes(ranks, op))
                    .run(programs, mode);
            for (int rank = 0; rank < programs.size(); rank++) {
                String what = run + ", " + mode + ", rank " + rank;
                SimulatedStep.Rank one = simulated.ranks().get(rank);
                assertEquals(real.get(rank).schedule().program().hash(), one.programHash(), what);
                assertEquals(real.get(rank).schedule(), one.trace().schedule(), what);
                assertEquals(real.get(rank).spans().size(), one.trace().spans().size(), what);
                assertEquals(session.plan(rank), one.plan(), what);
            }
        }
    }

    private static long workspaceBytes(Ranks ranks, Op op) {
        return switch (op) {
            case ComputeOp compute -> ranks.device(0).prepare(compute).workspaceBytes();
            case CommunicationOp exchange -> ranks.communicator(0).workspaceBytes(exchange);
        };
    }
}
