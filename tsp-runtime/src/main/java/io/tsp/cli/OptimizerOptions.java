package io.tsp.cli;

import io.tsp.tensor.DType;
import io.tsp.train.AdamWSettings;
import io.tsp.train.LearningRate;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** AdamW and how its learning rate changes. */
final class OptimizerOptions {
    private static final double DEFAULT_WARMUP_SHARE = 0.05;
    private static final double WSD_DECAY_SHARE = 0.2;

    @Option(names = "--steps", required = true, paramLabel = "N", description = "Train until step N.")
    private long steps;

    @Option(names = "--lr", paramLabel = "X", description = "Largest learning rate. Default: 0.0003.")
    private double rate = 3e-4;

    @Option(
            names = "--schedule",
            paramLabel = "NAME",
            description =
                    "How the learning rate goes on after warm-up: cosine, linear, constant, or wsd (constant, then linear"
                            + " over the last fifth). Default: cosine.")
    private String schedule = "cosine";

    @Option(
            names = "--warmup",
            paramLabel = "N",
            description = "Steps in which the learning rate grows from 0. Default: a twentieth of all.")
    private @Nullable Long warmup;

    @Option(
            names = "--final-lr",
            paramLabel = "SHARE",
            description = "What the learning rate ends with, as a share of --lr. Default: 0.1.")
    private double finalShare = 0.1;

    @Option(
            names = "--weight-decay",
            paramLabel = "X",
            description = "AdamW's, on matrices: norms and biases do not decay. Default: 0.1.")
    private double weightDecay = 0.1;

    @Option(names = "--beta1", paramLabel = "X", description = "Decay of the first moment. Default: 0.9.")
    private double beta1 = 0.9;

    @Option(names = "--beta2", paramLabel = "X", description = "Decay of the second moment. Default: 0.95.")
    private double beta2 = 0.95;

    @Option(names = "--epsilon", paramLabel = "X", description = "AdamW's. Default: 1e-8.")
    private double epsilon = 1e-8;

    @Option(
            names = "--clip",
            paramLabel = "NORM",
            description = "Largest norm of all gradients together; 0 for any. Default: 1.")
    private double clip = 1;

    @Option(names = "--moments", paramLabel = "f32|bf16", description = "AdamW's moments. Default: f32.")
    private String moments = "f32";

    long steps() {
        return steps;
    }

    DType moments() {
        return ModelOptions.dtype("--moments", moments);
    }

    AdamWSettings adamW() {
        requireShare("--beta1", beta1);
        requireShare("--beta2", beta2);
        requireNatural("--weight-decay", weightDecay);
        requireNatural("--clip", clip);
        if (!(epsilon > 0) || !Double.isFinite(epsilon)) {
            throw new UsageException("--epsilon must be more than 0, not " + epsilon);
        }
        return new AdamWSettings(rate, beta1, beta2, epsilon, weightDecay, clip);
    }

    LearningRate learningRate() {
        if (steps < 1) {
            throw new UsageException("--steps must be 1 or more, not " + steps);
        }
        LearningRate.Kind kind = switch (schedule) {
            case "cosine" -> LearningRate.Kind.COSINE;
            case "linear" -> LearningRate.Kind.LINEAR;
            case "constant" -> LearningRate.Kind.CONSTANT;
            case "wsd" -> LearningRate.Kind.WSD;
            default -> throw new UsageException("--schedule is cosine, linear, constant or wsd, not " + schedule);
        };
        long warm = warmup == null ? (long) (steps * DEFAULT_WARMUP_SHARE) : warmup;
        return UsageException.check(() -> new LearningRate(rate, warm, steps, kind, finalShare, WSD_DECAY_SHARE));
    }

    private static void requireShare(String option, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new UsageException(option + " must be from 0 to below 1, not " + value);
        }
    }

    private static void requireNatural(String option, double value) {
        if (!(value >= 0) || !Double.isFinite(value)) {
            throw new UsageException(option + " must be 0 or more, not " + value);
        }
    }
}
