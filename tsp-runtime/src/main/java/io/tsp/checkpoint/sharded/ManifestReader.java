package io.tsp.checkpoint.sharded;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.Printable;
import io.tsp.checkpoint.StrictJson;
import io.tsp.mesh.Range;
import io.tsp.model.ModelException;
import io.tsp.model.Parameter.Block;
import io.tsp.tensor.DType;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/** Reads manifest.json, member by member: none may lack, come twice, or be unknown. */
final class ManifestReader {
    static final int MAX_BYTES = 256 << 20;
    private static final int MAX_STRING_CHARS = 1 << 16;
    private static final JsonFactory LIMITS = StrictJson.limits(6, 1024, MAX_STRING_CHARS);
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final Set<String> SIDECAR = Set.of("format", "version", "files");
    private static final Set<String> MANIFEST =
            Set.of("format", "version", "step", "scheme", "ranks", "dtype", "moments", "state", "files");

    private final String file;
    private final StrictJson json;
    private long step;
    private String scheme = "";
    private int ranks;
    private DType dtype = DType.F32;
    private DType moments = DType.F32;
    private final SortedMap<String, String> state = new TreeMap<>();
    private final List<FileEntry> files = new ArrayList<>();
    private final Set<String> names = new HashSet<>();

    private ManifestReader(String file, byte[] bytes) {
        this.file = file;
        this.json = new StrictJson(LIMITS, ModelException.Part.FILE, file, bytes, 0);
    }

    /**
     * The manifest in these bytes.
     *
     * @param file as it is named in messages
     * @throws ModelException (FILE) naming file and byte
     */
    static Manifest read(String file, byte[] bytes) {
        ManifestReader reader = new ManifestReader(file, bytes);
        reader.document(MANIFEST);
        for (FileEntry entry : reader.files) {
            if (StepNames.rank(entry.name()).orElse(0) >= reader.ranks) {
                throw reader.json.failure(entry.name() + " is of a rank beyond " + reader.ranks);
            }
        }
        CheckpointInfo info = new CheckpointInfo(
                reader.step, reader.scheme, reader.ranks, reader.dtype, reader.moments, reader.state);
        return new Manifest(info, reader.files);
    }

    /** The files that a process reports. */
    static List<FileEntry> readSidecar(String file, byte[] bytes) {
        ManifestReader reader = new ManifestReader(file, bytes);
        reader.document(SIDECAR);
        return reader.files;
    }

    private void document(Set<String> members) {
        json.expect(JsonToken.START_OBJECT, () -> "the manifest's object");
        members("the manifest", members, Set.of(), this::member);
        json.end(false);
    }

    private void member(String name) {
        switch (name) {
            case "format" -> requireFormat();
            case "version" -> requireVersion();
            case "step" -> step = natural(name, StepNames.MAX_STEP);
            case "scheme" -> scheme = text(name);
            case "ranks" -> {
                ranks = (int) natural(name, CheckpointInfo.MAX_RANKS);
                if (ranks == 0) {
                    throw json.failure("a checkpoint without ranks");
                }
            }
            case "dtype" -> dtype = dtype(name);
            case "moments" -> moments = dtype(name);
            case "state" -> readState();
            default -> list(name, this::readFile);
        }
    }

    private void requireFormat() {
        String found = text("format");
        if (!found.equals(Manifest.FORMAT)) {
            throw json.failure("the format is " + Printable.quote(found) + ", not " + Manifest.FORMAT);
        }
    }

    private void requireVersion() {
        long found = natural("version", Long.MAX_VALUE);
        if (found != Manifest.VERSION) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    file + " is of version " + found + " of the format and this build reads version " + Manifest.VERSION
                            + "; read it with the build that wrote it");
        }
    }

    private void readState() {
        json.expect(JsonToken.START_OBJECT, () -> "the object of state");
        while (json.next() != JsonToken.END_OBJECT) {
            String key = json.text();
            if (state.containsKey(key)) {
                throw json.failure(Printable.quote(key) + " comes twice in state");
            }
            state.put(key, text("state"));
        }
    }

    private void readFile() {
        List<Block> slices = new ArrayList<>();
        String[] texts = new String[2];
        long[] bytes = new long[1];
        members("a file", Set.of("name", "bytes", "sha256"), Set.of("slices"), member -> {
            switch (member) {
                case "name" -> texts[0] = fileName();
                case "bytes" -> bytes[0] = natural(member, Long.MAX_VALUE);
                case "sha256" -> texts[1] = sha256();
                default -> list(member, () -> slices.add(slice()));
            }
        });
        if (slices.isEmpty() != StepNames.rank(texts[0]).isEmpty()) {
            throw json.failure(texts[0] + (slices.isEmpty() ? " lists no slices" : " lists slices"));
        }
        files.add(new FileEntry(texts[0], bytes[0], texts[1], slices));
    }

    private String fileName() {
        String name = text("name");
        if (!ModelFiles.isPlainName(name)) {
            throw json.failure("the file name " + Printable.quote(name) + " is not that of a file in the directory");
        }
        if (name.equals(Manifest.NAME) || name.equals(Manifest.DIGEST_NAME) || !names.add(name)) {
            throw json.failure("the file name " + Printable.quote(name) + " comes twice");
        }
        return name;
    }

    private String sha256() {
        String hex = text("sha256");
        if (!SHA256.matcher(hex).matches()) {
            throw json.failure("sha256 is " + Printable.quote(hex) + ", not 64 lower-case hexadecimal digits");
        }
        return hex;
    }

    private Block slice() {
        String[] weight = new String[1];
        Range[] ranges = new Range[2];
        members("a slice", Set.of("weight", "rows", "columns"), Set.of(), member -> {
            switch (member) {
                case "weight" -> weight[0] = text(member);
                case "rows" -> ranges[0] = range(member);
                default -> ranges[1] = range(member);
            }
        });
        return new Block(weight[0], ranges[0], ranges[1]);
    }

    private Range range(String what) {
        json.expect(JsonToken.START_ARRAY, () -> what + " as a list of two numbers");
        long from = natural(what, Long.MAX_VALUE);
        long to = natural(what, Long.MAX_VALUE);
        if (to <= from) {
            throw json.failure(what + " [" + from + ", " + to + "] hold nothing");
        }
        json.expect(JsonToken.END_ARRAY, () -> "the end of " + what);
        return new Range(from, to);
    }

    private DType dtype(String what) {
        String name = text(what);
        return switch (name) {
            case "f32" -> DType.F32;
            case "bf16" -> DType.BF16;
            default -> throw json.failure(what + " is " + Printable.quote(name) + ", not f32 or bf16");
        };
    }

    private String text(String what) {
        json.expect(JsonToken.VALUE_STRING, () -> "a string as " + what);
        return json.text();
    }

    private long natural(String what, long max) {
        long number = json.natural(json.next(), () -> what);
        if (number > max) {
            throw json.failure(what + " is " + number + ", more than " + max);
        }
        return number;
    }

    /** A list of objects; each is read from behind its opening brace. */
    private void list(String what, Runnable object) {
        json.expect(JsonToken.START_ARRAY, () -> "the list of " + what);
        for (JsonToken token = json.next(); token != JsonToken.END_ARRAY; token = json.next()) {
            if (token != JsonToken.START_OBJECT) {
                throw json.failure("something else than an object in the list of " + what);
            }
            object.run();
        }
    }

    /** The members of an object whose brace has been read. */
    private void members(String what, Set<String> required, Set<String> optional, Consumer<String> member) {
        Set<String> seen = new HashSet<>();
        while (json.next() != JsonToken.END_OBJECT) {
            String name = json.text();
            if (!required.contains(name) && !optional.contains(name)) {
                throw json.failure(what + " has an unknown member " + Printable.quote(name));
            }
            if (!seen.add(name)) {
                throw json.failure(Printable.quote(name) + " comes twice in " + what);
            }
            member.accept(name);
        }
        for (String name : required) {
            if (!seen.contains(name)) {
                throw json.failure(what + " lacks " + name);
            }
        }
    }
}
