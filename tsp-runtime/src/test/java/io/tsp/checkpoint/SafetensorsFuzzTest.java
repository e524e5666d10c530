package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A failure means that some file makes a reader throw what nobody expects. Each input is a good one with a few bytes
 * changed; lengths are mostly kept right, because otherwise half of the inputs would end at the length field.
 */
class SafetensorsFuzzTest {
    private static final long SEED = Long.getLong("tsp.seed", 20_261_120);
    private static final String FILE = "/x/y.safetensors";
    private static final List<String> HEADERS = List.of(
            "{" + RawSafetensors.entry("a", "F32", "[2,3]", 0, 24) + "}",
            "{\"__metadata__\":{\"format\":\"pt\"}," + RawSafetensors.entry("b", "BF16", "[0]", 0, 0) + ","
                    + RawSafetensors.entry("\\u00e9\\ud83d\\ude00", "I64", "[]", 0, 8) + ","
                    + RawSafetensors.entry("c", "F4", "[4]", 8, 10) + "}   ",
            "{}");
    private static final String INDEX = new SmallModel().index();
    private static final List<String> TOKENS = List.of(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u",
            "null",
            "true",
            "-",
            "-0",
            "1e9",
            "0.5",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "\"__metadata__\"",
            "\"dtype\"",
            "\"shape\"",
            "\"F64\"",
            "\u00ff",
            " ",
            "\n",
            "\"a\"",
            "[[[[[",
            "\"weight_map\"",
            "..",
            "/",
            "\"rope_scaling\"",
            "\"type\"",
            "{\"a\":{\"shape\":[");

    @Test
    void changedFilesAreReadOrRefused() {
        run(50_000);
    }

    @Test
    @Tag("long")
    void manyChangedFilesAreReadOrRefused() {
        run(2_000_000);
    }

    private static void run(int inputs) {
        SplittableRandom random = new SplittableRandom(SEED);
        int accepted = 0;
        for (int i = 0; i < inputs; i++) {
            byte[] input = {};
            try {
                switch (i % 5) {
                    case 0 -> {
                        input = changed(INDEX.getBytes(StandardCharsets.UTF_8), random);
                        ShardIndex.parse(FILE, input);
                    }
                    case 1 -> {
                        input = changed(SmallModel.CONFIG.getBytes(StandardCharsets.UTF_8), random);
                        ConfigReader.read(FILE, input);
                    }
                    default -> {
                        input = file(random);
                        parse(input);
                    }
                }
                accepted++;
            } catch (ModelException e) {
                assertTrue(e.getMessage().startsWith(FILE), () -> e.getMessage());
            } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
                throw new AssertionError(
                        "input " + i + " of seed " + SEED + ": " + new String(input, StandardCharsets.ISO_8859_1), e);
            }
        }
        // Otherwise the inputs were too broken to test anything deep.
        assertTrue(accepted > inputs / 50 && accepted < inputs, "accepted " + accepted + " of " + inputs);
    }

    /** Reads a file from memory, in the steps of {@link SafetensorsFile}. */
    private static void parse(byte[] file) {
        if (file.length < Long.BYTES) {
            return;
        }
        long declared = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
        int length = SafetensorsHeader.length(FILE, declared, file.length);
        SafetensorsHeader header =
                SafetensorsHeader.parse(FILE, Arrays.copyOfRange(file, Long.BYTES, Long.BYTES + length), file.length);
        long position = Long.BYTES + (long) length;
        for (StoredTensor tensor : header.tensors().values()) {
            long bits = tensor.dims().stream().reduce((long) tensor.type().bits(), Math::multiplyExact);
            assertTrue(tensor.begin() == position && bits == tensor.bytes() * 8, () -> "accepted " + tensor);
            position = tensor.end();
        }
        assertTrue(position == file.length);
    }

    private static byte[] file(SplittableRandom random) {
        int header = random.nextInt(HEADERS.size());
        int dataBytes = new int[] {24, 10, 0}[header];
        byte[] json = HEADERS.get(header).getBytes(StandardCharsets.UTF_8);
        if (random.nextInt(8) == 0) {
            return changed(RawSafetensors.file(json, dataBytes), random);
        }
        return RawSafetensors.file(changed(json, random), dataBytes);
    }

    private static byte[] changed(byte[] bytes, SplittableRandom random) {
        byte[] result = bytes;
        for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
            int at = random.nextInt(result.length + 1);
            int to = Math.min(result.length, at + 1 + random.nextInt(8));
            result = switch (random.nextInt(5)) {
                case 0 -> flipped(result, random);
                case 1 -> spliced(result, at, at, random);
                case 2 -> spliced(result, at, to, random);
                case 3 -> joined(result, at, new byte[0], to);
                default -> joined(result, at, Arrays.copyOfRange(result, at, to), at);
            };
        }
        return result;
    }

    private static byte[] flipped(byte[] bytes, SplittableRandom random) {
        byte[] result = bytes.clone();
        if (result.length > 0) {
            result[random.nextInt(result.length)] ^= (byte) (1 << random.nextInt(8));
        }
        return result;
    }

    private static byte[] spliced(byte[] bytes, int from, int to, SplittableRandom random) {
        String token = TOKENS.get(random.nextInt(TOKENS.size()));
        return joined(bytes, from, token.getBytes(StandardCharsets.ISO_8859_1), to);
    }

    private static byte[] joined(byte[] bytes, int from, byte[] middle, int to) {
        ByteBuffer result = ByteBuffer.allocate(from + middle.length + bytes.length - to);
        return result.put(bytes, 0, from)
                .put(middle)
                .put(bytes, to, bytes.length - to)
                .array();
    }
}
