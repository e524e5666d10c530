package io.tsp.launch;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a launcher tells a process that it has started.
 *
 * @param kind which launcher it is
 * @param rank number of this process among all
 * @param size number of all processes
 * @param localRank number of this process among those of its machine, if the launcher says it
 */
public record Launcher(Kind kind, int rank, int size, OptionalInt localRank) {
    /** Launchers, by the variables they set; a launcher inside another speaks first. */
    public enum Kind {
        TORCHRUN("torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK"),
        OPEN_MPI("Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
        /** MPICH, Intel MPI, Cray's PALS and others that speak PMI. */
        PMI("MPICH", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID PALS_LOCAL_RANKID PMI_LOCAL_RANK"),
        SLURM("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID");

        private final String title;
        private final String sizeVariable;
        private final String rankVariable;
        private final String localVariables;

        /** @param localVariables separated by spaces: an enum holds no lists */
        Kind(String title, String sizeVariable, String rankVariable, String localVariables) {
            this.title = title;
            this.sizeVariable = sizeVariable;
            this.rankVariable = rankVariable;
            this.localVariables = localVariables;
        }

        /** What its users call it. */
        public String title() {
            return title;
        }

        /** The variable that says how many processes there are. */
        public String sizeVariable() {
            return sizeVariable;
        }

        /** Whether its processes can be those of an MPI program. */
        public boolean startsMpi() {
            return this != TORCHRUN;
        }

        private OptionalInt size(Map<String, String> environment) {
            return number(sizeVariable, environment);
        }

        private OptionalInt rank(Map<String, String> environment) {
            return number(rankVariable, environment);
        }

        private Launcher launched(int size, Map<String, String> environment) {
            int rank = rank(environment)
                    .orElseThrow(() -> new LaunchException(
                            LaunchException.Reason.SETTINGS,
                            sizeVariable + " says that there are " + size + " processes, but " + rankVariable
                                    + " does not say which one this is; set both, or unset " + sizeVariable));
            if (rank >= size) {
                throw new LaunchException(
                        LaunchException.Reason.SETTINGS,
                        rankVariable + "=" + rank + " is not a rank of " + sizeVariable + "=" + size
                                + ", which are counted from 0; correct one of them");
            }
            return new Launcher(this, rank, size, localRank(environment));
        }

        private OptionalInt localRank(Map<String, String> environment) {
            return Arrays.stream(localVariables.split(" ", -1))
                    .map(name -> number(name, environment))
                    .flatMapToInt(OptionalInt::stream)
                    .findFirst();
        }
    }

    /**
     * The launcher of a process; none if there is none, or if it has started only this process.
     *
     * @throws LaunchException if it does not say which of several processes this is
     */
    public static Optional<Launcher> of(Map<String, String> environment) {
        List<Kind> present = present(environment);
        return present.stream()
                .filter(kind -> kind.rank(environment).isPresent())
                .findFirst()
                .or(() -> present.stream().findFirst())
                .flatMap(kind -> {
                    int size = kind.size(environment).orElse(1);
                    return size > 1 ? Optional.of(kind.launched(size, environment)) : Optional.empty();
                });
    }

    /** All launchers that say how many processes there are, the one that decides first. */
    public static List<Kind> present(Map<String, String> environment) {
        return Arrays.stream(Kind.values())
                .filter(kind -> kind.size(environment).isPresent())
                .toList();
    }

    private static OptionalInt number(String name, Map<String, String> environment) {
        String value = environment.getOrDefault(name, "");
        return value.matches("\\d{1,9}") ? OptionalInt.of(Integer.parseInt(value)) : OptionalInt.empty();
    }

    /** Which of a machine's devices is this rank's; ranks of a launcher that says no local rank are dealt by rank. */
    public int device(int devices) {
        return localRank.orElse(rank) % devices;
    }
}
