# Finding Java 25 and starting tsp with it. Sourced by scripts/tsp and by bin/tsp of the distribution.

fail() {
    echo "$(basename "$0"): $1" >&2
    exit "${2:-1}"
}

is_java_25() {
    [[ -x $1/bin/java ]] && grep -q '^JAVA_VERSION="25[."]' "$1/release" 2>/dev/null
}

# require_java [PROGRAM]: sets java_home to a Java 25 that has bin/PROGRAM, or ends the script with a sentence.
require_java() {
    local candidate on_path program=${1:-java}
    on_path=$(readlink -f "$(command -v "$program" || true)" || true)
    for candidate in "${JAVA_HOME:-}" /usr/lib/jvm/*25* "${HOME:-}"/.sdkman/candidates/java/25* "${HOME:-}"/.jdks/*25* \
        /opt/*jdk*25* "${on_path%/bin/"$program"}"; do
        if [[ -n $candidate && -x $candidate/bin/$program ]] && is_java_25 "$candidate"; then
            java_home=$candidate
            return
        fi
    done
    fail "no JDK 25 in JAVA_HOME, /usr/lib/jvm or on the PATH; install one, for example from https://adoptium.net/temurin/releases/?version=25" 77
}

# run_tsp CLASS_PATH ARGUMENT...: replaces this shell. TSP_JAVA_OPTIONS adds flags.
run_tsp() {
    local class_path=$1
    shift
    # An MPI on top of UCX would take over SIGSEGV, which the JVM needs; oversubscribed ranks must not spin for a core.
    export UCX_ERROR_SIGNALS= OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle:-1}
    # Tensors lie outside the Java heap, whose collector should leave the cores to the kernels; so do the copies that
    # checkpoints are written from, which are counted before anything is allocated.
    # shellcheck disable=SC2086
    exec "$java_home/bin/java" --enable-native-access=ALL-UNNAMED --illegal-native-access=deny -XX:+UseSerialGC \
        -XX:MaxDirectMemorySize=64t \
        ${TSP_JAVA_OPTIONS:-} -cp "$class_path" io.tsp.cli.Main "$@"
}
