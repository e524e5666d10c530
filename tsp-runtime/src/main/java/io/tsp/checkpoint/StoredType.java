package io.tsp.checkpoint;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The dtypes of the safetensors format, spelled as in files. */
public enum StoredType {
    BOOL(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private static final Map<String, StoredType> BY_NAME = byName();

    private final int bits;

    StoredType(int bits) {
        this.bits = bits;
    }

    /** Bits of one element. */
    public int bits() {
        return bits;
    }

    /** Bytes of one element of a type that has whole bytes. */
    public int bytes() {
        return bits / Byte.SIZE;
    }

    /** Whether weights may be stored in it. */
    public boolean isWeight() {
        return this == F32 || this == F16 || this == BF16;
    }

    static @Nullable StoredType find(String name) {
        return BY_NAME.get(name);
    }

    private static Map<String, StoredType> byName() {
        Map<String, StoredType> types = new HashMap<>();
        for (StoredType type : values()) {
            types.put(type.name(), type);
        }
        return Map.copyOf(types);
    }
}
