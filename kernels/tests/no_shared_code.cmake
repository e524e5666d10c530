# Fails if an object of LEVEL defines code that the linker may share with another level (a weak function outside the
# level's namespace): the copy kept could be for a newer processor than the one it will run on. What clang calls when an
# exception leaves a noexcept function does nothing but end the process.
foreach(object IN LISTS OBJECTS)
    execute_process(
        COMMAND ${NM} --demangle --defined-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]+ W [^\n]+" weak "${symbols}")
    list(FILTER weak EXCLUDE REGEX "tsp::${LEVEL}::|__clang_call_terminate")
    if(weak)
        message(FATAL_ERROR "${object} shares code with other levels:\n${weak}")
    endif()
endforeach()
