package io.tsp.cost;

import io.tsp.cost.DeviceProfile.Attention;
import io.tsp.cost.DeviceProfile.Gemm;
import io.tsp.cost.Topology.Wire;
import java.util.List;
import java.util.Random;

/** Profiles that differ from another one in some numbers. */
public final class Profiles {
    private Profiles() {}

    /** With links of other speeds. */
    public static HardwareProfile withLinks(HardwareProfile profile, double node, double network) {
        Topology old = profile.topology();
        return with(
                profile,
                profile.device(),
                new Topology(old.nodeSize(), old.fabric(), faster(old.node(), node), faster(old.network(), network)));
    }

    private static Wire faster(Wire wire, double factor) {
        return new Wire(wire.bytesPerSecond() * factor, wire.latencySeconds(), wire.messageSeconds());
    }

    /** With nodes of another size and kind. */
    public static HardwareProfile withNode(HardwareProfile profile, int size, Topology.Fabric fabric) {
        Topology old = profile.topology();
        return with(profile, profile.device(), new Topology(size, fabric, old.node(), old.network()));
    }

    /** With memory and arithmetic of other speeds. */
    public static HardwareProfile withRates(HardwareProfile profile, double memory, double gemm, double attention) {
        DeviceProfile old = profile.device();
        List<Gemm> gemms = old.gemm().stream()
                .map(rate -> new Gemm(
                        rate.dtype(), rate.nominal(), rate.sustained() * gemm, rate.startupDepth(), rate.tiles()))
                .toList();
        List<Attention> attentions = old.attention().stream()
                .map(rate -> new Attention(
                        rate.dtype(),
                        rate.headDim(),
                        rate.forward() * attention,
                        rate.backward() * attention,
                        rate.forwardStartupKeys(),
                        rate.backwardStartupKeys()))
                .toList();
        DeviceProfile device = new DeviceProfile(
                old.units(),
                old.transferUnits(),
                old.memoryBytes(),
                old.memoryBytesPerSecond() * memory,
                old.launchSeconds(),
                gemms,
                attentions,
                old.workspaceBytes());
        return with(profile, device, profile.topology());
    }

    /** Another device and other links, some of them a thousand times as fast or slow. */
    public static HardwareProfile random(HardwareProfile profile, Random random) {
        HardwareProfile node = withNode(
                profile,
                1 + random.nextInt(6),
                Topology.Fabric.values()[random.nextInt(Topology.Fabric.values().length)]);
        return withRates(
                withLinks(node, factor(random), factor(random)), factor(random), factor(random), factor(random));
    }

    private static double factor(Random random) {
        return Math.pow(1000, random.nextDouble() * 2 - 1);
    }

    private static HardwareProfile with(HardwareProfile profile, DeviceProfile device, Topology topology) {
        return new HardwareProfile(profile.name(), profile.hash(), device, topology, profile.transports());
    }
}
