package io.tsp.report;

import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Reads the events of a Chrome trace one by one; only complete slices and names count. */
final class TraceReader {
    /** Microseconds that are exact as nanoseconds in a browser: 104 days. */
    private static final double LARGEST_MICROS = 9.0e12;

    private static final double NANOS_PER_MICRO = 1e3;

    private final JsonParser parser;
    private final TraceColumns columns = new TraceColumns();

    private @Nullable String phase;
    private @Nullable String name;
    private @Nullable String argument;
    private TraceColumns.Category category = TraceColumns.Category.OTHER;
    private long process;
    private long thread;
    private long start;
    private long duration;
    private long waited;
    private long peersArrived;

    private TraceReader(JsonParser parser) {
        this.parser = parser;
    }

    /** Reads the list of events that begins at the parser's current token. */
    static TraceColumns read(JsonParser parser) throws IOException {
        TraceReader reader = new TraceReader(parser);
        reader.require(parser.currentToken() == JsonToken.START_ARRAY, "traceEvents is not a list");
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            reader.require(parser.currentToken() == JsonToken.START_OBJECT, "an event is not an object");
            reader.event();
        }
        return reader.columns;
    }

    private void event() throws IOException {
        phase = null;
        name = null;
        argument = null;
        category = TraceColumns.Category.OTHER;
        process = 0;
        thread = 0;
        start = -1;
        duration = -1;
        waited = 0;
        peersArrived = TraceColumns.UNKNOWN;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String member = parser.currentName();
            parser.nextToken();
            member(member);
        }
        take();
    }

    private void member(String member) throws IOException {
        switch (member) {
            case "ph" -> phase = text();
            case "name" -> name = text();
            case "cat" -> category = TraceColumns.Category.of(text());
            case "pid" -> process = number(member);
            case "tid" -> thread = number(member);
            case "ts" -> start = nanos(member);
            case "dur" -> duration = nanos(member);
            case "args" -> arguments();
            default -> parser.skipChildren();
        }
    }

    private void arguments() throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            parser.skipChildren();
            return;
        }
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String member = parser.currentName();
            parser.nextToken();
            switch (member) {
                case "name" -> argument = text();
                case "waitedMicros" -> waited = nanos(member);
                case "peersArrivedMicros", "awaitedPeersArrivedMicros" -> peersArrived = nanos(member);
                default -> parser.skipChildren();
            }
        }
    }

    private void take() throws IOException {
        if ("M".equals(phase) && argument != null) {
            if ("process_name".equals(name)) {
                columns.nameProcess(process, argument);
            } else if ("thread_name".equals(name)) {
                columns.nameLane(process, thread, argument);
            }
        } else if ("X".equals(phase)) {
            require(start >= 0 && duration >= 0, "a slice without ts or dur");
            columns.add(
                    columns.lane(process, thread),
                    name == null ? "" : name,
                    category,
                    start,
                    duration,
                    waited,
                    peersArrived);
        }
    }

    /** Something that is no text is passed over. */
    private String text() throws IOException {
        String text = parser.getText();
        parser.skipChildren();
        return text;
    }

    private long number(String member) throws IOException {
        require(parser.currentToken() == JsonToken.VALUE_NUMBER_INT, member + " is not a whole number");
        return parser.getLongValue();
    }

    private long nanos(String member) throws IOException {
        require(parser.currentToken().isNumeric(), member + " is not a number");
        double micros = parser.getDoubleValue();
        require(micros >= 0 && micros <= LARGEST_MICROS, member + " is not a number of microseconds from 0 to 9e12");
        return Math.round(micros * NANOS_PER_MICRO);
    }

    private void require(boolean holds, String otherwise) throws IOException {
        if (!holds) {
            throw new JsonParseException(parser, otherwise);
        }
    }
}
