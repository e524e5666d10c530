package io.tsp.cost;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Reads profiles, ours by name and users' by path, and follows what they extend. Whatever is wrong is one sentence with
 * file and line.
 */
final class ProfileReader {
    private static final String EXTENDS = "extends";
    private static final String SUFFIX = ".json";
    private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9-]{0,63}");
    private static final int MOST_BYTES = 1 << 20;
    private static final int DEPTH = 16;
    private static final int CHARS = 4096;
    private static final int NUMBER_CHARS = 64;
    private static final JsonFactory JSON = JsonFactory.builder()
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CHARSET_DETECTION)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(DEPTH)
                    .maxNameLength(CHARS)
                    .maxStringLength(CHARS)
                    .maxNumberLength(NUMBER_CHARS)
                    .build())
            .build();

    /** Where a profile is: a file, or one of ours. */
    private record Place(String name, @Nullable Path file) {
        static Place of(String name, @Nullable Path from) {
            if (!name.endsWith(SUFFIX)) {
                return new Place(name, null);
            }
            Path file = from == null ? Path.of(name) : from.resolveSibling(name);
            return new Place(file.toString(), file.toAbsolutePath().normalize());
        }
    }

    private final List<Place> chain = new ArrayList<>();

    private ProfileReader() {}

    /** @param name of one of ours, or the path of a file that ends with .json */
    static ProfileNode read(String name) {
        return new ProfileReader().resolve(Place.of(name, null), null);
    }

    private ProfileNode resolve(Place place, @Nullable ProfileNode reference) {
        if (chain.contains(place)) {
            String cycle = chain.stream().map(Place::name).collect(Collectors.joining(" -> "));
            throw refusal(reference, "profiles extend each other in a circle: " + cycle + " -> " + place.name);
        }
        chain.add(place);
        ProfileNode own = parse(place.name, bytes(place, reference));
        ProfileNode base = own.find(EXTENDS);
        if (base == null) {
            return own;
        }
        SequencedMap<String, ProfileNode> rest = own.members();
        rest.remove(EXTENDS);
        return resolve(Place.of(base.text(), place.file), base)
                .extendedBy(new ProfileNode(own.file(), own.line(), rest));
    }

    private static ProfileException refusal(@Nullable ProfileNode reference, String what) {
        return reference == null ? new ProfileException(what) : reference.failure(what);
    }

    private static byte[] bytes(Place place, @Nullable ProfileNode reference) {
        try (InputStream stream = open(place)) {
            if (stream == null) {
                throw refusal(
                        reference,
                        "there is no hardware profile \"" + place.name + "\"; use one of "
                                + String.join(", ", HardwareProfile.NAMES) + " or the path of a file that ends with "
                                + SUFFIX);
            }
            byte[] bytes = stream.readNBytes(MOST_BYTES + 1);
            if (bytes.length > MOST_BYTES) {
                throw refusal(reference, place.name + " has more than the " + MOST_BYTES + " bytes of a profile");
            }
            return bytes;
        } catch (IOException e) {
            throw refusal(reference, "hardware profile " + place.name + " cannot be read: " + e);
        }
    }

    private static @Nullable InputStream open(Place place) throws IOException {
        if (place.file != null) {
            return Files.newInputStream(place.file);
        }
        return NAME.matcher(place.name).matches()
                ? ProfileReader.class.getResourceAsStream("profiles/" + place.name + SUFFIX)
                : null;
    }

    private static ProfileNode parse(String file, byte[] bytes) {
        try (JsonParser parser = JSON.createParser(bytes)) {
            ProfileNode root = value(file, parser, next(file, parser));
            root.members();
            if (parser.nextToken() != null) {
                throw ProfileException.at(file, line(parser), "there is something behind the end of the profile");
            }
            return root;
        } catch (JsonProcessingException e) {
            JsonLocation place = e.getLocation();
            throw ProfileException.at(
                    file,
                    place == null ? 1 : place.getLineNr(),
                    "not valid JSON: " + e.getOriginalMessage().replaceAll("\\s+", " "));
        } catch (IOException e) {
            throw new UncheckedIOException("a parser over bytes in memory does no input", e);
        }
    }

    private static JsonToken next(String file, JsonParser parser) throws IOException {
        JsonToken token = parser.nextToken();
        if (token == null) {
            throw ProfileException.at(file, line(parser), "the profile ends early");
        }
        return token;
    }

    private static ProfileNode value(String file, JsonParser parser, JsonToken token) throws IOException {
        int line = line(parser);
        Object value = switch (token) {
            case START_OBJECT -> members(file, parser);
            case START_ARRAY -> items(file, parser);
            case VALUE_STRING -> parser.getText();
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getDecimalValue();
            default -> throw ProfileException.at(file, line, "a profile has no place for " + parser.getText());
        };
        return new ProfileNode(file, line, value);
    }

    private static SequencedMap<String, ProfileNode> members(String file, JsonParser parser) throws IOException {
        SequencedMap<String, ProfileNode> members = new LinkedHashMap<>();
        while (next(file, parser) != JsonToken.END_OBJECT) {
            members.put(parser.currentName(), value(file, parser, next(file, parser)));
        }
        return members;
    }

    private static List<ProfileNode> items(String file, JsonParser parser) throws IOException {
        List<ProfileNode> items = new ArrayList<>();
        for (JsonToken token = next(file, parser); token != JsonToken.END_ARRAY; token = next(file, parser)) {
            items.add(value(file, parser, token));
        }
        return List.copyOf(items);
    }

    private static int line(JsonParser parser) {
        return parser.currentTokenLocation().getLineNr();
    }
}
