package io.tsp.device.conformance;

import java.util.List;

/**
 * With r = 1 / sqrt(mean(x^2) + epsilon), z = x r and g = dOut * weight: dX = r (g - z mean(g z)), dWeight = the sum of
 * dOut * z over all rows.
 */
record RmsNormBackwardReference(double[] x, double[] weight, double[] dOut, float epsilon) {

    /**
     * dX and dWeight. All of it is fp32, whatever the operands are kept in.
     *
     * @param dXBefore what dX held and is added to; zeros if it is overwritten
     * @param dWeightBefore the same of dWeight
     */
    List<double[]> gradients(double[] dXBefore, double[] dWeightBefore, Precision precision) {
        int n = weight.length;
        double[] dX = new double[x.length];
        double[] sums = new double[n];
        double[] z = new double[n];
        double[] g = new double[n];
        for (int row = 0; row < x.length; row += n) {
            double square = precision.step(precision.dot(x, row, x, row, n) / n);
            double r = precision.step(1 / precision.step(Math.sqrt(precision.step(square + epsilon))));
            for (int i = 0; i < n; i++) {
                z[i] = precision.step(x[row + i] * r);
                g[i] = precision.step(dOut[row + i] * weight[i]);
                sums[i] = precision.step(sums[i] + precision.step(dOut[row + i] * z[i]));
            }
            double mean = precision.step(precision.dot(g, 0, z, 0, n) / n);
            for (int i = 0; i < n; i++) {
                double gradient = precision.step(r * precision.step(g[i] - precision.step(z[i] * mean)));
                dX[row + i] = precision.step(dXBefore[row + i] + gradient);
            }
        }
        for (int i = 0; i < n; i++) {
            sums[i] = precision.step(dWeightBefore[i] + sums[i]);
        }
        return List.of(dX, sums);
    }
}
