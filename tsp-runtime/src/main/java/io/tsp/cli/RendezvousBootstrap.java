package io.tsp.cli;

import io.tsp.comm.CommunicationException;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.comm.nccl.Bootstrap;
import io.tsp.device.DeadlineException;
import io.tsp.launch.LaunchException;
import io.tsp.launch.Rendezvous;
import java.util.List;

/** The rendezvous, as NCCL's ranks need it. */
record RendezvousBootstrap(Rendezvous rendezvous) implements Bootstrap {
    @Override
    public List<byte[]> meet(String what, List<Integer> ranks, byte[] value) {
        try {
            return rendezvous.meet(what, ranks, value);
        } catch (LaunchException e) {
            throw inItsWords(e);
        }
    }

    @Override
    public void fail(String sentence) {
        rendezvous.fail(sentence);
    }

    /** The same failure, as exchanges name it. */
    static RuntimeException inItsWords(LaunchException e) {
        String words = String.valueOf(e.getMessage());
        return switch (e.reason()) {
            case DEADLINE -> new DeadlineException(words);
            case RANKS_DISAGREE -> new RanksDisagreeException(words);
            case PEER_LOST -> new CommunicationException(words);
            case SETTINGS -> e;
        };
    }
}
