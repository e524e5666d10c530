package io.tsp.op;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * An exchange between the ranks of a group. Every member's program holds the op at the matching place. Tensors are
 * dense. {@code self} is this rank's index in the group.
 */
public sealed interface CommunicationOp extends Op {
    Group group();

    int self();

    /** What every member must agree on: kind, root, dtypes and counts. Two members with different texts never match. */
    String signature();

    /** Whether no member has anything to exchange; every member answers alike. */
    @Override
    default boolean isEmpty() {
        return accesses().stream().allMatch(access -> access.tensor().isEmpty());
    }

    /** Bytes that this rank puts on the wire, to all peers together, if each peer gets its own message. */
    long bytesSent();

    /** The root's buffer is copied to the others' buffers. */
    record Broadcast(Group group, int self, int root, Tensor buffer) implements CommunicationOp {
        @Override
        public String name() {
            return "broadcast";
        }

        @Override
        public List<Access> accesses() {
            return self == root
                    ? Access.collect().reads(buffer).list()
                    : Access.collect().writes(buffer).list();
        }

        @Override
        public String signature() {
            return name() + " root " + root + " " + count(buffer);
        }

        @Override
        public long bytesSent() {
            return self == root ? buffer.bytes() * (group.size() - 1) : 0;
        }
    }

    /**
     * Part i of every rank becomes rank i's own tensor.
     *
     * @param own what this rank contributes; in place if it is its own part
     */
    record AllGather(Group group, int self, Tensor own, List<Tensor> parts) implements CommunicationOp {
        public AllGather {
            parts = List.copyOf(parts);
            if (self < 0 || self >= parts.size()) {
                throw new IllegalArgumentException("all-gather: there is no part " + self + " of " + parts.size());
            }
        }

        /** Each rank's contribution already stands in its own part. */
        public static AllGather inPlace(Group group, int self, List<Tensor> parts) {
            return new AllGather(group, self, parts.get(self), parts);
        }

        public boolean isInPlace() {
            return own.equals(parts.get(self));
        }

        @Override
        public String name() {
            return "all-gather";
        }

        @Override
        public List<Access> accesses() {
            Access.Collector accesses = Access.collect().reads(own);
            for (int i = 0; i < parts.size(); i++) {
                if (i != self || !isInPlace()) {
                    accesses.writes(parts.get(i));
                }
            }
            return accesses.list();
        }

        @Override
        public String signature() {
            return name() + counts(parts);
        }

        @Override
        public long bytesSent() {
            return own.bytes() * (group.size() - 1);
        }
    }

    /**
     * Part i is summed over all ranks and the sum replaces part i on rank i; other parts keep what they held. The sum
     * is fp32, in ring order: it starts with the rank after the destination and ends with the destination.
     */
    record ReduceScatter(Group group, int self, List<Tensor> parts) implements CommunicationOp {
        public ReduceScatter {
            parts = List.copyOf(parts);
        }

        @Override
        public String name() {
            return "reduce-scatter";
        }

        @Override
        public List<Access> accesses() {
            Access.Collector accesses = Access.collect();
            for (int i = 0; i < parts.size(); i++) {
                if (i == self) {
                    accesses.updates(true, parts.get(i));
                } else {
                    accesses.reads(parts.get(i));
                }
            }
            return accesses.list();
        }

        @Override
        public String signature() {
            return name() + counts(parts);
        }

        @Override
        public long bytesSent() {
            return parts.stream().mapToLong(Tensor::bytes).sum()
                    - parts.get(self).bytes();
        }
    }

    /** The buffer is summed over all ranks, everywhere: a reduce-scatter of equal parts, then an all-gather. */
    record AllReduce(Group group, int self, Tensor buffer) implements CommunicationOp {
        @Override
        public String name() {
            return "all-reduce";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().updates(true, buffer).list();
        }

        @Override
        public String signature() {
            return name() + " " + count(buffer);
        }

        @Override
        public long bytesSent() {
            return 2L * (group.size() - 1) * buffer.bytes() / group.size();
        }

        /** Elements [i * count / size, (i + 1) * count / size): what rank i of the group sums. */
        public Tensor part(int index) {
            Range range = Range.part(buffer.count(), group.size(), index);
            return buffer.reshape(buffer.count()).rows(range.from(), range.count());
        }

        /** What each rank of the group sums, by its index. */
        public List<Tensor> parts() {
            return IntStream.range(0, group.size()).mapToObj(this::part).toList();
        }
    }

    /** Rank i's send part j becomes rank j's receive part i. */
    record AllToAll(Group group, int self, List<Tensor> send, List<Tensor> receive) implements CommunicationOp {
        public AllToAll {
            send = List.copyOf(send);
            receive = List.copyOf(receive);
        }

        @Override
        public String name() {
            return "all-to-all";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(send.toArray(Tensor[]::new))
                    .writes(receive.toArray(Tensor[]::new))
                    .list();
        }

        /** Other members may have something to exchange. */
        @Override
        public boolean isEmpty() {
            return false;
        }

        /** Counts differ from rank to rank, so only the kind is common; pairs are compared by the verifier. */
        @Override
        public String signature() {
            return name() + " " + send.getFirst().dtype();
        }

        @Override
        public long bytesSent() {
            return send.stream().mapToLong(Tensor::bytes).sum() - send.get(self).bytes();
        }
    }

    /**
     * Sends to one peer while receiving from another (one hop of a ring), or only one of the two. Matches by pair.
     *
     * @param to index in the group of the receiver of send
     * @param from index in the group of the sender of receive
     */
    record SendReceive(
            Group group,
            int self,
            int to,
            @Nullable Tensor send,
            int from,
            @Nullable Tensor receive) implements CommunicationOp {
        @Override
        public String name() {
            return "send-receive";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(send).writes(receive).list();
        }

        @Override
        public String signature() {
            return name();
        }

        @Override
        public long bytesSent() {
            return send == null ? 0 : send.bytes();
        }
    }

    private static String count(Tensor tensor) {
        return tensor.dtype() + "x" + tensor.count();
    }

    /** Runs of equal counts are told once: there may be as many as ranks. */
    private static String counts(List<Tensor> tensors) {
        List<String> runs = new ArrayList<>();
        for (int i = 0, next; i < tensors.size(); i = next) {
            Tensor first = tensors.get(i);
            next = i + 1;
            while (next < tensors.size()
                    && tensors.get(next).count() == first.count()
                    && tensors.get(next).dtype() == first.dtype()) {
                next++;
            }
            runs.add((next - i == 1 ? "" : next - i + " of ") + count(first));
        }
        return " [" + String.join(",", runs) + "]";
    }
}
