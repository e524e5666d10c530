package io.tsp.ffm;

/** The shared libraries of a run and the resource folder in which a jar carries each. */
public enum NativeLibrary {
    /** The OpenMP runtime of oneDNN. Loaded first: our kernels must find it, not the system's, and share its threads. */
    OPENMP("libgomp.so.1", "/org/bytedeco/dnnl/linux-x86_64/", "/io/tsp/ffm/dnnl.sha256"),
    /** oneDNN 3, loaded after {@link #OPENMP}. */
    DNNL("libdnnl.so.3", "/org/bytedeco/dnnl/linux-x86_64/", "/io/tsp/ffm/dnnl.sha256"),
    /** Our kernels for CPUs, loaded after {@link #OPENMP}. */
    KERNELS_CPU(
            "libtsp_kernels_cpu.so",
            "/io/tsp/ffm/native/linux-x86_64/",
            "/io/tsp/ffm/native/linux-x86_64/native.sha256"),
    /** Our kernels for NVIDIA GPUs, present where the build had CUDA's compiler. */
    KERNELS_CUDA(
            "libtsp_kernels_cuda.so",
            "/io/tsp/ffm/native/linux-x86_64/",
            "/io/tsp/ffm/native/linux-x86_64/native.sha256"),
    /** The shim over MPI, present where the build found one; loading it loads that MPI. */
    MPI("libtsp_mpi.so", "/io/tsp/ffm/native/linux-x86_64/", "/io/tsp/ffm/native/linux-x86_64/native.sha256");

    private final String fileName;
    private final String folder;
    private final String checksums;

    NativeLibrary(String fileName, String folder, String checksums) {
        this.fileName = fileName;
        this.folder = folder;
        this.checksums = checksums;
    }

    public String fileName() {
        return fileName;
    }

    /** Resource folder, unpacked as a whole because its libraries find each other by {@code $ORIGIN}. */
    String folder() {
        return folder;
    }

    /** Resource that lists what the files of the folder must be, in the format of {@code sha256sum}. */
    String checksums() {
        return checksums;
    }

    /** True for what this project builds, false for what it takes from elsewhere. */
    boolean ours() {
        return folder.startsWith("/io/tsp/");
    }
}
