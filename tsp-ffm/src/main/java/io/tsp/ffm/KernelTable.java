package io.tsp.ffm;

import io.tsp.ffm.generated.kernels.tsp_kernel;
import io.tsp.ffm.generated.kernels.tsp_kernels;
import io.tsp.ffm.generated.kernels.tsp_kernels_h;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of one {@code libtsp_kernels_*} library, checked against the header this build was generated from. Valid
 * for the life of the process; open it once.
 */
public final class KernelTable {
    private static final String ENTRY = "tsp_kernels_get";

    /** By hand: the generated descriptor first looks for the symbol in all loaded libraries, not in the one given. */
    private static final FunctionDescriptor ENTRY_DESCRIPTOR =
            FunctionDescriptor.of(tsp_kernels_h.C_POINTER, tsp_kernels_h.C_POINTER, tsp_kernels_h.C_POINTER);

    private final Path library;
    private final MemorySegment table;

    private KernelTable(Path library, MemorySegment table) {
        this.library = library;
        this.table = table;
    }

    /**
     * Asks {@code library} for its table.
     *
     * @param library a library that {@link NativeLibraries} has loaded
     * @param isa the instruction set to use, such as {@code avx2}; null for {@code TSP_CPU_ISA} or the best available
     * @throws NativeException if the processor lacks {@code isa}
     * @throws NativeLibraryException if the library's ABI is not the one this build needs
     */
    public static KernelTable open(Path library, @Nullable String isa) {
        MemorySegment entry = TableEntry.find(library, ENTRY);
        try (Arena arena = Arena.ofConfined()) {
            NativeError error = new NativeError(arena);
            MemorySegment name = isa == null ? MemorySegment.NULL : arena.allocateFrom(isa);
            MemorySegment found = invokeEntry(entry, name, error.segment());
            if (found.address() == 0) {
                throw error.failure(ENTRY);
            }
            MemorySegment table = found.reinterpret(tsp_kernels.sizeof());
            AbiCheck.requireCompatible(
                    library,
                    tsp_kernels.abi_version(table),
                    tsp_kernels_h.TSP_ABI_VERSION(),
                    tsp_kernels.struct_size(table),
                    tsp_kernels.sizeof());
            String inUse = tsp_kernels.isa(table).getString(0);
            if (isa != null && !isa.equals(inUse)) {
                throw new NativeLibraryException(
                        library + " was asked for instruction set " + isa + " and returned kernels for " + inUse);
            }
            return new KernelTable(library, table);
        }
    }

    private static MemorySegment invokeEntry(MemorySegment entry, MemorySegment isa, MemorySegment error) {
        try {
            return (MemorySegment) Linker.nativeLinker()
                    .downcallHandle(entry, ENTRY_DESCRIPTOR)
                    .invokeExact(isa, error);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(ENTRY + " threw a checked exception, which a downcall cannot", e);
        }
    }

    /** The file this table came from. */
    public Path library() {
        return library;
    }

    /** major * 1000 + minor. */
    public int abiVersion() {
        return tsp_kernels.abi_version(table);
    }

    /** Git id, compiler and the like, as {@code key=value; ...}. */
    public String buildInfo() {
        return tsp_kernels.build_info(table).getString(0);
    }

    /** The instruction set or GPU architecture in use, such as {@code avx512bf16}. */
    public String isa() {
        return tsp_kernels.isa(table).getString(0);
    }

    /** Takes {@code tsp_attention_args}. */
    public Kernel attentionForward() {
        return kernel("attention_forward", tsp_kernels.attention_forward(table));
    }

    /** Takes {@code tsp_gated_mlp_args}. */
    public Kernel gatedMlpForward() {
        return kernel("gated_mlp_forward", tsp_kernels.gated_mlp_forward(table));
    }

    /** Takes {@code tsp_pack_args}. */
    public Kernel packPanels() {
        return kernel("pack_panels", tsp_kernels.pack_panels(table));
    }

    /** Takes {@code tsp_rms_norm_args}. */
    public Kernel rmsNormForward() {
        return kernel("rms_norm_forward", tsp_kernels.rms_norm_forward(table));
    }

    /** Takes {@code tsp_rope_args}. */
    public Kernel rope() {
        return kernel("rope", tsp_kernels.rope(table));
    }

    /** Takes {@code tsp_embedding_args}. */
    public Kernel embeddingForward() {
        return kernel("embedding_forward", tsp_kernels.embedding_forward(table));
    }

    /** Takes {@code tsp_cross_entropy_update_args}. */
    public Kernel crossEntropyUpdate() {
        return kernel("cross_entropy_update", tsp_kernels.cross_entropy_update(table));
    }

    /** Takes {@code tsp_cross_entropy_merge_args}. */
    public Kernel crossEntropyMerge() {
        return kernel("cross_entropy_merge", tsp_kernels.cross_entropy_merge(table));
    }

    /** Takes {@code tsp_cross_entropy_finish_args}. */
    public Kernel crossEntropyFinish() {
        return kernel("cross_entropy_finish", tsp_kernels.cross_entropy_finish(table));
    }

    /** Takes {@code tsp_copy_args}. */
    public Kernel copy() {
        return kernel("copy", tsp_kernels.copy(table));
    }

    /** Takes {@code tsp_sum_args}. */
    public Kernel sum() {
        return kernel("sum", tsp_kernels.sum(table));
    }

    /** Takes {@code tsp_attention_backward_args}. */
    public Kernel attentionBackward() {
        return kernel("attention_backward", tsp_kernels.attention_backward(table));
    }

    /** Takes {@code tsp_gated_mlp_backward_args}. */
    public Kernel gatedMlpBackward() {
        return kernel("gated_mlp_backward", tsp_kernels.gated_mlp_backward(table));
    }

    /** Takes {@code tsp_rms_norm_backward_args}. */
    public Kernel rmsNormBackward() {
        return kernel("rms_norm_backward", tsp_kernels.rms_norm_backward(table));
    }

    /** Takes {@code tsp_embedding_backward_args}. */
    public Kernel embeddingBackward() {
        return kernel("embedding_backward", tsp_kernels.embedding_backward(table));
    }

    /** Takes {@code tsp_cross_entropy_backward_args}. */
    public Kernel crossEntropyBackward() {
        return kernel("cross_entropy_backward", tsp_kernels.cross_entropy_backward(table));
    }

    /** Takes {@code tsp_column_sum_args}. */
    public Kernel columnSum() {
        return kernel("column_sum", tsp_kernels.column_sum(table));
    }

    /** Takes {@code tsp_square_sum_args}. */
    public Kernel squareSum() {
        return kernel("square_sum", tsp_kernels.square_sum(table));
    }

    /** Takes {@code tsp_clip_args}. */
    public Kernel clip() {
        return kernel("clip", tsp_kernels.clip(table));
    }

    /** Takes {@code tsp_adamw_args}. */
    public Kernel adamw() {
        return kernel("adamw", tsp_kernels.adamw(table));
    }

    private Kernel kernel(String name, MemorySegment entry) {
        MemorySegment run = tsp_kernel.run(entry);
        MemorySegment workspaceBytes = tsp_kernel.workspace_bytes(entry);
        if (run.address() == 0 || workspaceBytes.address() == 0) {
            throw new NativeException(Status.UNSUPPORTED, name, library + " has no such kernel");
        }
        return new Kernel(name, run, workspaceBytes);
    }
}
