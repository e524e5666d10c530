/* Sines and cosines of large angles, for CPUs and GPUs. */
#pragma once

#include <string.h>

#include "host_device.h"

namespace tsp {

/* cos(angle) and sin(angle) for |angle| < 2^31, within 2^-40 before they are rounded to float. Written without branches,
 * for compilers to vectorise. */
TSP_HD void cosine_and_sine(float angle, double &cosine, double &sine) {
    /* pi / 2 in two parts. The first has 22 bits, so its product with a quarter of 31 bits is exact. */
    constexpr double HALF_PI_HIGH = 0x1.921fbp0;
    constexpr double HALF_PI_LOW = 0x1.5110b4611a626p-22;
    /* Adding and subtracting this rounds to the nearest integer, and leaves that integer in the lowest bits. */
    constexpr double ROUNDER = 0x1.8p52;
    const double shifted = angle * 0.63661977236758134308 + ROUNDER;
    const double quarters = shifted - ROUNDER;
    uint64_t quadrant;
    memcpy(&quadrant, &shifted, sizeof quadrant);
    const double r = (angle - quarters * HALF_PI_HIGH) - quarters * HALF_PI_LOW;

    /* Taylor's series on |r| <= pi / 4; the first terms left out are below 7e-12. */
    const double q = r * r;
    const double s =
        r * (1 + q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880 + q * (-1.0 / 39916800))))));
    const double c = 1
        + q
            * (-1.0 / 2
               + q * (1.0 / 24 + q * (-1.0 / 720 + q * (1.0 / 40320 + q * (-1.0 / 3628800 + q * (1.0 / 479001600))))));
    const bool swapped = (quadrant & 1) != 0;
    const double cosine_size = swapped ? s : c;
    const double sine_size = swapped ? c : s;
    cosine = ((quadrant + 1) & 2) != 0 ? -cosine_size : cosine_size;
    sine = (quadrant & 2) != 0 ? -sine_size : sine_size;
}

} // namespace tsp
