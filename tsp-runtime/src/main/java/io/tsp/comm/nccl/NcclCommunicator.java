package io.tsp.comm.nccl;

import io.tsp.comm.Communicator;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Transfers;
import io.tsp.ffm.Nccl;
import io.tsp.ffm.NcclType;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One process' end of the exchanges between GPUs. NCCL carries the bytes; sums are our own kernel's, since NCCL promises
 * no order of its reductions: results agree bit for bit with ranks of one process.
 *
 * <p>A rank has one communicator of NCCL for each group, and one thread issues all exchanges, in the order that the
 * programs of all ranks have in common. NCCL's kernels wait for their peers while they occupy the GPU, so two of them at
 * a time on different communicators could wait for each other in a circle. Since 2.26 NCCL can keep the order of issue by
 * itself ({@code NCCL_LAUNCH_ORDER_IMPLICIT=1}, with CUDA 12.3 or later), by default it does not; here every exchange on
 * another stream than the one before waits for that one, which holds for every version.
 *
 * <p>When peers arrived is not known: a trace counts waiting for them as transfer.
 */
public final class NcclCommunicator implements Communicator {
    private static final long SUM_BYTES = 64L << 20;

    private static final long SEGMENT_ALIGNMENT = 256;

    private final NcclRank rank;
    private final Nccl nccl;
    private final Function<Stream, Transfers> device;
    private final NcclGroups groups;
    private final long sumBytes;
    /** The last exchange; only for the thread that issues. */
    private @Nullable Last last;

    private record Last(Stream stream, Stream.Event end) {}

    /** @param device how the rank's GPU moves bytes in the order of one of its streams */
    public NcclCommunicator(NcclRank rank, Function<Stream, Transfers> device) {
        this(rank, device, SUM_BYTES);
    }

    /** @param sumBytes of contributions of all peers to a sum that are on their way at a time */
    NcclCommunicator(NcclRank rank, Function<Stream, Transfers> device, long sumBytes) {
        this.rank = rank;
        this.sumBytes = sumBytes;
        this.device = device;
        nccl = rank.nccl();
        groups = new NcclGroups(rank);
    }

    @Override
    public long workspaceBytes(CommunicationOp op) {
        return switch (op) {
            case ReduceScatter scatter -> sumBytes(scatter.parts());
            case AllReduce reduce -> sumBytes(reduce.parts());
            case AllGather gather
            when isEven(gather.parts()) && !isContiguous(gather.parts()) ->
                gather.parts().getFirst().bytes() * gather.parts().size();
            case AllGather _, Broadcast _, AllToAll _, SendReceive _ -> 0;
        };
    }

    private long sumBytes(List<Tensor> parts) {
        return parts.size() == 1 ? 0 : segmentBytes(parts) * (parts.size() - 1);
    }

    /** Equal on all ranks. */
    private long segmentBytes(List<Tensor> parts) {
        long largest = parts.stream().mapToLong(Tensor::bytes).max().orElse(0);
        long share = sumBytes / Math.max(1, parts.size() - 1) / SEGMENT_ALIGNMENT * SEGMENT_ALIGNMENT;
        return Math.min(largest, Math.max(SEGMENT_ALIGNMENT, share));
    }

    private static boolean isEven(List<Tensor> parts) {
        return parts.stream().mapToLong(Tensor::bytes).distinct().count() == 1;
    }

    private static boolean isContiguous(List<Tensor> parts) {
        Tensor first = parts.getFirst();
        return IntStream.range(1, parts.size())
                .allMatch(i -> parts.get(i).slot().equals(first.slot())
                        && parts.get(i).byteOffset() == first.byteOffset() + i * first.bytes());
    }

    @Override
    public Launch broadcast(Broadcast op, Binding binding) {
        long address = binding.address().applyAsLong(op.buffer());
        return exchange(op, binding, on -> {
            if (op.group().size() > 1) {
                on.together(comm -> nccl.broadcast(
                        address, address, op.buffer().bytes(), NcclType.U8, op.root(), comm, on.stream()));
            }
        });
    }

    /** Which way it goes depends on nothing but the counts, which all ranks know. */
    @Override
    public Launch allGather(AllGather op, Binding binding) {
        long own = binding.address().applyAsLong(op.own());
        long[] parts = binding.addresses(op.parts());
        if (!isEven(op.parts())) {
            return exchange(op, binding, on -> {
                on.gather(op.parts(), own, parts);
                if (!op.isInPlace()) {
                    on.transfers().copy(parts[op.self()], own, op.own().bytes());
                }
            });
        }
        long bytes = op.own().bytes();
        long target = isContiguous(op.parts()) ? parts[0] : binding.workspace();
        return exchange(op, binding, on -> {
            on.gatherEven(own, target, bytes);
            for (int i = 0; target != parts[0] && i < parts.length; i++) {
                on.transfers().copy(parts[i], target + i * bytes, bytes);
            }
        });
    }

    @Override
    public Launch reduceScatter(ReduceScatter op, Binding binding) {
        long[] addresses = binding.addresses(op.parts());
        return exchange(op, binding, on -> on.sumParts(op.parts(), addresses, segmentBytes(op.parts())));
    }

    @Override
    public Launch allReduce(AllReduce op, Binding binding) {
        List<Tensor> parts = op.parts();
        long[] addresses = binding.addresses(parts);
        return exchange(op, binding, on -> {
            on.sumParts(parts, addresses, segmentBytes(parts));
            if (isEven(parts)) {
                on.gatherEven(
                        addresses[op.self()], addresses[0], parts.getFirst().bytes());
            } else {
                on.gather(parts, addresses[op.self()], addresses);
            }
        });
    }

    @Override
    public Launch allToAll(AllToAll op, Binding binding) {
        long[] send = binding.addresses(op.send());
        long[] receive = binding.addresses(op.receive());
        return exchange(op, binding, on -> {
            on.together(comm -> {
                for (int i : on.peers()) {
                    on.receive(receive[i], op.receive().get(i).bytes(), i, comm);
                    on.send(send[i], op.send().get(i).bytes(), i, comm);
                }
            });
            long bytes = op.send().get(op.self()).bytes();
            on.transfers().copy(receive[op.self()], send[op.self()], bytes);
        });
    }

    @Override
    public Launch sendReceive(SendReceive op, Binding binding) {
        Tensor send = op.send();
        Tensor receive = op.receive();
        long source = send == null ? 0 : binding.address().applyAsLong(send);
        long target = receive == null ? 0 : binding.address().applyAsLong(receive);
        return exchange(
                op,
                binding,
                on -> on.together(comm -> {
                    if (receive != null) {
                        on.receive(target, receive.bytes(), op.from(), comm);
                    }
                    if (send != null) {
                        on.send(source, send.bytes(), op.to(), comm);
                    }
                }));
    }

    private Launch exchange(CommunicationOp op, Binding binding, Consumer<Exchange> work) {
        Exchange on = new Exchange(rank, groups.of(op.group()), op, binding, device.apply(binding.stream()));
        return () -> {
            try {
                groups.failures().throwIfAny();
                keepOrder(binding.stream(), on.transfers());
                work.accept(on);
                last = new Last(binding.stream(), on.transfers().mark());
            } catch (RuntimeException e) {
                abort(e);
                groups.failures().throwIfAny();
            }
        };
    }

    /** What is on one stream is in order. */
    private void keepOrder(Stream stream, Transfers transfers) {
        Last before = last;
        if (before != null && !before.stream.equals(stream)) {
            transfers.await(before.end);
        }
    }

    @Override
    public void agree(long fingerprint) {
        byte[] mine = ByteBuffer.allocate(Long.BYTES).putLong(fingerprint).array();
        List<Integer> all = IntStream.range(0, rank.size()).boxed().toList();
        List<byte[]> theirs = rank.bootstrap().meet("comparing programs", all, mine);
        List<Integer> different = all.stream()
                .filter(other -> !Arrays.equals(theirs.get(other), mine))
                .toList();
        if (!different.isEmpty()) {
            throw new RanksDisagreeException("rank " + rank.rank() + " built other programs than rank " + different
                    + "; start all ranks with the same options, model and build");
        }
    }

    @Override
    public void requireIntact() {
        groups.requireIntact();
    }

    @Override
    public void abort(RuntimeException cause) {
        if (groups.fail(cause)) {
            rank.bootstrap().fail(String.valueOf(cause.getMessage()));
        }
    }

    @Override
    public void close() {
        groups.close();
    }
}
