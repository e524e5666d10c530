package io.tsp.ffm;

import java.nio.file.Path;

/** Refuses a library whose table of functions this build would misread. */
final class AbiCheck {
    static final String REBUILD = "build the library and the jar together with 'mvn package'";

    private static final int MINORS_PER_MAJOR = 1000;

    private AbiCheck() {}

    /**
     * Compares a table's first two fields with what the bindings were generated from.
     *
     * @param version {@code abi_version}, major * 1000 + minor
     * @param size {@code struct_size}
     */
    static void requireCompatible(Path library, int version, int neededVersion, int size, long neededSize) {
        if (version / MINORS_PER_MAJOR != neededVersion / MINORS_PER_MAJOR || version < neededVersion) {
            throw new NativeLibraryException("The ABI of " + library + " is " + text(version) + ", but "
                    + OwnCode.location() + " needs " + text(neededVersion) + " or a later minor version; " + REBUILD);
        }
        if (size < neededSize) {
            throw new NativeLibraryException("The table of " + library + " has " + size + " bytes, but "
                    + OwnCode.location() + " reads " + neededSize + "; " + REBUILD);
        }
    }

    private static String text(int version) {
        return version / MINORS_PER_MAJOR + "." + version % MINORS_PER_MAJOR;
    }
}
