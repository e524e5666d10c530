package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.model.ModelException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An object of {@code config.json} whose members are asked for by type and range. A member that is null counts as
 * absent. Every refusal names file, field, value and what is allowed.
 */
final class ConfigFields {
    private static final JsonFactory LIMITS = StrictJson.limits(32, 256, 1 << 16);
    /** Members and list elements in one document; vocabularies and label maps of real configurations have far fewer. */
    private static final int MAX_VALUES = 100_000;
    /** Digits that surely fit a long. */
    private static final int MAX_DIGITS = 18;

    private sealed interface Value {}

    /** A string, number, true or false. */
    private record Scalar(JsonToken kind, String text) implements Value {}

    private record Items(List<Value> values) implements Value {}

    private record Members(Map<String, Value> values) implements Value {}

    private static final Scalar NULL = new Scalar(JsonToken.VALUE_NULL, "null");

    private final String file;
    private final String prefix;
    private final Map<String, Value> values;

    private ConfigFields(String file, String prefix, Map<String, Value> values) {
        this.file = file;
        this.prefix = prefix;
        this.values = values;
    }

    /** Reads a whole document, which must be an object. */
    static ConfigFields parse(String file, byte[] bytes) {
        Parser parser = new Parser(new StrictJson(LIMITS, ModelException.Part.CONFIG, file, bytes, 0));
        return new ConfigFields(file, "", parser.document());
    }

    /** Whether a field is there and not null. */
    boolean has(String field) {
        return values.containsKey(field) && !isNull(field);
    }

    /** Whether a field is there with the value null. */
    boolean isNull(String field) {
        return NULL.equals(values.get(field));
    }

    /** A whole number in a range; absent counts as an error. */
    int integer(String field, int min, int max) {
        return (int) whole(field, min, max);
    }

    int integer(String field, int min, int max, int absent) {
        return has(field) ? integer(field, min, max) : absent;
    }

    long whole(String field, long min, long max) {
        String allowed = "a whole number from " + min + " to " + max;
        if (value(field, allowed) instanceof Scalar(JsonToken kind, String text)
                && kind == JsonToken.VALUE_NUMBER_INT
                && text.length() <= MAX_DIGITS) {
            long number = Long.parseLong(text);
            if (number >= min && number <= max) {
                return number;
            }
        }
        throw bad(field, allowed);
    }

    long whole(String field, long min, long max, long absent) {
        return has(field) ? whole(field, min, max) : absent;
    }

    /** A number in a range; absent counts as an error. */
    double number(String field, double min, double max) {
        String allowed = "a number from " + min + " to " + max;
        if (value(field, allowed) instanceof Scalar(JsonToken kind, String text) && kind.isNumeric()) {
            double number = Double.parseDouble(text);
            if (number >= min && number <= max) {
                return number;
            }
        }
        throw bad(field, allowed);
    }

    double number(String field, double min, double max, double absent) {
        return has(field) ? number(field, min, max) : absent;
    }

    boolean flag(String field, boolean absent) {
        if (!has(field)) {
            return absent;
        }
        if (value(field, "true or false") instanceof Scalar(JsonToken kind, String ignored) && kind.isBoolean()) {
            return kind == JsonToken.VALUE_TRUE;
        }
        throw bad(field, "true or false");
    }

    /** A string; absent counts as an error. */
    String text(String field, String allowed) {
        if (value(field, allowed) instanceof Scalar(JsonToken kind, String text) && kind == JsonToken.VALUE_STRING) {
            return text;
        }
        throw bad(field, allowed);
    }

    String text(String field, String allowed, String absent) {
        return has(field) ? text(field, allowed) : absent;
    }

    /** A list of strings. */
    Optional<List<String>> texts(String field, String allowed) {
        if (!has(field)) {
            return Optional.empty();
        }
        if (!(value(field, allowed) instanceof Items(List<Value> items))) {
            throw bad(field, allowed);
        }
        List<String> texts = new ArrayList<>();
        for (Value item : items) {
            if (!(item instanceof Scalar(JsonToken kind, String text)) || kind != JsonToken.VALUE_STRING) {
                throw bad(field, allowed);
            }
            texts.add(text);
        }
        return Optional.of(texts);
    }

    /** An object. */
    Optional<ConfigFields> object(String field) {
        if (!has(field)) {
            return Optional.empty();
        }
        if (value(field, "an object") instanceof Members(Map<String, Value> members)) {
            return Optional.of(new ConfigFields(file, prefix + field + ".", members));
        }
        throw bad(field, "an object");
    }

    /** The same file's fields without any. */
    ConfigFields none() {
        return new ConfigFields(file, prefix, Map.of());
    }

    boolean isEmpty() {
        return values.isEmpty();
    }

    boolean hasObjects() {
        return values.values().stream().anyMatch(Members.class::isInstance);
    }

    /** A refusal of a field's value. */
    ModelException bad(String field, String allowed) {
        return new ModelException(
                ModelException.Part.CONFIG,
                file + ": " + prefix + field + " is " + shown(values.get(field)) + "; allowed is " + allowed);
    }

    private Value value(String field, String allowed) {
        Value value = values.get(field);
        if (value == null) {
            throw bad(field, allowed);
        }
        return value;
    }

    private static String shown(@Nullable Value value) {
        return switch (value) {
            case null -> "absent";
            case Scalar(JsonToken kind, String text) ->
                kind == JsonToken.VALUE_STRING || text.length() > 40 ? Printable.quote(text) : text;
            case Items(List<Value> items) -> "a list of " + items.size();
            case Members ignored -> "an object";
        };
    }

    /** Builds the tree; recursion is bounded by the reader's nesting limit. */
    private static final class Parser {
        private final StrictJson json;
        private int count;

        Parser(StrictJson json) {
            this.json = json;
        }

        Map<String, Value> document() {
            json.expect(JsonToken.START_OBJECT, () -> "the configuration's object");
            Map<String, Value> members = members();
            json.end(false);
            return members;
        }

        private Map<String, Value> members() {
            Map<String, Value> members = new LinkedHashMap<>();
            while (json.next() != JsonToken.END_OBJECT) {
                String name = json.text();
                if (members.containsKey(name)) {
                    throw json.failure(Printable.quote(name) + " comes twice");
                }
                members.put(name, value(json.next()));
            }
            return members;
        }

        private Value value(JsonToken token) {
            if (++count > MAX_VALUES) {
                throw json.failure("more than " + MAX_VALUES + " values");
            }
            return switch (token) {
                case START_OBJECT -> new Members(members());
                case START_ARRAY -> new Items(items());
                case VALUE_NULL -> NULL;
                case VALUE_TRUE, VALUE_FALSE -> new Scalar(token, token.asString());
                default -> new Scalar(token, json.text());
            };
        }

        private List<Value> items() {
            List<Value> items = new ArrayList<>();
            for (JsonToken token = json.next(); token != JsonToken.END_ARRAY; token = json.next()) {
                items.add(value(token));
            }
            return items;
        }
    }
}
