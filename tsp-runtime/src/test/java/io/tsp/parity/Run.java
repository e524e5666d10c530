package io.tsp.parity;

import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import java.util.List;
import java.util.stream.Stream;

/** A forward pass to be judged. */
record Run(Fixture fixture, Scheme scheme, DType dtype) {
    private static final List<DType> DTYPES = List.of(DType.F32, DType.BF16);

    /** A fixture under some schemes, in both dtypes. */
    static Stream<Run> of(Fixture fixture, List<Scheme> schemes) {
        return schemes.stream().flatMap(scheme -> DTYPES.stream().map(dtype -> new Run(fixture, scheme, dtype)));
    }

    @Override
    public String toString() {
        return fixture + " " + scheme.name() + " on " + scheme.mesh().worldSize() + " ranks, " + dtype;
    }
}
