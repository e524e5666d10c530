package io.tsp.op;

import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How an op uses one operand. */
public record Access(Tensor tensor, Mode mode) {

    /** What happens to the operand's bytes. */
    public enum Mode {
        READ,
        WRITE,
        /** Read, added to, written. */
        ACCUMULATE;

        public boolean reads() {
            return this != WRITE;
        }

        public boolean writes() {
            return this != READ;
        }
    }

    /** Collects the operands of an op; absent ones are passed as null. */
    static final class Collector {
        private final List<Access> accesses = new ArrayList<>();

        Collector reads(@Nullable Tensor... tensors) {
            return add(Mode.READ, tensors);
        }

        Collector writes(@Nullable Tensor... tensors) {
            return add(Mode.WRITE, tensors);
        }

        Collector updates(boolean accumulate, Tensor tensor) {
            return add(accumulate ? Mode.ACCUMULATE : Mode.WRITE, tensor);
        }

        private Collector add(Mode mode, @Nullable Tensor... tensors) {
            for (Tensor tensor : tensors) {
                if (tensor != null) {
                    accesses.add(new Access(tensor, mode));
                }
            }
            return this;
        }

        List<Access> list() {
            return List.copyOf(accesses);
        }
    }

    static Collector collect() {
        return new Collector();
    }
}
