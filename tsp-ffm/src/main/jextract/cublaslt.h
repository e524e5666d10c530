/* What tsp-ffm uses of cuBLASLt, versions 12 and 13; why pointers, see cudart.h. */
#ifndef TSP_CUBLASLT_H
#define TSP_CUBLASLT_H

#include <cublasLt.h>

#define TSP_FUNCTION(name) __typeof__(name) *name

struct tsp_cublaslt {
    TSP_FUNCTION(cublasLtGetVersion);
    TSP_FUNCTION(cublasLtGetStatusName);
    TSP_FUNCTION(cublasLtGetStatusString);
    TSP_FUNCTION(cublasLtCreate);
    TSP_FUNCTION(cublasLtDestroy);
    TSP_FUNCTION(cublasLtMatmulDescCreate);
    TSP_FUNCTION(cublasLtMatmulDescSetAttribute);
    TSP_FUNCTION(cublasLtMatmulDescDestroy);
    TSP_FUNCTION(cublasLtMatrixLayoutCreate);
    TSP_FUNCTION(cublasLtMatrixLayoutDestroy);
    TSP_FUNCTION(cublasLtMatmulPreferenceCreate);
    TSP_FUNCTION(cublasLtMatmulPreferenceSetAttribute);
    TSP_FUNCTION(cublasLtMatmulPreferenceDestroy);
    TSP_FUNCTION(cublasLtMatmulAlgoGetHeuristic);
    TSP_FUNCTION(cublasLtMatmulAlgoConfigGetAttribute);
    TSP_FUNCTION(cublasLtMatmul);
};

#endif
