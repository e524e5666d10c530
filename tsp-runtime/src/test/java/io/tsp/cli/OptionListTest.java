package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.Presets;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/**
 * A failure means that the command line has changed: a script of some user may stop working, and README, CHANGELOG and
 * this list have to say so.
 */
class OptionListTest {
    private static final String OPTIONS = """
            tsp: --debug --help --version -V -h
            checkpoint: --debug --help --version -V -h
            checkpoint convert: --debug --dtype --help --out --version -V -h
            checkpoint inspect: --debug --help --json --version -V -h
            checkpoint reshard: --debug --degree --dp --help --out --scheme --version -V -h
            checkpoint verify: --debug --help --version -V -h
            compare: --batch --deadline --debug --degree --device --dp --dtype --help --html --json --mode \
            --model --preset --ranks --recompute --repeat --schemes --seed --seq --shard-optimizer --sync-check --text \
            --threads --tokens --trace --version -V -h
            doctor: --debug --help --json --version -V -h
            eval: --batch --deadline --debug --degree --device --dp --dtype --gradients --help --json --logits \
            --model --preset --ranks --scheme --seed --seq --sync-check --text --threads --tokens --trace --version \
            -V -h
            help: --debug --help -h
            plan: --accumulate --batch --debug --device --dtype --help --json --max-degree --mode --model --preset \
            --ranks --recompute --seed --seq --top --version -V -h
            report: --debug --help --out --version -V -h
            train: --accumulate --batch --beta1 --beta2 --clip --data --data-seed --deadline --debug --degree \
            --device --dp --dtype --epsilon --eval-every --eval-share --final-lr --help --keep --log --lr --model \
            --moments --out --preset --ranks --recompute --resume --sample-every --sample-prompt --sample-tokens \
            --save-every --schedule --scheme --seed --seq --shard-optimizer --steps --sync-check --threads --trace \
            --version --warmup --weight-decay -V -h
            """;

    private static String options(String name, CommandLine line) {
        List<String> names =
                line.getCommandSpec().optionsMap().keySet().stream().sorted().toList();
        return name + ": " + String.join(" ", names) + "\n";
    }

    @Test
    void optionsAreFrozen() {
        CommandLine line = Main.commandLine(Terminal.standard());
        StringBuilder found = new StringBuilder(options("tsp", line));
        new TreeMap<>(line.getSubcommands()).forEach((name, verb) -> {
            found.append(options(name, verb));
            new TreeMap<>(verb.getSubcommands())
                    .forEach((inner, command) -> found.append(options(name + " " + inner, command)));
        });
        assertEquals(OPTIONS, found.toString());
    }

    @Test
    void everyVerbExplainsItselfInTheWidthOfATerminal() {
        for (String verb : List.of("compare", "eval", "train", "report", "checkpoint", "doctor")) {
            String help = Cli.ok(verb, "--help").out();
            assertTrue(help.contains("Examples:"), help);
            assertTrue(help.lines().allMatch(line -> line.length() <= 100), help);
            assertEquals(help, Cli.ok("help", verb).out());
        }
        for (String verb : List.of("inspect", "verify", "convert", "reshard")) {
            String help = Cli.ok("checkpoint", verb, "--help").out();
            assertTrue(help.contains("Examples:"), help);
            assertTrue(help.lines().allMatch(line -> line.length() <= 100), help);
        }
        String presets = Cli.ok("eval", "--help").out().replaceAll("\\s+", " ");
        assertTrue(presets.contains(String.join(", ", Presets.byName().keySet())), presets);
    }

    @Test
    void theTopHelpListsVerbsAndExitCodes() {
        String help = Cli.ok("--help").out();
        assertTrue(help.contains("compare") && help.contains("eval") && help.contains("doctor"), help);
        for (ExitCode code : ExitCode.values()) {
            assertTrue(help.contains(code.code() + "  " + code.meaning()), help);
        }
    }

    @Test
    void versionNamesProgramAndJava() {
        assertTrue(Cli.ok("--version").out().matches("tsp .*\\RJava 25.*\\R"));
    }
}
