package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that code from a shared or damaged folder could be loaded, or that starting twice at once breaks. */
class ResourceCacheTest {
    @TempDir
    private Path folder;

    private Path unpack(Path root) {
        Path unpacked = new ResourceCache(root).unpack(NativeLibrary.OPENMP, new ArrayList<>());
        if (unpacked == null) {
            throw new AssertionError("the oneDNN jar is not on the class path");
        }
        return unpacked;
    }

    @Test
    void unpacksTheWholeFolderForItsOwnerAlone() throws Exception {
        Path root = folder.resolve("deep/cache");
        Path unpacked = unpack(root);
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(root)));
        assertTrue(Files.isRegularFile(unpacked.resolve("libgomp.so.1")));
        assertTrue(Files.isRegularFile(unpacked.resolve("libdnnl.so.3")));
        assertEquals(unpacked, unpack(root));
        assertEquals(1, entries(root));
    }

    @Test
    void manyMayUnpackAtOnce() throws Exception {
        Path root = folder.resolve("cache");
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<Path>> all = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                all.add(threads.submit(() -> unpack(root)));
            }
            Path first = all.getFirst().get();
            for (Future<Path> other : all) {
                assertEquals(first, other.get());
            }
        }
        assertEquals(1, entries(root));
    }

    @Test
    void refusesAChangedLibrary() throws Exception {
        Path root = folder.resolve("cache");
        Path library = unpack(root).resolve("libgomp.so.1");
        Files.write(library, new byte[] {1}, StandardOpenOption.APPEND);
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> unpack(root));
        assertTrue(e.getMessage().startsWith(library + " has SHA-256 "), e.getMessage());
        assertTrue(e.getMessage().endsWith("; delete " + library.getParent() + " and start again"), e.getMessage());
    }

    @Test
    void refusesACacheThatOthersCanRead() throws Exception {
        Path root = Files.createDirectory(
                folder.resolve("cache"),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> unpack(root));
        assertTrue(
                e.getMessage().endsWith("must be the user's own with mode rwx------; correct it or set TSP_CACHE_DIR"),
                e.getMessage());
    }

    @Test
    void namesACacheThatCannotBeMade() throws Exception {
        Path file = Files.createFile(folder.resolve("file"));
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> unpack(file.resolve("cache")));
        assertTrue(e.getMessage().startsWith("Cannot unpack jar:"), e.getMessage());
        assertTrue(e.getMessage().endsWith("set TSP_CACHE_DIR to a folder that you own and can write"), e.getMessage());
    }

    private static long entries(Path root) throws Exception {
        try (Stream<Path> files = Files.list(root)) {
            return files.count();
        }
    }
}
