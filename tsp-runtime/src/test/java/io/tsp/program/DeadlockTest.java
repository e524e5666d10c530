package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.graph.GraphBuilder;
import com.google.common.graph.Graphs;
import com.google.common.graph.MutableGraph;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A failure means that a run can hang although every exchange has its partners, or that a run that cannot is refused.
 */
class DeadlockTest {
    private static final Group A = new Group("a", List.of(0, 1));
    private static final Group B = new Group("b", List.of(0, 1));

    private final World tsp = World.of(new TspScheme(3, 1), Requests.plain());

    static LongStream seeds() {
        return LongStream.range(0, 100);
    }

    private static ProgramBuilder builder(int rank) {
        return new ProgramBuilder(rank).label("on rank " + rank);
    }

    private static void reduce(ProgramBuilder builder, Lane lane, Group group) {
        Tensor buffer = builder.input(group + " buffer", MemoryClass.COMMUNICATION, DType.F32, 4);
        builder.communicate(lane, new AllReduce(group, group.indexOf(builder.rank()), buffer));
    }

    @Test
    void findsExchangesOfTwoCommunicatorsSwappedOnOneLane() {
        ProgramBuilder zero = builder(0);
        reduce(zero, Lane.KV, A);
        reduce(zero, Lane.KV, B);
        ProgramBuilder one = builder(1);
        reduce(one, Lane.KV, B);
        reduce(one, Lane.KV, A);
        World.of(zero, one)
                .assertDefect(
                        "the programs deadlock",
                        "rank 0, step #0 all-reduce (on rank 0) on lane KV waits for rank 1, step #1 all-reduce",
                        "rank 1, step #0 all-reduce (on rank 1) on lane KV waits for rank 0, step #1 all-reduce");
    }

    /** Lanes alone would let both exchanges start; the buffer that they share makes each wait for the other. */
    @Test
    void findsDeadlockThroughDataBetweenLanes() {
        World.of(relay(0, true), relay(1, false))
                .assertDefect(
                        "the programs deadlock",
                        "rank 0, step #0 broadcast (first) on lane WEIGHTS waits for rank 1, step #1 broadcast (first)",
                        "rank 0, step #1 broadcast (second) on lane KV waits for rank 0, step #0 broadcast (first)",
                        "rank 1, step #0 broadcast (second) on lane KV waits for rank 0, step #1 broadcast (second)");
    }

    private static ProgramBuilder relay(int rank, boolean inOrder) {
        ProgramBuilder builder = new ProgramBuilder(rank);
        Tensor buffer = builder.input("relayed", MemoryClass.COMMUNICATION, DType.F32, 4);
        for (boolean first : new boolean[] {inOrder, !inOrder}) {
            builder.label(first ? "first" : "second")
                    .communicate(first ? Lane.WEIGHTS : Lane.KV, new Broadcast(A, rank, first ? 1 : 0, buffer));
        }
        return builder;
    }

    /** A wait that nothing needs, but that closes a circle through another rank. */
    @Test
    void findsDeadlockThroughWaits() {
        List<ProgramBuilder> builders = List.of(builder(0), builder(1));
        for (ProgramBuilder builder : builders) {
            reduce(builder, builder.rank() == 0 ? Lane.WEIGHTS : Lane.KV, builder.rank() == 0 ? A : B);
            reduce(builder, builder.rank() == 0 ? Lane.KV : Lane.WEIGHTS, builder.rank() == 0 ? B : A);
        }
        World world = World.of(builders.get(0), builders.get(1));
        world.assertDefect("no order of the exchanges suits all ranks");
        world.withWaits(0, 1, waits -> List.of(0))
                .withWaits(1, 1, waits -> List.of(0))
                .assertDefect("the programs deadlock", "lane KV waits for rank 0, step #0 all-reduce");
    }

    @Test
    void findsOrderThatIsCyclicOverTwoChannels() {
        ProgramBuilder zero = builder(0);
        reduce(zero, Lane.WEIGHTS, A);
        reduce(zero, Lane.KV, A);
        ProgramBuilder one = builder(1);
        reduce(one, Lane.KV, A);
        reduce(one, Lane.WEIGHTS, A);
        World.of(zero, one)
                .assertDefect(
                        "no order of the exchanges suits all ranks",
                        "rank 0, step #0 all-reduce (on rank 0) comes first, but waits for rank 1, step #1",
                        "rank 1, step #0 all-reduce (on rank 1) comes first, but waits for rank 0, step #1");
    }

    /** Rank 3 waits for the three others, but is no part of the cycle and shall not be named as one. */
    @Test
    void namesTheCycleAndNothingElse() {
        Lane[] lanes = {Lane.WEIGHTS, Lane.KV, Lane.GRADS};
        List<ProgramBuilder> builders =
                IntStream.range(0, 4).mapToObj(DeadlockTest::builder).toList();
        for (int rank = 0; rank < 3; rank++) {
            int next = (rank + 1) % 3;
            reduce(builders.get(rank), lanes[rank], new Group("pair" + rank, List.of(rank, next)));
            reduce(builders.get(next), lanes[rank], new Group("pair" + rank, List.of(rank, next)));
        }
        World wrong = World.of(IntStream.range(0, 4)
                .mapToObj(rank -> {
                    ProgramBuilder builder = builder(rank);
                    if (rank < 3) {
                        int before = (rank + 2) % 3;
                        reduce(builder, lanes[rank], new Group("pair" + rank, List.of(rank, (rank + 1) % 3)));
                        reduce(builder, lanes[before], new Group("pair" + before, List.of(before, rank)));
                    }
                    reduce(builder, Lane.COPY, new Group("world", List.of(0, 1, 2, 3)));
                    return builder;
                })
                .toArray(ProgramBuilder[]::new));
        World.of(builders.toArray(ProgramBuilder[]::new)).verify();
        wrong.assertDefect("no order", "rank 0, step #0", "rank 1, step #0", "rank 2, step #0");
        VerificationException e = assertThrows(VerificationException.class, wrong::verify);
        assertTrue(!String.valueOf(e.getMessage()).contains("rank 3"), e::getMessage);
    }

    /** A hop is over when both peers have begun theirs: rank 0 need not wait until rank 2 has received from rank 1. */
    @Test
    void acceptsChainOfMessagesAroundACollective() {
        Group all = new Group("all", List.of(0, 1, 2));
        Group ends = new Group("ends", List.of(0, 2));
        List<ProgramBuilder> builders =
                IntStream.range(0, 3).mapToObj(DeadlockTest::builder).toList();
        List<Tensor> out = new ArrayList<>();
        List<Tensor> in = new ArrayList<>();
        for (ProgramBuilder builder : builders) {
            out.add(builder.input("out", MemoryClass.COMMUNICATION, DType.F32, 4));
            in.add(builder.input("in", MemoryClass.COMMUNICATION, DType.F32, 4));
        }
        builders.get(0).communicate(Lane.KV, new SendReceive(all, 0, 1, out.get(0), 0, null));
        reduce(builders.get(0), Lane.KV, ends);
        builders.get(1).communicate(Lane.KV, new SendReceive(all, 1, 2, out.get(1), 0, in.get(1)));
        reduce(builders.get(2), Lane.KV, ends);
        builders.get(2).communicate(Lane.KV, new SendReceive(all, 2, 0, null, 1, in.get(2)));
        World.of(builders.toArray(ProgramBuilder[]::new)).verify();
    }

    @Test
    void findsCollectivesOfTwoLanesSwappedInARealProgram() {
        Step weights = tsp.step(1, Broadcast.class, 2);
        Step keys = tsp.steps(1).stream()
                .filter(step -> step.lane() == Lane.KV && step.index() > weights.index())
                .findFirst()
                .orElseThrow();
        tsp.withSteps(1, steps -> {
                    steps.remove(weights.index());
                    steps.add(keys.index(), weights);
                })
                .assertDefect("no order of the exchanges suits all ranks", "rank 1", "all-gather", "broadcast");
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void agreesWithSearchForCycles(long seed) {
        World world = shuffledPairs(new Random(seed));
        Exchanges exchanges = ExchangeMatcher.match(world.schedules());
        MutableGraph<Integer> graph =
                GraphBuilder.directed().allowsSelfLoops(true).build();
        for (int rank = 0; rank < world.schedules().size(); rank++) {
            List<Step> steps = world.steps(rank);
            for (int i = 1; i < steps.size(); i++) {
                graph.putEdge(
                        exchanges.of(rank, i - 1).getFirst().id(),
                        exchanges.of(rank, i).getFirst().id());
            }
        }
        List<Schedule> sequential = world.schedules().stream()
                .map(schedule -> Schedule.sequential(schedule.program()))
                .toList();
        assertEquals(Graphs.hasCycle(graph), !DryRun.run(sequential, exchanges).isEmpty());
    }

    /**
     * Four ranks, five exchanges of random pairs, each on a channel of its own, nearly in the same order everywhere.
     */
    private static World shuffledPairs(Random random) {
        List<Group> groups = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            int first = random.nextInt(4);
            groups.add(new Group("exchange" + i, List.of(first, (first + 1 + random.nextInt(3)) % 4)));
        }
        return World.of(IntStream.range(0, 4)
                .mapToObj(rank -> {
                    List<Group> own = new ArrayList<>(groups);
                    own.removeIf(group -> !group.ranks().contains(rank));
                    if (own.size() > 1 && random.nextInt(3) == 0) {
                        Collections.swap(own, 0, own.size() - 1);
                    }
                    ProgramBuilder builder = builder(rank);
                    own.forEach(group -> reduce(builder, Lane.KV, group));
                    return builder;
                })
                .toArray(ProgramBuilder[]::new));
    }

    @Test
    void acceptsComputeBetweenExchanges() {
        ProgramBuilder zero = builder(0);
        Tensor source = zero.input("source", MemoryClass.HOST, DType.F32, 4);
        zero.compute(new Copy(source, zero.allocate("target", MemoryClass.TRANSIENT, DType.F32, 4)));
        reduce(zero, Lane.KV, A);
        ProgramBuilder one = builder(1);
        reduce(one, Lane.KV, A);
        World.of(zero, one).verify();
    }
}
