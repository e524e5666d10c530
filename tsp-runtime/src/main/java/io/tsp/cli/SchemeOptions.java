package io.tsp.cli;

import io.tsp.scheme.Scheme;
import java.util.Map;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** One scheme and the ranks that it runs on. */
final class SchemeOptions {
    @Option(
            names = "--scheme",
            paramLabel = "NAME",
            description =
                    "How ranks share the model: single, tsp, tp, tp+sp-regions, sp, tp+sp:TxS, fsdp+sp or ulysses."
                            + " Default: single.")
    private String name = DegreeOptions.SINGLE;

    @Mixin
    private final RankOptions ranks = new RankOptions();

    RankOptions ranks() {
        return ranks;
    }

    /** The scheme, for as many ranks as a simulation may have. */
    Scheme simulatedScheme(Map<String, String> environment) {
        Scheme scheme = ranks.scheme(name, environment);
        ranks.requireRanks(scheme.mesh().worldSize());
        return scheme;
    }

    /** The scheme, if this version can run it on as many ranks as there are. */
    Scheme scheme(Map<String, String> environment) {
        ranks.requireSupported();
        return simulatedScheme(environment);
    }
}
