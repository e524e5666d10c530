package io.tsp.comm.mpi;

import com.google.common.hash.Hashing;
import io.tsp.comm.Communicator;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.Launch;
import io.tsp.device.OrderedSum;
import io.tsp.ffm.Memory;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.SystemClock;
import io.tsp.tensor.Tensor;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One process' end of the exchanges with others, made of messages between pairs: the same sums in the same order as
 * ranks of one process, so results agree bit for bit. Members first greet each other with what they are about to do: a
 * peer that runs another program is named at once, and waiting for peers is told from waiting for bytes.
 */
public final class MpiCommunicator implements Communicator {
    /** Bytes of each contribution to a sum that are on their way at a time. */
    private static final long SEGMENT_BYTES = 1L << 20;

    private final MpiWorld world;
    private final OrderedSum sum;
    private final Duration deadline;
    private final Map<String, Long> greetings = new ConcurrentHashMap<>();
    private final AtomicReference<@Nullable RuntimeException> aborted = new AtomicReference<>();

    public MpiCommunicator(MpiWorld world, OrderedSum sum, Duration deadline) {
        this.world = world;
        this.sum = sum;
        this.deadline = deadline;
    }

    /** Contributions of all peers to a segment of a sum. */
    @Override
    public long workspaceBytes(CommunicationOp op) {
        long largest = switch (op) {
            case ReduceScatter scatter -> largest(scatter.parts());
            case AllReduce reduce -> largest(reduce.parts());
            case Broadcast _, AllGather _, AllToAll _, SendReceive _ -> 0;
        };
        return Math.min(largest, SEGMENT_BYTES) * (op.group().size() - 1);
    }

    private static long largest(List<Tensor> parts) {
        return parts.stream().mapToLong(Tensor::bytes).max().orElse(0);
    }

    @Override
    public Launch broadcast(Broadcast op, Binding binding) {
        long address = binding.address().applyAsLong(op.buffer());
        return exchange(op, binding, transfer -> {
            if (op.self() == op.root()) {
                peers(op).forEach(i -> transfer.send(address, op.buffer().bytes(), rank(op, i)));
            } else {
                transfer.receive(address, op.buffer().bytes(), rank(op, op.root()));
            }
        });
    }

    @Override
    public Launch allGather(AllGather op, Binding binding) {
        long own = binding.address().applyAsLong(op.own());
        long[] parts = binding.addresses(op.parts());
        return exchange(op, binding, transfer -> {
            gather(op, op.parts(), own, parts, transfer);
            if (!op.isInPlace()) {
                Memory.copy(parts[op.self()], own, op.own().bytes());
            }
        });
    }

    private void gather(CommunicationOp op, List<Tensor> parts, long own, long[] addresses, Transfer transfer) {
        peers(op).forEach(i -> transfer.receive(addresses[i], parts.get(i).bytes(), rank(op, i)));
        peers(op).forEach(i -> transfer.send(own, parts.get(op.self()).bytes(), rank(op, i)));
    }

    @Override
    public Launch reduceScatter(ReduceScatter op, Binding binding) {
        long[] addresses = binding.addresses(op.parts());
        return exchange(op, binding, transfer -> sumParts(op, op.parts(), addresses, binding, transfer));
    }

    @Override
    public Launch allReduce(AllReduce op, Binding binding) {
        List<Tensor> parts = op.parts();
        long[] addresses = binding.addresses(parts);
        return exchange(op, binding, transfer -> {
            sumParts(op, parts, addresses, binding, transfer);
            gather(op, parts, addresses[op.self()], addresses, transfer);
        });
    }

    /** Each rank sums its own part, segment by segment, starting with the rank after it and ending with itself. */
    private void sumParts(
            CommunicationOp op, List<Tensor> parts, long[] addresses, Binding binding, Transfer transfer) {
        int size = op.group().size();
        int self = op.self();
        long segment = Math.min(largest(parts), SEGMENT_BYTES);
        for (long from = 0; from < largest(parts); from += segment) {
            long mine = segmentBytes(parts.get(self), from, segment);
            long[] sources = new long[size];
            for (int i = 0; i < size - 1; i++) {
                sources[i] = binding.workspace() + i * segment;
                transfer.receive(sources[i], mine, rank(op, (self + 1 + i) % size));
            }
            for (int i : peers(op).toArray()) {
                transfer.send(addresses[i] + from, segmentBytes(parts.get(i), from, segment), rank(op, i));
            }
            transfer.await(deadline, binding.label());
            sources[size - 1] = addresses[self] + from;
            sum.sum(parts.getFirst().dtype(), sources, sources[size - 1], mine / elementBytes(parts));
        }
    }

    private static long segmentBytes(Tensor part, long from, long segment) {
        return Math.clamp(part.bytes() - from, 0, segment);
    }

    private static long elementBytes(List<Tensor> parts) {
        return parts.getFirst().dtype().bytes();
    }

    @Override
    public Launch allToAll(AllToAll op, Binding binding) {
        long[] send = binding.addresses(op.send());
        long[] receive = binding.addresses(op.receive());
        return exchange(op, binding, transfer -> {
            peers(op)
                    .forEach(i ->
                            transfer.receive(receive[i], op.receive().get(i).bytes(), rank(op, i)));
            peers(op).forEach(i -> transfer.send(send[i], op.send().get(i).bytes(), rank(op, i)));
            Memory.copy(
                    receive[op.self()],
                    send[op.self()],
                    op.send().get(op.self()).bytes());
        });
    }

    @Override
    public Launch sendReceive(SendReceive op, Binding binding) {
        Tensor send = op.send();
        Tensor receive = op.receive();
        long source = send == null ? 0 : binding.address().applyAsLong(send);
        long target = receive == null ? 0 : binding.address().applyAsLong(receive);
        return exchange(op, binding, transfer -> {
            if (receive != null) {
                transfer.receive(target, receive.bytes(), rank(op, op.from()));
            }
            if (send != null) {
                transfer.send(source, send.bytes(), rank(op, op.to()));
            }
        });
    }

    private Launch exchange(CommunicationOp op, Binding binding, Consumer<Transfer> work) {
        List<Integer> partners = partners(op);
        return new Launch() {
            private volatile long arrived;

            @Override
            public void run() {
                try (Transfer transfer = new Transfer(world.table(), binding.channel(), aborted)) {
                    greet(op, binding, partners, transfer);
                    arrived = SystemClock.nanos();
                    work.accept(transfer);
                    transfer.await(deadline, binding.label());
                } catch (RuntimeException e) {
                    abort(e);
                    throw e;
                }
            }

            @Override
            public long peersArrivedNanos() {
                return arrived;
            }
        };
    }

    /** World ranks that this rank exchanges bytes with. */
    private static List<Integer> partners(CommunicationOp op) {
        IntStream indices = switch (op) {
            case Broadcast broadcast when broadcast.self() != broadcast.root() -> IntStream.of(broadcast.root());
            case SendReceive message ->
                IntStream.concat(
                        message.send() == null ? IntStream.empty() : IntStream.of(message.to()),
                        message.receive() == null ? IntStream.empty() : IntStream.of(message.from()));
            case Broadcast _, AllGather _, ReduceScatter _, AllReduce _, AllToAll _ -> peers(op);
        };
        return indices.distinct().map(i -> rank(op, i)).boxed().toList();
    }

    /** Tells all partners what comes, hears it from them, and compares. */
    private void greet(CommunicationOp op, Binding binding, List<Integer> partners, Transfer transfer) {
        long[] mine = new long[partners.size()];
        for (int i = 0; i < mine.length; i++) {
            long sequence = greetings.merge(binding.channel() + ":" + partners.get(i), 1L, Long::sum);
            mine[i] = Hashing.sha256()
                    .hashString(op.group() + op.signature() + sequence, StandardCharsets.UTF_8)
                    .asLong();
        }
        long[] theirs = transfer.greet(partners, mine, deadline, binding.label());
        for (int i = 0; i < mine.length; i++) {
            if (mine[i] != theirs[i]) {
                throw new RanksDisagreeException(binding.label() + ": rank " + partners.get(i)
                        + " came with another operation than " + op.signature()
                        + "; start all ranks with the same options and the same build");
            }
        }
    }

    private static IntStream peers(CommunicationOp op) {
        return IntStream.range(0, op.group().size()).filter(i -> i != op.self());
    }

    private static int rank(CommunicationOp op, int index) {
        return op.group().ranks().get(index);
    }

    @Override
    public void agree(long fingerprint) {
        List<Integer> others = IntStream.range(0, world.size())
                .filter(rank -> rank != world.rank())
                .boxed()
                .toList();
        long[] mine = new long[others.size()];
        Arrays.fill(mine, fingerprint);
        try (Transfer transfer = new Transfer(world.table(), 0, aborted)) {
            long[] theirs = transfer.greet(others, mine, deadline, "rank " + world.rank() + ", comparing programs");
            List<Integer> different = IntStream.range(0, theirs.length)
                    .filter(i -> theirs[i] != fingerprint)
                    .mapToObj(others::get)
                    .toList();
            if (!different.isEmpty()) {
                throw new RanksDisagreeException("rank " + world.rank() + " built other programs than rank " + different
                        + "; start all ranks with the same options, model and build");
            }
        }
    }

    @Override
    public void abort(RuntimeException cause) {
        aborted.compareAndSet(null, cause);
    }

    @Override
    public void close() {}
}
