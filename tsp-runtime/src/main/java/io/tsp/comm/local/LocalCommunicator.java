package io.tsp.comm.local;

import io.tsp.comm.Communicator;
import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.device.Stream.Event;
import io.tsp.device.Transfers;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * One rank's end of the exchanges with other ranks of this process. Copies straight from the peers' memory. Ranks meet
 * as threads of the host; on GPUs these only enqueue, and streams wait for each other's marks.
 */
public final class LocalCommunicator implements Communicator {
    private final LocalHub hub;
    private final Function<Stream, Transfers> device;
    private final Map<String, Long> sequences = new HashMap<>();

    /** @param device how the rank's device moves bytes in the order of one of its streams */
    public LocalCommunicator(LocalHub hub, Function<Stream, Transfers> device) {
        this.hub = hub;
        this.device = device;
    }

    @Override
    public long workspaceBytes(CommunicationOp op) {
        return 0;
    }

    @Override
    public Launch broadcast(Broadcast op, Binding binding) {
        long mine = binding.address().applyAsLong(op.buffer());
        return new Gathering(op, binding, new long[] {mine}) {
            @Override
            void work(Meeting meeting) {
                if (op.self() != op.root()) {
                    transfers.copy(
                            mine, meeting.addresses(op.root())[0], op.buffer().bytes());
                }
            }
        };
    }

    @Override
    public Launch allGather(AllGather op, Binding binding) {
        long own = binding.address().applyAsLong(op.own());
        long[] parts = binding.addresses(op.parts());
        return new Gathering(op, binding, new long[] {own}) {
            @Override
            void work(Meeting meeting) {
                for (int i = 0; i < parts.length; i++) {
                    if (i != op.self() || !op.isInPlace()) {
                        transfers.copy(
                                parts[i],
                                meeting.addresses(i)[0],
                                op.parts().get(i).bytes());
                    }
                }
            }
        };
    }

    @Override
    public Launch reduceScatter(ReduceScatter op, Binding binding) {
        return new Gathering(op, binding, binding.addresses(op.parts())) {
            @Override
            void work(Meeting meeting) {
                sumPart(meeting, op.parts().get(op.self()), op.self());
            }
        };
    }

    @Override
    public Launch allReduce(AllReduce op, Binding binding) {
        List<Tensor> parts = op.parts();
        long[] mine = binding.addresses(parts);
        return new Gathering(op, binding, mine) {
            @Override
            void work(Meeting meeting) {
                sumPart(meeting, parts.get(op.self()), op.self());
                finish(meeting, op.self());
                for (int i : peers(op)) {
                    transfers.copy(
                            mine[i], meeting.addresses(i)[i], parts.get(i).bytes());
                }
            }
        };
    }

    @Override
    public Launch allToAll(AllToAll op, Binding binding) {
        long[] receive = binding.addresses(op.receive());
        return new Gathering(op, binding, binding.addresses(op.send())) {
            @Override
            void work(Meeting meeting) {
                for (int i = 0; i < op.group().size(); i++) {
                    transfers.copy(
                            receive[i],
                            meeting.addresses(i)[op.self()],
                            op.receive().get(i).bytes());
                }
            }
        };
    }

    @Override
    public Launch sendReceive(SendReceive op, Binding binding) {
        Tensor send = op.send();
        Tensor receive = op.receive();
        long source = send == null ? 0 : binding.address().applyAsLong(send);
        long target = receive == null ? 0 : binding.address().applyAsLong(receive);
        return new Exchange(binding) {
            @Override
            public void run() {
                Event ready = transfers.mark();
                Meeting sending =
                        send == null ? null : post(pair(op, binding, op.self(), op.to()), 0, send, source, ready);
                if (sending != null) {
                    // The sender has nothing to copy: the receiver need not wait for it again.
                    sending.advance(0, ready);
                }
                List<Event> came = List.of();
                if (receive != null) {
                    Meeting receiving = post(pair(op, binding, op.from(), op.self()), 1, receive, target, ready);
                    came = awaitAll(receiving.awaitArrived(hub.deadline()));
                    transfers.copy(target, receiving.addresses(0)[0], receive.bytes());
                    finish(receiving, 1);
                }
                if (sending != null) {
                    came = both(came, sending.awaitArrived(hub.deadline()));
                    awaitAll(sending.awaitPeers(0, hub.deadline()));
                }
                arrivals = came;
            }
        };
    }

    private static List<Event> both(List<Event> some, List<Event> more) {
        List<Event> all = new ArrayList<>(some);
        all.addAll(more);
        return all;
    }

    private static Meeting post(Meeting meeting, int member, Tensor tensor, long address, Event ready) {
        meeting.arrive(member, "send-receive of " + tensor.bytes() + " bytes", new long[] {address}, ready);
        return meeting;
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

    /** Ranks of one process share what is compared. */
    @Override
    public void agree(long fingerprint) {}

    @Override
    public void abort(RuntimeException cause) {
        hub.fail(cause);
    }

    @Override
    public void close() {}

    private abstract class Exchange implements Launch {
        final Transfers transfers;
        volatile List<Event> arrivals = List.of();

        Exchange(Binding binding) {
            transfers = device.apply(binding.stream());
        }

        /** Makes this stream wait for what members of a meeting have marked; returns the marks. */
        final List<Event> awaitAll(List<Event> marks) {
            marks.forEach(transfers::await);
            return marks;
        }

        /** Ends a phase: what follows on this stream begins when the phase has ended on every member's. */
        final void finish(Meeting meeting, int self) {
            meeting.advance(self, transfers.mark());
            awaitAll(meeting.awaitPeers(self, hub.deadline()));
        }

        /** The sum starts with the rank after the destination and ends with the destination. */
        final void sumPart(Meeting meeting, Tensor part, int destination) {
            int size = meeting.size();
            long[] sources = new long[size];
            for (int i = 0; i < size; i++) {
                sources[i] = meeting.addresses((destination + 1 + i) % size)[destination];
            }
            transfers.sum(part.dtype(), sources, sources[size - 1], part.count());
        }

        @Override
        public final long peersArrivedNanos() {
            return arrivals.stream().mapToLong(Event::nanos).max().orElse(0);
        }
    }

    /** An exchange that all members of a group come to and leave together. */
    private abstract class Gathering extends Exchange {
        private final CommunicationOp op;
        private final Binding binding;
        private final long[] mine;

        /** @param mine addresses that peers may read */
        Gathering(CommunicationOp op, Binding binding, long[] mine) {
            super(binding);
            this.op = op;
            this.binding = binding;
            this.mine = mine;
        }

        /** What a rank does between everybody's arrival and everybody's departure. */
        abstract void work(Meeting meeting);

        @Override
        public final void run() {
            Group group = op.group();
            Meeting meeting = hub.meeting(
                    binding.channel(), group, group.ranks(), next(binding.channel() + ":" + group), binding.label());
            meeting.arrive(op.self(), op.signature(), mine, transfers.mark());
            arrivals = awaitAll(meeting.awaitArrived(hub.deadline()));
            work(meeting);
            finish(meeting, op.self());
        }
    }
}
