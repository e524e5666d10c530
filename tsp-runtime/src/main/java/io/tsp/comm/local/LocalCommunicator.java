package io.tsp.comm.local;

import io.tsp.comm.Communicator;
import io.tsp.device.Launch;
import io.tsp.device.OrderedSum;
import io.tsp.ffm.Memory;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** One rank's end of the exchanges with other ranks of this process. Copies straight from the peers' memory. */
public final class LocalCommunicator implements Communicator {
    private final LocalHub hub;
    private final OrderedSum sum;
    private final Map<String, Long> sequences = new HashMap<>();

    public LocalCommunicator(LocalHub hub, OrderedSum sum) {
        this.hub = hub;
        this.sum = sum;
    }

    @Override
    public long workspaceBytes(CommunicationOp op) {
        return 0;
    }

    @Override
    public Launch broadcast(Broadcast op, Binding binding) {
        long mine = binding.address().applyAsLong(op.buffer());
        return meet(op, binding, new long[] {mine}, meeting -> {
            if (op.self() != op.root()) {
                Memory.copy(mine, meeting.addresses(op.root())[0], op.buffer().bytes());
            }
        });
    }

    @Override
    public Launch allGather(AllGather op, Binding binding) {
        long own = binding.address().applyAsLong(op.own());
        long[] parts = addresses(op.parts(), binding);
        return meet(op, binding, new long[] {own}, meeting -> {
            for (int i = 0; i < parts.length; i++) {
                if (i != op.self() || !op.isInPlace()) {
                    Memory.copy(
                            parts[i], meeting.addresses(i)[0], op.parts().get(i).bytes());
                }
            }
        });
    }

    @Override
    public Launch reduceScatter(ReduceScatter op, Binding binding) {
        long[] mine = addresses(op.parts(), binding);
        return meet(
                op, binding, mine, meeting -> sumPart(op, meeting, op.parts().get(op.self()), op.self()));
    }

    @Override
    public Launch allReduce(AllReduce op, Binding binding) {
        List<Tensor> parts =
                IntStream.range(0, op.group().size()).mapToObj(op::part).toList();
        long[] mine = addresses(parts, binding);
        return meet(op, binding, mine, meeting -> {
            sumPart(op, meeting, parts.get(op.self()), op.self());
            meeting.finish(op.self(), hub.deadline());
            for (int i : peers(op)) {
                Memory.copy(mine[i], meeting.addresses(i)[i], parts.get(i).bytes());
            }
        });
    }

    @Override
    public Launch allToAll(AllToAll op, Binding binding) {
        long[] mine = addresses(op.send(), binding);
        long[] receive = addresses(op.receive(), binding);
        return meet(op, binding, mine, meeting -> {
            for (int i = 0; i < op.group().size(); i++) {
                Memory.copy(
                        receive[i],
                        meeting.addresses(i)[op.self()],
                        op.receive().get(i).bytes());
            }
        });
    }

    @Override
    public Launch sendReceive(SendReceive op, Binding binding) {
        Tensor send = op.send();
        Tensor receive = op.receive();
        long source = send == null ? 0 : binding.address().applyAsLong(send);
        long target = receive == null ? 0 : binding.address().applyAsLong(receive);
        return new Exchange() {
            @Override
            public void run() {
                Meeting sending = send == null ? null : post(pair(op, binding, op.self(), op.to()), 0, send, source);
                if (sending != null) {
                    sending.advance(0);
                }
                if (receive != null) {
                    Meeting receiving = post(pair(op, binding, op.from(), op.self()), 1, receive, target);
                    arrived = receiving.awaitArrived(hub.deadline());
                    Memory.copy(target, receiving.addresses(0)[0], receive.bytes());
                    receiving.finish(1, hub.deadline());
                }
                if (sending != null) {
                    arrived = Math.max(arrived, sending.awaitArrived(hub.deadline()));
                    sending.awaitPeers(0, hub.deadline());
                }
            }
        };
    }

    private static Meeting post(Meeting meeting, int member, Tensor tensor, long address) {
        meeting.arrive(member, "send-receive of " + tensor.bytes() + " bytes", new long[] {address});
        return meeting;
    }

    /** The sum starts with the rank after the destination and ends with the destination. */
    private void sumPart(CommunicationOp op, Meeting meeting, Tensor part, int destination) {
        int size = op.group().size();
        long[] sources = new long[size];
        for (int i = 0; i < size; i++) {
            sources[i] = meeting.addresses((destination + 1 + i) % size)[destination];
        }
        sum.sum(part.dtype(), sources, sources[size - 1], part.count());
    }

    private Launch meet(CommunicationOp op, Binding binding, long[] mine, Work work) {
        String signature = op.signature();
        return new Exchange() {
            @Override
            public void run() {
                Group group = op.group();
                Meeting meeting = hub.meeting(
                        binding.channel(),
                        group,
                        group.ranks(),
                        next(binding.channel() + ":" + group),
                        binding.label());
                meeting.arrive(op.self(), signature, mine);
                arrived = meeting.awaitArrived(hub.deadline());
                work.run(meeting);
                meeting.finish(op.self(), hub.deadline());
            }
        };
    }

    private Meeting pair(SendReceive op, Binding binding, int sender, int receiver) {
        Group group = op.group();
        List<Integer> pair = List.of(group.ranks().get(sender), group.ranks().get(receiver));
        return hub.meeting(
                binding.channel(), group, pair, next(binding.channel() + ":" + group + pair), binding.label());
    }

    private synchronized long next(String members) {
        return sequences.merge(members, 1L, Long::sum) - 1;
    }

    private static int[] peers(CommunicationOp op) {
        return IntStream.range(0, op.group().size()).filter(i -> i != op.self()).toArray();
    }

    private static long[] addresses(List<Tensor> tensors, Binding binding) {
        return tensors.stream().mapToLong(binding.address()).toArray();
    }

    /** Ranks of one process share what is compared. */
    @Override
    public void agree(long fingerprint) {}

    @Override
    public void abort(RuntimeException cause) {
        hub.fail(cause);
    }

    @Override
    public void close() {}

    /** What a rank does between everybody's arrival and everybody's departure. */
    private interface Work {
        void run(Meeting meeting);
    }

    private abstract static class Exchange implements Launch {
        volatile long arrived;

        @Override
        public long peersArrivedNanos() {
            return arrived;
        }
    }
}
