package io.tsp;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.io.PrintStream;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a package uses something above it, or that hardware is called from the wrong place. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.tsp");

    @TempDir
    private Path folder;

    @TestFactory
    Stream<DynamicTest> holds() {
        return ArchitectureRules.all().entrySet().stream()
                .map(rule -> DynamicTest.dynamicTest(
                        rule.getKey(), () -> rule.getValue().check(CLASSES)));
    }

    @Test
    void looksAtTheWholeProgram() {
        assertTrue(CLASSES.size() > 100, () -> "only " + CLASSES.size() + " classes were found");
    }

    /** A rule that cannot fail is decoration: each must refuse a class that was made to break it. */
    @TestFactory
    Stream<DynamicTest> refusesItsOffender() {
        Map<String, List<Offender>> offenders = offenders();
        return ArchitectureRules.all().entrySet().stream()
                .map(rule -> DynamicTest.dynamicTest(
                        rule.getKey(), () -> assertRefuses(rule.getValue(), offenders.get(rule.getKey()))));
    }

    private void assertRefuses(ArchRule rule, List<Offender> offenders) {
        assertFalse(offenders == null || offenders.isEmpty(), "no offender breaks this rule");
        for (Offender offender : offenders) {
            JavaClasses broken = new ClassFileImporter().importPath(offender.write(folder.resolve(offender.id())));
            assertTrue(
                    rule.evaluate(broken).hasViolation(),
                    () -> offender.id() + " should break: " + rule.getDescription());
        }
    }

    private static Map<String, List<Offender>> offenders() {
        Map<String, List<Offender>> offenders = new HashMap<>();
        List<String> order = ArchitectureRules.ORDER;
        for (int i = 0; i < order.size() - 1; i++) {
            offenders.put(
                    order.get(i) + " uses only what stands below it",
                    List.of(
                            Offender.in(order.get(i)).uses("io.tsp." + order.get(i + 1) + ".Above"),
                            Offender.in(order.get(i)).uses("io.tsp.cli.Main")));
        }
        for (String implementation : ArchitectureRules.IMPLEMENTATIONS) {
            offenders.put(
                    "only cli names " + implementation,
                    List.of(Offender.in("program").uses("io.tsp." + implementation + ".Thing")));
        }
        offenders.put(
                "no cycles",
                List.of(Offender.in("mesh").uses("io.tsp.tensor.Offender").usedBy("tensor")));
        offenders.put(
                "only program and cli use hardware",
                List.of(
                        Offender.in("scheme").uses("io.tsp.device.Buffer"),
                        Offender.in("plan").uses("io.tsp.comm.X")));
        offenders.put(
                "schemes do not know each other",
                List.of(Offender.in("scheme.tsp")
                        .uses("io.tsp.scheme.tp.Offender")
                        .usedBy("scheme.tp")));
        offenders.put(
                "foreign memory stays at the edge",
                List.of(Offender.in("program").uses(MemorySegment.class.getName())));
        offenders.put(
                "linking stays in ffm",
                List.of(
                        Offender.in("device").uses(Linker.class.getName()),
                        Offender.in("device").calls(System.class, "load", void.class, String.class),
                        Offender.in("device").calls(System.class, "loadLibrary", void.class, String.class)));
        offenders.put(
                "no virtual threads near native code",
                List.of(
                        Offender.in("device").calls(Thread.class, "ofVirtual", Thread.Builder.OfVirtual.class),
                        Offender.in("device").calls(Thread.class, "startVirtualThread", Thread.class, Runnable.class),
                        Offender.in("device")
                                .calls(Executors.class, "newVirtualThreadPerTaskExecutor", ExecutorService.class)));
        offenders.put("no mutable statics", List.of(Offender.in("mesh").mutableStatic()));
        offenders.put(
                "one clock",
                List.of(
                        Offender.in("program").calls(System.class, "nanoTime", long.class),
                        Offender.in("program").calls(System.class, "currentTimeMillis", long.class)));
        offenders.put(
                "only cli talks to the terminal or exits",
                List.of(
                        Offender.in("report").reads(System.class, "out", PrintStream.class),
                        Offender.in("report").reads(System.class, "err", PrintStream.class),
                        Offender.in("report").calls(System.class, "exit", void.class, int.class)));
        return offenders;
    }
}
