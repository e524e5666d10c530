package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.PaddingLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A failure means that this machine's C compiler lays out a struct of the kernel ABI otherwise than the bindings do. */
class StructLayoutTest {
    private static final Path BINDINGS =
            Path.of(System.getProperty("tsp.repository", ".."), "tsp-ffm/src/main/java/io/tsp/ffm/generated");

    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"kernels, tsp_kernels.h, 26", "mpi, ../mpi/tsp_mpi.h, 2"})
    void sizesAndOffsetsAreThoseOfC(String binding, String header, int count) throws Exception {
        List<GroupLayout> structs = structs(binding);
        assertEquals(count, structs.size(), "structs in " + BINDINGS.resolve(binding));
        // Twice, because a header may come in by two ways.
        StringBuilder source = new StringBuilder("#include <stddef.h>\n");
        source.append("#include \"%s\"\n#include \"%s\"\n".formatted(header, header));
        structs.forEach(struct -> assertLayout(struct, source));
        CLibrary.check(folder, source.append("extern int unused;\n").toString());
    }

    /** The headers are those that the bindings were made from, or later ones. */
    @ParameterizedTest
    @CsvSource({"cudart, 2", "cublaslt, 3", "nccl, 3"})
    void vendorsStructsAreThoseOfC(String binding, int count) throws Exception {
        List<Path> includes = VendorHeaders.require(binding);
        List<GroupLayout> structs = structs(binding);
        assertEquals(count, structs.size(), "structs in " + BINDINGS.resolve(binding));
        Path header =
                BINDINGS.resolve("../../../../../jextract/" + binding + ".h").toRealPath();
        StringBuilder source = new StringBuilder("#include <stddef.h>\n#include \"%s\"\n".formatted(header));
        for (GroupLayout struct : structs) {
            // C's own tag where the struct has no typedef of that name.
            String name = struct.name().orElseThrow();
            if (name.startsWith("tsp_") || name.startsWith("ncclConfig")) {
                source.append("typedef struct %s %s;\n".formatted(name, name));
            }
            assertLayout(struct, source);
        }
        CLibrary.compile(folder, "layouts.so", source.toString(), includes);
    }

    private static void assertLayout(GroupLayout struct, StringBuilder source) {
        String name = struct.name().orElseThrow();
        source.append("_Static_assert(sizeof(%s) == %d, \"size of %s\");\n".formatted(name, struct.byteSize(), name));
        for (MemoryLayout member : struct.memberLayouts()) {
            if (!(member instanceof PaddingLayout)) {
                String field = member.name().orElseThrow();
                long offset = struct.byteOffset(PathElement.groupElement(field));
                source.append("_Static_assert(offsetof(%s, %s) == %d, \"offset of %s.%s\");\n"
                        .formatted(name, field, offset, name, field));
            }
        }
    }

    private static List<GroupLayout> structs(String binding) throws IOException {
        try (Stream<Path> files = Files.list(BINDINGS.resolve(binding))) {
            return files.map(file -> file.getFileName().toString().replace(".java", ""))
                    .filter(name -> !name.contains("_h"))
                    .sorted()
                    .map(name -> layout("io.tsp.ffm.generated." + binding + "." + name))
                    .toList();
        }
    }

    private static GroupLayout layout(String name) {
        try {
            return (GroupLayout) Class.forName(name).getMethod("layout").invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(name + " is no struct binding", e);
        }
    }
}
