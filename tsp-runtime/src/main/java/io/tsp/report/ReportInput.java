package io.tsp.report;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/** A result that figures are drawn from. */
sealed interface ReportInput {
    /** Where it came from. */
    Source source();

    /**
     * A file, or a run of the present process.
     *
     * @param name as it is shown
     * @param date when the result was written
     */
    record Source(String name, Instant date) {}

    /**
     * A result without times.
     *
     * @param objects the members that figures use, of one object, or of each step of a training run
     */
    record Document(Source source, ResultKind kind, List<Map<String, Object>> objects) implements ReportInput {
        public Document {
            objects = List.copyOf(objects);
        }
    }

    /** What happened when. */
    record Timeline(Source source, TraceColumns columns) implements ReportInput {}
}
