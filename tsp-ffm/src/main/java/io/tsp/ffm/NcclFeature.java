package io.tsp.ffm;

import static io.tsp.ffm.generated.nccl.tsp_nccl.*;

import java.lang.foreign.MemorySegment;
import java.util.function.UnaryOperator;

/** What only later versions of NCCL can do. */
public enum NcclFeature {
    /** Since 2.18. */
    SPLIT(nccl -> ncclCommSplit(nccl)),
    /** Since 2.19. */
    ALLOCATE(nccl -> ncclMemAlloc(nccl)),
    /** Since 2.27. */
    SHRINK(nccl -> ncclCommShrink(nccl)),
    /** Since 2.27. */
    WINDOW(nccl -> ncclCommWindowRegister(nccl));

    @SuppressWarnings("ImmutableEnumChecker") // a field of the generated struct, chosen by a function without state
    private final UnaryOperator<MemorySegment> function;

    NcclFeature(UnaryOperator<MemorySegment> function) {
        this.function = function;
    }

    /** NULL where it is not there. */
    MemorySegment function(MemorySegment nccl) {
        return function.apply(nccl);
    }
}
