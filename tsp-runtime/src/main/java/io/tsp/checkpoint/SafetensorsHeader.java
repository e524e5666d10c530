package io.tsp.checkpoint;

import io.tsp.model.ModelException;
import java.util.Map;
import java.util.SequencedMap;

/**
 * What a safetensors file says of itself: 8 bytes of length (little-endian), that many bytes of JSON, then the data.
 * Read more strictly than the reference implementation reads it: tensors must follow each other from the first byte of
 * data to the last without hole or overlap, and no name may come twice.
 *
 * @param tensors by name, in the order of their bytes
 * @param metadata the strings under {@code __metadata__}
 */
record SafetensorsHeader(SequencedMap<String, StoredTensor> tensors, Map<String, String> metadata) {
    /** Bytes of the length field. */
    static final int LENGTH_BYTES = Long.BYTES;

    /** The format's own limit. */
    static final int MAX_HEADER_BYTES = 100_000_000;

    static final String METADATA = "__metadata__";
    static final int MAX_TENSORS = 200_000;
    static final int MAX_RANK = 64;
    static final int MAX_NAME_CHARS = 1024;
    static final int MAX_METADATA_ENTRIES = 10_000;
    static final int MAX_METADATA_CHARS = 1 << 20;

    /** Checks the length field of a file of so many bytes, and returns the header's length. */
    static int length(String file, long declared, long fileBytes) {
        if (declared < 0 || declared > MAX_HEADER_BYTES) {
            throw problem(
                    file,
                    0,
                    "the header is said to have " + Long.toUnsignedString(declared) + " bytes, more than the "
                            + MAX_HEADER_BYTES + " that the format allows");
        }
        if (declared > fileBytes - LENGTH_BYTES) {
            throw problem(
                    file,
                    0,
                    "the header is said to have " + declared + " bytes but only " + (fileBytes - LENGTH_BYTES)
                            + " follow");
        }
        if (declared < 2) {
            throw problem(file, 0, "the header is said to have " + declared + " bytes, too few for {}");
        }
        return (int) declared;
    }

    /** Reads the JSON and checks it against the length of the file. */
    static SafetensorsHeader parse(String file, byte[] json, long fileBytes) {
        return new HeaderParser(file, json, fileBytes).parse();
    }

    private static ModelException problem(String file, long offset, String what) {
        return FileProblem.at(ModelException.Part.FILE, file, offset, what);
    }
}
