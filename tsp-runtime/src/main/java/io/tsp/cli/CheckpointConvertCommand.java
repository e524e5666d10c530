package io.tsp.cli;

import io.tsp.checkpoint.ModelWriter;
import io.tsp.tensor.DType;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a model as Hugging Face stores it. */
@Command(
        name = "convert",
        description = {
            "Writes the weights of a checkpoint as a Hugging Face model directory: config.json, tokenizer and"
                    + " model.safetensors, or several of them with an index.",
            "",
            "A model directory can be given, too, to change its dtype."
        },
        mixinStandardHelpOptions = true,
        sortOptions = false,
        descriptionHeading = "%n",
        footerHeading = "%nExamples:%n",
        footer = "  tsp checkpoint convert run/step-000100 --dtype bf16 --out my-model")
final class CheckpointConvertCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(paramLabel = "CHECKPOINT", description = "A folder step-N.")
    private Path directory = Path.of("");

    @Option(names = "--dtype", paramLabel = "f32|bf16", description = "Of the weights. Default: f32.")
    private String dtype = "f32";

    @Option(names = "--out", required = true, paramLabel = "DIR", description = "A folder that is empty or not there.")
    private Path out = Path.of("");

    CheckpointConvertCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        DType target = ModelOptions.dtype("--dtype", dtype);
        try (OpenModel model = OpenModel.of(directory)) {
            UsageException.check(() -> {
                ModelWriter.write(out, model.config(), model.weights(), target, model.filesBesideWeights());
                return out;
            });
        }
        terminal.out().println("saved as " + out);
        return ExitCode.OK.code();
    }
}
