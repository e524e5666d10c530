package io.tsp.device.kernels;

import io.tsp.ffm.generated.kernels.tsp_chunk;
import io.tsp.ffm.generated.kernels.tsp_kernels_h;
import io.tsp.ffm.generated.kernels.tsp_tensor;
import io.tsp.op.Chunk;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** Fills the C structs that kernels take. */
final class Structs {
    private final Arena arena;
    private final ToLongFunction<Tensor> address;

    /** @param arena what the structs live as long as */
    Structs(Arena arena, ToLongFunction<Tensor> address) {
        this.arena = arena;
        this.address = address;
    }

    Arena arena() {
        return arena;
    }

    /** An absent tensor leaves its zeroed struct as it is: no data. */
    void fill(MemorySegment struct, @Nullable Tensor tensor) {
        if (tensor == null) {
            return;
        }
        tsp_tensor.data(struct, address(tensor));
        tsp_tensor.rank(struct, tensor.shape().rank());
        tsp_tensor.dtype(struct, dtype(tensor.dtype()));
        for (int i = 0; i < tensor.shape().rank(); i++) {
            tsp_tensor.shape(struct, i, tensor.dim(i));
            tsp_tensor.strides(struct, i, tensor.strides().dim(i));
        }
    }

    MemorySegment address(Tensor tensor) {
        return MemorySegment.ofAddress(address.applyAsLong(tensor));
    }

    MemorySegment chunks(List<Chunk> chunks) {
        MemorySegment array = tsp_chunk.allocateArray(Math.max(1, chunks.size()), arena);
        for (int i = 0; i < chunks.size(); i++) {
            MemorySegment struct = tsp_chunk.asSlice(array, i);
            tsp_chunk.first_row(struct, chunks.get(i).firstRow());
            tsp_chunk.batch_rows(struct, chunks.get(i).batchRows());
            tsp_chunk.count(struct, chunks.get(i).count());
            tsp_chunk.start(struct, chunks.get(i).start());
        }
        return array;
    }

    static int dtype(DType dtype) {
        return switch (dtype) {
            case F32 -> tsp_kernels_h.TSP_F32();
            case BF16 -> tsp_kernels_h.TSP_BF16();
            case I32 -> tsp_kernels_h.TSP_I32();
            case F64 -> tsp_kernels_h.TSP_F64();
        };
    }
}
