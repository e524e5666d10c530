package io.tsp.comm;

import io.tsp.device.Launch;
import io.tsp.device.Stream;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.function.ToLongFunction;

/**
 * One rank's end of all exchanges. Ops of one channel match in the order in which members run them; every wait has a
 * deadline and names the ranks that are missing.
 */
public interface Communicator extends AutoCloseable {
    /**
     * Where an exchange's operands lie and how it is recognised.
     *
     * @param channel number of the lane: exchanges of different lanes do not match
     * @param stream what the exchange runs on
     * @param address address of a tensor's first element
     * @param workspace address of the scratch memory
     * @param label what an error calls this exchange
     */
    record Binding(int channel, Stream stream, ToLongFunction<Tensor> address, long workspace, String label) {
        /** Addresses of several tensors' first elements. */
        public long[] addresses(List<Tensor> tensors) {
            return tensors.stream().mapToLong(address).toArray();
        }
    }

    /** Scratch memory that each run of the op needs. */
    long workspaceBytes(CommunicationOp op);

    /** Fixes where operands lie; the result may be run any number of times. */
    default Launch bind(CommunicationOp op, Binding binding) {
        return switch (op) {
            case Broadcast broadcast -> broadcast(broadcast, binding);
            case AllGather allGather -> allGather(allGather, binding);
            case ReduceScatter reduceScatter -> reduceScatter(reduceScatter, binding);
            case AllReduce allReduce -> allReduce(allReduce, binding);
            case AllToAll allToAll -> allToAll(allToAll, binding);
            case SendReceive sendReceive -> sendReceive(sendReceive, binding);
        };
    }

    Launch broadcast(Broadcast op, Binding binding);

    Launch allGather(AllGather op, Binding binding);

    Launch reduceScatter(ReduceScatter op, Binding binding);

    Launch allReduce(AllReduce op, Binding binding);

    Launch allToAll(AllToAll op, Binding binding);

    Launch sendReceive(SendReceive op, Binding binding);

    /**
     * Compares a fingerprint of everything that all ranks must have in common, before the first exchange.
     *
     * @throws RanksDisagreeException naming the ranks that have another one
     */
    void agree(long fingerprint);

    /**
     * To be called when streams have come to an end: exchanges that were given up may let them go on with bytes that never
     * came.
     *
     * @throws RuntimeException the first failure, here or on a peer
     */
    default void requireIntact() {}

    /** Makes every wait, here and on peers where that is possible, fail with the first cause that is given. */
    void abort(RuntimeException cause);

    @Override
    void close();
}
