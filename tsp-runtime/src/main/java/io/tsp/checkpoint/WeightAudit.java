package io.tsp.checkpoint;

import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.model.WeightNames;
import io.tsp.model.WeightShapes;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;

/** Compares the tensors that a configuration asks for with those that the files hold. */
final class WeightAudit {
    /** Problems written out; the rest is counted. */
    private static final int MAX_LISTED = 20;

    /** Buffers of old checkpoints that are computed today; transformers passes over them, too. */
    private static final String COMPUTED = "rotary_emb.inv_freq";

    private static final int COMPARE_BYTES = 1 << 20;

    private WeightAudit() {}

    /** Refuses missing and unexpected tensors, wrong shapes and dtypes, all in one message. */
    static void check(ModelConfig config, Path directory, Shards shards) {
        SequencedMap<String, Shape> expected = WeightShapes.of(config);
        List<String> problems = new ArrayList<>();
        boolean outputOnly = config.tiedEmbeddings()
                && !shards.places().containsKey(WeightNames.EMBEDDING)
                && shards.places().containsKey(WeightShapes.OUTPUT_PROJECTION);
        expected.forEach((name, shape) -> {
            boolean stands = outputOnly && name.equals(WeightNames.EMBEDDING);
            Shards.Place place = shards.places().get(stands ? WeightShapes.OUTPUT_PROJECTION : name);
            if (place == null) {
                problems.add("missing " + name + " " + shape);
            } else {
                checkOne(place, shape, problems);
            }
        });
        for (Shards.Place place : shards.places().values()) {
            String name = place.tensor().name();
            boolean tied = config.tiedEmbeddings() && name.equals(WeightShapes.OUTPUT_PROJECTION);
            if (tied && !outputOnly) {
                checkOne(place, Shape.of(config.vocab(), config.hidden()), problems);
            } else if (!tied && !expected.containsKey(name) && !name.endsWith(COMPUTED)) {
                problems.add("unexpected " + described(place));
            }
        }
        if (!problems.isEmpty()) {
            throw new ModelException(ModelException.Part.FILE, sentence(directory, problems));
        }
    }

    /** Where both tensors of a tied pair are stored they must be equal: otherwise the configuration is wrong. */
    static void checkTied(ModelConfig config, Shards shards) {
        Shards.Place embedding = shards.places().get(WeightNames.EMBEDDING);
        Shards.Place output = shards.places().get(WeightShapes.OUTPUT_PROJECTION);
        if (!config.tiedEmbeddings() || embedding == null || output == null) {
            return;
        }
        long bytes = embedding.tensor().bytes();
        boolean equal = embedding.tensor().type() == output.tensor().type();
        ByteBuffer first = ByteBuffer.allocateDirect(COMPARE_BYTES);
        ByteBuffer second = ByteBuffer.allocateDirect(COMPARE_BYTES);
        for (long done = 0; equal && done < bytes; done += COMPARE_BYTES) {
            int count = (int) Math.min(COMPARE_BYTES, bytes - done);
            embedding.file().read(embedding.tensor(), done, first.clear().limit(count));
            output.file().read(output.tensor(), done, second.clear().limit(count));
            equal = first.flip().equals(second.flip());
        }
        if (!equal) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    described(output) + " differs from " + described(embedding)
                            + " although config.json ties them; set tie_word_embeddings to false");
        }
    }

    private static void checkOne(Shards.Place place, Shape expected, List<String> problems) {
        StoredTensor tensor = place.tensor();
        boolean sameShape = tensor.dims().size() == expected.rank();
        for (int i = 0; sameShape && i < expected.rank(); i++) {
            sameShape = tensor.dims().get(i) == expected.dim(i);
        }
        if (!sameShape) {
            problems.add(described(place) + " instead of " + expected);
        }
        if (!tensor.type().isWeight()) {
            problems.add(described(place) + " has dtype " + tensor.type() + " instead of F32, F16 or BF16");
        }
    }

    private static String described(Shards.Place place) {
        StoredTensor tensor = place.tensor();
        return Printable.quote(tensor.name()) + " " + tensor.dims() + " ("
                + place.file().name() + ", byte " + tensor.declaredAt() + ")";
    }

    private static String sentence(Path directory, List<String> problems) {
        String listed = String.join("; ", problems.subList(0, Math.min(MAX_LISTED, problems.size())));
        String more = problems.size() > MAX_LISTED ? "; and " + (problems.size() - MAX_LISTED) + " more" : "";
        return "the weights in " + directory + " do not fit its config.json: " + listed + more
                + "; download config.json and weights of the same model";
    }
}
