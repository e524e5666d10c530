package io.tsp.comm.nccl;

import java.util.List;

/** How ranks tell each other a few bytes before they have NCCL, and that they cannot go on. */
public interface Bootstrap {
    /**
     * Waits for ranks that all call this with the same arguments but the last; for the same ones any number of times.
     *
     * @param what the meeting is for
     * @param ranks who meets, this rank among them
     * @param value what this rank gives, at most 4096 bytes
     * @return what each gives, in the order of ranks
     * @throws io.tsp.device.DeadlineException naming those who do not come
     * @throws io.tsp.comm.CommunicationException if a rank is lost
     */
    List<byte[]> meet(String what, List<Integer> ranks, byte[] value);

    /** Tells all ranks that this one cannot go on, and why. */
    void fail(String sentence);
}
