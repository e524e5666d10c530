package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;

/** The one symbol that each of our libraries exports, and through which it hands out its table. */
final class TableEntry {
    private TableEntry() {}

    /**
     * Looks in this one file: a process may hold the tables of several libraries, all behind the same symbol.
     *
     * @param library a library that {@link NativeLibraries} has loaded
     */
    static MemorySegment find(Path library, String symbol) {
        return SymbolLookup.libraryLookup(library, Arena.global())
                .find(symbol)
                .orElseThrow(() -> new NativeLibraryException(library + " does not export " + symbol
                        + ", so it is no library of this project; " + AbiCheck.REBUILD));
    }
}
