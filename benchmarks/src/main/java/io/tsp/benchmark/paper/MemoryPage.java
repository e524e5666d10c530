package io.tsp.benchmark.paper;

import static io.tsp.benchmark.paper.Page.gib;

import io.tsp.plan.Schemes;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.MemoryClass;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** Peak memory of the 7B reference on 8 GPUs: the published numbers' bookkeeping on our counts, and our own plans. */
final class MemoryPage {
    private static final List<Long> SEQS =
            Stream.of(16, 32, 64, 128).map(k -> k * 1024L).toList();
    private static final List<String> PUBLISHED = List.of("tsp", "tp", "tp+sp:4x2", "tp+sp:2x4");
    private static final List<String> LEFT_OUT = List.of("tp+sp-regions", "sp", "fsdp+sp", "ulysses");
    private static final List<MemoryClass> CLASSES = List.of(
            MemoryClass.PARAMETERS,
            MemoryClass.GRADIENTS,
            MemoryClass.OPTIMIZER,
            MemoryClass.SAVED,
            MemoryClass.TRANSIENT,
            MemoryClass.COMMUNICATION,
            MemoryClass.HOST);

    private MemoryPage() {}

    static Page page() {
        Page page = new Page("Peak memory of a GPU", "scripts/paper-tables memory --out docs");
        page.paragraph(MemoryText.BOOKS);
        published(page);
        parts(page);
        page.paragraph(MemoryText.PARTS);
        leftOut(page);
        page.paragraph(MemoryText.LEFT_OUT);
        planned(page);
        page.paragraph(MemoryText.PLANNED);
        for (Recompute recompute : List.of(Recompute.SELECTIVE, Recompute.FULL)) {
            classes(page, recompute);
        }
        page.heading("What is reproduced").paragraph(MemoryText.RESULT);
        return page;
    }

    private static Scheme scheme(String name) {
        return Schemes.of(name, Reference.DEGREE, 1);
    }

    private static List<String> bySeq(String first) {
        List<String> head = new ArrayList<>(List.of(first));
        SEQS.forEach(seq -> head.add(Page.tokens(seq)));
        return head;
    }

    private static void published(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (String name : PUBLISHED) {
            List<String> row = new ArrayList<>(List.of(name));
            for (long seq : SEQS) {
                OptionalDouble published = PublishedMemory.of(name, seq);
                row.add(gib(PaperBooks.of(scheme(name), seq, true).total())
                        + (published.isPresent() ? " (" + published.getAsDouble() + ")" : ""));
            }
            rows.add(row);
        }
        page.heading("The paper's bookkeeping on our counts, GiB (in brackets: published)")
                .table(bySeq("scheme"), rows);
    }

    private static void parts(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (String name : PUBLISHED) {
            PaperBooks books = PaperBooks.of(scheme(name), Reference.LONGEST, true);
            rows.add(List.of(
                    name,
                    gib(books.parameters()),
                    gib(books.inputs()),
                    gib(books.keysAndValues()),
                    gib(books.working()),
                    gib(books.constant()),
                    gib(books.total()),
                    gib(books.total() - books.keysAndValues())));
        }
        page.heading("Its parts at 128K, GiB")
                .table(
                        List.of(
                                "scheme",
                                "24 B a parameter",
                                "kept inputs",
                                "kept keys and values",
                                "working set",
                                "constant",
                                "all",
                                "all, but keys and values not kept"),
                        rows);
    }

    private static void leftOut(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (String name : LEFT_OUT) {
            List<String> row = new ArrayList<>(List.of(name));
            for (long seq : SEQS) {
                row.add(gib(PaperBooks.of(scheme(name), seq, true).total()) + " / "
                        + gib(PaperBooks.of(scheme(name), seq, false).total()));
            }
            rows.add(row);
        }
        page.heading("Schemes that the paper left out, by the same bookkeeping, GiB: keys and values kept / not kept")
                .table(bySeq("scheme"), rows);
    }

    private static void planned(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (Scheme scheme : Schemes.all(Reference.DEGREE, 1)) {
            List<String> row = new ArrayList<>(List.of(scheme.name()));
            for (long seq : SEQS) {
                List<String> totals = new ArrayList<>();
                for (Recompute recompute : Recompute.values()) {
                    totals.add(gib(
                            (double) PlannedMemory.of(scheme, seq, recompute).total()));
                }
                row.add(String.join(" / ", totals));
            }
            rows.add(row);
        }
        page.heading("Our training programs: planned bytes, GiB, recomputation none / selective / full")
                .table(bySeq("scheme"), rows);
    }

    private static void classes(Page page, Recompute recompute) {
        List<String> head = new ArrayList<>(List.of("scheme"));
        CLASSES.forEach(memoryClass -> head.add(memoryClass.name().toLowerCase(Locale.ROOT)));
        head.add("all");
        List<List<String>> rows = new ArrayList<>();
        for (Scheme scheme : Schemes.all(Reference.DEGREE, 1)) {
            PlannedMemory memory = PlannedMemory.of(scheme, Reference.LONGEST, recompute);
            List<String> row = new ArrayList<>(List.of(scheme.name()));
            CLASSES.forEach(memoryClass -> row.add(gib((double) memory.of(memoryClass))));
            row.add(gib((double) memory.total()));
            rows.add(row);
        }
        page.heading("By class at 128K, recomputation " + recompute.name().toLowerCase(Locale.ROOT) + ", GiB")
                .table(head, rows);
    }
}
