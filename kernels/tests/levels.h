/* The levels that the build compiled, for declaring what exists once per level. */
#pragma once

#if defined(__x86_64__)
#define TSP_FOR_EACH_LEVEL(USE) USE(portable) USE(avx2) USE(avx512) USE(avx512bf16)
#else
#define TSP_FOR_EACH_LEVEL(USE) USE(portable)
#endif
