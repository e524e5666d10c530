package io.tsp.benchmark.paper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The tables of the TSP paper (arXiv 2604.26294) from our own programs, as pages of Markdown: counted, planned and
 * simulated, never measured, so the same each time. Usage: {@code scripts/paper-tables memory|bytes|throughput [--out DIR]}.
 */
public final class PaperTables {
    static final List<String> NAMES = List.of("memory", "bytes", "throughput");

    private static final String USAGE = "use " + String.join(", ", NAMES) + ", and --out DIR to write a file";

    private PaperTables() {}

    public static void main(String[] arguments) {
        try {
            run(List.of(arguments));
        } catch (IllegalArgumentException | IllegalStateException | IOException e) {
            System.err.println("paper-tables: " + e.getMessage());
            System.exit(e instanceof IllegalArgumentException ? 2 : e instanceof IOException ? 74 : 70);
        }
    }

    private static void run(List<String> arguments) throws IOException {
        if (arguments.isEmpty()) {
            throw new IllegalArgumentException("no table was named; " + USAGE);
        }
        List<String> rest = arguments.subList(1, arguments.size());
        if (!rest.isEmpty() && (rest.size() != 2 || !rest.getFirst().equals("--out"))) {
            throw new IllegalArgumentException("do not know " + String.join(" ", rest) + "; " + USAGE);
        }
        String page = page(arguments.getFirst());
        if (rest.isEmpty()) {
            System.out.print(page);
            return;
        }
        Path file = Path.of(rest.getLast(), fileName(arguments.getFirst()));
        Files.writeString(file, page);
        System.err.println("paper-tables: wrote " + file);
    }

    /** The page of a name, as it stands in docs. */
    static String page(String name) {
        return switch (name) {
            case "memory" -> MemoryPage.page().toString();
            case "bytes" -> CommunicationPage.page().toString();
            case "throughput" -> ThroughputPage.page().toString();
            default -> throw new IllegalArgumentException("there is no table \"" + name + "\"; " + USAGE);
        };
    }

    static String fileName(String name) {
        return name.equals("bytes") ? "paper-communication.md" : "paper-" + name + ".md";
    }
}
