package io.tsp.comm.nccl;

import io.tsp.comm.Communicator;
import io.tsp.device.Transfers;
import io.tsp.ffm.Nccl;
import io.tsp.ffm.NcclType;
import io.tsp.op.CommunicationOp;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;

/** An op on the communicator and the stream that carry it; what all kinds of ops are made of. */
final class Exchange {
    private final NcclRank rank;
    private final Nccl nccl;
    private final CommunicationOp op;
    private final Communicator.Binding binding;
    private final NcclGroup group;
    private final Transfers transfers;

    Exchange(NcclRank rank, NcclGroup group, CommunicationOp op, Communicator.Binding binding, Transfers transfers) {
        this.rank = rank;
        nccl = rank.nccl();
        this.op = op;
        this.binding = binding;
        this.group = group;
        this.transfers = transfers;
    }

    Transfers transfers() {
        return transfers;
    }

    long stream() {
        return binding.stream().handle();
    }

    /** Places of the others in the group. */
    int[] peers() {
        return IntStream.range(0, op.group().size()).filter(i -> i != op.self()).toArray();
    }

    /** Enqueues calls of NCCL as one. */
    void together(LongConsumer calls) {
        transfers.issue(() -> group.enqueue(() -> calls.accept(group.handle()), rank.deadline(), binding.label()));
    }

    void send(long source, long bytes, int peer, long comm) {
        if (bytes > 0) {
            nccl.send(source, bytes, NcclType.U8, peer, comm, stream());
        }
    }

    void receive(long target, long bytes, int peer, long comm) {
        if (bytes > 0) {
            nccl.recv(target, bytes, NcclType.U8, peer, comm, stream());
        }
    }

    /** Parts of any size; this rank's own is left as it is. */
    void gather(List<Tensor> parts, long own, long[] addresses) {
        together(comm -> {
            for (int i : peers()) {
                receive(addresses[i], parts.get(i).bytes(), i, comm);
                send(own, parts.get(op.self()).bytes(), i, comm);
            }
        });
    }

    /** Parts of one size, one behind the other. */
    void gatherEven(long own, long target, long bytes) {
        if (bytes > 0) {
            together(comm -> nccl.allGather(own, target, bytes, NcclType.U8, comm, stream()));
        }
    }

    /** Each rank sums its own part, segment by segment, starting with the rank after it and ending with itself. */
    void sumParts(List<Tensor> parts, long[] addresses, long segment) {
        long largest = parts.stream().mapToLong(Tensor::bytes).max().orElse(0);
        for (long from = 0; parts.size() > 1 && from < largest; from += segment) {
            sumSegment(parts, addresses, from, segment);
        }
    }

    private void sumSegment(List<Tensor> parts, long[] addresses, long from, long segment) {
        int size = parts.size();
        int self = op.self();
        Tensor own = parts.get(self);
        long mine = Math.clamp(own.bytes() - from, 0, segment);
        long[] sources = new long[size];
        together(comm -> {
            for (int i = 0; i < size - 1; i++) {
                int peer = (self + 1 + i) % size;
                sources[i] = binding.workspace() + i * segment;
                receive(sources[i], mine, peer, comm);
                send(addresses[peer] + from, Math.clamp(parts.get(peer).bytes() - from, 0, segment), peer, comm);
            }
        });
        sources[size - 1] = addresses[self] + from;
        transfers.sum(
                own.dtype(), sources, sources[size - 1], mine / own.dtype().bytes());
    }
}
