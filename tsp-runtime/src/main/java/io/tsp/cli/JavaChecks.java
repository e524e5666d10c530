package io.tsp.cli;

import io.tsp.report.DoctorReport.Finding;
import java.util.List;

/** The JVM of this process. */
final class JavaChecks {
    private JavaChecks() {}

    static List<Finding> findings() {
        return List.of(
                Finding.ok(
                        "version",
                        Runtime.version() + ", " + System.getProperty("java.vm.name") + ", "
                                + System.getProperty("java.home")),
                Finding.ok(
                        "heap",
                        (Runtime.getRuntime().maxMemory() >> 20) + " MiB at most; weights and activations are"
                                + " outside it"),
                nativeAccess());
    }

    private static Finding nativeAccess() {
        return JavaChecks.class.getModule().isNativeAccessEnabled()
                ? Finding.ok("native access", "enabled")
                : Finding.warning(
                        "native access",
                        "not enabled, a later Java will refuse to load native code",
                        "start java with --enable-native-access=ALL-UNNAMED, as scripts/tsp does");
    }
}
