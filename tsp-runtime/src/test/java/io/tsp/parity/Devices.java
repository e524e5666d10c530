package io.tsp.parity;

import io.tsp.device.Device;

/** Makes the devices of some ranks that belong together. */
@FunctionalInterface
interface Devices {
    Device open(int rank);

    /** What has not been given back once all of them are closed; empty where nobody counts. */
    default String leaks() {
        return "";
    }
}
