package io.tsp.benchmark.paper;

import static io.tsp.benchmark.paper.Page.mb;
import static io.tsp.benchmark.paper.Page.number;

import io.tsp.benchmark.paper.LayerBytes.Pass;
import io.tsp.benchmark.paper.Received.Wire;
import io.tsp.plan.Schemes;
import io.tsp.scheme.Scheme;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** Bytes that each scheme moves for a layer, counted from programs. */
final class CommunicationPage {
    private static final int MHA = Reference.MODEL.kvHeads();
    /** Four query heads for each key/value head. */
    private static final int GQA = MHA / 4;

    private static final List<Long> SEQS =
            Stream.of(4, 8, 16, 32, 64, 128, 256, 512, 1024).map(k -> k * 1024L).toList();
    private static final List<Integer> DEGREES = List.of(2, 4, 8, 16, 32, 64);

    private CommunicationPage() {}

    static Page page() {
        Page page = new Page("Bytes moved for a layer", "scripts/paper-tables bytes --out docs");
        page.paragraph(CommunicationText.INTRODUCTION);
        layer(page, MHA, "One layer of tsp-7b, 8 ranks, 128K tokens (g = 1)");
        page.paragraph(CommunicationText.LAYER);
        layer(page, GQA, "The same with grouped queries (8 key/value heads, g = 4)");
        crossovers(page);
        page.paragraph(CommunicationText.CROSSOVERS);
        lengths(page, MHA);
        lengths(page, GQA);
        page.paragraph(CommunicationText.LENGTHS);
        degrees(page);
        page.paragraph(CommunicationText.DEGREES);
        return page;
    }

    private static void layer(Page page, int kvHeads, String heading) {
        List<List<String>> rows = new ArrayList<>();
        for (Scheme scheme : Schemes.all(Reference.DEGREE, 1)) {
            LayerBytes bytes = LayerBytes.of(scheme, kvHeads, Reference.LONGEST);
            ClosedForm form = new ClosedForm(scheme, kvHeads, Reference.LONGEST);
            for (int rank = 1; rank < Reference.DEGREE; rank++) {
                LayerBytes.count(scheme, kvHeads, Reference.LONGEST, rank).require(form);
            }
            rows.add(List.of(
                    scheme.name(),
                    millions(form.forward()),
                    mb(bytes.forward().bf16() * 2.0),
                    mb(bytes.forward().f32() * 4.0),
                    millions(form.backward()),
                    number(form.more() / (Reference.DEGREE * 1e6), 2),
                    mb(bytes.backward().bf16() * 2.0),
                    mb(bytes.backward().sums() * 4.0),
                    mb(bytes.backward().gradients() * 4.0),
                    mb((double) bytes.step().bytes(Wire.F32_SUMS)),
                    mb((double) bytes.step().bytes(Wire.BF16))));
        }
        page.heading(heading)
                .table(
                        List.of(
                                "scheme",
                                "forward, M elements",
                                "MB in bf16",
                                "MB in f32",
                                "backward, M elements of the form",
                                "and besides",
                                "MB in bf16",
                                "MB of sums in f32",
                                "MB of weights' gradients in f32",
                                "both, MB",
                                "both, MB if all were bf16"),
                        rows);
    }

    private static String millions(long timesDegree) {
        return number(timesDegree / (Reference.DEGREE * 1e6), 1);
    }

    /** A question about a crossover. */
    private record Question(String scheme, Wire wire, String other, Wire otherWire, int kvHeads, Pass pass) {
        Crossover crossover() {
            return new Crossover(
                    Schemes.of(scheme, Reference.DEGREE, 1),
                    wire,
                    Schemes.of(other, Reference.DEGREE, 1),
                    otherWire,
                    kvHeads,
                    pass);
        }
    }

    private static List<Question> questions() {
        List<Question> questions = new ArrayList<>();
        for (String scheme : List.of("tsp", "ulysses")) {
            for (int kvHeads : List.of(MHA, GQA)) {
                questions.add(new Question(scheme, Wire.BF16, "tp", Wire.BF16, kvHeads, Pass.FORWARD));
                questions.add(new Question(scheme, Wire.F32_SUMS, "tp", Wire.F32_SUMS, kvHeads, Pass.FORWARD));
                for (Wire wire : Wire.values()) {
                    questions.add(new Question(scheme, wire, "tp", wire, kvHeads, Pass.TRAINING));
                }
                questions.add(new Question(scheme, Wire.F32_SUMS, "tp", Wire.BF16, kvHeads, Pass.TRAINING));
            }
        }
        for (String other : List.of("tp+sp-regions", "tp+sp:4x2", "tp+sp:2x4", "ulysses")) {
            for (Pass pass : Pass.values()) {
                questions.add(new Question("tsp", Wire.BF16, other, Wire.BF16, MHA, pass));
            }
        }
        return questions;
    }

    private static void crossovers(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (Question question : questions()) {
            OptionalDouble tokens = question.crossover().tokens();
            String wire = question.wire == question.otherWire
                    ? question.wire.text()
                    : question.wire.text() + " against " + question.otherWire.text();
            rows.add(List.of(
                    question.scheme + " against " + question.other,
                    question.pass.text(),
                    question.kvHeads == MHA ? "1" : "4",
                    wire,
                    tokens.isEmpty() ? "never" : number(tokens.getAsDouble(), 0),
                    tokens.isEmpty() ? "" : number(tokens.getAsDouble() / Reference.MODEL.hidden(), 2) + " h"));
        }
        page.heading("From how many tokens on (B x S) a scheme receives less, 8 ranks")
                .table(List.of("", "pass", "g", "on the wire", "tokens", "in h"), rows);
    }

    private static void lengths(Page page, int kvHeads) {
        List<List<String>> rows = new ArrayList<>();
        for (long seq : SEQS) {
            List<String> row = new ArrayList<>(List.of(Page.tokens(seq)));
            for (Pass pass : Pass.values()) {
                double tsp = bytes("tsp", Reference.DEGREE, kvHeads, seq, pass);
                row.add(mb(tsp));
                for (String other : List.of("tp", "tp+sp-regions", "ulysses")) {
                    row.add(number(bytes(other, Reference.DEGREE, kvHeads, seq, pass) / tsp, 2));
                }
                row.add(number(best(Reference.DEGREE, kvHeads, seq, pass) / tsp, 2));
            }
            rows.add(row);
        }
        page.heading("Lengths: tsp on 8 ranks, g = " + MHA / kvHeads
                        + ", and what others move for each byte of it, all in bf16")
                .table(
                        List.of(
                                "tokens",
                                "forward: tsp, MB",
                                "tp",
                                "regions",
                                "ulysses",
                                "best TPxSP",
                                "training: tsp, MB",
                                "tp",
                                "regions",
                                "ulysses",
                                "best TPxSP"),
                        rows);
    }

    private static void degrees(Page page) {
        List<List<String>> rows = new ArrayList<>();
        for (int degree : DEGREES) {
            List<String> row = new ArrayList<>(List.of(degree <= MHA ? "" + degree : degree + " (no form)"));
            for (Pass pass : Pass.values()) {
                double tsp = bytes("tsp", degree, MHA, Reference.LONGEST, pass);
                row.add(mb(tsp));
                row.add(number(tsp * degree / Reference.LONGEST / 1e3, 0));
                for (String other : List.of("tp", "ulysses")) {
                    row.add(number(bytes(other, degree, MHA, Reference.LONGEST, pass) / tsp, 2));
                }
                row.add(degree < 4 ? "" : number(best(degree, MHA, Reference.LONGEST, pass) / tsp, 2));
            }
            rows.add(row);
        }
        page.heading("Degrees: tsp on 128K tokens, g = 1, and what others move for each byte of it, all in bf16")
                .table(
                        List.of(
                                "ranks",
                                "forward: tsp, MB",
                                "kB for each token of the rank",
                                "tp",
                                "ulysses",
                                "best TPxSP",
                                "training: tsp, MB",
                                "kB for each token of the rank",
                                "tp",
                                "ulysses",
                                "best TPxSP"),
                        rows);
    }

    private static double bytes(String scheme, int degree, int kvHeads, long seq, Pass pass) {
        return bytes(Schemes.of(scheme, degree, 1), kvHeads, seq, pass);
    }

    private static double bytes(Scheme scheme, int kvHeads, long seq, Pass pass) {
        return LayerBytes.of(scheme, kvHeads, seq).of(pass).bytes(Wire.BF16);
    }

    /** Of all factorisations with two axes. */
    private static double best(int degree, int kvHeads, long seq, Pass pass) {
        return Schemes.all(degree, 1).stream()
                .filter(scheme -> scheme.name().startsWith("tp+sp:"))
                .map(scheme -> bytes(scheme, kvHeads, seq, pass))
                .min(Comparator.naturalOrder())
                .orElseThrow();
    }
}
