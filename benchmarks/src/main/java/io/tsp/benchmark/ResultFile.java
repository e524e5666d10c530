package io.tsp.benchmark;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Results of a theme as JSON, with all samples, for those who compare runs. Rates in 10^9 per second. */
final class ResultFile {
    private static final int SCHEMA_VERSION = 1;

    private ResultFile() {}

    /** @param run what is known of the run: command, git id, machine and the like */
    static void write(Path file, Theme theme, Map<String, String> run, List<Measured> results) throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(file.toFile(), JsonEncoding.UTF8)) {
            json.useDefaultPrettyPrinter();
            json.writeStartObject();
            json.writeNumberField("schemaVersion", SCHEMA_VERSION);
            json.writeStringField("theme", theme.toString());
            for (Map.Entry<String, String> fact : run.entrySet()) {
                json.writeStringField(fact.getKey(), fact.getValue());
            }
            json.writeStringField("unit", theme.unit().toString());
            json.writeArrayFieldStart("results");
            for (Measured result : results) {
                write(json, theme, result);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
    }

    private static void write(JsonGenerator json, Theme theme, Measured result) throws IOException {
        json.writeStartObject();
        json.writeStringField("benchmark", result.name());
        json.writeObjectFieldStart("parameters");
        for (Map.Entry<String, String> parameter : result.parameters().entrySet()) {
            json.writeStringField(parameter.getKey(), parameter.getValue());
        }
        json.writeEndObject();
        json.writeNumberField("seconds", result.seconds());
        if (!Double.isNaN(result.error())) {
            json.writeNumberField("secondsError", result.error());
        }
        if (theme.unit() != Theme.Unit.TIME) {
            json.writeNumberField("rate", result.rate());
        }
        if (theme.unit() == Theme.Unit.EXCHANGE) {
            json.writeNumberField("busRate", result.busRate());
        }
        if (result.limit() > 0) {
            json.writeNumberField("limit", result.limit());
            json.writeNumberField("shareOfLimit", result.shareOfLimit());
        }
        json.writeArrayFieldStart("samples");
        for (double sample : result.samples()) {
            json.writeNumber(sample);
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
