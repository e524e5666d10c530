/* What tsp-ffm uses of NCCL 2.18 and later and of RCCL, which has the same names; why pointers, see cudart.h. */
#ifndef TSP_NCCL_H
#define TSP_NCCL_H

#include <nccl.h>

#define TSP_FUNCTION(name) __typeof__(name) *name

struct tsp_nccl {
    TSP_FUNCTION(ncclGetVersion);
    TSP_FUNCTION(ncclGetErrorString);
    TSP_FUNCTION(ncclGetLastError);
    TSP_FUNCTION(ncclGetUniqueId);
    TSP_FUNCTION(ncclCommInitRankConfig);
    TSP_FUNCTION(ncclCommGetAsyncError);
    TSP_FUNCTION(ncclCommAbort);
    TSP_FUNCTION(ncclCommFinalize);
    TSP_FUNCTION(ncclCommDestroy);
    TSP_FUNCTION(ncclBroadcast);
    TSP_FUNCTION(ncclAllGather);
    TSP_FUNCTION(ncclReduceScatter);
    TSP_FUNCTION(ncclAllReduce);
    TSP_FUNCTION(ncclSend);
    TSP_FUNCTION(ncclRecv);
    TSP_FUNCTION(ncclGroupStart);
    TSP_FUNCTION(ncclGroupEnd);
    TSP_FUNCTION(ncclCommSplit);
    TSP_FUNCTION(ncclCommShrink);
    TSP_FUNCTION(ncclMemAlloc);
    TSP_FUNCTION(ncclMemFree);
    TSP_FUNCTION(ncclCommWindowRegister);
    TSP_FUNCTION(ncclCommWindowDeregister);
};

#endif
