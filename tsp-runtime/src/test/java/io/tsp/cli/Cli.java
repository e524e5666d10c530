package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.checkpoint.StoredTensor;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What a user gets from a command in a terminal that is none. */
record Cli(int code, String out, String err) {
    static final Path FIXTURES = Path.of("src/test/resources/fixtures");

    static Cli run(Object... args) {
        return in(Map.of(), args);
    }

    static Cli in(Map<String, String> environment, Object... args) {
        return stoppable(new StopRequest(), environment, args);
    }

    /** A command that someone may ask to stop. */
    static Cli stoppable(StopRequest stop, Map<String, String> environment, Object... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        Terminal terminal =
                new Terminal(new PrintWriter(out, true), new PrintWriter(err, true), false, false, environment, stop);
        String[] texts = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            texts[i] = args[i].toString();
        }
        return new Cli(Main.run(terminal, texts), out.toString(), err.toString());
    }

    /** A command that must work. */
    static Cli ok(Object... args) {
        Cli cli = run(args);
        assertEquals(0, cli.code, cli.err);
        return cli;
    }

    /** A document as maps, lists, strings, doubles, booleans and nulls. */
    static Map<String, Object> json(Path file) throws IOException {
        try (JsonParser parser = new JsonFactory().createParser(file.toFile())) {
            parser.nextToken();
            Map<String, Object> document = object(parser);
            assertEquals(null, parser.nextToken(), "more than one document in " + file);
            return document;
        }
    }

    private static @Nullable Object value(JsonParser parser) throws IOException {
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser);
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(parser));
                }
                yield list;
            }
            case VALUE_STRING -> parser.getText();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> parser.getDoubleValue();
        };
    }

    private static Map<String, Object> object(JsonParser parser) throws IOException {
        Map<String, Object> fields = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            fields.put(name, value(parser));
        }
        return fields;
    }

    /** Elements of a tensor of f32. */
    static float[] floats(Path file, String name) {
        try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
            StoredTensor tensor = Objects.requireNonNull(tensors.tensors().get(name), name);
            ByteBuffer bytes =
                    ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
            tensors.read(tensor, 0, bytes);
            float[] values = new float[bytes.flip().remaining() / Float.BYTES];
            bytes.asFloatBuffer().get(values);
            return values;
        }
    }
}
