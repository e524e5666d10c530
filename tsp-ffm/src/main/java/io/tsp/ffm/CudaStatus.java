package io.tsp.ffm;

import static io.tsp.ffm.generated.cudart.cudart_h.*;

import io.tsp.ffm.generated.cudart.tsp_cudart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Set;

/** What calls of the CUDA runtime return: a {@code cudaError_t}, made an exception, and a result behind a pointer. */
final class CudaStatus {
    static final String LIBRARY = "CUDA";

    /** No driver, one that does not fit, or nothing for it to drive. */
    private static final Set<Integer> NO_DEVICE = Set.of(
            cudaErrorStubLibrary(),
            cudaErrorInsufficientDriver(),
            cudaErrorDevicesUnavailable(),
            cudaErrorNoDevice(),
            cudaErrorSystemDriverMismatch(),
            cudaErrorCompatNotSupportedOnDevice());

    private final MemorySegment cuda;

    /** @param cuda a {@code tsp_cudart} */
    CudaStatus(MemorySegment cuda) {
        this.cuda = cuda;
    }

    /** Writes its result to {@code out} and returns a {@code cudaError_t}. */
    interface Call {
        int write(MemorySegment out);
    }

    /** The int that a call writes. */
    int integer(String function, Call call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
            check(call.write(out), function);
            return out.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /** The address or handle that a call writes. */
    long pointer(String function, int device, Call call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            check(call.write(out), function, device);
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    void check(int code, String function) {
        if (code != cudaSuccess()) {
            throw failure(code, function);
        }
    }

    void check(int code, String function, int device) {
        if (code != cudaSuccess()) {
            throw failure(code, function + " on device " + device);
        }
    }

    GpuException failure(int code, String call) {
        forget();
        return code == cudaErrorMemoryAllocation()
                ? new GpuOutOfMemoryException(LIBRARY, call, text(cuda, code), name(code), code)
                : new GpuException(LIBRARY, call, text(cuda, code), name(code), code);
    }

    /** The runtime keeps a code until it is asked for it; a kernel launch that asks later would take it for its own. */
    void forget() {
        int _ = tsp_cudart.cudaGetLastError.invoke(tsp_cudart.cudaGetLastError(cuda));
    }

    static boolean meansNoDevice(int code) {
        return NO_DEVICE.contains(code);
    }

    /** @param driverVersion the newest runtime that the driver can serve, 0 without a driver */
    NativeLibraryException noDevice(int code, int driverVersion, Path library, int runtimeVersion) {
        forget();
        String cure;
        if (driverVersion == 0) {
            cure = "no NVIDIA driver (libcuda.so.1) was found; install it, or use --device cpu";
        } else if (driverVersion / 1000 < runtimeVersion / 1000) {
            cure = "the driver serves CUDA " + text(driverVersion) + " and " + library + " is "
                    + text(runtimeVersion) + "; update the driver, or set "
                    + GpuLibrary.CUDART.variable() + " to an older libcudart";
        } else {
            cure = "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu";
        }
        return new NativeLibraryException(
                "No NVIDIA GPU can be used: " + text(cuda, code) + " (" + name(code) + ", " + code + "); " + cure);
    }

    private String name(int code) {
        return string(tsp_cudart.cudaGetErrorName.invoke(tsp_cudart.cudaGetErrorName(cuda), code));
    }

    private static String text(MemorySegment cuda, int code) {
        return string(tsp_cudart.cudaGetErrorString.invoke(tsp_cudart.cudaGetErrorString(cuda), code));
    }

    /** A version as CUDA counts it, in the words of its users: 12080 is 12.8. */
    static String text(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    private static String string(MemorySegment text) {
        return text.address() == 0 ? "" : text.reinterpret(Long.MAX_VALUE).getString(0);
    }
}
