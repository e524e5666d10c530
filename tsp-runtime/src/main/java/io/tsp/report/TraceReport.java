package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.op.CommunicationOp;
import io.tsp.program.Lane;
import io.tsp.program.Step;
import io.tsp.program.Trace;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Traces in Chrome's format, which Perfetto and {@code chrome://tracing} draw: a process for each rank of each run, a
 * thread for each lane. An exchange holds a slice for the time in which it waited for peers.
 *
 * @see <a href="https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU">Trace Event Format</a>
 */
public final class TraceReport {
    /**
     * One step of all ranks of a process under one scheme.
     *
     * @param name what the run is called, such as the scheme
     * @param traces one for each rank of this process
     */
    public record Run(String name, List<Trace> traces) {
        public Run {
            traces = List.copyOf(traces);
        }
    }

    private TraceReport() {}

    /** Runs side by side: each begins at time 0. */
    public static void write(List<Run> runs, JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("displayTimeUnit", "ms");
        json.writeArrayFieldStart("traceEvents");
        int process = 1;
        for (Run run : runs) {
            long origin = run.traces.stream()
                    .flatMap(trace -> trace.spans().stream())
                    .mapToLong(Trace.Span::ready)
                    .min()
                    .orElse(0);
            for (Trace trace : run.traces) {
                new Writer(json, process++, origin).write(run.name, trace);
            }
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private record Writer(JsonGenerator json, int process, long origin) {
        void write(String run, Trace trace) throws IOException {
            metadata("process_name", 0, "name", run + " rank " + trace.rank());
            for (Lane lane : Lane.values()) {
                if (trace.schedule().lanes().contains(lane)) {
                    metadata("thread_name", thread(lane), "name", lane.name());
                }
            }
            for (Step step : trace.schedule().program().steps()) {
                step(
                        step,
                        trace.schedule().lanes().get(step.index()),
                        trace.spans().get(step.index()),
                        awaited(step, trace));
            }
        }

        /** What held a step up longest; nothing if it had to wait for nothing. */
        private static Trace.Span awaited(Step step, Trace trace) {
            return trace.schedule().waits().get(step.index()).stream()
                    .map(trace.spans()::get)
                    .max(Comparator.comparingLong(Trace.Span::end))
                    .orElse(new Trace.Span(0, 0, 0, 0));
        }

        private static int thread(Lane lane) {
            return 1 + Arrays.asList(Lane.values()).indexOf(lane);
        }

        private void metadata(String kind, int thread, String key, String value) throws IOException {
            json.writeStartObject();
            json.writeStringField("ph", "M");
            json.writeStringField("name", kind);
            json.writeNumberField("pid", process);
            json.writeNumberField("tid", thread);
            json.writeObjectFieldStart("args");
            json.writeStringField(key, value);
            json.writeEndObject();
            json.writeEndObject();
        }

        private void step(Step step, Lane lane, Trace.Span span, Trace.Span awaited) throws IOException {
            boolean exchange = step.op() instanceof CommunicationOp;
            begin(
                    step.label() + ": " + step.op().name(),
                    exchange ? "communication" : "compute",
                    lane,
                    span.start(),
                    span.end());
            json.writeObjectFieldStart("args");
            json.writeNumberField("step", step.index());
            json.writeStringField("op", step.op().name());
            json.writeNumberField("bytesRead", bytes(step, false));
            json.writeNumberField("bytesWritten", bytes(step, true));
            json.writeNumberField("waitedMicros", micros(span.start() - span.ready()));
            if (step.op() instanceof CommunicationOp op) {
                json.writeStringField("group", op.group().toString());
                json.writeNumberField("bytesSent", op.bytesSent());
            }
            if (span.peersArrived() > 0) {
                json.writeNumberField("peersArrivedMicros", micros(span.peersArrived() - origin));
            }
            if (!exchange && span.start() > span.ready()) {
                json.writeNumberField(
                        "awaitedPeersArrivedMicros", micros(Math.max(0, awaited.peersArrived() - origin)));
            }
            json.writeEndObject();
            json.writeEndObject();
            if (span.peersArrived() > span.start()) {
                begin("waits for peers", "wait", lane, span.start(), Math.min(span.peersArrived(), span.end()));
                json.writeEndObject();
            }
        }

        private void begin(String name, String category, Lane lane, long start, long end) throws IOException {
            json.writeStartObject();
            json.writeStringField("ph", "X");
            json.writeStringField("name", name);
            json.writeStringField("cat", category);
            json.writeNumberField("pid", process);
            json.writeNumberField("tid", thread(lane));
            json.writeNumberField("ts", micros(start - origin));
            json.writeNumberField("dur", micros(end - start));
        }

        /** Microseconds, the format's unit, exact: rounded, neighbours would seem to overlap. */
        private static BigDecimal micros(long nanos) {
            return BigDecimal.valueOf(nanos, 3);
        }

        private static long bytes(Step step, boolean written) {
            return step.op().accesses().stream()
                    .filter(access ->
                            written ? access.mode().writes() : access.mode().reads())
                    .mapToLong(access -> access.tensor().bytes())
                    .sum();
        }
    }
}
