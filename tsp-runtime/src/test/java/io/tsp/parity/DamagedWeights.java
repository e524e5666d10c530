package io.tsp.parity;

import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;

/** A model in which every element of one weight is multiplied; read as f32. */
public record DamagedWeights(WeightSource source, String name, float factor) implements WeightSource {
    @Override
    public Shape shape(String weight) {
        return source.shape(weight);
    }

    @Override
    public void read(
            String weight,
            long firstRow,
            long rowCount,
            long firstColumn,
            long columnCount,
            DType dtype,
            ByteBuffer target) {
        int begin = target.position();
        source.read(weight, firstRow, rowCount, firstColumn, columnCount, dtype, target);
        for (int i = begin; weight.equals(name) && i < target.position(); i += dtype.bytes()) {
            target.putFloat(i, target.getFloat(i) * factor);
        }
    }

    @Override
    public void close() {
        source.close();
    }
}
