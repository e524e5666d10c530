package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.FileEntry;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a checkpoint says of itself, as lines and as JSON.
 *
 * @param parameters of the whole model
 */
public record CheckpointReport(String family, long parameters, CheckpointInfo info, List<FileEntry> files) {
    private static final double MEBIBYTE = 1 << 20;

    public CheckpointReport {
        files = List.copyOf(files);
    }

    private String dtype() {
        return info.dtype().name().toLowerCase(Locale.ROOT);
    }

    private String moments() {
        return info.moments().name().toLowerCase(Locale.ROOT);
    }

    /** For a terminal. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add(String.format(Locale.ROOT, "model    %s, %,d parameters", family, parameters));
        lines.add("step     " + info.step());
        lines.add("scheme   " + info.scheme() + ", " + info.ranks() + (info.ranks() == 1 ? " rank" : " ranks"));
        lines.add("dtype    " + dtype() + ", weights are stored as f32, moments as " + moments());
        for (Map.Entry<String, String> entry : info.state().entrySet()) {
            lines.add("state    " + entry.getKey() + " = " + entry.getValue());
        }
        Table table = new Table(List.of("file", "MiB", "parts of"), List.of("", "", "weights"));
        for (FileEntry file : files) {
            table.row(
                    file.name(),
                    String.format(Locale.ROOT, "%.1f", file.bytes() / MEBIBYTE),
                    file.slices().isEmpty()
                            ? ""
                            : Integer.toString(file.slices().size()));
        }
        lines.add("");
        lines.addAll(table.lines());
        return lines;
    }

    /** With stable names. */
    public void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        json.writeStringField("family", family);
        json.writeNumberField("parameters", parameters);
        json.writeNumberField("step", info.step());
        json.writeStringField("scheme", info.scheme());
        json.writeNumberField("ranks", info.ranks());
        json.writeStringField("dtype", dtype());
        json.writeStringField("moments", moments());
        json.writeObjectFieldStart("state");
        for (Map.Entry<String, String> entry : info.state().entrySet()) {
            json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
        json.writeArrayFieldStart("files");
        for (FileEntry file : files) {
            json.writeStartObject();
            json.writeStringField("name", file.name());
            json.writeNumberField("bytes", file.bytes());
            json.writeStringField("sha256", file.sha256());
            json.writeNumberField("parts", file.slices().size());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
