/**
 * The edge to native code: finds and loads libraries, checks that they are the ones this build expects, and turns their
 * status codes into exceptions. Nothing here knows tensors, ranks or programs.
 *
 * <p>{@link io.tsp.ffm.NativeLibraries} loads, {@link io.tsp.ffm.KernelTable} calls our kernels, {@link
 * io.tsp.ffm.Dnnl} calls oneDNN's matrix product, {@link io.tsp.ffm.Openmp} sizes the thread team that both share. For
 * GPUs, {@link io.tsp.ffm.GpuLibraries} finds the vendor's libraries, which {@link io.tsp.ffm.CudaRuntime}, {@link
 * io.tsp.ffm.CublasLt} and {@link io.tsp.ffm.Nccl} call. The
 * {@code generated} packages are jextract's output, written by {@code scripts/regenerate-bindings} alone.
 *
 * <p>Depends on the JDK and JavaCPP's resource extraction. Call it from platform threads. Start reading at KernelTable.
 */
@NullMarked
package io.tsp.ffm;

import org.jspecify.annotations.NullMarked;
