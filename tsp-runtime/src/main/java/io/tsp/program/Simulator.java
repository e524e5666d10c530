package io.tsp.program;

import io.tsp.cost.Cost;
import io.tsp.cost.CostModel;
import io.tsp.cost.ExchangeCost;
import io.tsp.cost.HardwareProfile;
import io.tsp.cost.ProfileException;
import io.tsp.cost.Topology.Link;
import io.tsp.cost.Topology.Link.Kind;
import io.tsp.cost.Transfer;
import io.tsp.op.CommunicationOp;
import io.tsp.op.ComputeOp;
import io.tsp.op.Op;
import io.tsp.program.Exchanges.Member;
import io.tsp.program.LinkQueues.Demand;
import io.tsp.program.Meetings.Meeting;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * Runs programs on hardware that only a profile knows, on a virtual clock. The programs, schedules and memory plans are
 * those that an {@link Executor} would run; nothing is allocated and no thread waits.
 *
 * <p>Not all ranks need be given. Those that are missing are taken to come to every exchange when the given ones do,
 * and to leave links to them alone. That is exact for the replicas of a data-parallel mesh when all have as many tokens:
 * the ranks of one replica speak for all.
 *
 * <p>Links serve transfers one at a time, in the order in which they would begin on reference hardware whose links take
 * no time. The order follows from the programs alone, so {@link VirtualRun} keeps its promise for all profiles.
 * Transfers that share a link could also share its bytes per second; together they would be done no sooner.
 *
 * <p>Reading order: before this {@link CostModel}; next {@link VirtualRun}.
 */
public final class Simulator {
    private static final double NANOS_PER_SECOND = 1e9;
    /** A hundred days; longer is a mistake, and sums of it would end the clock. */
    private static final double LONGEST_SECONDS = 8.64e6;

    private final HardwareProfile profile;
    private final ToLongFunction<Op> workspaceBytes;
    private final Map<Integer, Double> slowdown;
    /** Remembers what exchanges cost, over all runs. */
    private final ExchangeCost exchanges;

    /** Simulates what a profile describes. */
    public Simulator(HardwareProfile profile) {
        this(profile, op -> CostModel.workspaceBytes(profile.device(), op), Map.of());
    }

    private Simulator(HardwareProfile profile, ToLongFunction<Op> workspaceBytes, Map<Integer, Double> slowdown) {
        this.profile = profile;
        this.workspaceBytes = workspaceBytes;
        this.slowdown = Map.copyOf(slowdown);
        exchanges = new ExchangeCost(profile);
    }

    /** The same with other scratch memory, such as what a device that exists asks for. */
    public Simulator withWorkspaces(ToLongFunction<Op> bytes) {
        return new Simulator(profile, bytes, slowdown);
    }

    /** The same with a device that takes this many times as long for everything. */
    public Simulator withSlowRank(int rank, double factor) {
        if (!(factor > 0)) {
            throw new IllegalArgumentException("rank " + rank + " cannot be slowed " + factor + " times");
        }
        Map<Integer, Double> more = new HashMap<>(slowdown);
        more.put(rank, factor);
        return new Simulator(profile, workspaceBytes, more);
    }

    /**
     * Runs one step of programs that were verified.
     *
     * @param programs of different ranks, any of them
     * @throws VerificationException if they do not fit each other
     * @throws ProfileException if the profile lacks rates that they need
     */
    public SimulatedStep run(List<Program> programs, Session.Mode mode) {
        StepGraph graph = new StepGraph(programs.stream().map(mode::schedule).toList());
        Durations durations = durations(graph);
        VirtualRun reference = new VirtualRun(graph, durations.weights, LinkQueues.none(graph.meetings.size())).run();
        LinkQueues links = new LinkQueues(demands(graph), reference.byArrival());
        VirtualRun run = new VirtualRun(graph, durations.nanos, links).run();
        List<SimulatedStep.Rank> ranks = new ArrayList<>();
        for (int rank = 0; rank < programs.size(); rank++) {
            ranks.add(rank(graph, rank, run, durations));
        }
        return new SimulatedStep(profile.name(), profile.hash(), ranks, links.busyNanos());
    }

    /** How long each step computes: here, and on the reference hardware. */
    private record Durations(long[] nanos, long[] weights, double[] flops) {}

    private Durations durations(StepGraph graph) {
        Durations all =
                new Durations(new long[graph.steps()], new long[graph.steps()], new double[graph.schedules.size()]);
        for (int rank = 0; rank < graph.schedules.size(); rank++) {
            Schedule schedule = graph.schedules.get(rank);
            CostModel costs = new CostModel(profile.device(), transfersBesideCompute(schedule));
            double factor = slowdown.getOrDefault(schedule.program().rank(), 1.0);
            for (Step step : schedule.program().steps()) {
                if (step.op() instanceof ComputeOp op) {
                    Cost cost = costs.of(op);
                    int number = graph.number(rank, step.index());
                    all.nanos[number] = nanos(cost.seconds() * factor, step);
                    all.weights[number] = CostModel.weight(cost);
                    all.flops[rank] += cost.flops();
                }
            }
        }
        return all;
    }

    private static boolean transfersBesideCompute(Schedule schedule) {
        return schedule.program().steps().stream()
                .anyMatch(step ->
                        step.op() instanceof CommunicationOp && schedule.lanes().get(step.index()) != Lane.COMPUTE);
    }

    private List<Demand> demands(StepGraph graph) {
        Set<Integer> present = new HashSet<>();
        graph.schedules.forEach(schedule -> present.add(schedule.program().rank()));
        IdentityHashMap<Transfer, Demand> known = new IdentityHashMap<>();
        return graph.meetings.stream()
                .map(meeting -> known.computeIfAbsent(
                        transfer(meeting),
                        transfer -> demand(transfer, present, meeting.members().getFirst())))
                .toList();
    }

    private Transfer transfer(Meeting meeting) {
        Meetings.Key key = meeting.key();
        CommunicationOp op = meeting.op(0);
        return key.sender() >= 0
                ? exchanges.message(op.group(), key.sender(), key.receiver(), Meetings.messageBytes(op, key))
                : exchanges.of(meeting.members().stream()
                        .map(member -> (CommunicationOp) member.step().op())
                        .toList());
    }

    /** What links between ranks that are not there do is nobody's concern. */
    private static Demand demand(Transfer transfer, Set<Integer> present, Member member) {
        Map<Link, Long> busy = new HashMap<>();
        transfer.busySeconds().forEach((link, seconds) -> {
            if (concerns(link, present)) {
                busy.put(link, (long) (seconds * NANOS_PER_SECOND));
            }
        });
        return new Demand(
                nanos(transfer.latencySeconds(), member.step()),
                nanos(transfer.seconds() - transfer.latencySeconds(), member.step()),
                transfer.links().stream()
                        .filter(link -> concerns(link, present))
                        .collect(Collectors.toSet()),
                busy);
    }

    private static boolean concerns(Link link, Set<Integer> present) {
        return link.kind() == Kind.BUS || present.contains(link.from()) || present.contains(link.to());
    }

    /** Whole nanoseconds, rounded up so that nothing takes no time. */
    private static long nanos(double seconds, Step step) {
        if (!(seconds <= LONGEST_SECONDS)) {
            throw new ProfileException(
                    "with this hardware profile step " + step + " takes " + seconds + " seconds; look at its rates");
        }
        return (long) Math.ceil(seconds * NANOS_PER_SECOND);
    }

    private SimulatedStep.Rank rank(StepGraph graph, int rank, VirtualRun run, Durations durations) {
        Schedule schedule = graph.schedules.get(rank);
        Map<Lane, Long> reached = new EnumMap<>(Lane.class);
        List<Trace.Span> spans = new ArrayList<>();
        TreeMap<String, Long> computeNanosByOp = new TreeMap<>();
        for (Step step : schedule.program().steps()) {
            int number = graph.number(rank, step.index());
            Long ready = reached.put(schedule.lanes().get(step.index()), run.end[number]);
            long arrived = 0;
            for (int meeting : graph.meetingsOf[number]) {
                arrived = Math.max(arrived, run.arrived[meeting]);
            }
            spans.add(new Trace.Span(ready == null ? 0 : ready, run.begin[number], run.end[number], arrived));
            if (step.op() instanceof ComputeOp op) {
                computeNanosByOp.merge(op.name(), durations.nanos[number], Long::sum);
            }
        }
        MemoryPlan plan = MemoryPlan.of(schedule, workspaceBytes(schedule));
        return new SimulatedStep.Rank(new Trace(schedule, spans), plan, computeNanosByOp, durations.flops[rank]);
    }

    private Map<Lane, Long> workspaceBytes(Schedule schedule) {
        Map<Lane, Long> most = new EnumMap<>(Lane.class);
        for (Step step : schedule.program().steps()) {
            long bytes = workspaceBytes.applyAsLong(step.op());
            if (bytes > 0) {
                most.merge(schedule.lanes().get(step.index()), bytes, Math::max);
            }
        }
        return most;
    }
}
