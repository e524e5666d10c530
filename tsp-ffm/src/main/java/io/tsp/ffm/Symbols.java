package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;

/**
 * The functions of one vendor library, looked up in its file alone: a process may hold several libraries with the same
 * symbols, such as NCCL and RCCL, or CUDA and its emulator. Valid for the life of the process.
 */
final class Symbols {
    private final Path library;
    private final String product;
    private final String oldest;
    private final Map<String, String> later;
    private final SymbolLookup lookup;

    private Symbols(Path library, String product, String oldest, Map<String, String> later, SymbolLookup lookup) {
        this.library = library;
        this.product = product;
        this.oldest = oldest;
        this.later = later;
        this.lookup = lookup;
    }

    /**
     * Loads a library.
     *
     * @param product what the vendor calls it, such as {@code NCCL}
     * @param oldest the version from which on it has every function that is not in {@code later}
     * @param later functions that need not be there, and the version that brought each
     * @throws NativeLibraryException with the loader's words if it cannot be loaded
     */
    static Symbols load(Path library, String product, String oldest, Map<String, String> later) {
        Path file = library.toAbsolutePath();
        try {
            // The lookup below would load it, too, but does not pass on why it cannot.
            System.load(file.toString());
        } catch (UnsatisfiedLinkError e) {
            String words = String.valueOf(e.getMessage()).replace(file + ": ", "");
            throw new NativeLibraryException(
                    "Cannot load " + product + " from " + file + ": " + words + "; install it again for 64-bit x86", e);
        }
        return new Symbols(file, product, oldest, later, SymbolLookup.libraryLookup(file, Arena.global()));
    }

    /**
     * A struct of function pointers with each member set to the function of its name, or to NULL for one of the later
     * functions that is not there.
     *
     * @throws NativeLibraryException if another function is not there
     */
    MemorySegment table(GroupLayout layout) {
        MemorySegment table = Arena.global().allocate(layout);
        for (MemoryLayout member : layout.memberLayouts()) {
            String name = member.name().orElseThrow();
            MemorySegment function = lookup.find(name).orElse(MemorySegment.NULL);
            if (function.address() == 0 && !later.containsKey(name)) {
                throw missing(name);
            }
            table.set(ValueLayout.ADDRESS, layout.byteOffset(PathElement.groupElement(name)), function);
        }
        return table;
    }

    /**
     * Returns a member of {@link #table}.
     *
     * @throws NativeLibraryException if it is NULL, because the library is older than the function
     */
    MemorySegment require(String name, MemorySegment function) {
        if (function.address() == 0) {
            throw missing(name);
        }
        return function;
    }

    private NativeLibraryException missing(String name) {
        String version = product + " " + later.getOrDefault(name, oldest);
        return new NativeLibraryException(
                library + " has no " + name + ", which " + version + " has; install " + version + " or later");
    }

    Path library() {
        return library;
    }
}
