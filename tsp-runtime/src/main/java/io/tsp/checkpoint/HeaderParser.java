package io.tsp.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.model.ModelException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Reads the JSON of one safetensors header and checks that its tensors tile the data. */
final class HeaderParser {
    private static final JsonFactory LIMITS =
            StrictJson.limits(4, SafetensorsHeader.MAX_NAME_CHARS, SafetensorsHeader.MAX_METADATA_CHARS);

    /** The members of a tensor that have been seen. */
    private static final class Draft {
        @Nullable
        StoredType type;

        @Nullable
        List<Long> dims;

        @Nullable
        List<Long> offsets;
    }

    private final String file;
    private final long dataStart;
    private final long fileBytes;
    private final StrictJson json;
    private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private String tensor = "";
    private long declaredAt;

    HeaderParser(String file, byte[] bytes, long fileBytes) {
        this.file = file;
        this.fileBytes = fileBytes;
        this.dataStart = SafetensorsHeader.LENGTH_BYTES + (long) bytes.length;
        if (bytes[0] != '{') {
            throw FileProblem.at(
                    ModelException.Part.FILE, file, SafetensorsHeader.LENGTH_BYTES, "the header does not begin with {");
        }
        this.json = new StrictJson(LIMITS, ModelException.Part.FILE, file, bytes, SafetensorsHeader.LENGTH_BYTES);
    }

    SafetensorsHeader parse() {
        json.expect(JsonToken.START_OBJECT, () -> "the header's object");
        boolean seenMetadata = false;
        while (json.next() != JsonToken.END_OBJECT) {
            String name = json.text();
            if (!name.equals(SafetensorsHeader.METADATA)) {
                parseTensor(name);
            } else if (seenMetadata) {
                throw json.failure(name + " comes twice");
            } else {
                seenMetadata = true;
                parseMetadata();
            }
        }
        json.end(true);
        return new SafetensorsHeader(inByteOrder(), Collections.unmodifiableMap(metadata));
    }

    private void parseMetadata() {
        json.expect(JsonToken.START_OBJECT, () -> "the object of " + SafetensorsHeader.METADATA);
        while (json.next() != JsonToken.END_OBJECT) {
            String key = json.text();
            if (metadata.size() == SafetensorsHeader.MAX_METADATA_ENTRIES) {
                throw json.failure("more than " + SafetensorsHeader.MAX_METADATA_ENTRIES + " entries in "
                        + SafetensorsHeader.METADATA);
            }
            if (metadata.containsKey(key)) {
                throw json.failure(Printable.quote(key) + " comes twice in " + SafetensorsHeader.METADATA);
            }
            json.expect(JsonToken.VALUE_STRING, () -> "a string in " + SafetensorsHeader.METADATA);
            metadata.put(key, json.text());
        }
    }

    private void parseTensor(String name) {
        tensor = name;
        declaredAt = json.offset();
        if (name.isEmpty()) {
            throw wrong("a tensor without a name");
        }
        if (tensors.containsKey(name)) {
            throw wrong(named() + " comes twice");
        }
        if (tensors.size() == SafetensorsHeader.MAX_TENSORS) {
            throw wrong("more than " + SafetensorsHeader.MAX_TENSORS + " tensors");
        }
        json.expect(JsonToken.START_OBJECT, () -> "the object of " + named());
        Draft draft = new Draft();
        while (json.next() != JsonToken.END_OBJECT) {
            parseMember(draft, json.text());
        }
        if (draft.type == null || draft.dims == null || draft.offsets == null) {
            throw wrong(named() + " lacks dtype, shape or data_offsets");
        }
        tensors.put(name, placed(draft.type, draft.dims, draft.offsets));
    }

    private void parseMember(Draft draft, String member) {
        switch (member) {
            case "dtype" -> {
                requireFirst(draft.type, member);
                draft.type = parseType();
            }
            case "shape" -> {
                requireFirst(draft.dims, member);
                draft.dims = parseNaturals(SafetensorsHeader.MAX_RANK, () -> "a dim of " + named());
            }
            case "data_offsets" -> {
                requireFirst(draft.offsets, member);
                draft.offsets = parseNaturals(2, () -> "an offset of " + named());
            }
            default -> throw json.failure(named() + " has an unknown member " + Printable.quote(member));
        }
    }

    private void requireFirst(@Nullable Object seen, String member) {
        if (seen != null) {
            throw json.failure(member + " of " + named() + " comes twice");
        }
    }

    private StoredType parseType() {
        json.expect(JsonToken.VALUE_STRING, () -> "the dtype of " + named());
        StoredType type = StoredType.find(json.text());
        if (type == null) {
            throw json.failure(named() + " has an unknown dtype " + Printable.quote(json.text()));
        }
        return type;
    }

    private List<Long> parseNaturals(int limit, Supplier<String> what) {
        json.expect(JsonToken.START_ARRAY, () -> "a list with " + what.get());
        List<Long> numbers = new ArrayList<>(2);
        for (JsonToken token = json.next(); token != JsonToken.END_ARRAY; token = json.next()) {
            if (numbers.size() == limit) {
                throw json.failure("more than " + limit + " numbers where " + what.get() + " stands");
            }
            numbers.add(json.natural(token, what));
        }
        return List.copyOf(numbers);
    }

    private StoredTensor placed(StoredType type, List<Long> dims, List<Long> offsets) {
        if (offsets.size() != 2 || offsets.get(1) < offsets.get(0)) {
            throw wrong(named() + " has data_offsets " + offsets + ", not [begin, end]");
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (end > fileBytes - dataStart) {
            throw wrong(named() + " ends at byte " + end + " of the data but the file holds only "
                    + (fileBytes - dataStart));
        }
        long bytes = bytes(type, dims);
        if (bytes != end - begin) {
            throw wrong(named() + " of shape " + dims + " and dtype " + type + " needs " + bytes
                    + " bytes, its data_offsets " + offsets + " hold " + (end - begin));
        }
        return new StoredTensor(tensor, type, dims, dataStart + begin, dataStart + end, declaredAt);
    }

    private long bytes(StoredType type, List<Long> dims) {
        long bits = type.bits();
        try {
            for (long dim : dims) {
                bits = Math.multiplyExact(bits, dim);
            }
        } catch (ArithmeticException e) {
            throw wrong(named() + " of shape " + dims + " has more than 2^63 bits");
        }
        if (bits % Byte.SIZE != 0) {
            throw wrong(named() + " of shape " + dims + " and dtype " + type + " does not fill whole bytes");
        }
        return bits / Byte.SIZE;
    }

    /** The tensors sorted by place; each must begin where the one before it ends, the last end with the file. */
    private SequencedMap<String, StoredTensor> inByteOrder() {
        List<StoredTensor> sorted = new ArrayList<>(tensors.values());
        sorted.sort(Comparator.comparingLong(StoredTensor::begin).thenComparingLong(StoredTensor::end));
        SequencedMap<String, StoredTensor> ordered = LinkedHashMap.newLinkedHashMap(sorted.size());
        long position = dataStart;
        for (StoredTensor next : sorted) {
            if (next.begin() != position) {
                String what = "tensor " + Printable.quote(next.name()) + " begins at byte " + (next.begin() - dataStart)
                        + " of the data where " + (position - dataStart) + " was due, a hole or an overlap";
                throw FileProblem.at(ModelException.Part.FILE, file, next.declaredAt(), what);
            }
            position = next.end();
            ordered.put(next.name(), next);
        }
        if (position != fileBytes) {
            String what = "the last tensor ends here but the file has " + (fileBytes - position) + " more bytes";
            throw FileProblem.at(ModelException.Part.FILE, file, position, what);
        }
        return Collections.unmodifiableSequencedMap(ordered);
    }

    private String named() {
        return "tensor " + Printable.quote(tensor);
    }

    /** A refusal of the tensor as a whole. */
    private ModelException wrong(String what) {
        return FileProblem.at(ModelException.Part.FILE, file, declaredAt, what);
    }
}
