package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import io.tsp.report.ReportInput.Document;
import io.tsp.report.ReportInput.Timeline;
import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * The data of a page: a JSON element {@code data} with everything but the numbers of traces, and for each trace an
 * element {@code trace-N} with those, deflated, in base 64.
 */
final class ReportData {
    private static final int BUFFER_BYTES = 1 << 16;
    private static final String END = "</script>\n";

    /** With which nothing in a text can end the element that holds it. */
    private static final JsonFactory JSON =
            JsonFactory.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();

    private final List<ReportInput> inputs;
    private final List<TraceEncoder> traces = new ArrayList<>();

    private static final class MarkupEscapes extends CharacterEscapes {
        private static final long serialVersionUID = 1L;

        @Override
        public int[] getEscapeCodesForAscii() {
            int[] codes = standardAsciiEscapesForJSON();
            codes['<'] = ESCAPE_STANDARD;
            codes['>'] = ESCAPE_STANDARD;
            codes['&'] = ESCAPE_STANDARD;
            return codes;
        }

        @Override
        public @Nullable SerializableString getEscapeSequence(int character) {
            return null;
        }
    }

    /** Lets nobody close what goes on after it. */
    private static final class Inner extends FilterOutputStream {
        Inner(OutputStream out) {
            super(out);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            out.write(bytes, offset, length);
        }

        @Override
        public void close() throws IOException {
            flush();
        }
    }

    ReportData(List<ReportInput> inputs) {
        this.inputs = List.copyOf(inputs);
        for (ReportInput input : inputs) {
            if (input instanceof Timeline timeline) {
                traces.add(new TraceEncoder(timeline.columns()));
            }
        }
    }

    /** Writes the elements. */
    void write(OutputStream out) throws IOException {
        begin(out, "application/json", "data");
        try (JsonGenerator json = JSON.createGenerator(new Inner(out))) {
            json.setCharacterEscapes(new MarkupEscapes());
            write(json);
        }
        HtmlReport.text(out, END);
        for (int i = 0; i < traces.size(); i++) {
            begin(out, "application/octet-stream", "trace-" + i);
            Deflater deflater = new Deflater(Deflater.BEST_SPEED);
            OutputStream deflated =
                    new DeflaterOutputStream(Base64.getEncoder().wrap(new Inner(out)), deflater, BUFFER_BYTES);
            try (OutputStream numbers = new BufferedOutputStream(deflated, BUFFER_BYTES)) {
                traces.get(i).writeNumbers(numbers);
            } finally {
                deflater.end();
            }
            HtmlReport.text(out, END);
        }
    }

    private static void begin(OutputStream out, String type, String id) throws IOException {
        HtmlReport.text(out, String.format("<script type=\"%s\" id=\"%s\">", type, id));
    }

    private void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        json.writeArrayFieldStart("sources");
        for (ReportInput input : inputs) {
            json.writeStartObject();
            json.writeStringField("name", input.source().name());
            json.writeStringField("date", input.source().date().toString());
            json.writeEndObject();
        }
        json.writeEndArray();
        documents("comparisons", ResultKind.COMPARISON, json);
        documents("plans", ResultKind.PLAN, json);
        documents("trainings", ResultKind.TRAINING, json);
        timelines(json);
        json.writeEndObject();
    }

    private void documents(String name, ResultKind kind, JsonGenerator json) throws IOException {
        json.writeArrayFieldStart(name);
        for (int i = 0; i < inputs.size(); i++) {
            if (inputs.get(i) instanceof Document document && document.kind().equals(kind)) {
                json.writeStartObject();
                json.writeNumberField("source", i);
                json.writeFieldName("objects");
                JsonTree.write(json, document.objects());
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }

    private void timelines(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("traces");
        int trace = 0;
        for (int i = 0; i < inputs.size(); i++) {
            if (inputs.get(i) instanceof Timeline) {
                json.writeStartObject();
                json.writeNumberField("source", i);
                traces.get(trace++).writeIndex(json);
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }
}
