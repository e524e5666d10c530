package io.tsp.ffm;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Compiles a few lines of C with the compiler that built the project. */
final class CLibrary {
    private static final Path REPOSITORY = Path.of(System.getProperty("tsp.repository", ".."));

    private CLibrary() {}

    /** A shared library {@code name} in {@code folder}. */
    static Path compile(Path folder, String name, String source) throws IOException, InterruptedException {
        Path library = folder.resolve(name);
        cc(folder, source, "-shared", "-fPIC", "-o", library.toString());
        return library;
    }

    /** A shared library of source that needs headers of these folders. */
    static Path compile(Path folder, String name, String source, List<Path> includes)
            throws IOException, InterruptedException {
        Path library = folder.resolve(name);
        List<String> options = new ArrayList<>(List.of("-shared", "-fPIC", "-o", library.toString()));
        includes.forEach(include -> options.addAll(List.of("-I", include.toString())));
        cc(folder, source, options.toArray(String[]::new));
        return library;
    }

    /** Fails with the compiler's words if {@code source} is not valid C11. */
    static void check(Path folder, String source) throws IOException, InterruptedException {
        cc(folder, source, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only");
    }

    private static void cc(Path folder, String source, String... options) throws IOException, InterruptedException {
        Path file = Files.writeString(folder.resolve("source.c"), source);
        List<String> command = new ArrayList<>(
                List.of("cc", "-I", REPOSITORY.resolve("native/include").toString()));
        command.addAll(List.of(options));
        command.add(file.toString());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new AssertionError(String.join(" ", command) + "\n" + output);
        }
    }
}
