package io.tsp.comm.local;

/** The same on GPUs, whose streams are late at random. */
class GpuFailuresTest extends LocalFailuresTest {
    @Override
    LocalRanks.Kind kind() {
        return LocalRanks.Kind.GPU;
    }

    @Override
    String whereInterrupted() {
        return "stream rank-0-0";
    }
}
