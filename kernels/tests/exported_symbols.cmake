# Fails unless LIBRARY exports tsp_kernels_get and nothing else.
execute_process(
    COMMAND ${NM} --dynamic --defined-only --format=posix ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
list(LENGTH lines count)
if(NOT count EQUAL 1 OR NOT symbols MATCHES "^tsp_kernels_get T")
    message(FATAL_ERROR "${LIBRARY} should export tsp_kernels_get alone, but exports\n${symbols}")
endif()
