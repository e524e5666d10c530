package io.tsp.ffm;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The folders of NVIDIA's headers that scripts/regenerate-bindings takes, by the same variables; a test that needs one is
 * skipped by name where it is not.
 */
final class VendorHeaders {
    private VendorHeaders() {}

    /** The include folders for tsp-ffm/src/main/jextract/BINDING.h. */
    static List<Path> require(String binding) {
        Path cuda = folder("CUDA_INCLUDE", "/usr/local/cuda/include", "cuda_runtime_api.h");
        return switch (binding) {
            case "cudart" -> List.of(cuda);
            case "cublaslt" -> List.of(folder("CUBLAS_INCLUDE", cuda.toString(), "cublasLt.h"), cuda);
            case "nccl" -> List.of(folder("NCCL_INCLUDE", "/usr/include", "nccl.h"), cuda);
            default -> throw new IllegalArgumentException(binding);
        };
    }

    private static Path folder(String variable, String standard, String header) {
        Path folder = Path.of(System.getenv().getOrDefault(variable, standard));
        assumeTrue(
                Files.isRegularFile(folder.resolve(header)),
                () -> "no " + header + " in " + folder + "; set " + variable);
        return folder;
    }
}
