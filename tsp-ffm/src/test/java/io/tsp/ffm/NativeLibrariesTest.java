package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a user whose libraries are missing, broken or foreign is not told what to do. */
class NativeLibrariesTest {
    private static final String KERNELS = NativeLibrary.KERNELS_CPU.fileName();

    @TempDir
    private Path folder;

    private Path explicit;
    private Path installed;

    @BeforeEach
    void makeFolders() throws Exception {
        explicit = Files.createDirectory(folder.resolve("explicit"));
        installed = Files.createDirectory(folder.resolve("installed"));
    }

    private NativeLibraries libraries() {
        return new NativeLibraries(explicit, installed, new ResourceCache(folder.resolve("cache")));
    }

    private Path library(Path into) throws Exception {
        return CLibrary.compile(into, KERNELS, "int present(void) { return 1; }");
    }

    @Test
    void prefersTheExplicitFolder() throws Exception {
        Path expected = library(explicit);
        library(installed);
        assertEquals(expected, libraries().load(NativeLibrary.KERNELS_CPU));
        assertEquals(expected, libraries().load(NativeLibrary.KERNELS_CPU), "loading again does nothing");
    }

    @Test
    void looksForOurLibrariesNowhereElse() throws Exception {
        library(installed);
        NativeLibraryException e =
                assertThrows(NativeLibraryException.class, () -> libraries().load(NativeLibrary.KERNELS_CPU));
        assertEquals(
                "Cannot find " + KERNELS + "; tried " + explicit.resolve(KERNELS) + " (no such file); build it with"
                        + " 'mvn package', or set TSP_NATIVE_DIR to the folder that has it",
                e.getMessage());
    }

    @Test
    void tellsWhetherThereIsAFileWithoutLoadingIt() throws Exception {
        assertFalse(libraries().has(NativeLibrary.KERNELS_CUDA));
        Path file = installed.resolve(NativeLibrary.KERNELS_CUDA.fileName());
        Files.writeString(file, "no library");
        assertFalse(libraries().has(NativeLibrary.KERNELS_CUDA), "ours are in the explicit folder or nowhere");
        assertTrue(new NativeLibraries(null, installed, new ResourceCache(folder)).has(NativeLibrary.KERNELS_CUDA));
        Files.move(file, explicit.resolve(file.getFileName()));
        assertTrue(libraries().has(NativeLibrary.KERNELS_CUDA));
        assertTrue(libraries().has(NativeLibrary.OPENMP), "from the jar");
    }

    @Test
    void fallsBackToTheInstalledFolder() throws Exception {
        Path expected = library(installed);
        NativeLibraries libraries = new NativeLibraries(null, installed, new ResourceCache(folder.resolve("cache")));
        assertEquals(expected, libraries.load(NativeLibrary.KERNELS_CPU));
    }

    @Test
    void takesOthersLibrariesFromTheJar() {
        Path file = libraries().load(NativeLibrary.OPENMP);
        assertTrue(file.startsWith(folder.resolve("cache")), file.toString());
    }

    @Test
    void passesOnTheLoadersWordsAboutAFileThatIsNoLibrary() throws Exception {
        Path file = Files.writeString(explicit.resolve(KERNELS), "no library".repeat(1000));
        library(installed);
        NativeLibraryException e =
                assertThrows(NativeLibraryException.class, () -> libraries().load(NativeLibrary.KERNELS_CPU));
        assertTrue(e.getMessage().startsWith("Cannot load " + file + ": invalid ELF header"), e.getMessage());
        assertTrue(e.getMessage().endsWith("; rebuild it for this machine with 'mvn package'"), e.getMessage());
    }

    @Test
    void passesOnTheLoadersWordsAboutAMissingSymbol() throws Exception {
        String source = "extern int nowhere; int *address(void) { return &nowhere; }";
        CLibrary.compile(installed, KERNELS, source);
        NativeLibraries libraries = new NativeLibraries(null, installed, new ResourceCache(folder.resolve("cache")));
        NativeLibraryException e =
                assertThrows(NativeLibraryException.class, () -> libraries.load(NativeLibrary.KERNELS_CPU));
        assertTrue(e.getMessage().contains("undefined symbol: nowhere"), e.getMessage());
    }

    @Test
    void ownCodeIsNoDistributionWhileTesting() {
        assertTrue(Files.exists(OwnCode.location()));
        assertNull(OwnCode.installedLibraries());
        assertFalse(NativeLibrary.DNNL.ours());
    }
}
