package io.tsp.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** A failure means that processes take each other's number or GPU, or do not find each other. */
class LauncherTest {
    private static Launcher launcher(String... variables) {
        return Launcher.of(environment(variables)).orElseThrow();
    }

    private static Map<String, String> environment(String... variables) {
        Map<String, String> environment = new HashMap<String, String>();
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        return environment;
    }

    @Test
    void everyLauncherIsUnderstood() {
        assertEquals(
                new Launcher(Launcher.Kind.TORCHRUN, 5, 8, OptionalInt.of(1)),
                launcher("RANK", "5", "WORLD_SIZE", "8", "LOCAL_RANK", "1"));
        assertEquals(
                new Launcher(Launcher.Kind.OPEN_MPI, 2, 3, OptionalInt.of(0)),
                launcher("OMPI_COMM_WORLD_RANK", "2", "OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_LOCAL_RANK", "0"));
        assertEquals(
                new Launcher(Launcher.Kind.PMI, 1, 2, OptionalInt.of(1)),
                launcher("PMI_RANK", "1", "PMI_SIZE", "2", "MPI_LOCALRANKID", "1"));
        assertEquals(
                new Launcher(Launcher.Kind.SLURM, 3, 4, OptionalInt.of(3)),
                launcher("SLURM_PROCID", "3", "SLURM_STEP_NUM_TASKS", "4", "SLURM_LOCALID", "3"));
    }

    @Test
    void theInnerLauncherDecides() {
        assertEquals(
                Launcher.Kind.TORCHRUN,
                launcher("RANK", "0", "WORLD_SIZE", "2", "SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS", "1")
                        .kind());
        assertEquals(
                Launcher.Kind.PMI,
                launcher("PMI_RANK", "1", "PMI_SIZE", "2", "SLURM_PROCID", "0").kind());
        // Scripts set WORLD_SIZE for their own use.
        assertEquals(
                Launcher.Kind.SLURM,
                launcher("WORLD_SIZE", "8", "SLURM_PROCID", "1", "SLURM_STEP_NUM_TASKS", "8")
                        .kind());
    }

    @Test
    void oneProcessIsNoLaunch() {
        assertEquals(Optional.empty(), Launcher.of(Map.of()));
        assertEquals(Optional.empty(), Launcher.of(environment("RANK", "0", "WORLD_SIZE", "1")));
        assertEquals(Optional.empty(), Launcher.of(environment("OMPI_COMM_WORLD_SIZE", "x")));
    }

    @Test
    void aNumberThatIsMissingOrTooLargeIsOneSentence() {
        LaunchException missing =
                assertThrows(LaunchException.class, () -> launcher("OMPI_COMM_WORLD_SIZE", "3", "RANK", "1"));
        assertTrue(missing.getMessage().contains("OMPI_COMM_WORLD_RANK does not say"), missing::toString);
        LaunchException large = assertThrows(LaunchException.class, () -> launcher("RANK", "3", "WORLD_SIZE", "3"));
        assertTrue(large.getMessage().contains("RANK=3 is not a rank of WORLD_SIZE=3"), large::toString);
    }

    @Test
    void devicesAreDealtByLocalRank() {
        Launcher local = launcher("RANK", "9", "WORLD_SIZE", "16", "LOCAL_RANK", "1");
        assertEquals(1, local.device(8));
        assertEquals(0, local.device(1));
        assertEquals(1, launcher("RANK", "9", "WORLD_SIZE", "16").device(8));
    }

    @Test
    void thePlaceIsWhatTheEnvironmentSays() {
        assertEquals(
                new Place("node1", 29500, ""), Place.of(environment("MASTER_ADDR", "node1", "MASTER_PORT", "29500")));
        assertEquals(
                new Place("node1", 29501, ""),
                Place.of(environment(
                        "MASTER_ADDR", "node1", "MASTER_PORT", "29500", "TORCHELASTIC_USE_AGENT_STORE", "True")));
        Place own = Place.of(environment(
                "TSP_RENDEZVOUS",
                "[fe80::1]:7",
                "MASTER_ADDR",
                "node1",
                "MASTER_PORT",
                "1",
                "TSP_RENDEZVOUS_TOKEN",
                "secret"));
        assertEquals(new Place("fe80::1", 7, "secret"), own);
        assertEquals("[fe80::1]:7", own.toString());
    }

    @Test
    void aMissingPlaceSaysWhatToSet() {
        assertTrue(refusal().contains("set TSP_RENDEZVOUS=host:port"), refusal());
        assertTrue(refusal("MASTER_ADDR", "node1").contains("set TSP_RENDEZVOUS=host:port"));
        assertTrue(refusal("TSP_RENDEZVOUS", "node1").contains("must be host:port"));
        assertTrue(refusal("TSP_RENDEZVOUS", ":29500").contains("must be host:port"));
        assertTrue(refusal("MASTER_ADDR", "node1", "MASTER_PORT", "70000").contains("MASTER_PORT=70000 names no port"));
    }

    private static String refusal(String... variables) {
        return String.valueOf(assertThrows(LaunchException.class, () -> Place.of(environment(variables)))
                .getMessage());
    }

    @Test
    void onlyALoopbackAddressIsLoopback() {
        assertTrue(new Place("localhost", 1, "").isLoopback());
        assertTrue(new Place("127.0.0.1", 1, "").isLoopback());
        assertFalse(new Place("127.example.org", 1, "").isLoopback());
        assertFalse(new Place("node1", 1, "").isLoopback());
    }
}
