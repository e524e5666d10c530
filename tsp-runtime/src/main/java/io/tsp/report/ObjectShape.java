package io.tsp.report;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** An object with members of known shapes. Members that are not named, and those that are null, are left out. */
final class ObjectShape implements Shape {
    private final Map<String, Shape> members = new LinkedHashMap<>();
    private final Set<String> required = new LinkedHashSet<>();

    /** Names members that may be there. */
    ObjectShape with(Shape shape, String... names) {
        for (String name : names) {
            members.put(name, shape);
        }
        return this;
    }

    /** Names some of the members that must be there. */
    ObjectShape requiring(String... names) {
        required.addAll(List.of(names));
        return this;
    }

    /** What the members are called. */
    Set<String> names() {
        return Set.copyOf(members.keySet());
    }

    @Override
    public Map<String, Object> check(@Nullable Object value, Place place) {
        if (!(value instanceof Map<?, ?> map)) {
            throw place.refuse(value, "an object");
        }
        Map<String, Object> checked = new LinkedHashMap<>();
        members.forEach((name, shape) -> {
            Object member = map.get(name);
            if (member != null || required.contains(name)) {
                checked.put(name, shape.check(member, place.member(name)));
            }
        });
        return checked;
    }
}
