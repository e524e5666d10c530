package io.tsp;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.util.Arrays;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs tests by name where there is no Maven: scripts/gpu-check does so on machines with a GPU. */
public final class SelectedTests implements TestExecutionListener {
    private int succeeded;
    private int failed;
    private int skipped;

    private SelectedTests() {}

    /**
     * Exits with 1 unless tests were run and all of them succeeded; says so of each that fails, at once.
     *
     * @param args names of classes, or of methods as {@code package.Class#method(package.Parameter)}
     */
    public static void main(String[] args) {
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(Arrays.stream(args).map(SelectedTests::selector).toList())
                .build();
        SelectedTests tests = new SelectedTests();
        LauncherFactory.create().execute(request, tests);
        System.out.println(tests.succeeded + " tests succeeded, " + tests.failed + " failed, " + tests.skipped
                + " do not apply here");
        System.exit(tests.failed == 0 && tests.succeeded > 0 ? 0 : 1);
    }

    private static DiscoverySelector selector(String name) {
        return name.contains("#") ? selectMethod(name) : selectClass(name);
    }

    @Override
    public synchronized void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (result.getStatus() == TestExecutionResult.Status.FAILED) {
            failed++;
            System.out.println("FAILED " + test.getUniqueId() + " " + test.getDisplayName() + ": "
                    + result.getThrowable().map(Throwable::toString).orElse("no reason given"));
        } else if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
            skipped++;
        } else if (test.isTest()) {
            succeeded++;
        }
    }
}
