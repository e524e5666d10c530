package io.tsp.ffm;

import static io.tsp.ffm.generated.cudart.cudart_h.*;
import static io.tsp.ffm.generated.cudart.tsp_cudart.*;

import io.tsp.ffm.generated.cudart.tsp_cuda_device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HexFormat;

/** The part of {@link CudaRuntime} that asks what there is. */
final class CudaDevices {
    /** More than any version's cudaDeviceProp, of which only the beginning is read. */
    private static final long DEVICE_STRUCT_BYTES = 4096;

    private static final int PCI_TEXT_BYTES = 32;

    private final MemorySegment cuda;
    private final CudaStatus status;

    CudaDevices(MemorySegment cuda, CudaStatus status) {
        this.cuda = cuda;
        this.status = status;
    }

    /** 0 without a driver. */
    int driverVersion() {
        return status.integer(
                "cudaDriverGetVersion", out -> cudaDriverGetVersion.invoke(cudaDriverGetVersion(cuda), out));
    }

    int runtimeVersion() {
        return status.integer(
                "cudaRuntimeGetVersion", out -> cudaRuntimeGetVersion.invoke(cudaRuntimeGetVersion(cuda), out));
    }

    /** At least one. */
    int count(Path library, int runtimeVersion) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_INT);
            int code = cudaGetDeviceCount.invoke(cudaGetDeviceCount(cuda), out);
            int count = out.get(ValueLayout.JAVA_INT, 0);
            int meaning = code == cudaSuccess() && count == 0 ? cudaErrorNoDevice() : code;
            if (CudaStatus.meansNoDevice(meaning)) {
                throw status.noDevice(meaning, driverVersion(), library, runtimeVersion);
            }
            status.check(code, "cudaGetDeviceCount");
            return count;
        }
    }

    GpuProperties properties(int device) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment struct = call.allocate(DEVICE_STRUCT_BYTES, Long.BYTES);
            status.check(
                    cudaGetDeviceProperties.invoke(cudaGetDeviceProperties(cuda), struct, device),
                    "cudaGetDeviceProperties",
                    device);
            MemorySegment pci = call.allocate(PCI_TEXT_BYTES);
            status.check(
                    cudaDeviceGetPCIBusId.invoke(cudaDeviceGetPCIBusId(cuda), pci, PCI_TEXT_BYTES, device),
                    "cudaDeviceGetPCIBusId",
                    device);
            return new GpuProperties(
                    tsp_cuda_device.name(struct).getString(0),
                    attribute(device, cudaDevAttrComputeCapabilityMajor()),
                    attribute(device, cudaDevAttrComputeCapabilityMinor()),
                    attribute(device, cudaDevAttrMultiProcessorCount()),
                    tsp_cuda_device.totalGlobalMem(struct),
                    attribute(device, cudaDevAttrAsyncEngineCount()),
                    pci.getString(0),
                    HexFormat.of().formatHex(tsp_cuda_device.uuid(struct).toArray(ValueLayout.JAVA_BYTE)));
        }
    }

    private int attribute(int device, int attribute) {
        return status.integer(
                "cudaDeviceGetAttribute " + attribute + " on device " + device,
                out -> cudaDeviceGetAttribute.invoke(cudaDeviceGetAttribute(cuda), out, attribute, device));
    }

    boolean canAccessPeer(int device, int peer) {
        int can = status.integer(
                "cudaDeviceCanAccessPeer of device " + device + " to " + peer,
                out -> cudaDeviceCanAccessPeer.invoke(cudaDeviceCanAccessPeer(cuda), out, device, peer));
        return can != 0;
    }
}
