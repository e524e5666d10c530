package io.tsp.cli;

import picocli.CommandLine.Command;

/** The verbs about checkpoints. */
@Command(
        name = "checkpoint",
        description = {
            "Looks at checkpoints of training, checks them, and turns them into others.",
            "",
            "A checkpoint is a folder step-N with a manifest, the model's configuration and tokenizer, and safetensors"
                    + " files with each rank's part of the weights (f32) and of the optimizer's moments. It can be"
                    + " resumed under any scheme as it is; reshard makes files that fit other ranks."
        },
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "VERB",
        sortOptions = false,
        descriptionHeading = "%n",
        commandListHeading = "%nVerbs:%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp checkpoint inspect run/step-000100",
            "  tsp checkpoint convert run/step-000100 --dtype bf16 --out my-model",
            "  tsp checkpoint reshard run/step-000100 --scheme tsp --degree 8 --out run8"
        })
final class CheckpointCommand {}
