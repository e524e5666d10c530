package io.tsp.ffm;

import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Path;

/** Libraries of NVIDIA that this machine may have; a test that needs one is skipped by name where it does not. */
final class InstalledLibrary {
    private InstalledLibrary() {}

    static Path require(GpuLibrary library) {
        try {
            return GpuLibraries.standard().find(library);
        } catch (NativeLibraryException e) {
            return abort(e.getMessage());
        }
    }
}
