package io.tsp.cli;

import io.tsp.device.Device;
import io.tsp.device.gpu.GpuDevice;
import io.tsp.device.gpu.VendorKernels;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.ffm.CublasLt;
import io.tsp.ffm.CudaRuntime;
import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuProperties;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.Nccl;
import io.tsp.program.Cluster;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The NVIDIA GPUs that this process sees; rank r is on GPU r modulo their number. */
final class CudaHardware implements Hardware {
    /** Of what is free on a GPU; the rest is for workspaces of libraries. */
    private static final double USABLE_SHARE = 0.95;

    private final GpuRuntime runtime;
    private final GpuLibraries libraries;
    private final KernelTable kernels;
    private final List<GpuProperties> gpus;
    private final boolean syncCheck;

    private CudaHardware(GpuRuntime runtime, GpuLibraries libraries, KernelTable kernels, boolean syncCheck) {
        this.runtime = runtime;
        this.libraries = libraries;
        this.kernels = kernels;
        this.syncCheck = syncCheck;
        gpus = IntStream.range(0, runtime.deviceCount())
                .mapToObj(runtime::properties)
                .toList();
        requireAlike(gpus);
    }

    /**
     * Loads what it needs.
     *
     * @param environment may say where libraries are
     * @throws NativeLibraryException if there is no GPU, or a library is missing or does not fit this build
     */
    static CudaHardware open(Map<String, String> environment, boolean syncCheck) {
        GpuLibraries libraries = new GpuLibraries(environment, Path.of("/"), CudaHardware.class.getClassLoader());
        CudaRuntime runtime = CudaRuntime.load(libraries);
        runtime.deviceCount();
        runtime.setDevice(0);
        KernelTable kernels = KernelTable.open(NativeLibraries.standard().load(NativeLibrary.KERNELS_CUDA), null);
        return new CudaHardware(runtime, libraries, kernels, syncCheck);
    }

    /** The kernels in use are those of one architecture. */
    private static void requireAlike(List<GpuProperties> gpus) {
        GpuProperties first = gpus.getFirst();
        for (int i = 1; i < gpus.size(); i++) {
            GpuProperties other = gpus.get(i);
            if (other.computeMajor() != first.computeMajor() || other.computeMinor() != first.computeMinor()) {
                throw new UsageException("GPU 0 is " + first.name() + " and GPU " + i + " is " + other.name()
                        + ", of another architecture; choose GPUs of one kind with CUDA_VISIBLE_DEVICES");
            }
        }
    }

    @Override
    public String name() {
        return "cuda " + gpus.getFirst().name() + " " + kernels.isa();
    }

    @Override
    public String description(int threads) {
        return name() + ", " + gpus.size() + (gpus.size() == 1 ? " GPU" : " GPUs");
    }

    @Override
    public Cluster cluster(int ranks, int threads, Duration deadline) {
        requireAccess(Math.min(ranks, gpus.size()));
        List<Device> devices = new ArrayList<>();
        try {
            for (int rank = 0; rank < ranks; rank++) {
                devices.add(device(rank, rank % gpus.size()));
            }
        } catch (RuntimeException e) {
            devices.forEach(Device::close);
            throw e;
        }
        return new LocalCluster(devices, deadline);
    }

    /** Number of GPUs. */
    int gpus() {
        return gpus.size();
    }

    /** Makes a GPU that of the calling thread. */
    void choose(int gpu) {
        runtime.setDevice(gpu);
    }

    /** @throws NativeLibraryException if it is missing or too old */
    Nccl nccl() {
        return Nccl.load(libraries);
    }

    /** A rank on a GPU; closed by whoever asked for it. */
    Device device(int rank, int gpu) {
        return new GpuDevice(
                runtime,
                new GpuDevice.Rank(rank, gpu, name(), syncCheck),
                new VendorKernels(kernels, CublasLt.load(libraries, runtime, gpu)));
    }

    /** Ranks read each other's memory. */
    private void requireAccess(int used) {
        for (int gpu = 0; gpu < used; gpu++) {
            for (int peer = 0; peer < used; peer++) {
                if (peer == gpu) {
                    continue;
                }
                if (!runtime.canAccessPeer(gpu, peer)) {
                    throw new UsageException("GPU " + gpu + " cannot read the memory of GPU " + peer
                            + ", which ranks need; choose GPUs that can, or one, with CUDA_VISIBLE_DEVICES");
                }
                runtime.enablePeerAccess(gpu, peer);
            }
        }
    }

    @Override
    public AvailableMemory memory() {
        return new AvailableMemory(
                new Memory(Path.of("/")).usableBytes(),
                IntStream.range(0, gpus.size()).mapToObj(this::usableBytes).toList());
    }

    /** What is free for a process that has only one rank, on this GPU. */
    AvailableMemory memory(int gpu) {
        return new AvailableMemory(new Memory(Path.of("/")).usableBytes(), List.of(usableBytes(gpu)));
    }

    private long usableBytes(int gpu) {
        return (long) (runtime.freeBytes(gpu) * USABLE_SHARE);
    }

    @Override
    public void close() {}
}
