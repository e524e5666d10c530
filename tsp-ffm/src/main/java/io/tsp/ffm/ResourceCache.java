package io.tsp.ffm;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;

/**
 * Where libraries from a jar are unpacked, since the loader takes files only. A folder per content: named by its
 * checksums, written beside and renamed whole, so that processes and versions can share the cache without a lock. The
 * cache belongs to its user alone (mode 0700); what is in it is checked by SHA-256 before each use.
 */
final class ResourceCache {
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");

    private final Path root;

    ResourceCache(Path root) {
        this.root = root;
    }

    /** {@code tsp.cache.dir} or {@code TSP_CACHE_DIR}, else {@code tsp} in the user's cache folder. */
    static ResourceCache standard() {
        String explicit = System.getProperty("tsp.cache.dir", System.getenv("TSP_CACHE_DIR"));
        if (explicit != null && !explicit.isEmpty()) {
            return new ResourceCache(Path.of(explicit).toAbsolutePath());
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path caches = xdg == null || xdg.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(xdg);
        return new ResourceCache(caches.resolve("tsp").toAbsolutePath());
    }

    /** Whether the class path has the library. */
    boolean has(NativeLibrary library) {
        return ResourceCache.class.getResource(resource(library)) != null;
    }

    private static String resource(NativeLibrary library) {
        return library.folder() + library.fileName();
    }

    /**
     * Makes the resource folder of {@code library} available as files.
     *
     * @param tried receives the resource's name if there is none
     * @return the folder, or null if the class path has no such resource
     */
    @Nullable
    Path unpack(NativeLibrary library, List<String> tried) {
        String resource = resource(library);
        URL url = ResourceCache.class.getResource(resource);
        if (url == null) {
            tried.add("resource " + resource + " of the class path (not there)");
            return null;
        }
        Checksums checksums = Checksums.read(library.checksums());
        try {
            URI resources =
                    URI.create(url.toString().substring(0, url.toString().lastIndexOf('/') + 1));
            Path folder = url.getProtocol().equals("file") ? Path.of(resources) : unpack(resources.toURL(), checksums);
            checksums.verify(folder, library.fileName());
            return folder;
        } catch (IOException e) {
            throw cannotUnpack(url, e);
        }
    }

    /**
     * Makes a single file of the class path available, in a folder named by the file's own SHA-256.
     *
     * @param name the name it is to have
     */
    Path unpack(URL file, String name) {
        try (InputStream in = file.openStream()) {
            byte[] content = in.readAllBytes();
            requirePrivate();
            Path target = Files.createDirectories(root.resolve(
                            HexFormat.of().formatHex(Checksums.sha256().digest(content))))
                    .resolve(name);
            if (!Files.exists(target) || !Arrays.equals(Files.readAllBytes(target), content)) {
                Path partial = Files.createTempFile(root, name, ".part");
                Files.write(partial, content);
                Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            }
            return target;
        } catch (IOException e) {
            throw cannotUnpack(file, e);
        }
    }

    private NativeLibraryException cannotUnpack(URL url, IOException e) {
        return new NativeLibraryException(
                "Cannot unpack " + url + " into " + root + ": " + e
                        + "; set TSP_CACHE_DIR to a folder that you own and can write",
                e);
    }

    private Path unpack(URL folder, Checksums checksums) throws IOException {
        requirePrivate();
        Path target = root.resolve(checksums.id());
        if (!Files.exists(target)) {
            Path partial = Files.createTempDirectory(root, checksums.id() + ".");
            try {
                Loader.extractResource(folder, partial.toFile(), null, null);
                Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            } catch (FileSystemException e) {
                // Fine if another process renamed its copy first: the content is the same.
                if (!Files.isDirectory(target)) {
                    throw e;
                }
            } finally {
                delete(partial);
            }
        }
        return target;
    }

    private void requirePrivate() throws IOException {
        Files.createDirectories(root.getParent());
        if (!Files.exists(root)) {
            try {
                Files.createDirectory(root, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
            } catch (FileAlreadyExistsException e) {
                // Another process made it; it is checked below.
            }
        }
        boolean ownedByUs = Files.getOwner(root).equals(Files.getOwner(Path.of("/proc/self")));
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(root);
        if (!ownedByUs || !permissions.equals(OWNER_ONLY)) {
            throw new NativeLibraryException("The cache of native libraries " + root + " belongs to "
                    + Files.getOwner(root) + " with mode " + PosixFilePermissions.toString(permissions)
                    + ", but must be the user's own with mode rwx------; correct it or set TSP_CACHE_DIR");
        }
    }

    private static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot remove " + folder + ": " + e.getMessage(), e);
        }
    }
}
