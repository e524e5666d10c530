"""One Llama layer forward and backward: ours in a training step of tsp, and transformers' LlamaDecoderLayer, in turns.

Started by scripts/bench layer. A round runs `tsp compare --mode train` on the preset llama-layer (one layer, h=2048,
f=5632, 16 query and 4 key/value heads, d=128) under `single` and adds up what its trace says of the layer: attention, MLP
and norms, forward and backward, gradients of all weights; not embedding, loss and optimizer. Then PyTorch runs the same
layer on the same number of tokens as often. Medians over all steps are compared.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}
HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM = 2048, 5632, 16, 4, 128


def gflop(seq):
    """Useful work of forward and backward: three times the forward's products, attention over half of all pairs."""
    weights = HIDDEN * HEAD_DIM * (2 * HEADS + 2 * KV_HEADS) + 3 * HIDDEN * INTERMEDIATE
    attention = 4 * HEAD_DIM * HEADS * seq * (seq + 1) / 2
    return (3 * 2 * weights * seq + 3.5 * attention) / 1e9


class Ours:
    def __init__(self, tsp, dtype, seq, options):
        self.command = [tsp, "compare", "--mode", "train", "--preset", "llama-layer", "--schemes", "single"]
        self.command += ["--dtype", dtype, "--seq", str(seq), "--threads", str(options.threads)]
        self.command += ["--recompute", options.recompute, "--repeat", str(options.repeat)]

    def seconds(self):
        """Of the median step of one process."""
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace.json"
            subprocess.run([*self.command, "--trace", str(trace)], check=True, stdout=subprocess.DEVNULL)
            events = json.loads(trace.read_text())["traceEvents"]
        parts = [event["dur"] for event in events if event["name"].startswith("layer 0 ") and event["ph"] == "X"]
        return sum(parts) / 1e6


class Theirs:
    def __init__(self, dtype, seq, repeat):
        config = LlamaConfig(
            hidden_size=HIDDEN,
            intermediate_size=INTERMEDIATE,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            head_dim=HEAD_DIM,
            attn_implementation="sdpa",
        )
        self.layer = LlamaDecoderLayer(config, 0).to(DTYPES[dtype])
        self.x = torch.randn(1, seq, HIDDEN, dtype=DTYPES[dtype], requires_grad=True)
        self.d_y = torch.randn(1, seq, HIDDEN, dtype=DTYPES[dtype])
        self.positions = LlamaRotaryEmbedding(config)(self.x, torch.arange(seq)[None])
        self.repeat = repeat
        self.step()

    def step(self):
        self.layer.zero_grad()
        self.x.grad = None
        y = self.layer(self.x, position_embeddings=self.positions)
        (y if torch.is_tensor(y) else y[0]).backward(self.d_y)

    def seconds(self):
        samples = []
        for _ in range(self.repeat):
            begin = time.perf_counter()
            self.step()
            samples.append(time.perf_counter() - begin)
        return statistics.median(samples)


def measure(dtype, seq, options):
    ours, theirs = Ours(options.tsp, dtype, seq, options), Theirs(dtype, seq, options.repeat)
    samples = {"tsp": [], "pytorch": []}
    for _ in range(options.rounds):
        samples["tsp"].append(ours.seconds())
        samples["pytorch"].append(theirs.seconds())
    medians = {who: statistics.median(times) for who, times in samples.items()}
    row = {
        "name": f"Llama layer forward and backward {dtype} S={seq}",
        "gflop": gflop(seq),
        "medianSeconds": medians,
        "samples": samples,
        "ratio": medians["pytorch"] / medians["tsp"],
    }
    print(row["name"])
    for who, median in medians.items():
        spread = max(samples[who]) / min(samples[who])
        print(f"  {who:<8} {median * 1e3:10.1f} ms  {row['gflop'] / median:7.1f} GFLOP/s  slowest/fastest {spread:.2f}")
    print(f"  tsp is {row['ratio']:.2f} times as fast", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tsp", required=True, help="scripts/tsp")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--recompute", default="none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one size, one round: shows that it works, not how fast")
    parser.add_argument("--json", help="where to write all samples")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="goes into the JSON as it is")
    options = parser.parse_args()
    torch.manual_seed(20260101)
    torch.set_num_threads(options.threads)
    sizes = [("bf16", 1024), ("bf16", 8192), ("f32", 1024)]
    if options.quick:
        sizes, options.rounds, options.repeat = [("bf16", 256)], 1, 1
    print(f"PyTorch {torch.__version__}, {options.threads} threads, recompute {options.recompute}; processes in turns")
    results = [measure(dtype, seq, options) for dtype, seq in sizes]
    if options.json:
        facts = dict(fact.split("=", 1) for fact in options.fact)
        head = {"schemaVersion": 1, "theme": "layer", **facts, "pytorch": torch.__version__}
        Path(options.json).write_text(
            json.dumps({**head, "threads": options.threads, "results": results}, indent=2), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
