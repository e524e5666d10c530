#pragma once

#include "expect.h"
#include "levels.h"

#define TSP_DECLARE_CHECK(level)                                                                                       \
    namespace tsp::level {                                                                                             \
    void check_simd(test::Report &report);                                                                             \
    }
TSP_FOR_EACH_LEVEL(TSP_DECLARE_CHECK)
