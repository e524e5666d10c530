package io.tsp.program;

import com.google.common.hash.Hashing;
import io.tsp.device.Kernel;
import io.tsp.device.Stream;
import io.tsp.op.ComputeOp;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A program loaded on a cluster: verified, planned, allocated, bound. Write inputs, run, read outputs; any number of
 * times. Only ranks of this process can be written and read.
 */
public final class Session implements AutoCloseable {
    /** How a program is laid on lanes. */
    public enum Mode {
        /** Transfers beside compute. */
        OVERLAPPED,
        /** One lane, program order; the reference for the other. */
        SEQUENTIAL;

        Schedule schedule(Program program) {
            return this == OVERLAPPED ? Schedule.overlapped(program) : Schedule.sequential(program);
        }
    }

    private static final Duration STOP_DEADLINE = Duration.ofSeconds(5);

    private final Cluster cluster;
    private final @Nullable Session owner;
    private final Map<Integer, Loaded> ranks = new LinkedHashMap<>();

    private record Loaded(Schedule schedule, MemoryPlan plan, Arenas arenas, Executor executor, Stream stream) {}

    private Session(Cluster cluster, @Nullable Session owner) {
        this.cluster = cluster;
        this.owner = owner;
    }

    /**
     * Verifies the programs of all ranks, then loads those of this process.
     *
     * @param programs one for each rank of the cluster, by rank
     * @throws VerificationException if the programs could race, mismatch or deadlock
     * @throws io.tsp.comm.RanksDisagreeException if another process built other programs
     */
    public static Session open(Cluster cluster, List<Program> programs, Mode mode) {
        return open(new Session(cluster, null), programs, mode);
    }

    /**
     * Loads programs that read the parameters of this session's instead of having their own. The two must not run at the
     * same time, and the new one must be closed first.
     *
     * @throws IllegalArgumentException if the programs have other parameters
     */
    public Session openReader(List<Program> programs, Mode mode) {
        return open(new Session(cluster, this), programs, mode);
    }

    private static Session open(Session session, List<Program> programs, Mode mode) {
        Cluster cluster = session.cluster;
        List<Schedule> schedules = programs.stream().map(mode::schedule).toList();
        Verifier.verify(schedules);
        long fingerprint = fingerprint(programs);
        cluster.localRanks().forEach(rank -> cluster.communicator(rank).agree(fingerprint));
        try {
            for (int rank : cluster.localRanks()) {
                session.load(rank, schedules.get(rank));
            }
        } catch (RuntimeException e) {
            session.close();
            throw e;
        }
        return session;
    }

    private static long fingerprint(List<Program> programs) {
        var hasher = Hashing.sha256().newHasher();
        programs.forEach(program -> hasher.putString(program.hash(), StandardCharsets.UTF_8));
        return hasher.hash().asLong();
    }

    private void load(int rank, Schedule schedule) {
        var device = cluster.device(rank);
        var communicator = cluster.communicator(rank);
        Map<Lane, Long> workspaceBytes = Executor.workspaceBytes(schedule, device, communicator);
        MemoryPlan plan = MemoryPlan.of(schedule, workspaceBytes);
        Verifier.verifyPlan(schedule, plan, workspaceBytes);
        MemoryPlan own = owner == null ? plan : plan.withoutParameters();
        Arenas arenas = owner == null ? new Arenas(own, device) : owner.lend(rank, own, schedule.program());
        Executor executor = new Executor(schedule, device, communicator, arenas);
        ranks.put(rank, new Loaded(schedule, own, arenas, executor, device.openStream("rank-" + rank + "-load")));
    }

    private Arenas lend(int rank, MemoryPlan plan, Program reader) {
        Loaded lender = loaded(rank);
        return Arenas.reading(lender.arenas, lender.schedule.program(), plan, reader, cluster.device(rank));
    }

    /** Ranks that can be written and read here. */
    public List<Integer> localRanks() {
        return List.copyOf(ranks.keySet());
    }

    /** Writes the elements of a dense tensor. */
    public void write(int rank, Tensor target, ByteBuffer source) {
        requireDense(target, source.remaining());
        Arenas arenas = loaded(rank).arenas;
        if (!target.isEmpty()) {
            arenas.buffer(target.slot()).write(arenas.offset(target), source);
        }
    }

    /** Reads the elements of a dense tensor into the rest of a buffer. */
    public void read(int rank, Tensor source, ByteBuffer target) {
        requireDense(source, target.remaining());
        Arenas arenas = loaded(rank).arenas;
        if (!source.isEmpty()) {
            arenas.buffer(source.slot()).read(arenas.offset(source), target);
        }
    }

    private static void requireDense(Tensor tensor, long bytes) {
        if (!tensor.isDense() || tensor.bytes() != bytes) {
            throw new IllegalArgumentException(tensor + " is not dense or does not hold " + bytes + " bytes");
        }
    }

    /** Runs one op on operands that the host keeps, outside the program: how weights are packed when they are loaded. */
    public void execute(int rank, ComputeOp op) {
        Loaded loaded = loaded(rank);
        Kernel kernel = cluster.device(rank).prepare(op);
        if (kernel.workspaceBytes() > 0) {
            throw new IllegalArgumentException(op.name() + " needs a workspace and can only run in a program");
        }
        loaded.stream.enqueue(kernel.bind(new Kernel.Binding(loaded.arenas::address, 0, loaded.stream)));
        loaded.stream.synchronize(cluster.deadline());
    }

    /** Runs the program once on all ranks of this process; returns a trace for each of them. */
    public List<Trace> run() {
        ranks.values().forEach(loaded -> loaded.executor.enqueue());
        ranks.values().forEach(loaded -> loaded.executor.synchronize(cluster.deadline()));
        List<Trace> traces = new ArrayList<>();
        ranks.values().forEach(loaded -> traces.add(loaded.executor.trace()));
        return traces;
    }

    /**
     * Runs the programs once more and looks at all numbers: first at what they begin with, then at what each step of a
     * rank computes. Costs many times a run.
     *
     * @return where NaN or an infinity first comes up on each rank of this process that has one, earliest first
     */
    public List<NonFinite> findNonFinite() {
        List<NonFiniteSearch> searches = new ArrayList<>();
        ranks.forEach((rank, loaded) -> {
            NonFiniteSearch search = new NonFiniteSearch(loaded.schedule.program(), loaded.arenas);
            search.lookAtInputs();
            searches.add(search);
            loaded.executor.enqueue(search::after);
        });
        ranks.values().forEach(loaded -> loaded.executor.synchronize(cluster.deadline()));
        return searches.stream()
                .flatMap(search -> search.found().stream())
                .sorted(Comparator.comparingInt(NonFinite::step))
                .toList();
    }

    /** Planned bytes of a local rank, without those of parameters that another session has. */
    public MemoryPlan plan(int rank) {
        return loaded(rank).plan;
    }

    /** Bytes of each arena of a local rank that were really written so far. */
    public Map<MemoryClass, Long> touchedBytes(int rank) {
        return loaded(rank).arenas.touchedBytes();
    }

    private Loaded loaded(int rank) {
        Loaded loaded = ranks.get(rank);
        if (loaded == null) {
            throw new IllegalArgumentException(
                    "rank " + rank + " does not live in this process, which has " + localRanks());
        }
        return loaded;
    }

    /**
     * Frees the memory once every lane of every rank has stopped, since ranks read each other's. If one does not stop,
     * memory stays allocated until the process ends.
     */
    @Override
    public void close() {
        boolean stopped = true;
        for (Loaded loaded : ranks.values()) {
            stopped &= loaded.executor.stop(STOP_DEADLINE);
            stopped &= loaded.stream.stop(STOP_DEADLINE);
        }
        if (stopped) {
            ranks.values().forEach(loaded -> loaded.arenas.close());
        }
        ranks.clear();
    }
}
