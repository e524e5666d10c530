package io.tsp.checkpoint;

import static io.tsp.checkpoint.RawSafetensors.entry;
import static io.tsp.checkpoint.RawSafetensors.of;
import static io.tsp.checkpoint.RawSafetensors.withLength;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_16LE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a damaged or hostile file is read as weights, or kills the process instead of being named. */
class MalformedSafetensorsTest {
    private static final String GOOD = entry("a", "F32", "[2]", 0, 8);
    private static final long ANY = -1;

    @TempDir
    Path directory;

    /** @param offset the byte that the message must name */
    record Case(String name, byte[] bytes, long offset, String saying) {
        @Override
        public String toString() {
            return name;
        }
    }

    @ParameterizedTest
    @MethodSource({"lengthFields", "json", "numbers", "tensors", "metadata", "dtypes", "bytesThatAreNotText"})
    void isRefusedWithFileAndByte(Case malformed) {
        Path file = RawSafetensors.write(directory.resolve("model.safetensors"), malformed.bytes);
        ModelException refusal = Refusal.of(() -> SafetensorsFile.open(file));
        assertEquals(ModelException.Part.FILE, refusal.part());
        String message = refusal.getMessage();
        String place = malformed.offset == ANY ? ", byte " : ", byte " + malformed.offset + ": ";
        assertTrue(message.startsWith(file + place), message);
        assertTrue(message.contains(malformed.saying), message);
    }

    @Test
    void theseAreCases() {
        long count = Stream.of(lengthFields(), json(), numbers(), tensors(), metadata(), dtypes(), bytesThatAreNotText())
                .flatMap(cases -> cases)
                .map(Case::name)
                .distinct()
                .count();
        assertTrue(count >= 150, "only " + count);
    }

    static Stream<Case> lengthFields() {
        List<Case> cases = new ArrayList<>();
        for (int bytes = 0; bytes < 8; bytes++) {
            cases.add(new Case("a file of " + bytes + " bytes", new byte[bytes], bytes, "ends before"));
        }
        byte[] json = ("{" + GOOD + "}").getBytes(UTF_8);
        for (long declared : new long[] {
            json.length + 9, json.length + 100, 1000, 99_999_999, 100_000_000, Integer.MAX_VALUE / 64
        }) {
            cases.add(new Case("header of " + declared + " in a short file", withLength(declared, json, 8), 0, "follow"));
        }
        for (long declared : new long[] {
            100_000_001, Integer.MAX_VALUE, 1L << 31, 1L << 32, 1L << 40, Long.MAX_VALUE, Long.MIN_VALUE, -1, -8, -100
        }) {
            String unsigned = Long.toUnsignedString(declared);
            cases.add(new Case("header of " + unsigned, withLength(declared, json, 8), 0, unsigned));
        }
        cases.add(new Case("header of 0 bytes", withLength(0, json, 8), 0, "too few"));
        cases.add(new Case("header of 1 byte", withLength(1, json, 8), 0, "too few"));
        cases.add(new Case("header one byte short", withLength(json.length - 1, json, 8), ANY, ""));
        cases.add(new Case("header one byte long", withLength(json.length + 1, json, 8), ANY, ""));
        cases.add(new Case("header over the data", withLength(json.length + 8, json, 8), ANY, ""));
        cases.add(new Case("header that ends in a string", withLength(3, json, 8), ANY, "JSON"));
        cases.add(new Case("length in big-endian order", withLength(Long.reverseBytes(json.length), json, 8), 0, "allows"));
        cases.add(new Case("only a length field", withLength(0, new byte[0], 0), 0, "too few"));
        cases.add(new Case("length field of all ones alone", withLength(-1, new byte[0], 0), 0, "18446744073709551615"));
        return cases.stream();
    }

    static Stream<Case> json() {
        String deep = "[".repeat(100_000);
        return Stream.of(
                header("a list", "[1,2]", 8, "begin with {"),
                header("a string", "\"ab\"", 8, "begin with {"),
                header("null", "null", 8, "begin with {"),
                header("a leading space", " {" + GOOD + "}", 8, "begin with {"),
                header("a leading line feed", "\n{" + GOOD + "}", 8, "begin with {"),
                header("a byte order mark", "\ufeff{" + GOOD + "}", 8, "begin with {"),
                header("XML", "<xml/>", 8, "begin with {"),
                header("unclosed object", "{" + GOOD, ANY, "JSON"),
                header("unclosed string", "{\"a", ANY, "JSON"),
                header("only a brace", "{ ", ANY, "JSON"),
                header("a comma too many", "{" + GOOD + ",}", ANY, "JSON"),
                header("a comma in front", "{," + GOOD + "}", 9, "JSON"),
                header("no comma", "{" + GOOD + GOOD.replace("\"a\"", "\"b\"") + "}", ANY, "JSON"),
                header("no colon", "{\"a\" {}}", ANY, "JSON"),
                header("single quotes", "{'a':1}", 9, "JSON"),
                header("name without quotes", "{a:1}", 9, "JSON"),
                header("a comment", "{/**/" + GOOD + "}", 9, "JSON"),
                header("a line comment", "{//\n" + GOOD + "}", 9, "JSON"),
                header("a hash comment", "{#\n" + GOOD + "}", 9, "JSON"),
                header("two documents", "{" + GOOD + "}{}", ANY, "only spaces"),
                header("text after the document", "{" + GOOD + "}x", ANY, "only spaces"),
                header("a line feed after the document", "{" + GOOD + "}\n", ANY, "only spaces"),
                header("a tab after the document", "{" + GOOD + "} \t", ANY, "only spaces"),
                header("a brace after the document", "{" + GOOD + "}}", ANY, "only spaces"),
                header("nesting of 100,000 lists", "{\"a\":" + deep, ANY, ""),
                header("nesting of 100,000 lists in a shape", "{\"a\":{\"shape\":" + deep, ANY, "a dim"),
                header("nesting of 100,000 objects", "{" + "\"a\":{".repeat(100_000), ANY, ""),
                header("unknown escape", "{\"\\x\":{}}", ANY, "JSON"),
                header("short unicode escape", "{\"\\u12\":{}}", ANY, "JSON"),
                header("lone high surrogate", "{" + GOOD.replace("\"a\"", "\"\\ud800\"") + "}", ANY, "urrogate"),
                header("lone low surrogate", "{" + GOOD.replace("\"a\"", "\"\\udc00\"") + "}", ANY, "urrogate"),
                header("surrogates the wrong way", "{" + GOOD.replace("\"a\"", "\"\\udc00\\ud800\"") + "}", ANY, "urrogate"),
                header("name of 2,000 characters", "{" + GOOD.replace("\"a\"", quoted(2000)) + "}", ANY, "JSON"),
                header("name of 10 MB", "{" + GOOD.replace("\"a\"", quoted(10_000_000)) + "}", ANY, "JSON"),
                header("dtype of 10 MB", "{" + GOOD.replace("\"F32\"", quoted(10_000_000)) + "}", ANY, "JSON"),
                header("NaN", "{\"a\":NaN}", ANY, "JSON"),
                header("Infinity", "{\"a\":-Infinity}", ANY, "JSON"),
                header("misspelled true", "{\"a\":ture}", ANY, "JSON"));
    }

    static Stream<Case> numbers() {
        List<Case> cases = new ArrayList<>();
        for (String wrong : List.of(
                "-1", "-0", "1.0", "2.5", "1e3", "2E0", "\"2\"", "null", "true", "[2]", "{}", "9223372036854775808",
                "18446744073709551616", "9".repeat(60), "-9223372036854775808")) {
            cases.add(header("dim " + wrong, "{" + GOOD.replace("[2]", "[" + wrong + "]") + "}", ANY, "a dim of tensor"));
            cases.add(header(
                    "offset " + wrong, "{" + GOOD.replace("[0,8]", "[" + wrong + ",8]") + "}", ANY, "an offset of tensor"));
        }
        for (String wrong : List.of("02", "+2", ".5", "2.", "1e", "0x2", "--1", "9".repeat(10_000_000))) {
            String shown = wrong.length() > 10 ? "10 MB of digits" : wrong;
            cases.add(header("number " + shown, "{" + GOOD.replace("[2]", "[" + wrong + "]") + "}", ANY, "JSON"));
        }
        return cases.stream();
    }

    static Stream<Case> tensors() {
        return Stream.of(
                data("a hole", 12, "hole", GOOD, entry("b", "F32", "[0]", 12, 12)),
                data("a hole between", 16, "hole", GOOD, entry("b", "F32", "[1]", 12, 16)),
                data("an overlap", 12, "overlap", GOOD, entry("b", "F32", "[2]", 4, 12)),
                data("the same bytes twice", 8, "overlap", GOOD, entry("b", "F32", "[2]", 0, 8)),
                data("one within another", 8, "overlap", GOOD, entry("b", "F32", "[1]", 4, 8)),
                data("an empty tensor within another", 8, "overlap", GOOD, entry("b", "F32", "[0]", 4, 4)),
                data("an empty tensor beyond the end", 8, "holds only 8", GOOD, entry("b", "F32", "[0]", 9, 9)),
                data("data that begin at 4", 12, "where 0 was due", entry("a", "F32", "[2]", 4, 12)),
                data("offsets the wrong way", 8, "[begin, end]", entry("a", "F32", "[2]", 8, 0)),
                data("one byte of data too many", 9, "1 more bytes", GOOD),
                data("a kilobyte of data too many", 1032, "1024 more bytes", GOOD),
                data("data without a tensor", 8, "8 more bytes"),
                data("one byte of data missing", 7, "holds only 7", GOOD),
                data("no data", 0, "holds only 0", GOOD),
                data("offsets near 2^63", 8, "holds only 8", entry("a", "F32", "[2]", Long.MAX_VALUE - 8, Long.MAX_VALUE)),
                data("shape too large for its bytes", 8, "needs 12 bytes", entry("a", "F32", "[3]", 0, 8)),
                data("shape too small for its bytes", 8, "needs 4 bytes", entry("a", "F32", "[1]", 0, 8)),
                data("a scalar with two numbers", 8, "needs 4 bytes", entry("a", "F32", "[]", 0, 8)),
                data("an empty shape with bytes", 8, "needs 0 bytes", entry("a", "F32", "[0,7]", 0, 8)),
                data("product that overflows", 8, "2^63", entry("a", "F32", "[4294967296,4294967296]", 0, 8)),
                data("product that wraps to the size", 8, "2^63", entry("a", "F32", "[4294967296,4294967297]", 0, 8)),
                data("product that wraps to 2", 8, "2^63", entry("a", "F32", "[9223372036854775807,9223372036854775806]", 0, 8)),
                data("overflow before a zero", 0, "2^63", entry("a", "F32", "[9223372036854775807,2,0]", 0, 0)),
                data("bits that overflow", 8, "2^63", entry("a", "I64", "[1152921504606846976]", 0, 8)),
                data("rank 65", 4, "more than 64", entry("a", "F32", ones(65), 0, 4)),
                data("rank 10,000", 4, "more than 64", entry("a", "F32", ones(10_000), 0, 4)),
                data("a name twice", 16, "comes twice", GOOD, entry("a", "F32", "[2]", 8, 16)),
                data("a name twice, equal entries", 8, "comes twice", GOOD, GOOD),
                data("a name twice, once escaped", 16, "comes twice", GOOD, entry("\\u0061", "F32", "[2]", 8, 16)),
                data("an empty name", 8, "without a name", entry("", "F32", "[2]", 0, 8)),
                header("a name with a control character", "{" + GOOD.replace("\"a\"", "\"\\u001b[2J\"") + "," + GOOD.replace("\"a\"", "\"\\u001b[2J\"") + "}", ANY, "\\u001b[2J"),
                header("a name with a right-to-left mark", "{\"\\u202e\":1}", ANY, "\\u202e"),
                header("tensor that is a number", "{\"a\":1}", ANY, "object of tensor"),
                header("tensor that is a list", "{\"a\":[]}", ANY, "object of tensor"),
                header("tensor that is null", "{\"a\":null}", ANY, "object of tensor"),
                header("tensor that is a string", "{\"a\":\"b\"}", ANY, "object of tensor"),
                header("no members", "{\"a\":{}}", ANY, "lacks"),
                header("no dtype", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", ANY, "lacks"),
                header("no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", ANY, "lacks"),
                header("no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", ANY, "lacks"),
                member("an unknown member", "\"x\":1", "unknown member"),
                member("a nested unknown member", "\"x\":{\"y\":[]}", "unknown member"),
                member("members in capitals", "\"Shape\":[2]", "unknown member"),
                member("dtype twice", "\"dtype\":\"F32\"", "dtype of tensor \"a\" comes twice"),
                member("shape twice", "\"shape\":[2]", "shape of tensor \"a\" comes twice"),
                member("offsets twice", "\"data_offsets\":[0,8]", "data_offsets of tensor \"a\" comes twice"),
                member("shape twice, once escaped", "\"sh\\u0061pe\":[2]", "shape of tensor \"a\" comes twice"),
                header("shape that is a number", "{" + GOOD.replace("[2]", "2") + "}", ANY, "list with a dim"),
                header("shape that is an object", "{" + GOOD.replace("[2]", "{}") + "}", ANY, "list with a dim"),
                header("offsets that are a number", "{" + GOOD.replace("[0,8]", "8") + "}", ANY, "list with an offset"),
                header("no offset", "{" + GOOD.replace("[0,8]", "[]") + "}", ANY, "[begin, end]"),
                header("one offset", "{" + GOOD.replace("[0,8]", "[8]") + "}", ANY, "[begin, end]"),
                header("three offsets", "{" + GOOD.replace("[0,8]", "[0,8,8]") + "}", ANY, "more than 2 numbers"),
                new Case("200,001 tensors", of(manyTensors(200_001), 0), ANY, "more than 200000 tensors"));
    }

    static Stream<Case> metadata() {
        List<Case> cases = new ArrayList<>();
        for (String wrong : List.of("1", "null", "[]", "\"x\"", "true")) {
            cases.add(header("metadata " + wrong, "{\"__metadata__\":" + wrong + "}", ANY, "object of __metadata__"));
        }
        for (String wrong : List.of("1", "null", "[]", "{}", "true", "1.5")) {
            cases.add(header("metadata value " + wrong, "{\"__metadata__\":{\"k\":" + wrong + "}}", ANY, "a string in"));
        }
        cases.add(header("metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", ANY, "comes twice"));
        cases.add(header(
                "metadata twice, once escaped", "{\"__metadata__\":{},\"__met\\u0061data__\":{}}", ANY, "comes twice"));
        cases.add(header(
                "a metadata key twice", "{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}", ANY, "comes twice in __metadata__"));
        cases.add(header("metadata of 2 MB", "{\"__metadata__\":{\"k\":" + quoted(2_000_000) + "}}", ANY, "JSON"));
        StringBuilder many = new StringBuilder("{\"__metadata__\":{");
        for (int i = 0; i <= 10_000; i++) {
            many.append(i == 0 ? "" : ",").append('"').append(i).append("\":\"\"");
        }
        cases.add(header("10,001 metadata entries", many + "}}", ANY, "more than 10000"));
        return cases.stream();
    }

    static Stream<Case> dtypes() {
        List<Case> cases = new ArrayList<>();
        for (String wrong : List.of("F31", "f32", "float32", "", "FP32", "F32 ", " F32", "BF", "F8", "I128", "Q4_0")) {
            cases.add(header("dtype '" + wrong + "'", "{" + GOOD.replace("F32", wrong) + "}", ANY, "unknown dtype"));
        }
        for (String wrong : List.of("32", "null", "[\"F32\"]", "{}", "true")) {
            cases.add(header("dtype " + wrong, "{" + GOOD.replace("\"F32\"", wrong) + "}", ANY, "the dtype of tensor"));
        }
        for (String type : List.of("F4", "F6_E2M3", "F6_E3M2")) {
            cases.add(data("one element of " + type, 1, "whole bytes", entry("a", type, "[1]", 0, 1)));
            cases.add(data("three elements of " + type, 2, "whole bytes", entry("a", type, "[3]", 0, 2)));
        }
        for (StoredType type : StoredType.values()) {
            int bytes = type.bits() == 6 ? 3 : Math.max(1, type.bytes());
            int count = bytes * 8 / type.bits();
            cases.add(data("one element of " + type + " too many", bytes, "data_offsets",
                    entry("a", type.name(), "[" + 5 * count + "]", 0, bytes)));
        }
        return cases.stream();
    }

    static Stream<Case> bytesThatAreNotText() {
        List<Case> cases = new ArrayList<>();
        for (String wrong : List.of(
                "\u0080", "\u00bf", "\u00c0\u0080", "\u00c1\u00bf", "\u00c3", "\u00c3(", "\u00e2\u0082", "\u00e0\u0080\u0080",
                "\u00ed\u00a0\u0080", "\u00ed\u00b0\u0080", "\u00f0\u0080\u0080\u0080", "\u00f4\u0090\u0080\u0080",
                "\u00f8\u0088\u0080\u0080\u0080", "\u00fe", "\u00ff")) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + wrong + "\"") + "}").getBytes(ISO_8859_1);
            cases.add(new Case("bytes " + hex(wrong) + " in a name", of(json, 8), 10, "not UTF-8"));
        }
        for (char control : new char[] {0, 1, 7, '\b', 0x0b, '\f', 0x1b, 0x1f}) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + control + "\"") + "}").getBytes(UTF_8);
            cases.add(new Case("control character " + (int) control + " in a name", of(json, 8), 10, "control character"));
        }
        for (char blank : new char[] {'\t', '\n', '\r'}) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + blank + "\"") + "}").getBytes(UTF_8);
            cases.add(new Case("raw white space " + (int) blank + " in a name", of(json, 8), ANY, "JSON"));
        }
        cases.add(new Case("zeros after the document", of(concat("{" + GOOD + "}", new byte[6]), 8), ANY, "control character"));
        cases.add(new Case("zeros for a header", of(new byte[64], 8), 8, "begin with {"));
        cases.add(new Case("UTF-16", of("{}".getBytes(UTF_16LE), 0), 9, "control character"));
        return cases.stream();
    }

    private static Case header(String name, String json, long offset, String saying) {
        return new Case("header: " + name, of(json, 8), offset, saying);
    }

    private static Case data(String name, int dataBytes, String saying, String... entries) {
        return new Case("data: " + name, of("{" + String.join(",", entries) + "}", dataBytes), ANY, saying);
    }

    private static Case member(String name, String member, String saying) {
        return header(name, "{" + GOOD.replace("}", "," + member + "}") + "}", ANY, saying);
    }

    private static String quoted(int characters) {
        return "\"" + "x".repeat(characters) + "\"";
    }

    private static String ones(int rank) {
        return "[" + "1,".repeat(rank - 1) + "1]";
    }

    private static String manyTensors(int count) {
        StringBuilder json = new StringBuilder("{");
        for (int i = 0; i < count; i++) {
            json.append(i == 0 ? "" : ",").append(entry("t" + i, "F32", "[0]", 0, 0));
        }
        return json.append('}').toString();
    }

    private static byte[] concat(String text, byte[] bytes) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(text.getBytes(UTF_8));
        out.writeBytes(bytes);
        return out.toByteArray();
    }

    private static String hex(String latin1) {
        StringBuilder hex = new StringBuilder();
        latin1.chars().forEach(c -> hex.append(String.format(Locale.ROOT, "%02x", c)));
        return hex.toString();
    }
}
