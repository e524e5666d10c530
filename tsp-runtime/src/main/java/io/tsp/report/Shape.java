package io.tsp.report;

import io.tsp.checkpoint.Printable;
import io.tsp.model.ModelException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a value of a result must be like before a figure is drawn from it. */
@FunctionalInterface
interface Shape {
    /** Whole numbers up to here are exact in a browser. */
    long LARGEST_COUNT = 1L << 53;

    /** A text. */
    Shape TEXT = (value, place) -> {
        if (value instanceof String) {
            return value;
        }
        throw place.refuse(value, "a text");
    };

    /** A whole number from 0 up. */
    Shape COUNT = (value, place) -> {
        if (value instanceof Long number && number >= 0 && number <= LARGEST_COUNT) {
            return number;
        }
        throw place.refuse(value, "a whole number from 0 to 2^53");
    };

    /** A number from 0 up. */
    Shape AMOUNT = (value, place) -> {
        if (value instanceof Number number && number.doubleValue() >= 0 && Double.isFinite(number.doubleValue())) {
            return number;
        }
        throw place.refuse(value, "a number from 0 up");
    };

    /** Yes or no. */
    Shape FLAG = (value, place) -> {
        if (value instanceof Boolean) {
            return value;
        }
        throw place.refuse(value, "true or false");
    };

    /**
     * Where a value stands.
     *
     * @param file as it is named in messages
     * @param path names and indices that lead to the value
     */
    record Place(String file, String path) {
        Place member(String name) {
            return new Place(file, path.isEmpty() ? name : path + "." + name);
        }

        Place element(int index) {
            return new Place(file, path + "[" + index + "]");
        }

        ModelException refuse(@Nullable Object value, String expected) {
            String found = switch (value) {
                case null -> "missing";
                case String text -> Printable.quote(text);
                case Map<?, ?> _ -> "an object";
                case List<?> _ -> "a list";
                default -> value.toString();
            };
            return new ModelException(
                    ModelException.Part.FILE,
                    file + ": " + path + " is " + found + ", not " + expected
                            + "; let the command that wrote the file write it again");
        }
    }

    /**
     * The value, without members that no figure uses.
     *
     * @throws ModelException if it is something else
     */
    Object check(@Nullable Object value, Place place);

    /** A list of such values. */
    default Shape list() {
        return (value, place) -> {
            if (!(value instanceof List<?> list)) {
                throw place.refuse(value, "a list");
            }
            List<Object> checked = new ArrayList<>();
            for (Object element : list) {
                checked.add(check(element, place.element(checked.size())));
            }
            return checked;
        };
    }

    /** An object whose members are all such values, whatever their names are. */
    default Shape byName() {
        return (value, place) -> {
            if (!(value instanceof Map<?, ?> map)) {
                throw place.refuse(value, "an object");
            }
            Map<String, Object> checked = new LinkedHashMap<>();
            map.forEach((name, member) -> checked.put(name.toString(), check(member, place.member(name.toString()))));
            return checked;
        };
    }
}
