package io.tsp.ffm;

import java.io.IOException;
import java.net.URL;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds NVIDIA's libraries; loads nothing. Places, in order: the file that the library's variable names, which then is
 * the only place; the folders of {@code LD_LIBRARY_PATH}; the system's folders; NVIDIA's Python wheels; for the CUDA
 * runtime, the redistributable jar of {@code org.bytedeco:cuda} on the class path. The first place that has the file
 * decides.
 */
public final class GpuLibraries {
    private static final List<String> SYSTEM_FOLDERS =
            List.of("usr/local/cuda/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib64");

    /** Below each: python3*, then dist-packages or site-packages. */
    private static final List<String> PYTHON_FOLDERS = List.of("usr/local/lib", "usr/lib");

    private static final String JAR_FOLDER = "org/bytedeco/cuda/linux-x86_64/";

    private final Map<String, String> environment;
    private final Path root;
    private final ClassLoader classPath;
    private final ResourceCache cache;

    /**
     * @param root where the system's folders are; folders that variables name are taken as they are
     * @param classPath where a jar may have a library
     */
    public GpuLibraries(Map<String, String> environment, Path root, ClassLoader classPath) {
        this(environment, root, classPath, ResourceCache.standard());
    }

    GpuLibraries(Map<String, String> environment, Path root, ClassLoader classPath, ResourceCache cache) {
        this.environment = environment;
        this.root = root;
        this.classPath = classPath;
        this.cache = cache;
    }

    /** The places of this process. */
    public static GpuLibraries standard() {
        return new GpuLibraries(System.getenv(), Path.of("/"), GpuLibraries.class.getClassLoader());
    }

    /**
     * The file to load.
     *
     * @throws NativeLibraryException naming every place that was looked at, and what to install
     */
    public Path find(GpuLibrary library) {
        String explicit = environment.getOrDefault(library.variable(), "");
        if (!explicit.isEmpty()) {
            return explicit(library, Path.of(explicit));
        }
        List<Path> folders = folders(library);
        for (Path folder : folders) {
            for (String name : library.fileNames()) {
                Path file = folder.resolve(name);
                if (Files.isRegularFile(file)) {
                    return file.toAbsolutePath();
                }
            }
        }
        Path unpacked = library == GpuLibrary.CUDART ? fromJar(library) : null;
        if (unpacked != null) {
            return unpacked;
        }
        throw new NativeLibraryException("Cannot find " + library.product() + " ("
                + String.join(" or ", library.fileNames()) + "); looked in " + words(folders)
                + (library == GpuLibrary.CUDART ? " and in " + JAR_FOLDER + " of the class path" : "")
                + "; install it with " + library.installation() + ", or set " + library.variable() + " to the file");
    }

    private static Path explicit(GpuLibrary library, Path file) {
        if (!Files.isRegularFile(file)) {
            throw new NativeLibraryException(library.variable() + " names " + file
                    + ", which is no file; correct it, or unset it to look in the usual places");
        }
        return file.toAbsolutePath();
    }

    private List<Path> folders(GpuLibrary library) {
        List<Path> folders = new ArrayList<>();
        Stream.of(environment.getOrDefault("LD_LIBRARY_PATH", "").split(":", -1))
                .filter(folder -> !folder.isEmpty())
                .map(Path::of)
                .forEach(folders::add);
        SYSTEM_FOLDERS.stream().map(root::resolve).forEach(folders::add);
        for (Path packages : pythonPackages()) {
            library.wheelFolders().stream().map(packages::resolve).forEach(folders::add);
        }
        return folders;
    }

    /** The folders of installed packages; an active virtual environment first, as Python does. */
    private List<Path> pythonPackages() {
        List<Path> found = new ArrayList<>();
        variable("VIRTUAL_ENV").forEach(folder -> addPackages(folder.resolve("lib"), found));
        variable("HOME").forEach(folder -> addPackages(folder.resolve(".local/lib"), found));
        PYTHON_FOLDERS.forEach(folder -> addPackages(root.resolve(folder), found));
        return found;
    }

    private List<Path> variable(String name) {
        String value = environment.getOrDefault(name, "");
        return value.isEmpty() ? List.of() : List.of(Path.of(value));
    }

    private static void addPackages(Path folder, List<Path> found) {
        List<Path> versions = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, "python3*")) {
            entries.forEach(versions::add);
        } catch (IOException e) {
            // No such folder, or none of ours to read: no packages.
            return;
        }
        versions.stream()
                .sorted()
                .flatMap(version -> Stream.of("site-packages", "dist-packages").map(version::resolve))
                .filter(Files::isDirectory)
                .forEach(found::add);
    }

    private @Nullable Path fromJar(GpuLibrary library) {
        for (String name : library.fileNames()) {
            URL resource = classPath.getResource(JAR_FOLDER + name);
            if (resource != null) {
                return cache.unpack(resource, name);
            }
        }
        return null;
    }

    private static String words(List<Path> folders) {
        return String.join(", ", folders.stream().map(Path::toString).toList());
    }
}
