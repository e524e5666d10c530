"""Our CPU kernels beside PyTorch, called in turn in one process on the same numbers and as many threads.

Started by scripts/bench pytorch. Every result is first compared with float64 on a part of the outputs: ours may be off
by no more than twice what PyTorch is. Then both run in turns, so that what disturbs the machine disturbs both, and
medians are compared. Letters: S tokens of a sequence, T token rows, h hidden size, f intermediate size.
"""

import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from kernels import Kernels

HEADS = 8
# An OpenMP team spins for some milliseconds after its work; the other library's team must not find it spinning.
PAUSE_SECONDS = 0.05
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


def relative_error(result, exact):
    return ((result.double() - exact).norm() / exact.norm()).item()


def require_right(name, ours, theirs, exact):
    """Both may round differently, but ours must not be worse than twice theirs."""
    error, allowed = relative_error(ours, exact), 2 * relative_error(theirs, exact)
    if not error <= allowed:
        sys.exit(f"compare.py: {name} is wrong and is not timed: relative error {error:.3g}, allowed {allowed:.3g}")


def seconds(call):
    time.sleep(PAUSE_SECONDS)
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(name, flops, calls, repeat):
    """One row: medians of calls that take turns. The first call is ours, the others are ways to do it in PyTorch."""
    for call in calls.values():
        call()
    samples = {who: [] for who in calls}
    for _ in range(repeat):
        for who, call in calls.items():
            samples[who].append(seconds(call))
    medians = {who: statistics.median(times) for who, times in samples.items()}
    best = min((who for who in calls if who != "tsp"), key=medians.get)
    return {
        "name": name,
        "gflop": flops / 1e9,
        "medianSeconds": medians,
        "samples": samples,
        "bestOfPytorch": best,
        "ratio": medians[best] / medians["tsp"],
    }


def attention(kernels, dtype, head_dim, seq, repeat):
    name = f"attention forward {dtype} d{head_dim} causal S={seq} {HEADS} heads"
    q, k, v = (torch.randn(seq, HEADS, head_dim).to(DTYPES[dtype]) for _ in range(3))
    out = torch.empty_like(q)
    ours = kernels.attention(q, k, v, out)
    # Each library gets the layout that it likes best: ours [S, heads, d], PyTorch's dense [1, heads, S, d].
    batched = [x.transpose(0, 1).unsqueeze(0).contiguous() for x in (q, k, v)]

    def theirs():
        return F.scaled_dot_product_attention(*batched, is_causal=True)

    ours()
    rows = torch.tensor([0, seq // 3, seq // 2, seq - 1])
    scores = torch.einsum("rhd,shd->hrs", q[rows].double(), k.double()) / math.sqrt(head_dim)
    visible = torch.arange(seq) <= rows[:, None]
    weights = scores.masked_fill(~visible, -math.inf).softmax(-1)
    exact = torch.einsum("hrs,shd->rhd", weights, v.double())
    require_right(name, out[rows], theirs()[0].transpose(0, 1)[rows], exact)
    flops = 4.0 * head_dim * HEADS * seq * (seq + 1) / 2
    return measure(name, flops, {"tsp": ours, "sdpa": theirs}, repeat)


def mlp(kernels, dtype, tokens, hidden, intermediate, repeat):
    name = f"gated MLP forward {dtype} h={hidden} f={intermediate} T={tokens}"
    x = torch.randn(tokens, hidden).to(DTYPES[dtype])
    gate, up = ((torch.randn(intermediate, hidden) / math.sqrt(hidden)).to(x.dtype) for _ in range(2))
    down = (torch.randn(hidden, intermediate) / math.sqrt(intermediate)).to(x.dtype)
    y = torch.zeros(tokens, hidden)
    ours = kernels.gated_mlp(x, gate, up, down, y)
    ways = {"linear": lambda: F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)}
    if dtype == "bf16" and hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        ways["prepacked"] = prepacked(x, gate, up, down)

    ours()
    rows = torch.tensor([0, tokens // 2, tokens - 1])
    few = x[rows].double()
    exact = (F.silu(few @ gate.double().T) * (few @ up.double().T)) @ down.double().T
    for way in ways.values():
        require_right(name, y[rows], way()[rows], exact)
    return measure(name, 6.0 * tokens * hidden * intermediate, {"tsp": ours, **ways}, repeat)


def prepacked(x, gate, up, down):
    """Weights in oneDNN's own layout, as torch.compile freezes them: what PyTorch does at its best."""
    packed = [torch.ops.mkldnn._reorder_linear_weight(w, x.shape[0]) for w in (gate, up, down)]

    def linear(a, weight):
        return torch.ops.mkldnn._linear_pointwise(a, weight, None, "none", [], "")

    return lambda: linear(F.silu(linear(x, packed[0])) * linear(x, packed[1]), packed[2])


def rows_to_measure(kernels, quick):
    if quick:
        yield attention(kernels, "bf16", 128, 256, 3)
        yield attention(kernels, "f32", 128, 256, 3)
        yield mlp(kernels, "bf16", 64, 256, 704, 3)
        yield mlp(kernels, "f32", 64, 256, 704, 3)
        return
    yield attention(kernels, "bf16", 128, 4096, 21)
    yield attention(kernels, "bf16", 64, 4096, 21)
    yield attention(kernels, "f32", 128, 4096, 21)
    yield mlp(kernels, "bf16", 2048, 4096, 14336, 11)
    yield mlp(kernels, "f32", 2048, 4096, 14336, 7)


def show(row):
    print(row["name"])
    for who, median in row["medianSeconds"].items():
        spread = max(row["samples"][who]) / min(row["samples"][who])
        print(
            f"  {who:<10} {median * 1e3:10.2f} ms  {row['gflop'] / median:8.1f} GFLOP/s"
            f"  best {row['gflop'] / min(row['samples'][who]):8.1f}  slowest/fastest {spread:.2f}"
        )
    print(f"  tsp is {row['ratio']:.2f} times as fast as {row['bestOfPytorch']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--library", required=True, help="libtsp_kernels_cpu.so")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast")
    parser.add_argument("--json", help="where to write all samples")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="goes into the JSON as it is")
    options = parser.parse_args()
    torch.manual_seed(20260101)
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    kernels = Kernels(options.library, options.threads)
    print(f"PyTorch {torch.__version__}, {kernels.build_info}, {options.threads} threads; medians of calls in turns")
    results = []
    for row in rows_to_measure(kernels, options.quick):
        show(row)
        results.append(row)
    if options.json:
        facts = dict(fact.split("=", 1) for fact in options.fact)
        head = {"schemaVersion": 1, "theme": "pytorch", **facts, "pytorch": torch.__version__}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**head, "threads": options.threads, "results": results}, file, indent=2)


if __name__ == "__main__":
    main()
