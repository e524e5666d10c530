package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a page is lost, half written, or made of something that is no result. */
class ReportCommandTest {
    @TempDir
    Path folder;

    private Path result() throws IOException {
        return Files.writeString(
                folder.resolve("run.jsonl"),
                "{\"step\":1,\"tokens\":8,\"loss\":2.5}\n{\"step\":2,\"tokens\":8,\"loss\":2.25}\n");
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void aPageIsWritten() throws IOException {
        Path page = folder.resolve("page.html");
        Cli cli = Cli.ok("report", result(), "--out", page);
        assertEquals(page + System.lineSeparator(), cli.out());
        assertEquals("", cli.err());
        assertTrue(Files.readString(page).contains("\"loss\":2.25"));
        assertEquals(List.of("page.html", "run.jsonl"), names());
    }

    @Test
    void somethingElseIsRefusedAndNothingIsWritten() throws IOException {
        Path bad = Files.writeString(folder.resolve("bad.json"), "{\"traceEvents\":[{]}");
        Path page = folder.resolve("page.html");
        Cli cli = Cli.run("report", result(), bad, "--out", page);
        assertEquals(65, cli.code());
        assertTrue(cli.err().contains(bad.toString()) && cli.err().lines().count() == 1, cli.err());
        assertEquals(List.of("bad.json", "run.jsonl"), names());
    }

    @Test
    void anUnwritablePageIsAProblemOfStorage() throws IOException {
        Cli cli = Cli.run("report", result(), "--out", folder.resolve("none").resolve("page.html"));
        assertEquals(74, cli.code());
        assertTrue(cli.err().contains("there is no folder"), cli.err());
    }

    @Test
    void aResultIsNotOverwritten() throws IOException {
        Path result = result();
        Cli cli = Cli.run("report", result, "--out", folder.resolve(".").resolve("run.jsonl"));
        assertEquals(2, cli.code());
        assertTrue(Files.readString(result).startsWith("{\"step\":1"));
        assertEquals(2, Cli.run("report").code());
    }

    @Test
    void compareMakesTheSamePage() throws IOException {
        Path page = folder.resolve("page.html");
        Path json = folder.resolve("compare.json");
        Cli.ok(
                "compare",
                "--preset",
                "tiny",
                "--seq",
                "64",
                "--repeat",
                "1",
                "--schemes",
                "tsp",
                "--degree",
                "2",
                "--html",
                page,
                "--json",
                json);
        String text = Files.readString(page);
        assertTrue(text.contains("\"mode\":\"forward\",\"model\":\"tiny\""), "no comparison");
        assertTrue(text.contains("id=\"trace-0\""), "no timeline");
        Object tsp = ((List<?>) Cli.json(json).get("schemes")).get(1);
        assertTrue(
                text.contains("\"stepSeconds\":" + ((java.util.Map<?, ?>) tsp).get("stepSeconds") + ","),
                "other numbers");
        assertFalse(text.contains("<!--data-->"));
    }
}
