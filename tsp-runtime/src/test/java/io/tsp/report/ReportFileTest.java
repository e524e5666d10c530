package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a result is lost, half written, or found to be unwritable only after the work. */
class ReportFileTest {
    @TempDir
    private Path folder;

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        }
    }

    private static void writeNumber(ReportFile file) {
        file.write(json -> {
            json.writeStartObject();
            json.writeNumberField("n", 7);
            json.writeEndObject();
        });
    }

    @Test
    void theOldFileStaysUntilTheNewOneIsComplete() throws IOException {
        Path target = Files.writeString(folder.resolve("result.json"), "old");
        try (ReportFile file = ReportFile.create(target)) {
            assertEquals("old", Files.readString(target));
            writeNumber(file);
        }
        assertEquals("{\n  \"n\" : 7\n}\n", Files.readString(target));
        assertEquals(List.of(target), files());
    }

    @Test
    void nothingIsLeftOfWorkThatFailed() throws IOException {
        Path target = folder.resolve("result.json");
        ReportFile.create(target).close();
        assertEquals(List.of(), files());
        try (ReportFile file = ReportFile.create(target)) {
            assertThrows(
                    StorageException.class,
                    () -> file.write(json -> {
                        throw new IOException("the disk is gone");
                    }));
        }
        assertEquals(List.of(), files());
    }

    @Test
    void anUnwritablePlaceIsFoundOutAtOnce() {
        StorageException e =
                assertThrows(StorageException.class, () -> ReportFile.create(folder.resolve("no/result.json")));
        assertTrue(e.getMessage().contains("there is no folder " + folder.resolve("no")), e.getMessage());
        assertFalse(e.getMessage().contains(".tmp"), e.getMessage());
    }

    @Test
    void devicesAreWrittenDirectly() {
        try (ReportFile file = ReportFile.create(Path.of("/dev/null"))) {
            writeNumber(file);
        }
        assertTrue(Files.exists(Path.of("/dev/null")));
    }

    @Test
    void aFullDiskIsAStorageFailure() {
        ReportFile file = ReportFile.create(Path.of("/dev/full"));
        StorageException e = assertThrows(StorageException.class, () -> writeNumber(file));
        assertTrue(e.getMessage().startsWith("/dev/full cannot be written (No space left on device)"), e.getMessage());
    }
}
