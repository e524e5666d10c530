package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.op.Panels;
import io.tsp.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every op on every set of kernels that a device has. A failure means that a kernel computes something else than {@code
 * tsp_kernels.h} says, touches memory it must not touch, or gives other bits on another run or with other threads.
 *
 * <p>References take more time than kernels, so cases run beside each other; a device runs one at a time. Values are random; {@code -Dtsp.seed=N} repeats those of a failure.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Execution(ExecutionMode.CONCURRENT)
public abstract class KernelConformance {
    /** Of the sizes of training; everyday's are part of each run. */
    private static final String BY_HAND = "too long for CI: run it alone";

    private static final long SEED = Long.getLong("tsp.seed", 20_261_120);

    private final List<Target> targets = new ArrayList<>();

    /** What is judged. Closed by this class. */
    protected abstract List<Target> open();

    @BeforeAll
    void openTargets() {
        targets.addAll(open());
    }

    @AfterAll
    void closeTargets() {
        targets.forEach(Target::close);
    }

    @TestFactory
    Stream<DynamicNode> attention() {
        return judge(AttentionCases.everyday());
    }

    @TestFactory
    @Tag("long")
    Stream<DynamicNode> attentionLong() {
        return judge(AttentionCases.large());
    }

    @TestFactory
    Stream<DynamicNode> attentionBackward() {
        return judge(AttentionBackwardCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> attentionBackwardLong() {
        return judge(AttentionBackwardCases.large());
    }

    @TestFactory
    Stream<DynamicNode> gatedMlp() {
        return judge(GatedMlpCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> gatedMlpLong() {
        return judge(GatedMlpCases.large());
    }

    @TestFactory
    Stream<DynamicNode> gatedMlpBackward() {
        return judge(GatedMlpBackwardCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> gatedMlpBackwardLong() {
        return judge(GatedMlpBackwardCases.large());
    }

    @TestFactory
    Stream<DynamicNode> gemm() {
        return judge(GemmCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> gemmLong() {
        return judge(GemmCases.large());
    }

    @TestFactory
    Stream<DynamicNode> packPanels() {
        return judge(PackPanelsCases.everyday());
    }

    @TestFactory
    @Tag("long")
    Stream<DynamicNode> packPanelsLong() {
        return judge(PackPanelsCases.large());
    }

    /** What a program reserves is what the layout needs. */
    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void panelCounts(DType dtype) {
        for (int features : new int[] {0, 1, 32, 33, 64, 97}) {
            for (int hidden : new int[] {1, 2, 63, 64, 65}) {
                double[] matrix = new double[features * hidden];
                assertEquals(
                        PanelsReference.gateUp(matrix, matrix, features, hidden, dtype).length,
                        Panels.gateUpCount(features, hidden),
                        () -> dtype + " gate and up, " + features + " x " + hidden);
                assertEquals(
                        PanelsReference.plain(matrix, hidden, features, dtype).length,
                        Panels.downCount(features, hidden),
                        () -> dtype + " down, " + hidden + " x " + features);
            }
        }
    }

    @TestFactory
    Stream<DynamicNode> rmsNorm() {
        return judge(RmsNormCases.everyday());
    }

    @TestFactory
    @Tag("long")
    Stream<DynamicNode> rmsNormLong() {
        return judge(RmsNormCases.large());
    }

    @TestFactory
    Stream<DynamicNode> rmsNormBackward() {
        return judge(RmsNormBackwardCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> rmsNormBackwardLong() {
        return judge(RmsNormBackwardCases.large());
    }

    @TestFactory
    Stream<DynamicNode> rope() {
        return judge(RopeCases.all());
    }

    @TestFactory
    Stream<DynamicNode> embedding() {
        return judge(EmbeddingCases.all());
    }

    @TestFactory
    Stream<DynamicNode> crossEntropy() {
        return judge(CrossEntropyCases.all());
    }

    @TestFactory
    Stream<DynamicNode> embeddingBackward() {
        return judge(EmbeddingBackwardCases.all());
    }

    @TestFactory
    Stream<DynamicNode> crossEntropyBackward() {
        return judge(CrossEntropyBackwardCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> crossEntropyBackwardLong() {
        return judge(CrossEntropyBackwardCases.large());
    }

    @TestFactory
    Stream<DynamicNode> copy() {
        return judge(CopyCases.everyday());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> copyLong() {
        return judge(CopyCases.large());
    }

    @TestFactory
    Stream<DynamicNode> sum() {
        return judge(SumCases.sums());
    }

    @TestFactory
    Stream<DynamicNode> columnSum() {
        return judge(SumCases.columns());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> columnSumLong() {
        return judge(SumCases.largeColumns());
    }

    @TestFactory
    Stream<DynamicNode> squareSum() {
        return judge(SumCases.squares());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> squareSumLong() {
        return judge(SumCases.largeSquares());
    }

    @TestFactory
    Stream<DynamicNode> clip() {
        return judge(OptimizerCases.clip());
    }

    @TestFactory
    Stream<DynamicNode> adamW() {
        return judge(OptimizerCases.adamW());
    }

    @TestFactory
    @Tag("long")
    @Disabled(BY_HAND)
    Stream<DynamicNode> adamWLong() {
        return judge(OptimizerCases.largeAdamW());
    }

    @TestFactory
    Stream<DynamicNode> orderedSum() {
        return OrderedSumCases.all()
                .map(tried -> DynamicContainer.dynamicContainer(
                        tried.toString(),
                        targets.stream()
                                .map(target -> test(target, tried.toString(), () -> tried.judge(target, SEED)))));
    }

    private Stream<DynamicNode> judge(Stream<Case> cases) {
        return cases.map(tried -> {
            Shared trial = new Shared(tried, targets.size());
            return DynamicContainer.dynamicContainer(
                    tried.name(),
                    targets.stream()
                            .map(target -> test(
                                    target, tried.name(), () -> trial.take().judge(target))));
        });
    }

    /** A trial whose references are computed once, for all targets, and forgotten when the last one has taken it. */
    private static final class Shared {
        private final Case tried;
        private int takers;
        private @Nullable Trial trial;

        Shared(Case tried, int takers) {
            this.tried = tried;
            this.takers = takers;
        }

        synchronized Trial take() {
            Trial taken = trial == null ? tried.trial(SEED) : trial;
            trial = --takers > 0 ? taken : null;
            return taken;
        }
    }

    private static DynamicTest test(Target target, String name, Runnable judgement) {
        return DynamicTest.dynamicTest(target.name(), () -> {
            try {
                judgement.run();
            } catch (AssertionError e) {
                throw new AssertionError(name + ": " + e.getMessage() + "; repeat with -Dtsp.seed=" + SEED, e);
            }
        });
    }
}
