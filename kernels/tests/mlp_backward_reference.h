/* Gradients of the gated MLP from plain matrices: in float64 what is right, in float32 what a plain loop makes of it. */
#pragma once

#include "panels.h"

namespace tsp::test {

/* A [rows, columns] matrix of values that a dtype holds, as float64 holds them. */
struct Matrix {
    int64_t rows;
    int64_t columns;
    std::vector<double> values;

    Matrix(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}

    explicit Matrix(const tsp_tensor &tensor) : Matrix(tensor.shape[0], tensor.shape[1]) {
        for_each(tensor, [&](int64_t i, int64_t j, int64_t) { (*this)(i, j) = get(tensor, i, j); });
    }

    double &operator()(int64_t i, int64_t j) {
        return values[static_cast<size_t>(i * columns + j)];
    }

    double operator()(int64_t i, int64_t j) const {
        return values[static_cast<size_t>(i * columns + j)];
    }
};

/* What the kernel reads: Hugging Face's matrices, and pre-activations where forward saved them. */
struct MlpInputs {
    Matrix x;
    Matrix dy;
    Matrix gate;               /* [f, h] */
    Matrix up;                 /* [f, h] */
    Matrix down;               /* [h, f] */
    std::vector<Matrix> saved; /* none, or gates and ups [T, f] */
};

/* A sum of products in the precision of Real, and the size of its terms. */
template <class Real>
struct Sum {
    Real value = 0;
    double magnitude = 0;

    void add(double a, double b) {
        value += static_cast<Real>(a) * static_cast<Real>(b);
        magnitude += std::fabs(a * b);
    }
};

/* A result, and what its rounding errors are proportional to. */
struct Scaled {
    double value;
    double scale;
};

struct FeatureGradients {
    Scaled hidden;
    Scaled dgate;
    Scaled dup;
};

template <class Real>
FeatureGradients feature_gradients(const MlpInputs &in, int64_t row, int64_t feature) {
    Sum<Real> gate;
    Sum<Real> up;
    Sum<Real> dhidden;
    for (int64_t k = 0; k < in.x.columns; ++k) {
        gate.add(in.x(row, k), in.gate(feature, k));
        up.add(in.x(row, k), in.up(feature, k));
        dhidden.add(in.dy(row, k), in.down(k, feature));
    }
    if (!in.saved.empty()) {
        gate = {};
        gate.add(in.saved[0](row, feature), 1);
        up = {};
        up.add(in.saved[1](row, feature), 1);
    }
    const Real sigmoid = 1 / (1 + std::exp(-gate.value));
    const Real silu = gate.value * sigmoid;
    const Real slope = sigmoid * (1 + gate.value * (1 - sigmoid));
    const double u = std::fabs(up.value);
    const double d = std::fabs(dhidden.value);
    /* silu' is at most 1.1 and silu'' at most 0.5; gate slope' and gate are what a relative error of e^-gate costs. */
    const double silu_scale = std::fabs(silu) + 1.1 * gate.magnitude;
    const double slope_scale = std::fabs(slope) + 0.5 * gate.magnitude;
    return {
        {silu * up.value, silu_scale * u + std::fabs(silu) * up.magnitude},
        {dhidden.value * up.value * slope,
         (dhidden.magnitude * u + d * up.magnitude) * std::fabs(slope) + d * u * slope_scale},
        {dhidden.value * silu, dhidden.magnitude * std::fabs(silu) + d * silu_scale},
    };
}

/* One column of dx from the gradients that were written, those that the kernel has to multiply. */
template <class Real>
Scaled input_gradient(const MlpInputs &in, const Matrix &dgate, const Matrix &dup, int64_t row, int64_t column) {
    Sum<Real> sum;
    for (int64_t feature = 0; feature < in.gate.rows; ++feature) {
        sum.add(dgate(row, feature), in.gate(feature, column));
    }
    for (int64_t feature = 0; feature < in.gate.rows; ++feature) {
        sum.add(dup(row, feature), in.up(feature, column));
    }
    return {sum.value, sum.magnitude};
}

} // namespace tsp::test
