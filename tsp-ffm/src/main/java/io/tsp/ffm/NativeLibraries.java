package io.tsp.ffm;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds and loads shared libraries. Places, in order: the folder that the user names (system property {@code
 * tsp.native.dir} or variable {@code TSP_NATIVE_DIR}; our own libraries are then looked for nowhere else), the {@code
 * native} folder of an unpacked distribution, the jar. The first place that has the file decides: a library that is
 * there but cannot be loaded is an error, never a reason to try the next.
 */
public final class NativeLibraries {
    private final @Nullable Path explicit;
    private final @Nullable Path installed;
    private final ResourceCache cache;

    /**
     * @param explicit the folder that the user names, or null
     * @param installed the distribution's folder, or null
     * @param cache where libraries are unpacked from a jar
     */
    NativeLibraries(@Nullable Path explicit, @Nullable Path installed, ResourceCache cache) {
        this.explicit = explicit;
        this.installed = installed;
        this.cache = cache;
    }

    /** The places that properties, environment and the location of our own jar name. */
    public static NativeLibraries standard() {
        String explicit = System.getProperty("tsp.native.dir", System.getenv("TSP_NATIVE_DIR"));
        return new NativeLibraries(
                explicit == null || explicit.isEmpty()
                        ? null
                        : Path.of(explicit).toAbsolutePath(),
                OwnCode.installedLibraries(),
                ResourceCache.standard());
    }

    /**
     * Loads a library; again does nothing.
     *
     * @return the file that was loaded
     * @throws NativeLibraryException naming every path tried and the loader's own message
     */
    public Path load(NativeLibrary library) {
        if (library == NativeLibrary.MPI) {
            // An MPI on top of UCX would take over SIGSEGV, which the JVM needs.
            NativeEnvironment.setDefault("UCX_ERROR_SIGNALS", "");
        }
        List<String> tried = new ArrayList<>();
        for (Path folder : folders(library)) {
            Path file = folder.resolve(library.fileName());
            if (Files.isRegularFile(file)) {
                return load(library, file, tried);
            }
            tried.add(file + " (no such file)");
        }
        if (explicit == null || !library.ours()) {
            Path folder = cache.unpack(library, tried);
            if (folder != null) {
                return load(library, folder.resolve(library.fileName()), tried);
            }
        }
        throw new NativeLibraryException("Cannot find " + library.fileName() + "; tried " + String.join(", ", tried)
                + "; build it with 'mvn package', or set TSP_NATIVE_DIR to the folder that has it");
    }

    /** Whether {@link #load} would find a file, for libraries that not every build has. */
    public boolean has(NativeLibrary library) {
        return folders(library).stream().anyMatch(folder -> Files.isRegularFile(folder.resolve(library.fileName())))
                || ((explicit == null || !library.ours()) && cache.has(library));
    }

    private List<Path> folders(NativeLibrary library) {
        List<Path> folders = new ArrayList<>();
        if (explicit != null) {
            folders.add(explicit);
        }
        if (installed != null && (explicit == null || !library.ours())) {
            folders.add(installed);
        }
        return folders;
    }

    private static Path load(NativeLibrary library, Path file, List<String> tried) {
        try {
            System.load(file.toAbsolutePath().toString());
            return file;
        } catch (UnsatisfiedLinkError e) {
            String before = tried.isEmpty() ? "" : " (before that, tried " + String.join(", ", tried) + ")";
            throw new NativeLibraryException(
                    "Cannot load " + file + before + ": " + loadersWords(e, file) + "; " + cure(library), e);
        }
    }

    /** The JVM and the loader each put the path before what they say. */
    private static String loadersWords(UnsatisfiedLinkError error, Path file) {
        return String.valueOf(error.getMessage()).replace(file.toAbsolutePath() + ": ", "");
    }

    private static String cure(NativeLibrary library) {
        return library.ours()
                ? "rebuild it for this machine with 'mvn package'"
                : "the libraries in this jar need 64-bit x86 Linux with glibc 2.34 or later";
    }
}
