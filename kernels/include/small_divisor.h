/* Division of small numbers by one that is known before a kernel begins: a multiplication. */
#pragma once

#include "host_device.h"

namespace tsp {

/* For 1 <= value <= 256; numbers that it divides are 0 to 256. */
struct SmallDivisor {
    int32_t value;
    uint32_t reciprocal; /* 2^16 / value, rounded up: for these numbers the quotients come out exact */

    TSP_HD int32_t quotient(int32_t number) const {
        return static_cast<int32_t>(static_cast<uint32_t>(number) * reciprocal >> 16);
    }

    TSP_HD int32_t remainder(int32_t number) const {
        return number - quotient(number) * value;
    }
};

TSP_HD constexpr SmallDivisor small_divisor(int32_t value) {
    return {value, (65535u + static_cast<uint32_t>(value)) / static_cast<uint32_t>(value)};
}

} // namespace tsp
