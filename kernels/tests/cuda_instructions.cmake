# Fails if the library's machine code lacks matrix instructions: -DLIBRARY=libtsp_kernels_cuda.so. Prints "skipped" where
# there is no disassembler.
find_program(CUOBJDUMP cuobjdump HINTS /usr/local/cuda/bin ENV TSP_CUDA_TOOLS)
if(NOT CUOBJDUMP)
    message("skipped: there is no cuobjdump to read machine code with")
    return()
endif()
foreach(pair IN ITEMS "sm_80 HMMA" "sm_90a HGMMA" "sm_90a UTMALDG")
    separate_arguments(pair)
    list(GET pair 0 architecture)
    list(GET pair 1 instruction)
    execute_process(
        COMMAND ${CUOBJDUMP} -sass -arch ${architecture} ${LIBRARY}
        COMMAND grep -c " ${instruction}"
        OUTPUT_VARIABLE count)
    if(NOT count GREATER 0)
        message(SEND_ERROR "the code for ${architecture} has no ${instruction}")
    else()
        string(STRIP ${count} count)
        message("${architecture}: ${count} ${instruction}")
    endif()
endforeach()
