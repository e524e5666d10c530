package io.tsp.device.kernels;

import io.tsp.device.Kernel;
import io.tsp.device.Launch;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeError;
import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.op.ComputeOp;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.CrossEntropyMerge;
import io.tsp.op.ComputeOp.CrossEntropyUpdate;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.ComputeOp.RmsNorm;
import io.tsp.op.ComputeOp.Rope;
import io.tsp.op.TrainingOp;
import io.tsp.op.TrainingOp.AdamW;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.op.TrainingOp.Clip;
import io.tsp.op.TrainingOp.ColumnSum;
import io.tsp.op.TrainingOp.CrossEntropyBackward;
import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.op.TrainingOp.GatedMlpBackward;
import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.op.TrainingOp.SquareSum;
import io.tsp.op.TrainingOp.Sum;
import io.tsp.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/**
 * Compute ops as kernels of one library: the only place that knows which op is which kernel.
 *
 * <p>Reading order: before this {@code CpuDevice}; next {@code native/include/tsp_kernels.h}.
 */
public final class KernelLibrary {
    /** Stands for every operand while only sizes are asked for. */
    private static final long ANY_ADDRESS = 64;

    private final KernelTable table;
    private final Gemms gemms;
    private final int threads;
    private final Arena arena;

    /**
     * @param threads CPU threads of each call
     * @param arena what bound launches live as long as
     */
    public KernelLibrary(KernelTable table, Gemms gemms, int threads, Arena arena) {
        this.table = table;
        this.gemms = gemms;
        this.threads = threads;
        this.arena = arena;
    }

    /** The kernel of an op. */
    public Kernel prepare(ComputeOp op) {
        return switch (op) {
            case Gemm gemm -> gemms.prepare(gemm);
            case Attention attention -> kernel(table.attentionForward(), structs -> Arguments.of(attention, structs));
            case GatedMlp mlp -> kernel(table.gatedMlpForward(), structs -> Arguments.of(mlp, structs));
            case PackPanels pack -> kernel(table.packPanels(), structs -> Arguments.of(pack, structs));
            case RmsNorm norm -> kernel(table.rmsNormForward(), structs -> Arguments.of(norm, structs));
            case Rope rope -> kernel(table.rope(), structs -> Arguments.of(rope, structs));
            case Embedding embedding -> kernel(table.embeddingForward(), structs -> Arguments.of(embedding, structs));
            case CrossEntropyUpdate update ->
                kernel(table.crossEntropyUpdate(), structs -> Arguments.of(update, structs));
            case CrossEntropyMerge merge -> kernel(table.crossEntropyMerge(), structs -> Arguments.of(merge, structs));
            case CrossEntropyFinish finish ->
                kernel(table.crossEntropyFinish(), structs -> Arguments.of(finish, structs));
            case Copy copy -> kernel(table.copy(), structs -> Arguments.of(copy, structs));
            case TrainingOp training -> prepare(training);
        };
    }

    private Kernel prepare(TrainingOp training) {
        return switch (training) {
            case AttentionBackward op -> kernel(table.attentionBackward(), args -> TrainingArguments.of(op, args));
            case GatedMlpBackward op -> kernel(table.gatedMlpBackward(), args -> TrainingArguments.of(op, args));
            case RmsNormBackward op -> kernel(table.rmsNormBackward(), args -> TrainingArguments.of(op, args));
            case EmbeddingBackward op -> kernel(table.embeddingBackward(), args -> TrainingArguments.of(op, args));
            case CrossEntropyBackward op ->
                kernel(table.crossEntropyBackward(), args -> TrainingArguments.of(op, args));
            case ColumnSum op -> kernel(table.columnSum(), args -> TrainingArguments.of(op, args));
            case Sum op -> kernel(table.sum(), args -> TrainingArguments.of(op, args));
            case SquareSum op -> kernel(table.squareSum(), args -> TrainingArguments.of(op, args));
            case Clip op -> kernel(table.clip(), args -> TrainingArguments.of(op, args));
            case AdamW op -> kernel(table.adamw(), args -> TrainingArguments.of(op, args));
        };
    }

    private Kernel kernel(io.tsp.ffm.Kernel entry, Function<Structs, MemorySegment> arguments) {
        return new TableKernel(entry, arguments);
    }

    private final class TableKernel implements Kernel {
        private final io.tsp.ffm.Kernel entry;
        private final Function<Structs, MemorySegment> arguments;
        private final long workspaceBytes;

        TableKernel(io.tsp.ffm.Kernel entry, Function<Structs, MemorySegment> arguments) {
            this.entry = entry;
            this.arguments = arguments;
            try (Arena call = Arena.ofConfined()) {
                MemorySegment args = arguments.apply(new Structs(call, tensor -> ANY_ADDRESS));
                workspaceBytes = entry.workspaceBytes(args, launch(call, 0, 0));
            }
        }

        private MemorySegment launch(Arena owner, long workspace, long stream) {
            MemorySegment launch = tsp_launch.allocate(owner);
            tsp_launch.struct_size(launch, Math.toIntExact(tsp_launch.sizeof()));
            tsp_launch.threads(launch, threads);
            tsp_launch.stream(launch, MemorySegment.ofAddress(stream));
            tsp_launch.workspace(launch, MemorySegment.ofAddress(workspace));
            tsp_launch.workspace_bytes(launch, workspaceBytes);
            return launch;
        }

        @Override
        public long workspaceBytes() {
            return workspaceBytes;
        }

        @Override
        public Launch bind(Binding binding) {
            ToLongFunction<Tensor> address = binding.address();
            MemorySegment args = arguments.apply(new Structs(arena, address));
            MemorySegment launch =
                    launch(arena, binding.workspace(), binding.stream().handle());
            NativeError error = new NativeError(arena);
            return () -> entry.run(args, launch, error);
        }
    }
}
