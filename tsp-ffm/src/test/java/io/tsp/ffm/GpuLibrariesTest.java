package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a user's CUDA or NCCL is not found, or that another one than the user meant would be loaded. */
class GpuLibrariesTest {
    private static final String WHEELS = "usr/lib/python3.12/site-packages/nvidia/";

    @TempDir
    private Path root;

    private final Map<String, String> environment = new HashMap<>();

    private Path file(String path) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, path);
    }

    private GpuLibraries libraries(URL... jars) {
        return new GpuLibraries(
                environment, root, new URLClassLoader(jars, null), new ResourceCache(root.resolve("cache/tsp")));
    }

    private Path find(GpuLibrary library) {
        return libraries().find(library);
    }

    private String refusal(GpuLibrary library) {
        return String.valueOf(
                assertThrows(NativeLibraryException.class, () -> find(library)).getMessage());
    }

    /** Each place that is added goes before those that were there. */
    @Test
    void placesAreTriedInOrder() throws IOException {
        environment.put("HOME", root.resolve("home").toString());
        environment.put("VIRTUAL_ENV", root.resolve("venv").toString());
        environment.put("LD_LIBRARY_PATH", ":" + root.resolve("first") + "::" + root.resolve("second"));
        for (String place : List.of(
                "usr/lib/python3/dist-packages/nvidia/nccl/lib",
                "usr/local/lib/python3.9/dist-packages/nvidia/nccl/lib",
                "home/.local/lib/python3.11/site-packages/nvidia/nccl/lib",
                "venv/lib/python3.13/site-packages/nvidia/nccl/lib",
                "usr/lib64",
                "usr/lib/x86_64-linux-gnu",
                "usr/local/cuda/lib64",
                "second",
                "first")) {
            Path file = file(place + "/libnccl.so.2");
            assertEquals(file, find(GpuLibrary.NCCL));
        }
        Path named = file("anywhere/my-nccl.so");
        environment.put("TSP_NCCL_LIBRARY", named.toString());
        assertEquals(named, find(GpuLibrary.NCCL));
    }

    @Test
    void theNewerVersionOfAFolderGoesFirst() throws IOException {
        Path twelve = file("usr/local/cuda/lib64/libcudart.so.12");
        assertEquals(twelve, find(GpuLibrary.CUDART));
        Path elsewhere = file("usr/lib64/libcudart.so.13");
        assertEquals(twelve, find(GpuLibrary.CUDART), "the first place decides, although " + elsewhere + " is newer");
        assertEquals(file("usr/local/cuda/lib64/libcudart.so.13"), find(GpuLibrary.CUDART));
    }

    @Test
    void wheelsOfBothVersionsAreKnown() throws IOException {
        Path runtime12 = file(WHEELS + "cuda_runtime/lib/libcudart.so.12");
        Path blas12 = file(WHEELS + "cublas/lib/libcublasLt.so.12");
        assertEquals(runtime12, find(GpuLibrary.CUDART));
        assertEquals(blas12, find(GpuLibrary.CUBLASLT));
        assertEquals(file(WHEELS + "cu13/lib/libcudart.so.13"), find(GpuLibrary.CUDART));
        assertEquals(file(WHEELS + "cu13/lib/libcublasLt.so.13"), find(GpuLibrary.CUBLASLT));
    }

    @Test
    void aJarOfTheClassPathIsTheLastPlace() throws IOException {
        Path jar = root.resolve("jar/");
        file("jar/org/bytedeco/cuda/linux-x86_64/libcudart.so.13");
        file("jar/org/bytedeco/cuda/linux-x86_64/libcublasLt.so.13");
        GpuLibraries libraries = libraries(jar.toUri().toURL());
        Path unpacked = libraries.find(GpuLibrary.CUDART);
        assertTrue(unpacked.startsWith(root.resolve("cache/tsp")), unpacked::toString);
        assertEquals("libcudart.so.13", unpacked.getFileName().toString());
        byte[] content = "jar/org/bytedeco/cuda/linux-x86_64/libcudart.so.13".getBytes(StandardCharsets.UTF_8);
        assertArrayEquals(content, Files.readAllBytes(unpacked));
        Files.writeString(unpacked, "changed by somebody");
        assertArrayEquals(content, Files.readAllBytes(libraries.find(GpuLibrary.CUDART)));
        assertThrows(NativeLibraryException.class, () -> libraries.find(GpuLibrary.CUBLASLT));
        Path system = file("usr/lib64/libcudart.so.12");
        assertEquals(system, libraries.find(GpuLibrary.CUDART));
    }

    @Test
    void oneSentenceSaysWhereItLookedAndWhatToInstall() throws IOException {
        environment.put("LD_LIBRARY_PATH", root.resolve("mine").toString());
        Files.createDirectories(root.resolve("usr/lib/python3.12/site-packages"));
        assertEquals(
                "Cannot find NCCL (libnccl.so.2); looked in " + root + "/mine, " + root + "/usr/local/cuda/lib64, "
                        + root
                        + "/usr/lib/x86_64-linux-gnu, " + root + "/usr/lib64, " + root
                        + "/usr/lib/python3.12/site-packages/nvidia/nccl/lib; install it with 'apt-get install libnccl2'"
                        + " or 'pip install nvidia-nccl-cu13', or set TSP_NCCL_LIBRARY to the file",
                refusal(GpuLibrary.NCCL));
        assertTrue(refusal(GpuLibrary.CUDART).contains("(libcudart.so.13 or libcudart.so.12)"));
        assertTrue(refusal(GpuLibrary.CUDART).contains("/usr/lib64, "), "wheels are named, too");
        assertTrue(refusal(GpuLibrary.CUDART).contains(" and in org/bytedeco/cuda/linux-x86_64/ of the class path"));
    }

    @Test
    void aNamedFileThatIsNotThereIsNotReplacedByAnother() throws IOException {
        file("usr/lib64/libnccl.so.2");
        environment.put("TSP_NCCL_LIBRARY", root + "/gone.so");
        assertEquals(
                "TSP_NCCL_LIBRARY names " + root
                        + "/gone.so, which is no file; correct it, or unset it to look in the usual places",
                refusal(GpuLibrary.NCCL));
    }
}
