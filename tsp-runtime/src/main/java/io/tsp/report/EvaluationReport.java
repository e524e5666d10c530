package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The loss of a model on a text, as lines and as JSON.
 *
 * @param model what a user would call the model
 * @param batch sequences of a step
 * @param seq tokens of a sequence
 * @param steps forward passes
 * @param loss mean over all labels in nats; NaN if there are none
 * @param labels tokens whose successor was predicted
 * @param seconds all forward passes together
 */
public record EvaluationReport(
        String model,
        String scheme,
        int ranks,
        String dtype,
        int batch,
        int seq,
        int steps,
        double loss,
        long labels,
        double seconds) {

    public double perplexity() {
        return Math.exp(loss);
    }

    private double tokensPerSecond() {
        return (double) steps * batch * seq / seconds;
    }

    /** For a terminal. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        if (labels == 0) {
            lines.add("loss        none: no token has a label");
        } else {
            lines.add(String.format(Locale.ROOT, "loss        %.6f nats", loss));
            lines.add(String.format(Locale.ROOT, "perplexity  %.4f", perplexity()));
        }
        lines.add("tokens      " + labels + " predicted");
        lines.add(String.format(Locale.ROOT, "time        %.2f s, %.0f tokens/s", seconds, tokensPerSecond()));
        return lines;
    }

    /** With stable names; what is not a number is null. */
    public void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        Json.number(json, "loss", loss);
        Json.number(json, "perplexity", perplexity());
        json.writeNumberField("tokens", labels);
        json.writeStringField("model", model);
        json.writeStringField("scheme", scheme);
        json.writeNumberField("ranks", ranks);
        json.writeStringField("dtype", dtype);
        json.writeNumberField("batch", batch);
        json.writeNumberField("seq", seq);
        json.writeNumberField("steps", steps);
        json.writeNumberField("seconds", seconds);
        Json.number(json, "tokensPerSecond", tokensPerSecond());
        json.writeEndObject();
    }
}
