package io.tsp.cost;

import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A value of a profile's JSON and the line it comes from, so that whatever is wrong with it can be said with its place.
 *
 * @param value a map from names to nodes, a list of nodes, a {@link BigDecimal} or a string
 */
record ProfileNode(String file, int line, Object value) {
    private static final String VALUE = "value";
    private static final Set<String> QUANTITY = Set.of(VALUE, "source", "date");
    private static final BigDecimal LARGEST = new BigDecimal("1e24");
    private static final BigDecimal SMALLEST = new BigDecimal("1e-12");

    ProfileException failure(String what) {
        return ProfileException.at(file, line, what);
    }

    SequencedMap<String, ProfileNode> members() {
        if (value instanceof Map<?, ?> map) {
            SequencedMap<String, ProfileNode> members = new LinkedHashMap<>();
            map.forEach((name, node) -> members.put((String) name, (ProfileNode) node));
            return members;
        }
        throw failure("expected an object, found " + found());
    }

    List<ProfileNode> items() {
        if (value instanceof List<?> list) {
            return list.stream().map(ProfileNode.class::cast).toList();
        }
        throw failure("expected a list, found " + found());
    }

    String text() {
        if (value instanceof String text && !text.isBlank()) {
            return text;
        }
        throw failure("expected a string with something in it, found " + found());
    }

    @Nullable
    ProfileNode find(String name) {
        return members().get(name);
    }

    ProfileNode member(String name) {
        ProfileNode node = find(name);
        if (node == null) {
            throw failure("\"" + name + "\" is missing here; this object has "
                    + members().keySet());
        }
        return node;
    }

    /** Refuses members that nobody reads: they are misspelt, or somebody believes that they matter. */
    ProfileNode only(String... names) {
        List<String> known = List.of(names);
        members().forEach((name, node) -> {
            if (!known.contains(name)) {
                throw node.failure("there is no \"" + name + "\" here; use " + String.join(", ", known));
            }
        });
        return this;
    }

    /** A member {value, source, date} whose value is above 0. */
    double positive(String name) {
        return quantity(name).decimal(name, false);
    }

    /** A member {value, source, date} whose value is 0 or more. */
    double nonNegative(String name) {
        return quantity(name).decimal(name, true);
    }

    /** A member {value, source, date} whose value is a whole number between two. */
    long count(String name, long least, long most) {
        ProfileNode node = quantity(name);
        BigDecimal number = node.number(name);
        boolean within =
                number.compareTo(BigDecimal.valueOf(least)) >= 0 && number.compareTo(BigDecimal.valueOf(most)) <= 0;
        if (!within || number.stripTrailingZeros().scale() > 0) {
            throw node.failure(
                    "\"" + name + "\" is " + number + " but must be a whole number from " + least + " to " + most);
        }
        return number.longValueExact();
    }

    private ProfileNode quantity(String name) {
        ProfileNode quantity = member(name).only("value", "source", "date");
        quantity.requireSource();
        return quantity.member(VALUE);
    }

    /** Every number is somebody's: a profile that cannot say whose is refused. */
    private void requireSource() {
        member("source").text();
        ProfileNode date = member("date");
        if (!date.text().matches("\\d{4}(-\\d{2}){0,2}")) {
            throw date.failure("a date is a year, with month and day if they are known, such as 2025-11-30; found \""
                    + date.text() + "\"");
        }
    }

    private double decimal(String name, boolean orZero) {
        BigDecimal number = number(name);
        int sign = number.signum();
        boolean within = number.compareTo(SMALLEST) >= 0 && number.compareTo(LARGEST) <= 0;
        if (!within && !(sign == 0 && orZero)) {
            throw failure("\"" + name + "\" is " + number + " but must be " + (orZero ? "0 or " : "") + "between "
                    + SMALLEST + " and " + LARGEST);
        }
        return number.doubleValue();
    }

    private BigDecimal number(String name) {
        if (value instanceof BigDecimal number) {
            return number;
        }
        throw failure("\"" + name + "\" must be a number, found " + found());
    }

    private boolean isQuantity() {
        return value instanceof Map<?, ?> map && map.keySet().equals(QUANTITY);
    }

    /** This node with what another one, which extends it, says differently. Quantities and lists are replaced whole. */
    ProfileNode extendedBy(ProfileNode other) {
        boolean merges = value instanceof Map && other.value instanceof Map && !isQuantity() && !other.isQuantity();
        if (!merges) {
            return other;
        }
        SequencedMap<String, ProfileNode> merged = members();
        other.members()
                .forEach((name, node) -> merged.merge(name, node, (base, extension) -> base.extendedBy(extension)));
        return new ProfileNode(other.file, other.line, merged);
    }

    /** A text that two profiles have in common exactly if they say the same, in whatever order and layout. */
    void canonical(StringBuilder text) {
        switch (value) {
            case Map<?, ?> _ -> {
                text.append('{');
                new TreeMap<>(members()).forEach((name, node) -> {
                    text.append(name.length()).append(':').append(name);
                    node.canonical(text);
                });
                text.append('}');
            }
            case List<?> _ -> {
                text.append('[');
                items().forEach(node -> node.canonical(text));
                text.append(']');
            }
            case BigDecimal number ->
                text.append('#').append(number.stripTrailingZeros()).append(';');
            default ->
                text.append('"').append(value.toString().length()).append(':').append(value);
        }
    }

    private String found() {
        return switch (value) {
            case Map<?, ?> _ -> "an object";
            case List<?> _ -> "a list";
            case String text -> "the string \"" + text + "\"";
            default -> value.toString();
        };
    }
}
