package io.tsp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.tsp.model.RopeConfig.Dynamic;
import io.tsp.model.RopeConfig.Linear;
import io.tsp.model.RopeConfig.Llama3;
import io.tsp.model.RopeConfig.None;
import io.tsp.model.RopeConfig.Yarn;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that tokens far apart see each other at other distances than the model was trained with. */
class RopeFrequenciesTest {
    @SuppressWarnings("ArrayRecordComponent")
    record Case(String name, int headDim, long tokens, RopeConfig rope, float[] inverse, float attentionScale) {
        @Override
        public String toString() {
            return name;
        }
    }

    /** What transformers computes; made by scripts/fixtures/rope_frequencies.py. */
    static Stream<Case> cases() throws IOException {
        List<Case> cases = new ArrayList<>();
        try (InputStream in = RopeFrequenciesTest.class.getResourceAsStream("rope-frequencies.json");
                JsonParser json = new JsonFactory().createParser(in)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.START_OBJECT) {
                cases.add(parse(json));
            }
        }
        assertEquals(15, cases.size());
        return cases.stream();
    }

    /**
     * torch's powf is good to one unit in the last place, ours is rounded right; a division may add another. The base
     * of dynamic scaling is a power itself.
     */
    @ParameterizedTest
    @MethodSource("cases")
    void equalTransformers(Case expected) {
        float[] inverse = RopeFrequencies.inverse(expected.rope, expected.headDim, expected.tokens);
        assertEquals(expected.inverse.length, inverse.length);
        for (int i = 0; i < inverse.length; i++) {
            int units = expected.rope.scaling() instanceof Dynamic ? 4 : 2;
            float bound = units * Math.ulp(expected.inverse[i]);
            assertTrue(
                    Math.abs(inverse[i] - expected.inverse[i]) <= bound,
                    "pair " + i + ": " + inverse[i] + " instead of " + expected.inverse[i]);
        }
        assertEquals(expected.attentionScale, RopeFrequencies.attentionScale(expected.rope));
    }

    private static Case parse(JsonParser json) throws IOException {
        Map<String, Double> numbers = new HashMap<>();
        List<Float> inverse = new ArrayList<>();
        String name = "";
        String kind = "default";
        boolean truncate = true;
        for (JsonToken token = json.nextToken(); token != JsonToken.END_OBJECT; token = json.nextToken()) {
            String field = json.currentName();
            token = json.nextToken();
            switch (field) {
                case "name" -> name = json.getText();
                case "inverse" -> {
                    while (json.nextToken() != JsonToken.END_ARRAY) {
                        inverse.add(json.getFloatValue());
                    }
                }
                case "ropeParameters" -> {
                    while (json.nextToken() != JsonToken.END_OBJECT) {
                        String parameter = json.currentName();
                        switch (json.nextToken()) {
                            case VALUE_STRING -> kind = json.getText();
                            case VALUE_FALSE -> truncate = false;
                            default -> numbers.put(parameter, json.getDoubleValue());
                        }
                    }
                }
                default -> numbers.put(field, json.getDoubleValue());
            }
        }
        float[] values = new float[inverse.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = inverse.get(i);
        }
        RopeConfig rope = new RopeConfig(numbers.get("rope_theta"), scaling(kind, numbers, truncate));
        return new Case(
                name,
                numbers.get("headDim").intValue(),
                numbers.get("tokens").longValue(),
                rope,
                values,
                numbers.get("attentionScale").floatValue());
    }

    private static RopeConfig.Scaling scaling(String kind, Map<String, Double> numbers, boolean truncate) {
        double factor = numbers.getOrDefault("factor", 1.0);
        long original =
                numbers.getOrDefault("original_max_position_embeddings", 0.0).longValue();
        return switch (kind) {
            case "default" -> new None();
            case "linear" -> new Linear(factor);
            case "dynamic" -> new Dynamic(factor, numbers.get("maxPositions").longValue());
            case "llama3" ->
                new Llama3(factor, numbers.get("low_freq_factor"), numbers.get("high_freq_factor"), original);
            case "yarn" ->
                new Yarn(
                        factor,
                        numbers.get("attentionScale"),
                        numbers.getOrDefault("beta_fast", 32.0),
                        numbers.getOrDefault("beta_slow", 1.0),
                        original,
                        truncate);
            default -> throw new IllegalArgumentException(kind);
        };
    }
}
