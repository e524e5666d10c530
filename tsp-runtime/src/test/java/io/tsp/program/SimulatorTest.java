package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.cost.HardwareProfile;
import io.tsp.cost.ProfileException;
import io.tsp.cost.Profiles;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.program.Session.Mode;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A failure means that simulated time is not a time: faster than physics, or slower on better hardware. */
class SimulatorTest {
    private static final HardwareProfile H100 = HardwareProfile.of("h100");
    private static final HardwareProfile MI300X = HardwareProfile.of("mi300x");
    private static final int TRIALS = 400;

    private static Stream<Random> seeds() {
        return Stream.iterate(0, seed -> seed + 1).limit(TRIALS).map(Random::new);
    }

    private static List<Program> programs(Random random) {
        return RandomWorlds.next(random, 2 + random.nextInt(6), 10 + random.nextInt(60));
    }

    private static double seconds(HardwareProfile profile, List<Program> programs) {
        return new Simulator(profile).run(programs, Mode.OVERLAPPED).seconds();
    }

    @Test
    void isNoFasterThanDeviceOrLink() {
        seeds().forEach(random -> {
            List<Program> programs = programs(random);
            for (Mode mode : Mode.values()) {
                SimulatedStep step = new Simulator(Profiles.random(MI300X, random)).run(programs, mode);
                double compute = step.ranks().stream()
                        .mapToLong(SimulatedStep.Rank::computeNanos)
                        .max()
                        .orElse(0);
                double link = step.linkBusyNanos().values().stream()
                        .mapToLong(Long::longValue)
                        .max()
                        .orElse(0);
                double nanos = step.seconds() * 1e9 + 0.5;
                assertTrue(nanos >= compute, nanos + " against " + compute + " of compute");
                assertTrue(nanos >= link, nanos + " against " + link + " on a link");
            }
        });
    }

    /** Every speed alone and all together; on links that serve whoever comes first this fails. */
    @Test
    void betterHardwareIsNotSlower() {
        seeds().forEach(random -> {
            List<Program> programs = programs(random);
            HardwareProfile profile = Profiles.random(random.nextBoolean() ? MI300X : H100, random);
            double before = seconds(profile, programs);
            double more = 1 + 3 * random.nextDouble();
            assertTrue(seconds(Profiles.withLinks(profile, more, 1), programs) <= before, "links of nodes");
            assertTrue(seconds(Profiles.withLinks(profile, 1, more), programs) <= before, "network");
            assertTrue(seconds(Profiles.withRates(profile, more, 1, 1), programs) <= before, "memory");
            assertTrue(seconds(Profiles.withRates(profile, 1, more, 1), programs) <= before, "matrix products");
            HardwareProfile all = Profiles.withRates(Profiles.withLinks(profile, more, more), more, more, more);
            assertTrue(seconds(all, programs) <= before, "everything");
        });
    }

    /** A rank k times as slow costs at least its own extra work if it is always busy, and at most all work k times. */
    @Test
    void slowRankSlowsAsItShould() {
        seeds().forEach(random -> {
            List<Program> programs = programs(random);
            Simulator simulator = new Simulator(Profiles.random(MI300X, random));
            SimulatedStep before = simulator.run(programs, Mode.OVERLAPPED);
            int slow = random.nextInt(programs.size());
            double factor = 1 + 9 * random.nextDouble();
            double seconds = simulator
                    .withSlowRank(slow, factor)
                    .run(programs, Mode.OVERLAPPED)
                    .seconds();
            double own = before.ranks().get(slow).computeNanos() / 1e9;
            double slack = factor * 1e-9 * programs.get(slow).steps().size();
            assertTrue(seconds >= before.seconds(), "a slow rank made the step faster");
            assertTrue(seconds >= factor * own - slack, "the slow rank works faster than it can");
            assertTrue(seconds <= before.seconds() + (factor - 1) * own + slack, "others work slower, too");
        });
    }

    @Test
    void everyMomentOfOneLaneIsAccountedFor() {
        seeds().forEach(random -> {
            List<Program> programs = programs(random);
            Simulator simulator = new Simulator(Profiles.random(MI300X, random));
            SimulatedStep sequential = simulator.run(programs, Mode.SEQUENTIAL);
            for (SimulatedStep.Rank rank : sequential.ranks()) {
                long busy = rank.computeNanos()
                        + rank.trace().skewNanos()
                        + rank.trace().exposedTransferNanos();
                assertEquals(rank.trace().nanos(), busy);
            }
        });
    }

    @Test
    void sameProgramsTakeSameTime() {
        List<Program> programs = programs(new Random(1));
        SimulatedStep one = new Simulator(MI300X).run(programs, Mode.OVERLAPPED);
        SimulatedStep other = new Simulator(HardwareProfile.of("mi300x")).run(programs, Mode.OVERLAPPED);
        assertEquals(one.traces(), other.traces());
        assertEquals(one.linkBusyNanos(), other.linkBusyNanos());
        assertEquals(MI300X.hash(), other.profileHash());
    }

    /** Rank 1 multiplies for 5 times as long before both sum 64 MiB, which takes as long as 64 MiB on a link. */
    @Test
    void waitingHasItsReason() {
        Group group = new Group("g", List.of(0, 1));
        List<Program> programs = Stream.of(0, 1)
                .map(rank -> {
                    ProgramBuilder builder = new ProgramBuilder(rank);
                    Tensor a = builder.input("a", MemoryClass.TRANSIENT, DType.BF16, 4096, 8192);
                    Tensor b = builder.input("b", MemoryClass.TRANSIENT, DType.BF16, 8192, 8192);
                    Tensor c = builder.allocate("c", MemoryClass.TRANSIENT, DType.BF16, 4096, 8192);
                    for (int i = 0; i <= 4 * rank; i++) {
                        builder.compute(new Gemm(a, b, null, c, false));
                    }
                    builder.communicate(Lane.GRADS, new AllReduce(group, rank, c));
                    builder.compute(new Copy(c, a));
                    return builder.build();
                })
                .toList();
        SimulatedStep step = new Simulator(MI300X).run(programs, Mode.OVERLAPPED);
        double gemm = seconds(step, "gemm");
        double transfer = (1 << 26) / 46e9 + 30e-6;
        assertEquals(4 * gemm, step.parts(0).skewSeconds(), 1e-8);
        assertEquals(0, step.parts(1).skewSeconds(), 1e-8);
        for (int rank : List.of(0, 1)) {
            assertEquals(transfer, step.parts(rank).exposedTransferSeconds().getOrDefault(Lane.GRADS, 0.0), 1e-8);
            assertEquals(transfer, step.parts(rank).exposedSeconds(), 1e-8);
        }
        double copy = seconds(step, "copy");
        assertEquals(5 * gemm + transfer + copy, step.seconds(), 1e-7);
    }

    private static double seconds(SimulatedStep step, String op) {
        return step.ranks().getFirst().computeNanosByOp().getOrDefault(op, 0L) / 1e9;
    }

    /** Two transfers on two lanes over the same link take as long as both, over two links as long as one. */
    @Test
    void transfersOfOneLinkQueue() {
        double one = transfers(1, 0);
        assertEquals(2 * one, transfers(1, 1), 0.02 * one);
        assertEquals(one, transfers(1, 2), 0.02 * one);
    }

    /** 64 MiB from rank 0 to rank 1, and as much from rank 0 to another, if that is one. */
    private static double transfers(int first, int second) {
        ProgramBuilder root = new ProgramBuilder(0);
        List<ProgramBuilder> builders = List.of(root, new ProgramBuilder(1), new ProgramBuilder(2));
        int lane = 0;
        for (int target : List.of(first, second)) {
            if (target == 0) {
                continue;
            }
            Group group = new Group("g" + lane, List.of(0, target));
            for (int rank : List.of(0, target)) {
                Tensor tensor = builders.get(rank).input("t" + lane, MemoryClass.TRANSIENT, DType.BF16, 1 << 25);
                builders.get(rank)
                        .communicate(Lane.values()[1 + lane], new Broadcast(group, group.indexOf(rank), 0, tensor));
            }
            lane++;
        }
        return seconds(MI300X, builders.stream().map(ProgramBuilder::build).toList());
    }

    @Test
    void missingMembersAreTakenToComeInTime() {
        Group group = new Group("dp", List.of(0, 1, 2, 3));
        List<Program> programs = group.ranks().stream()
                .map(rank -> {
                    ProgramBuilder builder = new ProgramBuilder(rank);
                    Tensor t = builder.input("t", MemoryClass.TRANSIENT, DType.BF16, 1 << 20);
                    builder.communicate(Lane.GRADS, new AllReduce(group, rank, t));
                    return builder.build();
                })
                .toList();
        assertEquals(seconds(MI300X, programs), seconds(MI300X, programs.subList(2, 3)));
    }

    @Test
    void mismatchIsRefused() {
        Group group = new Group("g", List.of(0, 1));
        ProgramBuilder here = new ProgramBuilder(0);
        Tensor t = here.input("t", MemoryClass.TRANSIENT, DType.BF16, 64);
        here.communicate(Lane.KV, new AllReduce(group, 0, t));
        ProgramBuilder there = new ProgramBuilder(1);
        VerificationException missing =
                assertThrows(VerificationException.class, () -> seconds(MI300X, List.of(here.build(), there.build())));
        World.assertMessage(missing, "waits for rank 1, which never comes");
        Tensor other = there.input("t", MemoryClass.TRANSIENT, DType.BF16, 32);
        there.communicate(Lane.KV, new AllReduce(group, 1, other));
        VerificationException different =
                assertThrows(VerificationException.class, () -> seconds(MI300X, List.of(here.build(), there.build())));
        World.assertMessage(different, "rank 0", "rank 1", "does not fit");
    }

    /** Both wait for the other on one lane each. */
    @Test
    void deadlockIsRefused() {
        List<Group> groups = List.of(new Group("a", List.of(0, 1)), new Group("b", List.of(0, 1)));
        List<Program> programs = Stream.of(0, 1)
                .map(rank -> {
                    ProgramBuilder builder = new ProgramBuilder(rank);
                    Tensor t = builder.input("t", MemoryClass.TRANSIENT, DType.BF16, 64);
                    for (int i = 0; i < 2; i++) {
                        builder.communicate(Lane.KV, new AllReduce(groups.get((i + rank) % 2), rank, t));
                    }
                    return builder.build();
                })
                .toList();
        VerificationException e = assertThrows(VerificationException.class, () -> seconds(MI300X, programs));
        World.assertMessage(e, "deadlock", "rank 0");
    }

    @Test
    void absurdTimesAreRefused() {
        HardwareProfile slow = Profiles.withRates(MI300X, 1e-20, 1, 1);
        ProgramBuilder builder = new ProgramBuilder(0);
        Tensor t = builder.input("t", MemoryClass.TRANSIENT, DType.BF16, 1 << 20);
        builder.compute(new Copy(t, builder.allocate("u", MemoryClass.TRANSIENT, DType.BF16, 1 << 20)));
        ProfileException e = assertThrows(ProfileException.class, () -> seconds(slow, List.of(builder.build())));
        assertTrue(String.valueOf(e.getMessage()).contains("look at its rates"), e.getMessage());
    }
}
