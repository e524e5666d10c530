package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.plan.Candidate;
import io.tsp.plan.Prediction;
import io.tsp.program.Lane;
import io.tsp.scheme.Recompute;
import io.tsp.tensor.MemoryClass;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Ways to run a step, in simulated time, as a table and as JSON.
 *
 * @param candidates those that fit first, and of these the fastest; the first is recommended if it fits
 * @param modelFlops FLOP of the model itself in a step, over all ranks; see {@code Planner.modelFlops}
 * @param nominalFlops FLOP/s of one device by its data sheet, of which utilisation is a share
 */
public record PlanReport(Conditions conditions, List<Candidate> candidates, double modelFlops, double nominalFlops) {
    private static final double PERCENT = 100;

    /**
     * What is the same for all candidates.
     *
     * @param profile name of the hardware profile
     * @param profileHash what it said
     */
    public record Conditions(
            String mode,
            String model,
            String dtype,
            long batch,
            long seq,
            int ranks,
            String profile,
            String profileHash,
            long memoryBytesPerDevice) {}

    public PlanReport {
        candidates = List.copyOf(candidates);
    }

    /** Candidates that fit into the memory of a device. */
    public List<Candidate> fitting() {
        return candidates.stream().filter(Candidate::fits).toList();
    }

    /** Model FLOP/s of all ranks as a share of what their data sheets say. */
    public double utilisation(Candidate candidate) {
        return modelFlops / candidate.prediction().seconds() / (nominalFlops * conditions.ranks);
    }

    /** For a terminal: a heading of two lines, then a line for each candidate that is given. */
    public List<String> table(List<Candidate> shown) {
        Table table = new Table(
                List.of(
                        "scheme",
                        "degree",
                        "dp",
                        "recompute",
                        "memory",
                        "step",
                        "tokens/s",
                        "MFU",
                        "compute",
                        "exposed",
                        "skew"),
                List.of("", "", "", "", "GiB", "s", "", "%", "%", "%", "%"));
        for (Candidate candidate : shown) {
            table.row(cells(candidate));
        }
        return table.lines();
    }

    private String[] cells(Candidate candidate) {
        Prediction prediction = candidate.prediction();
        return new String[] {
            candidate.scheme().name(),
            Integer.toString(candidate.degree()),
            Integer.toString(candidate.dp()),
            candidate.recompute().map(PlanReport::lowerCase).orElse("-"),
            text("%.1f", prediction.bytesPerRank() / (double) (1 << 30)) + (candidate.fits() ? "" : "!"),
            text("%.3g", prediction.seconds()),
            text("%,.0f", candidate.tokensPerSecond()),
            text("%.1f", PERCENT * utilisation(candidate)),
            share(prediction.computeSeconds(), prediction),
            share(prediction.exposedTransferSeconds(), prediction),
            share(prediction.skewSeconds(), prediction)
        };
    }

    private static String share(double part, Prediction of) {
        return text("%.1f", PERCENT * part / of.seconds());
    }

    static String lowerCase(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    /** The same with stable names, in seconds and bytes. */
    public void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        json.writeStringField("mode", conditions.mode);
        json.writeStringField("model", conditions.model);
        json.writeStringField("dtype", conditions.dtype);
        json.writeNumberField("batch", conditions.batch);
        json.writeNumberField("seq", conditions.seq);
        json.writeNumberField("ranks", conditions.ranks);
        json.writeStringField("device", "sim:" + conditions.profile);
        json.writeStringField("profile", conditions.profile);
        json.writeStringField("profileHash", conditions.profileHash);
        json.writeNumberField("memoryBytesPerDevice", conditions.memoryBytesPerDevice);
        json.writeNumberField("modelFlops", modelFlops);
        json.writeArrayFieldStart("candidates");
        for (Candidate candidate : candidates) {
            write(candidate, json);
        }
        json.writeEndArray();
        if (fitting().isEmpty()) {
            json.writeNullField("recommended");
        } else {
            json.writeNumberField("recommended", 0);
        }
        json.writeEndObject();
    }

    private void write(Candidate candidate, JsonGenerator json) throws IOException {
        Prediction prediction = candidate.prediction();
        json.writeStartObject();
        json.writeStringField("scheme", candidate.scheme().name());
        json.writeNumberField("ranks", candidate.scheme().mesh().worldSize());
        json.writeNumberField("degree", candidate.degree());
        json.writeNumberField("dp", candidate.dp());
        json.writeStringField(
                "recompute",
                candidate
                        .recompute()
                        .map(Recompute::name)
                        .map(name -> name.toLowerCase(Locale.ROOT))
                        .orElse(null));
        json.writeNumberField("bytesPerRank", prediction.bytesPerRank());
        json.writeObjectFieldStart("bytesByClass");
        for (Map.Entry<MemoryClass, Long> entry : prediction.bytesByClass().entrySet()) {
            json.writeNumberField(Json.fieldName(entry.getKey()), entry.getValue());
        }
        json.writeEndObject();
        json.writeBooleanField("fits", candidate.fits());
        json.writeNumberField("stepSeconds", prediction.seconds());
        json.writeNumberField("tokensPerSecond", candidate.tokensPerSecond());
        json.writeNumberField("modelFlopsUtilisation", utilisation(candidate));
        json.writeNumberField("computeSeconds", prediction.computeSeconds());
        json.writeNumberField("skewSeconds", prediction.skewSeconds());
        json.writeNumberField("exposedTransferSeconds", prediction.exposedTransferSeconds());
        json.writeObjectFieldStart("exposedTransferSecondsByLane");
        for (Map.Entry<Lane, Double> entry : prediction.exposedSeconds().entrySet()) {
            json.writeNumberField(Json.fieldName(entry.getKey()), entry.getValue());
        }
        json.writeEndObject();
        json.writeNumberField("bytesSent", prediction.bytesSent());
        json.writeEndObject();
    }
}
