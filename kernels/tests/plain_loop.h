/* The measure of what a kernel may err: the worst error of a plain loop in fp32 over the same numbers. */
#pragma once

#include <cmath>

namespace tsp::test {

/* Errors count in relation to a magnitude, the sum of the absolute values that were added up to the number. */
class PlainLoop {
public:
    /* least: what the roundings of one element add up to in the worst case, which no loop over a few elements shows. */
    explicit PlainLoop(double least) : worst(least) {}

    void observe(float plain, double exact, double magnitude) {
        if (magnitude > 0) {
            worst = std::fmax(worst, std::fabs(double{plain} - exact) / magnitude);
        }
    }

    double allowed(double magnitude) const {
        return 2 * worst * magnitude;
    }

private:
    double worst;
};

} // namespace tsp::test
