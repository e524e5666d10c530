package io.tsp.ffm;

import java.nio.file.Path;
import java.util.List;

/** A library of NVIDIA that is not part of this distribution; {@link GpuLibraries} finds it. */
public enum GpuLibrary {
    CUDART(
            "the CUDA runtime",
            "TSP_CUDART_LIBRARY",
            "libcudart.so.13 libcudart.so.12",
            "nvidia/cu13/lib nvidia/cuda_runtime/lib",
            "'apt-get install cuda-cudart-13-0' or 'pip install nvidia-cuda-runtime'"),
    CUBLASLT(
            "cuBLASLt",
            "TSP_CUBLASLT_LIBRARY",
            "libcublasLt.so.13 libcublasLt.so.12",
            "nvidia/cu13/lib nvidia/cublas/lib",
            "'apt-get install libcublas-13-0' or 'pip install nvidia-cublas'"),
    NCCL(
            "NCCL",
            "TSP_NCCL_LIBRARY",
            "libnccl.so.2",
            "nvidia/nccl/lib",
            "'apt-get install libnccl2' or 'pip install nvidia-nccl-cu13'");

    private final String product;
    private final String variable;
    private final String fileNames;
    private final String wheelFolders;
    private final String installation;

    /** @param fileNames separated by spaces, as are {@code wheelFolders}: an enum holds no lists */
    GpuLibrary(String product, String variable, String fileNames, String wheelFolders, String installation) {
        this.product = product;
        this.variable = variable;
        this.fileNames = fileNames;
        this.wheelFolders = wheelFolders;
        this.installation = installation;
    }

    /** In a sentence, such as {@code the CUDA runtime}. */
    public String product() {
        return product;
    }

    /** The environment variable that names its file. */
    public String variable() {
        return variable;
    }

    /** The names that it may have, best first. */
    public List<String> fileNames() {
        return words(fileNames);
    }

    /** Where NVIDIA's Python wheels put it, below {@code site-packages}. */
    List<String> wheelFolders() {
        return words(wheelFolders);
    }

    private static List<String> words(String text) {
        return List.of(text.split(" ", -1));
    }

    /** What to type to get it. */
    String installation() {
        return installation;
    }

    /**
     * Refuses a version older than the oldest one that this build can use; both as the library counts.
     *
     * @param oldestText {@code oldest} in the words of its users, such as {@code 12.0}
     */
    void requireVersion(Path library, int version, int oldest, String oldestText) {
        if (version < oldest) {
            throw new NativeLibraryException(library + " is version " + version + " of " + product
                    + ", but this build needs " + oldestText + " or later; install it with " + installation
                    + ", or set "
                    + variable + " to a newer one");
        }
    }
}
