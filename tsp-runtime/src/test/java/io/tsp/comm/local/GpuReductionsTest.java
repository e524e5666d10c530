package io.tsp.comm.local;

/** The same on GPUs, whose streams are late at random. */
class GpuReductionsTest extends LocalReductionsTest {
    @Override
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.GPU;
    }
}
