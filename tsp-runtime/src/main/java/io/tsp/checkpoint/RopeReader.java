package io.tsp.checkpoint;

import io.tsp.model.RopeConfig;
import io.tsp.model.RopeConfig.Dynamic;
import io.tsp.model.RopeConfig.Linear;
import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import io.tsp.model.RopeConfig.Yarn;
import java.util.Optional;

/**
 * The rotary part of a configuration. transformers 4 writes {@code rope_theta} beside {@code rope_scaling}, the latter
 * once with {@code type} for {@code rope_type}; transformers 5 writes all of it into {@code rope_parameters}.
 */
final class RopeReader {
    private static final double MAX_FACTOR = 1e6;
    private static final String KINDS = "default, linear, dynamic, llama3 or yarn";
    private static final String ORIGINAL = "original_max_position_embeddings";

    private final ConfigFields config;
    private final ConfigFields rope;
    private final long maxPositions;

    RopeReader(ConfigFields config, long maxPositions) {
        this.config = config;
        this.maxPositions = maxPositions;
        Optional<ConfigFields> scaling = config.object("rope_scaling").filter(fields -> !fields.isEmpty());
        this.rope = scaling.or(() -> config.object("rope_parameters")).orElseGet(() -> config.none());
    }

    RopeConfig read() {
        if (rope.hasObjects()) {
            throw config.bad("rope_parameters", "one set of values for all layers");
        }
        requireWhole(config);
        requireWhole(rope);
        ConfigFields holder = rope.has("rope_theta") ? rope : config;
        return new RopeConfig(holder.number("rope_theta", 1.001, 1e15, 10_000), scaling());
    }

    private RopeConfig.Scaling scaling() {
        String field = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
        return switch (rope.text(field, KINDS, "default")) {
            case "default" -> new None();
            case "linear" -> new Linear(factor());
            // transformers measures the growth from max_position_embeddings, whatever the original maximum says.
            case "dynamic" -> new Dynamic(factor(), maxPositions);
            case "llama3" -> llama3();
            case "yarn" -> yarn();
            default -> throw rope.bad(field, KINDS);
        };
    }

    private Llama3 llama3() {
        double low = rope.number("low_freq_factor", 1e-6, MAX_FACTOR);
        double high = rope.number("high_freq_factor", 1e-6, MAX_FACTOR);
        if (high <= low) {
            throw rope.bad("high_freq_factor", "more than low_freq_factor, " + low);
        }
        return new Llama3(factor(), low, high, originalMaxPositions());
    }

    private Yarn yarn() {
        long original = originalMaxPositions();
        double ratio = (double) maxPositions / original;
        double factor = rope.has("factor") ? factor() : ratio;
        return new Yarn(
                factor,
                attentionFactor(factor),
                orDefault("beta_fast", 32),
                orDefault("beta_slow", 1),
                original,
                rope.flag("truncate", true));
    }

    private double attentionFactor(double factor) {
        if (rope.has("attention_factor")) {
            return rope.number("attention_factor", 1e-6, MAX_FACTOR);
        }
        double mscale = rope.number("mscale", 0, MAX_FACTOR, 0);
        double mscaleAllDim = rope.number("mscale_all_dim", 0, MAX_FACTOR, 0);
        boolean both = mscale != 0 && mscaleAllDim != 0;
        return both ? temperature(factor, mscale) / temperature(factor, mscaleAllDim) : temperature(factor, 1);
    }

    private static double temperature(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
    }

    /** Zero counts as absent, as in transformers. */
    private double orDefault(String field, double absent) {
        double value = rope.number(field, 0, MAX_FACTOR, absent);
        return value == 0 ? absent : value;
    }

    private double factor() {
        return rope.number("factor", 1, MAX_FACTOR);
    }

    /** The field beside rope_scaling wins over the one in it. */
    private long originalMaxPositions() {
        ConfigFields holder = config.has(ORIGINAL) ? config : rope;
        return holder.whole(ORIGINAL, 1, Integer.MAX_VALUE, maxPositions);
    }

    private static void requireWhole(ConfigFields fields) {
        if (fields.number("partial_rotary_factor", 0, 1, 1) != 1) {
            throw fields.bad("partial_rotary_factor", "1 (heads are rotated whole)");
        }
    }
}
