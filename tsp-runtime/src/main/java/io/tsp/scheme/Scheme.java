package io.tsp.scheme;

import io.tsp.mesh.Mesh;

/** A way for ranks to share a model: a pure function from configuration, mesh and rank to a program. */
public interface Scheme {
    /** What a user types, such as {@code tp+sp:2x2} or {@code tsp}. */
    String name();

    /** The arrangement of the ranks, the data-parallel axis first. */
    Mesh mesh();

    /** The program of one rank. */
    ForwardProgram forward(ForwardRequest request, int rank);

    /** One rank's step of training. */
    TrainingProgram training(TrainingRequest request, int rank);
}
