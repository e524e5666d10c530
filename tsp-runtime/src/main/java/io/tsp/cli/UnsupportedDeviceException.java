package io.tsp.cli;

/** A kind of device that has no kernels in this build. */
final class UnsupportedDeviceException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    UnsupportedDeviceException(String device) {
        super("this build has no kernels for --device " + device + "; use --device cpu or --device cuda");
    }
}
