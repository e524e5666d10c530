package io.tsp.checkpoint.sharded;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.checkpoint.JsonDocument;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter.Block;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a checkpoint says of itself: the run's state, and every other file with length, digest and slices. */
record Manifest(CheckpointInfo info, List<FileEntry> files) {
    static final String NAME = "manifest.json";
    static final String DIGEST_NAME = NAME + ".sha256";
    static final String FORMAT = "tsp-checkpoint";
    static final long VERSION = 1;

    Manifest {
        files = List.copyOf(files);
    }

    /** The content of manifest.json. */
    byte[] toJson() {
        return document(json -> {
            json.writeNumberField("step", info.step());
            json.writeStringField("scheme", info.scheme());
            json.writeNumberField("ranks", info.ranks());
            json.writeStringField("dtype", info.dtype().name().toLowerCase(Locale.ROOT));
            json.writeStringField("moments", info.moments().name().toLowerCase(Locale.ROOT));
            json.writeObjectFieldStart("state");
            for (Map.Entry<String, String> entry : info.state().entrySet()) {
                json.writeStringField(entry.getKey(), entry.getValue());
            }
            json.writeEndObject();
            writeFiles(json, files);
        });
    }

    /** What a process reports of one rank. */
    static byte[] sidecar(List<FileEntry> files) {
        return document(json -> writeFiles(json, files));
    }

    /** The content of manifest.json.sha256, as sha256sum writes it. */
    static byte[] digestFile(byte[] manifest) {
        return (Digest.of(manifest).hex() + "  " + NAME + "\n").getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] document(JsonDocument.Members members) {
        return JsonDocument.of(json -> {
            json.writeStringField("format", FORMAT);
            json.writeNumberField("version", VERSION);
            members.write(json);
        });
    }

    private static void writeFiles(JsonGenerator json, List<FileEntry> files) throws IOException {
        json.writeArrayFieldStart("files");
        for (FileEntry file : files) {
            json.writeStartObject();
            json.writeStringField("name", file.name());
            json.writeNumberField("bytes", file.bytes());
            json.writeStringField("sha256", file.sha256());
            if (!file.slices().isEmpty()) {
                json.writeArrayFieldStart("slices");
                for (Block slice : file.slices()) {
                    json.writeStartObject();
                    json.writeStringField("weight", slice.name());
                    writeRange(json, "rows", slice.rows());
                    writeRange(json, "columns", slice.columns());
                    json.writeEndObject();
                }
                json.writeEndArray();
            }
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void writeRange(JsonGenerator json, String name, Range range) throws IOException {
        json.writeArrayFieldStart(name);
        json.writeNumber(range.from());
        json.writeNumber(range.to());
        json.writeEndArray();
    }
}
