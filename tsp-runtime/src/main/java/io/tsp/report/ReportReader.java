package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.tsp.checkpoint.FileProblem;
import io.tsp.checkpoint.Printable;
import io.tsp.checkpoint.StrictJson;
import io.tsp.model.ModelException;
import io.tsp.report.ReportInput.Source;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Reads a result and finds out from its content what it is. */
final class ReportReader {
    private static final String TRACE_MARK = "traceEvents";
    private static final int DEPTH = 32;
    private static final int NAME_CHARS = 1000;
    private static final int STRING_CHARS = 1 << 20;
    private static final JsonFactory JSON = StrictJson.limits(DEPTH, NAME_CHARS, STRING_CHARS)
            .rebuild()
            .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
            .build();

    private static final Set<String> MEMBERS = ResultKind.ALL.stream()
            .flatMap(kind -> kind.shape().names().stream())
            .collect(Collectors.toUnmodifiableSet());

    private final Source source;
    private final JsonParser parser;
    private @Nullable TraceColumns trace;

    private ReportReader(Source source, JsonParser parser) {
        this.source = source;
        this.parser = parser;
    }

    /**
     * Reads a file.
     *
     * @throws ModelException of part FILE if it cannot be read or is no result
     */
    static ReportInput read(Path file) {
        if (!Files.exists(file)) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    "there is no file " + file + "; give a result of tsp compare, plan or train");
        }
        try (InputStream stream = new BufferedInputStream(Files.newInputStream(file))) {
            return read(
                    new Source(file.toString(), Files.getLastModifiedTime(file).toInstant()), stream);
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, file.toString(), e);
        }
    }

    /**
     * Reads what a stream holds.
     *
     * @throws ModelException of part FILE if it is no result
     */
    static ReportInput read(Source source, InputStream stream) throws IOException {
        try (JsonParser parser = JSON.createParser(stream)) {
            return new ReportReader(source, parser).read();
        } catch (JsonProcessingException e) {
            throw malformed(source, e);
        }
    }

    private ReportInput read() throws IOException {
        JsonToken first = parser.nextToken();
        if (first == JsonToken.START_ARRAY) {
            return timeline(TraceReader.read(parser));
        }
        Map<String, @Nullable Object> members = members();
        return trace == null ? document(members) : timeline(trace);
    }

    /** Members of the object at the parser that some figure uses; a trace goes to its field. */
    private Map<String, @Nullable Object> members() throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw unknown();
        }
        Map<String, @Nullable Object> members = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            if (name.equals(TRACE_MARK)) {
                trace = TraceReader.read(parser);
            } else if (MEMBERS.contains(name)) {
                JsonTree.put(parser, members, name, JsonTree.read(parser));
            } else {
                parser.skipChildren();
            }
        }
        return members;
    }

    private ReportInput timeline(TraceColumns columns) throws IOException {
        end();
        if (columns.size() == 0) {
            throw new ModelException(
                    ModelException.Part.FILE, source.name() + " is a trace without slices; there is nothing to show");
        }
        return new ReportInput.Timeline(source, columns);
    }

    private ReportInput document(Map<String, @Nullable Object> members) throws IOException {
        for (ResultKind kind : ResultKind.ALL) {
            if (members.containsKey(kind.mark())) {
                return new ReportInput.Document(
                        source, kind, kind.equals(ResultKind.TRAINING) ? steps(members) : one(kind, members));
            }
        }
        throw unknown();
    }

    private List<Map<String, Object>> one(ResultKind kind, Map<String, @Nullable Object> members) throws IOException {
        end();
        return List.of(kind.shape().check(members, new Shape.Place(source.name(), "")));
    }

    /** The lines of a log by step; of a step that was done twice, after a resumption, the later line counts. */
    private List<Map<String, Object>> steps(Map<String, @Nullable Object> first) throws IOException {
        Map<Object, Map<String, Object>> steps = new TreeMap<>();
        Map<String, @Nullable Object> line = first;
        int lines = 1;
        while (true) {
            Map<String, Object> step =
                    ResultKind.TRAINING.shape().check(line, new Shape.Place(source.name(), "line " + lines));
            steps.put(step.get(ResultKind.TRAINING.mark()), step);
            if (parser.nextToken() == null) {
                return new ArrayList<>(steps.values());
            }
            line = members();
            lines++;
        }
    }

    private void end() throws IOException {
        if (parser.nextToken() != null) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    source.name() + " holds more than one document; give each in a file of its own");
        }
    }

    private ModelException unknown() {
        return new ModelException(
                ModelException.Part.FILE,
                source.name() + " is no result that can be shown; give files of --json, --trace or train --log");
    }

    private static ModelException malformed(Source source, JsonProcessingException e) {
        long offset = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getByteOffset());
        return new ModelException(
                ModelException.Part.FILE,
                source.name() + ", byte " + offset + ": not a result in JSON ("
                        + Printable.quote(e.getOriginalMessage()) + "); give files of --json, --trace or train --log",
                e);
    }
}
