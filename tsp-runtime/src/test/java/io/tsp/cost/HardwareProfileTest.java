package io.tsp.cost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that figures come from numbers that are not those of a file, or that a bad file gets through. */
class HardwareProfileTest {
    private static final String SOURCE = ", \"source\": \"a test\", \"date\": \"2026-11-21\"}";

    @TempDir
    Path folder = Path.of("set by JUnit");

    @ParameterizedTest
    @FieldSource("io.tsp.cost.HardwareProfile#NAMES")
    void oursAreRead(String name) {
        HardwareProfile profile = HardwareProfile.of(name);
        assertEquals(name, profile.name());
        for (DType dtype : List.of(DType.BF16, DType.F32)) {
            assertTrue(profile.device().gemm(dtype).sustained()
                    < profile.device().gemm(dtype).nominal());
            assertTrue(profile.device().attention(dtype, 128).forward()
                    < profile.device().gemm(dtype).nominal());
        }
    }

    @Test
    void attentionIsThatOfHeadDimension() {
        DeviceProfile device = HardwareProfile.of("h200").device();
        assertEquals(64, device.attention(DType.BF16, 32).headDim());
        assertEquals(64, device.attention(DType.BF16, 64).headDim());
        assertEquals(128, device.attention(DType.BF16, 80).headDim());
        assertEquals(128, device.attention(DType.BF16, 256).headDim());
    }

    @Test
    void extensionReplacesWhatItSays() throws IOException {
        HardwareProfile base = HardwareProfile.of("h100");
        HardwareProfile mine = read(base("\"memoryBytes\": {\"value\": 96e9" + SOURCE));
        assertEquals(96_000_000_000L, mine.device().memoryBytes());
        assertEquals(base.device().gemm(), mine.device().gemm());
        assertEquals(base.topology(), mine.topology());
        assertEquals("mine", mine.name());
        assertNotEquals(base.hash(), mine.hash());
    }

    @Test
    void hashIsOfWhatIsSaid() throws IOException {
        String memory = "\"memoryBytes\": {\"value\": 96e9" + SOURCE;
        String launch = "\"launchSeconds\": {\"value\": 1e-6" + SOURCE;
        String hash = read(base(memory + ", " + launch)).hash();
        assertEquals(
                hash,
                read(base(launch + ",\n\n " + memory.replace("96e9", "96000000000.0")))
                        .hash());
        assertNotEquals(
                hash, read(base(memory.replace("96e9", "97e9") + ", " + launch)).hash());
        assertNotEquals(
                hash,
                read(base(memory.replace("a test", "a rumour") + ", " + launch)).hash());
    }

    @Test
    void profilesExtendFilesBesideThem() throws IOException {
        Files.createDirectory(folder.resolve("inner"));
        Files.writeString(folder.resolve("base.json"), base("\"memoryBytes\": {\"value\": 7" + SOURCE));
        Path file = folder.resolve("inner/mine.json");
        Files.writeString(file, "{\"extends\": \"../base.json\", \"name\": \"inner\"}");
        assertEquals(7, HardwareProfile.of(file.toString()).device().memoryBytes());
    }

    private static String base(String device) {
        return "{\"extends\": \"h100\", \"name\": \"mine\", \"device\": {" + device + "}}";
    }

    private HardwareProfile read(String text) throws IOException {
        Path file = folder.resolve("mine.json");
        Files.writeString(file, text);
        return HardwareProfile.of(file.toString());
    }

    /** @param sentence what must be said, with the line */
    record Bad(String text, String sentence) {}

    private static Bad device(String member, String sentence) {
        return new Bad(
                "{\"extends\": \"h100\",\n \"name\": \"bad\",\n \"device\": {\n" + member + "}}",
                "line 4: " + sentence);
    }

    private static Bad quantity(String name, String value, String sentence) {
        return device("\"" + name + "\": {\"value\": " + value + SOURCE, sentence);
    }

    private static Bad topology(String member, String sentence) {
        return new Bad("{\"extends\": \"h100\",\n \"topology\": {\n" + member + "}}", "line 3: " + sentence);
    }

    static List<Bad> bad() {
        return List.of(
                quantity("memoryBytesPerSecond", "-3e12", "\"memoryBytesPerSecond\" is -3E+12 but must be between"),
                quantity("memoryBytesPerSecond", "0", "\"memoryBytesPerSecond\" is 0 but must be between"),
                quantity("memoryBytesPerSecond", "1e25", "\"memoryBytesPerSecond\" is 1E+25 but must be between"),
                quantity("memoryBytesPerSecond", "1e-300", "\"memoryBytesPerSecond\" is 1E-300 but must be between"),
                quantity("launchSeconds", "-1", "\"launchSeconds\" is -1 but must be 0 or between"),
                quantity("memoryBytes", "9223372036854775808", "\"memoryBytes\" is 9223372036854775808 but must be"),
                quantity("memoryBytes", "1e999999999", "\"memoryBytes\" is 1E+999999999 but must be a whole number"),
                quantity("memoryBytes", "1.5", "\"memoryBytes\" is 1.5 but must be a whole number from 1 to"),
                quantity("units", "\"132\"", "\"units\" must be a number, found the string \"132\""),
                quantity("transferUnits", "132", "\"transferUnits\" is 132 but must be a whole number from 0 to 131"),
                quantity("wattage", "700", "there is no \"wattage\" here; use units, transferUnits,"),
                device("\"units\": 132", "expected an object, found 132"),
                device("\"units\": {\"value\": 132}", "\"source\" is missing here"),
                device("\"units\": {\"value\": 1, \"source\": \" \", \"date\": \"2026\"}", "expected a string with"),
                device("\"units\": {\"value\": 1, \"source\": \"x\", \"date\": \"soon\"}", "a date is a year"),
                device("\"units\": {\"value\": null" + SOURCE, "a profile has no place for null"),
                device("\"units\": {}, \"units\": {}", "not valid JSON: Duplicate field 'units'"),
                device("\"gemm\": {\"fp8\": {}}", "there is no dtype \"fp8\"; use bf16 or f32"),
                device("\"gemm\": {\"bf16\": {\"tiles\": []}}", "a GEMM needs a tile"),
                topology("\"network\": {\"link\": \"token-ring\"}", "there is no link \"token-ring\"; \"links\" has ["),
                topology("\"node\": {\"kind\": \"hypercube\"}", "there is no kind of node \"hypercube\"; use mesh,"),
                topology(
                        "\"links\": {\"nvlink\": {\"bytesPerSecond\": {\"value\": -1" + SOURCE + "}}",
                        "\"bytesPerSecond\" is -1 but must be"),
                new Bad(
                        "{\"extends\": \"h100\",\n\"transports\": {\"broadcast\": [\"pigeon\"]}}",
                        "line 2: there is no transport"),
                new Bad(
                        "{\"extends\": \"h100\",\n\"transports\": {\"broadcast\": [\"rails\"]}}",
                        "line 2: broadcast needs"),
                new Bad(
                        "{\n\"extends\": \"h1000\"}",
                        "line 2: there is no hardware profile \"h1000\"; use one of mi300x,"),
                new Bad("{\n\"extends\": \"../../etc/passwd\"}", "line 2: there is no hardware profile"),
                new Bad("{\n\"extends\": \"none.json\"}", "line 2: hardware profile"),
                new Bad("{\n\"extends\": \"bad.json\"}", "line 2: profiles extend each other in a circle:"),
                new Bad("{\n\"name\": \"x\"}", "line 1: \"device\" is missing here"),
                new Bad("[]", "line 1: expected an object, found a list"),
                new Bad("", "line 1: the profile ends early"),
                new Bad("{\n\"name\":", "line 2: "),
                new Bad("{}\n{}", "line 2: there is something behind the end"),
                new Bad("{\"a\":".repeat(50), "line 1: not valid JSON: "),
                new Bad("{\n\"name\": true}", "line 2: a profile has no place for true"));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void badOnesAreRefusedWithPlace(Bad bad) throws IOException {
        Path file = folder.resolve("bad.json");
        Files.writeString(file, bad.text);
        ProfileException e = assertThrows(ProfileException.class, () -> HardwareProfile.of(file.toString()));
        String message = String.valueOf(e.getMessage());
        assertTrue(message.startsWith(file + ", " + bad.sentence), message);
        assertEquals(1, message.lines().count(), message);
    }

    @Test
    void unknownNameIsRefused() {
        ProfileException e = assertThrows(ProfileException.class, () -> HardwareProfile.of("abacus"));
        assertTrue(String.valueOf(e.getMessage()).startsWith("there is no hardware profile \"abacus\"; use one of"));
    }

    /** Whatever stands in a file, it is a profile or gets a sentence. */
    @Test
    void damagedFilesAreRefused() throws IOException {
        byte[] good;
        try (var stream = HardwareProfile.class.getResourceAsStream("profiles/h100.json")) {
            good = Objects.requireNonNull(stream).readAllBytes();
        }
        Random random = new Random(7);
        Path file = folder.resolve("damaged.json");
        int refused = 0;
        for (int trial = 0; trial < 2000; trial++) {
            byte[] bytes = good.clone();
            for (int i = random.nextInt(3); i >= 0; i--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
            }
            Files.write(file, bytes);
            try {
                HardwareProfile.of(file.toString());
            } catch (ProfileException e) {
                refused++;
                assertTrue(String.valueOf(e.getMessage()).contains(", line "), e.getMessage());
            }
        }
        assertTrue(refused > 500, refused + " refused");
    }
}
