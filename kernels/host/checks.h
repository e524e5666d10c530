/* What each op demands of its arguments, data included; only run may ask for it. Compiled once, for the oldest processor. */
#pragma once

#include "tsp_kernels.h"

namespace tsp {

void check(const tsp_rms_norm_args &args);

} // namespace tsp
