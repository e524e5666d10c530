/*
 * What lets tests that were written for CPUs run kernels on an NVIDIA GPU: memory of the host that the GPU reads and writes
 * where it lies, and kernels that return when they are done.
 */
#pragma once

#include <cstddef>

#include "tsp_kernels.h"

namespace tsp::test {

/* Ends the program when there is none left. */
void *allocate_pinned(size_t bytes);
void release_pinned(void *memory);

/* The same table, but each run waits for the device and reports what went wrong on it. */
const tsp_kernels *synchronous(const tsp_kernels *kernels);

} // namespace tsp::test
