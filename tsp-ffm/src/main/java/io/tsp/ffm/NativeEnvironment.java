package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** The environment as C sees it. Java's own copy was made when the JVM started and does not change. */
final class NativeEnvironment {
    private static final FunctionDescriptor SETENV =
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);

    private NativeEnvironment() {}

    /** Sets a variable that is not there yet. Must run before other threads can be in native code that reads it. */
    static void setDefault(String name, String value) {
        Linker linker = Linker.nativeLinker();
        MethodHandle setenv = linker.downcallHandle(linker.defaultLookup().findOrThrow("setenv"), SETENV);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cName = arena.allocateFrom(name);
            int failed = (int) setenv.invokeExact(cName, arena.allocateFrom(value), 0);
            if (failed != 0) {
                throw new IllegalArgumentException("The C library refuses the environment variable " + name);
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("setenv threw a checked exception, which a downcall cannot", e);
        }
    }
}
