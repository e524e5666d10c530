package io.tsp.benchmark;

import io.tsp.device.Device;
import io.tsp.tensor.DType;

/** What benchmarks run on, and what it can do at best. */
interface Machine extends AutoCloseable {
    /** System property: {@code cpu}, which is the default, or {@code cuda}. */
    String DEVICE = "tsp.benchmark.device";

    /** @param threads CPU threads of each kernel */
    static Machine open(int threads) {
        return isCuda() ? CudaMachine.open() : new CpuMachine(threads);
    }

    static boolean isCuda() {
        return System.getProperty(DEVICE, "cpu").equals("cuda");
    }

    /**
     * A device for streams that may wait for those of other calls.
     *
     * @param rank counts them from 0
     */
    Device device(int rank);

    /** GFLOP/s with nothing to wait for; NaN where that cannot be said. */
    double peakGflops(DType dtype);

    /** GB/s, read and written, of copying these bytes; NaN where that cannot be said. */
    double copyBandwidth(long target, long source, long bytes);

    /** Behind all devices, which are the caller's. */
    @Override
    void close();
}
