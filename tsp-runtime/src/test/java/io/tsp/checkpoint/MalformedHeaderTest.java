package io.tsp.checkpoint;

import static io.tsp.checkpoint.MalformedFile.ANY;
import static io.tsp.checkpoint.MalformedFile.GOOD;
import static io.tsp.checkpoint.MalformedFile.header;
import static io.tsp.checkpoint.RawSafetensors.file;
import static io.tsp.checkpoint.RawSafetensors.fileOfLength;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_16LE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
class MalformedHeaderTest {
    @TempDir
    Path directory;

    @ParameterizedTest
    @MethodSource({"lengthFields", "json", "metadata", "bytesThatAreNotText"})
    void isRefusedWithFileAndByte(MalformedFile malformed) {
        malformed.assertRefused(directory);
    }

    @Test
    void theCasesAreMany() {
        long count = Stream.of(lengthFields(), json(), metadata(), bytesThatAreNotText())
                .flatMap(cases -> cases)
                .map(MalformedFile::name)
                .distinct()
                .count();
        assertTrue(count >= 100, "only " + count);
    }

    static Stream<MalformedFile> lengthFields() {
        List<MalformedFile> cases = new ArrayList<>();
        for (int bytes = 0; bytes < 8; bytes++) {
            cases.add(new MalformedFile("a file of " + bytes + " bytes", new byte[bytes], bytes, "ends before"));
        }
        byte[] json = ("{" + GOOD + "}").getBytes(UTF_8);
        for (long declared :
                new long[] {json.length + 9, json.length + 100, 1000, 99_999_999, 100_000_000, Integer.MAX_VALUE / 64
                }) {
            cases.add(new MalformedFile(
                    "header of " + declared + " in a short file", fileOfLength(declared, json, 8), 0, "follow"));
        }
        for (long declared : new long[] {
            100_000_001, Integer.MAX_VALUE, 1L << 31, 1L << 32, 1L << 40, Long.MAX_VALUE, Long.MIN_VALUE, -1, -8, -100
        }) {
            String unsigned = Long.toUnsignedString(declared);
            cases.add(new MalformedFile("header of " + unsigned, fileOfLength(declared, json, 8), 0, unsigned));
        }
        cases.add(new MalformedFile("header of 0 bytes", fileOfLength(0, json, 8), 0, "too few"));
        cases.add(new MalformedFile("header of 1 byte", fileOfLength(1, json, 8), 0, "too few"));
        cases.add(new MalformedFile("header one byte short", fileOfLength(json.length - 1, json, 8), ANY, ""));
        cases.add(new MalformedFile("header one byte long", fileOfLength(json.length + 1, json, 8), ANY, ""));
        cases.add(new MalformedFile("header over the data", fileOfLength(json.length + 8, json, 8), ANY, ""));
        cases.add(new MalformedFile("header that ends in a string", fileOfLength(3, json, 8), ANY, "JSON"));
        cases.add(new MalformedFile(
                "length in big-endian order", fileOfLength(Long.reverseBytes(json.length), json, 8), 0, "allows"));
        cases.add(new MalformedFile("only a length field", fileOfLength(0, new byte[0], 0), 0, "too few"));
        cases.add(new MalformedFile(
                "length field of all ones alone", fileOfLength(-1, new byte[0], 0), 0, "18446744073709551615"));
        return cases.stream();
    }

    static Stream<MalformedFile> json() {
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
                header(
                        "surrogates the wrong way",
                        "{" + GOOD.replace("\"a\"", "\"\\udc00\\ud800\"") + "}",
                        ANY,
                        "urrogate"),
                header("name of 2,000 characters", "{" + GOOD.replace("\"a\"", quoted(2000)) + "}", ANY, "JSON"),
                header("name of 10 MB", "{" + GOOD.replace("\"a\"", quoted(10_000_000)) + "}", ANY, "JSON"),
                header("dtype of 10 MB", "{" + GOOD.replace("\"F32\"", quoted(10_000_000)) + "}", ANY, "JSON"),
                header("NaN", "{\"a\":NaN}", ANY, "JSON"),
                header("Infinity", "{\"a\":-Infinity}", ANY, "JSON"),
                header("misspelled true", "{\"a\":ture}", ANY, "JSON"));
    }

    static Stream<MalformedFile> metadata() {
        List<MalformedFile> cases = new ArrayList<>();
        for (String wrong : List.of("1", "null", "[]", "\"x\"", "true")) {
            cases.add(header("metadata " + wrong, "{\"__metadata__\":" + wrong + "}", ANY, "object of __metadata__"));
        }
        for (String wrong : List.of("1", "null", "[]", "{}", "true", "1.5")) {
            cases.add(
                    header("metadata value " + wrong, "{\"__metadata__\":{\"k\":" + wrong + "}}", ANY, "a string in"));
        }
        cases.add(header("metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", ANY, "comes twice"));
        cases.add(header(
                "metadata twice, once escaped", "{\"__metadata__\":{},\"__met\\u0061data__\":{}}", ANY, "comes twice"));
        cases.add(header(
                "a metadata key twice",
                "{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}",
                ANY,
                "comes twice in __metadata__"));
        cases.add(header("metadata of 2 MB", "{\"__metadata__\":{\"k\":" + quoted(2_000_000) + "}}", ANY, "JSON"));
        StringBuilder many = new StringBuilder("{\"__metadata__\":{");
        for (int i = 0; i <= 10_000; i++) {
            many.append(i == 0 ? "" : ",").append('"').append(i).append("\":\"\"");
        }
        cases.add(header("10,001 metadata entries", many + "}}", ANY, "more than 10000"));
        return cases.stream();
    }

    static Stream<MalformedFile> bytesThatAreNotText() {
        List<MalformedFile> cases = new ArrayList<>();
        for (String wrong : List.of(
                "\u0080",
                "\u00bf",
                "\u00c0\u0080",
                "\u00c1\u00bf",
                "\u00c3",
                "\u00c3(",
                "\u00e2\u0082",
                "\u00e0\u0080\u0080",
                "\u00ed\u00a0\u0080",
                "\u00ed\u00b0\u0080",
                "\u00f0\u0080\u0080\u0080",
                "\u00f4\u0090\u0080\u0080",
                "\u00f8\u0088\u0080\u0080\u0080",
                "\u00fe",
                "\u00ff")) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + wrong + "\"") + "}").getBytes(ISO_8859_1);
            cases.add(new MalformedFile("bytes " + hex(wrong) + " in a name", file(json, 8), 10, "not UTF-8"));
        }
        for (char control : new char[] {0, 1, 7, '\b', 0x0b, '\f', 0x1b, 0x1f}) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + control + "\"") + "}").getBytes(UTF_8);
            cases.add(new MalformedFile(
                    "control character " + (int) control + " in a name", file(json, 8), 10, "control character"));
        }
        for (char blank : new char[] {'\t', '\n', '\r'}) {
            byte[] json = ("{" + GOOD.replace("\"a\"", "\"" + blank + "\"") + "}").getBytes(UTF_8);
            cases.add(new MalformedFile("raw white space " + (int) blank + " in a name", file(json, 8), ANY, "JSON"));
        }
        cases.add(new MalformedFile(
                "zeros after the document", file(concat("{" + GOOD + "}", new byte[6]), 8), ANY, "control character"));
        cases.add(new MalformedFile("zeros for a header", file(new byte[64], 8), 8, "begin with {"));
        cases.add(new MalformedFile("UTF-16", file("{}".getBytes(UTF_16LE), 0), 9, "control character"));
        return cases.stream();
    }

    private static String quoted(int characters) {
        return "\"" + "x".repeat(characters) + "\"";
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
