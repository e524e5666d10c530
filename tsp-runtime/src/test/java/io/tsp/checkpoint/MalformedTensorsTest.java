package io.tsp.checkpoint;

import static io.tsp.checkpoint.MalformedFile.ANY;
import static io.tsp.checkpoint.MalformedFile.GOOD;
import static io.tsp.checkpoint.MalformedFile.data;
import static io.tsp.checkpoint.MalformedFile.header;
import static io.tsp.checkpoint.RawSafetensors.entry;
import static io.tsp.checkpoint.RawSafetensors.file;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that a tensor is read from bytes that are not its own. */
class MalformedTensorsTest {
    @TempDir
    Path directory;

    @ParameterizedTest
    @MethodSource({"numbers", "tensors", "dtypes"})
    void isRefusedWithFileAndByte(MalformedFile malformed) {
        malformed.assertRefused(directory);
    }

    @Test
    void theCasesAreMany() {
        long count = Stream.of(numbers(), tensors(), dtypes())
                .flatMap(cases -> cases)
                .map(MalformedFile::name)
                .distinct()
                .count();
        assertTrue(count >= 120, "only " + count);
    }

    static Stream<MalformedFile> numbers() {
        List<MalformedFile> cases = new ArrayList<>();
        for (String wrong : List.of(
                "-1",
                "-0",
                "1.0",
                "2.5",
                "1e3",
                "2E0",
                "\"2\"",
                "null",
                "true",
                "[2]",
                "{}",
                "9223372036854775808",
                "18446744073709551616",
                "9".repeat(60),
                "-9223372036854775808")) {
            cases.add(
                    header("dim " + wrong, "{" + GOOD.replace("[2]", "[" + wrong + "]") + "}", ANY, "a dim of tensor"));
            cases.add(header(
                    "offset " + wrong,
                    "{" + GOOD.replace("[0,8]", "[" + wrong + ",8]") + "}",
                    ANY,
                    "an offset of tensor"));
        }
        for (String wrong :
                List.of("9".repeat(65), "02", "+2", ".5", "2.", "1e", "0x2", "--1", "9".repeat(10_000_000))) {
            String shown = wrong.length() > 10 ? "10 MB of digits" : wrong;
            cases.add(header("number " + shown, "{" + GOOD.replace("[2]", "[" + wrong + "]") + "}", ANY, "JSON"));
        }
        return cases.stream();
    }

    static Stream<MalformedFile> tensors() {
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
                data(
                        "offsets near 2^63",
                        8,
                        "holds only 8",
                        entry("a", "F32", "[2]", Long.MAX_VALUE - 8, Long.MAX_VALUE)),
                data("shape too large for its bytes", 8, "needs 12 bytes", entry("a", "F32", "[3]", 0, 8)),
                data("shape too small for its bytes", 8, "needs 4 bytes", entry("a", "F32", "[1]", 0, 8)),
                data("a scalar with two numbers", 8, "needs 4 bytes", entry("a", "F32", "[]", 0, 8)),
                data("an empty shape with bytes", 8, "needs 0 bytes", entry("a", "F32", "[0,7]", 0, 8)),
                data("product that overflows", 8, "2^63", entry("a", "F32", "[4294967296,4294967296]", 0, 8)),
                data("product that wraps to the size", 8, "2^63", entry("a", "F32", "[4294967296,4294967297]", 0, 8)),
                data(
                        "product that wraps to 2",
                        8,
                        "2^63",
                        entry("a", "F32", "[9223372036854775807,9223372036854775806]", 0, 8)),
                data("overflow before a zero", 0, "2^63", entry("a", "F32", "[9223372036854775807,2,0]", 0, 0)),
                data("bits that overflow", 8, "2^63", entry("a", "I64", "[1152921504606846976]", 0, 8)),
                data("rank 65", 4, "more than 64", entry("a", "F32", ones(65), 0, 4)),
                data("rank 10,000", 4, "more than 64", entry("a", "F32", ones(10_000), 0, 4)),
                data("a name twice", 16, "comes twice", GOOD, entry("a", "F32", "[2]", 8, 16)),
                data("a name twice, equal entries", 8, "comes twice", GOOD, GOOD),
                data("a name twice, once escaped", 16, "comes twice", GOOD, entry("\\u0061", "F32", "[2]", 8, 16)),
                data("an empty name", 8, "without a name", entry("", "F32", "[2]", 0, 8)),
                header(
                        "a name with a control character",
                        "{" + GOOD.replace("\"a\"", "\"\\u001b[2J\"") + "," + GOOD.replace("\"a\"", "\"\\u001b[2J\"")
                                + "}",
                        ANY,
                        "\\u001b[2J"),
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
                new MalformedFile("200,001 tensors", file(manyTensors(200_001), 0), ANY, "more than 200000 tensors"));
    }

    static Stream<MalformedFile> dtypes() {
        List<MalformedFile> cases = new ArrayList<>();
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
            cases.add(data(
                    "one element of " + type + " too many",
                    bytes,
                    "data_offsets",
                    entry("a", type.name(), "[" + 5 * count + "]", 0, bytes)));
        }
        return cases.stream();
    }

    private static MalformedFile member(String name, String member, String saying) {
        return header(name, "{" + GOOD.replace("}", "," + member + "}") + "}", ANY, saying);
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
}
