package io.tsp.cli;

import io.tsp.cost.HardwareProfile;

/** What {@code --device sim:PROFILE} names. */
final class SimulatedDevice {
    private static final String PREFIX = "sim:";

    private SimulatedDevice() {}

    static boolean is(String device) {
        return device.startsWith(PREFIX);
    }

    /** @throws io.tsp.cost.ProfileException if there is no such profile, or it cannot be used */
    static HardwareProfile profile(String device) {
        return HardwareProfile.of(device.substring(PREFIX.length()));
    }

    /** What a report calls it. */
    static String name(HardwareProfile profile) {
        return PREFIX + profile.name();
    }

    /** What a sentence calls it: a figure of simulated time is a consequence of its profile. */
    static String description(HardwareProfile profile) {
        return "simulated with profile " + profile.name() + " ("
                + profile.hash().substring(0, 12) + ")";
    }
}
