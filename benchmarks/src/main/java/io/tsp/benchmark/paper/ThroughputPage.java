package io.tsp.benchmark.paper;

import static io.tsp.benchmark.paper.Page.number;

import io.tsp.benchmark.paper.Simulation.Time;
import io.tsp.cost.HardwareProfile;
import io.tsp.plan.Schemes;
import io.tsp.program.Lane;
import io.tsp.program.Session.Mode;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.tpsp.TpSpScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Tokens per second of the reference on 1,024 MI300X, simulated. */
final class ThroughputPage {
    static final HardwareProfile MI300X = HardwareProfile.of("mi300x");
    static final HardwareProfile SDMA = HardwareProfile.of("mi300x-sdma");

    /** Ranks of one replica, across nodes of 8. */
    private static final List<Integer> ACROSS = List.of(16, 64);

    private ThroughputPage() {}

    static Page page() {
        Page page = new Page("Throughput on 1,024 MI300X", "scripts/paper-tables throughput --out docs");
        page.paragraph(ThroughputText.INTRODUCTION);
        for (HardwareProfile profile : List.of(MI300X, SDMA)) {
            page.paragraph("Profile `" + profile.name() + "`, SHA-256 `" + profile.hash() + "`.");
        }
        tables(page);
        parts(page);
        page.heading("What is reproduced").paragraph(ThroughputText.RESULT);
        return page;
    }

    private static void tables(Page page) {
        List<Scheme> schemes = Schemes.all(Reference.DEGREE, Simulation.WORLD / Reference.DEGREE);
        rates(page, "One node to a replica, sums in bf16, mi300x", MI300X, true, schemes);
        rates(page, "The same, mi300x-sdma", SDMA, true, schemes);
        rates(page, "Our programs as they are: sums in f32, mi300x", MI300X, false, schemes);
        rates(page, "Replicas across nodes, sums in bf16, mi300x", MI300X, true, across());
        rates(page, "Replicas across nodes, sums in f32, mi300x", MI300X, false, across());
    }

    private static List<Scheme> across() {
        List<Scheme> schemes = new ArrayList<>();
        schemes.add(scheme("tsp", Reference.DEGREE));
        for (int degree : ACROSS) {
            Schemes.all(degree, Simulation.WORLD / degree).stream()
                    .filter(scheme -> scheme instanceof TpSpScheme axes
                            && !axes.regions()
                            && axes.tp() <= Reference.MODEL.heads())
                    .forEach(schemes::add);
        }
        return schemes;
    }

    private static Scheme scheme(String name, int degree) {
        return Schemes.of(name, degree, Simulation.WORLD / degree);
    }

    private static void rates(
            Page page, String heading, HardwareProfile profile, boolean bf16Sums, List<Scheme> schemes) {
        Rates rates = new Rates(profile, bf16Sums);
        page.heading(heading)
                .table(
                        List.of(
                                "scheme",
                                "ranks",
                                "layer forward, M tok/s, overlapped",
                                "not overlapped",
                                "tsp is faster by",
                                "TF/s a GPU",
                                "model forward, M tok/s",
                                "training, M tok/s, overlapped",
                                "not overlapped",
                                "tsp is faster by"),
                        schemes.stream().map(rates::row).toList());
    }

    private static void parts(Page page) {
        Simulation simulation = new Simulation(MI300X, Mode.OVERLAPPED, true);
        List<List<String>> rows = new ArrayList<>();
        List<Scheme> schemes = Stream.of(
                        "tsp", "tp", "tp+sp:4x2", "tp+sp:2x4", "sp", "tp+sp-regions", "fsdp+sp", "ulysses")
                .map(name -> scheme(name, Reference.DEGREE))
                .toList();
        for (Scheme scheme : schemes) {
            rows.add(parts(scheme, "forward", simulation.forward(scheme).layer()));
            rows.add(parts(scheme, "training", simulation.training(scheme).layer()));
        }
        Scheme far = scheme("tp+sp:8x8", 64);
        rows.add(parts(far, "forward", simulation.forward(far).layer()));
        rows.add(parts(far, "training", simulation.training(far).layer()));
        page.heading("Where a layer's time goes, overlapped, sums in bf16, mi300x")
                .table(
                        List.of(
                                "scheme",
                                "",
                                "ms",
                                "compute",
                                "waiting for peers",
                                "for weights",
                                "for keys, values, activations",
                                "for gradients"),
                        rows);
    }

    private static List<String> parts(Scheme scheme, String what, Time layer) {
        return List.of(
                scheme.name(),
                what,
                number(layer.seconds() * 1e3, 1),
                percent(layer.share(layer.parts().computeSeconds())),
                percent(layer.share(layer.parts().skewSeconds())),
                percent(layer.exposed(Lane.WEIGHTS)),
                percent(layer.exposed(Lane.KV)),
                percent(layer.exposed(Lane.GRADS)));
    }

    private static String percent(double share) {
        return number(100 * share, 1) + " %";
    }
}
