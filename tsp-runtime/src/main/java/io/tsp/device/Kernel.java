package io.tsp.device;

import io.tsp.tensor.Tensor;
import java.util.function.ToLongFunction;

/** A compute op made ready for a device. */
public interface Kernel {
    /** Scratch memory that each run needs. */
    long workspaceBytes();

    /** Fixes where operands lie; the result may be run any number of times. */
    Launch bind(Binding binding);

    /**
     * Where an op's operands lie and which stream it runs on.
     *
     * @param address address of a tensor's first element
     * @param workspace address of the scratch memory
     */
    record Binding(ToLongFunction<Tensor> address, long workspace, Stream stream) {}
}
