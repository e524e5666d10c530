package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** A failure means that an MPI could take signals away from the JVM, which then dies of an ordinary null check. */
class NativeEnvironmentTest {
    @Test
    void nativeCodeSeesWhatIsSet() throws Throwable {
        NativeEnvironment.setDefault("TSP_FFM_TEST", "first");
        NativeEnvironment.setDefault("TSP_FFM_TEST", "second");
        assertEquals("first", getenv("TSP_FFM_TEST"));
    }

    @Test
    void refusesWhatCRefuses() {
        assertThrows(IllegalArgumentException.class, () -> NativeEnvironment.setDefault("A=B", ""));
    }

    private static String getenv(String name) throws Throwable {
        Linker linker = Linker.nativeLinker();
        FunctionDescriptor type = FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value =
                    (MemorySegment) linker.downcallHandle(linker.defaultLookup().findOrThrow("getenv"), type)
                            .invokeExact(arena.allocateFrom(name));
            return value.reinterpret(Long.MAX_VALUE).getString(0);
        }
    }
}
