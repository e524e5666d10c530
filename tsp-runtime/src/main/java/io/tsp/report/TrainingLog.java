package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.MinimalPrettyPrinter;
import io.tsp.checkpoint.StorageException;
import io.tsp.train.StepReport;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * A file with one JSON object a line, one line a step, each written when the step is done. A run that is resumed appends:
 * the steps between its checkpoint and its end stand there twice, and the later line counts.
 */
public final class TrainingLog implements AutoCloseable {
    private final Path file;
    private final Writer writer;
    private final JsonGenerator json;

    private TrainingLog(Path file, Writer writer, JsonGenerator json) {
        this.file = file;
        this.writer = writer;
        this.json = json;
    }

    /**
     * Begins a file, or goes on with one.
     *
     * @throws StorageException if it cannot be written
     */
    public static TrainingLog open(Path file) {
        try {
            Writer writer = Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            JsonGenerator json = new JsonFactory().createGenerator(writer);
            json.setPrettyPrinter(new MinimalPrettyPrinter(""));
            return new TrainingLog(file, writer, json);
        } catch (IOException e) {
            throw unwritable(file, e);
        }
    }

    /**
     * Appends a line.
     *
     * @param sample the text that continues the prompt, if there is one
     * @throws StorageException if the disk is full or fails
     */
    public void add(StepReport report, @Nullable String sample) {
        try {
            write(report, sample);
            json.writeRaw('\n');
            json.flush();
        } catch (IOException e) {
            throw unwritable(file, e);
        }
    }

    private void write(StepReport report, @Nullable String sample) throws IOException {
        Json.begin(json);
        json.writeNumberField("step", report.step());
        Json.number(json, "loss", report.loss());
        Json.number(json, "gradNorm", report.gradientNorm());
        json.writeNumberField("learningRate", report.learningRate());
        json.writeNumberField("tokens", report.tokens());
        Json.number(json, "tokensPerSecond", report.tokensPerSecond());
        json.writeNumberField("peakBytes", report.peakBytes());
        json.writeNumberField("exposedTransferSeconds", report.exposedTransferSeconds());
        StepReport.Evaluation evaluation = report.evaluation();
        if (evaluation != null) {
            Json.number(json, "evaluationLoss", evaluation.loss());
            json.writeNumberField("evaluationTokens", evaluation.labels());
        }
        if (sample != null) {
            json.writeStringField("sample", sample);
        }
        json.writeEndObject();
    }

    @Override
    public void close() {
        try {
            json.close();
            writer.close();
        } catch (IOException e) {
            throw unwritable(file, e);
        }
    }

    private static StorageException unwritable(Path file, IOException cause) {
        String reason = Files.isDirectory(file)
                ? "it is a folder"
                : cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        return new StorageException(
                file + " cannot be written (" + reason + "); free space there or choose another place", cause);
    }
}
