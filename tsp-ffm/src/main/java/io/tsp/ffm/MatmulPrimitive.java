package io.tsp.ffm;

import static io.tsp.ffm.generated.dnnl.dnnl_h.*;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import io.tsp.ffm.generated.dnnl.dnnl_exec_arg_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The oneDNN objects behind one {@link Matmul}: owned by a {@link DnnlScope}, used by one thread at a time. */
final class MatmulPrimitive {
    private static final int ARGUMENTS = 5;

    private final MemorySegment engine;
    private final DnnlScope scope;
    private final MemorySegment primitive;
    private final MemorySegment stream;
    private final MemorySegment arguments;
    private final MemorySegment src;
    private final MemorySegment weights;
    private final MemorySegment bias;
    private final MemorySegment dst;
    private final MemorySegment scratchpad;
    private final int argumentCount;
    private final long scratchpadBytes;
    private final String implementation;

    MatmulPrimitive(MemorySegment engine, MatmulSpec spec, DnnlScope scope) {
        this.engine = engine;
        this.scope = scope;
        // Descriptors and attributes are copied into the primitive and the memories.
        try (DnnlScope building = new DnnlScope()) {
            boolean biased = spec.bias() != Bias.NONE;
            MemorySegment srcDesc = describe(building, spec.src(), spec.m(), spec.k());
            MemorySegment weightsDesc = describe(building, spec.weights(), spec.k(), spec.n());
            MemorySegment dstDesc = describe(building, spec.dst(), spec.m(), spec.n());
            MemorySegment biasDesc = biased ? describeBias(building, spec) : MemorySegment.NULL;
            MemorySegment attributes = attributes(building, spec.accumulate());
            MemorySegment descriptor = building.create(
                    "dnnl_matmul_primitive_desc_create",
                    out -> dnnl_matmul_primitive_desc_create(
                            out, engine, srcDesc, weightsDesc, biasDesc, dstDesc, attributes),
                    pd -> dnnl_primitive_desc_destroy(pd));
            MemorySegment scratchpadDesc = dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md(), 0);
            scratchpadBytes = dnnl_memory_desc_get_size(scratchpadDesc);
            implementation = implementation(descriptor);
            primitive = scope.create(
                    "dnnl_primitive_create",
                    out -> dnnl_primitive_create(out, descriptor),
                    p -> dnnl_primitive_destroy(p));
            stream = scope.create(
                    "dnnl_stream_create",
                    out -> dnnl_stream_create(out, engine, dnnl_stream_default_flags()),
                    s -> dnnl_stream_destroy(s));
            src = memory(srcDesc);
            weights = memory(weightsDesc);
            dst = memory(dstDesc);
            scratchpad = memory(scratchpadDesc);
            bias = biased ? memory(biasDesc) : MemorySegment.NULL;
        }
        argumentCount = bias.address() == 0 ? ARGUMENTS - 1 : ARGUMENTS;
        arguments = dnnl_exec_arg_t.allocateArray(ARGUMENTS, scope.arena());
        argument(0, DNNL_ARG_SRC(), src);
        argument(1, DNNL_ARG_WEIGHTS(), weights);
        argument(2, DNNL_ARG_DST(), dst);
        argument(3, DNNL_ARG_SCRATCHPAD(), scratchpad);
        argument(4, DNNL_ARG_BIAS(), bias);
    }

    long scratchpadBytes() {
        return scratchpadBytes;
    }

    String implementation() {
        return implementation;
    }

    void execute(long srcAddress, long weightsAddress, long biasAddress, long dstAddress, long scratchpadAddress) {
        point(src, srcAddress);
        point(weights, weightsAddress);
        point(dst, dstAddress);
        point(scratchpad, scratchpadAddress);
        if (bias.address() != 0) {
            point(bias, biasAddress);
        }
        int status = dnnl_primitive_execute(primitive, stream, argumentCount, arguments);
        DnnlScope.check(status, "dnnl_primitive_execute");
        DnnlScope.check(dnnl_stream_wait(stream), "dnnl_stream_wait");
    }

    private static void point(MemorySegment memory, long address) {
        int status = dnnl_memory_set_data_handle(memory, MemorySegment.ofAddress(address));
        DnnlScope.check(status, "dnnl_memory_set_data_handle");
    }

    private MemorySegment memory(MemorySegment desc) {
        return scope.create(
                "dnnl_memory_create",
                out -> dnnl_memory_create(out, desc, engine, MemorySegment.NULL),
                m -> dnnl_memory_destroy(m));
    }

    private void argument(long index, int name, MemorySegment memory) {
        MemorySegment argument = dnnl_exec_arg_t.asSlice(arguments, index);
        dnnl_exec_arg_t.arg(argument, name);
        dnnl_exec_arg_t.memory(argument, memory);
    }

    private static MemorySegment describe(DnnlScope scope, Matrix matrix, long rows, long columns) {
        long ld = matrix.leadingStride();
        return describe(
                scope, type(matrix.dtype()), rows, columns, matrix.transposed() ? 1 : ld, matrix.transposed() ? ld : 1);
    }

    private static MemorySegment describeBias(DnnlScope scope, MatmulSpec spec) {
        Dtype dtype = spec.bias() == Bias.F32 ? Dtype.F32 : Dtype.BF16;
        return describe(scope, Matrix.of(dtype, Math.max(1, spec.n())), 1, spec.n());
    }

    private static MemorySegment describe(
            DnnlScope scope, int type, long rows, long columns, long rowStride, long columnStride) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment dims = call.allocateFrom(ValueLayout.JAVA_LONG, rows, columns);
            MemorySegment strides = call.allocateFrom(ValueLayout.JAVA_LONG, rowStride, columnStride);
            return scope.create(
                    "dnnl_memory_desc_create_with_strides",
                    out -> dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides),
                    md -> dnnl_memory_desc_destroy(md));
        }
    }

    private static int type(Dtype dtype) {
        return switch (dtype) {
            case F32 -> dnnl_f32();
            case BF16 -> dnnl_bf16();
        };
    }

    /** fp32 stays fp32, reductions have one order, scratch memory is the caller's. */
    private static MemorySegment attributes(DnnlScope scope, boolean accumulate) {
        MemorySegment attributes = scope.create(
                "dnnl_primitive_attr_create",
                out -> dnnl_primitive_attr_create(out),
                a -> dnnl_primitive_attr_destroy(a));
        DnnlScope.check(
                dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user()),
                "dnnl_primitive_attr_set_scratchpad_mode");
        DnnlScope.check(
                dnnl_primitive_attr_set_fpmath_mode(attributes, dnnl_fpmath_mode_strict()),
                "dnnl_primitive_attr_set_fpmath_mode");
        DnnlScope.check(dnnl_primitive_attr_set_deterministic(attributes, 1), "dnnl_primitive_attr_set_deterministic");
        if (accumulate) {
            MemorySegment postOps = scope.create(
                    "dnnl_post_ops_create", out -> dnnl_post_ops_create(out), p -> dnnl_post_ops_destroy(p));
            DnnlScope.check(dnnl_post_ops_append_sum(postOps, 1.0f, 0, dnnl_f32()), "dnnl_post_ops_append_sum");
            DnnlScope.check(dnnl_primitive_attr_set_post_ops(attributes, postOps), "dnnl_primitive_attr_set_post_ops");
        }
        return attributes;
    }

    private static String implementation(MemorySegment descriptor) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            DnnlScope.check(
                    dnnl_primitive_desc_query(descriptor, dnnl_query_impl_info_str(), 0, out),
                    "dnnl_primitive_desc_query");
            return out.get(ValueLayout.ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
        }
    }
}
