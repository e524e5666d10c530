package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.tensor.MemoryClass;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A comparison of schemes as a table and as JSON.
 *
 * @param results the first is the reference of the others
 */
public record ComparisonReport(Conditions conditions, List<SchemeResult> results) {
    private static final String NONE = "-";

    /** Fields that are null where a scheme was not run. */
    private static final List<String> MEASURED = List.of(
            "tokensPerSecond",
            "stepSeconds",
            "plannedPeakBytes",
            "measuredPeakBytes",
            "bytesByClass",
            "bytesSent",
            "skewSeconds",
            "exposedTransferSeconds");

    /**
     * What was the same for all schemes.
     *
     * @param model what a user would call the model
     * @param batch sequences
     * @param seq tokens of each
     * @param threads CPU threads over all ranks
     * @param profileHash what the hardware profile said if time is simulated; null if it was measured
     */
    public record Conditions(
            String mode,
            String model,
            String dtype,
            int batch,
            int seq,
            String device,
            int threads,
            @Nullable String profileHash) {}

    public ComparisonReport {
        results = List.copyOf(results);
    }

    /** For a terminal: a heading of two lines, then a line for each scheme. */
    public List<String> table() {
        String reference = results.getFirst().scheme();
        Table table = new Table(
                List.of(
                        "scheme",
                        "ranks",
                        "tokens/s",
                        "ratio to",
                        "step",
                        "planned",
                        "measured",
                        "sent",
                        "exposed",
                        "skew",
                        "max"),
                List.of("", "", "", reference, "ms", "MiB", "MiB", "MiB", "ms", "ms", "error"));
        double unit = tokensPerSecond(results.getFirst().measured());
        for (SchemeResult result : results) {
            Measured measured = result.measured();
            if (measured == null) {
                table.note("skipped: " + result.reason(), result.scheme(), Integer.toString(result.ranks()));
            } else {
                table.row(cells(result, measured, unit));
            }
        }
        return table.lines();
    }

    /** Planned bytes of the rank that has most, by what they are for, in MiB: a heading of two lines, then the schemes. */
    public List<String> memoryTable() {
        List<MemoryClass> classes = Arrays.stream(MemoryClass.values())
                .filter(memoryClass -> results.stream()
                        .map(SchemeResult::measured)
                        .anyMatch(measured ->
                                measured != null && measured.bytesByClass().getOrDefault(memoryClass, 0L) > 0))
                .toList();
        List<String> heading = new ArrayList<>(List.of("scheme", "ranks"));
        classes.forEach(memoryClass -> heading.add(
                memoryClass == MemoryClass.COMMUNICATION
                        ? "exchange"
                        : memoryClass.name().toLowerCase(Locale.ROOT)));
        List<String> units = new ArrayList<>(List.of("", ""));
        classes.forEach(_ -> units.add("MiB"));
        Table table = new Table(heading, units);
        for (SchemeResult result : results) {
            Measured measured = result.measured();
            if (measured != null) {
                List<String> cells = new ArrayList<>(List.of(result.scheme(), Integer.toString(result.ranks())));
                classes.forEach(memoryClass ->
                        cells.add(mebibytes(measured.bytesByClass().getOrDefault(memoryClass, 0L))));
                table.row(cells.toArray(String[]::new));
            }
        }
        return table.lines();
    }

    /** Why something in the table is missing, a line for each scheme that it is true of. */
    public List<String> remarks() {
        return results.stream()
                .filter(result -> result.wasRun() && !result.reason().isEmpty())
                .map(result -> result.scheme() + ": " + result.reason())
                .toList();
    }

    private static String[] cells(SchemeResult result, Measured measured, double unit) {
        return new String[] {
            result.scheme(),
            Integer.toString(result.ranks()),
            text("%.0f", measured.tokensPerSecond()),
            text("%.2f", measured.tokensPerSecond() / unit),
            text("%.1f", 1e3 * measured.stepSeconds()),
            mebibytes(measured.plannedPeakBytes()),
            measured.measuredPeakBytes() == null ? NONE : mebibytes(measured.measuredPeakBytes()),
            mebibytes(measured.bytesSent()),
            text("%.1f", 1e3 * measured.exposedTransferSeconds()),
            text("%.1f", 1e3 * measured.skewSeconds()),
            result.deviation() == null ? NONE : text("%.1e", result.deviation().max())
        };
    }

    private static double tokensPerSecond(@Nullable Measured measured) {
        return measured == null ? Double.NaN : measured.tokensPerSecond();
    }

    private static String mebibytes(long bytes) {
        return text("%.1f", bytes / (double) (1 << 20));
    }

    private static String text(String format, double value) {
        if (value == 0) {
            return "0";
        }
        return Double.isNaN(value) ? NONE : String.format(Locale.ROOT, format, value);
    }

    /** The same with stable names, in seconds and bytes; null where nothing is known. */
    public void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        json.writeStringField("mode", conditions.mode);
        json.writeStringField("model", conditions.model);
        json.writeStringField("dtype", conditions.dtype);
        json.writeNumberField("batch", conditions.batch);
        json.writeNumberField("seq", conditions.seq);
        json.writeStringField("device", conditions.device);
        json.writeNumberField("threads", conditions.threads);
        if (conditions.profileHash != null) {
            json.writeStringField("profileHash", conditions.profileHash);
        }
        json.writeArrayFieldStart("schemes");
        for (SchemeResult result : results) {
            write(result, json);
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void write(SchemeResult result, JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("scheme", result.scheme());
        json.writeNumberField("ranks", result.ranks());
        json.writeStringField("status", result.wasRun() ? "ok" : "skipped");
        json.writeStringField("reason", result.reason());
        Measured measured = result.measured();
        if (measured == null) {
            for (String name : MEASURED) {
                json.writeNullField(name);
            }
        } else {
            write(measured, json);
        }
        SchemeResult.Deviation deviation = result.deviation();
        Json.number(json, "maxError", deviation == null ? Double.NaN : deviation.max());
        json.writeNumberField("errorTokens", deviation == null ? 0 : deviation.tokens());
        json.writeEndObject();
    }

    private static void write(Measured measured, JsonGenerator json) throws IOException {
        json.writeNumberField("tokensPerSecond", measured.tokensPerSecond());
        json.writeNumberField("stepSeconds", measured.stepSeconds());
        json.writeNumberField("plannedPeakBytes", measured.plannedPeakBytes());
        if (measured.measuredPeakBytes() == null) {
            json.writeNullField("measuredPeakBytes");
        } else {
            json.writeNumberField("measuredPeakBytes", measured.measuredPeakBytes());
        }
        json.writeObjectFieldStart("bytesByClass");
        for (Map.Entry<MemoryClass, Long> entry : new TreeMap<>(measured.bytesByClass()).entrySet()) {
            json.writeNumberField(Json.fieldName(entry.getKey()), entry.getValue());
        }
        json.writeEndObject();
        json.writeNumberField("bytesSent", measured.bytesSent());
        json.writeNumberField("skewSeconds", measured.skewSeconds());
        json.writeNumberField("exposedTransferSeconds", measured.exposedTransferSeconds());
    }
}
