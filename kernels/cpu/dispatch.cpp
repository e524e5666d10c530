/* The library's one exported symbol: chooses the instruction set level once, for the caller to keep. */
#include <cstdlib>
#include <cstring>

#include "check.h"
#include "tsp_kernels.h"

namespace tsp {

#if defined(__x86_64__)
namespace avx512bf16 {
extern const tsp_kernels table;
}
namespace avx512 {
extern const tsp_kernels table;
}
namespace avx2 {
extern const tsp_kernels table;
}
#endif
namespace portable {
extern const tsp_kernels table;
}

namespace {

struct Level {
    const tsp_kernels *table;
    bool (*supported)();
};

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks whether the operating system saves the wide registers. */
bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool has_avx512bf16() {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

/* Best first. */
constexpr Level LEVELS[] = {
#if defined(__x86_64__)
    {&avx512bf16::table, has_avx512bf16},
    {&avx512::table, has_avx512},
    {&avx2::table, has_avx2},
#endif
    {&portable::table, [] { return true; }},
};

const tsp_kernels *find(const char *isa) {
    for (const Level &level : LEVELS) {
        const bool wanted = isa == nullptr || std::strcmp(isa, level.table->isa) == 0;
        if (wanted && level.supported()) {
            return level.table;
        }
        if (wanted && isa != nullptr) {
            fail(TSP_UNSUPPORTED, "this processor or its operating system lacks what the kernels for %s need", isa);
        }
    }
    fail(TSP_INVALID_ARGUMENT, "isa '%s' is unknown: use portable, avx2, avx512 or avx512bf16", isa);
}

} // namespace
} // namespace tsp

extern "C" const tsp_kernels *tsp_kernels_get(const char *isa, tsp_error *error) {
    try {
        const char *wanted = isa != nullptr ? isa : std::getenv("TSP_CPU_ISA");
        return tsp::find(wanted != nullptr && wanted[0] != '\0' ? wanted : nullptr);
    } catch (const tsp::Error &failure) {
        tsp::report(error, failure.status, failure.message);
        return nullptr;
    }
}
