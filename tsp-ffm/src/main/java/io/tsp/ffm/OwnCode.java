package io.tsp.ffm;

import java.net.URISyntaxException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Where this build's own classes were loaded from. */
final class OwnCode {
    private OwnCode() {}

    /** The jar, or the folder of classes. */
    static Path location() {
        try {
            return Path.of(OwnCode.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException("The class loader gave a location that is no URI: " + e.getMessage(), e);
        }
    }

    /** The {@code native} folder of an unpacked distribution, which stands beside {@code lib}; null for other layouts. */
    static @Nullable Path installedLibraries() {
        Path folder = location().getParent();
        if (folder == null || !folder.endsWith("lib") || !location().toString().endsWith(".jar")) {
            return null;
        }
        return folder.resolveSibling("native");
    }
}
