package io.tsp.program;

import io.tsp.comm.CommunicationException;
import io.tsp.comm.Communicator;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Device;
import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Stream.Event;
import io.tsp.device.Stream.Priority;
import io.tsp.op.CommunicationOp;
import io.tsp.op.ComputeOp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Runs one rank's schedule: walks it in program order and enqueues each step on its lane's stream, behind the events it
 * waits for. It knows nothing of schemes, models or kinds of hardware.
 *
 * <p>Reading order: before this {@link ProgramBuilder}; next {@code CpuDevice}.
 */
final class Executor {
    private final Schedule schedule;
    private final Communicator communicator;
    private final Map<Lane, Stream> streams = new EnumMap<>(Lane.class);
    private final List<Launch> launches = new ArrayList<>();
    private List<Event> starts = List.of();
    private List<Event> ends = List.of();
    private Map<Lane, Event> begins = Map.of();

    Executor(Schedule schedule, Device device, Communicator communicator, Arenas arenas) {
        this.schedule = schedule;
        this.communicator = communicator;
        int rank = schedule.program().rank();
        for (Lane lane : schedule.lanes()) {
            streams.computeIfAbsent(lane, key -> device.openStream("rank-" + rank + "-" + key, priority(key)));
        }
        for (Step step : schedule.program().steps()) {
            launches.add(bind(step, device, arenas));
        }
    }

    /** Compute waits for exchanges sooner than they for it. */
    private static Priority priority(Lane lane) {
        return lane == Lane.COMPUTE ? Priority.NORMAL : Priority.HIGH;
    }

    /** The most scratch memory that any op of each lane asks for. */
    static Map<Lane, Long> workspaceBytes(Schedule schedule, Device device, Communicator communicator) {
        Map<Lane, Long> most = new EnumMap<>(Lane.class);
        for (Step step : schedule.program().steps()) {
            long bytes = switch (step.op()) {
                case ComputeOp op -> device.prepare(op).workspaceBytes();
                case CommunicationOp op -> communicator.workspaceBytes(op);
            };
            if (bytes > 0) {
                most.merge(schedule.lanes().get(step.index()), bytes, Math::max);
            }
        }
        return most;
    }

    private Launch bind(Step step, Device device, Arenas arenas) {
        Lane lane = schedule.lanes().get(step.index());
        long workspace = arenas.workspaceAddress(lane);
        String label = "rank " + schedule.program().rank() + ", step " + step;
        Launch launch = switch (step.op()) {
            case ComputeOp op -> device.prepare(op).bind(new Kernel.Binding(arenas::address, workspace, stream(lane)));
            case CommunicationOp op ->
                communicator.bind(
                        op,
                        new Communicator.Binding(
                                step.lane().ordinal(), stream(lane), arenas::address, workspace, label));
        };
        return new Guarded(label, launch, communicator);
    }

    /** Names the step that failed, and tells the peers, who would wait for it. */
    private record Guarded(String label, Launch launch, Communicator communicator) implements Launch {
        @Override
        public long peersArrivedNanos() {
            return launch.peersArrivedNanos();
        }

        @Override
        public void run() {
            try {
                launch.run();
            } catch (StepException | CommunicationException | DeadlineException | RanksDisagreeException e) {
                // Peers have told this one, or it has told them.
                throw e;
            } catch (RuntimeException e) {
                StepException failure = new StepException(label + ": " + e.getMessage(), e);
                communicator.abort(failure);
                throw failure;
            }
        }
    }

    private Stream stream(Lane lane) {
        Stream stream = streams.get(lane);
        if (stream == null) {
            throw new IllegalStateException("no stream for lane " + lane);
        }
        return stream;
    }

    /** Puts the whole schedule on the streams; returns at once. */
    void enqueue() {
        enqueue(_ -> Optional.empty());
    }

    /** The same with something that the host does behind each step, before any step that waits for it. */
    void enqueue(Function<Step, Optional<Runnable>> after) {
        starts = new ArrayList<>();
        ends = new ArrayList<>();
        begins = new EnumMap<>(Lane.class);
        streams.forEach((lane, stream) -> begins.put(lane, stream.record()));
        for (Step step : schedule.program().steps()) {
            Stream stream = stream(schedule.lanes().get(step.index()));
            for (int wait : schedule.waits().get(step.index())) {
                stream.await(ends.get(wait));
            }
            starts.add(stream.record());
            stream.enqueue(launches.get(step.index()));
            after.apply(step).ifPresent(stream::enqueueHost);
            ends.add(stream.record());
        }
    }

    /** Waits until everything enqueued is done. */
    void synchronize(Duration deadline) {
        try {
            for (Stream stream : streams.values()) {
                stream.synchronize(deadline);
            }
        } catch (RuntimeException e) {
            // Work on a GPU fails when nobody looks; peers would wait for this rank.
            communicator.abort(e);
            communicator.requireIntact();
            throw e;
        }
        communicator.requireIntact();
    }

    /** What happened in the last run; call after {@link #synchronize}. */
    Trace trace() {
        Map<Lane, Long> reached = new EnumMap<>(Lane.class);
        begins.forEach((lane, event) -> reached.put(lane, event.nanos()));
        List<Trace.Span> spans = new ArrayList<>();
        for (Step step : schedule.program().steps()) {
            int i = step.index();
            long end = ends.get(i).nanos();
            Long ready = reached.put(schedule.lanes().get(i), end);
            long start = starts.get(i).nanos();
            // The clocks of two devices agree only roughly; nobody arrives behind the end.
            long arrived = Math.min(launches.get(i).peersArrivedNanos(), end);
            spans.add(new Trace.Span(ready == null ? start : ready, start, end, arrived));
        }
        return new Trace(schedule, spans);
    }

    /** Whether every lane has stopped. */
    boolean stop(Duration deadline) {
        boolean stopped = true;
        for (Stream stream : streams.values()) {
            stopped &= stream.stop(deadline);
        }
        return stopped;
    }
}
