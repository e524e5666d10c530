package io.tsp;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.lang.ArchRule;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/** The rules of the design's section 3, by name. */
final class ArchitectureRules {
    /** Bottom up: a package may use itself and what stands before it. */
    static final List<String> ORDER = List.of(
            "tensor",
            "mesh",
            "op",
            "cost",
            "ffm",
            "device",
            "comm",
            "program",
            "launch",
            "model",
            "checkpoint",
            "data",
            "scheme",
            "plan",
            "evaluate",
            "infer",
            "train",
            "report",
            "cli");

    /** Chosen by the composition root; everything else knows their interfaces. */
    static final List<String> IMPLEMENTATIONS =
            List.of("device.cpu", "device.gpu", "device.sim", "comm.local", "comm.mpi", "comm.nccl", "comm.sim");

    private static final String GENERATED = "io.tsp.ffm.generated..";

    private ArchitectureRules() {}

    static Map<String, ArchRule> all() {
        Map<String, ArchRule> rules = new LinkedHashMap<>();
        addLayers(rules);
        addHardware(rules);
        addHabits(rules);
        // A package that has no classes yet breaks nothing.
        rules.replaceAll((name, rule) -> rule.allowEmptyShould(true));
        return rules;
    }

    private static void addLayers(Map<String, ArchRule> rules) {
        for (int i = 0; i < ORDER.size() - 1; i++) {
            String[] above = ORDER.subList(i + 1, ORDER.size()).stream()
                    .map(name -> "io.tsp." + name + "..")
                    .toArray(String[]::new);
            rules.put(
                    ORDER.get(i) + " uses only what stands below it",
                    noClasses()
                            .that()
                            .resideInAPackage("io.tsp." + ORDER.get(i) + "..")
                            .should()
                            .dependOnClassesThat()
                            .resideInAnyPackage(above));
        }
        rules.put("no cycles", slices().matching("io.tsp.(**)").should().beFreeOfCycles());
        rules.put(
                "schemes do not know each other",
                slices().matching("io.tsp.scheme.(*)..").should().notDependOnEachOther());
    }

    private static void addHardware(Map<String, ArchRule> rules) {
        rules.put(
                "only program and cli use hardware",
                noClasses()
                        .that()
                        .resideOutsideOfPackages("io.tsp.device..", "io.tsp.comm..", "io.tsp.program..", "io.tsp.cli..")
                        .should()
                        .dependOnClassesThat()
                        .resideInAnyPackage("io.tsp.device..", "io.tsp.comm.."));
        for (String implementation : IMPLEMENTATIONS) {
            rules.put(
                    "only cli names " + implementation,
                    noClasses()
                            .that()
                            .resideOutsideOfPackages("io.tsp." + implementation + "..", "io.tsp.cli..")
                            .should()
                            .dependOnClassesThat()
                            .resideInAPackage("io.tsp." + implementation + ".."));
        }
        rules.put(
                "foreign memory stays at the edge",
                noClasses()
                        .that()
                        .resideOutsideOfPackages("io.tsp.ffm..", "io.tsp.device..", "io.tsp.comm..")
                        .should()
                        .dependOnClassesThat()
                        .resideInAPackage("java.lang.foreign.."));
        rules.put(
                "linking stays in ffm",
                noClasses()
                        .that()
                        .resideOutsideOfPackage("io.tsp.ffm..")
                        .should()
                        .dependOnClassesThat()
                        .haveNameMatching("java\\.lang\\.foreign\\.(Linker|SymbolLookup|FunctionDescriptor).*")
                        .orShould()
                        .callMethod(System.class, "load", String.class)
                        .orShould()
                        .callMethod(System.class, "loadLibrary", String.class));
    }

    private static void addHabits(Map<String, ArchRule> rules) {
        rules.put(
                "no virtual threads near native code",
                noClasses()
                        .should()
                        .callMethod(Thread.class, "ofVirtual")
                        .orShould()
                        .callMethod(Thread.class, "startVirtualThread", Runnable.class)
                        .orShould()
                        .callMethod(Executors.class, "newVirtualThreadPerTaskExecutor"));
        rules.put(
                "no mutable statics",
                fields().that()
                        .areStatic()
                        .and()
                        .areDeclaredInClassesThat()
                        .resideOutsideOfPackage(GENERATED)
                        .should()
                        .beFinal());
        rules.put(
                "one clock",
                noClasses()
                        .that()
                        .doNotHaveSimpleName("SystemClock")
                        .should()
                        .callMethod(System.class, "nanoTime")
                        .orShould()
                        .callMethod(System.class, "currentTimeMillis"));
        rules.put(
                "only cli talks to the terminal or exits",
                noClasses()
                        .that()
                        .resideOutsideOfPackages("io.tsp.cli..", GENERATED)
                        .should()
                        .accessField(System.class, "out")
                        .orShould()
                        .accessField(System.class, "err")
                        .orShould()
                        .callMethod(System.class, "exit", int.class));
    }
}
